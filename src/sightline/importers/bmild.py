"""The authors' own code (bmild): model_NNNNNN.npy and model_fine_NNNNNN.npy, lists of Keras weights."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightline.foundation.errors import InputError
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.importers.perceptrons import (
    NETWORKS,
    Naming,
    Perceptrons,
    Stored,
    as_step,
    place_layers,
)

_DEPTH = 8
_NAME = re.compile(r"model_(fine_)?(\d+)\.npy$")
_LEAST = 4


def recognise(content: Any) -> bool:
    """Whether it is a list of arrays that begins as kernel, bias, kernel, bias."""
    if isinstance(content, np.ndarray) and content.dtype == object:
        content = content.reshape(-1).tolist()
    if not isinstance(content, list) or len(content) < _LEAST:
        return False
    ranks = [value.ndim if isinstance(value, np.ndarray) else -1 for value in content]
    return ranks[:_LEAST] == [2, 1, 2, 1]


def companions(path: Path) -> list[Path]:
    """The coarse file and the fine one beside it, where there is one."""
    match = _NAME.search(path.name)
    if match is None:
        return [path]
    before, number = path.name[: match.start()], match[2]
    coarse, fine = (path.with_name(f"{before}model_{part}{number}.npy") for part in ("", "fine_"))
    if match[1] and not coarse.is_file():
        raise InputError(
            f"This is a fine network, and the coarse one, {coarse.name}, is not beside it",
            where=path,
            fix="Give both files",
        )
    return [coarse, fine] if fine.is_file() else [coarse]


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one or two files: the coarse network, and the fine one."""
    if len(files) > len(NETWORKS):
        raise InputError("A checkpoint of bmild is two files at most", where=files[2].path)
    # Fine networks are called so; where no name tells, the coarse one comes first.
    files = sorted(files, key=lambda file: "fine" in file.path.name)
    of = dict(zip(NETWORKS, files, strict=False))
    networks = {which: _named(file.content) for which, file in of.items()}
    count = max(len(network) for network in networks.values())
    perceptrons = Perceptrons(
        Naming(_places),
        networks,
        labels={which: of[which].path.name if which in of else which for which in NETWORKS},
        preset="bmild",
        depths=[_DEPTH, (count - 8) // 2, (count - 2) // 2],
        where=", ".join(str(file.path) for file in files),
    )
    match = _NAME.search(files[0].path.name)
    return perceptrons.reading(step=as_step(match[2]) if match else 0, split_rule="bmild")


def _named(content: Any) -> dict[str, Any]:
    """Name arrays by their place in the list, from 0."""
    values = content.reshape(-1) if isinstance(content, np.ndarray) else content
    return {f"[{place}]": value for place, value in enumerate(values)}


def _places(depth: int, directions: bool) -> dict[str, Stored]:
    order = [f"trunk.{layer}" for layer in range(depth)]
    order += ["feature", "view", "colour", "density"] if directions else ["colour"]
    names = {layer: (f"[{2 * place}]", f"[{2 * place + 1}]") for place, layer in enumerate(order)}
    names.setdefault("density", names["colour"])
    return place_layers(names, directions=directions, transposed=True)


SOURCE = Source(
    name="bmild",
    summary="model_NNNNNN.npy and model_fine_NNNNNN.npy of the authors' own code",
    looked_for="a .npy list of kernels and biases in turn",
    presets=("bmild", "bmild-noviewdirs"),
    recognise=recognise,
    read=read,
    companions=companions,
)
