"""Files of pixelNeRF's evaluation programs: pictures, `metrics.txt`, `finish.txt`, `all_metrics.txt`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sightline.foundation.errors import RunError
from sightline.media.images import write_png

Scores = Mapping[str, float | None]
_NAME_WIDTH = 12


def write_cut_png(path: Path, picture: Tensor) -> None:
    """Write a picture (height, width, 3) in [0, 1], cut to 8 bits: half a grey level darker on average."""
    levels = torch.nan_to_num(picture.detach().float(), nan=0.0).clamp(0, 1).mul(255).floor()
    write_png(path, levels.to(torch.uint8).cpu().numpy().astype(np.uint8))


def object_text(scores: Scores) -> str:
    """Write `metrics.txt` of an object: a line for each metric that there is."""
    return "\n".join(f"{name} {scores[name]}" for name in _there(scores))


def finished_line(name: str, scores: Scores) -> str:
    """Write the line of an object in `finish.txt`: its name, PSNR and SSIM of the exact pictures, and 1."""
    return f"{name} {scores['float_psnr']} {scores['float_ssim']} 1\n"


def append_finished(path: Path, name: str, scores: Scores) -> None:
    """Add the line of an object to `finish.txt`; RunError where the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8", newline="\n") as file:
            file.write(finished_line(name, scores))
    except OSError as error:
        raise RunError(f"Cannot write the file ({error.strerror or error})", where=path) from error


def summary_text(total: Scores, categories: Sequence[tuple[str, Scores, int]]) -> str:
    """Write `all_metrics.txt`.

    Args:
        total: means over all objects.
        categories: name, means over its objects, their number; one category gets no line of its own.
    """
    if len(categories) < 2:
        return f" {_line(total)}"
    lines = [
        f"{name.split(',')[0]:<{_NAME_WIDTH}} {_line(scores)} n_inst: {count}"
        for name, scores, count in categories
    ]
    return "\n".join([*lines, "---", f"{'total':<{_NAME_WIDTH}} {_line(total)}"])


def _line(scores: Scores) -> str:
    return " ".join(f"{name}: {scores[name]:.6f}" for name in _there(scores))


def _there(scores: Scores) -> list[str]:
    return [name for name in ("psnr", "ssim", "lpips") if scores[name] is not None]
