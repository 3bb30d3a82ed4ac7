"""The network of `gpnr` (Suhail et al. 2022, section 3), without what the result does not depend on.

A ray's own token is the same for all rays: in its own frame each ray runs along z from the origin. Across
views it attends to copies of itself alone, so that it is refined once. The weights along a ray and across
views are softmaxes, to which terms that are equal for all add nothing: of the layers that give their logits,
the halves for that token are kept for the published files and have no effect.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.methods.gpnr.config import GpnrConfig
from sightline.methods.gpnr.epipolar import (
    SourceCameras,
    TargetRays,
    canonical_frames,
    depths,
    places_of,
    pluecker,
    project,
    relative_poses,
    source_rays,
)
from sightline.methods.gpnr.patches import Describe, PatchFeatures
from sightline.methods.gpnr.quick_stages import QuickStages
from sightline.networks.attention import TransformerLayer, hide, lecun, transformer
from sightline.networks.phase_encoding import PhaseEncoding

_RAY, _POINT = 6, 3
_POSE = 12
_DARKEST = 0.01
"""of mixed colours, and as much below 1 for their brightest, where their logits are taken"""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the source views show along rays."""

    rays: Float[Tensor, "rays views samples 6"]
    """Pluecker coordinates of the sources' rays in each target ray's frame"""
    features: Float[Tensor, "rays views samples features"]
    """of the pixels there"""
    poses: Float[Tensor, "views 12"]
    """of the source cameras beside the target camera"""
    depths: Float[Tensor, "samples"]
    """along the target rays"""
    seen: Bool[Tensor, "rays views samples"] | None
    """what counts; all of it where None"""


@dataclass(frozen=True, eq=False)
class Seen:
    """What was found along rays."""

    rgb: Float[Tensor, "rays 3"]
    """in (0, 1)"""
    mixed: Float[Tensor, "rays 3"]
    """the sources' colours, mixed by the weights below; in [0, 1]"""
    view_weights: Float[Tensor, "rays views"]
    sample_weights: Float[Tensor, "rays views samples"]
    """along the ray, for each view"""
    features: Float[Tensor, "rays views width"]
    """what each view says"""

    def depth(self, depths: Float[Tensor, "samples"]) -> Float[Tensor, "rays"]:
        """Mean distance of the samples, by both weights."""
        return torch.einsum("rn,rnp,p->r", self.view_weights, self.sample_weights, depths)


