"""Photos that differ in exposure and white balance: a gain for each colour channel of each photo.

What is seen of matter, of colour c (sRGB), becomes gain · c; what shows behind it stays as it is. A factor on
the light is nearly a factor on its sRGB value, whose curve is nearly a power.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# Of a channel that is black everywhere in the picture, nothing is learnt.
_LEAST_SQUARE = 1e-8


def transforms(changes: Float[Tensor, "photos 3"]) -> Float[Tensor, "photos 3 4"]:
    """Transforms of `PhotometricRays` for photos whose gains are 1 + `changes`; differentiable."""
    return torch.nn.functional.pad(torch.diag_embed(1 + changes), (0, 1))


def fit_gains(
    colours: Float[Tensor, "height width 3"],
    truth: Float[Tensor, "height width 3"],
    counted: Bool[Tensor, "height width"] | None = None,
) -> Float[Tensor, "3"]:
    """Find the gains with which a picture comes nearest to a photo, by least squares (float64).

    Args:
        colours: what is seen of matter, weighted by its opacity: nothing of what shows behind.
        truth: the photo, without what shows behind.
        counted: pixels that count; all where not given.
    """
    seen, wanted = colours.double(), truth.double()
    if counted is not None:
        seen, wanted = seen[counted], wanted[counted]
    seen, wanted = seen.reshape(-1, 3), wanted.reshape(-1, 3)
    squares = seen.square().sum(0)
    known = squares > _LEAST_SQUARE * max(1, len(seen))
    return torch.where(known, (seen * wanted).sum(0) / squares.clamp_min(1e-300), torch.ones_like(squares))
