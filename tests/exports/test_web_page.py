"""The page in a real browser: what it draws, how hands move it, and what it says where it cannot draw."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_cases import Ball, BallMethod, cameras_around, source_of
from selenium.webdriver.common.action_chains import ActionChains

from browser import ask, complaints, open_browser, page_picture
from sightline.captures import Capture
from sightline.captures.image_store import ImageStore
from sightline.exports.registry import get_export_info
from sightline.exports.source import Source
from sightline.exports.web.config import WebOptions
from sightline.exports.web.export import export_web
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, LensModel
from sightline.methods.base import Scene

SIZE = 64
OPTIONS = WebOptions(resolution=64, steps=12, size_mb=3)


class Shiny(Ball):
    """A soft ball whose red depends on the direction that it is seen from."""

    def __init__(self) -> None:
        super().__init__(peak=60.0, edge=0.2, half=1.0)

    def radiance(self, points: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        colours = super().radiance(points, directions)
        colours[:, 0] = 0.5 + 0.3 * directions[:, 0]
        return colours


class Here(BallMethod):
    """The ball's method, for pictures of a scene whose colours turn with the view."""

    def render(self, scene: Scene, camera: Cameras, *, background: Any = None, chunk: Any = None) -> Any:
        seen = super().render(scene, camera, background=torch.zeros(3), chunk=chunk)
        rays = camera.image_rays(0)
        reds = (0.5 + 0.3 * rays.directions[:, 0]).view(seen.rgb.shape[:2])
        rgb = seen.rgb.clone()
        assert seen.opacity is not None
        rgb[..., 0] = seen.opacity * reds
        if background is not None:
            rgb = rgb + (1 - seen.opacity[..., None]) * background
        return replace(seen, rgb=rgb)


def photos(count: int = 14) -> Capture:
    """Straight colours with alpha, as photos of objects are."""
    cameras = cameras_around(count, SIZE)
    images = []
    for k in range(count):
        seen = Here(None).render(Shiny(), cameras[k])
        assert seen.opacity is not None
        opacity = seen.opacity[..., None]
        rgba = torch.cat([seen.rgb / opacity.clamp_min(1e-6), opacity], -1)
        images.append((255 * rgba.clamp(0, 1)).round().byte().numpy())
    return Capture(
        name="ball",
        cameras=cameras,
        images=ImageStore.from_arrays(images),
        image_names=tuple(f"{k:03}.png" for k in range(count)),
        splits={"train": tuple(range(count)), "val": (), "test": ()},
        background="alpha",
    )


@pytest.fixture(scope="module")
def capture() -> Capture:
    return photos()


def source(folder: Path, capture: Capture) -> Source:
    """A ball that shines, with photos of it."""
    changes = {"method": Here(None), "cameras": capture.cameras, "capture": capture}
    return source_of(folder, Shiny(), **changes, open_photos=lambda: capture)


@pytest.fixture(scope="module")
def page(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = export_web(source(tmp_path_factory.mktemp("shiny"), capture), replace(OPTIONS, steps=60))
    assert made.facts["degree"] == 1
    assert made.facts["bytes"] == made.paths[0].stat().st_size < 3e6
    return made.paths[0]


def opened(browser: Any, page: Path) -> Any:
    browser.get(page.as_uri())
    ask(browser, "sightline.ready.then(() => true)")
    return browser


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(((a - b) ** 2).mean()))


def rendered(camera: Cameras) -> np.ndarray:
    return Here(None).render(Shiny(), camera, background=torch.ones(3)).rgb.numpy()


def lookers(lens: LensModel = LensModel.PINHOLE, distortion: Any = None) -> Cameras:
    """Cameras that no picture was refined against, off the middle, wider than high."""
    cameras = cameras_around(7, SIZE)
    c2w = cameras.c2w.clone()
    c2w[:, :, 3] += torch.tensor([0.2, 0.1, -0.15])
    return Cameras.create(
        c2w, fx=200.0, fy=190.0, cx=70.0, cy=40.0, width=120, height=90, lens=lens, distortion=distortion
    )


