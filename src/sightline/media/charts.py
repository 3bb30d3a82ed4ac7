"""Line charts as inline SVG, coloured by the page's style so that they are readable in light and dark.

The values under the pointer are shown by the script of `media.html.page`; the last ones stand in the legend.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sightline.media.chart_axes import Axis, format_tick, format_value, make_axis
from sightline.media.html import Html, element

WIDTH, HEIGHT = 520, 280
MOST_POINTS = 300
"""points of a line that are drawn; of more, means of as many parts, with their extremes as a band"""
COLOURS = 8
"""colours that the page's style has, which are then used again with dashes"""

_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 12, 10, 40


@dataclass(frozen=True, eq=False)
class Series:
    """A line of a chart; points that are not finite are left out."""

    name: str
    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    colour: int = 0
    """number of its colour"""
    marked: bool = False
    """whether its points are drawn too"""
    faint: bool = False
    """whether it stays behind the others"""


@dataclass(frozen=True)
class Chart:
    """Lines that share their axes."""

    title: str
    x_label: str
    unit: str
    series: tuple[Series, ...]
    logarithmic: bool = False
    """of the vertical axis; where values are not all above 0 they are left out"""


@dataclass(frozen=True)
class _Drawn:
    """A series as it is drawn: thinned, and cleaned of what has no place."""

    of: Series
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


def draw_chart(chart: Chart) -> Html | None:
    """Draw a chart with its title and legend; None where it has no points."""
    drawn = [found for series in chart.series if (found := _prepare(series, chart.logarithmic)) is not None]
    if not drawn:
        return None
    across = make_axis(0.0, max(max(float(line.x.max()) for line in drawn), 1e-9), count=6)
    upward = make_axis(
        min(float(line.low.min()) for line in drawn),
        max(float(line.high.max()) for line in drawn),
        logarithmic=chart.logarithmic,
    )
    # The line that is to be looked at lies over the others.
    ordered = sorted(drawn, key=lambda line: not line.of.faint)
    lines = [_line(line, across, upward) for line in ordered]
    svg = element(
        "svg",
        _grid(chart, across, upward),
        *lines,
        element("g", class_="pointer"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=_spoken(chart, drawn),
        data_chart=json.dumps(_readout(chart, drawn, across, upward), separators=(",", ":")),
    )
    legend = [
        element(
            "span",
            element("i", class_=_colour(line.of)),
            f"{line.of.name} ",
            element("b", format_value(float(line.y[-1]))),
            class_="key",
        )
        for line in drawn
    ]
    # Beside the title, where it is read level and takes no room from the lines.
    scale = ", ".join(filter(None, [chart.unit, "log scale" if upward.logarithmic else ""]))
    heading = element("span", chart.title, class_="chart-title")
    about = element("span", scale, class_="quiet") if scale else None
    caption = element("figcaption", heading, about, element("span", *legend, class_="legend"))
    return element("figure", caption, svg, class_="chart")


def _prepare(series: Series, logarithmic: bool) -> _Drawn | None:
    x, y = np.asarray(series.x, np.float64), np.asarray(series.y, np.float64)
    good = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not logarithmic))
    x, y = x[good], y[good]
    if not len(x):
        return None
    if len(x) <= MOST_POINTS:
        return _Drawn(series, x, y, y, y)
    parts = [part for part in np.array_split(np.arange(len(x)), MOST_POINTS) if len(part)]
    mean = np.array([y[part].mean() for part in parts])
    # The last value is told in the legend: it is the last one, not a mean.
    mean[-1] = y[-1]
    return _Drawn(
        series,
        np.array([x[part[-1]] for part in parts]),
        mean,
        np.array([y[part].min() for part in parts]),
        np.array([y[part].max() for part in parts]),
    )


def _places(x: np.ndarray, y: np.ndarray, across: Axis, upward: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the drawing."""
    left = _LEFT + across.place(x) * (WIDTH - _LEFT - _RIGHT)
    top = HEIGHT - _BOTTOM - upward.place(y) * (HEIGHT - _TOP - _BOTTOM)
    return left, top


def _line(line: _Drawn, across: Axis, upward: Axis) -> Html:
    left, top = _places(line.x, line.y, across, upward)
    parts = []
    if (line.high > line.low).any():
        _, upper = _places(line.x, line.high, across, upward)
        _, lower = _places(line.x, line.low, across, upward)
        outline = _path(np.concatenate([left, left[::-1]]), np.concatenate([upper, lower[::-1]]))
        parts.append(element("path", class_="band", d=f"{outline}Z"))
    parts.append(element("path", class_="line faint" if line.of.faint else "line", d=_path(left, top)))
    if line.of.marked or len(left) == 1:
        parts += [
            element("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=2.6) for a, b in zip(left, top, strict=True)
        ]
    return element("g", *parts, class_=_colour(line.of))


def _path(left: np.ndarray, top: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(left, top, strict=True))


def _colour(series: Series) -> str:
    return f"c{series.colour % COLOURS}" + (" dashed" if series.colour >= COLOURS else "")


def _grid(chart: Chart, across: Axis, upward: Axis) -> Html:
    parts = []
    ends = (_LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM)
    for value in upward.ticks:
        _, top = _places(np.array([across.low]), np.array([value]), across, upward)
        parts.append(element("line", x1=ends[0], x2=ends[1], y1=f"{top[0]:.1f}", y2=f"{top[0]:.1f}"))
        parts.append(
            element("text", format_tick(value), x=ends[0] - 7, y=f"{top[0] + 4:.1f}", text_anchor="end")
        )
    for value in across.ticks:
        left, _ = _places(np.array([value]), np.array([upward.low]), across, upward)
        parts.append(
            element("text", format_tick(value), x=f"{left[0]:.1f}", y=ends[2] + 17, text_anchor="middle")
        )
    parts.append(element("line", x1=ends[0], x2=ends[1], y1=ends[2], y2=ends[2], class_="base"))
    middle = (ends[0] + ends[1]) / 2
    parts.append(element("text", chart.x_label, x=middle, y=HEIGHT - 5, text_anchor="middle", class_="label"))
    return element("g", *parts, class_="grid")


def _readout(chart: Chart, drawn: Sequence[_Drawn], across: Axis, upward: Axis) -> dict[str, object]:
    """What the script shows under the pointer: per line its name, colour, and points [left, top, x, y]."""
    lines = []
    for line in drawn:
        left, top = _places(line.x, line.y, across, upward)
        rows = zip(left, top, line.x, line.y, strict=True)
        points = [
            [round(float(a), 1), round(float(b), 1), format_value(float(x)), format_value(float(y))]
            for a, b, x, y in rows
        ]
        lines.append({"name": line.of.name, "class": _colour(line.of), "points": points})
    return {"x": chart.x_label, "top": _TOP, "bottom": HEIGHT - _BOTTOM, "lines": lines}


def _spoken(chart: Chart, drawn: Sequence[_Drawn]) -> str:
    ends = "; ".join(f"{line.of.name} ends at {format_value(float(line.y[-1]))}" for line in drawn)
    return f"{chart.title} against {chart.x_label}: {ends}"
