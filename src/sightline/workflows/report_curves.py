"""The curves of trainings: which values share a chart, against steps and against minutes."""

from collections.abc import Callable, Sequence

from sightline.media.charts import Chart, Series, draw_chart
from sightline.media.html import Html, element, join
from sightline.runs.history import TRAIN, VALIDATION, Curve, History
from sightline.workflows.report_facts import RunFacts

_AXES = {"minutes": "minutes", "steps": "step"}
"""what curves are drawn against → name of the axis"""
_RATES = 8.0
"""factor between learning rates from which their axis is logarithmic"""
_APART = ("loss", "psnr", "learning_rate", "seconds_spent")

Lines = Sequence[tuple[str, Curve | None, int, bool, bool]]
"""name, curve, colour, whether points are marked, whether it stays behind"""


def training_curves(history: History) -> Html | None:
    """Draw the curves of one training; None where nothing was logged."""
    train, validation = history.curves.get(TRAIN, {}), history.curves.get(VALIDATION, {})
    psnr = [name for name in train if name.endswith("psnr")]
    lines: Lines = [
        (_words(name, "psnr", "training"), train[name], k * 2, False, True) for k, name in enumerate(psnr)
    ]
    held_out = [("held-out views, small", validation.get("psnr"), 1, True, False)]
    losses = sorted((name for name in train if name.startswith("loss")), key=lambda n: (n != "loss", n))
    rates = [name for name in train if name.startswith("learning_rate")]
    charts = [
        _both("PSNR", "dB", [*lines, *held_out]),
        _both("Loss", "", _named(losses, train, "loss", "loss"), logarithmic=True),
        _both(
            "Learning rates" if len(rates) > 1 else "Learning rate",
            "",
            _named(rates, train, "learning_rate", "rate"),
            logarithmic=_spans([train[name] for name in rates]),
        ),
    ]
    others = [name for name in train if not name.endswith("psnr") and not name.startswith(_APART)]
    more = [
        _both(_words(name).capitalize(), "", [(_words(name), train[name], 6, False, False)])
        for name in others
    ]
    return _section(charts, more)


def compared_curves(runs: Sequence[RunFacts]) -> Html | None:
    """Draw the curves of several trainings in shared axes; None where none has logged anything."""

    def lines(kind: str, name: str) -> Lines:
        return [
            (facts.label, facts.history.curve(kind, name), k, kind == VALIDATION, False)
            for k, facts in enumerate(runs)
        ]

    rates = [facts.history.curve(TRAIN, "learning_rate") for facts in runs]
    return _section(
        [
            _both("PSNR of held-out views, small", "dB", lines(VALIDATION, "psnr")),
            _both("PSNR of training", "dB", lines(TRAIN, "psnr")),
            _both("Loss", "", lines(TRAIN, "loss"), logarithmic=True),
            _both(
                "Learning rate",
                "",
                lines(TRAIN, "learning_rate"),
                logarithmic=_spans([rate for rate in rates if rate is not None]),
            ),
        ],
        [],
    )


def _section(charts: Sequence[Html | None], more: Sequence[Html | None]) -> Html | None:
    shown, folded = [c for c in charts if c is not None], [c for c in more if c is not None]
    if not shown and not folded:
        return None
    choice = element(
        "div",
        _choice("minutes", checked=True),
        _choice("steps"),
        class_="axis",
        role="radiogroup",
        aria_label="what curves are drawn against",
    )
    parts = [choice, element("div", *shown, class_="charts")]
    if folded:
        summary = element("summary", f"{len(folded)} more: speed and what else was logged")
        parts.append(element("details", summary, element("div", *folded, class_="charts")))
    return join(parts)


def _choice(name: str, checked: bool = False) -> Html:
    box = element("input", type="radio", name="against", class_=f"to-{name}", checked=checked)
    return element("label", box, f"against {name}")


def _both(title: str, unit: str, lines: Lines, *, logarithmic: bool = False) -> Html | None:
    """Draw lines against minutes and against steps; the page shows one of the two."""
    drawn = []
    pick: dict[str, Callable[[Curve], object]] = {"minutes": lambda c: c.minutes, "steps": lambda c: c.steps}
    for axis, label in _AXES.items():
        series = tuple(
            Series(name, pick[axis](curve), curve.values, colour, marked, faint)  # type: ignore[arg-type]
            for name, curve, colour, marked, faint in lines
            if curve is not None
        )
        chart = draw_chart(Chart(title, label, unit, series, logarithmic))
        if chart is None:
            return None
        drawn.append(element("div", chart, class_=f"by-{axis}"))
    return element("div", *drawn)


def _named(names: Sequence[str], curves: dict[str, Curve], prefix: str, alone: str) -> Lines:
    return [(_words(name, prefix, alone), curves[name], k, False, False) for k, name in enumerate(names)]


def _words(name: str, without: str = "", alone: str = "") -> str:
    """Write a logged name for people, without what the title says already."""
    shown = name.replace(without, "") if without else name
    return shown.replace("_", " ").strip() or alone


def _spans(curves: Sequence[Curve]) -> bool:
    values = [float(v) for curve in curves for v in curve.values if v > 0]
    return bool(values) and max(values) > _RATES * min(values)
