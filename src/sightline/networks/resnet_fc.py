"""A residual perceptron that joins what several views say (pixelNeRF, Yu et al. 2021, section 4.3)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Combination = Literal["average", "max"]


class ResidualLayers(nn.Module):
    """Two linear layers beside a shortcut; activations come before the layers."""

    def __init__(self, width: int):
        super().__init__()
        self.fc_0 = nn.Linear(width, width)
        self.fc_1 = nn.Linear(width, width)
        _initialise(self.fc_0)
        nn.init.zeros_(self.fc_1.weight)
        nn.init.zeros_(self.fc_1.bias)

    def forward(self, x: Float[Tensor, "*batch width"], beta: float) -> Float[Tensor, "*batch width"]:
        """Apply the layers; see `ResnetFC` for `beta`."""
        return x + self.fc_1(_activate(self.fc_0(_activate(x, beta)), beta))


class ResnetFC(nn.Module):
    """A perceptron of residual blocks, with a feature added before the first of them.

    Args:
        inputs: numbers that describe a point.
        features: numbers of the feature; 0 for none.
        outputs: numbers that come out.
        width: of the hidden layers.
        blocks: how many.
        combine_layer: block before which views are joined; `blocks` joins before the last layer. The feature
            goes into the blocks before that one.
        combination: how views are joined.
        beta: 0 for ReLU; else sharpness of a softplus.
        spade: features also scale, besides being added.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        outputs: int = 4,
        *,
        width: int = 512,
        blocks: int = 5,
        combine_layer: int = 3,
        combination: Combination = "average",
        beta: float = 0.0,
        spade: bool = False,
    ):
        super().__init__()
        self.combine_layer, self.combination, self.beta = combine_layer, combination, beta
        self.features = features
        self.lin_in = nn.Linear(inputs, width)
        self.lin_out = nn.Linear(width, outputs)
        self.blocks = nn.ModuleList(ResidualLayers(width) for _ in range(blocks))
        _initialise(self.lin_in)
        _initialise(self.lin_out)
        if features:
            count = min(combine_layer, blocks)
            self.lin_z = nn.ModuleList(nn.Linear(features, width) for _ in range(count))
            self.scale_z = nn.ModuleList(nn.Linear(features, width) for _ in range(count if spade else 0))
            for layer in (*self.lin_z, *self.scale_z):
                _initialise(layer)

    def forward(
        self,
        x: Float[Tensor, "groups views n inputs"],
        z: Float[Tensor, "groups views n features"] | None,
    ) -> Float[Tensor, "groups n outputs"]:
        """Compute the outputs of points that several views see.

        Args:
            x: description of each point in each view.
            z: its feature in each view; None without features.
        """
        h = self.lin_in(x)
        for number, block in enumerate(self.blocks):
            if number == self.combine_layer:
                h = self._join(h)
            if self.features and number < self.combine_layer:
                assert z is not None
                if len(self.scale_z):
                    h = self.scale_z[number](z) * h
                h = h + self.lin_z[number](z)
            h = block(h, self.beta)
        if self.combine_layer >= len(self.blocks):
            h = self._join(h)
        return self.lin_out(_activate(h, self.beta))

    def projection(self) -> tuple[Float[Tensor, "projected features"], Float[Tensor, "projected"]] | None:
        """Give the layers for features as one; None where there are none, or features scale too."""
        if not self.features or len(self.scale_z) or not len(self.lin_z):
            return None
        layers = [layer for layer in self.lin_z if isinstance(layer, nn.Linear)]
        return torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])

    def _join(self, h: Tensor) -> Tensor:
        return h.mean(1) if self.combination == "average" else h.max(1).values


def _activate(x: Tensor, beta: float) -> Tensor:
    return functional.softplus(x, beta=beta) if beta > 0 else torch.relu(x)


def _initialise(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear)
    nn.init.kaiming_normal_(layer.weight, a=0, mode="fan_in")
    nn.init.zeros_(layer.bias)
