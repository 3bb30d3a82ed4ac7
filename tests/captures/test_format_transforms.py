import json
import math

import numpy as np
import pytest
from PIL import Image

from sightline.captures import Points, open_capture
from sightline.captures.formats.ply import write_points_ply
from sightline.foundation.errors import InputError
from sightline.geometry import LensModel


def test_fox(shared, warnings_seen):
    capture = open_capture(shared / "data" / "fox")
    assert (capture.format, capture.name, len(capture), capture.background) == (
        "transforms",
        "fox",
        50,
        "photo",
    )
    assert capture.image_names[:2] == ("images/0001.jpg", "images/0002.jpg")
    assert capture.splits["test"] == (0, 8, 16, 24, 32, 40, 48)
    assert len(capture.splits["train"]) == 43
    cameras = capture.cameras
    np.testing.assert_array_equal(capture.images.sizes, [[1080, 1920]] * 50)
    assert (float(cameras.fx[0]), float(cameras.fy[7])) == (1375.52, 1374.49)
    assert (float(cameras.cx[0]), float(cameras.cy[0])) == (554.558, 965.268)
    assert cameras.lens.tolist() == [LensModel.OPENCV] * 50
    expected = [0.0578421, -0.0805099, -0.000980296, 0.00015575, 0, 0, 0, 0]
    np.testing.assert_array_equal(cameras.distortion.numpy()[0], expected)
    assert cameras.c2w[0, 0, 3].item() == 3.168359405609479
    assert capture.per_view["sharpness"][0] == 31.752987436300323
    assert capture.extras == {"aabb_scale": 4}
    (warning,) = warnings_seen()
    assert warning.startswith("17 of 67 listed images do not exist: images/0005.jpg, ")
    assert "50 remain" in warning


def test_fox_downscaled_keeps_the_exact_ratio(shared):
    capture = open_capture(shared / "data" / "fox", downscale=7, holdout=0)
    assert capture.images[0].shape == (274, 154, 3)
    assert float(capture.cameras.fx[0]) == pytest.approx(1375.52 * 154 / 1080, rel=1e-15)
    assert float(capture.cameras.cy[0]) == pytest.approx(965.268 * 274 / 1920, rel=1e-15)
    assert len(capture.splits["train"]) == 50
    assert capture.splits["test"] == ()


def test_strict_refuses_missing_images(shared):
    with pytest.raises(InputError, match=r"17 of 67 listed images.*fox.*--strict"):
        open_capture(shared / "data" / "fox", strict=True)


def test_no_image_at_all(transforms_scene):
    folder = transforms_scene(3)
    for file in (folder / "images").iterdir():
        file.unlink()
    with pytest.raises(InputError, match=r"None of the 3 listed images exists.*images/000\.png"):
        open_capture(folder)


def test_views_are_sorted_by_name(transforms_scene):
    folder = transforms_scene(4, edit=lambda data: data["frames"].reverse())
    capture = open_capture(folder)
    assert capture.image_names == tuple(f"images/{index:03d}.png" for index in range(4))
    np.testing.assert_array_equal(capture.per_view["sharpness"], [10, 11, 12, 13])


def test_focal_length_from_angles(transforms_scene):
    def edit(data):
        del data["fl_x"], data["w"], data["h"]
        data["camera_angle_x"] = 2 * math.atan(0.5)

    cameras = open_capture(transforms_scene(2, edit=edit)).cameras
    np.testing.assert_allclose(cameras.fx, 16.0)
    np.testing.assert_allclose(cameras.fy, 16.0)
    np.testing.assert_allclose(cameras.cx, 8.0)

    def edit_both(data):
        edit(data)
        data["camera_angle_y"] = 2 * math.atan(0.25)

    cameras = open_capture(transforms_scene(2, edit=edit_both, name="both")).cameras
    np.testing.assert_allclose(cameras.fx, 16.0)
    np.testing.assert_allclose(cameras.fy, 24.0)


