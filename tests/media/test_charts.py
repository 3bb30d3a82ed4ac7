import html
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.media.chart_axes import format_tick, format_value, linear_ticks, log_ticks, make_axis
from sightline.media.charts import MOST_POINTS, Chart, Series, draw_chart


def test_ticks_are_nice_numbers():
    assert linear_ticks(0.0, 1500.0, 6) == (0, 200, 400, 600, 800, 1000, 1200, 1400)
    assert linear_ticks(13.0, 31.2, 5) == (15, 20, 25, 30)
    assert linear_ticks(0.0, 1.0, 5) == (0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert log_ticks(1e-6, 3e-2) == (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
    assert log_ticks(8e-4, 0.05) == (1e-3, 3e-3, 1e-2, 3e-2)
    # Less than a factor 3 is hardly a logarithmic axis.
    assert log_ticks(2.0, 4.0) == linear_ticks(2.0, 4.0)
    assert len(log_ticks(1e-30, 1.0)) <= 8


@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(1e-3, 1e6),
    st.booleans(),
)
def test_axes_hold_their_values(low, span, logarithmic):
    low = abs(low) + 1e-3 if logarithmic else low
    axis = make_axis(low, low + span, logarithmic=logarithmic)
    places = axis.place(np.array([low, low + span]))
    assert 0 <= places[0] < places[1] <= 1
    ticks = axis.place(np.array(axis.ticks))
    assert ((ticks >= -1e-6) & (ticks <= 1 + 1e-6)).all()
    assert 1 <= len(axis.ticks) <= 13


def test_axes_of_equal_values_have_room():
    assert make_axis(5.0, 5.0).place(np.array([5.0])) == pytest.approx([0.5])
    assert make_axis(0.0, 0.0).place(np.array([0.0]))[0] == pytest.approx(0.5, abs=0.02)
    assert make_axis(1e-3, 1e-3, logarithmic=True).place(np.array([1e-3])) == pytest.approx([0.5])


def test_numbers_are_written_for_people():
    assert [format_tick(v) for v in (0.0, 1500.0, 0.25, 1e-4, 3e-4, 2e7, -20.0)] == [
        *("0", "1,500", "0.25", "1e-4", "3e-4", "2e7", "-20")
    ]
    assert [format_value(v) for v in (30.9053, 8.13763e-4, 115819.0, 0.0, 0.0123456)] == [
        *("30.91", "8.14e-4", "115,819", "0", "0.01235")
    ]


def chart(*series: Series, logarithmic: bool = False):
    return draw_chart(Chart("Loss <of> it", "step", "dB", series, logarithmic))


def readout(drawn: str) -> dict:
    return json.loads(html.unescape(re.search(r'data-chart="([^"]*)"', drawn).group(1)))


def test_a_chart_shows_its_points_where_they_are():
    drawn = chart(Series("a & b", np.array([0.0, 50, 100]), np.array([1.0, 3.0, 2.0]), marked=True))
    root = ElementTree.fromstring(drawn)
    (path,) = root.findall(".//path")
    places = [tuple(map(float, pair.split(","))) for pair in path.get("d")[1:].split("L")]
    # From left to right; the highest value is nearest to the top.
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert places[1][1] < places[2][1] < places[0][1]
    assert places[1][0] == pytest.approx((places[0][0] + places[2][0]) / 2, abs=0.1)
    assert len(root.findall(".//circle")) == 3
    assert "".join(root.find("figcaption").itertext()) == "Loss <of> itdBa & b 2.000"
    assert "a & b ends at 2.000" in root.find("svg").get("aria-label")
    (line,) = readout(drawn)["lines"]
    assert [point[2:] for point in line["points"]] == [["0", "1.000"], ["50.00", "3.000"], ["100.0", "2.000"]]
    assert [tuple(point[:2]) for point in line["points"]] == places


def test_what_cannot_be_drawn_is_left_out():
    x = np.arange(4.0)
    drawn = chart(Series("a", x, np.array([np.nan, 1.0, 0.0, np.inf])), logarithmic=True)
    (line,) = readout(drawn)["lines"]
    assert [point[3] for point in line["points"]] == ["1.000"]
    assert chart(Series("a", x, np.full(4, np.nan))) is None
    assert chart() is None


def test_long_lines_are_means_with_their_extremes_and_keep_the_last_value():
    x = np.arange(10_000.0)
    y = np.where(x % 2 == 0, 1.0, 3.0)
    y[-1] = 7.0
    drawn = chart(Series("a", x, y))
    (line,) = readout(drawn)["lines"]
    assert len(line["points"]) == MOST_POINTS
    assert {point[3] for point in line["points"][:-1]} <= {"2.000", "1.970", "2.030", "1.971", "2.029"}
    assert line["points"][-1][2:] == ["9,999", "7.000"]
    assert 'class="band"' in drawn


def test_a_ninth_line_is_told_from_the_first():
    drawn = chart(*(Series(str(k), np.arange(2.0), np.full(2, float(k)), colour=k) for k in range(9)))
    assert [line["class"] for line in readout(drawn)["lines"]] == [*(f"c{k}" for k in range(8)), "c0 dashed"]
