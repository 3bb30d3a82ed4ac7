"""Loss curves of `pixelnerf` and of a plain float32 implementation over the same batches of objects."""

import torch
from benchmarks.plain_pixelnerf import Plain, Views
from benchmarks.turns import Curve, train_in_turns
from torch import Tensor

from sightline.captures import Capture, Collection
from sightline.methods.pixelnerf.batches import PixelNerfBatch
from sightline.methods.pixelnerf.config import PixelNerfConfig
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.methods.pixelnerf.network import SourceViews
from sightline.methods.pixelnerf.tracing import ObjectRays


def plain_views(sources: SourceViews) -> Views:
    """Source views as the plain implementation takes them."""
    return Views(sources.images, sources.c2w, sources.focal, sources.centre)


def plain_rays(rays: ObjectRays) -> Tensor:
    """Rays (objects, n, 8)."""
    return torch.cat([rays.origins, rays.directions, rays.near[..., None], rays.far[..., None]], -1)


def plain_batch(batch: PixelNerfBatch) -> tuple[Views, Tensor, Tensor]:
    """Source views, rays and what they shall see."""
    return plain_views(batch.sources), plain_rays(batch.rays), batch.colours.flatten(0, 1)


def measure_curve(config: PixelNerfConfig, data: Capture | Collection, steps: int) -> Curve:
    """Train both sides from the same weights; see `train_in_turns`."""
    torch.manual_seed(0)
    method = PixelNerf(config)
    plain = Plain(config, method.network.state_dict())
    return train_in_turns(
        method,
        data,
        plain,
        lambda batch: plain.step(*plain_batch(batch)),
        f"{config.objects} objects, {config.rays} rays each",
        steps,
    )
