"""What `encode` of `enr` gives: a latent volume, and the renderer that shows it from anywhere."""

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sightline.geometry import Cameras
from sightline.geometry.turning_volume import relative_motion
from sightline.methods.base import Scene
from sightline.methods.enr.config import EnrConfig
from sightline.methods.enr.motion import Interpolation, move
from sightline.methods.enr.network import EnrNetwork, show_entered
from sightline.methods.enr.poses import learnt_poses
from sightline.networks.residual_blocks import Layers, NormalisedActivation, channels_last, lay_out

BATCH = 4
"""views that are rendered at once; of eight, tensors are larger than the C library keeps"""


class Renderer(nn.Module):
    """The renderer's networks, frozen, in the number format that they are computed in.

    The pointwise convolution that it begins with is applied to volumes before they are moved, once for all
    views: it commutes with the interpolation. Its bias is added afterwards, since what comes in from outside
    is zero.
    """

    def __init__(self, network: EnrNetwork, interpolation: Interpolation, dtype: torch.dtype):
        super().__init__()
        self.interpolation: Interpolation = interpolation
        self.dtype = dtype
        entry = network.transform_3d.forward_layers[0]
        assert isinstance(entry, nn.Conv3d)
        assert entry.bias is not None
        self.register_buffer("weight", entry.weight.detach().clone())
        self.register_buffer("bias", entry.bias.detach().clone().view(1, -1, 1, 1, 1))
        self.parts = nn.ModuleList(deepcopy(part) for part in network.renderer_parts)
        self.parts.requires_grad_(False).to(dtype)
        if dtype == torch.bfloat16:
            for parameter in self.parts.parameters():
                parameter.data = channels_last(parameter.data)
        if self.weight.device.type == "cpu":
            # The compiled normalisation takes its few numbers in float32, whatever the pictures' format is.
            for module in self.parts.modules():
                if isinstance(module, NormalisedActivation):
                    module.float()

    weight: Tensor
    bias: Tensor

    def enter(self, volume: Float[Tensor, "1 channels d h w"]) -> Float[Tensor, "1 entered d h w"]:
        """Apply the first convolution, without its bias."""
        return lay_out(F.conv3d(volume.float(), self.weight).to(self.dtype))

    def forward(
        self, entered: Float[Tensor, "1 entered d h w"], motions: Float[Tensor, "n 3 4"]
    ) -> Float[Tensor, "n 3 side side"]:
        """Render a volume that was entered, under several motions; values in [0, 1]."""
        moved = move(entered, motions, self.interpolation).to(self.dtype).add_(self.bias.to(self.dtype))
        three, projection, two = self.parts
        assert isinstance(three, Layers)
        assert isinstance(projection, Layers)
        assert isinstance(two, Layers)
        return torch.sigmoid(show_entered((three, projection, two), lay_out(moved)))


@dataclass(frozen=True)
class EnrScene(Scene):
    """A latent volume and the pose of the camera that its picture was taken from."""

    config: EnrConfig
    renderer: Renderer
    entered: Float[Tensor, "1 entered d h w"]
    turn: Float[Tensor, "1 3 3"]
    shift: Float[Tensor, "1 3"]
    distance: float
    """of the middle of the volume from the cameras, in units of the data"""
    shown: float = 1.0
    """part of the smaller side of a camera's picture that the network's square covers, in its middle"""
    capabilities = frozenset({"rgb"})

    def motions(self, cameras: Cameras) -> Float[Tensor, "n 3 4"]:
        """Motions that show what cameras of the input frame see."""
        turns, shifts = learnt_poses(cameras, self.distance, self.config)
        count = len(cameras)
        found = relative_motion(self.turn.expand(count, 3, 3), self.shift.expand(count, 3), turns, shifts)
        return found.float().to(self.entered.device)

    @torch.no_grad()
    def pictures(self, motions: Float[Tensor, "n 3 4"], batch: int = BATCH) -> Float[Tensor, "n side side 3"]:
        """Render the volume under motions (`poses.free_motion` makes some), several at a time; in [0, 1]."""
        motions = motions.float().to(self.entered.device)
        parts = [
            self.renderer(self.entered, motions[first : first + batch])
            for first in range(0, len(motions), batch)
        ]
        return torch.cat(parts).permute(0, 2, 3, 1)
