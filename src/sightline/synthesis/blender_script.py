"""Runs inside Blender: renders the views of a job folder that `blender_renderer` wrote.

Not imported by the package: Blender's own Python has neither Sightline nor its libraries.
"""

import json
import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
from mathutils import Matrix, Vector  # pyright: ignore[reportMissingImports]


def main(folder: Path) -> None:
    """Render every view of the job into 00000.png and so on."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    _set_up(scene)
    with np.load(folder / "meshes.npz") as arrays:
        for index, part in enumerate(job["parts"]):
            _add_part(scene, folder, index, part, {name: arrays[name] for name in arrays.files})
    _add_light(scene, job)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    for index, view in enumerate(job["views"]):
        _aim(scene, camera, view)
        scene.render.filepath = str(folder / f"{index:05d}.png")
        bpy.ops.render.render(write_still=True)


def _set_up(scene):
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.use_denoising = False
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.max_bounces = 2
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.film_transparent = True
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.image_settings.color_depth = "8"
    # Colours as they are, without the curve for film that Blender applies by default.
    scene.view_settings.view_transform = "Standard"


def _add_part(scene, folder, index, part, arrays):
    mesh = bpy.data.meshes.new(f"part {index}")
    vertices, faces = arrays[f"vertices_{index}"], arrays[f"faces_{index}"]
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), dtype=bool))
    layer = mesh.uv_layers.new(name="uv")
    layer.data.foreach_set("uv", arrays[f"uvs_{index}"][faces.ravel()].ravel())
    if hasattr(mesh, "use_auto_smooth"):
        mesh.use_auto_smooth = True  # versions before 4.1 ignore normals of their own without it
    mesh.normals_split_custom_set(arrays[f"normals_{index}"][faces.ravel()].tolist())
    mesh.materials.append(_material(folder, index, part))
    scene.collection.objects.link(bpy.data.objects.new(f"part {index}", mesh))


def _material(folder, index, part):
    material = bpy.data.materials.new(f"part {index}")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(str(folder / f"texture_{index}.png"))
    if part["roughness"] is None:
        surface = nodes.new("ShaderNodeBsdfDiffuse")
        links.new(texture.outputs["Color"], surface.inputs["Color"])
    else:
        surface = nodes.new("ShaderNodeBsdfPrincipled")
        links.new(texture.outputs["Color"], surface.inputs["Base Color"])
        surface.inputs["Roughness"].default_value = part["roughness"]
        surface.inputs["Metallic"].default_value = part["metallic"]
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    return material


def _add_light(scene, job):
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (*job["ambient"], 1.0)
    background.inputs["Strength"].default_value = 1.0
    scene.world = world
    for index, lamp in enumerate(job["lamps"]):
        light = bpy.data.lights.new(f"lamp {index}", "AREA")
        light.shape, light.size = "SQUARE", lamp["size"]
        light.energy = max(lamp["power"])
        light.color = [value / light.energy for value in lamp["power"]]
        placed = bpy.data.objects.new(f"lamp {index}", light)
        position, target = Vector(lamp["position"]), Vector(lamp["target"])
        placed.rotation_mode = "QUATERNION"
        placed.rotation_quaternion = (target - position).to_track_quat("-Z", "Y")
        placed.location = position
        scene.collection.objects.link(placed)


def _aim(scene, camera, view):
    width, height = view["size"]
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.cycles.samples, scene.cycles.seed = view["samples"], view["seed"]
    camera.data.sensor_fit = "HORIZONTAL"
    camera.data.angle = view["angle_x"]
    camera.data.clip_start, camera.data.clip_end = 1e-3, 1e4
    camera.matrix_world = Matrix([*view["c2w"], [0.0, 0.0, 0.0, 1.0]])


main(Path(sys.argv[sys.argv.index("--") + 1]))