def test_frames_may_have_intrinsics_of_their_own(transforms_scene):
    def edit(data):
        data |= {"cx": 7.0, "cy": 5.0, "k1": 0.1, "camera_model": "OPENCV"}
        data["frames"][1] |= {"fl_x": 30.0, "fl_y": 31.0, "cx": 9.0, "cy": 4.0, "k1": 0.2, "k2": 0.3}

    cameras = open_capture(transforms_scene(3, edit=edit)).cameras
    np.testing.assert_array_equal(cameras.fx, [20, 30, 20])
    np.testing.assert_array_equal(cameras.fy, [20, 31, 20])
    np.testing.assert_array_equal(cameras.cx, [7, 9, 7])
    np.testing.assert_array_equal(cameras.distortion[:, :2], [[0.1, 0], [0.2, 0.3], [0.1, 0]])


@pytest.mark.parametrize(
    ("values", "lens", "distortion"),
    [
        ({"camera_model": "PINHOLE"}, LensModel.PINHOLE, [0] * 8),
        ({"camera_model": "SIMPLE_PINHOLE"}, LensModel.PINHOLE, [0] * 8),
        (
            {"camera_model": "OPENCV", "k1": 1e-1, "k2": 2e-2, "k3": 3e-3, "k4": 0, "p1": 4e-3, "p2": 5e-3},
            LensModel.OPENCV,
            [1e-1, 2e-2, 4e-3, 5e-3, 3e-3, 0, 0, 0],
        ),
        (
            {
                "camera_model": "OPENCV_FISHEYE",
                "k1": 1e-1,
                "k2": 2e-2,
                "k3": 3e-3,
                "k4": 4e-4,
                "p1": 0,
                "p2": 0,
            },
            LensModel.OPENCV_FISHEYE,
            [1e-1, 2e-2, 3e-3, 4e-4, 0, 0, 0, 0],
        ),
        ({"is_fisheye": True, "k1": 0.1}, LensModel.OPENCV_FISHEYE, [0.1] + [0] * 7),
        ({"k1": 0.1}, LensModel.OPENCV, [0.1] + [0] * 7),
    ],
)
def test_camera_models(transforms_scene, values, lens, distortion):
    cameras = open_capture(transforms_scene(2, edit=lambda data: data.update(values))).cameras
    assert cameras.lens.tolist() == [lens] * 2
    np.testing.assert_array_equal(cameras.distortion.numpy()[1], distortion)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "'EQUIRECTANGULAR' is not supported.*frames.0.*OPENCV_FISHEYE"),
        ({"k4": 0.1}, "fourth radial coefficient"),
        ({"camera_model": "OPENCV_FISHEYE", "p1": 0.1}, "no p1 and p2"),
        ({"fl_x": None}, "focal length is not stated.*fl_x"),
        ({"fl_x": "wide"}, "fl_x must be a finite number, it is 'wide'"),
        ({"fl_x": -5}, "not positive"),
        ({"fl_x": float("nan")}, "fl_x must be a finite number"),
        ({"fl_x": None, "camera_angle_x": 4.0}, "between 0 and pi"),
        ({"w": 16.5}, "whole number of pixels"),
        ({"frames": {}}, "no list 'frames'"),
        ({"frames": []}, "lists no frames"),
        ({"frames": [3]}, "not an object"),
        (
            {"frames": [{"file_path": "images/000.png"}]},
            r"no transform_matrix.*frames\[0\].*Remove this",
        ),
        ({"frames": [{"file_path": "../000.png"}]}, r"leads out.*frames\[0\]"),
    ],
)
def test_bad_values(transforms_scene, values, message):
    with pytest.raises(InputError, match=message):
        open_capture(transforms_scene(2, edit=lambda data: data.update(values)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pose: pose[0].__setitem__(0, float("nan")), "NaN"),
        (lambda pose: pose[0].__setitem__(0, 2.0), "not a rotation"),
        (lambda pose: [row.__setitem__(0, -row[0]) for row in pose], "mirrored"),
    ],
)
def test_bad_poses_name_the_frame(transforms_scene, change, message):
    with pytest.raises(InputError, match=rf"{message}.*frames\[1\] \(images/001\.png\)"):
        open_capture(transforms_scene(3, edit=lambda data: change(data["frames"][1]["transform_matrix"])))


