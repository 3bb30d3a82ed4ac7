"""The viewer in a real browser: what is shown there is what is rendered."""

import io
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains

import small_method
from browser import complaints, open_browser
from sightline.methods import registry
from sightline.runs.record import DataSource, RunRecord
from sightline.runs.run import Run
from sightline.runs.settings import to_plain
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings
from sightline.viewer.app import Viewer
from sightline.viewer.painter import view_camera
from sightline.viewer.session import Session
from sightline.workflows.render import render_run
from sightline.workflows.view import open_viewer
from small_method import WaveConfig, write_data

pytest.importorskip("viser")
WINDOW = (900, 640)
# The window's own panels are right of this part of its width, and its notes above this row.
FREE, BELOW = 0.6, 170


@pytest.fixture(scope="module")
def viewer(tmp_path_factory) -> Iterator[Viewer]:
    """The viewer of a small trained run."""
    folder = tmp_path_factory.mktemp("viewer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._BUILT_IN, "wave", f"{small_method.__name__}:INFO")
        data = write_data(folder / "data", size=48)
        source = DataSource.describe(data, folder / "run")
        run = Run.create(folder / "run", RunRecord("wave", to_plain(WaveConfig()), source))
        train_run(TrainOrder(run.path, TrainSettings(steps=12, eval_every=0)))
        opened = open_viewer(run.path, port=0)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page(viewer):
    """A browser at the viewer."""
    with open_browser(size=WINDOW) as opened:
        opened.get(f"http://127.0.0.1:{viewer.port}")
        yield opened


@pytest.fixture
def session(viewer, page) -> Session:
    """That browser as the viewer knows it, at rest."""
    wait_for(lambda: viewer.sessions)
    found = next(iter(viewer.sessions.values()))
    at_rest(found)
    return found


@pytest.fixture
def sent(monkeypatch) -> list[np.ndarray]:
    """Pictures that are sent from now on."""
    import viser

    pictures, send = [], viser.SceneApi.set_background_image

    def noting(self, image, *arguments, **options):
        pictures.append((self._owner, np.array(image)))
        return send(self, image, *arguments, **options)

    monkeypatch.setattr(viser.SceneApi, "set_background_image", noting)
    return pictures


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited for too long"
        time.sleep(0.02)


def at_rest(session: Session) -> None:
    """Wait until there is a picture, nothing moves any more, and the picture is finished."""
    wait_for(lambda: session.pictures)
    before = None
    while True:
        now = session.camera.pose(), session.pictures
        quiet = before is not None and np.array_equal(before[0], now[0]) and before[1] == now[1]
        if quiet and not session.scheduler.waiting:
            return
        before = now
        time.sleep(0.3)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(max(np.square(a.astype(np.float64) / 255 - b / 255).mean(), 1e-10)))


def rendered(session: Session, size: tuple[int, int]) -> np.ndarray:
    """The picture that the method makes of where the browser looks."""
    look = session.scheduler._clients[session.client.client_id].seen
    with torch.no_grad():
        scene = session.stage.scene
        found = session.stage.method.render(scene, view_camera(look, size[1], size[0]))
    return (found.rgb * 255).round().byte().numpy()


