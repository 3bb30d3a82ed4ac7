"""Pages of reports in a real browser: whole, silent, sortable, and readable on a phone and on a desk."""

import re
from itertools import product

import pytest

from browser import complaints
from sightline.foundation.files import read_json, write_json
from sightline.methods.base import Scene
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings
from sightline.workflows.evaluate import evaluate_run
from sightline.workflows.report import report_runs

SIZES = {"phone": (400, 800), "desk": (1400, 900)}


@pytest.fixture
def scored(make_run, monkeypatch):
    monkeypatch.setattr(Scene, "capabilities", frozenset({"rgb", "depth"}))

    def make(name: str = "run", **config):
        run = make_run(name, **config)
        settings = TrainSettings(steps=60, log_every=5, eval_every=20, device="cpu")
        train_run(TrainOrder(run.path, settings))
        evaluate_run(run.path, device="cpu")
        evaluate_run(run.path, device="cpu", split="train")
        return run.path

    return make


def look(browser, page, size: str = "desk", theme: str = "light") -> None:
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.as_uri())


def asked_for(browser) -> list[str]:
    """Addresses of everything that the page has loaded or tried to load."""
    script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    return [name for name in browser.execute_script(script) if not name.startswith("data:")]


def check_whole(browser, page) -> None:
    assert complaints(browser) == []
    assert asked_for(browser) == []
    text = page.read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert [source for source in sources if not source.startswith(("data:image/", "#"))] == []
    pictures = browser.execute_script(
        "return [...document.images].filter(i => !i.closest('dialog')).map(i => [i.alt, i.naturalWidth])"
    )
    assert pictures
    assert [alt for alt, width in pictures if not width] == []


def sideways(browser) -> int:
    """How many pixels the page is too wide for its window."""
    return browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")


def test_a_page_is_whole_and_fits_in_light_and_dark(browser, scored):
    run = scored()
    record = read_json(run / "run.json")
    record["training"]["a_name_as_long_as_names_are"] = "a value as long"
    write_json(run / "run.json", record)
    page = report_runs([run], device="cpu").path
    for size, theme in product(SIZES, ("light", "dark")):
        look(browser, page, size, theme)
        check_whole(browser, page)
        assert sideways(browser) <= 0
        ink, paper = browser.execute_script(
            "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        )
        lightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in (ink, paper)]
        assert abs(lightness[0] - lightness[1]) > 180  # of 255
        assert (lightness[1] > 128) == (theme == "light")
        # Pictures of a view stand side by side where there is room, two by two on a phone.
        tops = browser.execute_script(
            "const row = [...document.querySelector('.view .row').children];"
            "return row.map(e => Math.round(e.getBoundingClientRect().top))"
        )
        assert len(tops) == 4
        assert len(set(tops)) == (1 if size == "desk" else 2)
        # No cell of the settings lies over its neighbour.
        over = browser.execute_script(
            "return [...document.querySelectorAll('table.settings tbody tr')].filter(row => {"
            "const range = document.createRange(); range.selectNodeContents(row.cells[0]);"
            "return range.getBoundingClientRect().right > row.cells[1].getBoundingClientRect().left;"
            "}).length"
        )
        assert over == 0
        # Letters in charts keep a size that can be read.
        letters = browser.execute_script(
            "return document.querySelector('.by-minutes svg text').getBoundingClientRect().height"
        )
        assert letters >= 10


def column(browser, name: str) -> list[str]:
    script = """
const table = [...document.querySelectorAll('table.sortable')].find(t => t.tBodies[0].rows.length === 9);
const heads = [...table.tHead.rows[0].cells].map(c => c.textContent);
return [...table.tBodies[0].rows].map(r => r.cells[heads.indexOf(arguments[0])].textContent)"""
    return browser.execute_script(script, name)


def click(browser, name: str) -> str:
    script = """
const table = [...document.querySelectorAll('table.sortable')].find(t => t.tBodies[0].rows.length === 9);
const head = [...table.tHead.rows[0].cells].find(c => c.textContent === arguments[0]);
head.click();
return head.getAttribute('aria-sort')"""
    return browser.execute_script(script, name)


