"""Depth maps on disk, in every format."""

import numpy as np
import pytest
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.media.depth import read_depth_bytes, read_depth_png, write_depth, write_depth_png
from sightline.media.images import read_image
from sightline.media.pfm import read_pfm

VALUES = np.array([[1.5, np.nan, 0.25], [4.0, 1e-6, 80.0]], np.float32)


def test_the_files_of_nerf_pl_byte_by_byte(shared, tmp_path):
    golden = shared / "golden" / "nerf"
    depth = np.load(golden / "depth_000.npy")
    for suffix in ("pfm", "bytes"):
        write_depth(tmp_path / f"depth_000.{suffix}", depth)
        assert (tmp_path / f"depth_000.{suffix}").read_bytes() == (
            golden / f"depth_000.{suffix}"
        ).read_bytes()
    height, width = depth.shape
    assert np.array_equal(read_depth_bytes(golden / "depth_000.bytes", width, height), depth)


def test_raw_files_hold_the_top_row_first(tmp_path):
    write_depth(tmp_path / "a.bytes", VALUES)
    expected = np.array([1.5, 0, 0.25, 4, 1e-6, 80], "<f4")
    assert (tmp_path / "a.bytes").read_bytes() == expected.tobytes()
    with pytest.raises(InputError, match="24 bytes, and 4x2 pixels are 32"):
        read_depth_bytes(tmp_path / "a.bytes", 4, 2)


def test_pfm_and_npy_are_exact(tmp_path):
    for suffix, read in (("pfm", read_pfm), ("npy", np.load)):
        write_depth(tmp_path / f"a.{suffix}", VALUES)
        assert np.array_equal(read(tmp_path / f"a.{suffix}"), VALUES, equal_nan=True)


def test_png_has_16_bits_and_says_its_scale(tmp_path):
    write_depth(tmp_path / "a.png", VALUES, scale=1000.0)
    # Nothing is 0, next to nothing is not, and what is too far is clipped.
    assert read_image(tmp_path / "a.png").tolist() == [[1500, 0, 250], [4000, 1, 65535]]
    assert read_image(tmp_path / "a.png").dtype == np.uint16
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.info["sightline:steps-per-unit"] == "1000.0"
    found = read_depth_png(tmp_path / "a.png")
    assert np.isnan(found[0, 1])
    assert found[~np.isnan(found)].tolist() == pytest.approx([1.5, 0.25, 4, 0.001, 65.535])


def test_bad_calls(tmp_path):
    with pytest.raises(ValueError, match="steps per unit"):
        write_depth(tmp_path / "a.png", VALUES)
    with pytest.raises(ValueError, match="suffix"):
        write_depth(tmp_path / "a.tif", VALUES)
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="does not say its scale"):
        read_depth_png(tmp_path / "b.png")
    write_depth_png(tmp_path / "c.png", np.full((1, 2), np.inf, np.float32), 1.0)
    assert np.isnan(read_depth_png(tmp_path / "c.png")).all()
