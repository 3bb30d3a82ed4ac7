"""Which views train and which are held out."""

from collections.abc import Sequence

import numpy as np

from sightline.foundation.errors import InputError

DEFAULT_HOLDOUT = 8


def hold_out(names: Sequence[str], every: int) -> dict[str, tuple[int, ...]]:
    """Hold out every N-th view for testing: 0, N, 2N … of the views sorted by name.

    Args:
        names: name of each view that exists.
        every: N; with 0 all views both train and test stays empty.
    """
    if every < 0 or every == 1:
        raise InputError(
            f"Holding out every {every}-th view leaves nothing to train on",
            where="--holdout",
            fix="Give 0 (hold out none) or a number of 2 or more",
        )
    order = sorted(range(len(names)), key=lambda index: names[index])
    test = {index for rank, index in enumerate(order) if every and rank % every == 0}
    train = tuple(index for index in range(len(names)) if index not in test)
    return {"train": train, "val": (), "test": tuple(sorted(test))}


def hold_out_central(names: Sequence[str], centres: np.ndarray, every: int) -> dict[str, tuple[int, ...]]:
    """Validate on the view nearest to the average position, as nerf_pl does for forward-facing captures.

    Args:
        names: name of each view.
        centres: (n, 3) camera centres.
        every: 0, N, 2N … of the others, sorted by name, are for testing; with 0 they all train.
    """
    central = int(np.argmin(np.linalg.norm(centres - centres.mean(axis=0), axis=1)))
    others = [index for index in range(len(names)) if index != central]
    split = hold_out([names[index] for index in others], every)
    return {
        "train": tuple(others[index] for index in split["train"]),
        "val": (central,),
        "test": tuple(others[index] for index in split["test"]),
    }
