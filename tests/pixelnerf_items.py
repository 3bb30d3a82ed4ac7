"""The golden items of pixelNeRF's data sets, and the folders that they were read from."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np

from sightline.captures import Capture

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
Y_UP_TO_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def unpack(shared: Path, name: str, out: Path) -> Path:
    """Unpack a sample set; gives its root."""
    with zipfile.ZipFile(shared / "golden" / "pixelnerf" / "samples" / f"{name}.zip") as archive:
        archive.extractall(out)
    return out / name


def items(shared: Path, name: str) -> dict[str, np.ndarray]:
    """Load a golden file of items."""
    with np.load(shared / "golden" / "pixelnerf" / f"dataset_{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def make_srn(shared: Path, out: Path, objects: list[int], kind: str, views: list[int]) -> None:
    """Lay renders of chairs out as SRN does, with the poses of the spiral of `kind`."""
    source = shared / "data" / "enr_chairs" / "original"
    cameras = shared / "data" / "srn_spiral_poses" / f"camera_spiral_{kind}"
    names = sorted(entry.name for entry in source.iterdir() if entry.is_dir())
    for index in objects:
        folder = out / names[index]
        (folder / "rgb").mkdir(parents=True)
        (folder / "pose").mkdir()
        shutil.copy(cameras / "intrinsics.txt", folder)
        for view in views:
            shutil.copy(source / names[index] / f"{view:05d}.png", folder / "rgb" / f"{view:06d}.png")
            shutil.copy(cameras / "pose" / f"{view:06d}.txt", folder / "pose")


def internal_poses(capture: Capture) -> np.ndarray:
    """Camera to world (n, 4, 4)."""
    poses = capture.cameras.c2w.numpy()
    last = np.broadcast_to(np.array([[[0.0, 0, 0, 1]]]), (len(poses), 1, 4))
    return np.concatenate([poses[:, :3], last], axis=1)


def pictures(capture: Capture) -> np.ndarray:
    """All pictures in [-1, 1] (view, channel, y, x), those with opacity on white."""
    images = np.stack(capture.images.load()).astype(np.float32) / np.float32(255)
    colours = (images[..., :3] - np.float32(0.5)) / np.float32(0.5)
    if images.shape[-1] == 4:
        colours = colours * images[..., 3:] + (1 - images[..., 3:])
    return colours.transpose(0, 3, 1, 2)


def check_item(capture: Capture, golden: dict[str, np.ndarray], prefix: str, *, exact: bool = True) -> None:
    """Compare everything but poses: pictures, lens, near and far."""

    def value(name: str) -> np.ndarray:
        return golden[f"{prefix}_{name}"]

    seen = pictures(capture)
    assert seen.shape == tuple(value("images_shape"))
    chosen = seen[tuple(value("images_idx").T)]
    np.testing.assert_allclose(chosen, value("images_val"), atol=1e-6 if exact else 1 / 127 + 1e-6)
    np.testing.assert_allclose(
        seen.mean((1, 2, 3), dtype=np.float64), value("images_mean_per_view"), atol=1e-5 if exact else 2e-3
    )
    if exact:
        rounded = np.rint((seen * 0.5 + 0.5) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        digest = hashlib.sha256(np.ascontiguousarray(rounded).tobytes()).hexdigest()
        assert digest == str(value("images_round_u8_sha256"))
    focal = np.broadcast_to(value("focal"), 2)
    cameras = capture.cameras
    np.testing.assert_allclose([cameras.fx.mean(), cameras.fy.mean()], focal, rtol=1e-6)
    height, width = seen.shape[2:]
    centre = golden.get(f"{prefix}_c", np.array([width / 2, height / 2]))
    np.testing.assert_allclose([cameras.cx.mean(), cameras.cy.mean()], centre, rtol=1e-6)
    if capture.near is not None:
        assert set(capture.near) == {float(value("z_near"))}
        assert set(capture.far) == {float(value("z_far"))}
    assert capture.path.name == str(value("path_basename"))
