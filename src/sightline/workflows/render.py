"""Rendering a run along a camera path: a video, a gif, or pictures, and the same of its depth."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from sightline.evaluation.views import background_for, file_stems, safe_name
from sightline.foundation.errors import InputError, inform
from sightline.geometry import Cameras
from sightline.geometry.trajectories import frames_per_second
from sightline.geometry.treatments import capture_layout
from sightline.media.images import write_png
from sightline.methods.base import Method
from sightline.runs.run import Run
from sightline.workflows import pixelnerf_videos
from sightline.workflows.counting import counting
from sightline.workflows.depth_maps import DepthFormat, DepthKind, DepthPlan
from sightline.workflows.evaluate import one_scene
from sightline.workflows.frame_output import Output, Rendered, write_frames
from sightline.workflows.motions import Motion, of_motion, of_path, read_motion, source_camera
from sightline.workflows.origin_sheet import OriginSheet
from sightline.workflows.paths import SPLITS, choose_cameras
from sightline.workflows.scenes import Device, load_method
from sightline.workflows.shown_objects import ShownObject, show_object, show_photos
from sightline.workflows.source_strip import SourceStrip
from sightline.workflows.still import hold_camera

Format = Literal["mp4", "gif", "png"]
TRANSPARENT = "transparent"


def render_run(
    run: Run | Path | str,
    *,
    path: str | None = None,
    frames: int | None = None,
    fps: float | None = None,
    size: str | None = None,
    format: Format | None = None,
    depth: bool = False,
    background: str | None = None,
    elevation: float | None = None,
    variant: str | None = None,
    data: Path | str | None = None,
    out: Path | None = None,
    device: Device = "auto",
    best: bool = False,
    chunk: int | None = None,
    sampler: str | None = None,
    depth_kind: DepthKind = "distance",
    depth_files: Sequence[DepthFormat] = (),
    depth_scale: float | None = None,
    still: bool = False,
    object: str | None = None,
    split: str = "test",
    sources: str | None = None,
    photo: Sequence[Path] = (),
    mask: Sequence[str] = (),
    motion: str | None = None,
    resize: bool = False,
    debug_views: bool = False,
) -> Rendered:
    """Render a run along a path; needs no data, unless the method sees its scene from source views.

    Args:
        run: the run or its folder.
        path: orbit, spiral, circle, interpolate, pixelnerf, the cameras of a split (train, val, test), or a
            JSON file; an orbit, or what is usual for the method and the data, where not given.
        frames: number of frames of a path or a motion that is made; 120, or as published, where not given.
        fps: frames per second; the file's of the path or the motion, as published, or 30.
        size: WIDTHxHEIGHT, or N for the longer side.
        format: mp4, gif or png (a folder of pictures); mp4 for paths, png for splits and transparency.
        depth: write depth in colour beside it.
        background: a colour, or "transparent" for RGBA pictures; white where not given.
        elevation: degrees above the focus, for an orbit.
        variant: a published system whose spiral or circle to take, of `paths.VARIANTS`.
        data: take cameras from this data instead of from what the run remembers.
        out: the video's file or the pictures' folder; in `renders/` of the run folder where not given.
        sampler: how to place samples along rays, where not as in training.
        depth_kind: what is measured: along the ray (distance), along the axis (z), not divided by opacity
            (sum), 1 / distance (disparity), or from the near plane to infinity as 0 to 1 (ndc).
        depth_files: formats to write each frame's depth in, as numbers.
        depth_scale: 16-bit steps per unit, for PNG; chosen so that the path fits where not given.
        still: hold the first camera, and let only the direction that colours are seen from follow the path.
        object: of a method that generalises: id of the object; the first of the split where not given.
        split: whose objects there are to choose from.
        sources: views that show the object, by number or name with commas.
        photo: photos of one object that show it instead, for methods that need no camera.
        mask: how the object of each photo is told from what is around it, see `object_photos.read_photos`.
        motion: how the camera moves away from its source, instead of a path: FILE.json or names and ranges,
            see `motions.read_motion`.
        resize: show source views of another size than the run's to it, cut to their middle square and
            resized.
        debug_views: put the source views beside each frame.

    Raises:
        InputError: options that do not go together, or the run cannot be loaded.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    plan = DepthPlan(depth_kind, tuple(depth_files), depth_scale)
    moving = None
    if motion is not None:
        _refuse_path(path, elevation, variant, still)
        moving, path = read_motion(motion, frames), motion if motion.lower().endswith(".json") else "motion"
    format = _choose_format(format, path, background, out, moving)
    shown = None
    if run.method_info.learns == "one scene":
        path = path or "orbit"
        _refuse_sources(run, object, sources, photo or mask, debug_views or resize, motion)
        capture = one_scene(run.open_data(data)) if data is not None else run.capture_info().as_capture()
        cameras = choose_cameras(
            capture, path, frames=frames, size=size, elevation=elevation, variant=variant
        )
        names = list(capture.split(path).image_names) if path in SPLITS else None
        loaded = load_method(run, device=device, best=best, sampler=sampler)
    else:
        loaded = load_method(run, device=device, best=best, sampler=sampler, resize=resize)
        shown = _show(run, loaded.method, data, object, split, sources, photo, mask)
        capture = shown.capture
        path = path or shown.usual_path(loaded.method)
        if moving is None:
            cameras, names = shown.cameras(
                path, frames=frames, size=size, elevation=elevation, variant=variant
            )
        else:
            cameras, names = source_camera(shown.views, len(moving), size), None
    if path == "orbit" and len(capture) > 1 and capture_layout(capture.cameras) == "forward-facing":
        inform("The photos look one way, and an orbit goes all around: --path spiral shows what they saw")
    if format != "png":
        _check_one_size(cameras)
    transparent = background == TRANSPARENT
    behind = background_for(capture, None if transparent else background)
    colour = (0.0, 0.0, 0.0) if transparent else behind.colour
    render = loaded.see(None if shown is None else shown.views).renderer(colour, chunk)
    if still:
        render = hold_camera(render, cameras[0])
    frame = of_path(render) if moving is None else of_motion(render, moving)
    if fps is None and moving is not None:
        fps = moving.fps
    elif fps is None and path.lower().endswith(".json"):
        fps = frames_per_second(path)
    elif fps is None and path == pixelnerf_videos.PATH:
        fps = pixelnerf_videos.frames_per_second(capture)
    target = out or run.path / "renders" / _default_name(shown, path, variant, format, still)
    strip = None
    if shown is not None and debug_views:
        picks = loaded.method.picks_nearest
        strip = OriginSheet(shown.views, behind) if picks else SourceStrip.of(shown.views, behind)
    output = Output(
        target, fps or 30.0, transparent, depth, file_stems(names) if names else None, plan, strip
    )
    if out is not None:
        output.refuse_full_folders()
    with counting("rendering", len(cameras)) as on_frame:
        done = write_frames(frame, cameras, output, capture, on_frame)
    if shown is None or shown.crop is None:
        return done
    write_png(output.crop_path, shown.crop)
    return replace(done, crop=output.crop_path)


