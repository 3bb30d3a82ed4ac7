"""Packing voxels: 8 bits per number, streams of one kind each, deflate, and a dense text for the page.

Streams, in the order of `Packed.streams`:

    owners    a bit for each owner block (z, y, x; lowest bit first): whether it holds points
    masks     8 bytes for each owner block that does: a bit for each of its 64 places
    code, red, green, blue        a byte for each point
    term 0 red, green, blue …     a byte for each half, for each term of the direction

Of colours, green is stored as it is, red and blue as what they differ by from it (modulo 256). Codes and
colours are stored as what they differ by from the point before, the first from 0.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from sightline.exports.web.marching import BLOCK
from sightline.exports.web.voxels import Voxels

_STEPS = 127
"""steps of residuals on either side of 0"""
_KEPT = 99.9
"""percentile of residuals that sets their range: what is beyond it is cut"""
_ESCAPED = (0x00, 0x0A, 0x0D, 0x3C, 0x7E)
"""characters that a page's text cannot hold, or that text tools change (NUL, LF, CR, <), and ~ itself"""
_ESCAPE = 0x7E
_FIRST_LETTER = 0x41


@dataclass(frozen=True)
class Packed:
    """Voxels as bytes."""

    streams: tuple[bytes, ...]
    """each of them deflated (zlib)"""
    ranges: tuple[tuple[float, float, float], ...]
    """for each term of the direction, what a residual of 127 stands for, red, green, blue"""

    @property
    def size(self) -> int:
        """Bytes of all streams."""
        return sum(map(len, self.streams))


def quantised(voxels: Voxels) -> tuple[Voxels, tuple[tuple[float, float, float], ...]]:
    """The voxels as the page will have them, and the ranges of residuals."""
    bytes_, steps, ranges = _to_bytes(voxels)
    values = bytes_.astype(np.float32) / 255
    residual = (steps * _spread(ranges) / _STEPS).astype(np.float32)
    if not voxels.residual.size:
        residual = voxels.residual
    return replace(voxels, values=values, residual=residual).filled(), ranges


def pack(voxels: Voxels, level: int = 9) -> Packed:
    """Quantise and compress."""
    values, steps, ranges = _to_bytes(voxels)
    streams = [*_places(voxels), *_colour_columns(values)]
    # Residuals lie around 0, which is stored as 128.
    columns = (steps + 128).astype(np.uint8) if steps.size else np.zeros((0, 0), np.uint8)
    for n in range(len(ranges)):
        red, green, blue = (columns[:, 3 * n + k] for k in range(3))
        streams += [red - green, green, blue - green]
    return Packed(tuple(zlib.compress(s.tobytes(), level) for s in streams), ranges)


def _to_bytes(voxels: Voxels) -> tuple[np.ndarray, np.ndarray, tuple[tuple[float, float, float], ...]]:
    values = np.rint(255 * np.clip(voxels.values, 0, 1)).astype(np.uint8)
    if not voxels.residual.size:
        return values, np.zeros((0, 0), np.int16), ()
    limits = np.maximum(np.percentile(np.abs(voxels.residual), _KEPT, axis=0), 1e-4)
    ranges = tuple((float(a), float(b), float(c)) for a, b, c in limits.reshape(-1, 3))
    steps = np.clip(np.rint(voxels.residual / _spread(ranges) * _STEPS), -_STEPS, _STEPS).astype(np.int16)
    return values, steps, ranges


def _spread(ranges: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    return np.asarray(ranges, np.float64).reshape(1, -1)


def _places(voxels: Voxels) -> list[np.ndarray]:
    owners = (voxels.cells // BLOCK + 1) ** 3
    held, starts = np.unique(voxels.keys // 64, return_index=True)
    bits = np.zeros(owners, np.uint8)
    bits[held] = 1
    row = np.repeat(np.arange(len(held)), np.diff([*starts, len(voxels.keys)]))
    masks = np.zeros((len(held), 64), np.uint8)
    masks[row, voxels.keys % 64] = 1
    return [np.packbits(bits, bitorder="little"), np.packbits(masks, axis=1, bitorder="little")]


def _colour_columns(values: np.ndarray) -> list[np.ndarray]:
    code, red, green, blue = np.ascontiguousarray(values.T)
    return [_differences(column) for column in (code, red - green, green, blue - green)]


def _differences(column: np.ndarray) -> np.ndarray:
    return np.diff(column, prepend=np.uint8(0))


def to_text(data: bytes) -> str:
    """Bytes as text of one-byte characters: 7 bytes make 8 of them, and what a page cannot hold two.

    The text's length is 1.19 times the data's, on average.
    """
    padded = np.frombuffer(data + bytes(-len(data) % 7), np.uint8).reshape(-1, 7).astype(np.uint64)
    groups = np.zeros(len(padded), np.uint64)
    for k in range(7):
        groups |= padded[:, k] << np.uint64(8 * k)
    symbols = np.stack([groups >> np.uint64(7 * k) & np.uint64(127) for k in range(8)], -1)
    symbols = symbols.reshape(-1).astype(np.uint8)
    escaped = np.isin(symbols, _ESCAPED)
    places = np.arange(len(symbols)) + np.cumsum(escaped) - escaped
    text = np.empty(len(symbols) + int(escaped.sum()), np.uint8)
    text[places] = np.where(escaped, _ESCAPE, symbols)
    for number, symbol in enumerate(_ESCAPED):
        text[places[symbols == symbol] + 1] = _FIRST_LETTER + number
    return text.tobytes().decode("ascii")


def from_text(text: str, size: int) -> bytes:
    """Inverse of `to_text`, for data of `size` bytes."""
    symbols = np.frombuffer(text.encode("ascii"), np.uint8)
    marks = np.flatnonzero(symbols == _ESCAPE)
    values = symbols.copy()
    values[marks] = np.asarray(_ESCAPED, np.uint8)[symbols[marks + 1] - _FIRST_LETTER]
    kept = np.ones(len(symbols), bool)
    kept[marks + 1] = False
    rows = values[kept].reshape(-1, 8).astype(np.uint64)
    groups = np.zeros(len(rows), np.uint64)
    for k in range(8):
        groups |= rows[:, k] << np.uint64(7 * k)
    unpacked = np.stack([groups >> np.uint64(8 * k) & np.uint64(255) for k in range(7)], -1)
    return unpacked.astype(np.uint8).tobytes()[:size]
