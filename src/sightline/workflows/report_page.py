"""The page of one run."""

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.evaluation.training_pictures import thin
from sightline.foundation.errors import InputError, warn
from sightline.media.html import Html, element, join, picture
from sightline.media.images import read_image
from sightline.media.tables import Column, Table
from sightline.training.display import short_time
from sightline.workflows import report_parts as parts
from sightline.workflows.report_curves import training_curves
from sightline.workflows.report_facts import RunFacts
from sightline.workflows.report_scores import (
    anchor_of,
    evaluation_section,
    facts_list,
    main_figures,
    scores_of,
    table,
)
from sightline.workflows.report_settings import GROUPS, Setting, settings_of, show_value
from sightline.workflows.report_views import ReportViews

_SHEETS = 4
"""pictures of validations that are shown"""
_SHEET_WIDTH = 1000
_HEADINGS = {"method": "Method", "training": "Training", "data": "Data"}


def run_page(facts: RunFacts, views: ReportViews, *, width: int, pictures: bool = True) -> Html:
    """Put the page of one run together.

    Args:
        views: the pictures of held-out views.
        width: pixels across of pictures at most.
        pictures: whether thumbnails, cameras and pictures of the training are shown too.
    """
    curves = training_curves(facts.history)
    sections: list[tuple[str, str, Sequence[Any]]] = []
    if views.views or views.notes:
        sections.append(("views", "Held-out views", [parts.views_section(views, width)]))
    sections.append(("scores", "Scores", _scores(facts, views)))
    told = [_log_note(facts), curves]
    if curves is not None or facts.imported_from is None:
        sections.append(("curves", "Training", told))
    if pictures and (sheets := _validation_sheets(facts, width, not views.views)):
        sections.append(("progress", "While it learnt", sheets))
    sections.append(("data", "Data and cameras", _data(facts, pictures)))
    sections.append(("settings", "Settings", _settings(facts)))
    sections.append(("machine", "Machine and time", [_machine(facts)]))
    body = [parts.section(id, title, *content) for id, title, content in sections]
    return join([_top(facts), parts.navigation([(id, title) for id, title, _ in sections]), *body])


def _top(facts: RunFacts) -> Html:
    record, info = facts.run.record, facts.info
    method = facts.run.method_name + ("" if info is None else f": {info.summary}")
    of = f"{method} ({info.paper})" if info is not None and info.paper != "none" else method
    data = f"{facts.data_name}, {_how_much(facts)}" if _how_much(facts) else facts.data_name
    status = element("span", facts.status.text, class_="status" if facts.status.whole else "status open")
    preset = f", preset {record.preset}" if record.preset else ""
    lines = [
        element("p", f"{of}{preset}", class_="kind"),
        element("h1", facts.label),
        element("p", status, f"  {data}", class_="about"),
        _figures(facts),
        _status_note(facts),
    ]
    return element("header", *lines, class_="top")


def _how_much(facts: RunFacts) -> str:
    if facts.collection is not None:
        count = len(facts.collection.objects)
        counts = {name: len(members) for name, members in facts.collection.splits.items() if members}
        return f"{count:,} {'object' if count == 1 else 'objects'}: {_counted(counts)}"
    if facts.capture_record is not None:
        counts = {name: len(members) for name, members in facts.capture_record.splits.items() if members}
        return f"{len(facts.capture_record.cameras)} views: {_counted(counts)}"
    return ""


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none split"


def _figures(facts: RunFacts) -> Html | None:
    """The few numbers that one looks for first."""
    record, found = facts.run.record, []
    if facts.main is not None:
        found += main_figures(facts.main)
    elif record.progress.best_psnr is not None:
        found.append(("best PSNR while training", f"{record.progress.best_psnr:.2f} dB"))
    if record.progress.seconds:
        found.append(("training", _time(record.progress.seconds)))
    if record.progress.step:
        found.append(("steps", f"{record.progress.step:,}"))
    if facts.main is not None and facts.main.metrics.get("seconds_per_view") is not None:
        found.append(("a view", f"{facts.main.metrics['seconds_per_view']:.3g} s"))
    if not found:
        return None
    shown = [element("div", element("dt", name), element("dd", _with_unit(text))) for name, text in found]
    return element("dl", *shown, class_="figures")


def _time(seconds: float) -> str:
    """Write a time that was asked for in minutes as such."""
    return short_time(seconds).removesuffix(" 0 s")


def _with_unit(text: str) -> Html:
    """Write the unit of a single number small."""
    number, _, unit = text.partition(" ")
    return join([number, " ", element("small", unit)], "") if unit in ("dB", "s") else join([text])


def _status_note(facts: RunFacts) -> Html | None:
    if facts.status.whole:
        return None
    if facts.status.running:
        return parts.note("This run is still training: the page shows what there was when it was made.")
    return parts.note(
        "The training was stopped before its end; ",
        element("code", "sightline train … --resume"),
        " goes on with it.",
    )


def _log_note(facts: RunFacts) -> Html | None:
    history = facts.history
    if history.damaged:
        lines = "line" if history.damaged == 1 else "lines"
        return parts.note(
            f"{history.damaged} damaged {lines} of metrics.jsonl could not be read and were left out."
        )
    if history.lines:
        return None
    where = "metrics.jsonl is empty" if history.exists else "there is no metrics.jsonl"
    return element("p", f"Nothing was logged: {where}.", class_="quiet")


