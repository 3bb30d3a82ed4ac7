"""The perceptron's walks for other kernels, with the backend that the matrices are packed for."""

from typing import Any

from numba import extending, types

from sightline.kernels.mlp.cpu import walk_backward as wide_backward
from sightline.kernels.mlp.cpu import walk_forward as wide_forward
from sightline.kernels.mlp.cpu_bf16 import walk_backward as narrow_backward
from sightline.kernels.mlp.cpu_bf16 import walk_forward as narrow_forward

# Callers do not pass what Numba's decorators ask type checkers for.
_overload: Any = extending.overload


def _is_narrow(packed: Any) -> bool:
    """Two numbers in bfloat16 are packed into a word."""
    return isinstance(packed.dtype, types.Integer)


def walk_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
    """Outputs of samples start … stop - 1; from compiled code only."""
    raise NotImplementedError("this is for kernels")


def walk_backward(
    inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
):
    """Gradients to inputs and weights, see the backends; from compiled code only."""
    raise NotImplementedError("this is for kernels")


@_overload(walk_forward)
def _choose_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
    def narrow(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
        narrow_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop)

    def wide(inputs, per_ray, ray_indices, packed, widths, out, start, stop):
        wide_forward(inputs, per_ray, ray_indices, packed, widths, out, start, stop)

    return narrow if _is_narrow(packed) else wide


@_overload(walk_backward)
def _choose_backward(
    inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
):
    def narrow(
        inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
    ):
        narrow_backward(
            inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights,
            start, stop,
        )  # fmt: skip

    def wide(
        inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights, start, stop
    ):
        wide_backward(
            inputs, per_ray, ray_indices, packed, widths, transposed, upstream, to_inputs, to_weights,
            start, stop,
        )  # fmt: skip

    return narrow if _is_narrow(packed) else wide
