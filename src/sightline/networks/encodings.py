"""Encodings of positions and directions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.kernels import harmonics


def spherical_harmonics(directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n 16"]:
    """Evaluate the 16 real spherical harmonics of degrees 0 to 3 at unit directions.

    The orthonormal real basis without the Condon-Shortley phase's sign convention mattering: a linear layer
    follows (Müller et al. 2022, section 5.4).
    """
    return harmonics.evaluate(directions)


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
