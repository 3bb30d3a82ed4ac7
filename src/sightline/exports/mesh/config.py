"""Settings of the mesh export (no torch)."""

from dataclasses import dataclass
from typing import Literal

from sightline.exports.registry import ExportInfo


@dataclass(frozen=True, kw_only=True)
class MeshOptions:
    """How a mesh is made."""

    resolution: int = 256
    """grid points along the longest side of the box; cells are cubes"""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """lowest and highest corner of the box, x y z x y z in the frame of the data; found where not given"""
    mask_background: bool = False
    """keep the object that the photos show, as they agree on it, and nothing around it"""
    mask_with: Literal["grabcut", "rembg"] = "grabcut"
    """how it is told from what is around it in the photos"""
    threshold: float | None = None
    """density of the surface, per unit of the data; where the rays of the photos end, if not given"""
    faces: int | None = None
    """reduce the mesh to about this many triangles; with --texture 50000 where not given"""
    format: Literal["ply", "obj", "glb"] | None = None
    """ply, obj or glb; by the name in --out, else ply, or glb with a texture"""
    colours: Literal["field", "photos", "none"] = "field"
    """seen in the field along the inward normal, or mixed from the photos that see each point, or none"""
    texture: bool = False
    """unwrap the mesh and bake its colours into a picture instead of its vertices (obj and glb)"""
    texture_size: int = 2048
    """pixels of a side of the texture"""
    views: int = 64
    """photos at most that colours are mixed from, evenly spread"""
    least_part: float = 0.01
    """leave out parts whose surface is below this fraction of the largest part's"""
    parts: int | None = None
    """keep this many parts at most, the largest ones"""
    keep_cavities: bool = False
    """keep hollows inside, which no light reaches, and their surfaces"""
    refine: int = 4
    """halvings of the grid's cells in which vertices are moved onto the surface"""


INFO = ExportInfo(
    name="mesh",
    summary="a triangle mesh with colours or a texture: PLY, OBJ or GLB",
    options="sightline.exports.mesh.config:MeshOptions",
    export="sightline.exports.mesh.export:export_mesh",
    needs=(("field",),),
)
