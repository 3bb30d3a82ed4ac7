"""LPIPS, the learned perceptual distance (Zhang et al. 2018), version 0.1, on VGG-16 or AlexNet features."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.foundation.cache import Asset, fetch
from sightline.foundation.errors import InputError
from sightline.foundation.tensors import read_tensors
from sightline.metrics.backbones import BACKBONES, BackboneName

# Mean and deviation of ImageNet's colours for pictures in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10

_TORCH = "https://download.pytorch.org/models"
_HEADS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"


def _heads(name: str, sha256: str, size: int) -> Asset:
    places = (f"{name}.pth", f"v0.1/{name}.pth", f"lpips_lin/v0.1/{name}.pth", f"lpips/v0.1/{name}.pth")
    return Asset(
        name=f"lpips_v0.1_{name}.pth", url=f"{_HEADS}/{name}.pth", sha256=sha256, size=size, aliases=places
    )


BACKBONE_ASSETS: dict[str, Asset] = {
    "vgg": Asset(
        name="vgg16-397923af.pth",
        url=f"{_TORCH}/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        size=553_433_881,
        aliases=("vgg16.pth", "vgg16.safetensors"),
    ),
    "alex": Asset(
        name="alexnet-owt-7be5be79.pth",
        url=f"{_TORCH}/alexnet-owt-7be5be79.pth",
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        size=244_408_911,
        aliases=("alexnet.pth", "alexnet.safetensors"),
    ),
}
HEAD_ASSETS: dict[str, Asset] = {
    "vgg": _heads("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 7_289),
    "alex": _heads("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 6_009),
}


@dataclass(frozen=True)
class Provenance:
    """Which weights a distance was computed with."""

    backbone_sha256: str
    heads_sha256: str
    published: bool
    """whether both files are the published ones, so that the figures compare with published ones"""


class Lpips(nn.Module):
    """The perceptual distance of two pictures; smaller is more alike, 0 is identical.

    Built without weights; `from_cache` fetches them, `load` takes them from dictionaries.

    Args:
        backbone: `vgg` (figures of papers on view synthesis) or `alex`.
    """

    provenance: Provenance | None = None
    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: BackboneName = "vgg"):
        super().__init__()
        self.name = backbone
        self.backbone = BACKBONES[backbone]()
        self.heads = nn.ParameterList([torch.zeros(channels) for channels in self.backbone.channels])
        self.register_buffer("shift", torch.tensor(_SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    @classmethod
    def from_cache(cls, backbone: BackboneName = "vgg") -> "Lpips":
        """Build the metric with the published weights, from local files, the cache or the network.

        Raises:
            UnavailableError: they cannot be had; the message says why and what to do.
            InputError: a local file is broken or of another network.
        """
        copies = fetch(HEAD_ASSETS[backbone]), fetch(BACKBONE_ASSETS[backbone])
        heads, features = (read_tensors(copy.path) for copy in copies)
        metric = cls(backbone).load(features, heads, where=" and ".join(str(copy.path) for copy in copies))
        published = all(copy.published for copy in copies)
        metric.provenance = Provenance(copies[1].sha256, copies[0].sha256, published)
        return metric

    def load(
        self, features: Mapping[str, Tensor], heads: Mapping[str, Tensor], where: object = None
    ) -> "Lpips":
        """Take weights: torchvision's `features.N.*` and the heads' `linK.model.1.weight`; others are
        ignored.

        Raises:
            InputError: an entry is missing or has another shape.
        """
        wanted = {f"backbone.{key}": (features, key) for key in self.backbone.state_dict()}
        wanted |= {f"heads.{k}": (heads, f"lin{k}.model.1.weight") for k in range(len(self.heads))}
        state = {}
        for target, parameter in self.state_dict().items():
            source, key = wanted[target]
            if key not in source or source[key].squeeze().shape != parameter.squeeze().shape:
                raise InputError(
                    f"These are not the weights of LPIPS {self.name}: {key} is missing or has another shape",
                    where=where,
                )
            state[target] = source[key].reshape(parameter.shape)
        self.load_state_dict(state)
        return self

    def forward(
        self,
        prediction: Float[Tensor, "*batch height width 3"],
        truth: Float[Tensor, "*batch height width 3"],
    ) -> Float[Tensor, "*batch"]:
        """Compute the distance of each pair of pictures in [0, 1].

        Raises:
            ValueError: a side is shorter than the network needs (16 pixels for VGG-16, 31 for AlexNet).
        """
        return self.layer_distances(prediction, truth).sum(-1)

    def layer_distances(
        self,
        prediction: Float[Tensor, "*batch height width 3"],
        truth: Float[Tensor, "*batch height width 3"],
    ) -> Float[Tensor, "*batch 5"]:
        """Compute the five terms that add up to the distance (Zhang et al. 2018, eq. 1)."""
        size = prediction.shape[-3:-1]
        if min(size) < self.backbone.smallest:
            raise ValueError(
                f"LPIPS {self.name} needs {self.backbone.smallest} pixels or more, not {min(size)}"
            )
        x, y = self._normalise(prediction), self._normalise(truth)
        terms = []
        # TF32 keeps ten bits of a number: without it the same pictures give the same figure on every device.
        cudnn = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if x.is_cuda else nullcontext()
        with cudnn:
            # Stage by stage, so that only one layer of both pictures is held at a time.
            for stage, head in zip(self.backbone.stages(), self.heads, strict=True):
                x, y = stage(x), stage(y)
                squares = (_unit(x) - _unit(y)).square()
                terms.append(torch.einsum("bchw,c->bhw", squares, head).mean((-2, -1)))
        return torch.stack(terms, -1).reshape(*prediction.shape[:-3], len(terms))

    def _normalise(self, images: Tensor) -> Tensor:
        flat = images.reshape(-1, *images.shape[-3:]).permute(0, 3, 1, 2).to(self.shift.dtype)
        return (flat * 2 - 1 - self.shift) / self.scale


def _unit(features: Tensor) -> Tensor:
    return features / (features.norm(dim=1, keepdim=True) + _EPSILON)
