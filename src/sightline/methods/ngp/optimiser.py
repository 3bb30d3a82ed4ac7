"""The optimiser of `ngp`."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from sightline.kernels import adam
from sightline.kernels.buffers import zeroed_buffers

# Gradients of at least this many numbers are worth recycling.
_LARGE = 1 << 18


class HashAdam(torch.optim.Optimizer):
    """Adam that leaves untouched table entries alone and gives cleared gradient buffers back for reuse.

    Args:
        parameters: contiguous tensors or groups of them.
        lr: learning rate.
        betas, eps: as in Adam.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-15,
    ):
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient, and clear it."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["first"] = torch.zeros_like(parameter)
            state["second"] = torch.zeros_like(parameter)
        state["step"] += 1
        betas = group["betas"]
        gradient = parameter.grad
        assert gradient is not None
        adam.step(
            parameter, gradient, state["first"], state["second"],
            rate=group["lr"], betas=betas, eps=group["eps"],
            corrections=(1 - betas[0] ** state["step"], 1 - betas[1] ** state["step"]),
        )  # fmt: skip
        # The kernel has cleared it. Views into buffers of others (data-parallel buckets) must stay in place.
        if parameter.numel() >= _LARGE and gradient.storage_offset() == 0 and gradient._base is None:
            parameter.grad = None
            zeroed_buffers.give_back(gradient)
