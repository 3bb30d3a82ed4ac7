"""Which views train and which are held out: rules by name, those of the published systems among them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.foundation.errors import InputError

DEFAULT_HOLDOUT = 8
_SKIP = 8
"""the published systems read every so many-th of the given validation and test views"""
_FEW = 8
"""views that nerf_pl validates on where the data has a validation split"""

Splits = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class SplitViews:
    """What split rules look at."""

    names: Sequence[str]
    """name of each view that exists"""
    centres: np.ndarray
    """(n, 3) camera centres"""
    given: Mapping[str, tuple[int, ...]]
    """the split that the data states; empty where it states none"""


def hold_out(names: Sequence[str], every: int) -> dict[str, tuple[int, ...]]:
    """Hold out every N-th view for testing: 0, N, 2N … of the views sorted by name.

    Args:
        names: name of each view that exists.
        every: N; with 0 all views both train and test stays empty.
    """
    if every < 0 or every == 1:
        raise InputError(
            f"Holding out every {every}-th view leaves nothing to train on",
            where="--holdout or --split-rule",
            fix="Give 0 (hold out none) or a number of 2 or more",
        )
    order = sorted(range(len(names)), key=lambda index: names[index])
    test = {index for rank, index in enumerate(order) if every and rank % every == 0}
    train = tuple(index for index in range(len(names)) if index not in test)
    return {"train": train, "val": (), "test": tuple(sorted(test))}


def hold_out_centre(names: Sequence[str], centres: np.ndarray, every: int) -> dict[str, tuple[int, ...]]:
    """Validate on the view nearest to the average position, then hold out others for testing.

    Args:
        names: name of each view.
        centres: (n, 3) camera centres.
        every: 0, N, 2N … of the others, sorted by name, are for testing; with 0 they all train.
    """
    central = _central(centres)
    others = [index for index in range(len(names)) if index != central]
    split = hold_out([names[index] for index in others], every)
    return {
        "train": tuple(others[index] for index in split["train"]),
        "val": (central,),
        "test": tuple(others[index] for index in split["test"]),
    }


def hold_out_llff(names: Sequence[str], centres: np.ndarray, every: int) -> dict[str, tuple[int, ...]]:
    """Validate and test on the same views 0, N, 2N … by name; with N = 0 on the central view (bmild)."""
    held = hold_out(names, every)["test"] if every else (_central(centres),)
    return {
        "train": tuple(index for index in range(len(names)) if index not in held),
        "val": held,
        "test": held,
    }


def thin_out(given: Mapping[str, tuple[int, ...]], every: int) -> dict[str, tuple[int, ...]]:
    """Keep views 0, N, 2N … of the given validation and test splits; all of them with N = 0."""
    if not any(given.values()):
        raise InputError(
            f"The split rule testskip{every} thins out the data's own splits, and this data states none",
            where="--split-rule",
            fix=f"Use llffhold{every or _SKIP} or holdout, which make a split",
        )
    return {name: members if name == "train" else members[:: every or 1] for name, members in given.items()}


def _central(centres: np.ndarray) -> int:
    return int(np.argmin(np.linalg.norm(centres - centres.mean(axis=0), axis=1)))


def _format(views: SplitViews, every: int) -> Splits:
    return dict(views.given) if any(views.given.values()) else hold_out(views.names, every)


def _bmild(views: SplitViews, every: int) -> Splits:
    if any(views.given.values()):
        return thin_out(views.given, _SKIP)
    return hold_out_llff(views.names, views.centres, every)


def _nerf_pl(views: SplitViews, every: int) -> Splits:
    if any(views.given.values()):
        return {**views.given, "val": tuple(views.given.get("val", ()))[:_FEW]}
    return hold_out_centre(views.names, views.centres, 0)


def _flax_nerf(views: SplitViews, every: int) -> Splits:
    if any(views.given.values()):
        return thin_out(views.given, _SKIP)
    return hold_out_centre(views.names, views.centres, every)


_RULES: dict[str, Callable[[SplitViews, int], Splits]] = {
    "format": _format,
    "holdout": lambda views, every: hold_out(views.names, every),
    "center": lambda views, every: hold_out_centre(views.names, views.centres, every),
    "bmild": _bmild,
    "nerf_pl": _nerf_pl,
    "flax_nerf": _flax_nerf,
}
_NUMBERED: dict[str, Callable[[SplitViews, int], Splits]] = {
    "llffhold": lambda views, number: hold_out_llff(views.names, views.centres, number),
    "testskip": lambda views, number: thin_out(views.given, number),
}
# Other spellings of a rule.
_ALIASES = {"central": "center", "centre": "center", "yen": "bmild", "nerf-pytorch": "bmild"}
SPLIT_RULES = (*_RULES, *(f"{name}N" for name in _NUMBERED))
"""names of the rules; N stands for a number"""


def check_split_rule(name: str) -> None:
    """Refuse a rule that does not exist; InputError lists those that do."""
    _find(name)


def choose_splits(name: str | None, views: SplitViews, every: int) -> dict[str, tuple[int, ...]]:
    """Split the views by the rule `name`.

    Args:
        name: one of `SPLIT_RULES`; `format` where None.
        views: names, places and the data's own split.
        every: hold out every so many-th view, for the rules that hold out and have no number of their own.

    Raises:
        InputError: an unknown rule, one that does not apply to this data, or nothing left to train on.
    """
    splits = _find(name or "format")(views, every)
    return {"train": (), "val": (), "test": ()} | splits


def _find(name: str) -> Callable[[SplitViews, int], Splits]:
    rule = _RULES.get(_ALIASES.get(name, name))
    if rule is not None:
        return rule
    match = re.fullmatch(r"([a-z]+)(\d+)", name)
    if match is not None and match[1] in _NUMBERED:
        numbered, number = _NUMBERED[match[1]], int(match[2])
        return lambda views, every: numbered(views, number)
    raise InputError(
        f"There is no split rule {name!r}",
        where="--split-rule",
        fix=f"Choose one of: {', '.join(SPLIT_RULES)} (N is a number, as in llffhold8)",
    )
