import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.captures import open_capture
from sightline.captures.splits import (
    SPLIT_RULES,
    SplitViews,
    check_split_rule,
    choose_splits,
    hold_out,
    hold_out_centre,
)
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
    split = hold_out_centre(list("abcde"), centres, 3)
    assert split == {"val": (2,), "test": (0, 4), "train": (1, 3)}
    assert hold_out_centre(list("abcde"), centres, 0)["train"] == (0, 1, 3, 4)


def line(count, given=None):
    """Views a, b, c … in a line; the middle one is the central view."""
    centres = np.stack([np.arange(count, dtype=float), np.zeros(count), np.zeros(count)], axis=1)
    return SplitViews([f"{index:03d}" for index in range(count)], centres, given or {})


GIVEN = {"train": tuple(range(10)), "val": tuple(range(10, 22)), "test": tuple(range(22, 40))}


@pytest.mark.parametrize(
    ("rule", "train", "val", "test"),
    [
        (None, 14, (), (0, 8, 16)),
        ("format", 14, (), (0, 8, 16)),
        ("holdout", 14, (), (0, 8, 16)),
        ("center", 14, (8,), (0, 9)),
        ("llffhold8", 14, (0, 8, 16), (0, 8, 16)),
        ("llffhold5", 13, (0, 5, 10, 15), (0, 5, 10, 15)),
        ("llffhold0", 16, (8,), (8,)),
        ("bmild", 14, (0, 8, 16), (0, 8, 16)),
        ("nerf_pl", 16, (8,), ()),
        ("flax_nerf", 14, (8,), (0, 9)),
    ],
)
def test_rules_where_the_data_states_no_split(rule, train, val, test):
    splits = choose_splits(rule, line(17), 8)
    assert (splits["val"], splits["test"]) == (val, test)
    assert splits["train"] == tuple(sorted(set(range(17)) - {*val, *test}))
    # Of 17 views, central is 8; of the 16 others every eighth is 0 and 9.
    assert len(splits["train"]) == train


@pytest.mark.parametrize(
    ("rule", "val", "test"),
    [
        ("format", GIVEN["val"], GIVEN["test"]),
        ("testskip5", (10, 15, 20), (22, 27, 32, 37)),
        ("testskip0", GIVEN["val"], GIVEN["test"]),
        ("bmild", (10, 18), (22, 30, 38)),
        ("flax_nerf", (10, 18), (22, 30, 38)),
        ("nerf_pl", tuple(range(10, 18)), GIVEN["test"]),
    ],
)
def test_rules_where_the_data_states_a_split(rule, val, test):
    assert choose_splits(rule, line(40, GIVEN), 3) == {"train": GIVEN["train"], "val": val, "test": test}


@pytest.mark.parametrize("rule", ["holdout", "llffhold4", "center"])
def test_rules_that_hold_out_pass_over_the_given_split(rule):
    assert choose_splits(rule, line(40, GIVEN), 4) == choose_splits(rule, line(40), 4)


@pytest.mark.parametrize(("other", "rule"), [("central", "center"), ("centre", "center"), ("yen", "bmild")])
def test_other_spellings(other, rule):
    assert choose_splits(other, line(20), 8) == choose_splits(rule, line(20), 8)


@pytest.mark.parametrize("rule", ["every8", "llffhold", "llffhold-1", "testskip1.5", "", "NERF_PL"])
def test_unknown_rules_list_the_names(rule):
    with pytest.raises(InputError) as caught:
        check_split_rule(rule)
    assert all(name in str(caught.value) for name in SPLIT_RULES)
    assert caught.value.exit_code == 2


def test_rules_that_leave_nothing_are_refused():
    with pytest.raises(InputError, match="nothing to train on"):
        choose_splits("llffhold1", line(5), 8)
    with pytest.raises(InputError, match="this data states none"):
        choose_splits("testskip8", line(5), 8)


@given(
    st.integers(2, 60), st.sampled_from(["center", "llffhold0", "llffhold7", "bmild", "nerf_pl", "flax_nerf"])
)
def test_no_training_view_is_held_out(count, rule):
    splits = choose_splits(rule, line(count), 8)
    held = {*splits["val"], *splits["test"]}
    assert set(splits["train"]).isdisjoint(held)
    assert {*splits["train"], *held} == set(range(count))


def test_fern_splits_as_the_sources_do(shared):
    golden = np.load(shared / "golden" / "nerf" / "llff_fern.npz")

    def splits(rule):
        return open_capture(shared / "data" / "llff_fern_504", downscale=8, split_rule=rule).splits

    assert splits("bmild")["test"] == splits("llffhold8")["val"] == tuple(golden["bmild__test_index"])
    assert splits("llffhold0")["test"] == (int(golden["bmild__central_index"]),)
    assert splits("nerf_pl")["val"] == (int(golden["nerf_pl__val_index"]),)
    assert len(splits("nerf_pl")["train"]) == 19
    flax = splits("flax_nerf")
    assert flax["val"] == (int(golden["flax__val_index"]),)
    assert flax["test"] == tuple(golden["flax__test_index"])
    assert flax["train"] == tuple(golden["flax__train_index"])


def test_lego_splits_as_the_sources_do(shared):
    def splits(rule):
        return open_capture(shared / "data" / "nerf_synthetic_lego_400", split_rule=rule).splits

    assert len(splits("nerf_pl")["test"]) == 25
    assert splits("bmild")["test"] == splits("format")["test"][::8]
    assert splits("bmild")["train"] == tuple(range(100))
