"""The readers of collections against what pixelNeRF's own loaders gave."""

import numpy as np
import pytest

from pixelnerf_items import (
    FLIP,
    Y_UP_TO_Z_UP,
    check_item,
    internal_poses,
    items,
    make_srn,
    unpack,
)
from sightline.captures import open_capture


def same_poses(found: np.ndarray, golden: np.ndarray) -> None:
    np.testing.assert_allclose(found, golden, atol=2e-5)


def test_srn_chairs(shared, tmp_path):
    golden = items(shared, "srn_chairs")
    make_srn(shared, tmp_path / "chairs_test", golden["object_index"].tolist(), "chairs", list(range(251)))
    collection = open_capture(tmp_path)
    assert (collection.format, len(collection.split("test")), collection.categories) == (
        "srn",
        2,
        ("chairs",),
    )
    for number, entry in enumerate(collection):
        capture = entry.open()
        check_item(capture, golden, f"item{number}")
        same_poses(internal_poses(capture), golden[f"item{number}_poses"])
    assert collection.objects[0].id == "1ac6531a337de85f2f7628d6bf38bcc4"


def test_the_name_of_an_srn_set_chooses_near_and_far(shared, tmp_path):
    golden = items(shared, "srn_cars_naming")
    make_srn(shared, tmp_path / "cars_val", golden["object_index"].tolist(), "cars", golden["views"].tolist())
    (entry,) = open_capture(tmp_path / "cars_val").split("val")
    capture = entry.open()
    check_item(capture, golden, "item0")
    same_poses(internal_poses(capture), golden["item0_poses"])
    assert capture.image_names[3] == "rgb/000030.png"


def test_srn_pictures_of_another_size(shared, tmp_path):
    golden = items(shared, "srn_resize")
    (entry,) = open_capture(unpack(shared, "srn_resize", tmp_path), downscale=1.25, resize_rule="pooled")
    capture = entry.open()
    check_item(capture, golden, "item0", exact=False)
    same_poses(internal_poses(capture), golden["item0_poses"])


@pytest.mark.parametrize(("format", "prefix"), [("nmr", "dvr"), ("nmr-unseen", "dvr_gen")])
def test_nmr_lists(shared, tmp_path, format, prefix):
    golden = items(shared, "nmr")
    collection = open_capture(unpack(shared, "NMR_Dataset", tmp_path), format=format)
    for split in ("train", "val", "test"):
        assert sorted(collection.splits[split]) == golden[f"{prefix}_{split}_objects"].tolist()
    assert collection.categories == ("chair", "table")


def test_nmr_objects(shared, tmp_path):
    golden = items(shared, "nmr")
    collection = open_capture(unpack(shared, "NMR_Dataset", tmp_path))
    assert collection.format == "nmr"
    for number, id in enumerate(golden["dvr_test_objects"].tolist()):
        capture = collection[id].open()
        prefix = f"dvr_test_item{number}"
        check_item(capture, golden, prefix)
        # pixelNeRF turns the world so that z points up; here it stays the file's.
        same_poses(Y_UP_TO_Z_UP @ internal_poses(capture), golden[f"{prefix}_poses"])
        masks = np.stack(list(capture.silhouettes))
        assert masks.shape == (4, 64, 64)
        np.testing.assert_array_equal((masks > 0).sum((1, 2)), golden[f"{prefix}_masks_sum_per_view"])


def test_scenes_of_several_objects(shared, tmp_path):
    golden = items(shared, "multi_obj")
    collection = open_capture(unpack(shared, "multi_chair", tmp_path))
    assert collection.format == "multi-object"
    for split, numbers in (("train", [0]), ("test", [0, 1])):
        for number, entry in zip(numbers, collection.split(split), strict=True):
            capture = entry.open()
            assert capture.background == "alpha"
            check_item(capture, golden, f"{split}_item{number}")
            same_poses(internal_poses(capture), golden[f"{split}_item{number}_poses"])
            alpha = np.stack(list(capture.images))[..., 3].sum((1, 2)) / 255
            np.testing.assert_allclose(alpha, golden[f"{split}_item{number}_masks_sum_per_view"], rtol=1e-6)


def test_dtu_scans(shared, tmp_path):
    golden = items(shared, "dtu_small")
    collection = open_capture(unpack(shared, "rs_dtu_4", tmp_path))
    assert (collection.format, dict(collection.splits)) == (
        "dtu",
        {"train": ("scan118s",), "val": ("scan118s",), "test": ("scan118s",)},
    )
    capture = collection["scan118s"].open()
    check_item(capture, golden, "val")
    # pixelNeRF turns the world about x by half a circle; here it stays the file's.
    same_poses(FLIP @ internal_poses(capture), golden["val_poses"])
    masks = np.stack(list(capture.silhouettes)) > 0
    np.testing.assert_array_equal(masks.sum((1, 2)), golden["val_masks_sum_per_view"])


def test_a_dtu_scan_without_scale(shared, warnings_seen):
    golden = items(shared, "dtu_full")
    folder = shared / "data" / "dtu_scan118_3view"
    full = open_capture(folder)
    assert (full.format, full.near) == ("dtu", None)
    seen = np.stack(full.images.load())
    assert seen.shape == (3, 1200, 1600, 3)
    chosen = seen.transpose(0, 3, 1, 2)[tuple(golden["full_images_idx"].T)] / 127.5 - 1
    np.testing.assert_allclose(chosen, golden["full_images_val"], atol=1e-6)
    for capture, prefix in ((full, "full"), (open_capture(folder, downscale=4), "r300x400")):
        cameras = capture.cameras
        np.testing.assert_allclose(
            [cameras.fx.mean(), cameras.fy.mean()], golden[f"{prefix}_focal"], rtol=1e-5
        )
        np.testing.assert_allclose([cameras.cx.mean(), cameras.cy.mean()], golden[f"{prefix}_c"], rtol=1e-4)
        found = FLIP @ internal_poses(capture)
        np.testing.assert_allclose(found[:, :3, :3], golden[f"{prefix}_poses"][:, :3, :3], atol=2e-5)
        # Millimetres, of matrices in float32.
        np.testing.assert_allclose(found[:, :3, 3], golden[f"{prefix}_poses"][:, :3, 3], atol=2e-2)
    assert any("no scale_mat" in text for text in warnings_seen())
