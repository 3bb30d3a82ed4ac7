"""Settings of `nerf`: presets, what is refused, and that run.json keeps them."""

import json

import pytest
from nerf_cases import small_config

from sightline.foundation.errors import InputError
from sightline.methods.nerf.config import INFO, NerfConfig
from sightline.methods.registry import get_method_info
from sightline.runs.settings import from_plain, to_plain

NAMES = ["bmild", "bmild-noviewdirs", "nerf_pl", "nerf_pl_dev", "flax_nerf", "krrish94", "tiny"]


def test_the_registry_knows_it() -> None:
    assert get_method_info("nerf") is INFO
    assert list(INFO.presets) == NAMES
    assert INFO.config_class() is NerfConfig


@pytest.mark.parametrize("preset", NAMES)
def test_presets_are_consistent_and_survive_json(preset: str) -> None:
    config = INFO.build_config(preset)
    config.check()
    assert from_plain(NerfConfig, json.loads(json.dumps(to_plain(config)))) == config


def test_what_sets_the_systems_apart() -> None:
    bmild, pl, dev, flax, tiny = (
        INFO.build_config(name) for name in ("bmild", "nerf_pl", "nerf_pl_dev", "flax_nerf", "tiny")
    )
    assert (bmild.ray_directions, pl.ray_directions, flax.ray_directions) == ("plane", "unit", "plane")
    assert (bmild.view_directions, pl.view_directions, flax.view_directions) == ("world", "ray", "world")
    assert (bmild.skip_layers, pl.skip_layers, flax.skip_layers) == ((6,), (5,), (6,))
    assert (bmild.skip_order, flax.skip_order) == ("input_first", "input_last")
    assert (pl.length_by_direction, dev.length_by_direction) == (True, False)
    assert (bmild.transmittance_guard, flax.transmittance_guard) == ("add", "clip")
    assert (tiny.coarse_samples, tiny.fine_samples, tiny.rays, tiny.near, tiny.far) == (64, 0, 0, 2, 6)
    assert {config.pixel_centre for config in (bmild, pl, dev, flax, tiny)} == {0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coarse_samples": 0}, "coarse-samples"),
        ({"fine_samples": -1}, "fine-samples"),
        ({"skip_layers": (4,)}, "layer 4 of 3"),
        ({"skip_layers": (1,)}, "layer 1 of 3"),
        ({"precrop_steps": 5}, "one-image"),
        ({"precrop_fraction": 0.0}, "precrop-fraction"),
        ({"rays": 0}, "one image"),
        ({"near": 3.0, "far": 2.0}, "not below"),
        ({"include_input": False, "direction_frequencies": 0}, "empty"),
        ({"schedule": "steps"}, "decay-milestones"),
        ({"coarse_samples": 2}, "at least 3"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_config(**changes).check()