def test_json_errors_give_line_and_column(transforms_scene):
    folder = transforms_scene(2)
    (folder / "transforms.json").write_text('{"fl_x": 20,\n "frames": [,]}', encoding="utf-8")
    with pytest.raises(InputError, match=r"transforms\.json, line 2, column 13"):
        open_capture(folder)


def test_sizes_that_do_not_fit_are_refused(transforms_scene):
    folder = transforms_scene(2, edit=lambda data: data.update(w=17))
    with pytest.raises(InputError, match=r"16x12 pixels.*17x12.*images/000\.png"):
        open_capture(folder)


def test_a_whole_factor_between_sizes_rescales(transforms_scene, warnings_seen):
    def edit(data):
        data.update(w=64, h=48, fl_x=80.0, cx=30.0, cy=20.0)

    capture = open_capture(transforms_scene(3, edit=edit))
    np.testing.assert_array_equal(capture.images.sizes, [[16, 12]] * 3)
    np.testing.assert_array_equal(capture.cameras.fx, [20.0] * 3)
    np.testing.assert_array_equal(capture.cameras.cx, [7.5] * 3)
    (warning,) = warnings_seen()
    assert warning.startswith("3 images have 16x12 pixels, their cameras are stated for 64x48")


def test_extensions_may_be_missing_and_separators_foreign(transforms_scene):
    def edit(data):
        data["frames"][0]["file_path"] = "./images/000"
        data["frames"][1]["file_path"] = "images\\001.jpg"

    capture = open_capture(transforms_scene(2, edit=edit, suffix=".jpg"))
    assert capture.image_names == ("images/000.jpg", "images/001.jpg")
    assert capture.images[0].shape == (12, 16, 3)


def test_split_lists(transforms_scene):
    def edit(data):
        data["train_filenames"] = ["images/000.png", "./images/003.png"]
        data["val_filenames"] = ["images\\001.png"]
        data["test_filenames"] = ["images/002"]

    capture = open_capture(transforms_scene(4, edit=edit))
    assert capture.splits == {"train": (0, 3), "val": (1,), "test": (2,)}
    ruled = open_capture(capture.path, split_rule="holdout", holdout=3)
    assert ruled.splits == {"train": (1, 2), "val": (), "test": (0, 3)}


def test_split_lists_that_leave_frames_out(transforms_scene, warnings_seen):
    capture = open_capture(
        transforms_scene(4, edit=lambda data: data.update(train_filenames=["images/000.png"]))
    )
    assert capture.splits == {"train": (0,), "val": (), "test": ()}
    assert warnings_seen()[0].startswith("3 of 4 frames are in none of the lists")
    with pytest.raises(InputError, match="name none of the frames"):
        open_capture(transforms_scene(2, edit=lambda data: data.update(train_filenames=["x"]), name="none"))


def test_masks_are_black_where_pixels_are_ignored(transforms_scene):
    def edit(data):
        data["frames"][0]["mask_path"] = "mask.png"

    folder = transforms_scene(2, edit=edit)
    mask = np.full((12, 16), 255, np.uint8)
    mask[:, :4] = 0
    Image.fromarray(mask).save(folder / "mask.png")
    capture = open_capture(folder, downscale=2)
    assert capture.masks is not None
    np.testing.assert_array_equal(capture.masks[0], [[255] * 2 + [0] * 6] * 6)
    np.testing.assert_array_equal(capture.masks[1], np.zeros((6, 8)))


def test_dynamic_masks_are_bright_where_pixels_are_ignored(transforms_scene):
    folder = transforms_scene(2)
    mask = np.zeros((12, 16), np.uint8)
    mask[3, 5] = 255
    Image.fromarray(mask).save(folder / "images" / "dynamic_mask_001.png")
    capture = open_capture(folder)
    assert capture.masks is not None
    np.testing.assert_array_equal(capture.masks[1], mask)
    assert not capture.masks[0].any()


