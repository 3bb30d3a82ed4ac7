"""Runs of `pixelnerf` with a tiny network of random weights, for tests of the commands around it."""

from pathlib import Path
from typing import Any

import torch

from sightline.methods.pixelnerf.config import INFO
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.runs.checkpoint import Checkpoint
from sightline.runs.record import DataSource, RunProgress, RunRecord
from sightline.runs.run import Run
from sightline.runs.settings import to_plain

TINY = {
    "hidden_width": 8,
    "backbone": "resnet18",
    "imagenet": False,
    "levels": 2,
    "blocks": 2,
    "combine_layer": 1,
    "code_frequencies": 2,
    "coarse_samples": 6,
    "fine_samples": 4,
    "depth_samples": 2,
}


def make_pixelnerf_run(
    folder: Path,
    preset: str,
    data: Path | None = None,
    seed: int = 0,
    format: str | None = None,
    **changes: Any,
) -> Run:
    """Write a run as if trained; its densities are raised, so that pictures are not empty."""
    config = INFO.build_config(preset, **{**TINY, **changes})
    torch.manual_seed(seed)
    method = PixelNerf(config)
    for network in (method.network.mlp_coarse, method.network.mlp_fine):
        if network is not None:
            with torch.no_grad():
                network.lin_out.bias += torch.tensor([0.0, 0.5, -0.5, 2.0])
    method.restore({})
    source = DataSource("", format) if data is None else DataSource.describe(data, folder, format=format)
    record = RunRecord("pixelnerf", to_plain(config), source, state=to_plain(method.state()))
    run = Run.create(folder, record)
    weights = {name: value.detach() for name, value in method.state_dict().items()}
    run.write_checkpoint(
        Checkpoint("pixelnerf", 1, weights), progress=RunProgress(step=1, fraction=1.0, finished=True)
    )
    return run
