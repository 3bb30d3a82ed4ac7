import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.geometry.turning_volume import camera_turn, relative_motion, turntable_poses, volume_poses

# In volume axes, and in the world.
_SHIFTS = {(0.5, 0, 0): (0, 0.5, 0), (0, 0.5, 0): (0, 0, -0.5), (0, 0, 0.5): (-0.5, 0, 0)}
ANGLES = st.floats(-4, 4)
LENGTHS = st.floats(-1, 1)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def pose(azimuth, elevation, shift=(0.0, 0.0, 0.0), distance=2.0, **options):
    return turntable_poses(tensor(azimuth), tensor(elevation), tensor(shift), distance, **options)[0]


def test_cameras_at_known_places():
    ahead = pose(0, 0)
    assert torch.allclose(ahead[:, 3], tensor(0, 2, 0), atol=1e-12)
    # Right, up and backward: the picture's right is -x, its top is z.
    assert torch.allclose(ahead[:, :3], tensor([-1, 0, 0], [0, 0, 1], [0, 1, 0]), atol=1e-12)
    assert torch.allclose(pose(math.pi / 2, 0)[:, 3], tensor(-2, 0, 0), atol=1e-12)
    assert torch.allclose(pose(0, math.pi / 2)[:, 3], tensor(0, 0, 2), atol=1e-12)


def test_shifts_are_along_the_axes_at_rest():
    # Depth is towards the camera at rest, down is -z, right is -x, however the camera is turned.
    for azimuth, elevation in ((0, 0), (1.2, 0.4)):
        rest = pose(azimuth, elevation)[:, 3]
        for shift, moved in _SHIFTS.items():
            assert torch.allclose(pose(azimuth, elevation, shift)[:, 3] - rest, tensor(*moved), atol=1e-12)


def test_upright_cameras_beyond_the_pole_differ_by_half_a_roll():
    turned, upright = pose(0.3, 2.0), pose(0.3, 2.0, upright=True)
    assert turned[2, 1] < 0 < upright[2, 1]
    assert torch.allclose(turned[:, :2], -upright[:, :2])
    assert torch.equal(turned[:, 2:], upright[:, 2:])
    assert torch.equal(pose(0.3, 1.0), pose(0.3, 1.0, upright=True))


@given(ANGLES, ANGLES, LENGTHS, LENGTHS, LENGTHS, st.floats(0.5, 3))
def test_turn_and_shift_come_back(azimuth, elevation, x, y, z, distance):
    turn, shift = volume_poses(pose(azimuth, elevation, (x, y, z), distance)[None], distance)
    assert torch.allclose(turn[0], camera_turn(tensor(azimuth), tensor(elevation))[0], atol=1e-9)
    assert torch.allclose(shift[0], tensor(x, y, z), atol=1e-9)


@given(*[ANGLES] * 6)
def test_motions_compose(a0, e0, a1, e1, a2, e2):
    turns = camera_turn(tensor(a0, a1, a2), tensor(e0, e1, e2))
    shifts = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def motion(a, b):
        found = relative_motion(turns[[a]], shifts[[a]], turns[[b]], shifts[[b]])[0]
        return torch.cat([found, tensor([0, 0, 0, 1])])

    assert torch.allclose(motion(0, 1) @ motion(1, 2), motion(0, 2), atol=1e-9)
    assert torch.allclose(motion(0, 0), torch.eye(4, dtype=torch.float64), atol=1e-9)


def test_turns_are_those_of_the_published_matrices(shared):
    golden = np.load(shared / "golden" / "enr" / "rotation.npz")
    pairs = torch.from_numpy(golden["pairs_deg"]).double().deg2rad()
    source, target = camera_turn(pairs[:, 0], pairs[:, 1]), camera_turn(pairs[:, 2], pairs[:, 3])
    assert np.abs(source.mT.numpy() - golden["obj_source"]).max() < 3e-6
    assert np.abs(target.mT.numpy() - golden["obj_target"]).max() < 3e-6
    # The published matrix moves content; looking up is its inverse.
    nothing = torch.zeros(len(pairs), 3, dtype=torch.float64)
    motion = relative_motion(source, nothing, target, nothing)[:, :, :3]
    assert np.abs(motion.mT.numpy() - golden["source_to_target"]).max() < 3e-6


def test_cameras_are_those_of_srn(shared):
    folder = next(iter(sorted((shared / "data" / "enr_chairs" / "original").iterdir())))
    angles = json.loads((folder / "render_params.json").read_text())
    stated = shared / "data" / "srn_spiral_poses" / "camera_spiral_chairs" / "pose"
    # Their numbers are float32, which tells little about turns near the pole. The last view looks straight
    # down, where the two disagree about which way is up.
    for key in [key for key in sorted(angles) if key != "00250"]:
        view = angles[key]
        ours = pose(math.radians(view["azimuth"]), math.radians(view["elevation"])).numpy()
        theirs = np.loadtxt(stated / f"0{key}.txt").reshape(4, 4)[:3]
        assert np.abs(ours * [1, -1, -1, 1] - theirs).max() < 2e-5


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_looks_up_further_along(axis):
    shift = torch.zeros(1, 3, dtype=torch.float64)
    shift[0, axis] = 0.5
    still = torch.eye(3, dtype=torch.float64)[None]
    motion = relative_motion(still, torch.zeros_like(shift), still, shift)
    assert torch.equal(motion[0, :, 3], shift[0])
