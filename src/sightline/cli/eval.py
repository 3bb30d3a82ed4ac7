"""`sightline eval RUN`, `sightline eval --images FOLDER --data DATA`: scores on held-out views."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sightline.cli.arguments import parse
from sightline.cli.console import print_json, print_table
from sightline.foundation.errors import InputError
from sightline.foundation.files import write_json


@dataclass(frozen=True)
class Arguments:
    """Where to look and what to compare."""

    run: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RUN")] = None
    """run folder to score; its data and settings are known"""
    images: Path | None = None
    """folder of pictures to score instead, made by anything; needs --data"""
    data: Path | None = None
    """where the data is, if not at its recorded place"""
    split: str = "test"
    """whose views are scored: train, val or test"""
    sources: str | None = None
    """of methods that generalise: views that show an object, by number or name (64,104), or each for every
    view in turn"""
    num_sources: int | None = None
    """as many source views instead, evenly spread; of gpnr: of all, so many nearest ones for each picture"""
    source_list: Path | None = None
    """file that names the source views of each object instead: category object view [view …]"""
    objects: str | None = None
    """ids of the objects to score, with commas; all of the split where not given"""
    approx: bool = False
    """one view of each object, drawn at random, the same one every time"""
    processes: int = 1
    """of methods that generalise: share the objects over so many processes"""
    every: int = 1
    """take each K-th view of the split, or of each object"""
    downscale: float | None = None
    """divide the images' size by this; by default what the run was trained with"""
    resize: bool = False
    """of enr: take source pictures of another size than the run's, cut to their middle square and resized"""
    save_images: Path | None = None
    """of methods that generalise: folder for the pictures of all views, OBJECT/VIEW.png; results hold some"""
    protocol: str = "sightline"
    """how pictures are compared and scores averaged"""
    background: str | None = None
    """colour behind what is transparent; white where not given"""
    best: bool = False
    """use the weights with the highest validation PSNR instead of the latest"""
    format: str | None = None
    """format of --data; detected where not given"""
    holdout: int | None = None
    """with --data: hold out every so many-th view where it has no split"""
    split_rule: str | None = None
    """with --data: how to split it, as in train; else as the run was trained"""
    resize_rule: str | None = None
    """with --data: how to make images smaller, as in train; else as the run was trained"""
    angle_unit: Literal["degrees", "radians"] | None = None
    """with --data: unit of the angles of ENR's sets, as in train; else as the run was trained"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to render"""
    chunk: int | None = None
    """rays at a time; the method's own choice where not given"""
    sampler: Literal["stratified", "occupancy"] | None = None
    """of nerf and pixelnerf: how samples are placed along rays; as in training where not given"""
    json: Path | None = None
    """write what metrics.json holds to this file too; - prints it instead of the table"""


def main(arguments: list[str]) -> int:
    """Score; prints a table of the views, or JSON."""
    parsed = parse(
        Arguments,
        arguments,
        program="eval",
        description="Scores a run, or a folder of pictures, on held-out views.",
    )
    if (parsed.run is None) == (parsed.images is None):
        raise InputError(
            "What to score is not clear", fix="Give a run folder, or --images FOLDER with --data DATA"
        )
    evaluation = _score_run(parsed) if parsed.run is not None else _score_images(parsed)
    if parsed.json is not None and str(parsed.json) == "-":
        print_json(evaluation.metrics)
        return 0
    if parsed.json is not None:
        write_json(parsed.json, evaluation.metrics)
    from sightline.evaluation.tables import result_tables

    for table in result_tables(evaluation.metrics):
        print_table(table)
    if evaluation.folder is not None:
        print(evaluation.folder)
    return 0


def _score_run(parsed: Arguments) -> Any:
    chosen = _data_options(parsed)
    if chosen and parsed.data is None:
        raise InputError(
            "--format, --holdout, --split-rule, --resize-rule and --angle-unit go with --data only",
            fix="A run is scored on the views that were held out when it was trained, unless data is given",
        )
    from sightline.workflows.evaluate import evaluate_run

    assert parsed.run is not None
    return evaluate_run(
        parsed.run,
        data=parsed.data,
        data_options=chosen,
        split=parsed.split,
        every=parsed.every,
        downscale=parsed.downscale,
        protocol=parsed.protocol,
        background=parsed.background,
        device=parsed.device,
        best=parsed.best,
        chunk=parsed.chunk,
        sampler=parsed.sampler,
        sources=parsed.sources,
        num_sources=parsed.num_sources,
        source_list=parsed.source_list,
        objects=[id.strip() for id in (parsed.objects or "").split(",") if id.strip()],
        approx=parsed.approx,
        processes=parsed.processes,
        resize=parsed.resize,
        save_images=parsed.save_images,
    )


def _score_images(parsed: Arguments) -> Any:
    from sightline.captures import open_capture
    from sightline.workflows.evaluate import evaluate_pictures, one_scene

    assert parsed.images is not None
    of_runs = (parsed.sources, parsed.num_sources, parsed.source_list, parsed.objects)
    if any(of_runs) or parsed.approx or parsed.resize or parsed.save_images:
        raise InputError(
            "Pictures are scored as they are: they have no source views and belong to one scene",
            where="--sources, --num-sources, --source-list, --objects, --approx, --resize, --save-images",
            fix="Leave them away, or give a run",
        )
    if parsed.data is None:
        raise InputError("The data to compare the pictures with is missing", fix="Give it with --data")
    capture = open_capture(parsed.data, downscale=parsed.downscale or 1, **_data_options(parsed))
    return evaluate_pictures(
        parsed.images,
        one_scene(capture),
        split=parsed.split,
        every=parsed.every,
        protocol=parsed.protocol,
        background=parsed.background,
    )


def _data_options(parsed: Arguments) -> dict[str, Any]:
    names = ("format", "holdout", "split_rule", "resize_rule", "angle_unit")
    return {name: getattr(parsed, name) for name in names if getattr(parsed, name) is not None}
