"""One training step, with its loss, gradients and update, against the published program's."""

from pathlib import Path

import pytest
import torch
from nerf_golden import Golden, assert_within, config_of, golden_networks, load
from torch import Tensor, nn

from sightline.methods.nerf.optimisation import build_optimiser
from sightline.methods.nerf.tracing import NerfRays, Tracer, over

# What the program calls the parameters whose whole gradients are known.
NAMES = {
    "nerf_coarse.sigma": "coarse.density",
    "nerf_coarse.rgb.0": "coarse.colour",
    "nerf_fine.sigma": "fine.density",
    "nerf_fine.rgb.0": "fine.colour",
}
LAYERS = {"sigma": "density", "xyz_encoding_final": "feature", "dir_encoding.0": "view", "rgb.0": "colour"}


def ours(key: str) -> str:
    """The name here of a parameter of the program."""
    network, _, rest = key.partition(".")
    layer, _, kind = rest.rpartition(".")
    if layer not in LAYERS:
        number = int(layer.removeprefix("xyz_encoding_").removesuffix(".0"))
        layer = f"trunk.{number - 1}"
    return f"{network.removeprefix('nerf_')}.{LAYERS.get(layer, layer)}.{kind}"


def step(golden: Golden, dtype: torch.dtype) -> tuple[nn.ModuleDict, list[Tensor], torch.optim.Optimizer]:
    config = config_of("nerf_pl", learning_rate=golden.switches["adam"]["lr"])
    networks = golden_networks("nerf_pl", golden, config).to(dtype)
    rays = golden["rays"].to(dtype)
    traced = Tracer(config, networks)(
        NerfRays(rays[:, :3], rays[:, 3:6], rays[:, 3:6], rays[:, 6], rays[:, 7])
    )
    target = golden["target"].to(dtype)
    behind = torch.ones_like(target)
    assert traced.fine is not None
    losses = [(over(part.seen, behind) - target).square().mean() for part in (traced.coarse, traced.fine)]
    optimiser = build_optimiser(config, networks.parameters())
    (losses[0] + losses[1]).backward()
    return networks, losses, optimiser


@pytest.mark.parametrize(
    ("dtype", "suffix", "tolerance"), [(torch.float32, "", 1e-2), (torch.float64, "_f64", 1e-5)]
)
def test_a_step_of_nerf_pl(shared: Path, dtype: torch.dtype, suffix: str, tolerance: float) -> None:
    golden = load(shared, "nerf_pl_train_step")
    networks, losses, optimiser = step(golden, dtype)
    for name, value in zip(("loss_coarse", "loss_fine"), losses, strict=True):
        assert value.item() == pytest.approx(golden.number(f"{name}{suffix}"), rel=tolerance), name
    parameters = dict(networks.named_parameters())
    keys = [str(key) for key in golden.arrays["keys"]]
    assert len(keys) == len(parameters) == 48
    for key, norm in zip(keys, golden.arrays[f"grad_norm{suffix}"].tolist(), strict=True):
        assert float(parameters[ours(key)].grad.norm()) == pytest.approx(norm, rel=tolerance), key
    for key in [name for name in golden.arrays if name.startswith("grad/") and not name.endswith("_f64")]:
        expected = golden[f"{key}{suffix}"]
        assert_within(
            parameters[ours(key.removeprefix("grad/"))].grad,
            expected,
            tolerance * float(expected.abs().max()),
            key,
        )
    optimiser.step()
    for key in [
        name for name in golden.arrays if name.startswith("after_adam/") and not name.endswith("_f64")
    ]:
        # The first step of Adam is the learning rate's size wherever a gradient is not tiny.
        found = parameters[ours(key.removeprefix("after_adam/"))].detach()
        assert_within(found, golden[f"{key}{suffix}"], 1e-5 if suffix == "" else 1e-9, key)
