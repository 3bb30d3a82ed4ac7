"""Settings of `pixelnerf`, and what the command line knows of it without loading torch."""

from dataclasses import dataclass
from typing import Literal

from sightline.foundation.errors import InputError
from sightline.methods.pixelnerf.presets import PRESETS
from sightline.methods.registry import MethodInfo


@dataclass(frozen=True, kw_only=True)
class PixelNerfConfig:
    """An image encoder, two perceptrons, and every switch of the published experiments."""

    # The pictures and where they were taken from.
    image_size: int | None = None
    """height in pixels that larger pictures are reduced to before the network sees them; as they are if not
    given"""
    near: float | None = None
    """distance from the camera at which rays begin, in network units; what the data says if not given"""
    far: float | None = None
    """distance at which rays end; as for near"""
    frame: Literal["data", "centred", "auto"] = "data"
    """where the network's origin is. data: the data's, near which objects must stand. centred: where cameras
    look, at a distance of 2 from them on average. auto: centred where the data's is far from there"""
    world_scale: float = 1.0
    """factor of lengths between the data's frame and the network's"""
    world_scale_focal: bool = False
    """scale the focal length along with the world, as the published reader of SRN does by mistake"""
    background: Literal["white", "none"] = "white"
    """what is behind objects: white, or nothing (photos of whole scenes)"""
    average_intrinsics: bool = False
    """give all views of a scene the mean of their focal lengths and centres, as the published program does"""
    pixel_centre: float = 0.0
    """where in a pixel its ray goes through: 0 the corner (as published), 0.5 the centre"""

    # The encoder.
    use_encoder: bool = True
    """see the source views at all; without, it is one scene's network"""
    backbone: Literal["resnet34", "resnet18"] = "resnet34"
    """network of the encoder"""
    imagenet: bool = True
    """begin with ImageNet weights; where those cannot be had, with random ones and a warning"""
    levels: int = 4
    """feature maps that are used: the first convolution and the stages after it"""
    first_pool: bool = True
    """halve the maps after the first convolution, as for ImageNet; not for pictures of 64 pixels"""
    feature_scale: float = 1.0
    """resize pictures by this before the encoder"""
    upsampling: Literal["bilinear", "nearest"] = "bilinear"
    """how maps are brought to the size of the first one"""
    feature_sampling: Literal["bilinear", "nearest"] = "bilinear"
    """how features are read between the pixels of maps"""
    feature_padding: Literal["border", "zeros", "reflection"] = "border"
    """what points outside a picture see"""
    mirror_behind: bool = True
    """let points behind a source camera see the feature they are mirrored to, as published; else zeros"""
    global_width: int = 0
    """numbers of a feature of the whole picture, from a network of its own; 0 for none"""
    freeze_encoder: bool = False
    """do not train the encoder"""
    batch_statistics: bool = True
    """in training, normalise by the statistics of the step's source pictures, as published; or else
    by the running ones, which then stay as they are"""

    # The perceptrons.
    use_positions: bool = True
    """describe a point by its position; or else by its depth before the source camera alone"""
    rotate_only: bool = True
    """positions are turned into the axes of the source camera, but not moved to it (normalize_z)"""
    use_code: bool = True
    """encode positions by sines"""
    code_frequencies: int = 6
    """octaves of the code"""
    code_factor: float = 1.5
    """its lowest frequency"""
    code_input: bool = True
    """the code begins with the coordinates themselves"""
    use_directions: bool = True
    """tell the direction of view"""
    code_directions: bool = False
    """encode directions too"""
    hidden_width: int = 512
    """width of the perceptrons"""
    blocks: int = 5
    """residual blocks of each"""
    combine_layer: int = 3
    """block before which views are joined"""
    combination: Literal["average", "max"] = "average"
    """how views are joined"""
    softplus: float = 0.0
    """sharpness of softplus activations; 0 for ReLU"""
    spade: bool = False
    """features scale the hidden layers, besides being added"""
    fine_network: Literal["own", "coarse"] = "own"
    """what fine samples are asked of: a perceptron of their own, or the coarse one"""

    # Sampling along rays.
    coarse_samples: int = 64
    """samples of the coarse pass"""
    fine_samples: int = 32
    """samples added in the fine pass, those near the coarse depth included; 0 for no fine pass"""
    depth_samples: int = 16
    """of the fine samples, how many lie around the coarse depth"""
    depth_spread: float = 0.01
    """standard deviation of these, in units of the network's frame"""
    disparity: bool = False
    """spread coarse samples evenly in inverse depth"""
    noise: float = 0.0
    """standard deviation of noise on densities in training"""
    render_chance: bool = False
    """draw samples at random when rendering too, as published; the same ones for the same camera"""
    schedule_at: tuple[int, ...] = ()
    """steps from which numbers of samples change"""
    schedule_coarse: tuple[int, ...] = ()
    """numbers of coarse samples from then on"""
    schedule_fine: tuple[int, ...] = ()
    """numbers of fine samples from then on"""
    schedule_objects: bool = False
    """count objects in `schedule_at`, not steps, as the published program does"""

    # Training.
    objects: int = 4
    """objects of one step"""
    source_counts: tuple[int, ...] = (1,)
    """numbers of source views, of which one is drawn for each step"""
    rays: int = 128
    """rays of one object"""
    target_views: int | None = None
    """views of an object that its rays are drawn from in one step; few are read faster. All if not given"""
    most_views: int | None = None
    """views of an object that take part in one step at most, drawn at random; all if not given"""
    box_steps: int = 100_000
    """first steps, in which rays are drawn from the box around the object; 0 for none"""
    box_share: float = 0.0
    """part of the rays that is drawn from the box after that; the others from anywhere in the picture"""
    saturated_background: bool = False
    """count a pixel with one saturated channel as background when looking for that box, as published; or else
    only one with all channels saturated"""
    colour_jitter: float = 0.0
    """how far hue, saturation, brightness and contrast of a scene are changed at random"""
    permute_colours: bool = False
    """exchange red, green and blue of an object in all of its views by chance, as other objects; not for
    categories that have a colour"""
    bend_colours: float = 0.0
    """raise each channel of an object to a power between e^-x and e^x, drawn by chance, as other objects:
    what tells objects apart is then their shape"""
    coarse_weight: float = 1.0
    """weight of the coarse pass in the loss"""
    fine_weight: float = 1.0
    """weight of the fine pass"""
    weigh_lone_coarse: bool = True
    """use `coarse_weight` without a fine pass too, which the published program forgets"""
    learning_rate: float = 1e-4
    """of Adam"""
    final_rate: float = 1.0
    """part of the learning rate that is left at the end; it falls along half a cosine"""
    decay_rate: float = 1.0
    """factor of the learning rate per `decay_span`"""
    decay_span: float = 10_000.0
    """steps"""

    sampler: Literal["stratified", "occupancy"] = "stratified"
    """of pictures. stratified: the coarse pass finds where the fine one looks. occupancy: a grid of opacities
    does, made once for an object as it is seen from its source views"""
    occupancy_cells: int = 64
    """cells per axis of that grid"""
    occupancy_samples: int = 32
    """samples of a ray that meets something opaque, with the sampler occupancy"""

    # Photos of an object without cameras.
    photo_focal: float = 131.25 / 128
    """focal length of such photos in units of their shorter side"""

    # Memory and time.
    layer_precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """number format of products on a CPU, those of the encoder in training too; auto: bfloat16 where the
    processor multiplies it in vectors"""
    ray_chunk: int = 2048
    """rays at a time in rendering"""
    point_chunk: int = 1 << 16
    """points at a time in the networks when rendering"""

    def check(self) -> None:
        """Raise InputError where settings do not go together."""
        positive = ("coarse_samples", "objects", "rays", "hidden_width", "blocks", "ray_chunk", "point_chunk")
        if not 16 <= self.occupancy_cells <= 512:
            raise InputError("It must be from 16 to 512", where="--occupancy-cells")
        for name in (*positive, "occupancy_samples", "decay_span", "world_scale", "feature_scale"):
            if not getattr(self, name) > 0:
                raise InputError(f"It must be above 0, not {getattr(self, name)}", where=_flag(name))
        not_negative = (
            "fine_samples",
            "depth_samples",
            "box_steps",
            "noise",
            "colour_jitter",
            "bend_colours",
            "global_width",
        )
        for name in not_negative:
            if getattr(self, name) < 0:
                raise InputError(f"It must be 0 or above, not {getattr(self, name)}", where=_flag(name))
        for name in ("image_size", "target_views", "most_views"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"It must be 1 or above, not {getattr(self, name)}", where=_flag(name))
        if self.depth_samples > self.fine_samples and self.fine_samples:
            raise InputError(
                f"Of {self.fine_samples} fine samples, {self.depth_samples} cannot lie around the depth",
                where="--depth-samples",
            )
        if not 0 <= self.box_share <= 1 or not 0 < self.final_rate <= 1:
            raise InputError("--box-share must be from 0 to 1, --final-rate above 0 and at most 1")
        if not 1 <= self.levels <= 5:
            raise InputError("It must be from 1 to 5", where="--levels")
        if not 0 <= self.combine_layer <= self.blocks:
            raise InputError(f"It must be from 0 to {self.blocks}, the blocks", where="--combine-layer")
        if not self.source_counts or min(self.source_counts) < 1:
            raise InputError("At least one source view is needed", where="--source-counts")
        if not (self.use_code or self.use_positions or self.use_directions or self.use_encoder):
            raise InputError("Nothing describes a point", where="--use-positions")
        if self.use_code and not self.code_input and not self.code_frequencies:
            raise InputError("A code without frequencies and input is empty", where="--code-input")
        lengths = {len(self.schedule_at), len(self.schedule_coarse), len(self.schedule_fine)}
        if len(lengths) > 1 or list(self.schedule_at) != sorted(self.schedule_at):
            raise InputError(
                "A schedule needs rising steps, and as many numbers of coarse and fine samples",
                where="--schedule-at, --schedule-coarse, --schedule-fine",
            )
        if (self.near is None) != (self.far is None):
            raise InputError("--near and --far go together", fix="Give both or none")
        if self.near is not None and self.far is not None and not 0 <= self.near < self.far:
            raise InputError(f"--near {self.near:g} and --far {self.far:g} are no range of distances")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


INFO = MethodInfo(
    name="pixelnerf",
    summary="radiance fields from 1 to 9 pictures: features of the pictures, projected onto rays",
    paper="Yu, Ye, Tancik, Kanazawa: pixelNeRF: Neural Radiance Fields from One or Few Images, CVPR 2021",
    learns="many scenes",
    config="sightline.methods.pixelnerf.config:PixelNerfConfig",
    method="sightline.methods.pixelnerf.method:PixelNerf",
    presets=PRESETS,
    default_preset="small",
    default_minutes=10.0,
)
