"""What files say of photos, and which of a folder are photos."""

import numpy as np
import pytest
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.photos.photo_files import (
    focal_in_pixels,
    is_video,
    list_photos,
    natural_key,
    read_photo_file,
    read_upright,
    sharpness,
)


def picture(width=40, height=30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def test_names_are_sorted_as_people_count(tmp_path):
    for name in ("IMG_10.png", "IMG_9.png", "b/IMG_1.png", "._IMG_9.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no photo", encoding="utf-8")
        else:
            Image.fromarray(picture()).save(path)
    assert [photo.name for photo in list_photos(tmp_path)] == ["b/IMG_1.png", "IMG_9.png", "IMG_10.png"]
    assert natural_key("a2b") < natural_key("a10b")


def test_a_photo_on_its_side_is_seen_upright(tmp_path):
    upright = picture()
    stored = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Maker", "Model 1"
    stored.save(tmp_path / "a.png", exif=exif)
    photo = read_photo_file(tmp_path / "a.png")
    assert (photo.width, photo.height, photo.orientation) == (40, 30, 6)
    assert photo.camera == "Maker Model 1"
    np.testing.assert_array_equal(read_upright(photo), upright)


def test_focal_lengths_of_exif():
    # 26 mm of a diagonal of 43.27 mm, on a diagonal of 5040 pixels.
    assert focal_in_pixels({0xA405: 26}, 4032, 3024) == pytest.approx(26 / 43.2666 * 5040, rel=1e-4)
    # 50 mm at 4000 pixels in 36 mm.
    by_sensor = {0x920A: 50.0, 0xA20E: 4000 / 36 * 10, 0xA210: 3}
    assert focal_in_pixels(by_sensor, 4000, 2667) == pytest.approx(50 * 4000 / 36, rel=1e-6)
    assert focal_in_pixels({}, 4000, 3000) is None
    assert focal_in_pixels({0xA405: 0, 0x920A: 4.2}, 4000, 3000) is None


def test_broken_files_are_left_out_and_named(tmp_path, caplog):
    Image.fromarray(picture()).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    assert [photo.name for photo in list_photos(tmp_path)] == ["good.png"]
    assert "bad.jpg" in caplog.text


def test_a_folder_without_photos_is_refused(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"x")
    with pytest.raises(InputError, match="export them as JPEG"):
        list_photos(tmp_path)


def test_videos_are_files_that_are_no_pictures(tmp_path):
    for name, expected in (("a.mp4", True), ("a.JPG", False)):
        (tmp_path / name).write_bytes(b"x")
        assert is_video(tmp_path / name) is expected
    assert not is_video(tmp_path)


def test_blur_is_measured():
    from PIL import ImageFilter

    sharp = Image.fromarray(picture(300, 200))
    blurred = sharp.filter(ImageFilter.GaussianBlur(4))
    assert sharpness(np.asarray(blurred)) < 0.05 * sharpness(np.asarray(sharp))
