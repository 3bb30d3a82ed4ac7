"""Parts that the pages of one and of several runs share: pictures of views, cameras, notes."""

from collections.abc import Sequence

import numpy as np

from sightline.captures import Capture, draw_cameras_svg
from sightline.captures.drawing import COLOURS
from sightline.evaluation.pictures import ERROR_SCALE
from sightline.evaluation.training_pictures import thin
from sightline.foundation.errors import warn
from sightline.media.html import Html, Part, element, embed_file, join, picture
from sightline.media.tables import format_cell
from sightline.workflows.report_facts import RunFacts
from sightline.workflows.report_views import ReportView, ReportViews

_TALLEST = 20.0
"""height of a picture at most, in units of the font"""
_MOST_THUMBNAILS = 60


def section(id: str, title: str, *parts: Part) -> Html:
    """A part of the page that the list at its top leads to."""
    return element("section", element("h2", title), *parts, id=id)


def navigation(sections: Sequence[tuple[str, str]]) -> Html:
    """The list at the top of the page: id and title of each part."""
    return element("nav", *[element("a", title, href=f"#{id}") for id, title in sections])


def note(*parts: Part) -> Html:
    """Something to know before reading on."""
    return element("p", *parts, class_="note")


def view_anchor(number: int) -> str:
    """Id of a view's pictures."""
    return f"view-{number + 1}"


def score_text(view: ReportView) -> str:
    """Scores of a view in a line."""
    scores = view.scores
    parts = []
    if scores.get("psnr") is not None:
        parts.append(f"{format_cell(scores['psnr'], 2)} dB")
    if scores.get("ssim") is not None:
        parts.append(f"SSIM {format_cell(scores['ssim'], 4)}")
    if scores.get("lpips") is not None:
        parts.append(f"LPIPS {format_cell(scores['lpips'], 4)}")
    return " · ".join(parts)


def views_section(views: ReportViews, width: int) -> Html:
    """Show each view in a row: sources, truth, prediction, error and depth as far as they are there."""
    shown = views.views
    with_truth = any(view.truth is not None for view in shown)
    with_depth = any(view.depth is not None for view in shown)
    most_sources = max((len(view.sources) for view in shown), default=0)
    columns = most_sources + 1 + 2 * with_truth + with_depth
    articles = []
    for number, view in enumerate(shown):
        figures = [
            figure(view.sources[k], f"{view.title}: source", _source(view, k), width)
            if k < len(view.sources)
            else _empty("no source", view.prediction)
            for k in range(most_sources)
        ]
        if with_truth:
            figures.append(
                _empty("truth was not saved", view.prediction)
                if view.truth is None
                else figure(view.truth, f"{view.title}: truth", "truth", width)
            )
        figures.append(figure(view.prediction, f"{view.title}: prediction", "prediction", width))
        if with_truth and view.error is not None:
            figures.append(figure(view.error, f"{view.title}: error", "error", width))
        if with_depth and view.depth is not None:
            figures.append(figure(view.depth, f"{view.title}: depth", "depth", width))
        heading = element("h3", view.title, element("span", score_text(view)))
        articles.append(
            element(
                "article",
                heading,
                element("div", *figures, class_="row", style=row_style(view.prediction, columns)),
                class_="view",
                id=view_anchor(number),
            )
        )
    return join([views_notes(views, with_truth), element("div", *articles, class_="views")])


def _source(view: ReportView, number: int) -> str:
    return "source" if view.source_count <= 1 else f"source {number + 1} of {view.source_count}"


def views_notes(views: ReportViews, with_truth: bool) -> Html:
    """Where pictures are from, and what their colours mean."""
    told = list(views.notes)
    if with_truth:
        told.append(f"Errors: black is none, white {ERROR_SCALE} or more of the range of colours.")
    if views.depth_ends is not None:
        near, far = views.depth_ends
        told.append(f"Depth: red is {near:.3g} and nearer, blue {far:.3g} and farther, in the data's units.")
    return element("p", " ".join(told), class_="quiet")


def figure(image: np.ndarray, text: str, caption: Part, width: int) -> Html:
    """A picture with a line under it."""
    return element("figure", picture(image, text, width=width), element("figcaption", caption))


def _empty(text: str, like: np.ndarray) -> Html:
    shape = f"--shape: {like.shape[1]} / {like.shape[0]}"
    return element("figure", element("div", text, class_="empty", style=shape))


def row_style(image: np.ndarray, columns: int) -> str:
    """As many columns, not so wide that pictures become too high."""
    aspect = image.shape[1] / image.shape[0]
    return f"--columns: {columns}; max-width: {columns * (_TALLEST * aspect + 0.7):.1f}rem"


def cameras_part(capture: Capture) -> Html | None:
    """The cameras from above and from the side; None where they cannot be drawn."""
    try:
        drawn = draw_cameras_svg(capture)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        warn(f"The cameras of {capture.name} cannot be drawn ({error})")
        return None
    figures = [element("figure", _labelled(Html(svg), side, capture)) for side, svg in drawn.items()]
    return element("div", *figures, class_="cameras")


def _labelled(svg: Html, side: str, capture: Capture) -> Html:
    text = element("svg", role="img", aria_label=f"{len(capture)} cameras {side}")
    return Html(svg.replace("<svg", text[: text.index(">")], 1))


def thumbnails_part(facts: RunFacts) -> Html | None:
    """Small pictures of what was photographed, with the colour of their split; None where none are kept."""
    record = facts.capture_record
    if record is None or not record.thumbnails:
        return None
    split_of = {index: name for name, members in record.splits.items() for index in members}
    shown = []
    for index in thin(sorted(record.thumbnails), _MOST_THUMBNAILS):
        split = split_of.get(index, "none")
        text = f"{record.image_names[index]} ({split})"
        style = f"--c: {COLOURS.get(split, COLOURS['none'])}"
        source = embed_file(record.thumbnails[index])
        shown.append(element("img", src=source, alt=text, title=text, style=style))
    return element("div", *shown, class_="strip")
