"""Volumes: the grid with its frame, and the Unity layout byte by byte."""

import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from export_cases import CENTRE, RADIUS, Ball, normal_colours, source_of

from sightline.exports.grids import Grid
from sightline.exports.source import Field
from sightline.exports.volume.config import VolumeOptions
from sightline.exports.volume.export import colours_from, export_volume, inward_directions, vol_slabs
from sightline.exports.volume.files import read_vol, vol_alpha, vol_records
from sightline.foundation.errors import InputError
from sightline.methods.base import Scene


class Table(Scene):
    """Values of a grid, given point by point."""

    capabilities = frozenset({"rgb", "field"})

    def __init__(self, grid: Grid, sigma: np.ndarray, rgb: np.ndarray):
        self.grid, self.sigma, self.rgb = grid, torch.from_numpy(sigma), torch.from_numpy(rgb)

    def _index(self, points: torch.Tensor) -> tuple[torch.Tensor, ...]:
        unit = (points.double() - torch.from_numpy(self.grid.low)) / torch.from_numpy(self.grid.spacing)
        assert float((unit - unit.round()).abs().max()) < 1e-4
        return unit.round().long().unbind(-1)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        x, y, z = self._index(points)
        return self.sigma[y, x, z]

    def radiance(self, points: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        assert bool((directions == 0).all()), "nerf_pl asks for the direction (0, 0, 0)"
        x, y, z = self._index(points)
        return self.rgb[y, x, z]


def test_the_unity_layout_is_that_of_nerf_pl(shared):
    golden = np.load(shared / "golden" / "nerf" / "volume_n24_inputs.npz")
    ranges, n = golden["ranges"].astype(np.float64), int(golden["N"])
    grid = Grid(ranges[:, 0], ranges[:, 1], (n, n, n))
    expected = (shared / "golden" / "nerf" / "volume_n24.vol").read_bytes()
    scene = Table(grid, golden["sigma_yxz"], golden["rgb_yxz"])
    found = b"".join(slab.astype("<u4").tobytes() for slab in vol_slabs(Field(scene), grid, "zero"))
    assert len(found) == 8 * int(golden["n_records"])
    assert found == expected


def test_records_by_hand():
    alpha = np.array([[[0.0, 0.5], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.25]]])
    colours = np.zeros((2, 2, 2, 3))
    colours[0, 0, 1], colours[0, 1, 0], colours[1, 1, 1] = (1, 0.5, 0), (0, 0, 1), (0.2, 0.4, 0.6)
    records = vol_records(alpha, colours)
    assert records[:, 0].tolist() == [1, 2, 7]
    assert [f"{value:08x}" for value in records[:, 1]] == ["ff7f007f", "0000ffff", "3366993f"]
    assert vol_records(alpha[1:], colours[1:], first=1).tolist() == records[2:].tolist()
    grid = Grid(np.array([0.0, 0, 0]), np.array([3.0, 1, 1]), (2, 2, 2))
    assert vol_alpha(np.array([2.0, -1.0]), grid) == pytest.approx([1 - np.exp(-3), 0])


def test_the_unity_layout_is_written_and_read(tmp_path):
    source = source_of(tmp_path)
    exported = export_volume(source, VolumeOptions(resolution=20, format="vol"))
    path, sidecar = exported.paths
    facts = json.loads(sidecar.read_text())
    assert (facts["n"], facts["records"]) == (20, path.stat().st_size // 8)
    volume = read_vol(path)
    assert volume.shape == (20, 20, 20, 4)
    axes = [np.linspace(low, high, 20) for low, high in facts["bounds"]]
    points = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3))
    alpha = 1 - np.exp(-Ball().density(points).numpy() * facts["step"])
    assert np.abs(volume[..., 3].ravel() - np.floor(255 * alpha)).max() <= 1
    filled = alpha > 0
    expected = np.floor(255 * normal_colours(points).numpy()[filled])
    assert np.abs(volume[..., :3].reshape(-1, 3)[filled].astype(int) - expected).max() <= 1
    assert np.ptp([high - low for low, high in facts["bounds"]]) < 1e-9, "voxels are cubes"


def test_broken_unity_files(tmp_path):
    path = tmp_path / "a.vol"
    path.write_bytes(struct.pack("<2I", 26, 0xFF000080))
    assert read_vol(path, 3)[2, 2, 2].tolist() == [255, 0, 0, 128]
    with pytest.raises(InputError, match="outside of 2x2x2"):
        read_vol(path, 2)
    path.write_bytes(b"12345")
    with pytest.raises(InputError, match="cut short"):
        read_vol(path, 3)
    with pytest.raises(InputError, match="Cannot read"):
        read_vol(tmp_path / "none.vol", 3)


