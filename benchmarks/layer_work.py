"""What the layers of a network have to multiply in a call, and how fast this machine multiplies the same."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from benchmarks.turns import HEAD, Row, Timing
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_Kind = tuple[str, tuple[int, ...], bool]
"""layer with its sizes, shape of its input, whether that input gets a gradient"""


class LayerWork:
    """The products of linear and convolution layers in a forward pass, and in the backward pass if wanted.

    Args:
        call: the forward pass.
        backward: count the backward pass too: a product for the weights and one for the input, where that
            needs a gradient.
    """

    def __init__(self, network: nn.Module, call: Callable[[], object], backward: bool = False):
        self.backward = backward
        self._counts: Counter[_Kind] = Counter()
        self._layers: dict[_Kind, nn.Module] = {}
        self._operations: dict[_Kind, int] = {}
        layers = [module for module in network.modules() if isinstance(module, (nn.Linear, *_CONVOLUTIONS))]
        hooks = [layer.register_forward_hook(self._note) for layer in layers]
        with torch.set_grad_enabled(backward):
            call()
        for hook in hooks:
            hook.remove()

    def _note(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kind = str(layer), tuple(inputs[0].shape), inputs[0].requires_grad
        weight = layer.weight
        assert isinstance(weight, Tensor)
        products = 1 + self.backward * (1 + kind[2])
        # Each output (of transposed convolutions: each input) meets the weights of its window.
        met = inputs[0] if isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d) else output
        self._operations[kind] = 2 * products * met.numel() // weight.shape[0] * weight.numel()
        self._layers[kind] = layer
        self._counts[kind] += 1

    @property
    def operations(self) -> int:
        """Two for each multiplication."""
        return sum(self._operations[kind] * count for kind, count in self._counts.items())

    def gflops(self, seconds: float = 0.1) -> float:
        """Rate at which these products alone are computed, GFLOP/s.

        Args:
            seconds: how long each kind of them is measured at least.
        """
        taken = sum(self._time(kind, seconds) * count for kind, count in self._counts.items())
        return self.operations / taken / 1e9

    def _time(self, kind: _Kind, seconds: float) -> float:
        layer, x = self._layers[kind], torch.randn(kind[1], requires_grad=kind[2] and self.backward)
        wanted = [value for value in (x, layer.weight) if isinstance(value, Tensor) and value.requires_grad]
        with torch.set_grad_enabled(self.backward):
            flow = torch.ones_like(layer(x))
            times: list[float] = []
            while len(times) < 3 or sum(times) < seconds:
                began = time.perf_counter()
                found = layer(x)
                if self.backward and wanted:
                    torch.autograd.grad(found, wanted, flow)
                times.append(time.perf_counter() - began)
        return statistics.median(times)


LAYER_HEAD = f"{HEAD}{'alone':>8}"


@dataclass(frozen=True)
class LayerRow(Row):
    """One comparison, with what the products alone would take."""

    products_gflops: float
    """of the plain one's products by themselves"""

    @staticmethod
    def measure(
        name: str, count: int, timings: Mapping[str, Timing], work: Callable[[str], LayerWork]
    ) -> "LayerRow":
        """Compare as `Row.of`; `work` gives what the plain one multiplies in a way of its own."""
        done = {way: work(way) for way in timings if way != "ours"}
        row = Row.of(name, count, timings, {way: found.operations for way, found in done.items()})
        return LayerRow(**vars(row), products_gflops=done[row.plain_way].gflops())

    def line(self) -> str:
        """For people, below `LAYER_HEAD`."""
        return f"{super().line()}{self.products_gflops:8.0f}"
