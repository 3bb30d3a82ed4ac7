"""`sightline demo`: makes a scene, trains on it, shows the result; needs no data."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sightline.cli.arguments import JsonFlag, parse
from sightline.cli.console import print_json


@dataclass(frozen=True)
class Arguments:
    """How large and how long."""

    out: Path = Path("demo")
    """folder of everything that the demo makes"""
    minutes: float = 1.0
    """training time"""
    size: int = 200
    """width and height of the pictures, pixels"""
    seed: int = 0
    """another seed, another scene"""
    train_views: int = 60
    """pictures to train on"""
    test_views: int = 10
    """pictures to judge by"""
    frames: int = 90
    """length of the video, at 30 frames per second"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to train and render"""
    json: JsonFlag = False


def main(arguments: list[str]) -> int:
    """Run the demo; prints the scores and where everything is, or JSON."""
    parsed = parse(
        Arguments,
        arguments,
        program="demo",
        description="Makes a scene, trains on it, scores it, renders a video: needs no data.",
    )
    from sightline.workflows.demo import run_demo

    options = asdict(parsed)
    as_json = options.pop("json")
    demo = run_demo(options.pop("out"), **options)
    if as_json:
        print_json(demo.to_json())
    else:
        print(demo.to_text())
    return 0
