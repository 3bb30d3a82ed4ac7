"""Settings of `ngp`, and what the command line knows of it without loading torch."""

import math
from dataclasses import dataclass, fields
from typing import Literal

from sightline.foundation.errors import InputError
from sightline.methods.registry import MethodInfo

# Smallest and largest values of numbers; others are at least 1 where they are whole and at least 0 where not.
REFINABLE = ("exposure", "poses")
"""what can be learnt of photos besides the scene"""
_LIMITS: dict[str, tuple[float, float]] = {
    "log2_entries": (1, 24),
    "finest": (1, 1 << 16),
    "grid": (8, 512),
    "largest_alpha": (0, 1),
    "least_transmittance": (0, 1),
    "floor": (0, 1),
    "empty": (0, 1),
    "far": (1, math.inf),
    "least_weight": (-1, 1),
    "final_rate": (1e-6, 1),
    "decay_from": (0, 1),
    "refresh_rate": (0, 1),
    "observe_rate": (0, 1),
    "pose_pull": (0, math.inf),
    "pose_from": (0, 1),
    "pose_fine": (0, 1),
}


@dataclass(frozen=True, kw_only=True)
class NgpConfig:
    """Hash-grid radiance field with an opacity grid."""

    scene: Literal["auto", "bounded", "unbounded"] = "auto"
    """bounded: matter only in a box (found from alpha, or given by the capture). unbounded: a box of interest
    and everything around it, by contraction. auto: bounded where the images carry alpha, else unbounded."""
    levels: int = 8
    """resolutions of the hash grid"""
    features: int = 4
    """numbers per hash-table entry"""
    log2_entries: int = 18
    """binary logarithm of the entries of one level's table"""
    coarsest: int = 16
    """cells per axis of the coarsest level"""
    finest: int = 1024
    """cells per axis of the finest level, over the box (bounded) or over the contracted space (unbounded)"""
    hidden: int = 64
    """width of the hidden layers"""
    geometry_features: int = 16
    """outputs of the density network: the first is the density's logarithm; the colour network gets all"""
    colour_layers: int = 2
    """hidden layers of the colour network"""
    network_precision: Literal["auto", "float32"] = "auto"
    """auto: products in bfloat16 where the processor has vector instructions for them, sums in float32"""
    grid: int = 128
    """cells per axis of the opacity grid"""
    bins_per_box: int = 128
    """marching bins along the side of the box"""
    batch_samples: int = 32768
    """samples of one training step, of all processes together; the number of rays follows"""
    samples_per_ray: int = 12
    """samples of a training ray whose way is opaque"""
    largest_alpha: float = 0.3
    """what one bin of the opacity grid may hide at most when samples are placed: with large values a wrong
    guess of the grid hides what is behind it for good"""
    least_transmittance: float = 1e-3
    """a ray ends where the opacity grid lets less light through"""
    floor: float = 0.5
    """part of the samples that is spread evenly over the visible bins"""
    samples_per_bin: int = 4
    """samples per bin at most"""
    empty: float = 2e-3
    """bins less opaque than this are skipped"""
    far: float = 64.0
    """how far unbounded scenes are marched, in half sides of the box"""
    least_weight: float = 1e-3
    """samples of less weight are not trained on: the density network, asked first, shows which these are"""
    render_samples: int = 24
    """samples of a ray whose way is opaque when rendering"""
    learning_rate: float = 3e-2
    """of the hash table"""
    network_rate: float = 2e-2
    """learning rate of the networks"""
    final_rate: float = 0.05
    """part of the learning rate that is left at the end"""
    decay_from: float = 0.4
    """part of the training after which the learning rate begins to fall, exponentially"""
    random_background: bool = True
    """put images with alpha on a random colour for every ray, so that empty space has to be empty"""
    refresh_every: int = 16
    """training steps between looks at the opacity grid"""
    refresh_cells: int = 16384
    """cells that are looked at each time"""
    refresh_rate: float = 0.5
    """how far a cell moves towards what is found at a look"""
    observe_rate: float = 0.1
    """how far a cell moves towards what a training sample finds in it"""
    refine: str = ""
    """learn of every training photo besides the scene, with commas: exposure (a gain of each colour channel),
    poses (where it was taken from); nothing where empty"""
    exposure_rate: float = 5e-3
    """learning rate of the photos' gains, which are about 1"""
    exposure_weight: float = 1e-3
    """how much the squared distance of a photo's gains from 1 counts beside the squared error"""
    pose_rate: float = 1.5
    """part of Newton's step that each photo's pose takes, at first"""
    pose_pull: float = 0.01
    """how strongly poses are drawn back to where they were given, in parts of how strongly photos hold them,
    on the mean"""
    pose_from: float = 0.2
    """part of the training after which poses begin to move: before, there is nothing to align them with"""
    pose_fine: float = 0.5
    """part of the training until which finer and finer levels join in what moves poses, coarse ones first"""
    pose_every: int = 1
    """poses move in every so many-th step"""

    def __post_init__(self) -> None:
        """Refuse numbers that no field can be made of."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            least, most = _LIMITS.get(field.name, (1, math.inf) if isinstance(value, int) else (0, math.inf))
            if not least <= value <= most:
                bounds = f"{least} or more" if most == math.inf else f"from {least} to {most}"
                flag = "--" + field.name.replace("_", "-")
                raise InputError(f"{value} is no possible value", where=flag, fix=f"Give {bounds}")
        unknown = [name for name in self.refined if name not in REFINABLE]
        if unknown:
            raise InputError(
                f"There is no {unknown[0]!r} to refine",
                where="--refine",
                fix=f"Give one or more of {', '.join(REFINABLE)}, with commas",
            )
        if self.finest < self.coarsest:
            raise InputError(
                f"The finest level has fewer cells ({self.finest}) than the coarsest ({self.coarsest})",
                where="--finest",
                fix="Give at least as many",
            )

    def falling(self, fraction: float) -> float:
        """What is left of learning rates when a part of the training is over: they fall exponentially."""
        late = (fraction - self.decay_from) / max(1e-9, 1 - self.decay_from)
        return math.exp(math.log(self.final_rate) * min(max(late, 0.0), 1.0))

    @property
    def refined(self) -> tuple[str, ...]:
        """What is learnt of photos besides the scene."""
        return tuple(name.strip() for name in self.refine.split(",") if name.strip())


INFO = MethodInfo(
    name="ngp",
    summary="hash-grid radiance field: one scene, in about a minute on two CPU cores",
    paper="Müller, Evans, Schied, Keller: Instant Neural Graphics Primitives with a Multiresolution Hash"
    " Encoding, SIGGRAPH 2022",
    learns="one scene",
    config="sightline.methods.ngp.config:NgpConfig",
    method="sightline.methods.ngp.method:Ngp",
    presets={"auto": {"scene": "auto"}, "bounded": {"scene": "bounded"}, "unbounded": {"scene": "unbounded"}},
    default_preset="auto",
)
