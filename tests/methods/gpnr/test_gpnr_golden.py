"""The network against numbers of the published program."""

import math

import numpy as np
import pytest
import torch
from gpnr_golden import arrays, assert_probed, facts, folder, golden_rays, maps_of, rule_network

from sightline.importers.gpnr import published_name, published_shape
from sightline.methods.gpnr.epipolar import canonical_frames, depths, pluecker, project
from sightline.networks.phase_encoding import PhaseEncoding

NAMES = [
    "reduced",
    "reduced_sharp",
    "variant",
    "readme",
    pytest.param("readme_sharp", marks=pytest.mark.slow),
]


def model(shared, name: str) -> dict[str, np.ndarray]:
    return arrays(folder(shared) / f"model_{name}.npz")


@pytest.mark.parametrize("name", ["reduced", "variant", "readme"])
def test_names_and_shapes_of_parameters(shared, name):
    network = rule_network(shared, name)
    truth = {key: tuple(shape) for key, shape in facts(shared)["models"][name]["shapes"].items()}
    found = {
        published_name(own): published_shape(own, value.shape, network.config.heads)
        for own, value in network.state_dict().items()
    }
    assert found == truth
    assert sum(value.numel() for value in network.parameters()) == facts(shared)["models"][name]["num_params"]


def test_codes(shared):
    file = arrays(folder(shared) / "encodings.npz")
    x = torch.from_numpy(file["x"])
    for frequencies, tolerance in ((4, 1e-5), (10, 1e-3)):
        code = PhaseEncoding(frequencies, 1.0, by_frequency=False)
        truth = torch.from_numpy(file[f"posenc_0_{frequencies}"])
        torch.testing.assert_close(code(x), truth, rtol=0, atol=tolerance)
    origins, directions = (torch.from_numpy(file[f"ray_{name}"]) for name in ("origins", "directions"))
    coordinates = pluecker(origins, directions)
    torch.testing.assert_close(coordinates, torch.from_numpy(file["plucker"]), rtol=0, atol=1e-5)
    found = PhaseEncoding(4, 1.0, by_frequency=False)(coordinates)
    torch.testing.assert_close(found, torch.from_numpy(file["plucker_enc_0_4"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["reduced", "variant", "readme"])
@torch.no_grad()
def test_where_samples_fall(shared, name):
    network, file = rule_network(shared, name), model(shared, name)
    rays, cameras, pictures = golden_rays(shared)
    along = depths(rays.near, rays.far, network.config.samples, False)
    points = rays.origins[:, None] + along[:, None] * rays.directions[:, None]
    pixels, _ = project(points, cameras)
    clamped = pixels.clamp_min(0).minimum(cameras.sizes[0] - 1.0)
    assert_probed(clamped.flip(-1), file, "projected_coordinates", 1e-3)
    frames = canonical_frames(rays, squared=True)
    truth = torch.from_numpy(file["canonical_transform"])[:, :3]
    torch.testing.assert_close(frames, truth, rtol=0, atol=2e-5)
    canonical = points @ frames[:, :, :3].mT + frames[:, None, :, 3]
    assert_probed(canonical, file, "wcoords_canonical", 2e-5)
    evidence = network.look(rays, cameras, maps_of(network, pictures))
    assert_probed(evidence.features, file, "patch_and_rgb", 2e-5)
    assert_probed(evidence.rays, file, "plucker_keys", 2e-5)
    if len(network.config.patch_features) == 1:
        cut = network.look(rays, cameras, network.patches.cut(pictures))
        assert_probed(cut.features, file, "patch_and_rgb", 2e-5)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_colours_and_weights(shared, name):
    network, file = rule_network(shared, name), model(shared, name)
    rays, cameras, pictures = golden_rays(shared)
    seen = network(network.look(rays, cameras, maps_of(network, pictures)))
    for found, key in (
        (seen.rgb, "rgb"),
        (seen.mixed, "rgb_coarse"),
        (seen.view_weights[..., None], "view_attn"),
    ):
        torch.testing.assert_close(found, torch.from_numpy(file[key]), rtol=0, atol=5e-5)
    torch.testing.assert_close(
        seen.sample_weights[0], torch.from_numpy(file["epipolar_attn_ray0"]), rtol=0, atol=5e-5
    )
    assert_probed(seen.sample_weights[..., None], file, "epipolar_attn", 5e-5)
    if "avg_features" in file:
        truth = torch.from_numpy(file["avg_features"])
        torch.testing.assert_close(seen.features, truth, rtol=0, atol=2e-4)


def test_losses_and_steps(shared):
    network, truth = rule_network(shared, "reduced"), facts(shared)["training_reduced"]
    rays, cameras, pictures = golden_rays(shared)
    colours = torch.from_numpy(arrays(folder(shared) / "model_batch.npz")["target_rgb"]).float() / 255
    adam = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0)
    names = {published_name(name): value for name, value in network.named_parameters()}
    for step, line in enumerate(truth["history"]):
        seen = network(network.look(rays, cameras, maps_of(network, pictures)))
        loss, mixed = (torch.mean((found - colours) ** 2) for found in (seen.rgb, seen.mixed))
        assert loss.item() == pytest.approx(line["loss"], rel=1e-4)
        assert mixed.item() == pytest.approx(line["loss_c"], rel=1e-4)
        adam.zero_grad()
        (loss + mixed).backward()
        if step == 0:
            assert_gradients(names, truth["grad_norms_step0"])
        for group in adam.param_groups:
            group["lr"] = 3e-4 * (step / 2 if step < 2 else (10 - step) / 8)
        adam.step()
    for path, (total, absolute) in truth["param_sum_abssum_after_6"].items():
        if inert(path):
            continue
        value = names[path].detach().double()
        # What is zero of rays and points in a ray's frame is rounding in the published program: Adam makes
        # whole steps of it in the rows that this goes through, here none.
        apart = 0.05 if path in ("key_transform/kernel", "query_transform/kernel") else 2e-3
        assert float(value.sum()) == pytest.approx(total, abs=apart), path
        assert float(value.abs().sum()) == pytest.approx(absolute, rel=1e-4), path


def inert(path: str) -> bool:
    """Say whether a parameter has no influence, so that its gradient is rounding alone."""
    return path.endswith("/key/bias") or "correspondence" in path


def assert_gradients(names: dict[str, torch.nn.Parameter], truth: dict[str, float]) -> None:
    for path, norm in truth.items():
        if path.endswith("correspondence/kernel"):
            half = names[path].shape[1] // 2
            assert names[path].grad is not None
            assert float(names[path].grad[:, half:].norm()) == pytest.approx(norm, rel=1e-3), path
        elif not inert(path):
            assert names[path].grad is not None, path
            assert float(names[path].grad.norm()) == pytest.approx(norm, rel=1e-3), path
    assert not math.isnan(sum(truth.values()))
