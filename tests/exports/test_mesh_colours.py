"""Colours of surfaces, textures, and the files that hold them."""

import json
import struct

import numpy as np
import pytest
import torch
import trimesh
from export_cases import CENTRE, RADIUS, Ball, cameras_around, normal_colours, photos_of, source_of

from sightline.exports.grids import grid_over, sample_density, scene_box
from sightline.exports.mesh.colours import colours_of_field, colours_of_photos, light_to
from sightline.exports.mesh.config import MeshOptions
from sightline.exports.mesh.export import export_mesh
from sightline.exports.mesh.files import to_linear, write_glb, write_obj, write_ply
from sightline.exports.mesh.surface import Mesh
from sightline.exports.mesh.texture import fill_gaps, find_texels, unwrap
from sightline.exports.source import Field, Source
from sightline.foundation.errors import InputError
from sightline.media.images import read_image, to_uint8
from sightline.methods.base import Scene


def ball_points(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    normals = np.random.default_rng(1).standard_normal((count, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return CENTRE.numpy() + RADIUS * normals, normals


def cube() -> Mesh:
    box = trimesh.creation.box()
    return Mesh(np.asarray(box.vertices), np.asarray(box.faces).astype(np.int32))


def test_the_field_is_seen_along_the_inward_normal():
    ball = Ball()
    points, normals = ball_points()
    colours = colours_of_field(Field(ball), points, normals, 0.02)
    assert np.abs(colours - normal_colours(torch.from_numpy(points)).numpy()).max() < 0.01
    looked = torch.cat(ball.directions)
    nearest = torch.cdist(looked.double(), torch.from_numpy(-normals)).min(-1).values
    assert float(nearest.max()) < 1e-5


def test_the_colour_is_that_of_what_is_dense():
    class Coated(Ball):
        """Red where it is dense; what is thin before it is blue."""

        def radiance(self, points, directions):
            dense = (self.density(points) > 20)[:, None]
            return torch.where(dense, torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1]))

    points, normals = ball_points(50)
    colours = colours_of_field(Field(Coated(edge=0.02)), points + 0.01 * normals, normals, 0.02)
    assert (colours[:, 0] > 0.9).all()


def test_a_point_in_nothing_has_the_colour_there():
    points, normals = ball_points(20)
    colours = colours_of_field(Field(Ball()), points + 0.3 * normals, normals, 0.02)
    assert np.abs(colours - normal_colours(torch.from_numpy(points)).numpy()).max() < 0.02


@pytest.mark.parametrize("alpha", [True, False])
def test_photos_give_the_colours_that_they_show(alpha: bool):
    scene, cameras = Ball(edge=0.01, peak=2000.0), cameras_around(8, 48)
    grid = grid_over(scene_box(Field(scene), None), 64)
    density = sample_density(Field(scene), grid)
    points, normals = ball_points()
    colours, seen = colours_of_photos(photos_of(scene, cameras, alpha), points, normals, density, grid)
    well = seen > 0.5
    assert well.mean() > 0.9
    error = np.abs(colours - normal_colours(torch.from_numpy(points)).numpy()).max(-1)
    # Without alpha, pixels at the rim hold some of the white around.
    assert np.quantile(error[well], 0.9) < (0.03 if alpha else 0.06)


def test_photos_of_what_is_hidden_have_no_say():
    class Two(Ball):
        """The ball, and a wall before it as seen from +x."""

        def density(self, points):
            wall = ((points[:, 0] - 1.2).abs() < 0.05) * 500.0
            return super().density(points) + wall

    scene = Two()
    eye = (CENTRE + torch.tensor([4.0, 0, 0], dtype=torch.float64))[None]
    grid = grid_over(np.array([[-1.5] * 3, [1.5] * 3]), 96)
    volume = torch.from_numpy(sample_density(Field(scene), grid))
    start = torch.tensor([[0.85, -0.2, 0.1], [1.3, -0.2, 0.1], [-0.4, -0.2, 0.1]])
    light = light_to(eye[0], start, volume, grid)
    assert light.tolist() == pytest.approx([0, 1, 0], abs=1e-3)
    cameras = cameras_around(12, 32)
    points, normals = ball_points()
    _, seen = colours_of_photos(photos_of(Ball(), cameras), points, normals, volume.numpy(), grid)
    behind = normals[:, 0] > 0.9
    assert seen[behind].max() < 0.2 * np.median(seen[normals[:, 0] < -0.5])


def test_ignored_pixels_have_no_say():
    from dataclasses import replace

    from sightline.captures.image_store import ImageStore

    photos = photos_of(Ball(), cameras_around(4, 24))
    masks = ImageStore.from_arrays([np.full((24, 24), 255, np.uint8)] * 4)
    grid = grid_over(scene_box(Field(Ball()), None), 32)
    points, normals = ball_points(50)
    density = sample_density(Field(Ball()), grid)
    _, seen = colours_of_photos(replace(photos, masks=masks), points, normals, density, grid)
    assert (seen == 0).all()


def test_a_texture_shows_each_point_where_the_mesh_looks_it_up():
    mesh, origin = unwrap(cube(), 64)
    assert mesh.uvs is not None
    assert np.array_equal(mesh.vertices, cube().vertices[origin])
    assert (mesh.uvs >= 0).all()
    assert (mesh.uvs <= 1).all()
    texels = find_texels(mesh, cube().normals()[origin], 64)
    # Texel centres lie on the cube, and those of all faces are there.
    assert np.abs(np.abs(texels.points).max(-1) - 0.5).max() < 1e-6
    assert len(texels.points) > 0.3 * 64 * 64
    texture = np.zeros((64, 64, 3))
    known = np.zeros((64, 64), dtype=bool)
    texture[texels.rows, texels.columns], known[texels.rows, texels.columns] = texels.points, True
    texture = fill_gaps(texture, known)
    # Any point of a face finds its own position in the texture.
    inner = np.array([[1 / 3] * 3, [0.6, 0.2, 0.2], [0.1, 0.2, 0.7]])
    for weights in inner:
        at = np.einsum("k,fkx->fx", weights, mesh.vertices[mesh.faces])
        uv = np.einsum("k,fkx->fx", weights, mesh.uvs[mesh.faces])
        column, row = np.floor(uv * 64).astype(int).T
        assert np.abs(texture[row, column] - at).max() < 0.06


def test_gaps_take_the_nearest_colour():
    texture, known = np.zeros((4, 4, 3)), np.zeros((4, 4), dtype=bool)
    texture[0, 0], texture[3, 3] = 1, 2
    known[0, 0] = known[3, 3] = True
    filled = fill_gaps(texture, known)
    assert (filled[0, 1], filled[3, 2]) == (pytest.approx([1] * 3), pytest.approx([2] * 3))
    assert (filled > 0).all()


def coloured() -> Mesh:
    mesh = cube()
    return Mesh(mesh.vertices, mesh.faces, colours=mesh.vertices + 0.5)


def test_ply_byte_by_byte(tmp_path):
    mesh = Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [0, 2.5, 0]]), np.array([[0, 1, 2]], np.int32), np.eye(3) * 0.5
    )
    write_ply(tmp_path / "a.ply", mesh)
    data = (tmp_path / "a.ply").read_bytes()
    header = (
        b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        b"property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face 1\n"
        b"property list uchar int vertex_indices\nend_header\n"
    )
    assert data.startswith(header)
    body = data[len(header) :]
    assert body[:15] == struct.pack("<3f3B", 0, 0, 0, 128, 0, 0)
    assert body[30:45] == struct.pack("<3f3B", 0, 2.5, 0, 0, 0, 128)
    assert body[45:] == struct.pack("<B3i", 3, 0, 1, 2)


