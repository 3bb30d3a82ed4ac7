"""Loss curves of `pixelnerf` and of a plain float32 implementation over the same batches of objects."""

from collections.abc import Callable

import torch
from benchmarks.plain_pixelnerf import Plain, Views
from benchmarks.turns import Curve, train_in_turns
from torch import Tensor

from sightline.captures import Capture, Collection
from sightline.methods.base import Progress
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
    """Train both sides from the same weights on the same batches, step by step in turns.

    Both draw their samples from PyTorch's generator, which is set to the same state before.

    Raises:
        InputError: the configuration cannot learn from the data.
    """
    torch.manual_seed(0)
    method = PixelNerf(config)
    batches = method.batches(method.prepare(data), torch.Generator().manual_seed(0))
    plain = Plain(config, method.network.state_dict())
    optimisation = method.optimisers()[0]
    adam = optimisation.optimiser
    method.train()

    def step(number: int) -> tuple[Callable[[], float], Callable[[], float]]:
        progress, batch = Progress(number, number / steps), next(batches)
        given = plain_batch(batch)
        for group in (*plain.optimiser.param_groups, *adam.param_groups):
            group["lr"] = config.learning_rate * optimisation.schedule(progress)

        def theirs() -> float:
            torch.manual_seed(number)
            return plain.step(*given)

        def ours() -> float:
            torch.manual_seed(number)
            loss = method(batch, progress)["loss"]
            adam.zero_grad()
            loss.backward()
            adam.step()
            return loss.item()

        return theirs, ours

    return train_in_turns("pixelnerf", f"{config.objects} objects, {config.rays} rays each", steps, step)
