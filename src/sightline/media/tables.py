"""Tables as text, Markdown and HTML, from one description."""

import html
import math
from dataclasses import dataclass

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

Cell = str | int | float | None


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
            any(c is not None for c in column) and not any(isinstance(c, str) for c in column)
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
    return str(cell)


def to_markdown(table: Table) -> str:
    """Write the table in GitHub's Markdown, with its title above."""
    headings = [_escape_markdown(column.name) for column in table.columns]
    rules = ["---:" if numeric else "---" for numeric in table.numeric()]
    body = [[_escape_markdown(text) for text in row] for row in table.texts()]
    lines = ["| " + " | ".join(row) + " |" for row in [headings, rules, *body]]
    title = [f"**{_escape_markdown(table.title)}**", ""] if table.title else []
    return "\n".join([*title, *lines]) + "\n"


def to_html(table: Table) -> str:
    """Write the table as an HTML fragment, every text escaped; columns of numbers have the class `number`."""
    kinds = [' class="number"' if numeric else "" for numeric in table.numeric()]

    def row(cells: list[str], tag: str) -> str:
        marked = (f"<{tag}{kind}>{html.escape(c)}</{tag}>" for c, kind in zip(cells, kinds, strict=True))
        return f"<tr>{''.join(marked)}</tr>"

    caption = f"<caption>{html.escape(table.title)}</caption>\n" if table.title else ""
    head = row([column.name for column in table.columns], "th")
    body = "\n".join(row(cells, "td") for cells in table.texts())
    return f"<table>\n{caption}<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


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