@pytest.mark.parametrize("suffix", ["ply", "obj", "glb"])
def test_other_programs_read_the_files(tmp_path, suffix: str):
    path = tmp_path / f"cube.{suffix}"
    mesh = coloured()
    if suffix == "ply":
        write_ply(path, mesh)
    elif suffix == "obj":
        assert write_obj(path, mesh) == [path]
    else:
        write_glb(path, mesh)
    found = trimesh.load(path, process=False, force="mesh")
    assert np.allclose(found.vertices, mesh.vertices, atol=1e-6)
    assert np.array_equal(found.faces, mesh.faces)
    assert found.volume == pytest.approx(1)
    assert mesh.colours is not None
    if suffix != "glb":
        assert np.abs(found.visual.vertex_colors[:, :3] / 255.0 - mesh.colours).max() < 0.003


def glb_parts(path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON"
    rest = data[20 + size :]
    assert struct.unpack("<I4s", rest[:8]) == (len(rest) - 8, b"BIN\0")
    return json.loads(data[20 : 20 + size]), rest[8:]


def test_colours_of_glb_vertices_are_linear(tmp_path):
    write_glb(tmp_path / "cube.glb", coloured())
    document, body = glb_parts(tmp_path / "cube.glb")
    primitive = document["meshes"][0]["primitives"][0]
    accessor = document["accessors"][primitive["attributes"]["COLOR_0"]]
    assert (accessor["type"], accessor["componentType"], accessor["normalized"]) == ("VEC4", 5123, True)
    view = document["bufferViews"][accessor["bufferView"]]
    values = np.frombuffer(body, "<u2", 8 * 4, view["byteOffset"]).reshape(8, 4) / 65535
    colours = coloured().colours
    assert colours is not None
    assert values[:, :3] == pytest.approx(to_linear(colours), abs=1e-4)
    assert (values[:, 3] == 1).all()
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]
    assert to_linear(np.array([0.0, 0.02, 0.5, 1.0])) == pytest.approx(
        [0, 0.02 / 12.92, 0.21404, 1], abs=1e-5
    )


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_textures_are_looked_up_alike_in_every_format(tmp_path, suffix: str):
    size = 128
    mesh, origin = unwrap(cube(), size)
    texels = find_texels(mesh, cube().normals()[origin], size)
    picture, known = np.zeros((size, size, 3)), np.zeros((size, size), dtype=bool)
    picture[texels.rows, texels.columns], known[texels.rows, texels.columns] = texels.points + 0.5, True
    texture = to_uint8(fill_gaps(picture, known))
    path = tmp_path / f"cube.{suffix}"
    if suffix == "obj":
        files = write_obj(path, mesh, texture)
        assert [file.name for file in files] == ["cube.obj", "cube.mtl", "cube.png"]
        assert np.array_equal(read_image(tmp_path / "cube.png"), texture)
    else:
        write_glb(path, mesh, texture)
    found = trimesh.load(path, process=False, force="mesh")
    material = found.visual.material
    image = np.asarray(material.image if suffix == "obj" else material.baseColorTexture)[..., :3]
    # trimesh's own convention: (0, 0) is the lower left corner.
    uv = found.visual.uv[found.faces].mean(1)
    column, row = np.floor(uv[:, 0] * size).astype(int), np.floor((1 - uv[:, 1]) * size).astype(int)
    at = found.vertices[found.faces].mean(1)
    assert np.abs(image[row, column] / 255 - 0.5 - at).max() < 0.03


