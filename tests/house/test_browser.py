"""The browser of tests draws, reaches this machine alone, and tells what goes wrong in a page."""

from browser import complaints


def test_a_page_of_a_file_draws_with_webgl2(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<canvas id=c width=4 height=4></canvas><script>"
        "const gl = document.getElementById('c').getContext('webgl2', {preserveDrawingBuffer: true});"
        "gl.clearColor(1, 0.5, 0, 1); gl.clear(gl.COLOR_BUFFER_BIT);"
        "const p = new Uint8Array(4); gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, p);"
        "document.title = p.join(','); undefined_name();</script>",
        encoding="utf-8",
    )
    browser.get(page.as_uri())
    assert browser.title == "255,128,0,255"
    assert any("undefined_name" in text for text in complaints(browser))


def test_nothing_but_this_machine_is_reached(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<p>a page</p>", encoding="utf-8")
    browser.get(page.as_uri())
    asked = (
        "const done = arguments[0]; fetch('http://example.org').then(() => done('reached'), () => done('no'))"
    )
    assert browser.execute_async_script(asked) == "no"
