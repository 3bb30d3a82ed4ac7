"""A scene that `gpnr` sees in photos: every picture is made from the nearest of them."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.geometry import Cameras
from sightline.geometry.rays import image_pixels
from sightline.methods.base import Rendering, Scene
from sightline.methods.gpnr.config import GpnrConfig
from sightline.methods.gpnr.epipolar import TargetRays
from sightline.methods.gpnr.network import GpnrNetwork
from sightline.methods.gpnr.quick_stages import QuickStages
from sightline.methods.gpnr.views import SceneViews, network_cameras, rays_through
from sightline.networks.precision import product_type, products_in


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

    def sources_of(self, c2w: Float[Tensor, "3 4"]) -> list[int]:
        """Choose the views that show what a camera of the network's frame sees, nearest first."""
        return self.views.nearest(c2w, range(len(self.views)))[: self.config.sources]

    @torch.no_grad()
    def render(self, camera: Cameras, chunk: int | None = None) -> Rendering:
        """Render one camera of the input frame; see `Method.render`."""
        device = self.network.colour.weight.device
        c2w, intrinsics = (value[0] for value in network_cameras(camera, self.views.frame))
        height, width = int(camera.height[0]), int(camera.width[0])
        chosen = self.sources_of(c2w)
        cameras = self.views.cameras(chosen).to(device)
        features = self._describe(chosen)
        pixels = image_pixels(width, height)
        limits = self.views.near, self.views.far
        whole = rays_through(pixels, c2w, intrinsics, limits, self.config.pixel_centre).to(device)
        colours, depths, origins = [], [], []
        for part in split_rays(whole, chunk or self.config.ray_chunk):
            evidence = self.network.look(part, cameras, features)
            with products_in(self._dtype, device):
                seen = self.network(evidence, self._quick)
            colours.append(seen.rgb)
            depths.append(seen.depth(evidence.depths))
            origins.append(seen.view_weights.argmax(1))
        depth = torch.cat(depths).view(height, width) / self.views.frame.scale
        return Rendering(
            rgb=torch.cat(colours).view(height, width, 3),
            depth=depth,
            opacity=torch.ones_like(depth),
            depth_sum=depth,
            origin=torch.tensor(chosen, device=device)[torch.cat(origins)].view(height, width),
            statistics={"rays": float(len(pixels)), "samples": float(len(pixels) * self.config.samples)},
        )

    def _describe(self, chosen: Sequence[int]) -> Float[Tensor, "views features h w"]:
        """Describe the pixels of views; those of the last pictures are kept."""
        device = self.network.colour.weight.device
        for view in chosen:
            if view not in self._features:
                picture = self.views.pictures([view]).to(device)
                self._features[view] = self.network.patches(picture)[0]
            self._features.move_to_end(view)
        while len(self._features) > 2 * self.config.sources:
            self._features.popitem(last=False)
        return torch.stack([self._features[view] for view in chosen])


def split_rays(rays: TargetRays, count: int) -> list[TargetRays]:
    """Cut rays of a picture into parts."""
    return [
        replace(rays, origins=origins, directions=directions)
        for origins, directions in zip(rays.origins.split(count), rays.directions.split(count), strict=True)
    ]
