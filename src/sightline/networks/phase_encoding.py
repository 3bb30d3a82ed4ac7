"""The positional codes of pixelNeRF and GPNR: sines of shifted phases at frequencies of a given factor."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PhaseEncoding:
    """Sines and shifted sines of every coordinate at frequencies factor · 2^k.

    The order is x, sin(f_0 x), sin(f_0 x + pi/2), sin(f_1 x), …, each a block of all coordinates; or all
    sines come before all shifted ones. The shifted sine stands for the cosine; in single precision it differs
    from it, and weights were trained with it.
    """

    frequencies: int = 6
    factor: float = 1.5
    include_input: bool = True
    """whether the coordinates themselves come first"""
    by_frequency: bool = True
    """whether a sine is followed by its shifted one, or all sines by all shifted ones"""

    def width(self, coordinates: int = 3) -> int:
        """Count the numbers that `coordinates` coordinates become."""
        return coordinates * (2 * self.frequencies + self.include_input)

    def __call__(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch e"]:
        """Encode coordinates."""
        octaves = self.factor * 2.0 ** torch.arange(self.frequencies, dtype=x.dtype, device=x.device)
        shifts = torch.tensor([0.0, math.pi / 2], dtype=x.dtype, device=x.device)
        frequencies, phases = torch.meshgrid(octaves, shifts, indexing="ij")
        if not self.by_frequency:
            frequencies, phases = frequencies.t(), phases.t()
        frequencies, phases = frequencies.reshape(-1, 1), phases.reshape(-1, 1)
        waves = torch.sin(torch.addcmul(phases, x[..., None, :], frequencies)).flatten(-2)
        return torch.cat([x, waves], -1) if self.include_input else waves
