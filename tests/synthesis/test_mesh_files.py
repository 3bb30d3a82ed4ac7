import numpy as np
import pytest
import trimesh
from PIL import Image

from sightline.foundation.errors import InputError
from sightline.synthesis.mesh_files import find_meshes, load_parts
from sightline.synthesis.object_recipes import bounds

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 2 0\n"


def test_layouts_of_folders_say_id_and_category(tmp_path):
    for place in ("03001627/abc/models/model_normalized.obj", "cups/mug.ply", "bowl.GLB", "notes.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("", encoding="utf-8")
    found = {mesh.id: mesh.category for mesh in find_meshes(tmp_path)}
    assert found == {"abc": "03001627", "bowl": tmp_path.name, "cups-mug": "cups"}


def test_one_name_in_two_categories_becomes_two_ids(tmp_path):
    for synset in ("1", "2"):
        path = tmp_path / synset / "same" / "models" / "model_normalized.obj"
        path.parent.mkdir(parents=True)
        path.write_text("", encoding="utf-8")
    assert [mesh.id for mesh in find_meshes(tmp_path)] == ["same", "same-2"]


def test_folders_without_meshes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no meshes.*\.obj, \.ply"):
        find_meshes(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_meshes(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRIANGLE, "no faces"),
        ("v nan 0 0\nv 1 0 0\nv 0 2 0\nf 1 2 3\n", "not finite"),
        ("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "no extent"),
        ("", "cannot be read|no faces"),
    ],
)
def test_broken_meshes_are_refused_with_their_file(tmp_path, text, message):
    path = tmp_path / "broken.obj"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        load_parts(path)
    assert "broken.obj" in str(error.value)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "damaged.glb"
    path.write_bytes(b"glTF" + bytes(30))
    with pytest.raises(InputError, match=r"cannot be read.*damaged\.glb"):
        load_parts(path)


def test_up_turns_y_to_z(tmp_path):
    path = tmp_path / "flat.obj"
    path.write_text(TRIANGLE + "f 1 2 3\n", encoding="utf-8")
    low, high = bounds(load_parts(path))
    np.testing.assert_allclose([low, high], [[0, 0, 0], [1, 0, 2]], atol=1e-6)
    low, high = bounds(load_parts(path, up="z"))
    np.testing.assert_allclose([low, high], [[0, 0, 0], [1, 2, 0]], atol=1e-6)


def test_the_front_of_shapenet_faces_y(tmp_path):
    path = tmp_path / "nose.obj"
    path.write_text("v 0 0 -1\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 3\n", encoding="utf-8")
    low, high = bounds(load_parts(path))
    assert (low[1], high[1]) == pytest.approx((0, 1))


def test_textures_of_obj_keep_their_place(tmp_path):
    colours = np.zeros((8, 8, 3), dtype=np.uint8)
    colours[:4] = [255, 0, 0]  # the upper half, v above 0.5
    colours[4:] = [0, 0, 255]
    Image.fromarray(colours).save(tmp_path / "paint.png")
    (tmp_path / "paint.mtl").write_text("newmtl paint\nmap_Kd paint.png\n", encoding="utf-8")
    corners = "vt 0 0.9\nvt 1 0.9\nvt 0 0.6\n"
    text = f"mtllib paint.mtl\n{TRIANGLE}{corners}usemtl paint\nf 1/1 2/2 3/3\n"
    (tmp_path / "painted.obj").write_text(text, encoding="utf-8")
    (part,) = load_parts(tmp_path / "painted.obj")
    np.testing.assert_array_equal(part.material.texture, colours)
    order = np.argsort(part.mesh.uvs @ [1, 10])
    np.testing.assert_allclose(part.mesh.uvs[order], [[0, 0.6], [0, 0.9], [1, 0.9]], atol=1e-6)
    # The corner with v = 0.6 is the one that is 2 high.
    np.testing.assert_allclose(part.mesh.vertices[order[0]], [0, 0, 2], atol=1e-6)


@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_colours_of_faces_become_patches(tmp_path, suffix):
    box = trimesh.creation.box()
    colours = np.tile([10, 20, 30, 255], (12, 1)).astype(np.uint8)
    colours[:6, 0] = 200
    faces = box.triangles.reshape(-1, 3)
    solid = trimesh.Trimesh(faces, np.arange(36).reshape(12, 3), process=False)
    solid.visual.vertex_colors = np.repeat(colours, 3, axis=0)
    path = tmp_path / f"box.{suffix}"
    solid.export(path)
    (part,) = load_parts(path)
    assert len(part.mesh.faces) == 12
    texture = part.material.texture
    uv = part.mesh.uvs[::3]
    rows, columns = ((1 - uv[:, 1]) * len(texture)).astype(int), (uv[:, 0] * len(texture)).astype(int)
    found = texture[rows, columns]
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, colours[:, :3].tolist()))


def test_a_mesh_without_colours_is_grey(tmp_path):
    trimesh.creation.icosphere().export(tmp_path / "ball.stl")
    (part,) = load_parts(tmp_path / "ball.stl", up="z")
    texture = part.material.texture.reshape(-1, 3)
    assert len(texture) == 1
    assert np.ptp(texture.astype(int)) < 30
    # The facets of a ball are soft.
    np.testing.assert_allclose(part.mesh.normals, part.mesh.vertices, atol=0.03)


def test_the_reference_meshes(shared):
    found = find_meshes(shared / "data" / "meshes")
    assert len(found) == 14
    chair = next(mesh for mesh in found if mesh.path.name == "model_normalized.obj")
    parts = load_parts(chair.path)
    low, high = bounds(parts)
    assert np.linalg.norm(high - low) == pytest.approx(1, abs=0.02)  # as ShapeNet normalises
    assert any(part.material.texture.shape[0] > 1 for part in parts)
