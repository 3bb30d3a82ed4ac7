"""Varied copies of training pairs: objects that the data could hold as well."""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.methods.colour_variation import bend_channels, exchange_channels
from sightline.methods.enr.pairs import PairBatch

# Axes of the volume: towards the camera, down, right.
_MIRROR = (1.0, 1.0, -1.0)


def vary(
    batch: PairBatch,
    generator: torch.Generator,
    mirror: bool = False,
    permute_colours: bool = False,
    bend_colours: float = 0.0,
) -> PairBatch:
    """Mirror pairs, left for right, and change their colours, each pair by chance and as a whole.

    A mirrored object seen by mirrored cameras shows mirrored pictures; its motion has the axis to the right
    reversed. Half of the pairs are mirrored; colours have one of their six orders; each channel is raised to
    a power e^u with u even in ±bend_colours, so that black and white stay.
    """
    pictures, motions, device = batch.pictures, batch.motions, generator.device
    pairs = len(pictures) // 2
    if mirror:
        chosen = torch.rand(pairs, generator=generator, device=device).repeat_interleave(2) < 0.5
        pictures = torch.where(chosen[:, None, None, None], pictures.flip(3), pictures)
        motions = torch.where(chosen[:, None, None], mirrored(motions), motions)
    if permute_colours:
        pictures = exchange_channels(pictures.unflatten(0, (pairs, 2)), generator).flatten(0, 1)
    if bend_colours:
        pictures = bend_channels(pictures.unflatten(0, (pairs, 2)), bend_colours, generator).flatten(0, 1)
    return PairBatch(pictures, motions)


def mirrored(motions: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 3 4"]:
    """Give the motions of volumes and cameras that are mirrored, left for right."""
    sides = motions.new_tensor(_MIRROR)
    return motions * sides[:, None] * torch.cat([sides, sides.new_ones(1)])
