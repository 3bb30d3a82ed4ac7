import shutil
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.captures import open_capture, write_capture
from sightline.captures.formats.colmap_model import (
    CAMERA_MODELS,
    ModelCamera,
    ModelImage,
    ModelPoints,
    read_cameras,
    read_images,
    read_points,
    write_model,
)
from sightline.foundation.errors import InputError

pycolmap = pytest.importorskip("pycolmap")

PARAMS = {
    "SIMPLE_PINHOLE": (50.0, 21.0, 14.0),
    "PINHOLE": (50.0, 52.0, 21.0, 14.0),
    "SIMPLE_RADIAL": (50.0, 21.0, 14.0, 0.06),
    "RADIAL": (50.0, 21.0, 14.0, 0.06, -0.02),
    "OPENCV": (50.0, 52.0, 21.0, 14.0, 0.06, -0.02, 3e-3, -2e-3),
    "OPENCV_FISHEYE": (50.0, 52.0, 21.0, 14.0, 0.06, -0.02, 3e-3, -2e-3),
    "FULL_OPENCV": (50.0, 52.0, 21.0, 14.0, 0.06, -0.02, 3e-3, -2e-3, 1e-2, 2e-2, -1e-2, 5e-3),
    "SIMPLE_RADIAL_FISHEYE": (50.0, 21.0, 14.0, 0.06),
    "RADIAL_FISHEYE": (50.0, 21.0, 14.0, 0.06, -0.02),
    "SIMPLE_FISHEYE": (50.0, 21.0, 14.0),
    "FISHEYE": (50.0, 52.0, 21.0, 14.0),
}


