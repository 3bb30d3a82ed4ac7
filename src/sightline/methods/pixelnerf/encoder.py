"""Feature maps of source pictures, and reading them at pixel positions (Yu et al. 2021, section 4.1)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.networks.resnet import CHANNELS, STAGES, ResNet


class SpatialEncoder(nn.Module):
    """The maps of a residual network, all brought to the size of the first one and put together."""

    def __init__(self, config: PixelNerfConfig):
        super().__init__()
        self.config = config
        self.model = ResNet(config.backbone)
        self.width = sum((CHANNELS[0], *CHANNELS)[: config.levels])
        for number in range(config.levels, STAGES + 1):
            # Kept since published files hold it; never asked, and so without gradients.
            self.model.stage(number).requires_grad_(False)

    def forward(self, images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views channels h w"]:
        """Encode pictures in [-1, 1]; maps have half their size, rounded up."""
        scale = self.config.feature_scale
        if scale != 1:
            images = functional.interpolate(
                images,
                scale_factor=scale,
                recompute_scale_factor=True,
                mode="area" if scale < 1 else "bilinear",
                align_corners=None if scale < 1 else True,
            )
        maps = self.model(images, self.config.levels - 1, self.config.first_pool)
        size = maps[0].shape[-2:]
        mode = self.config.upsampling
        aligned = True if mode == "bilinear" else None
        return torch.cat(
            [functional.interpolate(found, size, mode=mode, align_corners=aligned) for found in maps], 1
        )


class GlobalEncoder(nn.Module):
    """One feature of a whole picture: the mean of the last map of a residual network.

    Args:
        width: numbers of the feature; a linear layer follows where the network has another number.
    """

    def __init__(self, config: PixelNerfConfig):
        super().__init__()
        self.model = ResNet(config.backbone)
        self.fc = None
        if config.global_width != CHANNELS[-1]:
            self.fc = nn.Linear(CHANNELS[-1], config.global_width)

    def forward(self, images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views features"]:
        """Encode pictures in [-1, 1]."""
        feature = self.model(images)[-1].mean((-2, -1))
        return feature if self.fc is None else self.fc(feature)


def read_features(
    maps: Float[Tensor, "views channels h w"],
    pixels: Float[Tensor, "views points 2"],
    size: tuple[int, int],
    config: PixelNerfConfig,
) -> Float[Tensor, "views points channels"]:
    """Read features at pixel positions (column, row); those of a picture's first pixels are at 0.

    Column u meets the map's column u · w / width, where the kernels of the first convolution are centred.

    Args:
        size: width and height of the pictures in pixels.
    """
    height, width = maps.shape[-2:]
    corner = [2 * cells / max(1, cells - 1) / side for cells, side in zip((width, height), size, strict=True)]
    grid = pixels * torch.tensor(corner, dtype=pixels.dtype, device=pixels.device) - 1
    found = functional.grid_sample(
        maps,
        grid[:, :, None],
        mode=config.feature_sampling,
        padding_mode=config.feature_padding,
        align_corners=True,
    )
    return found[..., 0].transpose(1, 2)
