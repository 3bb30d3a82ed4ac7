"""`sightline import FILE… --out RUN`: checkpoints of other programs as run folders."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sightline.cli.arguments import Flat, parse
from sightline.importers.registry import SOURCE_NAMES
from sightline.workflows.options import DataOptions


@dataclass(frozen=True)
class Settings:
    """What files often do not say; it goes over what they say."""

    scene: Literal["bounded", "forward", "surround"] | None = None
    """an object, a forward-facing capture (NDC), or cameras all around; else by the file or the data"""
    near: float | None = None
    """where rays begin, in units of the data; else by the data"""
    far: float | None = None
    """where rays end, in units of the data; else by the data"""
    background: Literal["auto", "white", "black", "random", "drop_alpha"] | None = None
    """what is behind transparent parts; else by the data"""
    coarse_samples: int | None = None
    """samples of the coarse network along a ray; else by the file or the preset"""
    fine_samples: int | None = None
    """samples added for the fine network; else by the file or the preset"""
    disparity: bool = False
    """coarse samples are even in inverse depth"""
    layer_precision: Literal["auto", "float32", "bfloat16"] | None = None
    """number format of the layers' products, float32 as in the programs where not given; auto is about three
    times as fast on CPUs that multiply bfloat16, see docs/methods/nerf.md"""


@dataclass(frozen=True)
class Arguments:
    """What to import."""

    files: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")]
    """checkpoint; for bmild one of its two files is enough where the other lies beside it"""
    out: Path
    """run folder to make"""
    from_: Annotated[str, tyro.conf.arg(name="from")] = "auto"
    """the program that wrote it; told by the content where not given"""
    preset: str | None = None
    """the method's settings for what the file does not say; the program's own where not given"""
    data: Path | None = None
    """what it was trained on; poses_bounds.npy beside the file where not given"""
    config: Path | None = None
    """more settings of the method, from a YAML file or a run.json"""
    settings: Flat[Settings] = field(default_factory=Settings)
    opening: Flat[DataOptions] = field(default_factory=DataOptions)


def main(arguments: list[str]) -> int:
    """Import; prints the run folder."""
    parsed = parse(
        Arguments,
        arguments,
        program="import",
        description=f"Makes a run folder of a checkpoint of another program: {', '.join(SOURCE_NAMES)}.",
    )
    from sightline.workflows.importing import import_checkpoint

    settings = asdict(parsed.settings)
    settings["disparity"] = settings["disparity"] or None
    run = import_checkpoint(
        parsed.files,
        parsed.out,
        source=parsed.from_,
        preset=parsed.preset,
        data=parsed.data,
        config=parsed.config,
        settings=settings,
        opening=parsed.opening,
    )
    print(run.path)
    return 0