@pytest.fixture
def colmap_scene(tmp_path):
    """A folder with a model of one camera and three images, two points far and near."""

    def make(model="PINHOLE", text=False, params=None, names=("b.png", "a.png", "deep/c.png")):
        camera = ModelCamera(7, model, 40, 30, PARAMS.get(model, ()) if params is None else params)
        half = float(np.sqrt(0.5))
        images = [
            ModelImage(11, (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 7, names[0]),
            ModelImage(12, (half, half, 0.0, 0.0), (1.0, 2.0, 3.0), 7, names[1]),
            ModelImage(40, (0.0, 0.0, 2.0, 0.0), (0.0, 0.0, 1.0), 7, names[2]),
        ]
        points = ModelPoints(
            np.array([5, 9]),
            np.array([[0.0, 0, 2], [0.5, 0.25, 8]]),
            np.array([[1, 2, 3], [4, 5, 6]], np.uint8),
        )
        write_model(tmp_path / "sparse" / "0", [camera], images, points, text=text)
        for name in names:
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(path)
        return tmp_path

    return make


@pytest.mark.parametrize("text", [False, True])
def test_poses_by_hand(colmap_scene, text):
    capture = open_capture(colmap_scene(text=text), holdout=0)
    assert capture.image_names == ("images/a.png", "images/b.png", "images/deep/c.png")
    # World to camera the identity: the camera looks along +z of the world, y down.
    np.testing.assert_allclose(
        capture.cameras.c2w[1], [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0]], atol=1e-15
    )
    # Turned by 90 degrees about x: camera (x, y, z) = world (x, -z, y) + (1, 2, 3).
    np.testing.assert_allclose(
        capture.cameras.c2w[0], [[1, 0, 0, -1], [0, 0, -1, -3], [0, 1, 0, 2]], atol=1e-15
    )
    # A quaternion of length 2 is a rotation by 180 degrees about y.
    np.testing.assert_allclose(
        capture.cameras.c2w[2], [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 1]], atol=1e-15
    )
    np.testing.assert_array_equal(capture.cameras.fy, [52.0] * 3)
    assert capture.points is not None
    np.testing.assert_array_equal(capture.points.positions, [[0, 0, 2], [0.5, 0.25, 8]])
    np.testing.assert_array_equal(capture.points.colours, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("model", sorted(PARAMS))
def test_every_camera_model_projects_as_pycolmap_does(colmap_scene, model):
    cameras = open_capture(colmap_scene(model, text=True)).cameras
    oracle = pycolmap.Camera(model=model, width=40, height=30, params=PARAMS[model])
    local = np.random.default_rng(3).uniform([-0.4, -0.3, 1.0], [0.4, 0.3, 1.0], (50, 3))
    expected = np.array([oracle.img_from_cam(point) for point in local]).reshape(50, 2)
    # View 1 is the identity, so that world points are camera points.
    pixels, _ = cameras.project(torch.from_numpy(local), 1)
    np.testing.assert_allclose(pixels.numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("model", sorted({name for name, _ in CAMERA_MODELS.values()} - set(PARAMS)))
def test_other_camera_models_are_refused(colmap_scene, model):
    count = {name: number for name, number in CAMERA_MODELS.values()}[model]
    with pytest.raises(InputError, match=rf"{model} is not supported.*camera 7.*OPENCV"):
        open_capture(colmap_scene(model, params=(10.0,) * count))


def test_the_table_of_camera_models_is_pycolmaps():
    for number, (name, count) in CAMERA_MODELS.items():
        assert int(getattr(pycolmap.CameraModelId, name)) == number
        if name != "EQUIRECTANGULAR":
            made = pycolmap.Camera.create_from_model_name(1, name, 10.0, 40, 30)
            assert len(made.params) == count


def test_bird_is_read_as_pycolmap_reads_it(shared, tmp_path):
    folder = shared / "data" / "llff_bird" / "sparse" / "0"
    oracle = pycolmap.Reconstruction(folder)
    text = tmp_path / "text"
    text.mkdir()
    oracle.write_text(text)
    for model in (folder, text):
        cameras, points = read_cameras(model), read_points(model)
        images = {image.id: image for image in read_images(model)}
        assert len(images) == 184
        assert points is not None
        assert len(points.ids) == len(oracle.points3D) == 6271
        for number, image in oracle.images.items():
            mine = images[number]
            pose = image.cam_from_world() if callable(image.cam_from_world) else image.cam_from_world
            x, y, z, w = pose.rotation.quat
            np.testing.assert_allclose(mine.quaternion, (w, x, y, z), rtol=1e-12)
            np.testing.assert_allclose(mine.translation, pose.translation, rtol=1e-12)
            assert mine.name == image.name
            camera = oracle.cameras[image.camera_id]
            np.testing.assert_allclose(cameras[mine.camera_id].params, camera.params, rtol=1e-12)
            seen = [point.point3D_id for point in image.points2D if point.has_point3D()]
            assert mine.point_ids.tolist() == seen
        for row in range(0, len(points.ids), 100):
            point = oracle.points3D[int(points.ids[row])]
            np.testing.assert_allclose(points.positions[row], point.xyz, rtol=1e-12)
            np.testing.assert_array_equal(points.colours[row], point.color)


def test_bird_depth_bounds(shared):
    capture = open_capture(shared / "data" / "llff_bird", format="colmap")
    oracle = pycolmap.Reconstruction(shared / "data" / "llff_bird" / "sparse" / "0")
    image = next(image for image in oracle.images.values() if image.name == "017.jpg")
    pose = image.cam_from_world() if callable(image.cam_from_world) else image.cam_from_world
    seen = {point.point3D_id for point in image.points2D if point.has_point3D()}
    depth = np.array([(pose * oracle.points3D[point].xyz)[2] for point in seen])
    index = capture.image_names.index("images/017.jpg")
    assert capture.near is not None
    assert capture.far is not None
    expected = np.percentile(depth[depth > 0], [0.1, 99.9])
    np.testing.assert_allclose([capture.near[index], capture.far[index]], expected, rtol=1e-9)


def test_points_reproject_near_their_observations(shared):
    """Cameras, lenses and points fit together: the mean error is what COLMAP reports."""
    capture = open_capture(shared / "data" / "llff_bird", format="colmap")
    oracle = pycolmap.Reconstruction(shared / "data" / "llff_bird" / "sparse" / "0")
    image = next(image for image in oracle.images.values() if image.name == "100.jpg")
    observed = [point for point in image.points2D if point.has_point3D()]
    points = torch.tensor(np.array([oracle.points3D[point.point3D_id].xyz for point in observed]))
    pixels, depth = capture.cameras.project(points, capture.image_names.index("images/100.jpg"))
    errors = np.linalg.norm(pixels.numpy() - np.array([point.xy for point in observed]), axis=1)
    assert np.median(errors) < 1.5
    assert (depth > 0).all()


def test_images_without_a_pose_are_reported(colmap_scene, warnings_seen):
    folder = colmap_scene()
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(folder / "images" / "lost.png")
    assert len(open_capture(folder)) == 3
    assert warnings_seen()[0].startswith(
        "1 images have no pose in the COLMAP model and are not used: lost.png"
    )


def test_missing_images_are_skipped(colmap_scene, warnings_seen):
    folder = colmap_scene()
    (folder / "images" / "b.png").unlink()
    assert open_capture(folder).image_names == ("images/a.png", "images/deep/c.png")
    assert warnings_seen()[0].startswith("1 of 3 listed images do not exist: images/b.png")


def test_smaller_copies_may_have_another_extension(colmap_scene):
    folder = colmap_scene(names=("b.JPG", "a.JPG", "deep/c.JPG"))
    for name in ("a", "b", "deep/c"):
        path = folder / "images_2" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((15, 20, 3), np.uint8)).save(path)
    capture = open_capture(folder, downscale=2)
    assert capture.image_names == ("images_2/a.png", "images_2/b.png", "images_2/deep/c.png")
    np.testing.assert_array_equal(capture.images.sizes, [[20, 15]] * 3)
    np.testing.assert_array_equal(capture.cameras.fx, [25.0] * 3)


@pytest.mark.parametrize("place", ["sparse", "colmap/sparse/0", "."])
def test_places_of_the_model(colmap_scene, place):
    folder = colmap_scene()
    model = folder / place
    files = list((folder / "sparse" / "0").iterdir())
    model.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.move(file, model / file.name)
    (folder / "sparse" / "0").rmdir()
    capture = open_capture(folder)
    assert (capture.format, len(capture)) == ("colmap", 3)
    inside = open_capture(model)
    assert (inside.name, len(inside)) == (folder.name, 3)


def test_several_models(colmap_scene, warnings_seen):
    folder = colmap_scene()
    shutil.copytree(folder / "sparse" / "0", folder / "sparse" / "1")
    open_capture(folder)
    assert "left out are: 1" in warnings_seen()[0]


@pytest.mark.parametrize("file", ["cameras.bin", "images.bin", "points3D.bin"])
def test_models_cut_short(colmap_scene, file):
    path = colmap_scene() / "sparse" / "0" / file
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=rf"cut short.*{file}"):
        open_capture(path.parents[2])


