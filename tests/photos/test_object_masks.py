"""Masks of objects: GrabCut on drawn and real photos, rembg by its interface, mask files."""

import builtins
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.photos.object_masks import cut_out, cut_out_by_rembg, read_mask

PHOTOS = {"model3": "png", "police": "jpg", "toyota": "jpg"}


def drawn(size=(200, 140), box=(60, 40, 140, 100)) -> tuple[np.ndarray, np.ndarray]:
    """A red disc in noise of grey, and its mask."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    middle, axes = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), (box[2] - box[0], box[3] - box[1])
    mask = ((columns - middle[0]) / axes[0]) ** 2 + ((rows - middle[1]) / axes[1]) ** 2 < 0.25
    noise = np.random.default_rng(0).normal(0, 6, (*mask.shape, 3))
    picture = np.where(mask[..., None], [190, 40, 30], [120, 125, 130]) + noise
    return picture.clip(0, 255).astype(np.uint8), mask


def overlap(found: np.ndarray, mask: np.ndarray) -> float:
    return float((found & mask).sum() / (found | mask).sum())


def test_an_object_in_the_middle_is_found(caplog):
    photo, mask = drawn()
    assert overlap(cut_out(photo), mask) > 0.97
    assert "edge to edge" not in caplog.text
    large, mask = drawn((800, 560), (240, 160, 560, 400))
    assert overlap(cut_out(large), mask) > 0.98


def test_holes_are_filled_and_specks_left_out():
    photo, mask = drawn()
    photo[65:75, 95:105] = 125
    photo[10:14, 20:24] = (190, 40, 30)
    found = cut_out(photo)
    assert found[70, 100]
    assert not found[12, 22]
    assert overlap(found, mask) > 0.97


def test_a_rectangle_tells_what_is_meant():
    photo, mask = drawn(box=(10, 20, 60, 70))
    other, _ = drawn(box=(110, 40, 190, 120))
    both = np.where(mask[..., None], photo, other)
    assert overlap(cut_out(both, (4, 12, 64, 66)), mask) > 0.95
    for rectangle in ((150, 0, 80, 40), (-1, 0, 10, 10), (0, 0, 0, 5)):
        with pytest.raises(InputError, match="not in the photo of 200x140"):
            cut_out(both, rectangle)
    with pytest.raises(InputError, match="whole photo"):
        cut_out(both, (0, 0, 200, 140))


def test_photos_without_an_object():
    for photo in (np.full((60, 80, 3), 90, np.uint8), np.full((2, 2, 3), 5, np.uint8)):
        with pytest.raises(InputError, match="No object was told"):
            cut_out(photo)


@pytest.mark.parametrize(("name", "told"), [("model3", False), ("police", True)])
def test_real_photos(shared, name, told, caplog):
    photo, mask = real(shared, name)
    assert overlap(cut_out(photo, around(mask) if told else None), mask) > 0.8
    assert "edge to edge" not in caplog.text


def test_surroundings_that_reach_from_edge_to_edge_are_warned_of(shared, caplog):
    photo, mask = real(shared, "toyota")
    cut_out(photo)
    assert "edge to edge" in caplog.text
    caplog.clear()
    assert overlap(cut_out(photo, around(mask)), mask) > 0.93
    assert not caplog.text


def real(shared, name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(shared / "golden" / "pixelnerf" / "real_car.npz", allow_pickle=False) as golden:
        height, width = golden[f"{name}_mask_shape_hw"].tolist()
        bits = np.unpackbits(golden[f"{name}_mask_packbits"])[: height * width]
    file = shared / "data" / "pixelnerf_input" / f"{name}.{PHOTOS[name]}"
    return np.asarray(Image.open(file).convert("RGB")), bits.reshape(height, width).astype(bool)


def around(mask: np.ndarray) -> tuple[int, int, int, int]:
    """A rectangle of a few pixels more than the object."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    x, y = max(columns[0] - 8, 0), max(rows[0] - 8, 0)
    across = min(columns[-1] + 8, mask.shape[1]) - x
    return int(x), int(y), int(across), int(min(rows[-1] + 8, mask.shape[0]) - y)


def test_rembg_gives_its_opacity(monkeypatch):
    photo, mask = drawn()
    seen = []

    def remove(picture, only_mask):
        seen.append((picture.shape, only_mask))
        return np.where(mask, 200, 30).astype(np.uint8)

    module = ModuleType("rembg")
    monkeypatch.setattr(module, "remove", remove, raising=False)
    monkeypatch.setitem(sys.modules, "rembg", module)
    assert (cut_out_by_rembg(photo) == mask).all()
    assert seen == [(photo.shape, True)]
    monkeypatch.setattr(module, "remove", lambda picture, only_mask: np.zeros(mask.shape, np.uint8))
    with pytest.raises(InputError, match="found no object"):
        cut_out_by_rembg(photo)

    def fail(picture, only_mask):
        raise ConnectionError("no network")

    monkeypatch.setattr(module, "remove", fail)
    with pytest.raises(InputError, match=r"rembg failed.*no network"):
        cut_out_by_rembg(photo)


def test_packages_that_are_missing_are_named(monkeypatch):
    photo, _ = drawn()
    real_import = builtins.__import__

    def refuse(name, *arguments, **named):
        if name in ("cv2", "rembg"):
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match="pip install opencv-python-headless"):
        cut_out(photo)
    with pytest.raises(InputError, match="pip install 'rembg"):
        cut_out_by_rembg(photo)


def test_mask_files(tmp_path):
    _, mask = drawn()
    size = (200, 140)
    grey = np.where(mask, 255, 0).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "colour.png")
    Image.fromarray(np.dstack([np.full_like(grey, 7)] * 3 + [grey])).save(tmp_path / "cut.png")
    Image.fromarray(mask).save(tmp_path / "bits.png")
    for name in ("grey", "colour", "cut", "bits"):
        assert (read_mask(tmp_path / f"{name}.png", size) == mask).all(), name


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.full((140, 200), 255, np.uint8), "white everywhere"),
        (np.zeros((140, 200), np.uint8), "black everywhere"),
        (np.zeros((100, 200), np.uint8), "200x100 pixels, the photo 200x140"),
    ],
)
def test_mask_files_that_do_not_serve(tmp_path, pixels, said):
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=said) as caught:
        read_mask(tmp_path / "mask.png", (200, 140))
    assert "mask.png" in str(caught.value)
