"""Tracing rays, with an analytic field and with the network, against golden numbers."""

import numpy as np
import pytest
import torch
from pixelnerf_golden import (
    close,
    config_of,
    golden,
    rule_network,
    to_chance,
    to_rays,
    to_views,
    usual_network,
)

from pixelnerf_items import unpack
from sightline.captures import open_capture
from sightline.methods.pixelnerf.tracing import SampleCounts, Tracer

ANALYTIC = ["white", "black", "lindisp", "coarse_only", "fine_no_depth", "depth_only", "empty", "sb2"]
NETWORK = ["1v_white", "1v_black", "1v_lindisp", "1v_coarse_only", "sb2_2v"]


def analytic_field(strength: float):
    """A ball of matter whose colours are waves; smaller and of other waves in the fine pass."""

    def field(points, directions, fine):
        radius, waves = (0.45, 5.0) if fine else (0.5, 3.0)
        squares = points.square().sum(-1)
        sigma = strength * torch.relu(1 - squares / radius**2)
        return 0.5 + 0.5 * torch.sin(waves * points), sigma

    return field


def trace(values, field):
    config = config_of(values)
    counts = SampleCounts.at(config, 0)
    with torch.no_grad():
        return config, Tracer(config, counts)(field, to_rays(values["rays"]), to_chance(values))


def check(values, config, traced) -> None:
    close(traced.coarse.t, values["z_coarse"], 5e-5)
    if traced.importance is not None:
        close(traced.importance, values["z_fine_new"], 5e-5)
    if traced.around_depth is not None:
        close(traced.around_depth, values["z_depth_new"], 5e-5)
    passes = {"coarse": traced.coarse}
    if traced.fine is not None:
        passes["fine"] = traced.fine
        close(traced.fine.t, values["z_all_sorted"], 5e-5)
    assert ("fine" in passes) == ("fine_rgb" in values)
    for name, found in passes.items():
        colour = found.seen.colour
        if config.background == "white":
            colour = colour + 1 - found.seen.opacity[:, None]
        close(colour, values[f"{name}_rgb"], 5e-5)
        close(found.seen.depth_sum, values[f"{name}_depth"], 5e-5)
        close(found.seen.weights, values[f"{name}_weights"], 5e-5)


@pytest.mark.parametrize("case", ANALYTIC)
def test_an_analytic_field(shared, case):
    values = golden(shared, f"render_analytic_{case}")
    check(values, *trace(values, analytic_field(0.0 if case == "empty" else 30.0)))


@pytest.mark.parametrize("case", NETWORK)
def test_the_network(shared, case):
    values = golden(shared, f"render_net_{case}")
    network = usual_network()
    views = to_views(values["src_images_u8"], values["src_poses_c2w"], values["focal"], values["c"])
    with torch.no_grad():
        encoded = network.encode(views)
    config, traced = trace(values, lambda *asked: network(encoded, *asked))
    check(values, config, traced)


def test_a_scan_of_dtu(shared, tmp_path):
    values = golden(shared, "render_net_dtu_3v")
    shifts = {f"mlp_{name}": values[f"lin_out_bias_shift_{name}"] for name in ("coarse", "fine")}
    network = rule_network("dtu", shifts)
    scan = open_capture(unpack(shared, "rs_dtu_4", tmp_path))["scan118s"].open()
    pictures = np.stack(scan.images.load())
    views = to_views(pictures[None], values["src_poses_c2w"][None], values["focal"], values["c"])
    with torch.no_grad():
        encoded = network.encode(views)
    config, traced = trace(values, lambda *asked: network(encoded, *asked))
    check(values, config, traced)