def canvas(page, session: Session) -> np.ndarray:
    """What the page shows, without the photos in the scene."""
    for box in session.photo_panel._boxes.values():
        box.value = False
    session.photo_panel._draw()
    at_rest(session)
    time.sleep(0.5)
    return np.asarray(Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB"))


def test_the_picture_at_rest_is_the_scene_and_the_page_shows_it(page, session, sent):
    session.change(longest=2048)
    shot = canvas(page, session)
    picture = sent[-1][1]
    height, width = picture.shape[:2]
    camera = session.client.camera
    assert (width, height) == (camera.image_width, camera.image_height)
    assert psnr(picture, rendered(session, (height, width))) >= 50
    shown, expected = (image[BELOW:height, : int(FREE * width)] for image in (shot, picture))
    assert psnr(shown, expected) >= 30
    # So would no other way to hang it up.
    for other in (picture[:, ::-1], picture[::-1], picture[::-1, ::-1]):
        assert psnr(shown, other[BELOW:height, : int(FREE * width)]) < 25
    assert complaints(page) == []


def test_dragging_goes_around_and_new_pictures_come(page, session, sent):
    before, shown = session.camera.pose(), len(sent)
    drag = ActionChains(page).move_to_element_with_offset(
        page.find_element("css selector", "canvas"), -150, 80
    )
    drag.click_and_hold()
    for _ in range(6):
        drag.move_by_offset(12, 0)
    drag.release().perform()
    wait_for(lambda: len(sent) > shown)
    at_rest(session)
    after, middle = session.camera.pose(), session.stage.frame.middle
    assert np.linalg.norm(after[:, 3] - before[:, 3]) > 0.2
    distances = [np.linalg.norm(pose[:, 3] - middle) for pose in (before, after)]
    assert distances[0] == pytest.approx(distances[1], rel=0.01)
    # Dragged to the right, the camera goes to its left.
    assert (after[:, 3] - before[:, 3]) @ before[:, 0] < 0
    picture = sent[-1][1]
    assert psnr(picture, rendered(session, picture.shape[:2])) >= 50


def test_flying_to_a_photo_shows_it_and_its_error(page, session, sent):
    session.photo_panel.fly_to(3)
    at_rest(session)
    pose = session.stage.photos.cameras.c2w[3].numpy()
    assert np.allclose(session.camera.pose(), pose, atol=1e-4)
    session.change(mode="error")
    at_rest(session)
    assert "dB to photo" in session.view_panel._status.content
    session.change(mode="colour")
    at_rest(session)
    picture = sent[-1][1]
    photo = session.stage.photos.pixels(3)
    height, width = picture.shape[:2]
    # The photo is the middle square of a wide window.
    square = picture[:, (width - height) // 2 : (width + height) // 2]
    reduced = cv2.resize(square, photo.shape[1::-1], interpolation=cv2.INTER_AREA)
    training = session.stage.method.render(session.stage.scene, session.stage.photos.cameras[3])
    assert psnr(reduced, training.rgb.mul(255).detach().numpy()) >= 25


def test_a_camera_path_is_saved_and_rendered(page, session):
    session.path_panel.path = type(session.path_panel.path)(size=(32, 24), seconds=0.2, fps=10)
    for index in (0, 2, 4):
        session.photo_panel.fly_to(index)
        at_rest(session)
        session.path_panel.add()
    session.path_panel._size.value = (32.0, 24.0)
    session.path_panel._name.value = "around"
    session.path_panel.save()
    file = session.host.folder / "renders" / "paths" / "around.json"
    assert f"sightline render {session.host.folder} --path {file}" in session.path_panel._saved.content
    done = render_run(session.host.folder, path=str(file), format="png")
    assert len(list(done.path.glob("*.png"))) == 2


def test_a_second_browser_has_its_own_view_and_is_freed_when_it_closes(viewer, page, session, sent):
    first = session.client.client_id
    with open_browser(size=(500, 400)) as other:
        other.get(f"http://127.0.0.1:{viewer.port}")
        wait_for(lambda: len(viewer.sessions) == 2)
        second = next(found for number, found in viewer.sessions.items() if number != first)
        at_rest(second)
        pose, shown = session.camera.pose(), session.pictures
        sent.clear()
        second.photo_panel.fly_to(6)
        second.change(background=(0.0, 0.0, 0.0))
        at_rest(second)
        assert np.array_equal(session.camera.pose(), pose)
        assert session.pictures == shown
        assert session.settings.background == (1.0, 1.0, 1.0)
        height, width = sent[-1][1].shape[:2]
        assert width / height == pytest.approx(
            second.client.camera.image_width / second.client.camera.image_height, rel=0.02
        )
        assert viewer.scheduler.clients == 2
    wait_for(lambda: len(viewer.sessions) == 1)
    assert second.closed
    assert viewer.scheduler.clients == 1
    assert list(viewer.sessions) == [first]


@pytest.mark.parametrize("own", [True, False])
def test_a_page_of_another_site_is_shown_nothing(viewer, page, session, own):
    from msgspec import msgpack
    from viser import __version__
    from websockets.sync.client import connect

    camera = {
        "type": "ViewerCameraMessage",
        "wxyz": (1.0, 0.0, 0.0, 0.0),
        "position": (0.0, 0.0, -3.0),
        "image_height": 40,
        "image_width": 60,
        "fov": 0.8,
        "near": 0.01,
        "far": 1000.0,
        "look_at": (0.0, 0.0, 0.0),
        "up_direction": (0.0, -1.0, 0.0),
    }
    here = f"127.0.0.1:{viewer.port}"
    origin = f"http://{here}" if own else "https://example.org"
    with connect(f"ws://{here}", origin=origin, subprotocols=[f"viser-v{__version__}"]) as other:
        other.send(msgpack.encode(camera))
        if own:
            wait_for(lambda: len(viewer.sessions) == 2)
        else:
            wait_for(lambda: len(viewer.server.get_clients()) == 2)
            time.sleep(0.5)
            assert list(viewer.sessions) == [session.client.client_id]
    wait_for(lambda: len(viewer.server.get_clients()) == 1)
    wait_for(lambda: list(viewer.sessions) == [session.client.client_id])
