"""Trees of arrays as flax writes them: one msgpack map, with arrays in extension types."""

from typing import Any

import msgpack
import numpy as np
import torch

_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3
_DTYPES = {"float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool"}
_DTYPES |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def read_msgpack(raw: bytes) -> Any:
    """Read a msgpack map of nested maps; arrays of numbers become NumPy arrays, bfloat16 as float32.

    Raises:
        ValueError: it is damaged, or holds what these trees do not hold.
    """
    try:
        return msgpack.unpackb(raw, ext_hook=_extension, raw=False, strict_map_key=False)
    except msgpack.UnpackException as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _extension(code: int, payload: bytes) -> Any:
    if code in (_ARRAY, _SCALAR):
        shape, dtype, data = msgpack.unpackb(payload, raw=False)
        dtype = dtype.decode() if isinstance(dtype, bytes) else dtype
        if dtype not in _DTYPES:
            raise ValueError(f"arrays of type {dtype!r} are not read")
        if dtype == "bfloat16":
            words = torch.frombuffer(bytearray(data), dtype=torch.bfloat16)
            return words.float().numpy().reshape(shape)
        return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype)
    if code == _COMPLEX:
        return complex(*msgpack.unpackb(payload))
    raise ValueError(f"there is no extension of type {code}")
