"""Presets of `pixelnerf`: the published experiments, and a small one (no torch).

What a preset leaves out is the default of `PixelNerfConfig`.
"""

from typing import Any

_SHAPENET: dict[str, Any] = {"first_pool": False, "image_size": 64, "near": 1.2, "far": 4.0}
_SRN: dict[str, Any] = {"image_size": 128, "source_counts": (1, 2)}

PRESETS: dict[str, dict[str, Any]] = {
    "sn64": {**_SHAPENET, "source_counts": (1,)},
    "sn64_unseen": {**_SHAPENET, "source_counts": (1,)},
    "srn_chair": {**_SRN, "near": 1.25, "far": 2.75},
    "srn_car": {**_SRN, "near": 0.8, "far": 1.8},
    "dtu": {
        "image_size": 300,
        "near": 0.1,
        "far": 5.0,
        "source_counts": (3,),
        "background": "none",
        "most_views": 49,
        "colour_jitter": 0.1,
        "average_intrinsics": True,
    },
    "multi_obj": {"image_size": 128, "near": 4.0, "far": 9.0, "source_counts": (2,)},
    "small": {
        "frame": "auto",
        "backbone": "resnet18",
        "imagenet": False,
        "image_size": 64,
        "first_pool": False,
        "hidden_width": 128,
        "blocks": 3,
        "combine_layer": 2,
        "coarse_samples": 32,
        "fine_samples": 16,
        "depth_samples": 8,
        "depth_spread": 0.02,
        "source_counts": (1, 2),
        "target_views": 4,
        "learning_rate": 5e-4,
        "box_steps": 200,
        "box_share": 0.6,
        "final_rate": 0.1,
    },
}
