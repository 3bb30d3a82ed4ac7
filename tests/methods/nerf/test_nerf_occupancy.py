"""The sampler of `nerf` that skips empty space: pictures, learning, and what it keeps in run folders."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nerf_cases import BALL_RADIUS, SMALL, Training, ball_capture, small_config, wall_capture
from safetensors.torch import load_file
from torch import Tensor, nn

import sightline
from method_training import held_out_psnr, picture, stop_and_resume
from sightline.captures import Capture, write_capture
from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.geometry.ndc import from_ndc_points
from sightline.kernels.compiling import Kernel
from sightline.kernels.packed import Samples
from sightline.methods.base import Progress, Rendering
from sightline.methods.nerf.method import Nerf
from sightline.methods.nerf.network import network_of
from sightline.methods.nerf.occupancy import GridSpace, _with_ends
from sightline.runs.run import Run
from sightline.workflows.evaluate import evaluate_run
from sightline.workflows.render import render_run

# Held-out PSNR, below what several seeds reach.
FLOORS = {"ball": 25.0, "wall": 28.0}
SOFT: dict[str, Any] = {"density_activation": "softplus", "pixel_centre": 0.5}
CELLS: dict[str, Any] = {"occupancy_cells": 64}


class Drawn(nn.Module):
    """Known matter in the place of a network: a ball of the data's frame, or all that is behind a wall."""

    def __init__(self, method: Nerf, wall: float | None, sigma: float):
        super().__init__()
        self.method, self.wall, self.sigma, self.asked = method, wall, sigma, 0

    def raw_density(self, points: Tensor) -> Tensor:
        place = self.place(points)
        inside = place.norm(dim=-1) < 1 if self.wall is None else place[:, 2] < self.wall
        return torch.where(inside, self.sigma, -1.0).float()[:, None]

    def forward(
        self, points: Tensor, directions: Tensor | None = None, rays: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        self.asked += len(points)
        return self.raw_density(points), torch.sin(self.place(points)).float()

    def place(self, points: Tensor) -> Tensor:
        frame, world = self.method.frame, points.double()
        if frame.ndc is not None:
            world = from_ndc_points(world.clamp(max=1 - 1e-9), frame.ndc)
        return frame.to_model.inverse().apply(world)


def drawn(capture: Capture, wall: float | None, sigma: float, **changes: Any) -> tuple[Nerf, Drawn]:
    method = Nerf(small_config(**{**CELLS, "pixel_centre": 0.5, **changes}))
    method.restore(prepared_state(capture, **changes))
    network = Drawn(method, wall, sigma)
    for name in method.networks:
        own = network_of(method.networks, name)
        own.forward, own.raw_density = network.forward, network.raw_density  # type: ignore[method-assign]
    return method.eval(), network


def prepared_state(capture: Capture, **changes: Any) -> dict[str, Any]:
    method = Nerf(small_config(**changes))
    method.prepare(capture)
    return method.state()


SCENES = {
    "ball": (lambda: ball_capture(scale=3.0, size=40), None, {}),
    "unit directions": (lambda: ball_capture(size=40), None, {"ray_directions": "unit"}),
    "device coordinates": (lambda: wall_capture(size=40), -6.0, {}),
    "length of t": (lambda: wall_capture(size=40), -6.0, {"length_by_direction": False}),
    "all around": (
        lambda: wall_capture(size=40),
        -6.0,
        {"scene": "surround", "surround_poses": "recentre", "near": 1.0, "far": 60.0},
    ),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("sigma", [200.0, 2.0])
def test_the_picture_is_that_of_many_even_samples(name: str, sigma: float) -> None:
    make, wall, changes = SCENES[name]
    capture = make()
    even, _ = drawn(capture, wall, sigma, coarse_samples=1500, fine_samples=0, **changes)
    guided, network = drawn(capture, wall, sigma, sampler="occupancy", **changes)
    found, expected = (picture(method, capture, 4) for method in (guided, even))
    assert psnr(found, expected) > 42
    assert found.opacity is not None
    assert expected.opacity is not None
    torch.testing.assert_close(found.opacity.mean(), expected.opacity.mean(), atol=0.01, rtol=0)
    solid = (found.opacity > 0.5) & (expected.opacity > 0.5)
    assert bool(solid.any())
    assert found.depth is not None
    assert expected.depth is not None
    error = (found.depth - expected.depth)[solid].abs() / expected.depth[solid]
    assert float(error.mean()) < 0.02
    assert network.asked == found.statistics["samples"] < 0.1 * expected.statistics["samples"]


class Sheet(Drawn):
    """A disc much thinner than a cell, across the middle of the ball."""

    thickness = 0.004

    def raw_density(self, points: Tensor) -> Tensor:
        place = self.place(points)
        inside = (place[:, :2].norm(dim=-1) < 1) & (place[:, 2].abs() < self.thickness / 2)
        return torch.where(inside, 2000.0, -1.0).float()[:, None]


def test_the_grid_of_pictures_is_a_cube_around_the_content_and_holds_thin_sheets() -> None:
    capture = ball_capture()
    method, _ = drawn(capture, None, 200.0, sampler="occupancy")
    learnt = method._grid_of_pictures()
    whole = GridSpace.of(method.frame)
    assert learnt.space.half < 0.75 * whole.half
    corners = learnt.space.from_cube(torch.tensor([[0.0] * 3, [1.0] * 3]))
    assert float(corners[0].max()) < -BALL_RADIUS
    assert float(corners[1].min()) > BALL_RADIUS
    thin = Sheet(method, None, 0.0)
    network = network_of(method.networks, "fine")
    network.raw_density = thin.raw_density  # type: ignore[method-assign]
    method._learnt = None
    learnt = method._grid_of_pictures()
    grid = learnt.grid
    # Cells of the sheet's layers that are seen to hold it, of those that do.
    cube = (torch.rand(4000, 2) * 2 - 1) * 0.7
    inside = torch.cat([cube, torch.zeros(4000, 1)], -1)
    cells = ((learnt.space.to_box(inside) + 1) / 2 * grid.side).long().clamp(max=grid.side - 1)
    either = torch.stack([cells[:, 2] - 1, cells[:, 2]])
    filled = (grid.opacity[either, cells[:, 1], cells[:, 0]] > grid.threshold).any(0)
    assert float(filled.float().mean()) > 0.8


def psnr(found: Rendering, expected: Rendering) -> float:
    return float(-10 * torch.log10((found.rgb - expected.rgb).square().mean()))


def test_space_holds_the_box_of_an_object_and_what_is_around_other_scenes() -> None:
    method = Nerf(small_config())
    method.prepare(ball_capture(scale=10.0))
    space = GridSpace.of(method.frame)
    corners = method.frame.to_model.apply(torch.tensor(method.frame.bounds).double())
    torch.testing.assert_close(space.to_box(corners), torch.tensor([[-1.0] * 3, [1.0] * 3]).double())
    assert not space.contracted
    torch.testing.assert_close(space.from_cube(torch.full((1, 3), 0.75)), corners[1:].float() / 2)
    method.prepare(wall_capture())
    assert GridSpace.of(method.frame).contracted


def test_ends_stand_behind_the_samples_of_every_ray() -> None:
    samples = Samples(
        torch.tensor([0, 2, 2, 3]), torch.tensor([1.0, 2.0, 5.0]), torch.ones(3), torch.tensor([0, 0, 2])
    )
    found = _with_ends(samples, torch.tensor([7.0, 8.0, 9.0]), 100.0)
    assert found.offsets.tolist() == [0, 3, 4, 6]
    assert found.distances.tolist() == [1, 2, 7, 8, 5, 9]
    assert found.lengths.tolist() == [1, 1, 100, 100, 1, 100]
    assert found.ray_indices.tolist() == [0, 0, 0, 1, 2, 2]


def test_photos_end_in_something() -> None:
    capture = wall_capture()
    method, _ = drawn(capture, -100.0, 1e4, sampler="occupancy")
    opacity = picture(method, capture, 0).opacity
    assert opacity is not None
    assert float(opacity.min()) > 0.999


@pytest.mark.parametrize("capture", ["ball", "wall"])
def test_it_is_learnt(capture: str) -> None:
    made = ball_capture() if capture == "ball" else wall_capture()
    # What is empty has to be empty: no sample at the far end of a ray can be the background.
    background = "random" if capture == "ball" else "auto"
    config = small_config(sampler="occupancy", noise=0.0, background=background, **CELLS, **SOFT)
    training = Training(made, config, seed=0, steps=150)
    coarse = deepcopy(training.method.networks["coarse"].state_dict())
    training.advance(150)
    assert held_out_psnr(training.method, made) > FLOORS[capture]
    for name, value in training.method.networks["coarse"].state_dict().items():
        assert torch.equal(value, coarse[name]), name
    named = {id(p) for group in training.optimisation.optimiser.param_groups for p in group["params"]}
    assert named == {id(p) for p in training.method.networks["fine"].parameters()}
    # A grid that is made of what was learnt shows the same.
    other = Nerf(config)
    other.restore(training.method.state())
    other.load_state_dict(training.method.state_dict())
    assert held_out_psnr(other, made) > FLOORS[capture]


def test_one_network_is_enough() -> None:
    config = small_config(sampler="occupancy", fine_samples=0, **CELLS, **SOFT)
    losses = Training(ball_capture(), config, seed=0, steps=60).advance(60).losses
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


@pytest.mark.parametrize("changes", [{}, {"noise": 0.5, "background": "random"}])
def test_training_goes_on_as_if_never_stopped(changes: dict[str, Any]) -> None:
    capture = ball_capture()
    config = small_config(sampler="occupancy", occupancy_refresh=4, **CELLS, **{**SOFT, **changes})
    through, resumed = stop_and_resume(lambda seed: Training(capture, config, seed, steps=20), 9, 6)
    assert not any("grid" in name or "opacity" in name for name in through.method.state_dict())
    for name, value in through.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name]), name