def test_the_page_draws_what_the_method_renders(browser, page):
    opened(browser, page)
    cameras = lookers()
    for k in (0, 3, 6):
        assert psnr(page_picture(browser, cameras[k]), rendered(cameras[k])) > 30
    bent = lookers(LensModel.OPENCV, [0.2, -0.1, 0.01, -0.02, 0.05, 0, 0, 0])[2]
    assert psnr(page_picture(browser, bent), rendered(bent)) > 30
    wide = lookers(LensModel.OPENCV_FISHEYE, [0.1, -0.02, 0, 0, 0, 0, 0, 0])[4]
    assert psnr(page_picture(browser, wide), rendered(wide)) > 30
    # Directions count: red changes from side to side.
    assert np.ptp([page_picture(browser, cameras[k])[40, 70, 0] for k in range(7)]) > 0.3
    assert complaints(browser) == []


def test_the_page_draws_contracted_space(browser, capture, tmp_path):
    made = replace(source(tmp_path, capture), capture=replace(capture, background="photo"))
    # The cube of contracted space is 16 wide, that of the ball 1.2.
    exported = export_web(
        made, replace(OPTIONS, resolution=224, refine="field", background="#204080", steps=25)
    )
    assert exported.facts["contracted"]
    opened(browser, exported.paths[0])
    behind = torch.tensor([32, 64, 128]) / 255
    for k in (1, 3):
        expected = Here(None).render(Shiny(), lookers()[k], background=behind).rgb.numpy()
        assert psnr(page_picture(browser, lookers()[k]), expected) > 29
    assert complaints(browser) == []


def state(browser: Any) -> dict[str, Any]:
    return browser.execute_script("return sightline.state()")


def wait_for(browser: Any, expression: str) -> None:
    """Wait until a condition of the page's state holds."""
    script = (
        "const done = arguments[0], end = performance.now() + 60000; (function look() {"
        f"const s = sightline.state(); if ({expression}) done('yes');"
        "else if (performance.now() > end) done('no'); else setTimeout(look, 50); })()"
    )
    assert browser.execute_async_script(script) == "yes", expression


def test_a_mouse_turns_zooms_pans_and_sets_the_centre(browser, page):
    opened(browser, page)
    wait_for(browser, "s.still")
    canvas = browser.find_element("id", "view")
    start = state(browser)
    ActionChains(browser).move_to_element(canvas).click_and_hold().move_by_offset(120, 0).release().perform()
    turned = state(browser)
    # To the side: the distance and the height above the target stay.
    assert np.linalg.norm(np.subtract(turned["eye"], start["eye"])) > 0.3
    assert turned["target"] == pytest.approx(start["target"], abs=1e-6)
    assert turned["distance"] == pytest.approx(start["distance"])
    wait_for(browser, "s.still")
    ActionChains(browser).scroll_from_origin(_middle(canvas), 0, -300).perform()
    assert state(browser)["distance"] < 0.8 * turned["distance"]
    ActionChains(browser).send_keys("r").perform()
    wait_for(browser, f"Math.abs(s.eye[0] - {start['eye'][0]}) < 1e-6 && s.still")
    before = state(browser)
    ActionChains(browser).move_to_element_with_offset(canvas, 20, 10).double_click().perform()
    wait_for(browser, "s.still")
    after = state(browser)
    # The new centre lies on the ball's surface, which has a radius of about a half in a box of half side 0.6.
    assert after["target"] != pytest.approx(before["target"], abs=1e-4)
    assert 0.5 < np.linalg.norm(after["target"]) < 1.2
    # What was chosen is in the middle now.
    assert after["back"] == pytest.approx(before["back"], abs=1e-6)
    assert complaints(browser) == []


def _middle(element: Any) -> Any:
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    return ScrollOrigin.from_element(element)


def touch(browser: Any, kind: str, *points: tuple[int, int]) -> None:
    fingers = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def test_fingers_turn_and_zoom(browser, page):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 400, "height": 700, "deviceScaleFactor": 2, "mobile": True},
    )
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    opened(browser, page)
    wait_for(browser, "s.still")
    # As many pixels as the screen has.
    assert browser.execute_script(
        "const v = document.getElementById('view'); return [v.width, v.height]"
    ) == [
        800,
        1400,
    ]
    start = state(browser)
    touch(browser, "touchStart", (200, 300))
    touch(browser, "touchMove", (260, 300))
    touch(browser, "touchEnd")
    turned = state(browser)
    assert np.linalg.norm(np.subtract(turned["eye"], start["eye"])) > 0.3
    assert turned["distance"] == pytest.approx(start["distance"])
    touch(browser, "touchStart", (150, 300), (250, 300))
    touch(browser, "touchMove", (100, 300), (300, 300))
    touch(browser, "touchEnd")
    wait_for(browser, "s.still")
    assert state(browser)["distance"] == pytest.approx(0.5 * turned["distance"], rel=0.05)
    assert complaints(browser) == []


