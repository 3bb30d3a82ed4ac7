"""The networks of `enr`: from a picture to a volume, and from the moved volume to a picture."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.methods.enr.config import EnrConfig
from sightline.networks.residual_blocks import (
    Layers,
    lay_out,
    mirrored,
    pointwise_network,
    residual_network,
)

# Where the sigmoid still has a slope.
_LEAST_COLOUR = 0.02


def ball(size: int, radius: float = 1.0) -> Bool[Tensor, "size size size"]:
    """Mark the voxels of a cube whose centres are in a ball, which turning does not take out of the cube.

    Args:
        radius: of the ball, in half sides of the grid of centres.
    """
    middle = (size - 1) / 2
    squares = (torch.arange(size, dtype=torch.float64) - middle).square()
    distances = squares[:, None, None] + squares[None, :, None] + squares[None, None, :]
    return distances <= (radius * middle) ** 2


class EnrNetwork(nn.Module):
    """Inverse renderer and renderer; parameters have the names of the published files.

    The ball that the volume is cut to follows from its size and is no part of the weights.
    """

    ball: Tensor

    def __init__(self, config: EnrConfig):
        super().__init__()
        self.depth = config.volume_size
        two, three, kind = config.channels_2d, config.channels_3d, config.normalisation
        lifted = config.channels_inverse_projection[-1] // self.depth
        self.inv_transform_2d = residual_network(2, 3, two, config.strides_2d, normalisation=kind)
        self.inv_projection = pointwise_network(two[-1], config.channels_inverse_projection, kind)
        self.inv_transform_3d = residual_network(3, lifted, three, config.strides_3d, normalisation=kind)
        back_3d, strides_3d = mirrored(three, config.strides_3d)
        self.transform_3d = residual_network(3, three[-1], back_3d, strides_3d, normalisation=kind)
        self.projection = pointwise_network(back_3d[-1] * self.depth, config.channels_projection, kind)
        back_2d, strides_2d = mirrored(two, config.strides_2d)
        self.transform_2d = residual_network(2, config.channels_projection[-1], back_2d, strides_2d, 3, kind)
        self.register_buffer("ball", ball(self.depth).float()[None, None], persistent=False)

    def infer(self, pictures: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch channels d h w"]:
        """Infer the volume of pictures with values in [0, 1], zero outside of the ball.

        Returns:
            Axes towards the camera, down, right.
        """
        flat = self.inv_projection(self.inv_transform_2d(lay_out(pictures)))
        volume = flat.unflatten(1, (-1, self.depth))
        volume = self.inv_transform_3d(lay_out(volume))
        return volume * self.ball.to(volume)

    def show(self, volume: Float[Tensor, "batch channels d h w"]) -> Float[Tensor, "batch 3 side side"]:
        """Render moved volumes; values in (0, 1)."""
        return torch.sigmoid(self.logits(volume))

    def logits(self, volume: Float[Tensor, "batch channels d h w"]) -> Float[Tensor, "batch 3 side side"]:
        """Render moved volumes, without the sigmoid."""
        entered = self.transform_3d.forward_layers[0](lay_out(volume))
        return show_entered(self.renderer_parts, entered)

    @torch.no_grad()
    def begin_with(self, colour: Float[Tensor, "3"]) -> None:
        """Let every picture be of one colour at first, in [0, 1].

        Where most pixels are of one colour, say white, all weights push that way in the first steps. From
        elsewhere they overshoot to where the sigmoid has no slope, and nothing is learnt any more.
        """
        last = self.transform_2d.forward_layers[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.weight.zero_()
        last.bias.copy_(torch.logit(colour, eps=_LEAST_COLOUR))

    @property
    def renderer_parts(self) -> tuple[Layers, Layers, Layers]:
        """The networks in the volume, from volume to picture, and in the picture."""
        return self.transform_3d, self.projection, self.transform_2d


def show_entered(
    parts: tuple[Layers, Layers, Layers], volume: Float[Tensor, "batch channels d h w"]
) -> Float[Tensor, "batch 3 side side"]:
    """Render moved volumes that the first layer was applied to already, without the sigmoid; float32."""
    three, projection, two = parts
    for layer in list(three.forward_layers)[1:]:
        volume = layer(volume)
    return two(projection(lay_out(volume.flatten(1, 2)))).float()
