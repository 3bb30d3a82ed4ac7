"""What a photometric step does besides where photos change colours and rays may move, in Numba.

`refined` is a tuple: views and transforms of `PhotometricRays`, weights of the levels in the gradient to
positions, whether gradients to the rays are wanted; and, of all rays, what was seen (colour and opacity), the
errors, and the gradients to origins, directions and features, which are added to.
"""

import numpy as np

from sightline.kernels.compiling import inline
from sightline.kernels.hash_encoding.cpu import slope_range
from sightline.kernels.marching.cpu import from_cube_gradient

REFINED = (
    "Tuple((int64[::1], float32[:,:,::1], float32[::1], boolean, float32[:,::1], float32[:,::1],"
    " float32[:,::1], float32[:,::1], float32[:,::1]))"
)


@inline
def compare_adjusted(refined, ray, r, g, b, light, target, behind, scale):
    """Change what was seen of matter as the ray's photo does, and compare it.

    Gives the scaled gradient to the three colours and to the light that passes, and the squared error.
    """
    m = refined[1][refined[0][ray]]
    seen, errors = refined[4], refined[5]
    opacity = np.float32(1) - light
    seen[ray, 0], seen[ray, 1], seen[ray, 2], seen[ray, 3] = r, g, b, opacity
    error = 0.0
    to_r, to_g, to_b, hidden = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for i in range(3):
        found = m[i, 0] * r + m[i, 1] * g + m[i, 2] * b + m[i, 3] * opacity
        e = found + light * behind[ray, i] - target[ray, i]
        error += np.float64(e * e)
        e *= scale
        errors[ray, i] = e
        to_r += e * m[i, 0]
        to_g += e * m[i, 1]
        to_b += e * m[i, 2]
        # What shows behind takes the place of the offset.
        hidden += e * (behind[ray, i] - m[i, 3])
    return to_r, to_g, to_b, hidden, error


@inline
def widen(refined, features, features_of_rays, indices, kept):
    """Rows of the colour network's inputs: those that samples have, and the rays' where these may move."""
    own, capacity = features.shape
    shared = features_of_rays.shape[1] if refined[3] else 0
    wide = np.empty((own + shared, capacity), np.float32)
    for i in range(own):
        wide[i, :kept] = features[i, :kept]
    for n in range(kept):
        ray = indices[n]
        for i in range(shared):
            wide[own + i, n] = features_of_rays[ray, i]
    return wide


@inline
def add_feature_gradients(refined, wide, own, indices, kept):
    """Add the gradients to the rays' features, rows of `wide` from `own` on."""
    to_features = refined[8]
    for n in range(kept):
        ray = indices[n]
        for i in range(wide.shape[0] - own):
            to_features[ray, i] += wide[own + i, n]


@inline
def add_ray_gradients(
    refined, origins, directions, contracted, points, table, gradient, levels, indices, distances, kept
):
    """Add the gradients to origins and directions through the samples' positions; distances are constant."""
    if refined[3]:
        slopes = np.zeros((kept, 3), np.float32)
        slope_range(
            points, table, gradient, levels[0], levels[1], levels[2], levels[3], refined[2], slopes, True,
            0, kept,
        )  # fmt: skip
        to_origins, to_directions = refined[6], refined[7]
        for n in range(kept):
            ray, t = indices[n], distances[n]
            x, y, z = from_cube_gradient(
                origins[ray, 0] + t * directions[ray, 0],
                origins[ray, 1] + t * directions[ray, 1],
                origins[ray, 2] + t * directions[ray, 2],
                slopes[n, 0], slopes[n, 1], slopes[n, 2], contracted,
            )  # fmt: skip
            to_origins[ray, 0] += x
            to_origins[ray, 1] += y
            to_origins[ray, 2] += z
            to_directions[ray, 0] += t * x
            to_directions[ray, 1] += t * y
            to_directions[ray, 2] += t * z
