"""Reading pickles without executing anything that is in them.

A pickle is a program: it names functions and classes, and an ordinary reader calls them. Here every name
gives a stand-in that keeps what it is called with and does nothing. Afterwards those that stand for arrays,
tensors and dictionaries are made into such, by the code of this module; all others stay `Foreign`.
"""

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

STORAGE_TYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
"""torch's names of storages, without the word Storage"""
_NUMBERS = "fiubc"
"""kinds of NumPy's numbers"""


@dataclass
class Foreign:
    """An object of a class that is not read: what was written of it, without its behaviour."""

    name: str
    """module and class"""
    arguments: list[Any] = field(default_factory=list)
    """what it was made with"""
    state: Any = None
    """its attributes, mostly a dictionary"""
    items: dict[Any, Any] = field(default_factory=dict)
    """what was put into it by key"""
    members: list[Any] = field(default_factory=list)
    """what was put into it without key"""


def fields_of(value: Any) -> dict[str, Any]:
    """Give the named values of a dictionary, or of an object such as a namespace; empty for anything else."""
    if isinstance(value, Foreign):
        parts = [argument for argument in value.arguments if isinstance(argument, dict)]
        parts += [value.state] if isinstance(value.state, dict) else []
        found = {key: item for part in [*parts, value.items] for key, item in part.items()}
    else:
        found = value if isinstance(value, dict) else {}
    return {key: item for key, item in found.items() if isinstance(key, str)}


class Storage:
    """Numbers that tensors share: their type, how many, and, once they are read, their bytes."""

    def __init__(self, kind: str, count: int):
        if kind not in STORAGE_TYPES:
            raise pickle.UnpicklingError(f"there is no storage of type {kind!r}")
        if not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("a storage says no number of elements")
        self.dtype, self.count = STORAGE_TYPES[kind], count
        self.data: Tensor | None = None

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a storage is not to be changed")

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * self.dtype.itemsize

    def fill(self, raw: bytes, *, big_endian: bool = False) -> None:
        """Take the bytes as they are in the file."""
        if len(raw) != self.size:
            raise pickle.UnpicklingError(f"a storage has {len(raw)} bytes instead of {self.size}")
        # The array is a copy that may be written to, as torch wants it.
        array = np.frombuffer(raw, np.uint8).copy()
        if big_endian:
            word = self.dtype.itemsize // (2 if self.dtype.is_complex else 1)
            array = array.reshape(-1, word)[:, ::-1].copy().reshape(-1)
        self.data = torch.frombuffer(array, dtype=self.dtype) if raw else torch.empty(0, dtype=self.dtype)