def _choose_format(
    format: Format | None, path: str | None, background: str | None, out: Path | None, motion: Motion | None
) -> Format:
    if out is not None:
        by_name: dict[str, Format] = {".mp4": "mp4", ".gif": "gif", "": "png"}
        found = by_name.get(out.suffix.lower())
        if found is None or (format is not None and format != found):
            raise InputError(
                "The output's name and format do not go together",
                where=f"--out {out}",
                fix="Use a name in .mp4 or .gif, or without suffix for a folder of pictures",
            )
        format = found
    if background == TRANSPARENT:
        if format not in (None, "png"):
            raise InputError(
                f"{format} files cannot be transparent", where="--background", fix="Use --format png"
            )
        return "png"
    one = motion is not None and len(motion) == 1
    return format or ("png" if path in SPLITS or one else "mp4")


def _refuse_path(path: str | None, elevation: float | None, variant: str | None, still: bool) -> None:
    if path is not None or elevation is not None or variant is not None or still:
        raise InputError(
            "The way of the camera is given in two ways",
            where="--motion and --path, --elevation, --variant or --still",
            fix="Give one of them; --motion has an elevation of its own",
        )


def _check_one_size(cameras: Cameras) -> None:
    sizes = sorted(set(zip(cameras.width.tolist(), cameras.height.tolist(), strict=True)))
    if len(sizes) > 1:
        shown = ", ".join(f"{width}x{height}" for width, height in sizes[:3])
        raise InputError(
            f"The views have {len(sizes)} sizes ({shown} …), and a video has one",
            where="--format",
            fix="Use --format png, or one size with --size WIDTHxHEIGHT",
        )


def _show(
    run: Run,
    method: Method,
    data: Path | str | None,
    object: str | None,
    split: str,
    sources: str | None,
    photo: Sequence[Path],
    mask: Sequence[str],
) -> ShownObject:
    if mask and not photo:
        raise InputError("Masks are of photos", where="--mask", fix="Give --photo too, or leave --mask away")
    if not photo:
        return show_object(run, method, data=data, object=object, split=split, sources=sources)
    if object is not None or sources is not None or data is not None:
        raise InputError(
            "The object is given in two ways",
            where="--photo and --object, --sources or --data",
            fix="Give photos, or an object of the data",
        )
    return show_photos(method, photo, mask)


def _refuse_sources(
    run: Run,
    object: str | None,
    sources: str | None,
    photo: Sequence[Any],
    flags: bool,
    motion: str | None,
) -> None:
    if object is not None or sources is not None or photo or flags or motion is not None:
        raise InputError(
            f"{run.method_name} has learnt one scene: it has neither objects nor source views",
            where="--object, --sources, --photo, --mask, --motion, --resize, --debug-views",
            fix="Leave them away",
        )


def _default_name(
    shown: ShownObject | None, path: str, variant: str | None, format: Format, still: bool
) -> str:
    name = Path(path).stem if path.lower().endswith(".json") else path
    name = name if shown is None else f"{safe_name(shown.name)}-{name}"
    name = name if variant is None else f"{name}-{variant}"
    name = f"{name}-still" if still else name
    return name if format == "png" else f"{name}.{format}"
