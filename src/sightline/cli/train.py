"""`sightline train METHOD DATA`: trains a method on posed photos into a run folder."""

from dataclasses import field, make_dataclass, replace
from pathlib import Path
from typing import Any

from sightline.cli.arguments import Data, Flat, JsonFlag, parse, peek, peek_path
from sightline.cli.console import print_json
from sightline.methods.registry import MethodInfo, get_method_info, list_methods
from sightline.workflows.options import Layers, TrainOptions, read_layers


def main(arguments: list[str]) -> int:
    """Train; prints the run folder."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_methods())
        return 0
    info = get_method_info(arguments[0])
    parsed = _parse(info, arguments[1:])
    from sightline.workflows.train import train_method

    trained = train_method(info.name, parsed.data, parsed.method, parsed.training)
    if parsed.json:
        print_json(trained.to_json())
    else:
        print(trained.run.path)
    return 0


def _parse(info: MethodInfo, arguments: list[str]) -> Any:
    """Parse the flags over what preset, file and, on resuming, the run itself say."""
    early = peek(arguments, "preset", "config", "out", "resume", "minutes", "steps")
    resumed = None
    if early["resume"] is not None:
        resumed = peek_path(early, "out") or _default_out(info, arguments)
    layers = read_layers(
        info, preset=early["preset"] or None, file=peek_path(early, "config"), resumed=resumed
    )
    options = layers.options
    # A budget on the command line takes the place of the other kind in a file.
    if early["minutes"] is not None and early["steps"] is None:
        options = replace(options, steps=None)
    if early["steps"] is not None and early["minutes"] is None:
        options = replace(options, minutes=None)
    return parse(
        _kind(info, Layers(options, layers.config)),
        arguments,
        program=f"train {info.name}",
        description=f"{info.summary}. Presets: {', '.join(info.presets) or 'none'}.",
        # What a preset, a file or the run says already may be said again.
        both_ways=True,
    )


def _default_out(info: MethodInfo, arguments: list[str]) -> Path | None:
    from sightline.workflows.train import default_folder

    if arguments and not arguments[0].startswith("-"):
        return default_folder(Path(arguments[0]), info.name)
    return None


def _kind(info: MethodInfo, layers: Layers) -> type:
    """Make the dataclass of the method's command: data, shared options, the method's own settings."""
    return make_dataclass(
        "Arguments",
        [
            ("data", Data),
            ("training", Flat[TrainOptions], field(default=layers.options)),
            ("method", Flat[info.config_class()], field(default=layers.config)),  # type: ignore[misc]
            ("json", JsonFlag, field(default=False)),
        ],
        frozen=True,
    )


def _methods() -> str:
    methods = list_methods()
    width = max(len(info.name) for info in methods)
    lines = ["usage: sightline train METHOD DATA [flags]", ""]
    lines += [f"  {info.name:<{width}}  {info.summary}" for info in methods]
    lines += ["", "`sightline train METHOD --help` lists the flags."]
    return "\n".join(lines)
