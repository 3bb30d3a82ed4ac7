"""Configuration dataclasses to and from plain JSON values, with errors that name the field (no torch)."""

import dataclasses
import difflib
import enum
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sightline.foundation.errors import InputError

Config = TypeVar("Config")


def to_plain(value: Any) -> Any:
    """Turn a dataclass (and what it holds) into dictionaries, lists, numbers and strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a setting of type {type(value).__name__} cannot be saved")


def from_plain(
    kind: type[Config], values: Mapping[str, Any], *, where: object = None, base: Config | None = None
) -> Config:
    """Build the dataclass `kind` from plain values; others keep `base`'s, or their defaults.

    Raises:
        InputError: unknown names (all of them, with the nearest known one) or a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    refuse_unknown(values, known, where)
    given = {}
    for name, value in values.items():
        inner = getattr(base, name) if base is not None else None
        given[name] = _convert(value, hints[name], name, where, inner)
    if base is not None:
        return dataclasses.replace(base, **given)  # type: ignore[type-var]
    return kind(**given)


def refuse_not_finite(config: Any) -> None:
    """Raise InputError where a field of a dataclass is NaN or infinite; named as the flag that sets it."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            flag = f"--{field.name.replace('_', '-')}"
            raise InputError(f"It must be a finite number, not {value}", where=flag)


def refuse_unknown(names: Iterable[str], known: Sequence[str], where: object = None) -> None:
    """Raise InputError that lists every name that is not known, with the nearest known one."""
    unknown = [str(name) for name in names if name not in known]
    if not unknown:
        return
    hints = []
    for name in unknown:
        near = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
        hints.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    plural = "settings" if len(unknown) > 1 else "setting"
    raise InputError(
        f"Unknown {plural} {', '.join(hints)}", where=where, fix=f"Known settings: {', '.join(sorted(known))}"
    )


def _convert(value: Any, hint: Any, name: str, where: object, base: Any = None) -> Any:
    """Give `value` the type of `hint`, or raise an InputError that names the setting."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Annotated:
        return _convert(value, arguments[0], name, where, base)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, arguments, name, where)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise _wrong(value, f"one of {', '.join(map(str, arguments))}", name, where)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_plain(hint, value, where=f"{where}, {name}" if where else name, base=base)  # type: ignore[arg-type]
    if origin in (tuple, list, Sequence) or hint in (tuple, list):
        return _convert_sequence(value, hint, name, where)
    if origin in (dict, Mapping) or hint is dict:
        if isinstance(value, Mapping):
            return dict(value)
        raise _wrong(value, "a table of names and values", name, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value in [member.value for member in hint]:
            return hint(value)
        raise _wrong(value, f"one of {', '.join(str(member.value) for member in hint)}", name, where)
    return _convert_scalar(value, hint, name, where)


def _convert_union(value: Any, arguments: tuple[Any, ...], name: str, where: object) -> Any:
    if value is None and type(None) in arguments:
        return None
    error: InputError | None = None
    for argument in arguments:
        if argument is not type(None):
            try:
                return _convert(value, argument, name, where)
            except InputError as failure:
                error = failure
    raise error or _wrong(value, "nothing", name, where)


def _convert_sequence(value: Any, hint: Any, name: str, where: object) -> Any:
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _wrong(value, "a list", name, where)
    if not arguments:
        items = list(value)
    elif origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise _wrong(value, f"a list of {len(arguments)}", name, where)
        items = [
            _convert(item, kind, f"{name}[{i}]", where)
            for i, (item, kind) in enumerate(zip(value, arguments, strict=True))
        ]
    else:
        items = [_convert(item, arguments[0], f"{name}[{i}]", where) for i, item in enumerate(value)]
    return tuple(items) if origin is tuple else items


def _convert_scalar(value: Any, hint: Any, name: str, where: object) -> Any:
    if hint is bool:
        if isinstance(value, bool):
            return value
        raise _wrong(value, "true or false", name, where)
    if hint is float and not isinstance(value, bool):
        # YAML reads 1e-2 as a string, since its own numbers need a point.
        try:
            return float(value)
        except (TypeError, ValueError):
            raise _wrong(value, "a number", name, where) from None
    if hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        raise _wrong(value, "a whole number", name, where)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint is str and isinstance(value, str):
        return value
    raise _wrong(value, f"a {getattr(hint, '__name__', hint)}", name, where)


def _wrong(value: Any, wanted: str, name: str, where: object) -> InputError:
    return InputError(f"The setting {name!r} must be {wanted}, not {value!r}", where=where)
