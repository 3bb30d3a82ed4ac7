"""The pairs of pictures whose metrics were computed elsewhere."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

PAIRS = [
    *(f"obj{o}_view{v}" for o in (0, 1) for v in (0, 24, 64)),
    "dtu_400x300",
    "lpips_ex_p0",
    "lpips_ex_p1",
]


@dataclass
class Pair:
    name: str
    prediction: torch.Tensor
    truth: torch.Tensor
    values: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def golden_metrics(shared):
    with np.load(shared / "golden" / "pixelnerf" / "metrics.npz") as file:
        return dict(file)


@pytest.fixture(params=PAIRS)
def golden_pair(request, golden_metrics):
    prefix = f"{request.param}_"
    values = {k.removeprefix(prefix): v for k, v in golden_metrics.items() if k.startswith(prefix)}
    pictures = (torch.from_numpy(values[key]).double() / 255 for key in ("pred_u8", "gt_u8"))
    return Pair(request.param, *pictures, values)
