"""Compositing of samples: by hand, with gradients, and against the published programs' numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.rendering.quadrature import disparity, integrate, segment_lengths, weigh


def test_lengths_reach_to_the_next_sample() -> None:
    t = torch.tensor([[1.0, 1.5, 3.0]])
    torch.testing.assert_close(segment_lengths(t, 10.0), torch.tensor([[0.5, 1.5, 10.0]]))
    scaled = segment_lengths(t, 10.0, torch.tensor([2.0]))
    torch.testing.assert_close(scaled, torch.tensor([[1.0, 3.0, 20.0]]))


def test_weights_by_hand() -> None:
    alphas = torch.tensor([[0.5, 0.5, 1.0, 0.3]], dtype=torch.float64)
    expected = torch.tensor([[0.5, 0.25, 0.25, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(weigh(alphas, "none"), expected)
    torch.testing.assert_close(weigh(alphas, "add"), expected, atol=1e-9, rtol=0)
    # With the clip, 1e-5 of the light passes what is opaque.
    clipped = expected + torch.tensor([[0.0, 0.0, 0.0, 0.25 * 1e-5 * 0.3]], dtype=torch.float64)
    torch.testing.assert_close(weigh(alphas, "clip"), clipped, atol=1e-12, rtol=0)


def test_a_fog_of_even_density() -> None:
    t = torch.linspace(0, 4, 401, dtype=torch.float64)[None]
    sigmas = torch.full_like(t, 0.7)
    seen = integrate(sigmas, torch.ones(1, 401, 3, dtype=torch.float64), t, segment_lengths(t, 0.0))
    assert float(seen.opacity) == pytest.approx(1 - np.exp(-0.7 * 4), abs=1e-7)
    assert float(seen.colour[0, 0]) == pytest.approx(float(seen.opacity))
    mean = float(seen.depth_sum / seen.opacity)
    expected = 1 / 0.7 - 4 * np.exp(-2.8) / (1 - np.exp(-2.8))
    assert mean == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("guard", ["add", "clip", "none"])
def test_gradients(guard: str) -> None:
    generator = torch.Generator().manual_seed(0)
    sigmas = torch.rand(3, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    colours = torch.rand(3, 6, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    t = torch.rand(3, 6, dtype=torch.float64, generator=generator).sort(-1).values
    deltas = segment_lengths(t, 0.5)

    def values(s: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen = integrate(s, c, t, deltas, guard)  # type: ignore[arg-type]
        return seen.colour, seen.opacity, seen.depth_sum

    assert torch.autograd.gradcheck(values, (sigmas, colours))


def test_gradients_of_what_is_opaque_are_finite() -> None:
    sigmas = torch.full((1, 8), 1e6, requires_grad=True)
    t = torch.linspace(2, 6, 8)[None]
    seen = integrate(sigmas, torch.rand(1, 8, 3), t, segment_lengths(t, 1e10))
    seen.colour.sum().backward()
    assert sigmas.grad is not None
    assert bool(sigmas.grad.isfinite().all())


@pytest.mark.parametrize(
    ("file", "guard"), [("bmild_raw2outputs", "add"), ("flax_raw2outputs_sample_pdf", "clip")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_are_those_of_published_programs(
    shared: Path, file: str, guard: str, dtype: torch.dtype
) -> None:
    with np.load(shared / "golden" / "nerf" / f"{file}.npz") as archive:
        arrays = {name: torch.from_numpy(archive[name]) for name in archive.files if name != "switches_json"}
        switches = json.loads(str(archive["switches_json"]))
    raw, t, rays = (arrays[name].to(dtype) for name in ("raw", "z_vals", "rays_d"))
    deltas = segment_lengths(t, 1e10, rays.norm(dim=-1))
    colours = torch.sigmoid(raw[..., :3])

    def look(noise: torch.Tensor | float):
        return integrate(torch.relu(raw[..., 3] + noise), colours, t, deltas, guard)  # type: ignore[arg-type]

    seen = look(0.0)
    found = {
        "rgb": seen.colour,
        "rgb_white": seen.colour + (1 - seen.opacity[:, None]),
        "disp": disparity(seen.depth_sum, seen.opacity, guard),  # type: ignore[arg-type]
        "acc": seen.opacity,
        "weights": seen.weights,
        "depth": seen.depth_sum,
    }
    if "noise" in arrays:
        noisy = look(arrays["noise"].to(dtype) * switches["raw_noise_std_of_rgb_noise"])
        found |= {"rgb_noise": noisy.colour, "acc_noise": noisy.opacity}
    suffix, tolerance = ("_f64", 1e-6) if dtype == torch.float64 else ("", 2e-6)
    for name, value in found.items():
        expected = arrays[f"{name}{suffix}"].to(dtype)
        torch.testing.assert_close(
            value, expected, atol=tolerance, rtol=0, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
        )
    if guard == "add":
        # Row 0 meets nothing.
        assert bool(found["disp"][0].isnan())
