"""Settings of `gpnr`, and what the command line knows of it without loading torch."""

from dataclasses import dataclass
from typing import Any, Literal

from sightline.foundation.errors import InputError
from sightline.methods.registry import MethodInfo


@dataclass(frozen=True, kw_only=True)
class GpnrConfig:
    """Transformers over what source views show of a ray: across views, along the ray, across views again."""

    # What a ray sees.
    sources: int = 10
    """source views of a target: the nearest ones"""
    samples: int = 127
    """points along a ray"""
    spacing: Literal["distance", "inverse"] = "distance"
    """even in distance or in its inverse"""
    patch_features: tuple[int, ...] = (32,)
    """channels of the convolutions that read a patch, one after the other; what all of them give is used"""
    patch_size: int = 11
    """pixels on a side of their windows"""
    imagenet_colours: bool = False
    """bring colours to ImageNet's mean and deviation first"""
    ray_frequencies: int = 10
    """of the code of Pluecker coordinates"""
    point_frequencies: int = 10
    """of the code of points in the ray's frame"""
    encoding: Literal["positional", "identity"] = "positional"
    """identity: no sines, the coordinates alone"""
    pixel_centre: float = 0.5
    """where in a pixel its ray passes; 0 as published"""
    faithful: bool = False
    """compute as the published program does: frames scaled by squared lengths, translations between cameras
    that change with the world's frame, and samples outside of a picture or behind its camera that count as
    pixels of its border. Else these are left out of attention, and both are what the paper means"""

    colour: Literal["predicted", "corrected"] = "predicted"
    """predicted: from features alone, as published; corrected: what the network adds to the colours that its
    weights mix of the sources, as logits"""

    near: float | None = None
    """where rays begin, in units of the data; as its bounds, points or cameras say where not given"""
    far: float | None = None
    """where they end"""
    unit: Literal["far", "near"] = "far"
    """what scenes are scaled by: their farthest depth, or 3/4 of their nearest"""

    # The networks.
    width: int = 256
    """of all tokens"""
    heads: int = 1
    """of attention"""
    hidden_width: int = 256
    """of the layers' perceptrons"""
    epipolar_layers: int = 8
    """across the views of one depth, and as many along the ray"""
    view_layers: int = 8
    """across the views of a ray"""

    # Training.
    rays: int = 4096
    """of a step, of all processes together"""
    neighbours: int = 20
    """nearest views of which the sources of a step are drawn"""
    scene_steps: int = 1
    """steps after which another scene is drawn"""
    scale_rule: Literal["none", "linear"] = "none"
    """linear: with half of `rule_rays` in a step, half the learning rate, and warm-up and halving take twice
    as many steps; give twice the --steps, too"""
    rule_rays: int = 4096
    """rays of a step that the learning rate is meant for, with the linear rule"""
    train_chunk: int | None = None
    """rays of a step that are held at a time, with their gradients; as many as take some gigabytes where not
    given"""
    learning_rate: float = 2e-3
    """of AdamW"""
    warm_up: int = 2500
    """first steps, in which the rate rises from 0"""
    schedule: Literal["linear", "cosine", "step"] = "linear"
    """how the rate falls to 0 then; step: it is halved again and again"""
    halve_every: int = 50_000
    """steps, with the schedule step"""
    weight_decay: float = 0.0
    """of AdamW, and of the squares of weights in the loss"""

    clip_norm: float | None = None
    """largest norm of all gradients together; longer ones are shortened to it"""
    clip_value: float | None = None
    """largest value of a gradient's numbers; others are cut to it"""

    # Memory and time.
    first_layer_precision: Literal["layers", "float32"] = "layers"
    """number format of the layers that tokens enter and colours leave through; layers: as all others"""
    layer_precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """number format of the transformers' products; auto: bfloat16 where the device multiplies it fast"""
    ray_chunk: int = 64
    """rays at a time in rendering"""

    def __post_init__(self) -> None:
        """Refuse settings that no network can be made of."""
        counts = ("sources", "samples", "patch_size", "width", "heads", "hidden_width", "epipolar_layers")
        counts += ("view_layers", "rays", "rule_rays", "neighbours", "scene_steps", "halve_every")
        for name in (*counts, "ray_chunk"):
            if getattr(self, name) < 1:
                raise InputError(f"It must be 1 or above, not {getattr(self, name)}", where=_flag(name))
        for name in ("ray_frequencies", "point_frequencies"):
            if getattr(self, name) < 0:
                raise InputError(f"It must be 0 or above, not {getattr(self, name)}", where=_flag(name))
        for name in ("clip_norm", "clip_value"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise InputError(f"It must be above 0, not {limit}", where=_flag(name))
        if self.width % self.heads:
            raise InputError(f"{self.heads} heads cannot share a width of {self.width}", where="--heads")
        if not self.patch_features or min(self.patch_features) < 1:
            raise InputError("It must hold numbers of 1 and above", where="--patch-features")
        if not self.patch_size % 2:
            raise InputError(
                f"It must be odd, not {self.patch_size}: a patch has a middle", where="--patch-size"
            )
        if not 0 <= self.pixel_centre < 1:
            raise InputError(f"It must be from 0 to below 1, not {self.pixel_centre}", where="--pixel-centre")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


_PUBLISHED: dict[str, Any] = {
    "ray_frequencies": 4,
    "pixel_centre": 0.0,
    "faithful": True,
    "scene_steps": 500,
    "learning_rate": 3e-4,
    "warm_up": 5000,
}
PRESETS: dict[str, dict[str, Any]] = {
    "readme": _PUBLISHED,
    "reduced": {
        **_PUBLISHED,
        "samples": 31,
        "patch_features": (16,),
        "width": 64,
        "hidden_width": 64,
        "epipolar_layers": 2,
        "view_layers": 2,
    },
    # Fewer and narrower layers, fewer samples, and these even in inverse depth; colours begin with those that
    # sources show, for what a network of this size would have to learn first.
    "small": {
        "sources": 5,
        "samples": 32,
        "spacing": "inverse",
        "patch_features": (16,),
        "patch_size": 7,
        "ray_frequencies": 4,
        "point_frequencies": 6,
        "width": 64,
        "hidden_width": 128,
        "epipolar_layers": 2,
        "view_layers": 2,
        "colour": "corrected",
        "rays": 256,
        "learning_rate": 1e-3,
        "warm_up": 200,
        "ray_chunk": 256,
    },
}

INFO = MethodInfo(
    name="gpnr",
    summary="transformers over patches along epipolar lines: unseen scenes from nearby photos",
    paper="Suhail, Esteves, Sigal, Makadia: Generalizable Patch-Based Neural Rendering, ECCV 2022",
    learns="many scenes",
    config="sightline.methods.gpnr.config:GpnrConfig",
    method="sightline.methods.gpnr.method:Gpnr",
    presets=PRESETS,
    default_preset="small",
    default_minutes=90.0,
)