@pytest.mark.parametrize("file", ["cameras.txt", "images.txt", "points3D.txt"])
def test_text_models_say_the_line(colmap_scene, file):
    path = colmap_scene(text=True) / "sparse" / "0" / file
    lines = path.read_text(encoding="utf-8").splitlines()
    row = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    lines[row] = lines[row].replace(" ", " x", 2) if file != "cameras.txt" else "7 PINHOLE forty 30 1 2 3 4"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=rf"is not a number.*{file}, line {row + 1}"):
        open_capture(path.parents[2])


def test_an_image_of_an_unknown_camera(colmap_scene):
    path = colmap_scene() / "sparse" / "0" / "cameras.bin"
    path.write_bytes(struct.pack("<Q", 0))
    with pytest.raises(InputError, match=r"camera 7 of an image is not in the model"):
        open_capture(path.parents[2])


def test_names_that_leave_the_image_folder(colmap_scene):
    with pytest.raises(InputError, match="leads out"):
        open_capture(colmap_scene(names=("b.png", "a.png", "../c.png")))


def test_what_is_written_is_read_by_pycolmap(capture_in_memory, tmp_path):
    capture = capture_in_memory(distortion=(0.1, 0.02, 1e-3, 2e-3, 0.0, 0.0, 0.0, 0.0), lens=1)
    for format in ("colmap", "colmap-text"):
        write_capture(capture, tmp_path / format, format)
        oracle = pycolmap.Reconstruction(tmp_path / format / "sparse" / "0")
        assert (len(oracle.cameras), len(oracle.images), len(oracle.points3D)) == (1, 6, 30)
        (camera,) = oracle.cameras.values()
        assert camera.model.name == "OPENCV"
        np.testing.assert_allclose(camera.params, [20, 20, 8, 6, 0.1, 0.02, 1e-3, 2e-3])
        point = np.array([0.1, -0.2, 0.4])
        pixels, _ = capture.cameras.project(torch.from_numpy(point[None]), 4)
        image = next(image for image in oracle.images.values() if image.name == "004.png")
        pose = image.cam_from_world() if callable(image.cam_from_world) else image.cam_from_world
        np.testing.assert_allclose(camera.img_from_cam(pose * point), pixels[0].numpy(), atol=1e-9)
