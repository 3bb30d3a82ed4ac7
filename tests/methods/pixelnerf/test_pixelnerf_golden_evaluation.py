"""Rendering whole pictures of NMR objects as pixelNeRF's evaluation program did."""

import numpy as np
import pytest
import torch
from pixelnerf_golden import golden, rule_weights

from pixelnerf_items import unpack
from sightline.captures import open_capture
from sightline.methods.pixelnerf.config import INFO
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.methods.pixelnerf.tracing import Chance


def golden_chance(counts, rays, like) -> Chance:
    """The draws that every one of the evaluation was replaced by."""

    def rows(values) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, np.float32)).expand(rays, -1)

    number = counts.fine - counts.around_depth
    steps = np.arange(number)
    return Chance(
        rows(np.full(counts.coarse, 0.5)),
        rows((steps + 0.37) / number),
        rows(np.full(number, 0.5)),
        rows(np.linspace(-1.5, 1.5, counts.around_depth)),
    )


@pytest.mark.slow
def test_the_pictures_of_an_evaluation(shared, tmp_path, monkeypatch):
    values = golden(shared, "eval_end_to_end")
    method = PixelNerf(INFO.build_config("sn64", imagenet=False, layer_precision="float32"))
    method.network.load_state_dict(rule_weights(method.network))
    method.restore({})
    method.eval()
    monkeypatch.setattr(Chance, "without", staticmethod(golden_chance))
    scores = {line.split()[0]: line.split()[1:] for line in str(values["finish_txt"]).strip().splitlines()}
    collection = open_capture(unpack(shared, "NMR_Dataset", tmp_path))
    for entry in collection.split("val"):
        capture = entry.open()
        scene = method.encode(capture.view(0))
        rendering = method.render(scene, capture.cameras[2])
        name = entry.id.replace("/", "_")
        expected = values[f"png:{name}/000002.png"].astype(int)
        found = np.floor(rendering.rgb.numpy() * 255).astype(int)
        off = (np.abs(found - expected) > 2).any(-1).mean()
        assert off <= 0.005
        near, far = method.frame.near, method.frame.far
        depth = (rendering.depth_sum.numpy() - near) / (far - near)
        wanted = values[f"depth:{name}/000002_depth.exr"]
        assert (np.abs(depth - wanted) > 1e-3).mean() <= 0.005
        truth = torch.tensor(capture.images[2]) / 255
        psnr = float(-10 * torch.log10((rendering.rgb - truth).square().mean()))
        assert psnr == pytest.approx(float(scores[name][0]), abs=0.01)
