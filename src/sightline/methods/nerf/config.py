"""Settings of `nerf`, and what the command line knows of it without loading torch."""

from dataclasses import dataclass
from typing import Literal

from sightline.foundation.errors import InputError
from sightline.methods.nerf.presets import PRESETS
from sightline.methods.registry import MethodInfo


@dataclass(frozen=True, kw_only=True)
class NerfConfig:
    """Coarse and fine perceptrons; every switch in which the published programs differ."""

    # Where the scene is and along what it is sampled.
    scene: Literal["auto", "bounded", "forward", "surround"] = "auto"
    """bounded: an object between near and far, the frame stays the data's. forward: all cameras look one way;
    recentred, scaled, in normalised device coordinates. surround: cameras all around; recentred and scaled.
    auto: bounded where the images carry alpha or a painted background, else by the cameras"""
    near: float | None = None
    """depth of the nearest matter in units of the data, where rays begin; found in the data if not given"""
    far: float | None = None
    """depth of the farthest matter, where rays end; as for near. In NDC they settle the scale alone"""
    surround_poses: Literal["recentre", "spherify"] = "recentre"
    """frame of surround scenes: recentred and scaled by the nearest depth; or the cameras on a unit sphere"""
    surround_range: Literal["nerf_pl", "bmild", "robust"] = "nerf_pl"
    """near and far of surround scenes: the least bound to the greatest, at most 8 times the least; 0.9 times
    the least to the greatest; or the bounds that 95 % of the views keep"""
    background: Literal["auto", "white", "black", "random", "drop_alpha"] = "auto"
    """what is behind transparent parts in training: a colour, a random one for each ray, or nothing, with the
    images' alpha left out. auto: white for alpha, what is painted in, nothing for photos"""
    ray_directions: Literal["unit", "plane"] = "unit"
    """length of ray directions, and so what near, far and samples are distances of: unit length (distance
    along the ray), or z = -1 in the camera (depth)"""
    pixel_centre: float = 0.0
    """where in a pixel its ray goes through: 0 the corner, 0.5 the centre"""
    view_directions: Literal["none", "world", "ray"] = "world"
    """what colours depend on besides the position: nothing, the unit direction in the world, or the direction
    as the ray has it, which in normalised device coordinates is neither unit nor in the world"""

    # The networks.
    position_frequencies: int = 10
    """frequencies of the encoding of positions; 0 for none"""
    direction_frequencies: int = 4
    """frequencies of the encoding of directions; 0 for none"""
    log_spaced: bool = True
    """frequencies are powers of two, or else evenly spaced up to the same highest one"""
    include_input: bool = True
    """encodings begin with the coordinates themselves"""
    depth: int = 8
    """layers of the trunk"""
    width: int = 256
    """width of the trunk"""
    fine_depth: int | None = None
    """layers of the fine network's trunk; as the coarse one where not given"""
    fine_width: int | None = None
    """width of the fine network's trunk; as the coarse one where not given"""
    skip_layers: tuple[int, ...] = (6,)
    """layers of the trunk, counted from 1, into which the position goes again"""
    skip_order: Literal["input_first", "input_last"] = "input_first"
    """whether the position stands before or after the previous layer's outputs there"""
    skip_input: Literal["encoded", "raw"] = "encoded"
    """whether the position goes in encoded, or as three coordinates"""
    feature_width: int | None = None
    """width of the layer between trunk and colour; the trunk's where not given"""
    first_activation: bool = True
    """whether the first layer ends in a ReLU"""
    feature_activation: bool = False
    """whether the layer between trunk and colour does"""
    density_activation: Literal["relu", "softplus"] = "relu"
    """what makes densities positive"""
    initialisation: Literal["torch", "glorot", "lecun"] = "torch"
    """how weights are drawn: as PyTorch does, or Glorot uniform or LeCun normal with zero biases"""
    layer_precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """number format of the layers' products; auto is bfloat16 on CPUs that multiply it, else float32"""
    rematerialise: bool = False
    """compute hidden layers again in the backward pass instead of keeping them: less memory, more time"""

    # Sampling and compositing.
    sampler: Literal["stratified", "occupancy"] = "stratified"
    """stratified: a coarse network finds where the fine one is asked. occupancy: a grid of opacities does,
    which skips empty space and ends rays behind what hides the rest; only the fine network is trained then"""
    occupancy_cells: int = 128
    """cells per axis of the grid that pictures are rendered by; half of them in training"""
    occupancy_samples: int = 48
    """samples of a rendered ray that meets something opaque, by the grid; two thirds of them in training"""
    occupancy_refresh: int = 16
    """training steps between looks at cells that rays may not reach, by the grid"""
    coarse_samples: int = 64
    """samples of the coarse network along a ray"""
    fine_samples: int = 128
    """samples added where the coarse network finds matter; 0 for no fine network"""
    disparity: bool = False
    """spread coarse samples evenly in inverse depth (not in normalised device coordinates)"""
    perturb: float = 1.0
    """how far samples move at random within their strata in training; 0 for not at all"""
    jitter: Literal["strata", "onwards"] = "strata"
    """each sample moves within its stratum; or onwards by a part of range / count"""
    noise: float | None = None
    """standard deviation of noise on densities in training; where not given, 1 for photos and 0 else"""
    render_noise: bool = False
    """move samples and add noise when rendering too, as nerf_pl does in its validation"""
    length_by_direction: bool = True
    """samples stand for lengths in space; or else for differences of t, whatever the direction's length"""
    last_length: float = 1e10
    """length that the last sample stands for"""
    transmittance_guard: Literal["add", "clip", "none"] = "add"
    """what keeps opaque samples' gradients finite: what passes gets 1e-10 added, or is at least 1e-5"""
    histogram_guard: Literal["add", "clip"] = "add"
    """what keeps empty histograms defined: 1e-5 is added to every weight, or is the least one"""

    # Training.
    rays: int = 1024
    """rays of one step; 0 for all pixels of one image"""
    batching: Literal["pool", "replacement"] = "pool"
    """rays of all images: each once in a shuffled epoch, or drawn with replacement"""
    one_image: Literal["never", "bounded", "always"] = "never"
    """take the rays of a step from one image, in bounded scenes only, or in all"""
    precrop_steps: int = 0
    """first steps that take pixels from the middle of the image only (with one image a step)"""
    precrop_fraction: float = 0.5
    """side of that middle, as a part of the image's"""
    optimiser: Literal["adam", "sgd", "radam", "ranger"] = "adam"
    """ranger is RAdam with lookahead"""
    learning_rate: float = 5e-4
    """before the schedule"""
    optimiser_eps: float = 1e-8
    """keeps the quotient of adaptive optimisers finite"""
    momentum: float = 0.9
    """of sgd"""
    weight_decay: float = 0.0
    """of all optimisers"""
    schedule: Literal["exponential", "steps", "cosine", "polynomial", "constant"] = "exponential"
    """how the learning rate falls"""
    schedule_unit: Literal["step", "epoch", "training"] = "step"
    """what the schedule counts: steps; whole epochs (passes over all training pixels); or the part of the
    training that is over, which suits trainings by the minute"""
    decay_span: float = 250_000.0
    """units over which the rate falls: to `decay_rate` (exponential), to 1e-8 (cosine), to 0 (polynomial)"""
    decay_rate: float = 0.1
    """factor per `decay_span` (exponential) or per milestone (steps)"""
    decay_milestones: tuple[float, ...] = ()
    """units at which the rate falls by `decay_rate` (steps)"""
    decay_power: float = 0.9
    """of the polynomial"""
    warm_up: float = 0.0
    """units over which the rate rises first; the schedule begins after them"""
    warm_up_multiplier: float = 1.0
    """1: the rate rises from 0 to itself; above: from itself to so many times itself"""
    clip_gradient: float | None = None
    """largest norm of all gradients together; not limited where not given"""
    restart_dead: bool = True
    """draw the networks anew where a whole stretch of training finds no density anywhere, which a network of
    ReLU densities cannot recover from"""

    # Memory.
    ray_chunk: int = 4096
    """rays at a time in rendering"""
    point_chunk: int = 1 << 14
    """points at a time in the networks, where no gradient is kept or hidden layers are computed again"""

    def check(self) -> None:
        """Raise InputError where settings do not go together."""
        for name in ("coarse_samples", "depth", "width", "ray_chunk", "point_chunk", "decay_span"):
            if not getattr(self, name) > 0:
                raise InputError(f"It must be above 0, not {getattr(self, name)}", where=_flag(name))
        for name in ("fine_samples", "rays", "perturb", "precrop_steps", "warm_up"):
            if getattr(self, name) < 0:
                raise InputError(f"It must be 0 or above, not {getattr(self, name)}", where=_flag(name))
        if not 16 <= self.occupancy_cells <= 512:
            raise InputError("It must be from 16 to 512", where="--occupancy-cells")
        for name in ("occupancy_samples", "occupancy_refresh"):
            if getattr(self, name) < 2:
                raise InputError(f"It must be 2 or above, not {getattr(self, name)}", where=_flag(name))
        if self.coarse_samples < 3 and self.fine_samples:
            raise InputError("Fine samples need at least 3 coarse ones", where="--coarse-samples")
        beyond = [layer for layer in self.skip_layers if not 2 <= layer <= self.depth]
        if beyond:
            raise InputError(
                f"The position cannot enter layer {beyond[0]} of {self.depth}",
                where="--skip-layers",
                fix="Layers are counted from 1; the first one has the position anyway",
            )
        if not 0 < self.precrop_fraction <= 1:
            raise InputError("It must be above 0 and at most 1", where="--precrop-fraction")
        if self.precrop_steps and self.one_image == "never":
            raise InputError(
                "Training on the middle of images needs batches of one image",
                where="--precrop-steps",
                fix="Add --one-image always, or leave --precrop-steps away",
            )
        if self.rays == 0 and self.one_image != "always":
            raise InputError(
                "Steps of all pixels of an image need batches of one image",
                where="--rays 0",
                fix="Add --one-image always, or give a number of rays",
            )
        if self.near is not None and self.far is not None and not self.near < self.far:
            raise InputError(f"--near {self.near:g} is not below --far {self.far:g}")
        if not self.include_input and 0 in (self.position_frequencies, self.direction_frequencies):
            raise InputError(
                "An encoding without frequencies and without the input is empty", where="--no-include-input"
            )
        if self.schedule == "steps" and not self.decay_milestones:
            raise InputError("A schedule of steps needs --decay-milestones", where="--schedule steps")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


INFO = MethodInfo(
    name="nerf",
    summary="the original coarse and fine perceptrons, as five published programs run them: one scene",
    paper="Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi, Ng: NeRF: Representing Scenes as Neural"
    " Radiance Fields for View Synthesis, ECCV 2020",
    learns="one scene",
    config="sightline.methods.nerf.config:NerfConfig",
    method="sightline.methods.nerf.method:Nerf",
    presets=PRESETS,
    default_preset="bmild",
    default_steps=200_000,
)
