"""Camera laws of the published sets: poses (n, 3, 4) as camera to world, x right, y up, z backward.

z points up in the world. Azimuths are radians counter-clockwise from +x seen from above, elevations radians
above the horizon, unless a function says otherwise.
"""

import math
from dataclasses import dataclass

import numpy as np

SRN_TURNS = 20.0
"""radians that the test spiral of SRN turns by"""
ENR_SHIFT = 0.3
"""largest shift of an object along each axis in the sets with shifts"""


def orbit_poses(
    azimuths: np.ndarray, elevations: np.ndarray, distance: float, target: np.ndarray | None = None
) -> np.ndarray:
    """Cameras on a sphere that look at its middle, upright; also at the poles, where the azimuth decides.

    Args:
        azimuths: (n,), radians.
        elevations: (n,), radians.
        distance: radius of the sphere.
        target: (3,), its middle; the origin where not given.
    """
    cosine, sine = np.cos(elevations), np.sin(elevations)
    right = np.stack([-np.sin(azimuths), np.cos(azimuths), np.zeros_like(azimuths)], axis=1)
    backward = np.stack([cosine * np.cos(azimuths), cosine * np.sin(azimuths), sine], axis=1)
    up = np.cross(backward, right)
    centres = backward * distance + (np.zeros(3) if target is None else target)
    return np.stack([right, up, backward, centres], axis=2)


def srn_spiral(count: int, distance: float) -> np.ndarray:
    """The test cameras of SRN: an Archimedean spiral from the horizon to the zenith in 20 radians."""
    part = np.linspace(0, 1, count) if count > 1 else np.zeros(1)
    azimuths = SRN_TURNS * (1 - part)
    azimuths[part == 1] = math.pi / 2  # at the zenith, where any would do, the published one
    return orbit_poses(azimuths, math.pi / 2 * part, distance)


def upper_hemisphere(generator: np.random.Generator, count: int, distance: float) -> np.ndarray:
    """Cameras drawn from the upper hemisphere, equal areas equally likely."""
    azimuths = generator.uniform(0, 2 * math.pi, count)
    return orbit_poses(azimuths, np.arcsin(generator.uniform(0, 1, count)), distance)


def nmr_ring(count: int, distance: float = 2.732, elevation: float = math.radians(30)) -> np.ndarray:
    """Cameras at even steps around the object at one elevation; the first one is in front of it."""
    azimuths = math.pi / 2 + 2 * math.pi * np.arange(count) / count
    return orbit_poses(azimuths, np.full(count, elevation), distance)


def pair_sweep(generator: np.random.Generator, count: int, distance: float, target: np.ndarray) -> np.ndarray:
    """Training cameras of scenes of two objects: three turns with jitter, elevation uniform in 0 to 80."""
    step = 6 * math.pi / count
    azimuths = step * (np.arange(count) + generator.uniform(-0.5, 0.5, count))
    return orbit_poses(azimuths, generator.uniform(0, math.radians(80), count), distance, target)


def pair_spiral(count: int, distance: float, target: np.ndarray) -> np.ndarray:
    """Test cameras of scenes of two objects: a spiral of three turns from the horizon to 80 degrees."""
    part = np.arange(count) / count
    return orbit_poses(6 * math.pi * part, math.radians(80) * part, distance, target)


@dataclass(frozen=True)
class Turntable:
    """Views of a set of Equivariant Neural Rendering, as `render_params.json` says them."""

    azimuths: np.ndarray
    """(n,), radians, growing where the camera moves to its own right; 0 on the y axis"""
    elevations: np.ndarray
    """(n,), radians"""
    shifts: np.ndarray
    """(n, 3), where the object was put before the camera turned: x, y, z of the world"""

    def poses(self, distance: float) -> np.ndarray:
        """Cameras (n, 3, 4) in the frame of the object, which therefore move against its shifts."""
        poses = orbit_poses(math.pi / 2 + self.azimuths, self.elevations, distance)
        poses[:, :, 3] -= self.shifts
        return poses

    def params(self) -> dict[str, dict[str, float]]:
        """Give the content of `render_params.json`: angles in radians, shifts as x = -y, y = z, z = x."""
        return {
            f"{index:05d}": {
                "azimuth": float(self.azimuths[index]),
                "elevation": float(self.elevations[index]),
                "x": 0.0 - float(self.shifts[index, 1]),
                "y": float(self.shifts[index, 2]),
                "z": float(self.shifts[index, 0]),
            }
            for index in range(len(self.azimuths))
        }


def turntable(generator: np.random.Generator, count: int, *, turning: bool, shifting: bool) -> Turntable:
    """Draw views of one object: the first at rest, the others turned, shifted, or both.

    Azimuths are uniform over the circle, elevations from -90 to 90 degrees (which sees the poles more often
    than an even sphere would), shifts within `ENR_SHIFT` on each axis.
    """
    azimuths = generator.uniform(-math.pi, math.pi, count) * turning
    elevations = generator.uniform(-math.pi / 2, math.pi / 2, count) * turning
    shifts = generator.uniform(-ENR_SHIFT, ENR_SHIFT, (count, 3)) * shifting
    azimuths[0], elevations[0], shifts[0] = 0, 0, 0
    return Turntable(azimuths, elevations, shifts)


def facing_rig(
    generator: np.random.Generator,
    count: int,
    distance: float,
    target: np.ndarray,
    *,
    elevation: float,
    spread: float = 0.16,
) -> np.ndarray:
    """Cameras of a forward-facing capture, in front of a scene that lies towards -y.

    They stand in rows on a plate across the line of sight, each moved by hand's jitter, and look at points
    near the target, as somebody does who moves a phone.

    Args:
        generator: of the jitter.
        count: how many.
        distance: of the plate's middle from the target.
        target: (3,).
        elevation: of the plate's middle seen from the target, radians.
        spread: half of the plate's width, in distances.
    """
    columns = max(2, math.ceil(math.sqrt(count * 4 / 3)))
    rows = math.ceil(count / columns)
    index = np.arange(count)
    across = 2 * (index % columns) / (columns - 1) - 1
    across = np.where(index // columns % 2 == 0, across, -across)
    rising = 2 * (index // columns) / max(rows - 1, 1) - 1 if rows > 1 else np.zeros(count)
    jitter = generator.uniform(-1, 1, (count, 3)) * [0.5 / columns, 0.5 / max(rows, 2), 0.05]
    reach = spread * distance
    offsets = np.stack(
        [
            reach * (across + jitter[:, 0]),
            distance * (1 + jitter[:, 2]),
            0.6 * reach * (rising + jitter[:, 1]),
        ],
        axis=1,
    )
    cosine, sine = math.cos(elevation), math.sin(elevation)
    offsets @= np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    eyes = target + offsets
    towards = target + generator.uniform(-1, 1, (count, 3)) * 0.04 * distance
    towards[:, 0] += 0.5 * offsets[:, 0]
    backward = eyes - towards
    backward /= np.linalg.norm(backward, axis=1, keepdims=True)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(backward, right), backward, eyes], axis=2)
