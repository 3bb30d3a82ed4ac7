"""The references on other devices: there they are what runs."""

import pytest
import torch
from kernel_cases import force_backend, random_bins, random_samples, uniform

from sightline.kernels import adam, hash_encoding, mlp, use_compiled
from sightline.kernels.compositing import composite
from sightline.kernels.hash_encoding import HashLevels
from sightline.kernels.importance import resample
from sightline.kernels.marching import MarchSettings, locate, march
from sightline.kernels.occupancy import coarsen, observe
from sightline.kernels.packed import Intervals, Samples
from sightline.kernels.visibility import bin_weights, drop_invisible

LEVELS = HashLevels(levels=2, features=2, log2_entries=8, coarsest=4, finest=12)


def all_inputs() -> dict:
    generator = torch.Generator().manual_seed(1)
    counts = torch.tensor([3, 0, 4])
    return {
        "positions": uniform(generator, 20, 3),
        "table": uniform(generator, LEVELS.entries, 2),
        "weights": [uniform(generator, 8, 4, low=-1), uniform(generator, 3, 8, low=-1)],
        "origins": uniform(generator, 3, 3, low=-0.3, high=0.3),
        "directions": torch.nn.functional.normalize(uniform(generator, 3, 3, low=-1), dim=-1),
        "grid": uniform(generator, 8, 8, 8),
        "bins": random_bins(generator, counts),
        "opacities": uniform(generator, 7),
        "counts": torch.tensor([2, 0, 5]),
        "jitter": uniform(generator, 7),
        "samples": random_samples(generator, counts),
        "sigmas": uniform(generator, 7, high=3),
        "colours": uniform(generator, 7, 3),
        "sparse": uniform(generator, 20) * (torch.rand(20, generator=generator) < 0.5),
    }


def moved(value, device):
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, list):
        return [moved(item, device) for item in value]
    if isinstance(value, Intervals | Samples):
        return type(value)(**{name: moved(item, device) for name, item in vars(value).items()})
    return value


def all_results(given: dict) -> dict[str, torch.Tensor]:
    """What every kernel gives for these inputs, gradients too."""
    table = given["table"].clone().requires_grad_()
    encoded = hash_encoding.encode(given["positions"], table, LEVELS)
    seen = mlp.perceptron(encoded, given["weights"])
    (to_table,) = torch.autograd.grad(seen.square().sum(), table)
    found = {"perceptron": seen.detach(), "to_table": to_table}
    for contracted in (False, True):
        chosen = MarchSettings(contracted=contracted, step=0.2, near=0.1, far=8.0, threshold=0.3)
        bins, opacities = march(given["origins"], given["directions"], given["grid"], None, chosen)
        found |= {f"{name}_{contracted}": value for name, value in vars(bins).items()}
        found[f"opacities_{contracted}"] = opacities
        place = locate(given["origins"], given["directions"], given["samples"], contracted)
        found[f"located_{contracted}"] = place
        grid, coarse = given["grid"].clone(), coarsen(given["grid"])
        observe(grid, coarse, place.clamp(0, 1), given["sigmas"], 0.1, contracted, 0.5)
        found |= {f"grid_{contracted}": grid, f"coarse_{contracted}": coarse}
    found["bin_weights"], found["totals"] = bin_weights(given["bins"], given["opacities"], 0.9, 1e-3, 0.1)
    samples = resample(given["bins"], given["opacities"] + 0.1, given["counts"], given["jitter"])
    found |= {f"resampled_{name}": value for name, value in vars(samples).items()}
    own = given["samples"]
    kept, found["kept"] = drop_invisible(own, given["sigmas"], 0.1)
    found["kept_offsets"] = kept.offsets
    sigmas = given["sigmas"].clone().requires_grad_()
    result = composite(sigmas, given["colours"], own, (own.distances, own.lengths))
    (to_sigmas,) = torch.autograd.grad(result.colour.sum() + result.distortion.sum(), sigmas)
    found |= {name: value.detach() for name, value in vars(result).items()} | {"to_sigmas": to_sigmas}
    parameter, gradient = given["jitter"].repeat(3)[:20].clone(), given["sparse"].clone()
    moments = torch.zeros_like(gradient), torch.zeros_like(gradient)
    adam.step(parameter, gradient, *moments, rate=0.1, betas=(0.9, 0.99), eps=1e-8, corrections=(0.1, 0.01))
    return found | {"parameter": parameter, "first": moments[0], "second": moments[1]}


def test_the_switch(monkeypatch):
    tensor = torch.zeros(1)
    assert use_compiled(tensor)
    assert not use_compiled(tensor.to("meta"))
    monkeypatch.setenv("SIGHTLINE_KERNELS", "reference")
    assert not use_compiled(tensor)


def test_references_make_what_they_need_on_their_inputs_device(monkeypatch):
    given = all_inputs()
    force_backend(monkeypatch, "reference")
    expected = all_results(given)
    # With another default device, a tensor made without saying where would not fit to the inputs.
    with torch.device("meta"):
        found = all_results(given)
    for name, value in expected.items():
        assert found[name].device.type == "cpu", name
        assert torch.equal(found[name], value), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_kernels_give_the_same_on_the_gpu():
    given = all_inputs()
    expected = all_results(given)
    found = all_results(moved(given, "cuda"))
    for name, value in expected.items():
        assert found[name].is_cuda, name
        torch.testing.assert_close(found[name].cpu(), value, rtol=1e-4, atol=1e-5, msg=name)
