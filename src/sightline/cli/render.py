"""`sightline render RUN`: a video or pictures along a camera path."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sightline.cli.arguments import Files, JsonFlag, RunFolder, Texts, parse
from sightline.cli.console import print_json


@dataclass(frozen=True)
class Arguments:
    """What to render, and how."""

    run: RunFolder
    path: str | None = None
    """orbit, spiral, circle, interpolate, pixelnerf (that of its published videos), train, val or test (the
    data's own cameras), or a FILE.json; an orbit, or pixelnerf for its runs on such data, where not given"""
    frames: int | None = None
    """number of frames, for paths and motions that are made; 120, or as published, where not given"""
    fps: float | None = None
    """frames per second; what the path's or the motion's file says, as published, or 30"""
    size: str | None = None
    """WIDTHxHEIGHT, or N for the longer side; the photos' size where not given"""
    format: Literal["mp4", "gif", "png"] | None = None
    """mp4, gif, or png for a folder of pictures; mp4 for paths and png for the data's own cameras"""
    depth: bool = False
    """write depth in colour beside it"""
    depth_kind: Literal["distance", "z", "sum", "disparity", "ndc"] = "distance"
    """what depth is: along the ray, along the optical axis, not divided by opacity, 1 / distance, or 0 (near
    plane) to 1 (infinity)"""
    depth_files: tuple[Literal["pfm", "png", "npy", "bytes"], ...] = ()
    """write the depth of each frame as numbers, in these formats; bytes is that of nerf_pl's Unity project"""
    depth_scale: float | None = None
    """16-bit steps per unit in png files; chosen so that the path fits where not given"""
    still: bool = False
    """hold the first camera, and let only the direction that colours are seen from follow the path"""
    background: str | None = None
    """colour behind what is transparent (white, #rrggbb, 0.2,0.2,0.2), or transparent for RGBA pictures"""
    elevation: float | None = None
    """degrees above the subject, for an orbit"""
    variant: str | None = None
    """take a published spiral (nerf_pl, flax_nerf, bmild, bmild-zflat) or circle (nerf_pl, bmild, blender)"""
    data: Path | None = None
    """take cameras from this data instead of from what the run remembers; of methods that generalise: where
    the data is, if not at its recorded place"""
    object: str | None = None
    """of methods that generalise: id of the object, or its number in the split; the first where not given"""
    split: str = "test"
    """of methods that generalise: whose objects are numbered"""
    sources: str | None = None
    """of methods that generalise: views that show the object, by number or name (64,104)"""
    photo: Files = ()
    """photo that shows an object instead, for methods that need no camera; of several, each is rendered"""
    mask: Texts = ()
    """how the object is told from what is around it: a file that is white where it is, a rectangle
    X,Y,WIDTH,HEIGHT around it, grabcut, rembg, or none; GrabCut where not given and the method sees crops"""
    motion: str | None = None
    """of enr: move the camera away from the source view instead of along a path: FILE.json, or ranges such as
    azimuth=0:360,elevation=-10~20,right=0.2 (degrees; right, up, forward in half widths of the volume)"""
    resize: bool = False
    """of enr: take source views of another size than the run's, cut to their middle square and resized"""
    debug_views: bool = False
    """put the source views beside each frame"""
    out: Path | None = None
    """file or folder to write; in the run folder's renders/ where not given"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to render"""
    best: bool = False
    """use the weights with the highest validation PSNR instead of the latest"""
    chunk: int | None = None
    """rays at a time; the method's own choice where not given"""
    sampler: Literal["stratified", "occupancy"] | None = None
    """of nerf: how samples are placed along rays; as in training where not given"""
    json: JsonFlag = False


def main(arguments: list[str]) -> int:
    """Render; prints what was written."""
    parsed = parse(
        Arguments,
        arguments,
        program="render",
        description="Renders a run along a camera path: video or pictures.",
    )
    from sightline.workflows.render import render_run
    from sightline.workflows.render_photos import render_photos

    options = asdict(parsed)
    run, as_json = options.pop("run"), options.pop("json")
    for name in ("photo", "mask"):
        options[name] = [value for values in options[name] for value in values]
    several = len(options["photo"]) > 1
    done = render_photos(run, **options) if several else [render_run(run, **options)]
    if as_json:
        print_json([rendered.to_json() for rendered in done] if several else done[0].to_json())
        return 0
    for rendered in done:
        print(rendered.path)
        for beside in (rendered.depth, rendered.depth_maps, rendered.crop):
            if beside is not None:
                print(beside)
    return 0
