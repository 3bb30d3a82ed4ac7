"""A real browser, of benchmarks and of tests: Chromium, without a window and without a network.

Needs Selenium, Chromium and ChromeDriver.
"""

import base64
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from sightline.geometry import Cameras, LensModel

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


class NoBrowserError(RuntimeError):
    """There is no Chromium, or no driver of it."""


def find_browser() -> tuple[str, str]:
    """Find the browser and its driver; raises NoBrowserError where there are none."""
    found = [next(filter(None, map(shutil.which, names)), None) for names in (_BROWSERS, _DRIVERS)]
    if found[0] is None or found[1] is None:
        raise NoBrowserError(
            "needs Chromium and ChromeDriver (Debian: apt-get install chromium chromium-driver)"
        )
    return found[0], found[1]


@contextmanager
def open_browser(
    *,
    size: tuple[int, int] = (1000, 800),
    flags: tuple[str, ...] = (),
    webgl: bool = True,
    script_seconds: float = 120,
) -> Iterator[webdriver.Chrome]:
    """Start a browser with files of its own, and end it.

    Args:
        size: of the window, CSS pixels.
        flags: further flags of Chromium.
        webgl: whether pages can draw with WebGL.
        script_seconds: that a script may take.
    """
    program, driver = find_browser()
    options = Options()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not webgl:
        options.add_argument("--disable-3d-apis")
    # Files that the browser still writes while it ends are left to the system.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}", *flags):
            options.add_argument(flag)
        opened = webdriver.Chrome(options=options, service=Service(driver))
        try:
            opened.set_page_load_timeout(120)
            opened.set_script_timeout(script_seconds)
            yield opened
        finally:
            opened.quit()


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What pages have reported as errors since they were last asked for; reading clears it."""
    entries = browser.get_log("browser")
    return [str(entry["message"]) for entry in entries if entry["level"] == "SEVERE"]


def ask(browser: webdriver.Chrome, promise: str, *values: Any) -> Any:
    """Wait for what a promise of the page gives; in it, `given` is the list of the values.

    Raises:
        RuntimeError: the promise was refused.
    """
    script = (
        "const done = arguments[arguments.length - 1], given = arguments;"
        f"Promise.resolve({promise}).then("
        "(found) => done({ found }), (error) => done({ error: String(error) }))"
    )
    answer = browser.execute_async_script(script, *values)
    if "error" in answer:
        raise RuntimeError(f"The page failed: {answer['error']}")
    return answer["found"]


def as_json(camera: Cameras) -> dict[str, Any]:
    """Write one camera as scene pages take it."""
    asked: dict[str, Any] = {name: float(getattr(camera, name)[0]) for name in ("fx", "fy", "cx", "cy")}
    asked |= {"c2w": camera.c2w[0].tolist(), "distortion": camera.distortion[0].tolist()}
    asked |= {"width": int(camera.width[0]), "height": int(camera.height[0])}
    return asked | {"lens": LensModel(int(camera.lens[0])).name}


def page_picture(browser: webdriver.Chrome, camera: Cameras) -> np.ndarray:
    """What the scene page that is open draws for a camera of the data, (height, width, 3) in [0, 1]."""
    address = ask(browser, "sightline.render(given[0])", as_json(camera))
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
    return np.asarray(image) / 255
