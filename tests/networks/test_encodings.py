"""Spherical harmonics against quadrature and against SciPy."""

import numpy as np
import scipy.special
import torch

from sightline.networks.encodings import spherical_harmonics


def test_harmonics_are_orthonormal_on_the_sphere() -> None:
    # Gauss-Legendre in z and even steps in azimuth integrate products of degree 6 exactly.
    nodes, node_weights = np.polynomial.legendre.leggauss(8)
    azimuths = np.arange(16) * 2 * np.pi / 16
    z, azimuth = (grid.ravel() for grid in np.meshgrid(nodes, azimuths, indexing="ij"))
    radius = np.sqrt(1 - z * z)
    directions = torch.from_numpy(np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], -1))
    weights = torch.from_numpy(np.repeat(node_weights, 16) * 2 * np.pi / 16)
    values = spherical_harmonics(directions)
    gram = values.T @ (weights[:, None] * values)
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), atol=1e-12, rtol=0)


def test_harmonics_are_scipys_up_to_sign() -> None:
    directions = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    directions = directions / directions.norm(dim=-1, keepdim=True)
    found = spherical_harmonics(directions).numpy()
    x, y, z = directions.numpy().T
    polar, azimuth = np.arccos(z), np.arctan2(y, x)
    for degree in range(4):
        for order in range(-degree, degree + 1):
            complex_value = _complex_harmonic(degree, abs(order), polar, azimuth)
            part = complex_value.imag if order < 0 else complex_value.real
            expected = part * (1 if order == 0 else np.sqrt(2))
            column = found[:, degree * degree + degree + order]
            sign = np.sign(column @ expected)
            np.testing.assert_allclose(column, sign * expected, atol=1e-12)


def _complex_harmonic(degree: int, order: int, polar: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    # SciPy has renamed the function and swapped its arguments.
    if hasattr(scipy.special, "sph_harm_y"):
        return scipy.special.sph_harm_y(degree, order, polar, azimuth)
    return scipy.special.sph_harm(order, degree, azimuth, polar)
