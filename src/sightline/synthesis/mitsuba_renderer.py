"""Pictures of a described scene by Mitsuba 3; its variant `scalar_rgb` needs neither LLVM nor a GPU.

Mitsuba is imported on first use. Its variant and thread count are settings of the whole process; pictures of
many views are better made by `farm`, in processes of their own.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.foundation.errors import RunError
from sightline.synthesis.description import Lamp, Material, Part, SceneDescription

VARIANT = "scalar_rgb"


@dataclass(frozen=True, kw_only=True)
class View:
    """One picture to be made, by a pinhole camera whose optical axis meets the middle of the picture."""

    c2w: np.ndarray
    """float64 (3, 4), camera to world; x right, y up, z backward"""
    angle_x: float
    """horizontal field of view, radians"""
    width: int
    height: int
    samples: int
    """samples per pixel; Mitsuba rounds up to a number that it can spread evenly"""
    seed: int = 0


class MitsubaRenderer:
    """A scene that is loaded once and seen from many cameras.

    Args:
        scene: what to render.
        bounces: how often light is followed from surface to surface; 1 is direct light only.
        threads: threads of Mitsuba in this process; results are the same bits for the same number.
    """

    def __init__(self, scene: SceneDescription, *, bounces: int = 2, threads: int = 1):
        self._mitsuba = _load_mitsuba(threads)
        self._scene = self._build(scene, bounces)

    def render(self, view: View) -> np.ndarray:
        """Render one view: uint8 (height, width, 4), sRGB with straight alpha (see `encode_film`)."""
        return encode_film(self.render_linear(view))

    def render_linear(self, view: View) -> np.ndarray:
        """Render one view: float32 (height, width, 4), linear RGB multiplied by alpha."""
        sensor = self._mitsuba.load_dict(_sensor(self._mitsuba, view))
        picture = self._mitsuba.render(self._scene, sensor=sensor, spp=view.samples, seed=view.seed)
        return np.array(picture, dtype=np.float32)

    def _build(self, scene: SceneDescription, bounces: int) -> Any:
        content: dict[str, Any] = {
            "type": "scene",
            # A path of one bounce has two edges: camera to surface, surface to light.
            "integrator": {"type": "path", "max_depth": bounces + 1, "hide_emitters": True},
            "ambient": {"type": "constant", "radiance": {"type": "rgb", "value": list(scene.ambient)}},
        }
        for index, lamp in enumerate(scene.lamps):
            content[f"lamp_{index}"] = _lamp(self._mitsuba, lamp)
        for index, part in enumerate(scene.parts):
            content[f"part_{index}"] = self._shape(part, index)
        return self._mitsuba.load_dict(content)

    def _shape(self, part: Part, index: int) -> Any:
        mesh = part.mesh
        properties = self._mitsuba.Properties()
        properties["surface"] = self._mitsuba.load_dict(_surface(self._mitsuba, part.material))
        shape = self._mitsuba.Mesh(
            f"part_{index}",
            len(mesh.vertices),
            len(mesh.faces),
            has_vertex_normals=True,
            has_vertex_texcoords=True,
            props=properties,
        )
        fields = self._mitsuba.traverse(shape)
        fields["vertex_positions"] = mesh.vertices.ravel()
        fields["vertex_normals"] = mesh.normals.ravel()
        fields["vertex_texcoords"] = mesh.uvs.ravel()
        fields["faces"] = mesh.faces.ravel()
        fields.update()
        return shape


def encode_film(film: np.ndarray) -> np.ndarray:
    """Turn what a film collects into a picture.

    Args:
        film: float (h, w, 4), linear RGB multiplied by alpha.

    Returns:
        uint8 (h, w, 4), sRGB with straight alpha; black where alpha is 0, so that no hidden noise is stored.
    """
    alpha = np.clip(np.nan_to_num(film[..., 3:], nan=0.0), 0, 1)
    colour = np.nan_to_num(film[..., :3], nan=0.0) / np.maximum(alpha, 1e-6)
    encoded = np.concatenate([encode_srgb(colour), alpha], axis=-1)
    picture = np.rint(encoded * 255).astype(np.uint8)
    picture[picture[..., 3] == 0] = 0
    return picture


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """The transfer function of sRGB (IEC 61966-2-1) from linear values, clipped to [0, 1]."""
    clipped = np.clip(linear, 0, 1)
    return np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)


def _load_mitsuba(threads: int) -> Any:
    try:
        import drjit
        import mitsuba
    except ImportError as error:
        raise RunError(
            f"The renderer Mitsuba cannot be loaded ({error})",
            fix="Install it: python -m pip install mitsuba",
        ) from error
    if mitsuba.variant() != VARIANT:
        mitsuba.set_variant(VARIANT)
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    if drjit.thread_count() != threads:
        drjit.set_thread_count(threads)
    return mitsuba


def _sensor(mitsuba: Any, view: View) -> dict[str, Any]:
    # Mitsuba's cameras look along +z with x to the left: half a turn about y from this package's axes.
    to_world = np.eye(4)
    to_world[:3] = view.c2w
    to_world = to_world @ np.diag([-1.0, 1.0, -1.0, 1.0])
    return {
        "type": "perspective",
        "fov": math.degrees(view.angle_x),
        "fov_axis": "x",
        "near_clip": 1e-3,
        "far_clip": 1e4,
        "to_world": mitsuba.ScalarTransform4f(to_world),
        "film": {
            "type": "hdrfilm",
            "width": view.width,
            "height": view.height,
            "pixel_format": "rgba",
            "component_format": "float32",
            # A box keeps every sample in its own pixel: alpha is exactly 0 outside and 1 inside.
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "multijitter"},
    }


def _lamp(mitsuba: Any, lamp: Lamp) -> dict[str, Any]:
    transform = mitsuba.ScalarTransform4f
    # The square's front looks along +z of its own frame; any up that is not parallel to its axis will do.
    axis = np.subtract(lamp.target, lamp.position)
    up = [0, 1, 0] if abs(axis[1]) < 0.9 * np.linalg.norm(axis) else [1, 0, 0]
    placed = transform().look_at(origin=list(lamp.position), target=list(lamp.target), up=up)
    return {
        "type": "rectangle",
        "to_world": placed @ transform().scale(lamp.size / 2),
        "light": {"type": "area", "radiance": {"type": "rgb", "value": list(lamp.radiance)}},
    }


def _surface(mitsuba: Any, material: Material) -> dict[str, Any]:
    reflectance = _reflectance(mitsuba, material)
    if material.roughness is None:
        surface = {"type": "diffuse", "reflectance": reflectance}
    elif material.metallic is None:
        surface = {
            "type": "roughplastic",
            "diffuse_reflectance": reflectance,
            "alpha": max(material.roughness, 0.05),
        }
    else:
        surface = {
            "type": "principled",
            "base_color": reflectance,
            "roughness": max(material.roughness, 0.05),
            "metallic": material.metallic,
            "specular": 0.5,
        }
    return {"type": "twosided", "surface": surface}


def _reflectance(mitsuba: Any, material: Material) -> dict[str, Any]:
    return {
        "type": "bitmap",
        # Mitsuba takes row 0 of a bitmap for v = 0, the bottom.
        "bitmap": mitsuba.Bitmap(np.ascontiguousarray(material.texture[::-1])),
        "raw": False,
        "wrap_mode": "repeat",
        "to_uv": mitsuba.ScalarTransform4f().scale([material.repeat[0], material.repeat[1], 1]),
    }
