"""Group normalisation and leaky ReLU in PyTorch: the definition."""

import torch.nn.functional as F
from torch import Tensor


def normalise(x: Tensor, weight: Tensor, bias: Tensor, groups: int, slope: float, epsilon: float) -> Tensor:
    """As `sightline.kernels.group_norm.normalise`; the result lies as PyTorch lays it out."""
    return F.leaky_relu(F.group_norm(x, groups, weight, bias, epsilon), slope, inplace=True)
