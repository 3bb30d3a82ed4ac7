"""Tables as text, Markdown and HTML, from one description."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table as RichTable
from rich.text import Text


@dataclass(frozen=True)
class Link:
    """A text that leads to another place of its page; a plain text everywhere but in HTML."""

    text: str
    target: str
    """id of an element"""


Cell = str | int | float | Link | None


@dataclass(frozen=True)
class Column:
    """A column: its heading, and the decimals of its floating-point numbers."""

    name: str
    digits: int = 2


@dataclass(frozen=True)
class Table:
    """Rows of cells. None shows as a dash (no value), infinity as ∞; numbers stand on the right."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""

    def __post_init__(self):
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns")

    def texts(self) -> list[list[str]]:
        """Every cell as it is shown, row by row."""
        digits = [column.digits for column in self.columns]
        return [[format_cell(*pair) for pair in zip(row, digits, strict=True)] for row in self.rows]

    def numeric(self) -> list[bool]:
        """For each column, whether it holds numbers only (dashes aside)."""
        cells = zip(*self.rows, strict=True) if self.rows else ([] for _ in self.columns)
        return [
            any(c is not None for c in column) and not any(isinstance(c, str | Link) for c in column)
            for column in cells
        ]


def format_cell(cell: Cell, digits: int = 2) -> str:
    """Show one value: None as a dash, infinity as ∞, floating-point numbers with `digits` decimals."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, float):
        if math.isinf(cell):
            return "∞" if cell > 0 else "-∞"
        return f"{cell:.{digits}f}"
    return cell.text if isinstance(cell, Link) else str(cell)


def to_markdown(table: Table) -> str:
    """Write the table in GitHub's Markdown, with its title above."""
    headings = [_escape_markdown(column.name) for column in table.columns]
    rules = ["---:" if numeric else "---" for numeric in table.numeric()]
    body = [[_escape_markdown(text) for text in row] for row in table.texts()]
    lines = ["| " + " | ".join(row) + " |" for row in [headings, rules, *body]]
    title = [f"**{_escape_markdown(table.title)}**", ""] if table.title else []
    return "\n".join([*title, *lines]) + "\n"


def to_html(
    table: Table, *, sortable: bool = False, footer: int = 0, classes: Sequence[Sequence[str]] = ()
) -> str:
    """Write the table as an HTML fragment, every text escaped; columns of numbers have the class `number`.

    Args:
        sortable: give the table the class `sortable`, and cells of numbers their exact values, for the
            script of `media.html.page`.
        footer: so many of the last rows sum up the others: they stay below them.
        classes: further classes of each cell, a row per row.
    """
    numeric = table.numeric()
    body, foot = [], []
    for index, (cells, texts) in enumerate(zip(table.rows, table.texts(), strict=True)):
        more = classes[index] if index < len(classes) else [""] * len(cells)
        shown = [
            _html_cell(cell, text, number, extra, sortable)
            for cell, text, number, extra in zip(cells, texts, numeric, more, strict=True)
        ]
        (body if index < len(table.rows) - footer else foot).append(f"<tr>{''.join(shown)}</tr>")
    names = zip(table.columns, numeric, strict=True)
    head = "".join(f"<th{_class('number' * n)}>{html.escape(column.name)}</th>" for column, n in names)
    caption = f"<caption>{html.escape(table.title)}</caption>\n" if table.title else ""
    opening = f"<table{_class('sortable' * sortable)}>\n{caption}<thead><tr>{head}</tr></thead>\n"
    closing = "<tfoot>\n" + "\n".join(foot) + "\n</tfoot>\n" if foot else ""
    return opening + "<tbody>\n" + "\n".join(body) + f"\n</tbody>\n{closing}</table>\n"


def _html_cell(cell: Cell, text: str, number: bool, extra: str, exact: bool) -> str:
    kind = _class(" ".join(filter(None, ["number" * number, extra])))
    value = ""
    if exact and number and not isinstance(cell, str | Link):
        known = cell is not None and not (isinstance(cell, float) and math.isnan(cell))
        value = f' data-value="{float(cell)!r}"' if known else ' data-value=""'  # type: ignore[arg-type]
        if isinstance(cell, float) and math.isinf(cell):
            value = f' data-value="{"-" * (cell < 0)}Infinity"'
    shown = html.escape(text)
    if isinstance(cell, Link):
        shown = f'<a href="#{html.escape(cell.target)}">{shown}</a>'
    return f"<td{kind}{value}>{shown}</td>"


def _class(names: str) -> str:
    return f' class="{html.escape(names)}"' if names else ""


def to_rich(table: Table) -> RichTable:
    """Make the table that `rich` prints in a terminal."""
    shown = RichTable(title=table.title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for column, numeric in zip(table.columns, table.numeric(), strict=True):
        shown.add_column(column.name, justify="right" if numeric else "left")
    for row in table.texts():
        shown.add_row(*(Text(text) for text in row))
    return shown


def to_text(table: Table) -> str:
    """Write the table in aligned columns of plain text."""
    headings = [column.name for column in table.columns]
    body = table.texts()
    widths = [max(map(len, column)) for column in zip(headings, *body, strict=True)]
    numeric = table.numeric()

    def line(cells: list[str]) -> str:
        triples = zip(cells, widths, numeric, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in triples).rstrip()

    title = [table.title] if table.title else []
    return "\n".join([*title, line(headings), line(["-" * w for w in widths]), *map(line, body)]) + "\n"


def _escape_markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
