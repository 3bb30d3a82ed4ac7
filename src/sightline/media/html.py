"""Pages of HTML that are one file: style, scripts and pictures inline, nothing loaded from anywhere.

Markup is of the type `Html`; every other text is escaped when it becomes part of it, so names of files and
messages cannot break a page.
"""

import base64
import html
import io
from collections.abc import Iterable
from importlib.resources import files

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sightline.media.images import encode_png

JPEG_QUALITY = 88
SMALL_PICTURE = 192 * 192
"""pixels up to which pictures are kept without loss"""

# Only what is in the file itself may be shown or run, whatever text found its way into it.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_EMPTY = frozenset({"img", "meta", "input", "br", "hr"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Part = Html | str | int | float | None
"""what elements hold: markup, or a text or number that is escaped; None is nothing"""


def escape(part: Part) -> Html:
    """Make markup of a text; markup stays as it is."""
    if part is None:
        return Html("")
    return part if isinstance(part, Html) else Html(html.escape(str(part)))


def join(parts: Iterable[Part], between: str = "\n") -> Html:
    """Put parts one after the other."""
    return Html(between.join(escape(part) for part in parts if part is not None))


def element(tag: str, *parts: Part, **attributes: str | int | float | bool | None) -> Html:
    """Make an element: element("a", "text", href="#there", class_="quiet").

    Args:
        parts: what is in it.
        attributes: `class_` is class, `data_value` is data-value; None and False leave one out, True gives
            it no value.
    """
    shown = []
    for name, value in attributes.items():
        key = name.rstrip("_").replace("_", "-")
        if value is True:
            shown.append(f" {key}")
        elif value is not None and value is not False:
            shown.append(f' {key}="{html.escape(str(value))}"')
    opening = f"<{tag}{''.join(shown)}>"
    return Html(opening if tag in _EMPTY and not parts else f"{opening}{join(parts, '')}</{tag}>")


def encode_picture(image: UInt8[np.ndarray, "height width 3"], width: int | None = None) -> str:
    """Encode a picture as a data URI: JPEG, or PNG for small ones, whose pixels are looked at.

    Args:
        width: at most so many pixels across; wider ones are made smaller.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    if width is not None and picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    if picture.width * picture.height <= SMALL_PICTURE:
        return _uri("png", encode_png(np.asarray(picture)))
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return _uri("jpeg", stream.getvalue())


def embed_file(data: bytes) -> str:
    """Give the bytes of a PNG or JPEG file as a data URI."""
    return _uri("png" if data.startswith(b"\x89PNG") else "jpeg", data)


def picture(
    image: UInt8[np.ndarray, "height width 3"], text: str, *, width: int | None = None, class_: str = "shot"
) -> Html:
    """Show a picture that opens large when it is clicked.

    Args:
        text: what it shows, for those who do not see it.
        width: at most so many pixels across.
    """
    height, across = image.shape[:2]
    if across < 128:
        class_ += " small"
    return element(
        "img", src=encode_picture(image, width), alt=text, class_=class_, width=across, height=height
    )


def page(title: str, body: Html) -> str:
    """Make the whole file: with the style and scripts that charts, tables and pictures need."""
    folder = files("sightline.media")
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    head = join(
        [
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            Html(f"<style>\n{style}</style>"),
        ]
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
