"""Settings of `enr`, and what the command line knows of it without loading torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sightline.foundation.errors import InputError, warn
from sightline.methods.registry import MethodInfo


@dataclass(frozen=True, kw_only=True)
class EnrConfig:
    """Inverse renderer, moving volume, renderer; one source picture."""

    image_size: int = 128
    """pixels on a side of the pictures that go in and come out"""
    channels_2d: tuple[int, ...] = (64, 64, 128, 128, 128, 128, 256, 256, 128, 128, 128)
    """channels of the blocks that read the picture; the renderer has them in reverse"""
    strides_2d: tuple[int, ...] = (1, 1, 2, 1, 2, 1, 2, 1, -2, 1, 1)
    """1: residual block. 2: halves the sides. -2: doubles them"""
    channels_3d: tuple[int, ...] = (32, 32, 128, 128, 128, 64, 64, 64)
    """channels of the blocks in the volume; the last is the width of the volume itself"""
    strides_3d: tuple[int, ...] = (1, 1, 2, 1, 1, -2, 1, 1)
    """as for pictures"""
    channels_inverse_projection: tuple[int, ...] = (256, 512, 1024)
    """from picture to volume; the last is divided by the depth of the volume"""
    channels_projection: tuple[int, ...] = (512, 256, 256)
    """from volume to picture"""
    normalisation: Literal["group", "none"] = "group"
    """of what goes into activations; group: as published. Groups lose how strong a colour is, which networks
    find again late; none goes with the loss l2, since l1 draws it to the white that most pixels have"""
    interpolation: Literal["trilinear", "nearest"] = "trilinear"
    """how the moved volume is read"""
    motion: Literal["rotation", "translation", "rototranslation"] = "rotation"
    """what of the motion between two cameras moves the volume; the rest of it is left out"""
    units_per_half_width: float = 1.0
    """how far a shift is that moves the volume by half its width, in units of the data"""
    distance: float | None = None
    """of the cameras from the middle of the volume, in units of the data; as the data states it or as its
    cameras show it if not given"""
    crop: int | None = None
    """cut pictures to the middle square of so many pixels first; not cut where not given"""
    resize: bool = False
    """bring pictures of other sizes to image_size, cut to their middle square; else they are refused"""
    loss: Literal["l1", "l2"] = "l1"
    """mean absolute or mean squared difference"""
    ssim_weight: float = 0.05
    """weight of 1 - SSIM in the loss"""
    batch_size: int = 16
    """pictures of one step, of all processes together: two of each object, so an even number"""
    mirror: bool = False
    """mirror half of the training pairs, left for right, as other objects"""
    permute_colours: bool = False
    """exchange red, green and blue of training pairs by chance, as other objects; not for categories that
    have a colour"""
    bend_colours: float = 0.0
    """raise each channel of training pairs to a power between e^-x and e^x, drawn by chance, as other
    objects: what tells objects apart is then their shape"""
    learning_rate: float = 2e-4
    """of Adam"""
    final_rate: float = 1.0
    """part of the learning rate that is left at the end; it falls along half a cosine"""
    network_precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """number format of the convolutions' inputs; auto: bfloat16 where the processor multiplies it in vectors,
    sums and the motion of the volume stay in float32"""

    def __post_init__(self) -> None:
        """Refuse settings that no network can be made of."""
        for name in ("image_size", "batch_size", "units_per_half_width", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"It must be above 0, not {getattr(self, name)}", where=_flag(name))
        if self.batch_size % 2:
            raise InputError(
                f"A batch is made of pairs, so {self.batch_size} is no possible size", where="--batch-size"
            )
        if self.bend_colours < 0:
            raise InputError(f"It must be 0 or above, not {self.bend_colours}", where="--bend-colours")
        if self.ssim_weight < 0 or not 0 < self.final_rate <= 1:
            raise InputError("--ssim-weight must be 0 or above, --final-rate above 0 and at most 1")
        if self.ssim_weight and self.image_size < 11:
            raise InputError("SSIM needs pictures of 11 pixels or more", where="--image-size")
        for name in ("crop", "distance"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"It must be above 0, not {value}", where=_flag(name))
        self._check_lists()

    def _check_lists(self) -> None:
        for name in ("channels_2d", "channels_3d", "channels_inverse_projection", "channels_projection"):
            values = getattr(self, name)
            if not values or min(values) < 1:
                raise InputError("It must hold numbers of 1 and above", where=_flag(name))
        for name, strides in (("strides_2d", self.strides_2d), ("strides_3d", self.strides_3d)):
            if any(stride not in (1, 2, -2) for stride in strides):
                raise InputError("A stride is 1, 2 or -2", where=_flag(name))
            if strides[:1] != (1,):
                raise InputError("The renderer mirrors a first block of stride 1", where=_flag(name))
        if sum(strides == 2 for strides in self.strides_3d) != sum(
            strides == -2 for strides in self.strides_3d
        ):
            raise InputError(
                "As many blocks of the volume must double its sides as halve them", where="--strides-3d"
            )
        smallest = self.image_size
        for stride in self.strides_2d:
            if stride == 2 and smallest % 2:
                raise InputError(
                    f"Pictures of {self.image_size} pixels cannot be halved as often as the strides say",
                    where="--image-size",
                    fix="Give a multiple of 32",
                )
            smallest = smallest * 2 if stride == -2 else smallest // stride
        if self.channels_inverse_projection[-1] % self.volume_size:
            raise InputError(
                f"The last of the channels ({self.channels_inverse_projection[-1]}) is not divided by the "
                f"depth of the volume ({self.volume_size})",
                where="--channels-inverse-projection",
            )

    @property
    def volume_size(self) -> int:
        """Voxels on a side of the volume."""
        factors = [0.5 if stride == 2 else 2 if stride == -2 else 1 for stride in self.strides_2d]
        return int(self.image_size * math.prod(factors))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


# Names in the configuration file of the published program, and what has no counterpart here.
_PUBLISHED = {
    "channels_2d": "channels_2d",
    "strides_2d": "strides_2d",
    "channels_3d": "channels_3d",
    "strides_3d": "strides_3d",
    "num_channels_inv_projection": "channels_inverse_projection",
    "num_channels_projection": "channels_projection",
    "batch_size": "batch_size",
    "lr": "learning_rate",
    "loss_type": "loss",
    "ssim_loss_weight": "ssim_weight",
    "crop_size": "crop",
}
_WITHOUT_COUNTERPART = (
    *(
        "id",
        "path_to_data",
        "path_to_test_data",
        "multi_gpu",
        "epochs",
        "save_freq",
        "save_path",
        "timestamp",
    ),
)


def from_published(values: Mapping[str, Any], where: object = None) -> dict[str, Any] | None:
    """Translate the configuration of the published program, as its config.json or saved models hold it.

    Returns:
        Settings of `EnrConfig` by name; None where this is no such configuration.

    Raises:
        InputError: pictures that are not square RGB, an unknown name, mode or loss.
    """
    if "img_shape" not in values and "num_channels_inv_projection" not in values:
        return None
    known = {*_PUBLISHED, *_WITHOUT_COUNTERPART, "img_shape", "mode"}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise InputError(f"Unknown settings {', '.join(unknown)}", where=where)
    found = {ours: values[theirs] for theirs, ours in _PUBLISHED.items() if theirs in values}
    shape = values.get("img_shape", [3, 128, 128])
    if not isinstance(shape, list | tuple) or len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
        raise InputError(f"img_shape is {shape}, not 3 channels and two equal sides", where=where)
    found["image_size"] = shape[1]
    mode = values.get("mode", "bilinear")
    if mode not in ("bilinear", "nearest"):
        raise InputError(f"The mode is {mode!r}, not bilinear or nearest", where=where)
    found["interpolation"] = "trilinear" if mode == "bilinear" else "nearest"
    return found


def translate_settings(values: Mapping[str, Any], where: object = None) -> dict[str, Any]:
    """Give settings of a file in our names: as they are, or translated with a word on what is not taken."""
    found = from_published(values, where)
    if found is None:
        return dict(values)
    left = [name for name in _WITHOUT_COUNTERPART if values.get(name)]
    if left:
        warn(
            f"Not taken from the file: {', '.join(left)}. DATA, --out and --steps or --minutes say these; "
            f"an epoch has as many steps as training pictures by batch size. Where: {where}."
        )
    return found


_REPRODUCTION: dict[str, Any] = {"image_size": 64, "batch_size": 128}
PRESETS: dict[str, dict[str, Any]] = {
    # Fewer blocks than published: deep networks show the mean of all objects for thousands of steps before
    # they see anything of the source. Without normalisation colours come early, and steps cost less.
    "small": {
        "image_size": 64,
        "channels_2d": (16, 48, 64, 64, 64),
        "strides_2d": (1, 2, 2, 1, 1),
        "channels_3d": (32, 32, 32),
        "strides_3d": (1, 1, 1),
        "channels_inverse_projection": (128, 256, 512),
        "channels_projection": (256, 128, 64),
        "normalisation": "none",
        "motion": "rototranslation",
        "loss": "l2",
        "learning_rate": 1e-3,
        "final_rate": 0.1,
    },
    "apple128": {},
    "repro64-rotation": {**_REPRODUCTION, "motion": "rotation"},
    "repro64-translation": {**_REPRODUCTION, "motion": "translation"},
    "repro64-rototranslation": {
        **_REPRODUCTION,
        "motion": "rototranslation",
        "batch_size": 32,
        "learning_rate": 2e-5,
    },
}

INFO = MethodInfo(
    name="enr",
    summary="a latent volume that turns with the camera: a category, rendered from one picture",
    paper="Dupont, Bautista, Colburn, Sankar, Guestrin, Susskind, Shan: Equivariant Neural Rendering,"
    " ICML 2020",
    learns="many scenes",
    config="sightline.methods.enr.config:EnrConfig",
    method="sightline.methods.enr.method:Enr",
    presets=PRESETS,
    default_preset="small",
    default_minutes=30.0,
    translate="sightline.methods.enr.config:translate_settings",
)
