"""The transformers of a trained `gpnr` for rendering on a CPU; see `QuickTransformer`."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.kernels import use_compiled
from sightline.networks.quick_transformer import QuickTransformer


class QuickStages:
    """Transformers as products need them, with the weights that they had when this was made.

    Args:
        stages: layers by name.
        dtype: number format of the products, float32 or bfloat16.
    """

    def __init__(self, stages: dict[str, nn.ModuleList], dtype: torch.dtype):
        self._stages = {name: QuickTransformer(layers, dtype) for name, layers in stages.items()}

    @classmethod
    def of(cls, stages: dict[str, nn.ModuleList], dtype: torch.dtype) -> "QuickStages | None":
        """Make them where layers, and where they lie, are among those that this is made for."""
        parameters = [parameter for layers in stages.values() for parameter in layers.parameters()]
        here = all(use_compiled(parameter) and parameter.dtype == torch.float32 for parameter in parameters)
        served = here and all(QuickTransformer.serves(layers) for layers in stages.values())
        return cls(stages, dtype) if served else None

    def refine(
        self,
        name: str,
        x: Float[Tensor, "*batch tokens width"],
        skip: int = 0,
        seen: Bool[Tensor, "*batch tokens"] | None = None,
    ) -> Float[Tensor, "*batch kept width"]:
        """Apply the layers of a stage; see `transformer`."""
        known = None if seen is None else seen.flatten(0, -2)
        return self._stages[name](x.flatten(0, -3), known).view(x.shape)[..., skip:, :]
