from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.foundation.errors import InputError
from sightline.runs.settings import from_plain, to_plain


class Shape(Enum):
    BOX = "box"
    BALL = "ball"


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    count: int = 3
    ratio: float = 0.5
    on: bool = True
    kind: Literal["x", "y"] = "x"
    limit: float | None = None
    pair: tuple[int, float] = (1, 2.0)
    shape: Shape = Shape.BOX
    place: Path = Path("here")
    inner: Inner = field(default_factory=Inner)
    names: list[str] = field(default_factory=list)


@given(
    st.builds(
        Outer,
        name=st.text(),
        count=st.integers(),
        ratio=st.floats(allow_nan=False, allow_infinity=False),
        on=st.booleans(),
        kind=st.sampled_from(["x", "y"]),
        limit=st.none() | st.floats(allow_nan=False),
        pair=st.tuples(st.integers(), st.floats(allow_nan=False)),
        shape=st.sampled_from(Shape),
        place=st.sampled_from([Path("a/b"), Path("c")]),
        inner=st.builds(Inner, rate=st.floats(0, 1), sizes=st.lists(st.integers()).map(tuple)),
        names=st.lists(st.text()),
    )
)
def test_plain_values_give_the_same_dataclass(value: Outer) -> None:
    assert from_plain(Outer, to_plain(value)) == value


def test_fields_that_are_not_given_keep_those_of_the_base() -> None:
    base = Outer(count=8, inner=Inner(rate=0.7, sizes=(9,)))
    changed = from_plain(Outer, {"name": "b", "inner": {"rate": 0.2}}, base=base)
    assert changed == Outer(name="b", count=8, inner=Inner(rate=0.2, sizes=(9,)))


def test_yaml_numbers_without_a_point_are_numbers() -> None:
    assert from_plain(Outer, {"ratio": "1e-2"}).ratio == 0.01
    assert from_plain(Outer, {"count": 4.0}).count == 4


def test_every_unknown_name_is_told_with_the_nearest_known_one() -> None:
    with pytest.raises(InputError) as caught:
        from_plain(Outer, {"cuont": 1, "zzz": 2, "name": "b"}, where="file.yaml")
    text = str(caught.value)
    assert "'cuont' (did you mean 'count'?)" in text
    assert "'zzz'" in text
    assert "file.yaml" in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"count": 1.5}, "'count' must be a whole number, not 1.5"),
        ({"count": True}, "'count' must be a whole number"),
        ({"ratio": "fast"}, "'ratio' must be a number, not 'fast'"),
        ({"on": 1}, "'on' must be true or false"),
        ({"kind": "z"}, "'kind' must be one of x, y"),
        ({"pair": [1]}, "'pair' must be a list of 2"),
        ({"names": "abc"}, "'names' must be a list"),
        ({"names": [1]}, "'names[0]' must be a str"),
        ({"shape": "cone"}, "'shape' must be one of box, ball"),
        ({"inner": {"rate": None}}, "'rate' must be a number"),
        ({"limit": "low"}, "'limit' must be a number"),
    ],
)
def test_wrong_types_name_the_setting(values: dict, said: str) -> None:
    with pytest.raises(InputError) as caught:
        from_plain(Outer, values)
    assert said in str(caught.value)
