import json

import numpy as np
import pytest

from sightline.captures import open_capture
from sightline.foundation.errors import InputError


@pytest.fixture
def blender_scene(transforms_scene):
    """A folder in Blender's layout: the frames of each split are chosen by index."""

    def make(**splits):
        folder = transforms_scene(6, channels=4)
        data = json.loads((folder / "transforms.json").read_text(encoding="utf-8"))
        (folder / "transforms.json").unlink()
        for split, members in splits.items():
            frames = [
                {
                    "file_path": "./" + data["frames"][index]["file_path"][:-4],
                    "transform_matrix": data["frames"][index]["transform_matrix"],
                }
                for index in members
            ]
            text = json.dumps({"camera_angle_x": 0.5, "frames": frames})
            (folder / f"transforms_{split}.json").write_text(text, encoding="utf-8")
        return folder

    return make


def test_lego(shared):
    capture = open_capture(shared / "data" / "nerf_synthetic_lego_400")
    assert (capture.format, len(capture), capture.background) == ("blender", 125, "alpha")
    assert capture.splits["train"] == tuple(range(100))
    assert capture.splits["val"] == ()
    assert capture.splits["test"] == tuple(range(100, 125))
    assert capture.image_names[0] == "train/r_0.png"
    assert capture.image_names[101] == "test/r_8.png"
    np.testing.assert_allclose(capture.cameras.fx, 0.5 * 400 / np.tan(0.5 * 0.6911112070083618))
    assert capture.cameras.c2w[0, 1, 3].item() == 3.845470428466797
    assert capture.images.channels == 4
    image = capture.images[0]
    assert image.shape == (400, 400, 4)
    assert image[0, 0, 3] == 0  # nothing behind the model
    assert capture.near is None


def test_a_scene_of_two_files(shared):
    capture = open_capture(shared / "data" / "nerfstudio_tests" / "lego_test")
    assert capture.splits == {"train": (0,), "val": (1,), "test": ()}


def test_focal_length_follows_the_width_of_the_image(blender_scene):
    capture = open_capture(blender_scene(train=range(4), test=range(4, 6)), downscale=2)
    np.testing.assert_array_equal(capture.images.sizes, [[8, 6]] * 6)
    np.testing.assert_allclose(capture.cameras.fx, 4 / np.tan(0.25))
    np.testing.assert_allclose(capture.cameras.fy, 4 / np.tan(0.25))


def test_views_of_two_splits_are_one_view_in_both(blender_scene, warnings_seen):
    capture = open_capture(blender_scene(train=range(4), val=[4, 5], test=[5, 4]))
    assert len(capture) == 6
    assert capture.splits == {"train": (0, 1, 2, 3), "val": (4, 5), "test": (4, 5)}
    assert warnings_seen() == []


def test_training_views_in_the_test_split_are_reported(blender_scene, warnings_seen):
    capture = open_capture(blender_scene(train=range(4), test=[3, 4]))
    assert capture.splits == {"train": (0, 1, 2, 3), "val": (), "test": (3, 4)}
    (warning,) = warnings_seen()
    assert warning.startswith("1 images are in the training and in the test split (images/003.png)")


def test_split_files_of_one_name_only(blender_scene):
    capture = open_capture(blender_scene(test=range(6)))
    assert capture.splits == {"train": (), "val": (), "test": (0, 1, 2, 3, 4, 5)}
    with pytest.raises(InputError, match=r"no views in the split 'train'.*test \(6\)"):
        capture.split("train")


def test_errors_name_the_file_of_the_split(blender_scene):
    folder = blender_scene(train=range(3), test=[4])
    data = json.loads((folder / "transforms_test.json").read_text(encoding="utf-8"))
    data["frames"][0]["transform_matrix"][2][3] = float("inf")
    (folder / "transforms_test.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=r"infinite.*transforms_test\.json, frames\[0\]"):
        open_capture(folder)
