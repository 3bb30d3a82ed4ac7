"""The real browser of tests of pages, see `benchmarks/browser.py`.

Tests take the fixture `browser` of `tests/conftest.py`. Where there is no Chromium they are skipped, unless
`SIGHTLINE_REQUIRE_BROWSER=1` turns that into a failure.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from benchmarks import browser
from benchmarks.browser import as_json, ask, complaints, page_picture
from selenium import webdriver

__all__ = ["as_json", "ask", "complaints", "open_browser", "page_picture"]


@contextmanager
def open_browser(**options: Any) -> Iterator[webdriver.Chrome]:
    """Start a browser, see `benchmarks.browser.open_browser`; without one the test is skipped, or fails."""
    try:
        browser.find_browser()
    except browser.NoBrowserError as error:
        if os.environ.get("SIGHTLINE_REQUIRE_BROWSER") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with browser.open_browser(**options) as opened:
        yield opened
