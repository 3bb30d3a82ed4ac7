"""Point clouds as PLY files: positions and colours, ascii or binary."""

from pathlib import Path

import numpy as np

from sightline.captures.capture import Points
from sightline.foundation.errors import InputError
from sightline.foundation.files import write_atomic

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}


def read_points_ply(path: Path) -> Points:
    """Read the vertices of a PLY file; colours are grey where the file has none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the file ({error.strerror})", where=path) from error
    form, count, properties, start = _parse_header(data, path)
    if form == "ascii":
        rows = data[start:].decode("ascii", errors="replace").split("\n")[:count]
        try:
            table = np.array([row.split()[: len(properties)] for row in rows], dtype=np.float64)
            columns = dict(zip(properties, table.T, strict=True))
        except ValueError as error:
            raise InputError(f"The points cannot be read ({error})", where=path) from error
    else:
        layout = np.dtype([(name, _ORDERS[form] + kind) for name, kind in properties.items()])
        if len(data) - start < count * layout.itemsize:
            raise InputError("The file is cut short", where=path, fix="Copy it again")
        table = np.frombuffer(data, layout, count=count, offset=start)
        columns = {name: table[name] for name in properties}
    if not {"x", "y", "z"} <= columns.keys():
        raise InputError("The vertices have no x, y and z", where=path)
    colours = [columns.get(name, np.full(count, 128)) for name in ("red", "green", "blue")]
    return Points(
        np.stack([columns[name] for name in "xyz"], axis=1).astype(np.float64),
        np.stack(colours, axis=1).astype(np.uint8),
    )


def _parse_header(data: bytes, path: Path) -> tuple[str, int, dict[str, str], int]:
    """Give the encoding, the number of vertices, their properties and where the data starts."""
    end = data.find(b"end_header")
    start = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or start == 0:
        raise InputError("Not a PLY file", where=path)
    form, count, properties, elements = "", 0, {}, []
    for line in data[:end].decode("ascii", errors="replace").splitlines():
        match line.split():
            case ["format", form, _]:
                pass
            case ["element", element, number]:
                elements.append(element)
                count = int(number) if element == "vertex" else count
            case ["property", kind, name] if elements == ["vertex"]:
                properties[name] = _TYPES.get(kind, "")
            case ["property", "list", *_] if elements == ["vertex"]:
                properties["list"] = ""
    if (
        not elements
        or elements[0] != "vertex"
        or "" in properties.values()
        or form not in ("ascii", *_ORDERS)
    ):
        raise InputError("A PLY file of this kind cannot be read: plain vertices must come first", where=path)
    return form, count, properties, start


def write_points_ply(path: Path, points: Points) -> None:
    """Write points with colours as a binary PLY file (positions in float64)."""
    layout = np.dtype([(name, "<f8") for name in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")])
    table = np.empty(len(points), layout)
    for column, name in enumerate("xyz"):
        table[name] = points.positions[:, column]
    for column, name in enumerate(("red", "green", "blue")):
        table[name] = points.colours[:, column]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property {'double' if name in 'xyz' else 'uchar'} {name}" for name in layout.names or ()]
    write_atomic(path, ("\n".join([*header, "end_header"]) + "\n").encode("ascii") + table.tobytes())
