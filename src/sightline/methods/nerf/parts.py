"""A batch's loss and its gradient, a few rays at a time.

What networks keep of some thousand points for their gradient stays in a processor's cache; of a whole batch
it is hundreds of megabytes that are written and read again. The sum over the parts is the batch's.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.kernels.first_order import first_order

# Points whose layers' outputs are kept at a time: fewer leave products slow, more leave the cache.
_POINTS = 8192

Facts = TypeVar("Facts")


def rays_at_a_time(samples: int, device: torch.device) -> int | None:
    """Give how many rays of so many samples make a part; None for all: a GPU is filled by the batch."""
    return max(8, _POINTS // samples) if device.type == "cpu" else None


def sum_over_parts(
    look: Callable[[slice], tuple[Float[Tensor, ""], Facts]],
    rays: int,
    size: int | None,
    parameters: Sequence[Float[Tensor, "..."]],
) -> tuple[Float[Tensor, ""], list[Facts]]:
    """Add up the losses of the parts of a batch.

    Args:
        look: gives the loss of some of the rays, as a part of the batch's, and whatever else is of interest.
        rays: of the batch.
        size: rays of a part; None for all.
        parameters: what the loss depends on.

    Returns:
        The loss, differentiable in `parameters` once, and the second results of `look` in order.
    """
    if size is None or not torch.is_grad_enabled():
        loss, facts = look(slice(0, rays))
        return loss, [facts]
    found: list[Facts] = []
    parts = [slice(begin, min(begin + size, rays)) for begin in range(0, rays, size)]
    loss = _Sum.apply(look, parts, found, *parameters)
    return loss, found


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, look: Callable, parts: Sequence[slice], found: list, *parameters: Tensor
    ) -> Tensor:
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(parameter) for parameter in learning]
        total = parameters[0].new_zeros(())
        for part in parts:
            with torch.enable_grad():
                loss, facts = look(part)
                of_part = torch.autograd.grad(loss, learning, allow_unused=True)
            total += loss.detach()
            found.append(facts)
            for gradient, more in zip(gradients, of_part, strict=True):
                if more is not None:
                    gradient += more
        ctx.learns = [parameter.requires_grad for parameter in parameters]
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gradients = iter(ctx.saved_tensors)
        return (None, None, None, *(next(gradients) * upstream if learns else None for learns in ctx.learns))
