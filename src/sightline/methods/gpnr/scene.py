"""A scene that `gpnr` sees in photos: every picture is made from the nearest of them."""

from collections import OrderedDict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.foundation.errors import warn
from sightline.geometry import Cameras
from sightline.methods.base import Rendering, Scene
from sightline.methods.gpnr.config import GpnrConfig
from sightline.methods.gpnr.network import Evidence, GpnrNetwork
from sightline.methods.gpnr.patches import from_maps
from sightline.methods.gpnr.quick_stages import QuickStages
from sightline.methods.gpnr.views import SceneViews, camera_rays
from sightline.networks.precision import product_type, products_in

_LOST = 0.3
"""part of a picture's pixels that no photo shows, from which on it is said"""


class GpnrScene(Scene):
    """Posed photos, any number of them.

    Args:
        views: the photos; those nearest to a camera show what it sees.
    """

    capabilities = frozenset({"rgb", "depth", "multi-view"})

    def __init__(self, network: GpnrNetwork, views: SceneViews, config: GpnrConfig):
        self.network, self.views, self.config = network, views, config
        self._features: OrderedDict[int, Tensor] = OrderedDict()
        self._dtype = product_type(config.layer_precision, network.colour.weight.device)
        self._quick = QuickStages.of(network.stages, self._dtype)
        self._warned = False

    def sources_of(self, c2w: Float[Tensor, "3 4"]) -> list[int]:
        """Choose the views that show what a camera of the network's frame sees, nearest first."""
        return self.views.nearest(c2w, range(len(self.views)))[: self.config.sources]

    @torch.no_grad()
    def render(self, camera: Cameras, chunk: int | None = None) -> Rendering:
        """Render one camera of the input frame; see `Method.render`."""
        device = self.network.colour.weight.device
        height, width = int(camera.height[0]), int(camera.width[0])
        limits = self.views.near, self.views.far
        whole = camera_rays(camera, self.views.frame, limits, self.config.pixel_centre).to(device)
        chosen = self.sources_of(whole.c2w.cpu())
        cameras = self.views.cameras(chosen).to(device)
        describe = from_maps([self._described(view) for view in chosen])
        colours, depths, origins, seen_by_some = [], [], [], []
        for part in parts_of(len(whole.origins), chunk or self.config.ray_chunk):
            evidence = self.network.look(whole[part], cameras, describe)
            with products_in(self._dtype, device):
                seen = self.network(evidence, self._quick)
            colours.append(seen.rgb)
            depths.append(seen.depth(evidence.depths))
            origins.append(seen.view_weights.argmax(1))
            seen_by_some.append(shown(evidence))
        opacity = torch.cat(seen_by_some).view(height, width).float()
        self._warn_of_lost(1 - float(opacity.mean()))
        depth = torch.cat(depths).view(height, width) / self.views.frame.scale
        return Rendering(
            rgb=torch.cat(colours).view(height, width, 3),
            depth=torch.where(opacity > 0, depth, torch.nan),
            opacity=opacity,
            depth_sum=depth * opacity,
            origin=torch.tensor(chosen, device=device)[torch.cat(origins)].view(height, width),
            statistics={
                "rays": float(width * height),
                "samples": float(width * height * self.config.samples),
            },
        )

    def _warn_of_lost(self, share: float) -> None:
        """Say once that many pixels are seen by no source view."""
        if share > _LOST and not self._warned:
            self._warned = True
            warn(
                f"Of {share:.0%} of a picture's pixels the nearest photos show nothing: what is drawn "
                "there means nothing. Does the camera look at the scene, from where photos were taken?"
            )

    def _described(self, view: int) -> Float[Tensor, "h w features"]:
        """Describe the pixels of a view; those of the last pictures are kept."""
        if view not in self._features:
            picture = self.views.picture(view).to(self.network.colour.weight.device)
            self._features[view] = self.network.patches(picture)
        self._features.move_to_end(view)
        while len(self._features) > 2 * self.config.sources:
            self._features.popitem(last=False)
        return self._features[view]


def shown(evidence: Evidence) -> Bool[Tensor, "rays"]:
    """Say of which rays a source view shows something."""
    if evidence.seen is None:
        return torch.ones(len(evidence.rays), dtype=torch.bool, device=evidence.rays.device)
    return evidence.seen.any(-1).any(-1)


def parts_of(rays: int, size: int) -> list[slice]:
    """Cut rays into parts."""
    return [slice(begin, begin + size) for begin in range(0, rays, size)]
