"""Encodings of positions and directions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


def spherical_harmonics(directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n 16"]:
    """Evaluate the 16 real spherical harmonics of degrees 0 to 3 at unit directions.

    The orthonormal real basis without the Condon-Shortley phase's sign convention mattering: a linear layer
    follows (Müller et al. 2022, section 5.4).
    """
    x, y, z = directions.unbind(-1)
    xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
    return torch.stack(
        [
            torch.full_like(x, 0.28209479177387814),
            -0.48860251190291987 * y,
            0.48860251190291987 * z,
            -0.48860251190291987 * x,
            1.0925484305920792 * xy,
            -1.0925484305920792 * yz,
            0.31539156525252005 * (3 * zz - 1),
            -1.0925484305920792 * xz,
            0.5462742152960396 * (xx - yy),
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * xy * z,
            -0.4570457994644658 * y * (5 * zz - 1),
            0.3731763325901154 * z * (5 * zz - 3),
            -0.4570457994644658 * x * (5 * zz - 1),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ],
        -1,
    )


@dataclass(frozen=True)
class FrequencyEncoding:
    """Sines and cosines of every coordinate at rising frequencies (Mildenhall et al. 2020, eq. 4).

    The order is x, sin(f_0 x), cos(f_0 x), sin(f_1 x), …, each a block of all coordinates. Unlike the paper's
    equation, and like the programs that published weights, frequencies hold no factor of pi.
    """

    frequencies: int
    """how many; 0 leaves the input as it is"""
    log_spaced: bool = True
    """frequencies 1, 2, 4 …; otherwise evenly spaced from 1 to the same highest one"""
    include_input: bool = True
    """whether the coordinates themselves come first"""

    def width(self, coordinates: int = 3) -> int:
        """Count the numbers that `coordinates` coordinates become."""
        return coordinates * (2 * self.frequencies + self.include_input)

    def __call__(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch e"]:
        """Encode coordinates."""
        blocks = [x] if self.include_input else []
        for frequency in self._values():
            blocks += [torch.sin(frequency * x), torch.cos(frequency * x)]
        return torch.cat(blocks, -1)

    def _values(self) -> list[float]:
        if self.log_spaced:
            return [2.0**k for k in range(self.frequencies)]
        highest, last = 2.0 ** (self.frequencies - 1), max(1, self.frequencies - 1)
        return [1 + (highest - 1) * k / last for k in range(self.frequencies)]
