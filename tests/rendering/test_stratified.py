"""Depths of samples: by hand, as properties, and against the published programs' numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.rendering.stratified import (
    even_places,
    invert_histogram,
    jitter_in_strata,
    jitter_onwards,
    midpoints,
    spread_depths,
)


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_depths_are_even_in_depth_or_in_its_inverse() -> None:
    near, far = torch.tensor([2.0, 1.0]), torch.tensor([6.0, 4.0])
    torch.testing.assert_close(
        spread_depths(near, far, 5), torch.tensor([[2.0, 3, 4, 5, 6], [1, 1.75, 2.5, 3.25, 4]])
    )
    found = spread_depths(near, far, 4, disparity=True)
    torch.testing.assert_close(found[1], torch.tensor([1.0, 4 / 3, 2.0, 4.0]))
    torch.testing.assert_close((1 / found).diff(dim=-1), torch.tensor([[-1 / 9] * 3, [-0.25] * 3]))


def test_jitter_stays_within_strata() -> None:
    t = row(1.0, 2.0, 4.0)
    torch.testing.assert_close(jitter_in_strata(t, torch.zeros_like(t)), row(1.0, 1.5, 3.0))
    torch.testing.assert_close(jitter_in_strata(t, torch.ones_like(t)), row(1.5, 3.0, 4.0))
    torch.testing.assert_close(jitter_in_strata(t, torch.ones_like(t), 0.5), row(1.25, 2.25, 3.5))
    torch.testing.assert_close(jitter_onwards(t, row(0.0, 0.5, 1.0)), row(1.0, 2.5, 5.0))
    uniform = torch.rand(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = jitter_in_strata(t.expand(200, 3), uniform)
    assert bool((moved.diff(dim=-1) > 0).all())


def test_a_histogram_is_inverted_by_hand() -> None:
    edges, weights = row(0.0, 1.0, 3.0, 4.0), row(1.0, 2.0, 1.0)
    found = invert_histogram(edges, weights, row(0.0, 0.125, 0.25, 0.5, 0.875, 1.0), epsilon=0.0)
    torch.testing.assert_close(found, row(0.0, 0.5, 1.0, 2.0, 3.5, 4.0))


def test_samples_reproduce_the_histogram() -> None:
    generator = torch.Generator().manual_seed(0)
    edges = torch.tensor([[0.0, 0.5, 2.0, 3.0, 7.0]])
    weights = torch.tensor([[0.1, 0.4, 0.0, 0.5]])
    places = torch.rand(1, 40_000, generator=generator)
    found = invert_histogram(edges, weights, places)
    shares = torch.histogram(found[0], edges[0])[0] / 40_000
    torch.testing.assert_close(shares, weights[0], atol=0.01, rtol=0)


@pytest.mark.parametrize("guard", ["add", "clip"])
def test_empty_histograms_are_sampled_evenly(guard: str) -> None:
    edges = torch.linspace(2, 6, 64)[None]
    found = invert_histogram(edges, torch.zeros(1, 63), even_places(edges, 9), guard)
    torch.testing.assert_close(found, torch.linspace(2, 6, 9)[None], atol=1e-4, rtol=0)


def test_the_last_place_is_the_last_edge() -> None:
    weights = torch.rand(500, 62, generator=torch.Generator().manual_seed(1))
    weights[:, -1] = 0
    edges = torch.linspace(2, 6, 63).expand(500, 63)
    found = invert_histogram(edges, weights, even_places(weights, 64))
    assert bool((found[:, -1] == 6).all())
    assert bool((found[:, 0] == 2).all())
    assert bool((found.diff(dim=-1) >= 0).all())


def test_no_gradient_reaches_the_weights() -> None:
    weights = torch.rand(2, 5, requires_grad=True)
    edges = torch.linspace(0, 1, 6).expand(2, 6)
    assert not invert_histogram(edges, weights, even_places(edges, 4)).requires_grad


@pytest.mark.parametrize(
    ("file", "guard", "weights"),
    [
        ("bmild_sample_pdf", "add", "weights"),
        ("flax_raw2outputs_sample_pdf", "clip", "pdf_weights"),
    ],
)
def test_samples_are_those_of_published_programs(shared: Path, file: str, guard: str, weights: str) -> None:
    with np.load(shared / "golden" / "nerf" / f"{file}.npz") as golden:
        arrays = {name: torch.from_numpy(golden[name]) for name in golden.files if name != "switches_json"}
    edges, mass = arrays["bins"], arrays[weights]
    cases = {"samples_det": even_places(edges, 64), "samples_u": arrays["u"]}
    if "samples_det_128" in arrays:
        cases["samples_det_128"] = even_places(edges, 128)
    for name, places in cases.items():
        found = invert_histogram(edges, mass, places, guard)
        # The last place, 1, falls where rounding lets it in those programs.
        last = -1 if "det" in name else None
        error = (found - arrays[name])[:, :last].abs().flatten()
        # In bins of hardly any weight, rounding of the sums before them is magnified: in the originals too.
        assert float(error.max() if guard == "add" else error.quantile(0.99)) < 1e-5
        assert float(error.max()) < 2e-3
        exact = invert_histogram(edges.double(), mass.double(), places.double(), guard)
        if name != "samples_u":
            exact = invert_histogram(
                edges.double(), mass.double(), even_places(edges.double(), places.shape[1]), guard
            )
        torch.testing.assert_close(
            exact[:, :last], arrays[f"{name}_f64"][:, :last].double(), atol=1e-6, rtol=0
        )


def test_midpoints() -> None:
    torch.testing.assert_close(midpoints(row(1.0, 2.0, 4.0)), row(1.5, 3.0))
