"""Small corrections of camera poses: making them, and taking out what all of them have in common.

A correction is a rotation vector ω and a shift τ, in the frame of the poses: the camera turns by exp([ω]×)
about its own centre, which moves by τ. So what a correction turns, it does not move, however far the world's
origin is.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.geometry.poses import fit_similarity
from sightline.geometry.similarity import Similarity

# Motions that change no pose by more than this part of the others' size are none.
_NEGLIGIBLE = 1e-6


def rotation_matrices(vectors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Rotations about the vectors by their lengths in radians; differentiable, at zero too."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.linalg.matrix_exp(torch.stack(rows, -1).view(-1, 3, 3))


def correct_poses(
    c2w: Float[Tensor, "n 3 4"], turns: Float[Tensor, "n 3"], shifts: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3 4"]:
    """Apply corrections to poses, in float64."""
    c2w = c2w.double()
    rotation = rotation_matrices(turns.to(c2w)) @ c2w[:, :, :3]
    return torch.cat([rotation, (c2w[:, :, 3] + shifts.to(c2w))[:, :, None]], -1)


def common_motions(c2w: Float[Tensor, "n 3 4"], reach: float = 1.0) -> Float[Tensor, "6*n k"]:
    """Find the corrections that move all poses as one: small turns, shifts and scalings of the world.

    These change nothing that photos show, since the scene can follow.

    Args:
        reach: a shift that counts as much as a turn by a radian.

    Returns:
        Orthonormal columns of (ω, τ / reach) of all cameras, camera by camera; k is 7, less where cameras
        leave some without effect (a single centre has no scale).
    """
    centres = c2w[:, :, 3].double()
    middle = centres.mean(0)
    offsets = (centres - middle) / reach
    n, axes = len(c2w), torch.eye(3).to(centres)
    motions = torch.zeros(7, n, 6).to(centres)
    for k in range(3):
        motions[k, :, k] = 1
        motions[k, :, 3:] = torch.linalg.cross(axes[k].expand(n, 3), offsets)
        motions[3 + k, :, 3 + k] = 1
    motions[6, :, 3:] = offsets
    u, sizes, _ = torch.linalg.svd(motions.view(7, -1).T, full_matrices=False)
    return u[:, sizes > _NEGLIGIBLE * sizes[0]]


def without_common_motion(
    turns: Float[Tensor, "n 3"],
    shifts: Float[Tensor, "n 3"],
    common: Float[Tensor, "6*n k"],
    reach: float = 1.0,
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Take `common_motions` out of small corrections; what is left moves no pose on average."""
    both = torch.cat([turns.double(), shifts.double() / reach], -1).view(-1)
    rest = (both - common @ (common.T @ both)).view(-1, 6)
    return rest[:, :3].to(turns), (rest[:, 3:] * reach).to(shifts)


def pose_errors(
    found: Float[Tensor, "n 3 4"], truth: Float[Tensor, "n 3 4"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"], Similarity]:
    """Compare poses, once the similarity is undone that brings their centres together.

    Returns:
        Angles (degrees) between the cameras' rotations, distances of their centres in units of `truth`, and
        the similarity, from the frame of `found` to that of `truth`.
    """
    similarity = fit_similarity(found[:, :, 3], truth[:, :, 3])
    distances = (similarity.apply(found[:, :, 3].double()) - truth[:, :, 3].double()).norm(dim=-1)
    turned = similarity.rotation @ found[:, :, :3].double()
    apart = turned @ truth[:, :, :3].double().mT
    # The sine is exact for small angles, where the cosine is not.
    sine = torch.stack(
        [apart[:, 2, 1] - apart[:, 1, 2], apart[:, 0, 2] - apart[:, 2, 0], apart[:, 1, 0] - apart[:, 0, 1]],
        -1,
    )
    cosine = apart.diagonal(dim1=-2, dim2=-1).sum(-1) - 1
    return torch.rad2deg(torch.atan2(sine.norm(dim=-1), cosine)), distances, similarity
