"""What a photometric step is asked, and what it finds."""

from dataclasses import dataclass

from torch import Tensor

from sightline.kernels.hash_encoding import HashLevels
from sightline.kernels.marching import MarchSettings
from sightline.kernels.sampling import SamplerSettings


@dataclass(frozen=True)
class PhotometricRays:
    """Rays of the model frame and what is seen along them."""

    origins: Tensor
    """(rays, 3)"""
    directions: Tensor
    """(rays, 3) unit length"""
    features: Tensor
    """(rays, b) features of each ray (its direction, encoded) that the colour network gets"""
    target: Tensor
    """(rays, 3) colour that the ray ought to have"""
    behind: Tensor
    """(rays, 3) colour that shows where light passes the scene; zeros where nothing does"""
    views: Tensor | None = None
    """(rays,) int64 rows of `transforms`, where there are some"""
    transforms: Tensor | None = None
    """(photos, 3, 4) how each photo changes what is seen of matter: its colour c and opacity a become
    T (c, a). What shows behind is left as it is. None changes nothing."""

    @property
    def refined(self) -> bool:
        """Whether photos change colours, or gradients to the rays are wanted."""
        return self.transforms is not None or self.move

    @property
    def move(self) -> bool:
        """Whether gradients to origins, directions and features are wanted."""
        return any(column.requires_grad for column in (self.origins, self.directions, self.features))


@dataclass(frozen=True)
class PhotometricSettings:
    """How rays are sampled and the field is asked."""

    levels: HashLevels
    marching: MarchSettings
    sampling: SamplerSettings
    seed: int
    """32 bits, by which samples are drawn within their shares"""
    least_weight: float
    """samples of less weight, by the density network's first answer, are not trained on"""
    largest_log_density: float
    """densities are exp(x) with x clamped to ± this; the gradient passes as if it were not"""
    narrow: bool
    """factors of the networks may be rounded to bfloat16, see `sightline.kernels.mlp.perceptron`"""
    position_shares: tuple[float, ...] | None = None
    """parts of the gradient to positions that each level of the encoding passes on; all of it where None"""


@dataclass(frozen=True)
class PhotometricStep:
    """The loss and what was met on the way to it."""

    loss: Tensor
    """() mean squared error over rays and channels; differentiable in table, weights, the photos' transforms
    and, through the positions and features of samples whose distances are constant, in the rays"""
    samples: int
    """samples that were trained on"""
    points: Tensor
    """(n, 3) unit-cube positions of all samples that were placed"""
    sigmas: Tensor
    """(n,) their densities per model unit; no gradient"""
