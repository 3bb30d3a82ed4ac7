"""The plain step that training is measured against computes what the published program does."""

from pathlib import Path

import pytest
import torch
from benchmarks.nerf_step import measure
from benchmarks.plain_nerf import PlainNetwork, losses
from nerf_golden import config_of, doubles, golden_networks, load
from test_nerf_golden_training import ours
from torch import nn


def test_the_plain_step_is_that_of_nerf_pl(shared: Path) -> None:
    golden = load(shared, "nerf_pl_train_step")
    published = golden_networks("nerf_pl", golden, config_of("nerf_pl")).double()
    with doubles():
        networks = nn.ModuleDict({"coarse": PlainNetwork(), "fine": PlainNetwork()})
        networks.load_state_dict(published.state_dict())
        rays, target = golden["rays"].double(), golden["target"].double()
        places = torch.linspace(0, 1, 64).expand(len(rays), 64)
        found = losses(networks, rays, target, None, places, 64)
    for name, value in zip(("loss_coarse", "loss_fine"), found, strict=True):
        assert value.item() == pytest.approx(golden.number(f"{name}_f64"), rel=1e-9), name
    torch.stack(found).sum().backward()
    parameters = dict(networks.named_parameters())
    for key, norm in zip(golden.arrays["keys"], golden.arrays["grad_norm_f64"].tolist(), strict=True):
        assert float(parameters[ours(str(key))].grad.norm()) == pytest.approx(norm, rel=1e-9), key


def test_the_benchmark_times_all_sides() -> None:
    result = measure(rays=64, rounds=1)
    assert result.points == 64 * 192
    assert min(result.plain_seconds, result.auto_seconds, result.float32_seconds) > 0
    assert result.plain_matrix_gflops > 1
