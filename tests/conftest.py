"""Fixtures that all tests share, and the switch that checks tensor shapes while tests run."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Shapes are checked in tests only, and never on kernels, whose compilers the checks would break.
_CHECKED = ["geometry", "media", "rendering", "networks", "metrics", "methods"]
if not os.environ.get("SIGHTLINE_NO_SHAPE_CHECKS"):
    install_import_hook([f"sightline.{name}" for name in _CHECKED], "beartype.beartype")


# Tests download nothing, whatever network there is; commands that they start inherit this.
os.environ.setdefault("SIGHTLINE_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data and golden numbers, which is not part of the repository."""
    given = os.environ.get("SIGHTLINE_SHARED")
    path = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    if not (path / "data").is_dir():
        pytest.skip(f"no reference data at {path}: set SIGHTLINE_SHARED to its folder")
    return path


@pytest.fixture
def browser():
    """A headless Chromium driven through Selenium, see `tests/browser.py`."""
    from browser import open_browser

    with open_browser() as opened:
        yield opened
