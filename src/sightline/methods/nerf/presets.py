"""Presets of `nerf`: the switches of the programs whose weights and numbers are published (no torch).

What a preset leaves out is the default of `NerfConfig`.
"""

from typing import Any

_BMILD: dict[str, Any] = {
    "ray_directions": "plane",
    "view_directions": "world",
    "skip_layers": (6,),
    "skip_order": "input_first",
    "surround_poses": "spherify",
    "surround_range": "bmild",
    "initialisation": "glorot",
    "optimiser_eps": 1e-7,
    "coarse_samples": 64,
    "fine_samples": 128,
    "batching": "pool",
    "one_image": "bounded",
    "precrop_steps": 500,
    "schedule": "exponential",
    "decay_span": 250_000.0,
}

_NERF_PL: dict[str, Any] = {
    "ray_directions": "unit",
    "view_directions": "ray",
    "skip_layers": (5,),
    "skip_order": "input_first",
    "surround_poses": "recentre",
    "surround_range": "nerf_pl",
    "coarse_samples": 64,
    "fine_samples": 64,
    "batching": "pool",
    "schedule": "steps",
    "schedule_unit": "epoch",
    "decay_milestones": (2.0, 4.0, 8.0),
    "decay_rate": 0.5,
}

_FLAX_NERF: dict[str, Any] = {
    "ray_directions": "plane",
    "view_directions": "world",
    "skip_layers": (6,),
    "skip_order": "input_last",
    "feature_width": 256,
    "surround_poses": "recentre",
    "surround_range": "nerf_pl",
    "initialisation": "lecun",
    "transmittance_guard": "clip",
    "histogram_guard": "clip",
    "coarse_samples": 64,
    "fine_samples": 128,
    "batching": "replacement",
    "one_image": "bounded",
    "schedule": "exponential",
    "decay_span": 250_000.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "bmild": _BMILD,
    "bmild-noviewdirs": {**_BMILD, "view_directions": "none"},
    "nerf_pl": _NERF_PL,
    "nerf_pl_dev": {**_NERF_PL, "length_by_direction": False},
    "flax_nerf": _FLAX_NERF,
    "krrish94": {
        **_BMILD,
        "depth": 4,
        "width": 128,
        "skip_layers": (),
        "first_activation": False,
        "feature_activation": True,
        "initialisation": "torch",
        "optimiser_eps": 1e-8,
        "fine_samples": 64,
    },
    "tiny": {
        **_FLAX_NERF,
        "scene": "bounded",
        "near": 2.0,
        "far": 6.0,
        "view_directions": "none",
        "position_frequencies": 6,
        "skip_input": "raw",
        "fine_samples": 0,
        "jitter": "onwards",
        "rays": 0,
        "one_image": "always",
        "schedule": "constant",
    },
}