def _scores(facts: RunFacts, views: ReportViews) -> list[Html | None]:
    shown: list[Html | None] = [parts.note(problem) for problem in facts.problems]
    if not facts.evaluations:
        command = element("code", f"sightline eval {facts.run.path.as_posix()}")
        return [*shown, element("p", "There are no scores; this makes them: ", command)]
    if len(facts.evaluations) > 1:
        lines = [
            element(
                "li",
                element("a", evaluation.name, href=f"#{anchor_of(evaluation)}"),
                f": {_in_a_line(evaluation.metrics)}",
            )
            for evaluation in facts.evaluations
        ]
        shown.append(element("ul", *lines))
    for evaluation in facts.evaluations:
        own = views.evaluation is not None and views.evaluation.folder == evaluation.folder
        anchors = {view.key: parts.view_anchor(k) for k, view in enumerate(views.views)} if own else {}
        shown.append(evaluation_section(evaluation, anchors))
    return shown


def _in_a_line(metrics: Mapping[str, Any]) -> str:
    psnr = scores_of(metrics)["psnr"]
    score = "no PSNR" if psnr is None else f"{psnr:.2f} dB"
    return f"{score}, {metrics['views']} views, protocol {metrics['protocol']}"


def _validation_sheets(facts: RunFacts, width: int, opened: bool) -> list[Html]:
    """Some of the pictures that were made while training, from the first to the last, which may be open."""
    found = sorted((facts.run.path / "eval" / "validation").glob("*.png"))
    shown = []
    for path in [found[0], *thin(found[1:-1], _SHEETS - 2), found[-1]] if len(found) > 1 else found:
        try:
            sheet = read_image(path)
        except InputError as error:
            warn(f"A picture is left out. {error}")
            continue
        step = f"step {int(path.stem):,}" if path.stem.isdecimal() else path.stem
        across = min(_SHEET_WIDTH, 2 * width)
        shown.append(
            element(
                "details",
                element("summary", step),
                picture(sheet[..., :3], f"validation at {step}", width=across, class_="sheet"),
                open=opened and path == found[-1],
            )
        )
    return shown


def _data(facts: RunFacts, pictures: bool) -> list[Html | None]:
    record, source = facts.capture_record, facts.run.record.data
    listed: dict[str, Html | str | None] = {"place": source.path or "imported without its data"}
    if record is not None:
        sizes = sorted({f"{width} × {height}" for width, height in record.image_sizes.tolist()})
        listed |= {
            "format": record.format,
            "pictures": (", ".join(sizes[:4]) + (" and others" if len(sizes) > 4 else ""))
            + (", with alpha" if record.channels == 4 else ""),
            "background": record.background,
        }
    listed["how much"] = _how_much(facts)
    shown: list[Html | None] = [facts_list(listed)]
    if facts.collection is not None:
        shown.append(element("p", f"Cameras of the object {facts.collection.reference}:", class_="quiet"))
    if pictures:
        shown.append(parts.thumbnails_part(facts))
        if facts.capture is not None:
            shown.append(parts.cameras_part(facts.capture))
    if record is None:
        shown.append(element("p", "The run does not know its cameras.", class_="quiet"))
    return shown


def _settings(facts: RunFacts) -> list[Html | None]:
    groups = settings_of(facts)
    changed = sum(setting.changed for group in groups.values() for setting in group)
    box = element("input", type="checkbox")
    text = f"show only what differs from the defaults ({changed})"
    shown: list[Html | None] = [element("label", box, text, class_="only")]
    for name in GROUPS:
        if groups[name]:
            shown += [element("h3", _HEADINGS[name]), _settings_table(groups[name])]
    return shown


def _settings_table(settings: Sequence[Setting]) -> Html:
    columns = (Column("setting"), Column("value"), Column("default"), Column("meaning"))
    rows, classes = [], []
    for setting in settings:
        by = " (by the preset)" if setting.by_preset and setting.changed else ""
        value = show_value(setting.value) + by
        rows.append((setting.name, value, setting.default_text, setting.meaning))
        classes.append(["", "changed" if setting.changed else "", "quiet", "meaning"])
    html = table(Table(columns, tuple(rows)), classes=classes)
    return Html(html.replace("<table>", '<table class="settings">', 1))


def _exactly(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else short_time(seconds)


def _machine(facts: RunFacts) -> Html:
    record = facts.run.record
    device, source = record.device, record.source
    hardware = [
        str(device[name]) + (" cores" if name == "cores" else "")
        for name in ("gpu", "processor", "cores")
        if device.get(name)
    ]
    timings = {name.replace("_", " "): _exactly(value) for name, value in record.timings.items()}
    files = ", ".join(str(file.get("name")) for file in source.get("files", []))
    return facts_list(
        {
            "device": ", ".join(hardware),
            "seed": str(record.seed),
            "training time": short_time(record.progress.seconds) if record.progress.seconds else None,
            "time for": ", ".join(f"{name} {text}" for name, text in timings.items()),
            "versions": ", ".join(f"{name} {text}" for name, text in record.versions.items()),
            "imported from": f"{facts.imported_from}: {files}" if facts.imported_from else None,
            "folder": facts.run.path.as_posix(),
        }
    )
