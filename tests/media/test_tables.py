import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from sightline.media.tables import Column, Link, Table, format_cell, to_html, to_markdown, to_rich, to_text

TABLE = Table(
    columns=(Column("scene"), Column("PSNR"), Column("views")),
    rows=(("fox | <b>", 25.678, 7), ("[red]", float("inf"), None)),
    title="Results",
)


def test_cells():
    assert format_cell(None) == "–"
    assert format_cell(float("nan")) == "–"
    assert format_cell(float("inf")) == "∞"
    assert format_cell(-float("inf")) == "-∞"
    assert format_cell(1.005, 1) == "1.0"
    assert format_cell(12) == "12"
    assert format_cell("x") == "x"


def test_markdown():
    assert to_markdown(TABLE) == (
        "**Results**\n\n| scene | PSNR | views |\n| --- | ---: | ---: |\n"
        "| fox \\| <b> | 25.68 | 7 |\n| [red] | ∞ | – |\n"
    )


def test_text_is_aligned():
    assert to_text(TABLE).splitlines() == [
        "Results",
        "scene       PSNR  views",
        "---------  -----  -----",
        "fox | <b>  25.68      7",
        "[red]          ∞      –",
    ]


def test_html_is_escaped_and_well_formed():
    found = []

    class Reader(HTMLParser):
        def handle_data(self, data):
            found.append(data)

    text = to_html(TABLE)
    Reader().feed(text)
    assert [data for data in found if data.strip()] == [
        "Results",
        *("scene", "PSNR", "views"),
        *("fox | <b>", "25.68", "7"),
        *("[red]", "∞", "–"),
    ]
    assert '<td class="number">25.68</td>' in text
    assert "<td>fox" in text


def test_terminal_shows_brackets_as_they_are():
    console = Console(file=io.StringIO(), width=80)
    console.print(to_rich(TABLE))
    assert "[red]" in console.file.getvalue()
    assert "25.68" in console.file.getvalue()


def test_rows_must_fit_the_columns():
    with pytest.raises(ValueError, match="2 cells"):
        Table(columns=(Column("a"),), rows=((1, 2),))
    empty = Table(columns=(Column("a"),), rows=())
    assert to_text(empty) == "a\n-\n"
    assert to_markdown(empty) == "| a |\n| --- |\n"


def test_html_for_pages():
    table = Table(
        (Column("view"), Column("PSNR")),
        ((Link("a<b", "view-1"), 30.123456), ("c", float("inf")), ("d", None), ("mean", 30.0)),
    )
    text = to_html(table, sortable=True, footer=1, classes=[["", "best"]])
    assert text.startswith('<table class="sortable">')
    assert (
        '<td><a href="#view-1">a&lt;b</a></td><td class="number best" data-value="30.123456">30.12</td>'
        in text
    )
    assert '<td class="number" data-value="Infinity">∞</td>' in text
    assert '<td class="number" data-value="">–</td>' in text
    body, foot = text.split("</tbody>")
    assert "mean" not in body
    assert '<tfoot>\n<tr><td>mean</td><td class="number" data-value="30.0">30.00</td></tr>\n</tfoot>' in foot
    assert to_text(table).splitlines()[2].startswith("a<b ")
    assert "| a<b |" in to_markdown(table)