def test_a_view_of_the_list_is_flown_to(browser, page):
    opened(browser, page)
    scene = browser.execute_script("return sightline.scene")
    assert [camera["name"] for camera in scene["cameras"]] == [f"{k:03}.png" for k in range(14)]
    browser.execute_script(
        "const c = document.getElementById('cameras'); c.value = 5; c.dispatchEvent(new Event('change'))"
    )
    frame = scene["frame"]
    eye = frame["scale"] * cameras_around(14).centres[5].numpy() + frame["translation"]
    wait_for(browser, f"s.still && Math.hypot(s.eye[0] - {eye[0]}, s.eye[1] - {eye[1]}) < 1e-4")
    assert state(browser)["camera"] == 5
    up = cameras_around(14).c2w[5, :, 1].tolist()
    assert state(browser)["up"] == pytest.approx(up, abs=1e-5)


def test_a_lost_context_comes_back(browser, page):
    opened(browser, page)
    wait_for(browser, "s.still")
    before = page_picture(browser, lookers()[1])
    browser.execute_script(
        "const context = document.getElementById('view').getContext('webgl2');"
        "window.extension = context.getExtension('WEBGL_lose_context');"
        "extension.loseContext()"
    )
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert "graphics card" in browser.find_element("id", "message").text
    browser.execute_script("extension.restoreContext()")
    browser.execute_async_script(
        "const done = arguments[0]; (function look() {"
        "document.getElementById('message').hidden ? done() : setTimeout(look, 50); })()"
    )
    assert (page_picture(browser, lookers()[1]) == before).all()


def test_the_benchmark_counts_frames(browser, page):
    opened(browser, page)
    found = browser.execute_async_script("sightline.benchmark(0.5, 40, 40).then(arguments[0])")
    assert found["frames"] >= 1
    assert found["fps"] == pytest.approx(found["frames"] / found["seconds"])


def test_without_webgl_the_page_says_so_over_a_still_picture(page, tmp_path):
    with open_browser(webgl=False) as browser:
        browser.get(page.as_uri())
        assert "WebGL2" in browser.find_element("id", "message").text
        still = browser.find_element("id", "still")
        assert still.is_displayed()
        size = browser.execute_script("return arguments[0].naturalWidth", still)
        assert size == SIZE
        assert not browser.find_element("id", "bar").is_displayed()


def test_an_old_browser_is_told(browser, page, tmp_path):
    old = tmp_path / "old.html"
    text = page.read_text(encoding="utf-8")
    old.write_text(
        text.replace("<head>", "<head><script>delete window.DecompressionStream</script>"), "utf-8"
    )
    browser.get(old.as_uri())
    assert "too old" in browser.find_element("id", "message").text


def test_the_page_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    outside = text.partition('id="voxels">')[0] + text.partition('id="voxels">')[2].partition("</script>")[2]
    assert "http" not in outside
    scene = json.loads(outside.partition('id="scene">')[2].partition("</script>")[0])
    assert scene["cells"] == 64
    assert scene["behind"] == [1, 1, 1]


class Empty(Ball):
    def density(self, points: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(points))


class Flat(Scene):
    capabilities = frozenset({"rgb"})


def test_what_cannot_be_shown_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no field"):
        export_web(source_of(tmp_path, Flat()), OPTIONS)
    with pytest.raises(InputError, match="would be empty"):
        export_web(source_of(tmp_path, Empty()), OPTIONS)
    with pytest.raises(InputError, match="HTML"):
        export_web(source_of(tmp_path), OPTIONS, tmp_path / "page.pdf")
    with pytest.raises(InputError, match=r"0\.\d+ MB at least at this resolution"):
        export_web(source_of(tmp_path), WebOptions(size_mb=0.01, steps=0, resolution=64))
    for wrong in ({"resolution": 5}, {"size_mb": 0.0}, {"steps": -1}, {"background": "red-ish"}):
        with pytest.raises(InputError):
            export_web(source_of(tmp_path), replace(OPTIONS, **wrong))
    assert not list(tmp_path.rglob("*.html"))


def test_a_small_budget_makes_a_coarser_page(tmp_path):
    made = export_web(source_of(tmp_path), WebOptions(size_mb=0.15, steps=0))
    assert made.paths[0].stat().st_size <= 150_000
    assert made.facts["resolution"] < 120


def test_the_command_line_knows_the_export():
    info = get_export_info("web")
    assert info.options_class() is WebOptions
    assert "without a server" in info.summary
