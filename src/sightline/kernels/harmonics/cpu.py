"""Spherical harmonics in Numba."""

import numpy as np
from torch import Tensor

from sightline.kernels import parallel
from sightline.kernels.compiling import kernel


@kernel("void(float32[:,::1], float32[:,::1], int64, int64)")
def _evaluate(directions, out, first, last):
    for n in range(first, last):
        x, y, z = directions[n, 0], directions[n, 1], directions[n, 2]
        xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
        row = out[n]
        row[0] = np.float32(0.28209479177387814)
        row[1] = -np.float32(0.48860251190291987) * y
        row[2] = np.float32(0.48860251190291987) * z
        row[3] = -np.float32(0.48860251190291987) * x
        row[4] = np.float32(1.0925484305920792) * xy
        row[5] = -np.float32(1.0925484305920792) * yz
        row[6] = np.float32(0.31539156525252005) * (np.float32(3) * zz - np.float32(1))
        row[7] = -np.float32(1.0925484305920792) * xz
        row[8] = np.float32(0.5462742152960396) * (xx - yy)
        row[9] = -np.float32(0.5900435899266435) * y * (np.float32(3) * xx - yy)
        row[10] = np.float32(2.890611442640554) * xy * z
        row[11] = -np.float32(0.4570457994644658) * y * (np.float32(5) * zz - np.float32(1))
        row[12] = np.float32(0.3731763325901154) * z * (np.float32(5) * zz - np.float32(3))
        row[13] = -np.float32(0.4570457994644658) * x * (np.float32(5) * zz - np.float32(1))
        row[14] = np.float32(1.445305721320277) * z * (xx - yy)
        row[15] = -np.float32(0.5900435899266435) * x * (xx - np.float32(3) * yy)


def evaluate(directions: Tensor) -> Tensor:
    """Harmonics (n, 16); see `sightline.kernels.harmonics.evaluate`."""
    out = directions.new_empty(len(directions), 16)
    arrays = directions.detach().contiguous().numpy(), out.numpy()
    parallel.over_ranges(_evaluate.compiled(), len(out), *arrays, least=8192)
    return out
