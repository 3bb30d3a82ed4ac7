import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.captures.splits import hold_out, hold_out_central
from sightline.foundation.errors import InputError


def test_every_eighth_view_by_name():
    names = [f"{number:02d}" for number in range(18)]
    split = hold_out(names, 8)
    assert split["test"] == (0, 8, 16)
    assert split["val"] == ()
    assert split["train"] == (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 17)


def test_order_of_names_counts_not_order_of_views():
    assert hold_out(["c", "a", "d", "b"], 2)["test"] == (0, 1)  # the views a and c


def test_zero_holds_out_none():
    assert hold_out(["a", "b"], 0) == {"train": (0, 1), "val": (), "test": ()}


@pytest.mark.parametrize("every", [1, -3])
def test_nothing_left_to_train_on_is_refused(every):
    with pytest.raises(InputError, match="--holdout"):
        hold_out(["a", "b"], every)


@given(st.lists(st.text(max_size=4), unique=True, max_size=40), st.integers(2, 10))
def test_splits_are_a_partition(names, every):
    split = hold_out(names, every)
    assert sorted(split["train"] + split["test"]) == list(range(len(names)))
    assert len(split["test"]) == -(-len(names) // every)


def test_central_view_validates():
    centres = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [4.0, 0, 0]])
    split = hold_out_central(list("abcde"), centres, 3)
    assert split == {"val": (2,), "test": (0, 4), "train": (1, 3)}
    assert hold_out_central(list("abcde"), centres, 0)["train"] == (0, 1, 3, 4)
