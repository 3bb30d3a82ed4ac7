"""Objects in other colours: what tells the objects of a small set apart is then their shape."""

import torch
from jaxtyping import Float
from torch import Tensor


def exchange_channels(
    pictures: Float[Tensor, "objects views 3 height width"], generator: torch.Generator
) -> Float[Tensor, "objects views 3 height width"]:
    """Put the colours of each object into one of their six orders, drawn by chance."""
    orders = torch.rand(len(pictures), 3, generator=generator, device=generator.device).argsort(1)
    return pictures.gather(2, orders[:, None, :, None, None].expand_as(pictures))


def bend_channels(
    pictures: Float[Tensor, "objects views 3 height width"], strength: float, generator: torch.Generator
) -> Float[Tensor, "objects views 3 height width"]:
    """Raise each channel of each object, in [0, 1], to a power e^u with u even in ±strength.

    Black and white stay.
    """
    shape = len(pictures), 1, 3, 1, 1
    bends = 2 * torch.rand(*shape, generator=generator, device=generator.device) - 1
    return pictures ** (strength * bends).exp()
