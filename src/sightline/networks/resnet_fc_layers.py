"""The layers of a trained `ResnetFC` in one number format, for points seen in fixed pictures.

What `ResnetFC` says in plain PyTorch is the definition. The products of its features with the layers that
add them do not depend on the point: maps of features go through these layers once, and points read the
result, since interpolation and products commute. Products are in the format that is asked for; what is added
up along the blocks is float32.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from sightline.kernels.feature_maps import add_and_rectify
from sightline.networks.linear import fused_linear, padded_columns
from sightline.networks.resnet_fc import ResnetFC


class ResnetFcLayers:
    """A network's weights as products need them; ReLU, and features that are added alone.

    Args:
        dtype: number format of the products, float32 or bfloat16.
    """

    @torch.no_grad()
    def __init__(self, network: ResnetFC, dtype: torch.dtype):
        assert self.serves(network)
        self.dtype, self.width = dtype, network.lin_in.out_features
        self.combine_layer, self.combination = network.combine_layer, network.combination
        projection = network.projection()
        self._projection = None if projection is None else projection[0].detach()
        constants = [] if projection is None else list(projection[1].detach().split(self.width))
        self.mapped = len(constants)
        # What a feature's layer adds everywhere is added with what comes before it.
        constants += [torch.zeros_like(network.lin_in.bias)] * (len(network.blocks) + 1 - len(constants))
        enter = network.lin_in.bias.detach() + constants[0]
        self.enter = padded_columns([_weight(network.lin_in), enter[:, None]], dtype)
        self.blocks = []
        for block, constant in zip(network.blocks, constants[1:], strict=True):
            assert isinstance(block.fc_0, nn.Linear)
            assert isinstance(block.fc_1, nn.Linear)
            self.blocks.append(
                (
                    (_weight(block.fc_0).to(dtype), block.fc_0.bias.detach().to(dtype)),
                    (_weight(block.fc_1).to(dtype), (block.fc_1.bias.detach() + constant).to(dtype)),
                )
            )
        self.leave = _weight(network.lin_out).to(dtype)
        self.leave_bias = network.lin_out.bias.detach()

    @staticmethod
    def serves(network: ResnetFC) -> bool:
        """Say whether a network is one of those that this computes."""
        return network.beta == 0 and not (network.features and len(network.scale_z))

    @torch.no_grad()
    def project(self, maps: Float[Tensor, "views channels h w"]) -> Float[Tensor, "views cells projected"]:
        """Take maps through the layers that add features."""
        assert self._projection is not None
        flat = maps.flatten(2).transpose(1, 2)
        return (flat.to(self.dtype) @ self._projection.to(self.dtype).t()).contiguous()

    @torch.no_grad()
    def __call__(
        self,
        inputs: Float[Tensor, "rows inputs"],
        views: int,
        maps: Float[Tensor, "views cells projected"] | None,
        where: tuple[Int[Tensor, "rows 4"], Float[Tensor, "rows 4"]] | None,
        notes: list[Tensor] | None = None,
    ) -> Float[Tensor, "n 4"]:
        """Compute the outputs of points that several views see.

        Args:
            inputs: of each point in the first view, then in the second.
            maps: what `project` gave.
            where: the cells of the maps that rows read.
            notes: takes what enters every layer, in their order.
        """
        ones = inputs.new_ones(1, 1).expand(len(inputs), 1)
        entered = padded_columns([inputs, ones], self.dtype)
        added = functional.linear(entered, self.enter)
        _note(notes, entered)
        state: Tensor | None = None
        for number, (first, second) in enumerate(self.blocks):
            if number == self.combine_layer and views > 1:
                state = self._join(added.float() if state is None else state + added, views)
                active = state.relu().to(self.dtype)
            else:
                features = maps if number < self.mapped else None
                state, active = add_and_rectify(state, added, features, where, number * self.width)
            inner = fused_linear(active, *first, active=True)
            added = functional.linear(inner, *second)
            _note(notes, active, inner)
        state, active = add_and_rectify(state, added)
        if self.combine_layer >= len(self.blocks) and views > 1:
            active = self._join(state, views).relu().to(self.dtype)
        _note(notes, active)
        return functional.linear(active, self.leave).float() + self.leave_bias

    def _join(self, state: Tensor, views: int) -> Tensor:
        each = state.view(views, -1, self.width)
        return each.mean(0) if self.combination == "average" else each.max(0).values


def _note(notes: list[Tensor] | None, *values: Tensor) -> None:
    if notes is not None:
        notes.extend(values)


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach()
