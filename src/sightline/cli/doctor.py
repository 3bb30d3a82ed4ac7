"""`sightline doctor`: versions, devices, kernels, what is missing and how to get it."""

from dataclasses import dataclass

from sightline.cli.arguments import JsonFlag, parse
from sightline.cli.console import print_json


@dataclass(frozen=True)
class Arguments:
    """How to tell it."""

    json: JsonFlag = False


def main(arguments: list[str]) -> int:
    """Examine this machine; prints what was found, or JSON."""
    parsed = parse(
        Arguments,
        arguments,
        program="doctor",
        description="Shows versions, devices, kernels, what is missing and how to get it.",
    )
    from sightline.workflows.doctor import examine

    report = examine()
    if parsed.json:
        print_json(report.to_json())
    else:
        print("\n".join(report.lines()))
    return 0
