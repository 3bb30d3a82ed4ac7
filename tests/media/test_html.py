import base64
import io

import numpy as np
from PIL import Image

from sightline.media.html import Html, element, encode_picture, escape, join, page, picture


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


def test_texts_are_escaped_and_markup_is_not():
    assert escape('<b> & "c"') == "&lt;b&gt; &amp; &quot;c&quot;"
    assert escape(Html("<b>")) == "<b>"
    assert escape(3) == "3"
    assert escape(None) == ""
    assert join(["a<", Html("<hr>"), None, "c"], "") == "a&lt;<hr>c"


def test_elements():
    link = element("a", "x < y", href='#"quoted"', class_="quiet", data_value=1.5, hidden=True, title=None)
    assert link == '<a href="#&quot;quoted&quot;" class="quiet" data-value="1.5" hidden>x &lt; y</a>'
    assert element("p", element("b", "in"), " out & about") == "<p><b>in</b> out &amp; about</p>"
    # Elements of SVG have an end, and elements that hold nothing have none.
    assert element("line", x1=0) == '<line x1="0"></line>'
    assert element("input", type="checkbox", checked=False) == '<input type="checkbox">'
    assert element("details", "x", open=False) == "<details>x</details>"


def test_small_pictures_are_kept_exactly_and_large_ones_made_smaller():
    small = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert encode_picture(small).startswith("data:image/png;base64,")
    assert np.array_equal(np.asarray(decoded(encode_picture(small))), small)
    large = np.zeros((300, 600, 3), np.uint8)
    large[:, 300:] = (200, 100, 50)
    found = decoded(encode_picture(large, 400))
    assert (found.format, found.size) == ("JPEG", (400, 200))
    assert np.abs(np.asarray(found)[100, 300].astype(int) - (200, 100, 50)).max() <= 3
    assert decoded(encode_picture(large)).size == (600, 300)


def test_pictures_of_few_pixels_are_shown_as_squares():
    assert 'class="shot small"' in picture(np.zeros((8, 8, 3), np.uint8), "eight")
    shown = picture(np.zeros((8, 200, 3), np.uint8), 'a "name"')
    assert 'class="shot"' in shown
    assert 'alt="a &quot;name&quot;"' in shown


def test_a_page_is_whole_and_asks_for_nothing():
    text = page("A <title>", element("p", "hello"))
    assert text.startswith("<!doctype html>")
    assert "<title>A &lt;title&gt;</title>" in text
    assert "<p>hello</p>" in text
    assert "default-src &#x27;none&#x27;" in text
    for loader in ('src="http', 'href="http', "url(", "@import", "<link"):
        assert loader not in text