@pytest.fixture
def source(tmp_path) -> Source:
    return source_of(tmp_path / "run")


def test_a_mesh_is_made_with_its_facts(source: Source):
    exported = export_mesh(source, MeshOptions(resolution=40))
    path = exported.paths[0]
    assert path == source.run.path / "exports" / "mesh.ply"
    found = trimesh.load(path, process=False)
    assert found.is_watertight
    assert exported.facts["closed"]
    assert exported.facts["faces"] == len(found.faces)
    assert exported.facts["volume"] == pytest.approx(found.volume, rel=1e-5)
    outward = found.vertices - CENTRE.numpy()
    assert exported.facts["threshold"] > 0
    expected = normal_colours(torch.from_numpy(np.asarray(outward) + CENTRE.numpy())).numpy()
    assert np.abs(found.visual.vertex_colors[:, :3] / 255 - expected).max() < 0.02


def test_a_textured_mesh_has_the_colours_of_the_surface(source: Source):
    options = MeshOptions(resolution=40, texture=True, texture_size=256, faces=500, format="obj")
    exported = export_mesh(source, options)
    assert exported.facts["faces"] <= 500
    found = trimesh.load(exported.paths[0], process=False, force="mesh")
    assert np.asarray(found.visual.material.image).shape == (256, 256, 3)
    colours = found.visual.material.image
    uv = found.visual.uv[found.faces].mean(1)
    column = np.floor(uv[:, 0] * 256).astype(int)
    row = np.floor((1 - uv[:, 1]) * 256).astype(int)
    expected = normal_colours(torch.from_numpy(np.array(found.triangles_center))).numpy()
    assert np.quantile(np.abs(np.asarray(colours)[row, column] / 255 - expected).max(-1), 0.95) < 0.04


def test_photos_fill_in_from_the_field_where_none_looks(source: Source):
    few = cameras_around(3, 32)
    photos = photos_of(Ball(), few)
    from dataclasses import replace

    one_sided = replace(source, cameras=few, open_photos=lambda: photos)
    exported = export_mesh(one_sided, MeshOptions(resolution=32, colours="photos"))
    found = trimesh.load(exported.paths[0], process=False)
    expected = normal_colours(torch.from_numpy(np.asarray(found.vertices))).numpy()
    error = np.abs(found.visual.vertex_colors[:, :3] / 255 - expected).max(-1)
    assert np.quantile(error, 0.9) < 0.08
    assert error.max() < 0.5


@pytest.mark.parametrize(
    ("options", "out", "said"),
    [
        ({"texture": True, "format": "ply"}, None, "PLY files hold no texture"),
        ({"texture": True, "colours": "none"}, None, "without colours"),
        ({"format": "obj"}, "a.glb", "do not go together"),
        ({}, "a.stl", "do not go together"),
        ({"threshold": 1e6}, None, r"largest density found is 200 .*--threshold"),
        ({"bounds": (1.2, 1.2, 1.2, 1.4, 1.4, 1.4)}, None, "nothing in the box"),
        ({"resolution": 4}, None, "--resolution"),
    ],
)
def test_what_cannot_be_is_refused(source: Source, tmp_path, options, out, said: str):
    with pytest.raises(InputError, match=said):
        export_mesh(source, MeshOptions(**{"resolution": 24, **options}), out and tmp_path / out)
    assert not list(tmp_path.rglob("*.*"))


def test_grids_beyond_memory_are_refused_with_the_number(tmp_path):
    source = source_of(tmp_path, memory=1 << 30)
    with pytest.raises(
        InputError, match=r"about 2[0-9]\.[0-9] GiB of memory, and 1\.0 GiB are free.*--resolution"
    ):
        export_mesh(source, MeshOptions(resolution=1024))


def test_a_scene_without_a_field_is_refused_with_the_reason(tmp_path):
    source = source_of(tmp_path, Scene())
    with pytest.raises(InputError, match="method ball has no field"):
        export_mesh(source, MeshOptions())
