"""A reconstruction as a capture: levelled, as COLMAP's model and as transforms.json."""

from typing import Any

import numpy as np

from sightline.captures import Capture
from sightline.captures.formats import get_format
from sightline.captures.formats.transforms import write_description
from sightline.captures.frames import ReadOptions
from sightline.photos.levelling import Levelling, level
from sightline.photos.workspace import Workspace


def level_model(model: Any) -> Levelling:
    """Find the frame to keep of pycolmap's reconstruction."""
    poses = np.stack([model.image(number).cam_from_world().matrix() for number in model.reg_image_ids()])
    to_world = poses[:, :, :3].transpose(0, 2, 1)
    centres = -np.einsum("nij,nj->ni", to_world, poses[:, :, 3])
    points = np.array([point.xyz for point in model.points3D.values()]).reshape(-1, 3)
    return level(to_world * np.array([1.0, -1.0, -1.0]), centres, points)


def applied_transform(levelling: Levelling) -> list[list[float]]:
    """COLMAP's own frame to the one that is kept, without the scale, as nerfstudio's applied_transform."""
    shift = levelling.translation / levelling.scale
    return np.concatenate([levelling.rotation, shift[:, None]], 1).tolist()


def describe_cameras(model: Any) -> list[dict[str, Any]]:
    """Give the cameras of a reconstruction, and how many of its photos are by each."""
    used: dict[int, int] = {}
    for number in model.reg_image_ids():
        camera = model.image(number).camera_id
        used[camera] = used.get(camera, 0) + 1
    return [
        {
            "model": model.cameras[number].model.name,
            "width": model.cameras[number].width,
            "height": model.cameras[number].height,
            "params": [float(value) for value in model.cameras[number].params],
            "focal": float(model.cameras[number].mean_focal_length()),
            "photos": count,
        }
        for number, count in sorted(used.items())
    ]


def write_capture(model: Any, levelling: Levelling, space: Workspace, masked: bool) -> None:
    """Write COLMAP's model in the kept frame, and transforms.json with the points beside it."""
    import pycolmap

    matrix = np.concatenate([levelling.scale * levelling.rotation, levelling.translation[:, None]], axis=1)
    model.transform(pycolmap.Sim3d(matrix))
    space.model.mkdir(parents=True, exist_ok=True)
    model.write_binary(str(space.model))
    _set_aside(model, space)
    capture = get_format("colmap").read(space.root, ReadOptions())
    assert isinstance(capture, Capture)
    extras = {"applied_transform": applied_transform(levelling), "applied_scale": levelling.scale}
    masks = [f"masks/{name.removeprefix('images/')}.png" for name in capture.image_names]
    write_description(
        capture,
        space.root,
        list(capture.image_names),
        masks=[name if (space.root / name).is_file() else None for name in masks] if masked else None,
        extras=extras,
    )


def _set_aside(model: Any, space: Workspace) -> None:
    """Move photos without a pose out of the folder of those that have one."""
    placed = {model.image(number).name for number in model.reg_image_ids()}
    for file in sorted(entry for entry in space.images.rglob("*") if entry.is_file()):
        name = file.relative_to(space.images).as_posix()
        if name not in placed:
            target = space.left_out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