class GpnrNetwork(nn.Module):
    """From rays and source views to colours."""

    def __init__(self, config: GpnrConfig):
        super().__init__()
        self.config = config
        sines = config.encoding == "positional"
        self.ray_code = PhaseEncoding(config.ray_frequencies * sines, 1.0, by_frequency=False)
        self.point_code = PhaseEncoding(config.point_frequencies * sines, 1.0, by_frequency=False)
        self.patches = PatchFeatures(config.patch_features, config.patch_size, config.imagenet_colours)
        ray, point, width = self.ray_code.width(_RAY), self.point_code.width(_POINT), config.width
        self._parts = ray, point, self.patches.width, _POSE
        self.query, self.view_query = lecun(nn.Linear(ray, width)), lecun(nn.Linear(ray, width))
        self.key, self.view_key = lecun(nn.Linear(sum(self._parts), width)), lecun(nn.Linear(width, width))

        def layers(count: int) -> nn.ModuleList:
            return nn.ModuleList(
                TransformerLayer(width, config.heads, config.hidden_width) for _ in range(count)
            )

        self.visual_layers, self.epipolar_layers = (layers(config.epipolar_layers) for _ in range(2))
        self.view_layers = layers(config.view_layers)
        self.sample_logit, self.view_logit = (lecun(nn.Linear(2 * width, 1)) for _ in range(2))
        self.colour = lecun(nn.Linear(width, 3))

    def look(self, rays: TargetRays, cameras: SourceCameras, describe: Describe) -> Evidence:
        """Find what the source views show along rays.

        Args:
            describe: gives the features of the source views' pixels, by `patches`.
        """
        config = self.config
        along = depths(rays.near, rays.far, config.samples, config.spacing == "inverse").to(rays.origins)
        points = rays.origins[:, None] + along[:, None] * rays.directions[:, None]
        pixels, before = project(points, cameras)
        # The published program counts pixels from their corners here, wherever its rays pass.
        places = places_of(pixels if config.faithful else pixels - config.pixel_centre, before, cameras)
        frames = canonical_frames(rays, squared=config.faithful)
        return Evidence(
            source_rays(frames, places, cameras, config.pixel_centre),
            describe(places).transpose(0, 1),
            relative_poses(rays.c2w, cameras.c2w, published=config.faithful),
            along,
            None if config.faithful else places.seen.transpose(0, 1),
        )

    @property
    def stages(self) -> dict[str, nn.ModuleList]:
        """The transformers: across views, along rays, across the views of a ray."""
        return {"visual": self.visual_layers, "epipolar": self.epipolar_layers, "view": self.view_layers}

    def forward(self, evidence: Evidence, quick: QuickStages | None = None) -> Seen:
        """Compute the colours of rays.

        Args:
            quick: computes the transformers in place of these, without gradients.
        """
        seen, refine = evidence.seen, self._refine if quick is None else quick.refine
        own = self._own_code(evidence.rays)
        with self._first(own):
            keys, query, view_query = self._keys(evidence), self.query(own)[None], self.view_query(own)
        # Across the views of one depth: (rays, samples, views, width).
        across_views = None if seen is None else seen.transpose(1, 2)
        x = refine("visual", keys.transpose(1, 2), 0, across_views)
        query = refine("visual", query)
        # Along the ray, for each view; the ray's own token comes first.
        rays, _, views, width = x.shape
        x = torch.cat([query.to(x).expand(rays, views, 1, width), x.transpose(1, 2)], 2)
        known = None if seen is None else torch.cat([torch.ones_like(seen[..., :1]), seen], -1)
        keys = refine("epipolar", x, 1, known)
        with _whole(own):
            along = _weights(self.sample_logit, keys, seen)
            features = torch.einsum("rnp,rnpd->rnd", along, keys.float())
        # Across the views of a ray.
        view_query = view_query.to(x).expand(rays, 1, width)
        x = torch.cat([view_query, self.view_key(features).to(x)], 1)
        useful = None if seen is None else seen.any(-1)
        known = None if useful is None else torch.cat([torch.ones_like(useful[..., :1]), useful], -1)
        keys = refine("view", x, 1, known)
        with _whole(own):
            across = _weights(self.view_logit, keys, useful)
            mixed = torch.einsum("rn,rnp,rnpc->rc", across, along, self.patches.colours(evidence.features))
            said = torch.einsum("rn,rnd->rd", across, keys.float())
        with self._first(own):
            logits = self.colour(said).float()
        if self.config.colour == "corrected":
            logits = logits + torch.logit(mixed, _DARKEST)
        return Seen(torch.sigmoid(logits), mixed, across, along, features)

    def _first(self, like: Tensor) -> AbstractContextManager[object]:
        """Products of the layers that tokens enter and colours leave through."""
        return _whole(like) if self.config.first_layer_precision == "float32" else nullcontext()

    def _refine(self, name: str, x: Tensor, skip: int = 0, seen: Tensor | None = None) -> Tensor:
        return transformer(self.stages[name], x, skip, seen)

    def _own_code(self, like: Tensor) -> Float[Tensor, "1 code"]:
        """The code of a ray in its own frame."""
        towards = like.new_tensor([[0.0, 0.0, 1.0]])
        return self.ray_code(pluecker(torch.zeros_like(towards), towards))

    def _keys(self, evidence: Evidence) -> Float[Tensor, "rays views samples width"]:
        """The layer for keys, by parts: what is the same for many tokens goes through it once."""
        ray, point, feature, pose = self.key.weight.split(self._parts, 1)
        along = torch.zeros(len(evidence.depths), 3).to(evidence.depths)
        along[:, 2] = evidence.depths
        shared = (self.point_code(along) @ point.t())[None] + (evidence.poses @ pose.t())[:, None]
        own = torch.cat([self.ray_code(evidence.rays), evidence.features], -1)
        return nn.functional.linear(own, torch.cat([ray, feature], 1), self.key.bias) + shared


def _whole(like: Tensor) -> AbstractContextManager[object]:
    """Float32 for what softmaxes weigh and mix: pixels' colours are told apart in it."""
    return torch.autocast(like.device.type, enabled=False)


def _weights(
    layer: nn.Linear, keys: Float[Tensor, "*n width"], seen: Bool[Tensor, "*n"] | None
) -> Float[Tensor, "*n"]:
    """Softmax over the tokens, by the half of a layer that is for them."""
    logits = keys.float() @ layer.weight[0, keys.shape[-1] :].float()
    return (logits if seen is None else logits + hide(seen)).softmax(-1)