def test_points_and_box(transforms_scene):
    points = Points(np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[1, 2, 3], [4, 5, 6]], np.uint8))

    def edit(data):
        data |= {"ply_file_path": "sparse.ply", "scene_box": [[-1, -2, -3], [1, 2, 3]], "background": "white"}

    folder = transforms_scene(2, edit=edit)
    write_points_ply(folder / "sparse.ply", points)
    capture = open_capture(folder)
    assert capture.points is not None
    np.testing.assert_array_equal(capture.points.positions, points.positions)
    np.testing.assert_array_equal(capture.points.colours, points.colours)
    np.testing.assert_array_equal(capture.box, [[-1, -2, -3], [1, 2, 3]])
    assert capture.background == "white"


def test_ascii_points_of_other_programs(transforms_scene):
    folder = transforms_scene(2, edit=lambda data: data.update(ply_file_path="sparse_pc.ply"))
    (folder / "sparse_pc.ply").write_text(
        "ply\nformat ascii 1.0\ncomment made by hand\nelement vertex 2\nproperty float x\nproperty float y\n"
        "property float z\nproperty uint8 red\nproperty uint8 green\nproperty uint8 blue\nend_header\n"
        "1 2 3 10 20 30\n-1 -2 -3.5 40 50 60\n",
        encoding="ascii",
    )
    points = open_capture(folder).points
    assert points is not None
    np.testing.assert_array_equal(points.positions, [[1, 2, 3], [-1, -2, -3.5]])
    np.testing.assert_array_equal(points.colours, [[10, 20, 30], [40, 50, 60]])


@pytest.mark.parametrize(
    "content",
    [
        b"no ply",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 9\n"
        b"property float x\nproperty float y\nproperty float z\nend_header\n1234",
    ],
)
def test_damaged_points(transforms_scene, content):
    folder = transforms_scene(2, edit=lambda data: data.update(ply_file_path="p.ply"))
    (folder / "p.ply").write_bytes(content)
    with pytest.raises(InputError, match=r"p\.ply"):
        open_capture(folder)


def test_applied_transform_is_left_alone(transforms_scene):
    matrix = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]
    plain = open_capture(transforms_scene(2, name="plain"))
    moved = open_capture(transforms_scene(2, edit=lambda data: data.update(applied_transform=matrix)))
    np.testing.assert_array_equal(moved.cameras.c2w, plain.cameras.c2w)
    assert moved.extras == {"applied_transform": matrix}


def test_images_listed_twice(transforms_scene, warnings_seen):
    def edit(data):
        data["frames"].append(json.loads(json.dumps(data["frames"][1])))

    assert len(open_capture(transforms_scene(3, edit=edit))) == 3
    assert warnings_seen()[0].startswith("1 images are listed more than once")

    def edit_pose(data):
        edit(data)
        data["frames"][-1]["transform_matrix"] = data["frames"][0]["transform_matrix"]

    with pytest.raises(InputError, match=r"001\.png' is listed twice.*frames\[1\].*frames\[3\]"):
        open_capture(transforms_scene(3, edit=edit_pose, name="poses"))


def test_one_view_is_read_with_a_warning(transforms_scene, warnings_seen):
    capture = open_capture(transforms_scene(1), holdout=0)
    assert len(capture) == 1
    assert "only one view" in warnings_seen()[0]


def test_bounds_that_are_no_depths_are_left_out(transforms_scene, warnings_seen):
    def edit(data):
        for index, frame in enumerate(data["frames"]):
            frame |= {"near": 1.0 - index, "far": 3.0}

    capture = open_capture(transforms_scene(3, edit=edit))
    assert capture.near is None
    assert capture.far is None
    assert "2 views are not 0 < near < far (first: 0 and 3 in " in warnings_seen()[0]


def test_the_file_itself_can_be_opened(transforms_scene):
    folder = transforms_scene(3)
    (folder / "transforms.json").rename(folder / "other.json")
    capture = open_capture(folder / "other.json")
    assert (capture.name, len(capture)) == ("scene", 3)
    assert capture.image_names[0] == "images/000.png"