@pytest.mark.parametrize("sampler", ["occupancy", "stratified"])
def test_only_kernels_that_are_used_are_compiled_ahead(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    real = Kernel.compiled

    def compiled(self: Kernel, *dtype: Any) -> Any:
        asked.add(self.function.__module__.split(".")[-2])
        return real(self, *dtype)

    monkeypatch.setattr(Kernel, "compiled", compiled)
    config = small_config(sampler=sampler, **CELLS)
    Nerf(config).warm_up()
    ahead = set(asked)
    asked.clear()
    for capture in (ball_capture(), wall_capture()):
        picture(Training(capture, config, seed=0, steps=10).advance(3).method, capture, 2)
    assert ahead == asked
    assert bool(ahead) == (sampler == "occupancy")


def test_a_dead_network_begins_anew_with_its_grid(caplog: pytest.LogCaptureFixture) -> None:
    config = small_config(sampler="occupancy", rays=16, **CELLS)
    training = Training(ball_capture(), config, seed=0, steps=400)
    density = training.method.networks["fine"].get_submodule("density")
    assert isinstance(density, nn.Linear)
    nn.init.zeros_(density.weight)
    nn.init.constant_(density.bias, -1.0)
    training.advance(100)
    assert float(training.method.training_state()["grid"].max()) < 0.01
    with caplog.at_level("WARNING", "sightline"):
        training.advance(1)
    assert "fine network finds nothing" in caplog.text
    assert float(training.method.training_state()["grid"].min()) > 0.01
    assert float(density.bias.detach()) != -1


def test_a_step_that_meets_nothing_is_no_failure() -> None:
    training = Training(ball_capture(), small_config(sampler="occupancy", **CELLS), seed=0, steps=10)
    training.method.load_training_state({**training.method.training_state(), "grid": torch.zeros(32, 32, 32)})
    losses = training.method(next(training.batches), Progress(0, 0.0))
    losses["loss"].backward()
    assert losses["samples"] == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of both samplers, of few steps."""
    root = tmp_path_factory.mktemp("runs")
    write_capture(ball_capture(12, 12), root / "data", "blender")
    settings = {**SMALL, "feature_width": 48, "rays": 64, "coarse_samples": 8, "fine_samples": 8, **CELLS}
    flags: list[str] = []
    for name, value in settings.items():
        flag = f"--{name.replace('_', '-')}"
        flags += [flag, *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    for sampler in ("stratified", "occupancy"):
        out = ["--out", str(root / sampler), "--steps", "4", "--sampler", sampler]
        rest = ["--device", "cpu", "--eval-every", "0", "--preset", "nerf_pl"]
        rest += ["--density-activation", "softplus"]
        assert main(["train", "nerf", str(root / "data"), *out, *rest, *flags]) == 0
    return root


def render(run: Path, out: Path, **options: Any) -> list[bytes]:
    shown = render_run(
        run, path="orbit", frames=1, size="8x6", format="png", out=out, device="cpu", **options
    )
    return [file.read_bytes() for file in sorted(shown.path.glob("*.png"))]


def test_the_grid_of_a_run_is_made_once(folder: Path, tmp_path: Path, caplog: Any) -> None:
    run, kept = folder / "stratified", folder / "stratified" / "occupancy.safetensors"
    render(run, tmp_path / "plain")
    assert not kept.exists()
    with caplog.at_level("INFO", "sightline"):
        first = render(run, tmp_path / "first", sampler="occupancy")
        assert "Looking where matter is" in caplog.text
        caplog.clear()
        written = kept.stat().st_mtime_ns
        assert render(run, tmp_path / "second", sampler="occupancy") == first
        assert "Looking where matter is" not in caplog.text
        assert kept.stat().st_mtime_ns == written
        # Cut short, or of other weights.
        kept.write_bytes(kept.read_bytes()[:1000])
        assert render(run, tmp_path / "third", sampler="occupancy") == first
        assert "Looking where matter is" in caplog.text
    weights = run / "weights.safetensors"
    original, before = weights.read_bytes(), kept.read_bytes()
    try:
        weights.write_bytes((folder / "occupancy" / "weights.safetensors").read_bytes())
        render(run, tmp_path / "fourth", sampler="occupancy")
        assert kept.read_bytes() != before
    finally:
        weights.write_bytes(original)


def test_a_run_that_was_trained_so_is_rendered_so(folder: Path, tmp_path: Path) -> None:
    run = folder / "occupancy"
    assert Run.open(run).config.sampler == "occupancy"
    assert render(run, tmp_path / "plain") == render(run, tmp_path / "asked", sampler="occupancy")
    assert (run / "occupancy.safetensors").is_file()
    with pytest.raises(InputError, match="coarse network has learnt nothing"):
        render(run, tmp_path / "refused", sampler="stratified")
    result = evaluate_run(folder / "stratified", device="cpu", sampler="occupancy")
    assert result.metrics["psnr"] > 0
    # Beside the results of the other sampler, not in their place.
    assert result.folder is not None
    assert result.folder.name == "test-occupancy"


def test_results_and_python_name_the_sampler(folder: Path) -> None:
    run = folder / "stratified"
    named = {
        sampler: evaluate_run(run, device="cpu", sampler=sampler).metrics for sampler in (None, "occupancy")
    }
    assert named[None]["sampler"] == "stratified"
    assert named["occupancy"]["sampler"] == "occupancy"
    assert named[None]["psnr"] != named["occupancy"]["psnr"]
    assert evaluate_run(folder / "occupancy", device="cpu").metrics["sampler"] == "occupancy"
    opened = sightline.load(run, device="cpu")
    cameras = opened.cameras("test")
    plain, guided = (opened.render(cameras, sampler=name)[0] for name in (None, "occupancy"))
    assert torch.equal(plain.rgb, opened.render(cameras, sampler="stratified")[0].rgb)
    assert not torch.equal(plain.rgb, guided.rgb)
    with pytest.raises(InputError, match="no sampler 'sobol'"):
        opened.render(cameras, sampler="sobol")
    with pytest.raises(InputError, match="coarse network has learnt nothing"):
        sightline.load(folder / "occupancy", device="cpu").render(cameras, sampler="stratified")


def test_resuming_a_run_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    base = ["train", "nerf", str(folder / "data"), "--out", str(part)]
    config = ["--config", str(folder / "occupancy" / "run.json"), "--device", "cpu", "--eval-every", "0"]
    assert main([*base, *config, "--steps", "2"]) == 0
    assert main([*base, "--resume", "--steps", "4"]) == 0
    first, second = (load_file(run / "weights.safetensors") for run in (folder / "occupancy", part))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_samplers_that_are_not_there_are_refused(folder: Path, capsys: Any) -> None:
    with pytest.raises(InputError, match="no sampler 'sobol'"):
        Nerf(small_config()).choose_sampler("sobol")
    with pytest.raises(InputError, match="from 16 to 512"):
        Nerf(small_config(sampler="occupancy", occupancy_cells=8))
    from sightline.methods.ngp.config import NgpConfig
    from sightline.methods.ngp.method import Ngp

    with pytest.raises(InputError, match="ngp has one way"):
        Ngp(NgpConfig()).choose_sampler("occupancy")
    refused = ["render", str(folder / "occupancy"), "--sampler", "stratified", "--frames", "1", "--size", "8"]
    assert main(refused) == 2
    assert "trained with the sampler occupancy" in " ".join(capsys.readouterr().err.split())