class _StandIn:
    """What an unpickler makes instead of an object; never called for anything but keeping."""

    name = ""

    arguments: tuple[Any, ...]
    state: Any
    items: dict[Any, Any]
    members: list[Any]

    def __new__(cls, *arguments: Any, **named: Any) -> "_StandIn":
        # Not in __init__, without a call of which objects may be made too.
        made = object.__new__(cls)
        made.arguments = (*arguments, named) if named else arguments
        made.state, made.items, made.members = None, {}, []
        return made

    def __init__(self, *arguments: Any, **named: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        self.members.append(value)

    def extend(self, values: Any) -> None:
        self.members.extend(values)

    def add(self, value: Any) -> None:
        self.members.append(value)


class RestrictedUnpickler(pickle.Unpickler):
    """Reads one pickle; `load_plain` gives it as plain Python values, NumPy arrays, tensors and `Foreign`.

    Args:
        file: to read from.
        find_storage: gives the storage that torch's persistent identifier stands for; none are allowed
            where it is not given.
    """

    def __init__(self, file: IO[bytes], find_storage: Callable[[tuple[Any, ...]], Storage] | None = None):
        # Python 2 wrote bytes where text was meant, and the other way round.
        super().__init__(file, encoding="latin1")
        self._find_storage = find_storage
        self._kinds: dict[str, type[_StandIn]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Give a class of stand-ins for whatever is named; nothing is imported."""
        full = f"{module}.{name}"
        if full not in self._kinds:
            self._kinds[full] = type("StandIn", (_StandIn,), {"name": full})
        return self._kinds[full]

    def persistent_load(self, identifier: Any) -> Any:
        """Give a storage of a torch file."""
        if self._find_storage is None or not isinstance(identifier, tuple):
            raise pickle.UnpicklingError("it refers to something outside itself")
        return self._find_storage(identifier)

    def load_plain(self) -> Any:
        """Read the pickle whose storages are filled already."""
        return settle(self.load())


def settle(value: Any) -> Any:
    """Make what `RestrictedUnpickler.load` gave into plain values, arrays and tensors."""
    return _Settler().settle(value)


def storage_kind(value: Any) -> str:
    """Name the type of storage that a stand-in of a class stands for; empty where it is something else."""
    name = getattr(value, "name", "") if isinstance(value, type) else ""
    module, _, kind = str(name).rpartition(".")
    if module in ("torch", "torch.cuda") and kind.endswith("Storage"):
        return kind.removesuffix("Storage")
    return ""


class _Settler:
    """Makes values; each object once, so that what was shared stays shared and circles end."""

    def __init__(self) -> None:
        # With what it was made of, so that no other object gets its identity meanwhile.
        self._made: dict[int, tuple[Any, Any]] = {}

    def _keep(self, value: Any, made: Any) -> Any:
        self._made[id(value)] = (value, made)
        return made

    def settle(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            return value
        if id(value) in self._made:
            return self._made[id(value)][1]
        if isinstance(value, (list, set, frozenset)):
            made = self._keep(value, [])
            made.extend(self.settle(item) for item in value)
            return made
        if isinstance(value, dict):
            made = self._keep(value, {})
            self._settle_items(made, value)
            return made
        return self._keep(value, self._settle_object(value))

    def _settle_object(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self.settle(item) for item in value)
        if isinstance(value, bytearray):
            return bytes(value)
        if isinstance(value, type):
            return Foreign(str(getattr(value, "name", value.__name__)))
        if isinstance(value, _StandIn):
            make = _MAKERS.get(value.name)
            return self._settle_foreign(value) if make is None else make(self, value)
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}, which means nothing here")

    def _settle_items(self, made: dict[Any, Any], items: Any) -> None:
        for key, item in dict.items(items):
            key = self.settle(key)
            made[key if isinstance(key, (str, int, float, bytes, tuple)) else repr(key)] = self.settle(item)

    def _settle_foreign(self, value: _StandIn) -> Foreign:
        made = self._keep(value, Foreign(value.name))
        made.arguments.extend(self.settle(list(value.arguments)))
        made.state = self.settle(value.state)
        self._settle_items(made.items, value.items)
        made.members.extend(self.settle(value.members))
        return made

    def mapping(self, value: _StandIn) -> dict[Any, Any]:
        made = self._keep(value, {})
        for argument in value.arguments:
            if isinstance(argument, dict):
                self._settle_items(made, argument)
            elif isinstance(argument, list):
                self._settle_items(made, dict(argument))
        self._settle_items(made, value.items)
        return made

    def group(self, value: _StandIn) -> list[Any]:
        return [self.settle(item) for part in (*value.arguments[:1], value.members) for item in part]

    def encoded(self, value: _StandIn) -> bytes:
        return _bytes_of(value.arguments[0]) if value.arguments else b""

    def tensor(self, value: _StandIn) -> Tensor:
        storage, offset, size, stride = value.arguments[:4]
        size, stride = self.settle(size), self.settle(stride)
        if not isinstance(storage, Storage) or storage.data is None:
            raise pickle.UnpicklingError("a tensor has no storage")
        numbers = [offset, *size, *stride]
        if len(size) != len(stride) or any(not isinstance(n, int) or n < 0 for n in numbers):
            raise pickle.UnpicklingError("the size of a tensor makes no sense")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if math.prod(size) and last >= storage.count:
            raise pickle.UnpicklingError("a tensor is larger than its storage")
        return torch.as_strided(storage.data, size, stride, offset)

    def parameter(self, value: _StandIn) -> Any:
        return self.settle(value.arguments[0])

    def array(self, value: _StandIn) -> np.ndarray:
        if not isinstance(value.state, tuple) or len(value.state) != 5:
            raise pickle.UnpicklingError("an array has no content")
        _, shape, dtype, columns_first, data = value.state
        return self._array(shape, dtype, bool(columns_first), data)

    def buffered_array(self, value: _StandIn) -> np.ndarray:
        data, dtype, shape, order = value.arguments[:4]
        return self._array(shape, dtype, order == "F", data)

    def _array(self, shape: Any, dtype: Any, columns_first: bool, data: Any) -> np.ndarray:
        shape, order = self.settle(shape), "F" if columns_first else "C"
        kind = self.dtype(dtype)
        if kind.hasobject:
            items = self.settle(data)
            array = np.empty(len(items), dtype=object)
            for index, item in enumerate(items):
                array[index] = item
            return array.reshape(shape, order=order)
        return np.frombuffer(_bytes_of(self.settle(data)), kind).reshape(shape, order=order).copy()

    def scalar(self, value: _StandIn) -> Any:
        dtype, raw = value.arguments[:2]
        return np.frombuffer(_bytes_of(self.settle(raw)), self.dtype(dtype), count=1)[0].item()

    def dtype(self, value: Any) -> np.dtype[Any]:
        """Make a type of numbers, or of objects, from a stand-in of a type of NumPy."""
        if not isinstance(value, _StandIn) or value.name != "numpy.dtype" or not value.arguments:
            raise pickle.UnpicklingError("an array has no type")
        code = value.arguments[0]
        kind = np.dtype(code) if isinstance(code, str) and code[:1] in f"{_NUMBERS}O?" else None
        if kind is None or kind.kind not in f"{_NUMBERS}O":
            raise pickle.UnpicklingError(f"arrays of type {code!r} are not read")
        swapped = isinstance(value.state, tuple) and len(value.state) > 1 and value.state[1] == ">"
        return kind.newbyteorder(">") if swapped else kind


def _bytes_of(value: Any) -> bytes:
    """Bytes, also where an old protocol has them as text."""
    if isinstance(value, str):
        return value.encode("latin1")
    if not isinstance(value, bytes):
        raise pickle.UnpicklingError("an array has no content")
    return value


_MAKERS: dict[str, Callable[[_Settler, _StandIn], Any]] = {
    **dict.fromkeys(
        ("collections.OrderedDict", "collections.defaultdict", "collections.Counter"), _Settler.mapping
    ),
    **{
        f"{module}.{name}": _Settler.group
        for module in ("builtins", "__builtin__")
        for name in ("set", "frozenset", "list", "tuple")
    },
    # Old protocols call them for empty ones.
    **{f"{module}.bytes": _Settler.encoded for module in ("builtins", "__builtin__")},
    "torch.Size": _Settler.group,
    "_codecs.encode": _Settler.encoded,
    "torch._utils._rebuild_tensor": _Settler.tensor,
    "torch._utils._rebuild_tensor_v2": _Settler.tensor,
    "torch._utils._rebuild_parameter": _Settler.parameter,
    **{
        f"numpy.{core}.{name}": make
        for core in ("core", "_core")
        for name, make in (
            ("multiarray._reconstruct", _Settler.array),
            ("multiarray.scalar", _Settler.scalar),
            ("numeric._frombuffer", _Settler.buffered_array),
        )
    },
}