def test_npz_says_its_frame(tmp_path):
    exported = export_volume(source_of(tmp_path), VolumeOptions(resolution=32))
    with np.load(exported.paths[0], allow_pickle=False) as file:
        rgba, density, low, spacing = file["rgba"], file["density"], file["low"], file["spacing"]
        assert np.allclose(file["high"], low + spacing * (np.array(rgba.shape[:3]) - 1))
        assert "x, y, z" in json.loads(str(file["about"]))["axes"]
    index = np.stack(np.meshgrid(*map(np.arange, rgba.shape[:3]), indexing="ij"), -1)
    points = torch.from_numpy(low + index * spacing)
    exact = Ball().density(points.reshape(-1, 3)).numpy().reshape(density.shape)
    assert np.abs(density - exact).max() < 0.2
    assert np.abs(rgba[..., 3] - 255 * (1 - np.exp(-exact * spacing.min()))).max() <= 0.51
    filled = rgba[..., 3] > 0
    assert np.abs(rgba[filled][:, :3] - 255 * normal_colours(points).numpy()[filled]).max() <= 0.51
    assert (rgba[~filled] == 0).all()
    assert filled.sum() * spacing.prod() == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.25)


def test_directions_point_to_where_it_is_denser():
    axis = torch.linspace(-1.5, 1.5, 40, dtype=torch.float64)
    grid = Grid(np.full(3, -1.5), np.full(3, 1.5), (40, 40, 40))
    density = Field(Ball(edge=0.4, peak=10)).density(grid.points().reshape(-1, 3)).view(40, 40, 40).numpy()
    directions = inward_directions(density, grid)
    assert np.linalg.norm(directions, axis=-1) == pytest.approx(1, abs=1e-5)
    offset = grid.points() - CENTRE
    shell = ((offset.norm(dim=-1) - RADIUS).abs() < 0.1).numpy()
    inward = -(offset / offset.norm(dim=-1, keepdim=True)).numpy()
    assert (directions * inward).sum(-1)[shell].min() > 0.97
    assert directions[0, 0, 0].tolist() == [1, 0, 0]
    assert float(axis[0]) == grid.low[0]


def test_the_ways_to_look():
    class Lit(Ball):
        def radiance(self, points, directions):
            return (0.5 + 0.5 * directions).float()

    field, points = Field(Lit()), torch.zeros(2, 3)
    assert colours_from(field, points, "mean").numpy() == pytest.approx(0.5)
    assert colours_from(field, points, "zero").numpy() == pytest.approx(0.5)
    ways = torch.tensor([[0.0, 0, 1], [-1, 0, 0]])
    assert colours_from(field, points, "inward", ways).tolist() == [[0.5, 0.5, 1], [0, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("options", "out", "said"),
    [
        (
            {"bounds": (1.2, 1.2, 1.2, 1.4, 1.4, 1.4)},
            None,
            "empty: the largest density found is 0 ",
        ),
        ({"bounds": (1.2, 1.2, 1.2, 1.4, 1.4, 1.4), "format": "vol"}, None, "empty"),
        ({"format": "vol"}, "a.npz", "do not go together"),
        ({"format": "vol", "resolution": 1626}, None, r"32 bits.*2 to 1625"),
        ({"resolution": 2000}, None, r"about 29\d\.\d GiB of memory, and 1\.0 GiB are free"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, options, out, said: str):
    source = source_of(tmp_path, Ball(half=0.9), memory=1 << 30)
    with pytest.raises(InputError, match=said):
        export_volume(source, VolumeOptions(**{"resolution": 16, **options}), out and tmp_path / out)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_files_beyond_the_disk_are_refused_with_the_number(tmp_path, monkeypatch):
    free = SimpleNamespace(free=2**30)
    monkeypatch.setattr("sightline.exports.volume.export.shutil.disk_usage", lambda folder: free)
    # Six tenths of the voxels of its bounding cube are the ball, 8 bytes each.
    options = VolumeOptions(resolution=1200, format="vol", bounds=(-0.2, -0.7, -0.4, 0.8, 0.3, 0.6))
    with pytest.raises(InputError, match=r"about 7\.\d GiB of disk, and 1\.0 GiB are free") as refused:
        export_volume(source_of(tmp_path), options)
    assert "1200x1200x1200" in str(refused.value)
    assert not list(tmp_path.rglob("*.vol*"))
    # A box that holds little is written, however many voxels it has.
    free.free = 30_000
    options = VolumeOptions(resolution=20, format="vol", bounds=(-3.0, -3.0, -3.0, 3.0, 3.0, 3.0))
    assert 0 < export_volume(source_of(tmp_path), options).facts["records"] < 100
