"""Photos without their background: the object alone is learnt, scored and exported."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.captures import Capture, open_capture
from sightline.captures.formats.transforms import write_description
from sightline.foundation.errors import InputError, inform
from sightline.foundation.files import read_json, write_json
from sightline.photos.object_views import LOOKS, Masker, ObjectViews, cut_out_views
from sightline.workflows.counting import counting
from sightline.workflows.evaluate import one_scene
from sightline.workflows.naming import data_name

_RECORD = "cut_out.json"
_SHEET, _SHOWN, _HEIGHT = "cut_out.jpg", 8, 240


def ensure_cut_out(data: Path, captures: Path, masker: Masker, **options: Any) -> Path:
    """Give a capture of the object alone, whose photos are transparent elsewhere; made once.

    Args:
        data: posed photos.
        captures: folder to make it in, as NAME-object.
        masker: how the object is told from its surroundings.
        options: how the data is opened (format, holdout, split_rule).

    Raises:
        InputError: the photos are transparent already, or show no object that stands before its surroundings.
    """
    if (data / _RECORD).is_file():
        return data
    out = captures / f"{data_name(data)}-object"
    record = {"source": str(data.resolve()), "masker": masker, **options}
    if (out / _RECORD).is_file() and read_json(out / _RECORD) == record:
        inform(f"The object was cut out before: {out} is taken")
        return out
    if out.exists():
        raise InputError(
            "The folder holds photos that were cut out in another way",
            where=out,
            fix="Remove it, or rename it",
        )
    capture = one_scene(open_capture(data, **options))
    inform(f"The object is cut out of {len(capture)} photos first, into {out}")
    with counting("cutting out the object", LOOKS * len(capture)) as on_view:
        found = cut_out_views(capture, masker, on_view)
    partial = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        _write(capture, found, partial)
        write_json(partial / _RECORD, record)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    inform(f"Look at what was cut out: {out / _SHEET}")
    return out


def _write(capture: Capture, found: ObjectViews, out: Path) -> None:
    """Write pictures with opacity, their description, and a sheet to look at."""
    files, shown = [], []
    every = max(1, len(capture) // _SHOWN)
    for index, (name, mask) in enumerate(zip(capture.image_names, found.masks, strict=True)):
        file = Path("images") / Path(name).relative_to(Path(name).parts[0] if "/" in name else "")
        file = file.with_suffix(".png")
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        picture = np.dstack([capture.images[index][..., :3], mask.astype(np.uint8) * 255])
        Image.fromarray(picture).save(out / file, compress_level=3)
        files.append(file.as_posix())
        if index % every == 0:
            shown.append(_small(np.where(mask[..., None], picture[..., :3], 255).astype(np.uint8)))
    splits = {f"{split}_filenames": [files[k] for k in members] for split, members in capture.splits.items()}
    write_description(capture, out, files, extras={**splits, "scene_box": found.box.tolist()})
    Image.fromarray(np.concatenate(shown, 1)).save(out / _SHEET, quality=90)


def _small(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    width = max(1, round(image.width * _HEIGHT / image.height))
    return np.asarray(image.resize((width, _HEIGHT), Image.Resampling.BOX))