def test_tables_are_sorted_by_their_headings(browser, scored):
    look(browser, report_runs([scored()], device="cpu").path)
    before = column(browser, "PSNR")
    assert len(before) == 9
    assert click(browser, "PSNR") == "ascending"
    assert column(browser, "PSNR") == sorted(before, key=float)
    assert click(browser, "PSNR") == "descending"
    assert column(browser, "PSNR") == sorted(before, key=float, reverse=True)
    assert click(browser, "view") == "ascending"
    assert column(browser, "view") == [f"train/r_{k}.png" for k in range(9)]
    # The mean stays below, whatever the order is.
    feet = browser.execute_script("return [...document.querySelectorAll('tfoot td')].map(c => c.textContent)")
    assert feet.count("mean") == 2


def test_links_charts_pictures_and_choices_work(browser, scored):
    look(browser, report_runs([scored()], device="cpu").path)
    browser.execute_script("document.querySelector('table a[href=\"#view-2\"]').click()")
    assert browser.execute_script("return location.hash") == "#view-2"
    top = browser.execute_script("return document.getElementById('view-2').getBoundingClientRect().top")
    assert top < 900
    # Minutes or steps.
    shown = "return [...document.querySelectorAll(arguments[0])].filter(e => e.offsetHeight > 0).length"
    minutes = browser.execute_script(shown, ".charts .by-minutes")
    assert minutes >= 3
    assert browser.execute_script(shown, ".charts .by-steps") == 0
    browser.execute_script("document.querySelector('.to-steps').click()")
    assert browser.execute_script(shown, ".charts .by-steps") == minutes
    assert browser.execute_script(shown, ".charts .by-minutes") == 0
    # The values of the lines under the pointer.
    told = browser.execute_script(
        "const svg = document.querySelector('.by-steps svg'); svg.scrollIntoView({block: 'center'});"
        "const box = svg.getBoundingClientRect();"
        "svg.dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 5, clientY: box.top + 50}));"
        "return svg.closest('figure').querySelector('.tip').textContent"
    )
    assert told.startswith("step: 60")
    assert "training" in told
    assert "held-out views" in told
    # Only settings that were changed.
    rows = browser.execute_script(shown, "table.settings tbody tr")
    browser.execute_script("document.querySelector('.only input').click()")
    kept = browser.execute_script(shown, "table.settings tbody tr")
    assert 0 < kept < rows
    # A picture opens large; the next one of the row is a key away.
    browser.execute_script("document.querySelector('img.shot').click()")
    viewer = "const d = document.querySelector('dialog'); return [d.open, d.querySelector('p').textContent]"
    opened, text = browser.execute_script(viewer)
    assert opened
    assert text.startswith("test/r_0.png: truth")
    browser.execute_script(
        "document.querySelector('dialog').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))"
    )
    assert browser.execute_script(viewer)[1].startswith("test/r_0.png: prediction")
    assert complaints(browser) == []


def test_a_page_of_several_runs(browser, scored, tmp_path):
    runs = [scored("first"), scored("second", learning_rate=0.2)]
    page = report_runs(runs, device="cpu", out=tmp_path / "page.html").path
    for size in SIZES:
        look(browser, page, size)
        check_whole(browser, page)
        assert sideways(browser) <= 0
    legends = browser.execute_script(
        "return [...document.querySelectorAll('.by-minutes .legend')].map(e => e.textContent)"
    )
    assert len(legends) == 4
    assert all("first" in text and "second" in text for text in legends)


def test_names_of_files_do_nothing_to_the_page(browser, scored, tmp_path):
    run = scored()
    path = run / "eval" / "test" / "metrics.json"
    wild = "<script>window.broken=1</script>'><b onclick=x>"
    path.write_text(path.read_text(encoding="utf-8").replace("test/r_0.png", wild), encoding="utf-8")
    page = report_runs([run], device="cpu", render=False, out=tmp_path / "a page #1 & more.html").path
    look(browser, page)
    assert browser.execute_script("return window.broken") is None
    cells = browser.execute_script("return [...document.querySelectorAll('td')].map(c => c.textContent)")
    assert wild in cells
    assert complaints(browser) == []
