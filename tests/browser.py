"""A real browser for tests of pages: Chromium, without a window and without a network.

Tests take the fixture `browser` of `tests/conftest.py`. Where there is no Chromium they are skipped, unless
`SIGHTLINE_REQUIRE_BROWSER=1` turns that into a failure.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVERS = ("chromedriver", "chromium-driver")
# Software graphics (WebGL2 included), pages of local files, and every host but this machine unknown.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--allow-file-access-from-files",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--no-proxy-server",
    "--no-first-run",
)


def find_browser() -> tuple[str, str]:
    """Paths of the browser and its driver; skips the test, or fails it, where there are none."""
    found = [next(filter(None, map(shutil.which, names)), None) for names in (_BROWSERS, _DRIVERS)]
    if found[0] is None or found[1] is None:
        told = "needs Chromium and ChromeDriver (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("SIGHTLINE_REQUIRE_BROWSER") == "1":
            pytest.fail(told)
        pytest.skip(told)
    return found[0], found[1]


@contextmanager
def open_browser(
    profile: Path, *, size: tuple[int, int] = (1000, 800), flags: tuple[str, ...] = (), webgl: bool = True
) -> Iterator[webdriver.Chrome]:
    """Start a browser, and end it.

    Args:
        profile: folder for the browser's own files.
        size: of the window, CSS pixels.
        flags: further flags of Chromium.
        webgl: whether pages can draw with WebGL.
    """
    program, driver = find_browser()
    options = Options()
    options.binary_location = program
    for flag in (*_FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    if not webgl:
        options.add_argument("--disable-3d-apis")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        opened.set_page_load_timeout(120)
        opened.set_script_timeout(120)
        yield opened
    finally:
        opened.quit()


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What pages have reported as errors since they were last asked for; reading clears it."""
    entries = browser.get_log("browser")
    return [str(entry["message"]) for entry in entries if entry["level"] == "SEVERE"]
