"""Poses of photos whose truth is known, through COLMAP itself."""

from contextlib import contextmanager

import numpy as np
import pytest
from benchmarks.poses import aligned_errors
from PIL import Image, ImageFilter

from photo_corner import write_fisheye_photos, write_photos
from sightline.captures import open_capture
from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json
from sightline.geometry import LensModel
from sightline.photos.pose_options import PoseOptions
from sightline.photos.poses import find_poses

COUNT = 9


@contextmanager
def quiet(what, total):
    yield lambda done: None


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Nine photos of a corner, one that is blurred and one of something else."""
    folder = tmp_path_factory.mktemp("photos")
    truth = write_photos(folder, COUNT)
    with Image.open(folder / "004.jpg") as image:
        image.filter(ImageFilter.GaussianBlur(12)).save(folder / "blurred.jpg")
    noise = np.random.default_rng(1).integers(0, 255, (180, 240, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((480, 360), Image.Resampling.BICUBIC).save(folder / "other.jpg")
    return folder, truth


@pytest.fixture(scope="module")
def found(photos, tmp_path_factory):
    """The finished capture, made by a call that was interrupted and one that went on."""
    folder, _ = photos
    out = tmp_path_factory.mktemp("captures") / "corner"
    finished = []

    @contextmanager
    def until_compared(what, total):
        yield lambda done: None
        finished.append(what)
        if what == "comparing photos":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_poses(folder, out, PoseOptions(), until_compared)
    assert not (out / "poses.json").exists()
    assert (out / "colmap" / "database.db").is_file()
    with pytest.raises(InputError, match="other settings"):
        find_poses(folder, out, PoseOptions(quality="high"), quiet)
    return find_poses(folder, out, PoseOptions(), quiet)


def test_poses_are_those_of_the_cameras(photos, found):
    _, truth = photos
    capture = open_capture(found.path)
    assert capture.format == "transforms"
    assert list(capture.image_names) == [f"images/{k:03d}.jpg" for k in range(COUNT)]
    seen = capture.cameras.c2w.numpy().copy()
    seen[:, :, 1:3] *= -1
    positions, rotations = aligned_errors(seen, truth)
    assert np.median(positions) < 0.003
    assert positions.max() < 0.01
    assert np.median(rotations) < 0.3
    assert float(capture.cameras.fx.mean()) == pytest.approx(420, rel=0.03)


def test_the_frame_is_upright(found):
    capture = open_capture(found.path)
    assert float(capture.cameras.c2w[:, 2, 1].mean()) > 0.8
    assert capture.points is not None
    np.testing.assert_allclose(np.median(capture.points.positions, axis=0), 0, atol=0.05)


def test_both_formats_of_the_folder_agree(found):
    one = open_capture(found.path)
    other = open_capture(found.path, format="colmap")
    np.testing.assert_allclose(one.cameras.c2w.numpy(), other.cameras.c2w.numpy(), atol=1e-9)
    np.testing.assert_allclose(one.near, other.near)
    assert len(one.points) == len(other.points) > 300


def test_photos_without_a_place_are_named_with_the_reason(found):
    reasons = {entry.name: entry.reason for entry in found.registration.failed}
    assert set(reasons) == {"blurred.jpg", "other.jpg"}
    assert "blurred" in reasons["blurred.jpg"]
    assert "unrelated" in reasons["other.jpg"]
    assert found.registration.placed == COUNT
    assert found.registration.reprojection_error < 1
    assert sorted(file.name for file in (found.path / "left_out").iterdir()) == ["blurred.jpg", "other.jpg"]
    kept = read_json(found.path / "poses.json")
    assert kept["registration"]["placed"] == COUNT
    assert not (found.path / "colmap").exists()


def test_the_applied_transform_leads_from_colmaps_frame(found):
    kept = read_json(found.path / "transforms.json")
    rotation = np.array(kept["applied_transform"])[:, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert kept["applied_scale"] > 0


def test_a_finished_capture_is_not_made_again(photos, found):
    with pytest.raises(InputError, match="finished"):
        find_poses(photos[0], found.path, PoseOptions(), quiet)


def test_masks_keep_features_away(photos, tmp_path):
    """Where the upper half of all photos is masked, no point is seen there."""
    folder, _ = photos
    some, masks = tmp_path / "photos", tmp_path / "masks"
    for part in (some, masks):
        part.mkdir()
    for k in range(5):
        name = f"{2 * k:03d}"
        (some / f"{name}.jpg").write_bytes((folder / f"{name}.jpg").read_bytes())
        mask = np.full((360, 480), 255, np.uint8)
        mask[:180] = 0
        Image.fromarray(mask).save(masks / f"{name}.png")
    found = find_poses(some, tmp_path / "out", PoseOptions(masks=masks), quiet)
    capture = open_capture(found.path)
    assert capture.masks is not None
    assert capture.masks[0][:180].all()
    assert not capture.masks[0][180:].any()
    import pycolmap

    model = pycolmap.Reconstruction(str(found.path / "sparse" / "0"))
    rows = [point.xy[1] for image in model.images.values() for point in image.points2D if point.has_point3D()]
    assert len(rows) > 200
    assert min(rows) > 175


def test_two_photos_are_too_few(tmp_path):
    write_photos(tmp_path / "photos", 2)
    with pytest.raises(InputError, match="too few"):
        find_poses(tmp_path / "photos", tmp_path / "out", PoseOptions(), quiet)
    assert not (tmp_path / "out").exists()


def test_photos_that_share_nothing_are_refused(tmp_path):
    generator = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(4):
        noise = generator.integers(0, 255, (60, 80, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{k}.png")
    with pytest.raises(InputError, match=r"No two of the 4 photos.*4 share nothing"):
        find_poses(folder, tmp_path / "out", PoseOptions(), quiet)


def test_poses_of_a_fisheye(tmp_path):
    truth = write_fisheye_photos(tmp_path / "photos", 8)
    found = find_poses(tmp_path / "photos", tmp_path / "out", PoseOptions(lens="fisheye"), quiet)
    assert found.registration.placed == 8
    cameras = open_capture(found.path).cameras
    assert LensModel(int(cameras.lens[0])).name == "OPENCV_FISHEYE"
    assert float(cameras.fx[0]) == pytest.approx(200, rel=0.03)
    flipped = truth * np.array([1, -1, -1, 1])
    positions, rotations = aligned_errors(cameras.c2w.numpy(), flipped)
    assert np.median(positions) < 0.005
    assert np.median(rotations) < 0.5


def test_photos_of_two_scenes_fall_into_parts(shared, tmp_path):
    """The larger part is taken, and what hangs together besides it is said."""
    folder = tmp_path / "photos"
    folder.mkdir()
    foxes = sorted((shared / "data" / "fox" / "images").glob("*.jpg"))[:8]
    birds = sorted((shared / "data" / "llff_bird" / "images").glob("*.jpg"))[:20:4]
    for name, paths in (("fox", foxes), ("bird", birds)):
        for path in paths:
            with Image.open(path) as image:
                image.thumbnail((720, 720))
                image.save(folder / f"{name}_{path.stem}.jpg", quality=95)
    found = find_poses(folder, tmp_path / "out", PoseOptions(), quiet)
    assert all("fox_" in name for name in open_capture(found.path).image_names)
    assert 6 <= found.registration.placed <= 8
    said = "\n".join(found.registration.lines())
    assert "hang together among themselves only (part 2: bird_" in said


@pytest.mark.slow
def test_fox_without_its_poses(shared, tmp_path):
    given = open_capture(shared / "data" / "fox")
    found = find_poses(shared / "data" / "fox" / "images", tmp_path / "fox", PoseOptions(), quiet)
    assert found.registration.placed == 50
    capture = open_capture(found.path)
    assert [name.rpartition("/")[2] for name in capture.image_names] == [
        name.rpartition("/")[2] for name in given.image_names
    ]
    positions, rotations = aligned_errors(capture.cameras.c2w.numpy(), given.cameras.c2w.numpy())
    assert np.median(positions) < 0.003
    assert np.median(rotations) < 0.8
