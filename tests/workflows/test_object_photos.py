"""Photos of objects without cameras: masks, crops, and the videos of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelnerf_runs import make_pixelnerf_run
from sightline.captures import Capture
from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.geometry.pixelnerf_paths import photo_orbit
from sightline.media.images import read_image
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.photos.object_crops import crop_object, square_around
from sightline.runs.run import Run
from sightline.workflows.object_photos import masks_of, read_photo, read_photos
from sightline.workflows.render import render_run
from sightline.workflows.render_photos import render_photos
from sightline.workflows.scenes import load_method
from sightline.workflows.shown_objects import show_photos

WIDTH, HEIGHT = 90, 60


def mask_of_disc() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return ((columns - 40) / 18) ** 2 + ((rows - 32) / 11) ** 2 < 1


def colours() -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 5, (HEIGHT, WIDTH, 3))
    picture = np.where(mask_of_disc()[..., None], [40, 60, 190], [150, 160, 140]) + noise
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(colours()).save(tmp_path / "car.png")
    return tmp_path / "car.png"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    Image.fromarray(mask_of_disc()).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_pixelnerf_run(tmp_path / "run", "srn_car", image_size=32)


def expected_crop(side: int) -> np.ndarray:
    return crop_object(colours(), mask_of_disc(), square_around(mask_of_disc()), side)


def test_a_mask_file_cuts_and_crops(photo: Path, mask: Path) -> None:
    (found,) = read_photos([photo], [str(mask)], 32)
    assert (found.name, found.cropped) == ("car", True)
    assert (found.picture == expected_crop(32)).all()


def test_ways_to_find_the_object_agree(photo: Path, mask: Path, tmp_path: Path) -> None:
    Image.fromarray(np.dstack([colours(), mask_of_disc() * np.uint8(255)])).save(tmp_path / "cut.png")
    (transparent,) = read_photos([tmp_path / "cut.png"], [], 32)
    assert (transparent.picture == expected_crop(32)).all()
    for masks in ([], ["grabcut"], ["15,14,52,38"]):
        (found,) = read_photos([photo], masks, 32)
        assert np.abs(found.picture.astype(int) - expected_crop(32)).mean() < 4, masks
    (whole,) = read_photos([photo], ["none"], 32)
    assert not whole.cropped
    assert (whole.picture == colours()).all()


def test_methods_that_see_whole_photos_get_them_cut_out_if_asked(photo: Path, mask: Path) -> None:
    (found,) = read_photos([photo], [], None)
    assert (found.picture == colours()).all()
    (found,) = read_photos([photo], [str(mask)], None)
    assert not found.cropped
    assert (found.picture[..., :3] == colours()).all()
    assert ((found.picture[..., 3] == 255) == mask_of_disc()).all()


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, 1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels, -1),
    }
    for orientation, rows in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(rows)).save(tmp_path / "photo.png", exif=exif)
        assert (read_photo(tmp_path / "photo.png") == pixels).all(), orientation
    Image.fromarray(np.uint8([[0, 90]])).save(tmp_path / "grey.png")
    assert (read_photo(tmp_path / "grey.png") == np.uint8([[[0] * 3, [90] * 3]])).all()


def test_masks_belong_to_photos() -> None:
    photos = [Path("a.jpg"), Path("b.jpg")]
    assert masks_of(photos, []) == [None, None]
    assert masks_of(photos, ["rembg"]) == ["rembg", "rembg"]
    assert masks_of(photos, ["m.png", "grabcut"]) == ["m.png", "grabcut"]
    for masks in (["m.png"], ["grabcut"] * 3):
        with pytest.raises(InputError, match=rf"{len(masks)} masks for 2 photos"):
            masks_of(photos, masks)


def test_the_network_sees_the_crop_from_the_published_camera(run: Run, photo: Path, mask: Path) -> None:
    shown = show_photos(load_method(run, device="cpu").method, [photo], [str(mask)])
    camera = shown.views.cameras
    assert (int(camera.width[0]), int(camera.height[0])) == (32, 32)
    assert float(camera.fx[0]) == pytest.approx(131.25 * 32 / 128)
    torch.testing.assert_close(
        camera.c2w[0], torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1.3]]).double()
    )
    assert (shown.views.images[0] == expected_crop(32)).all()
    cameras, _ = shown.cameras("pixelnerf")
    torch.testing.assert_close(cameras.c2w.double(), photo_orbit(24, 1.3))
    # An orbit starts where the photo was taken.
    orbit, _ = shown.cameras("orbit", frames=4)
    torch.testing.assert_close(orbit.c2w[0], camera.c2w[0], atol=1e-6, rtol=0)


def test_the_camera_of_a_photo_stands_before_the_middle_of_a_moved_frame(run: Run, photo: Path) -> None:
    method = run.load_method()
    assert isinstance(method, PixelNerf)
    from sightline.geometry.similarity import Similarity
    from sightline.methods.pixelnerf.frame import Frame

    moved = Similarity(0.5, torch.eye(3).double(), torch.tensor([3.0, -1.0, 2.0]).double())
    method._frame = Frame(moved, 0.8, 1.8)
    shown = show_photos(method, [photo], ["none"])
    middle = moved.inverse().apply(torch.zeros(1, 3).double())[0]
    for path in ("orbit", "pixelnerf"):
        cameras, _ = shown.cameras(path, frames=6)
        torch.testing.assert_close(
            cameras.centres + 2.6 * cameras.forward, middle.expand(6, 3), atol=1e-5, rtol=0
        )


def test_a_video_of_a_photo(run: Run, photo: Path, mask: Path) -> None:
    done = render_run(run, photo=[photo], mask=[str(mask)], frames=3, format="png", device="cpu")
    renders = run.path / "renders"
    assert (done.path, done.crop, done.frames) == (
        renders / "car-pixelnerf",
        renders / "car-pixelnerf_crop.png",
        3,
    )
    assert (read_image(done.crop) == expected_crop(32)).all()
    method = load_method(run, device="cpu").method
    shown = show_photos(method, [photo], [str(mask)])
    cameras, _ = shown.cameras("pixelnerf", frames=3)
    for index in range(3):
        with torch.no_grad():
            rgb = method.render(method.encode(shown.views), cameras[index]).rgb
        frame = torch.from_numpy(read_image(done.path / f"{index:04d}.png")) / 255
        assert float((frame - rgb).abs().max()) <= 0.5 / 255 + 1e-6
    again = render_run(run, photo=[photo], mask=["none"], frames=1, size="8", format="png", device="cpu")
    assert again.crop is None


def test_each_of_several_photos_becomes_a_video(
    run: Run, photo: Path, mask: Path, tmp_path: Path, capsys
) -> None:
    other = tmp_path / "bus.png"
    Image.fromarray(colours()[:, ::-1]).save(other)
    call = ["render", str(run.path), "--photo", str(photo), "--photo", str(other), "--frames", "1"]
    assert main([*call, "--size", "8", "--mask", "grabcut", "--out", str(tmp_path / "out")]) == 0
    names = ["car.mp4", "car_crop.png", "bus.mp4", "bus_crop.png"]
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)


@pytest.mark.parametrize(
    ("photos", "named", "said"),
    [
        (["car.png", "car.png"], {}, "Two photos are called 'car'"),
        (["car.png", "bus.png"], {"out": Path("a.mp4")}, "each becomes a video"),
        (["car.png", "bus.png"], {}, r"does not exist.*bus\.png"),
        (["car.png", "mask.png"], {"mask": ["mask.png"]}, "1 masks for 2 photos"),
    ],
)
def test_several_photos_that_do_not_go_together(
    run: Run, photo: Path, mask: Path, photos, named, said, monkeypatch
) -> None:
    monkeypatch.chdir(photo.parent)
    with pytest.raises(InputError, match=said):
        render_photos(run, [Path(name) for name in photos], **named)
    assert not (run.path / "renders").exists()


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (["white.png"], "white everywhere"),
        (["small.png"], "4x4 pixels, the photo 90x60"),
        (["absent.png"], "does not exist"),
        (["80,0,20,20"], "not in the photo of 90x60"),
        (["rembg"], "rembg"),
        (["mask.png", "mask.png"], "2 masks for 1 photos"),
    ],
)
def test_masks_that_do_not_serve(run: Run, photo: Path, mask: Path, masks, said, monkeypatch) -> None:
    monkeypatch.chdir(photo.parent)
    monkeypatch.setitem(__import__("sys").modules, "rembg", None)
    Image.new("L", (WIDTH, HEIGHT), 255).save("white.png")
    Image.new("L", (4, 4)).save("small.png")
    with pytest.raises(InputError, match=said):
        render_run(run, photo=[photo], mask=masks, device="cpu")
    assert not (run.path / "renders").exists()


def test_photos_without_an_object_are_named(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (9, 9, 9)).save(tmp_path / "wall.png")
    with pytest.raises(InputError, match=r"No object was told.*wall\.png.*--mask X,Y"):
        render_run(run, photo=[tmp_path / "wall.png"], device="cpu")
    with pytest.raises(InputError, match="Masks are of photos"):
        render_run(run, mask=["grabcut"], device="cpu")


def test_the_published_crops_of_real_photos(shared, tmp_path: Path) -> None:
    run = make_pixelnerf_run(tmp_path / "run", "srn_car")
    method = load_method(run, device="cpu").method
    folder = shared / "data" / "pixelnerf_input"
    with np.load(shared / "golden" / "pixelnerf" / "real_car.npz", allow_pickle=False) as golden:
        height, width = golden["toyota_mask_shape_hw"].tolist()
        bits = np.unpackbits(golden["toyota_mask_packbits"])[: height * width].reshape(height, width)
        expected = golden["toyota_default_normalized_rgb"]
    Image.fromarray(bits * np.uint8(255)).save(tmp_path / "mask.png")
    shown = show_photos(method, [folder / "toyota.jpg"], [str(tmp_path / "mask.png")])
    assert isinstance(shown.views, Capture)
    assert np.abs(shown.views.images[0].astype(int) - expected).max() <= 1
    # A photo that was normalised already stays as it is, to a pixel of its place.
    again = show_photos(method, [folder / "toyota_normalize.png"])
    published = read_image(folder / "toyota_normalize.png")
    assert np.abs(again.views.images[0].astype(int) - published).mean() < 8
