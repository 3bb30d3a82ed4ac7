"""`sightline view RUN`: the live viewer."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sightline.cli.arguments import Files, RunFolder, Texts, parse


@dataclass(frozen=True)
class Arguments:
    """What to show, and where."""

    run: RunFolder
    port: int = 7007
    """port of this machine that the browser asks; 0 for any that is free"""
    host: str = "127.0.0.1"
    """address to listen at; 0.0.0.0 lets other machines in, and whoever uses them"""
    data: Path | None = None
    """where the photos are, if not at their recorded place: for errors, exports and objects"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to render"""
    best: bool = False
    """use the weights with the highest validation PSNR instead of the latest"""
    sampler: Literal["stratified", "occupancy"] | None = None
    """of nerf and pixelnerf: how samples are placed along rays; as in training where not given"""
    object: str | None = None
    """of methods that generalise: id of the object to begin with; the first where not given"""
    split: str = "test"
    """of methods that generalise: whose objects"""
    sources: str | None = None
    """of methods that generalise: views that show it, by number or name (64,104)"""
    photo: Files = ()
    """of pixelnerf and enr: a photo of one object to begin with instead"""
    mask: Texts = ()
    """how the object of --photo is told from what is around it, as in render"""


def main(arguments: list[str]) -> int:
    """Serve the viewer until Ctrl-C."""
    parsed = parse(
        Arguments,
        arguments,
        program="view",
        description="Shows a run in the browser: move through it, make camera paths, export.",
    )
    from sightline.workflows.view import view_run

    options = asdict(parsed)
    for name in ("photo", "mask"):
        options[name] = [value for values in options[name] for value in values]
    view_run(options.pop("run"), **options)
    return 0
