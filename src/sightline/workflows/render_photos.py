"""Rendering objects of several photos: a video of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError
from sightline.runs.run import Run
from sightline.workflows.frame_output import Rendered
from sightline.workflows.object_photos import masks_of, read_photos
from sightline.workflows.paths import SPLITS
from sightline.workflows.render import TRANSPARENT, render_run


def render_photos(
    run: Run | Path | str,
    photo: Sequence[Path],
    *,
    mask: Sequence[str] = (),
    out: Path | None = None,
    **options: Any,
) -> list[Rendered]:
    """Render the object of each photo for itself: photos without cameras do not show one object together.

    Args:
        mask: as in `render_run`: one for each photo, or one for all that is no file.
        out: folder for the videos, or for a folder of pictures for each photo.
        options: those of `render_run`.

    Raises:
        InputError: two photos have the same name, or one of them or its mask cannot be read; nothing is
            rendered then. Where no object is found in one, videos of those before it stay.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    names = [Path(path).stem for path in photo]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"Two photos are called {twice!r}, and their videos would be too",
            where="--photo",
            fix="Rename one, or render them one by one with --out",
        )
    if out is not None and out.suffix.lower() in (".mp4", ".gif"):
        raise InputError(
            f"There are {len(photo)} photos, and each becomes a video",
            where=f"--out {out}",
            fix="Give a folder",
        )
    masks = masks_of(photo, mask)
    read_photos(photo, mask, None)
    pictures = options.get("path") in SPLITS or options.get("background") == TRANSPARENT
    format = options.get("format") or ("png" if pictures else "mp4")
    ending = "" if format == "png" else f".{format}"
    return [
        render_run(
            run,
            photo=[path],
            mask=[own] if own is not None else (),
            out=None if out is None else out / f"{name}{ending}",
            **options,
        )
        for name, path, own in zip(names, photo, masks, strict=True)
    ]
