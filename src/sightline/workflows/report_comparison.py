"""The page of several runs, side by side."""

from collections.abc import Sequence

from sightline.media.charts import COLOURS
from sightline.media.html import Html, element, join
from sightline.media.tables import Column, Table, format_cell
from sightline.training.display import short_time
from sightline.workflows import report_parts as parts
from sightline.workflows.report_curves import compared_curves
from sightline.workflows.report_facts import RunFacts
from sightline.workflows.report_scores import comparison, table
from sightline.workflows.report_settings import differing_settings, show_value
from sightline.workflows.report_views import Key, ReportView, ReportViews

_MOST_COLUMNS = 5


def comparison_page(runs: Sequence[RunFacts], views: Sequence[ReportViews], *, width: int) -> Html:
    """Put the page of several runs together.

    Args:
        runs: at least two.
        views: of each run.
        width: pixels across of pictures at most.
    """
    problems = [parts.note(f"{facts.label}: {text}") for facts in runs for text in facts.problems]
    sections = [("scores", "Scores", join([*problems, comparison(runs)]))]
    curves = compared_curves(runs)
    if curves is not None:
        told = (
            "Held-out views are rendered small while training, as small as the speed of a method asks for: "
        )
        told += "between methods, and machines, their PSNR says little. The table above is what compares."
        curves = join([curves, element("p", told, class_="quiet")])
        sections.append(("curves", "Training", curves))
    if any(found.views or found.notes for found in views):
        sections.append(("views", "The same views", _views(runs, views, width)))
    sections.append(("settings", "Settings that differ", _differing(runs)))
    body = [parts.section(id, title, content) for id, title, content in sections]
    return join([_top(runs), parts.navigation([(id, title) for id, title, _ in sections]), *body])


def title_of(runs: Sequence[RunFacts]) -> str:
    """Heading of the page."""
    return f"{len(runs)} runs side by side"


def _top(runs: Sequence[RunFacts]) -> Html:
    columns = (
        Column("run"),
        Column("method"),
        Column("data"),
        Column("status"),
        Column("training"),
        Column("steps"),
    )
    rows = []
    for facts in runs:
        progress = facts.run.record.progress
        preset = f", {facts.run.record.preset}" if facts.run.record.preset else ""
        seconds = short_time(progress.seconds) if progress.seconds else None
        rows.append(
            (
                facts.label,
                facts.run.method_name + preset,
                facts.data_name,
                facts.status.text,
                seconds or "–",
                progress.step or None,
            )
        )
    legend = element("p", *[_key(k, facts) for k, facts in enumerate(runs)], class_="legend")
    open_runs = [facts.label for facts in runs if not facts.status.whole]
    note = (
        parts.note(f"Not finished: {', '.join(open_runs)}. What is shown may change.") if open_runs else None
    )
    lines = [element("h1", title_of(runs)), legend, table(Table(columns, tuple(rows))), note]
    return element("header", *lines, class_="top")


def _key(number: int, facts: RunFacts) -> Html:
    return element("span", element("i", class_=f"c{number % COLOURS}"), facts.label, class_="key")


def _views(runs: Sequence[RunFacts], found: Sequence[ReportViews], width: int) -> Html:
    named = [{view.key: view for view in views.views} for views in found]
    keys = list(dict.fromkeys(key for views in named for key in views))
    # Views that most runs have come first; within, the order is that of the evaluation.
    keys.sort(key=lambda key: -sum(key in views for views in named))
    # A run without any of them takes no room: the notes say why.
    shown = [k for k, views in enumerate(named) if views]
    articles = [
        _article(number, key, [(k, runs[k], named[k]) for k in shown], width)
        for number, key in enumerate(keys)
    ]
    notes = [
        element("li", _key(k, facts), f": {' '.join(views.notes)}")
        for k, (facts, views) in enumerate(zip(runs, found, strict=True))
        if views.notes
    ]
    told = ReportViews()
    return join(
        [
            parts.views_notes(told, with_truth=True),
            element("div", *articles, class_="views"),
            element("ul", *notes, class_="quiet legend-notes"),
        ]
    )


def _article(
    number: int, key: Key, runs: Sequence[tuple[int, RunFacts, dict[Key, ReportView]]], width: int
) -> Html:
    there = [views[key] for _, _, views in runs if key in views]
    truth = next((view.truth for view in there if view.truth is not None), None)
    psnr = [view.scores.get("psnr") for view in there]
    known = [value for value in psnr if value is not None]
    best = max(known) if len(known) > 1 else None
    title = there[0].title
    first = (
        element("figure", element("div", "truth was not saved", class_="empty"))
        if truth is None
        else parts.figure(truth, f"{title}: truth", "truth", width)
    )
    cells = [first]
    for k, facts, views in runs:
        view = views.get(key)
        if view is None:
            cells.append(
                element(
                    "figure",
                    element("div", "not rendered", class_="empty"),
                    element("figcaption", _key(k, facts)),
                )
            )
            continue
        score = view.scores.get("psnr")
        text = "" if score is None else f"{format_cell(score, 2)} dB"
        shown = element("b", text) if score is not None and score == best else text
        caption = join([_key(k, facts), shown], " ")
        figure = [parts.figure(view.prediction, f"{title}: {facts.label}, {text}", caption, width)]
        if view.error is not None:
            figure.append(parts.figure(view.error, f"{title}: error of {facts.label}", "error", width))
        cells.append(element("div", *figure))
    columns = min(len(cells), _MOST_COLUMNS)
    style = parts.row_style(there[0].prediction, columns)
    row = element("div", *cells, class_="row", style=style)
    return element("article", element("h3", title), row, class_="view", id=parts.view_anchor(number))


def _differing(runs: Sequence[RunFacts]) -> Html:
    found = differing_settings(runs)
    if not found:
        return element("p", "The runs have the same settings.")
    columns = (Column("of"), Column("setting"), *(Column(facts.label) for facts in runs))
    rows = tuple((group, name, *map(show_value, values)) for group, name, values in found)
    return table(Table(columns, rows))
