"""Scoring: a run, or a folder of pictures, against the held-out views of its data."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sightline.captures import Capture, Collection
from sightline.evaluation.evaluate import evaluate_scene
from sightline.evaluation.folder import evaluate_folder
from sightline.evaluation.protocols import DEFAULT_PROTOCOL, get_protocol
from sightline.evaluation.results import Evaluation
from sightline.evaluation.views import background_for, select_views
from sightline.foundation.errors import InputError, warn
from sightline.runs.run import Run
from sightline.workflows.counting import counting
from sightline.workflows.evaluate_many import SourceChoice, evaluate_many, made_with
from sightline.workflows.evaluate_processes import evaluate_in_processes
from sightline.workflows.scenes import Device, choose_device, load_scene


def evaluate_run(
    run: Run | Path | str,
    *,
    data: Path | str | None = None,
    data_options: Mapping[str, Any] | None = None,
    split: str = "test",
    every: int = 1,
    downscale: float | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    background: str | None = None,
    device: Device = "auto",
    best: bool = False,
    chunk: int | None = None,
    sampler: str | None = None,
    sources: str | None = None,
    num_sources: int | None = None,
    source_list: Path | None = None,
    objects: Sequence[str] = (),
    approx: bool = False,
    resize: bool = False,
    save_images: Path | None = None,
    processes: int = 1,
) -> Evaluation:
    """Render a split's views with a run and score them; results go to `eval/` in the run folder.

    A method that generalises is scored on each object of the split: it sees source views and renders the
    others (`evaluate_many`).

    Args:
        run: the run or its folder.
        data: where the data is, if not at its recorded place.
        data_options: arguments of `open_capture` that replace recorded ones (format, holdout, split_rule).
        split: whose views are scored.
        every: take each K-th view of the split.
        downscale: divide the images' size by this, instead of by what the run was trained with.
        protocol: name of a protocol.
        background: colour behind what is transparent; white where not given.
        best: use the weights with the highest validation PSNR.
        chunk: rays at a time.
        sampler: how to place samples along rays, where not as in training.
        sources: of a method that generalises: views that show an object, by number or name with commas, a
            split, or `each` for every view in turn.
        num_sources: as many views instead, evenly spread; of a method that picks the nearest of all views for
            each picture, how many it picks.
        source_list: a file that names the views of each object instead.
        objects: ids of the objects; all of the split where not given.
        approx: one view of each object, drawn at random, the same one every time.
        resize: show source pictures of another size than the run's to it, cut to their middle square and
            resized; what it renders is brought to the size of the data's pictures and compared with those.
        save_images: of a method that generalises: folder for the pictures of all views, OBJECT/VIEW.png.
        processes: of a method that generalises: share the objects over so many.

    Raises:
        InputError: the data is gone, has no such split, object or view, or the run cannot be loaded.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    get_protocol(protocol)
    choose_device(device)
    options = {**(data_options or {}), **({} if downscale is None else {"downscale": downscale})}
    choice = SourceChoice(sources, num_sources, source_list)
    if run.method_info.learns != "one scene":
        score = evaluate_many if processes == 1 else partial(evaluate_in_processes, processes=processes)
        return score(
            run,
            data=data,
            data_options=options,
            split=split,
            choice=choice,
            objects=objects,
            every=every,
            approx=approx,
            protocol=protocol,
            background=background,
            device=device,
            best=best,
            chunk=chunk,
            sampler=sampler,
            resize=resize,
            save_images=save_images,
        )
    if save_images is not None:
        raise InputError(
            "All pictures of one scene are in the results anyway", where="--save-images", fix="Leave it away"
        )
    if choice.given() or objects or approx or resize or processes != 1:
        raise InputError(
            f"{run.method_name} has learnt one scene: it has neither objects nor source views",
            where="--sources, --num-sources, --source-list, --objects, --approx, --resize, --processes",
            fix="Leave them away",
        )
    capture = one_scene(run.open_data(data, **options))
    made = made_with(run, options, best)
    smaller = made["downscale"] != run.record.data.options["downscale"]
    parts = _other_split(run, options), f"downscale-{made['downscale']:g}" if smaller else "", sampler
    apart = "-".join(part for part in parts if part)
    views = select_views(capture, split, every)
    loaded = load_scene(run, device=device, best=best, sampler=sampler)
    render = loaded.renderer(background_for(capture, background).colour, chunk)
    used = loaded.method.sampler
    with counting("evaluating", len(views)) as on_view:
        return evaluate_scene(
            render,
            capture,
            run.path / "eval" / result_name(split, every, protocol, best, apart),
            method=run.method_name,
            split=split,
            every=every,
            protocol=protocol,
            background=background,
            device=loaded.device,
            facts={**made, "every": every, **({"sampler": used} if used else {})},
            fitted=loaded.method.fitted,
            on_view=on_view,
        )


def evaluate_pictures(
    images: Path,
    capture: Capture,
    *,
    split: str = "test",
    every: int = 1,
    protocol: str = DEFAULT_PROTOCOL,
    background: str | None = None,
    out: Path | None = None,
) -> Evaluation:
    """Score a folder of pictures, made by anything, against the views of a split."""
    with counting("evaluating", len(select_views(capture, split, every))) as on_view:
        return evaluate_folder(
            images,
            capture,
            out,
            split=split,
            every=every,
            protocol=protocol,
            background=background,
            on_view=on_view,
        )


def _other_split(run: Run, options: Mapping[str, Any]) -> str:
    """Name a split that is not the run's own, and warn of it; empty where it is the run's."""
    recorded = run.record.data.options
    changed = {name: options.get(name, recorded[name]) for name in ("split_rule", "holdout")}
    if all(value == recorded[name] for name, value in changed.items()):
        return ""
    if run.method_info.learns == "one scene":
        warn(
            "The views are split in another way than in the training of this run: views that it was trained "
            "on may be scored, and scores on those are too good."
        )
    return f"{changed['split_rule'] or 'format'}-{changed['holdout']}"


def result_name(
    split: str,
    every: int = 1,
    protocol: str = DEFAULT_PROTOCOL,
    best: bool = False,
    rule: str = "",
) -> str:
    """Name the folder of an evaluation after what is not as usual."""
    parts = [split, f"every-{every}" if every > 1 else "", "best" if best else ""]
    parts += [protocol if protocol != DEFAULT_PROTOCOL else "", rule]
    return "-".join(part for part in parts if part)


def one_scene(data: Capture | Collection) -> Capture:
    """Take data that must be one scene; InputError where it is a collection of many."""
    if isinstance(data, Collection):
        raise InputError(
            f"This needs one scene, and the data is a collection of {len(data)}",
            where=data.path,
            fix="Give the folder of one of its objects",
        )
    return data
