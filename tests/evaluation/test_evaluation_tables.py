from types import SimpleNamespace

import numpy as np
import torch
from memory_captures import HEIGHT, WIDTH, make_capture

from sightline.evaluation.evaluate import evaluate_scene
from sightline.evaluation.tables import comparison_table, view_table
from sightline.media.tables import to_markdown, to_text


def evaluation(level):
    capture = make_capture([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 2, path="data/fox")
    grey = {"grey": lambda index: torch.full((HEIGHT, WIDTH, 3), 0.2)}
    picture = torch.full((HEIGHT, WIDTH, 3), level)
    found = evaluate_scene(
        lambda camera: SimpleNamespace(rgb=picture), capture, None, method="ngp", baselines=grey
    )
    return found.metrics | {"seconds_per_view": 0.5, "data": "fox"}


def test_comparison_has_a_row_for_each_evaluation_and_baseline():
    table = comparison_table([evaluation(0.4), evaluation(0.0)], "Results")
    lines = to_markdown(table).splitlines()
    assert lines[2] == "| method | data | split | protocol | views | PSNR | SSIM | LPIPS | s/view |"
    assert lines[4].startswith("| ngp | fox | test | sightline | 2 | 7.96 | ")
    assert lines[4].endswith(" | – | 0.500 |")
    assert lines[5].startswith("| (grey) | fox | test | sightline | 2 | 13.98 | ")
    assert lines[6].startswith("| ngp | fox | test | sightline | 2 | ∞ | 1.0000 | – |")


def test_views_and_their_mean():
    lines = to_text(view_table(evaluation(0.4))).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["test/r_0.png", "test/r_1.png", "mean"]
    assert [line.split()[1] for line in lines[2:]] == ["7.96"] * 3
    assert to_text(view_table(evaluation(0.0))).splitlines()[2].split()[1] == "∞"
