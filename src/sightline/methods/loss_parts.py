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
    look: Callable[..., tuple[Float[Tensor, ""], Facts]],
    rays: int,
    size: int | None,
    parameters: Sequence[Float[Tensor, "..."]],
    shared: Sequence[Float[Tensor, "..."]] = (),
) -> tuple[Float[Tensor, ""], list[Facts]]:
    """Add up the losses of the parts of a batch.

    Args:
        look: gives the loss of some of the rays, a slice, as a part of the batch's, and whatever else is of
            interest; it is called with what is shared, too.
        rays: of the batch.
        size: rays of a part; None for all.
        parameters: what the loss depends on.
        shared: what was computed of them once, for all parts.

    Returns:
        The loss, differentiable in `parameters` and `shared` once, and the second results of `look` in order.
    """
    if size is None or not torch.is_grad_enabled():
        loss, facts = look(slice(0, rays), *shared)
        return loss, [facts]
    found: list[Facts] = []
    parts = [slice(begin, min(begin + size, rays)) for begin in range(0, rays, size)]
    loss = _Sum.apply(look, parts, found, len(parameters), *parameters, *shared)
    return loss, found


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, look: Callable, parts: Sequence[slice], found: list, count: int, *values: Tensor
    ) -> Tensor:
        # Of what is shared, gradients stop here: they go on once, when all parts have given theirs.
        shared = [value.detach().requires_grad_(value.requires_grad) for value in values[count:]]
        leaves = [*values[:count], *shared]
        learning = [leaf for leaf in leaves if leaf.requires_grad]
        gradients = [torch.zeros_like(leaf) for leaf in learning]
        total = values[0].new_zeros(())
        for part in parts:
            with torch.enable_grad():
                loss, facts = look(part, *shared)
                of_part = torch.autograd.grad(loss, learning, allow_unused=True)
            total += loss.detach()
            found.append(facts)
            for gradient, more in zip(gradients, of_part, strict=True):
                if more is not None:
                    gradient += more
        ctx.learns = [leaf.requires_grad for leaf in leaves]
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gradients = iter(ctx.saved_tensors)
        return (None,) * 4 + tuple(next(gradients) * upstream if learns else None for learns in ctx.learns)
