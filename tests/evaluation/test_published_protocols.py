"""The protocols of ENR and pixelNeRF against numbers and files that those programs gave."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sightline.captures import open_capture
from sightline.captures.source_views import parse_sources
from sightline.evaluation.baselines import Baselines
from sightline.evaluation.cases import CaseRule
from sightline.evaluation.objects import ObjectEvaluation, evaluate_objects
from sightline.evaluation.protocols import ENR, PIXELNERF, get_protocol
from sightline.evaluation.views import background_for, truth_picture
from sightline.media.images import read_image


@pytest.fixture
def golden(shared):
    return np.load(shared / "golden" / "pixelnerf" / "metrics.npz")


def picture(pixels):
    return torch.from_numpy(pixels).float() / 255


def test_pixelnerf_scores_of_files(golden):
    pairs = [name.removesuffix("_pred_u8") for name in golden if name.endswith("_pred_u8")]
    assert len(pairs) == 9
    for pair in pairs:
        prediction, truth = (picture(golden[f"{pair}_{kind}_u8"]) for kind in ("pred", "gt"))
        found = PIXELNERF.score(prediction, truth, None, None)
        assert found["psnr"] == pytest.approx(float(golden[f"{pair}_psnr"]), abs=1e-4)
        assert found["ssim"] == pytest.approx(float(golden[f"{pair}_ssim_f64"]), abs=1e-5)
        assert found["lpips"] is None
        # Pictures that are 8-bit values already lose nothing by being cut.
        assert (found["float_psnr"], found["float_ssim"]) == (found["psnr"], found["ssim"])


def test_pixelnerf_files_are_written_as_its_programs_do(golden, tmp_path):
    def of_view(name):
        keys = {"psnr": "psnr", "ssim": "ssim", "lpips": "lpips_vgg"}
        scores = {metric: float(golden[f"{name}_{key}"]) for metric, key in keys.items()}
        return {**scores, "float_psnr": 6.5, "float_ssim": 0.25}

    views = golden["view_ids"].tolist()
    means = {n: PIXELNERF.average([of_view(f"obj{n}_view{view}") for view in views]) for n in (0, 1)}
    without = {n: PIXELNERF.average([of_view(f"obj{n}_view{v}") for v in views if v != 64]) for n in (0, 1)}
    assert same_text(object_file(tmp_path, "03001627_b", without[0]), str(golden["obj0_metrics_txt"]))
    assert same_text(object_file(tmp_path, "04379243_a", without[1]), str(golden["obj1_metrics_txt"]))
    line = "03001627_b 6.5 0.25 1\n"
    assert (tmp_path / "finish.txt").read_text() == line + "04379243_a 6.5 0.25 1\n"
    objects = [("b", means[0]), ("a", means[1])]
    PIXELNERF.write_summary(tmp_path, objects, {"chairs": [means[0], means[1]]})
    assert (tmp_path / "all_metrics.txt").read_text() == str(golden["all_metrics_txt_noexclude"])
    PIXELNERF.write_summary(tmp_path, [("b", without[0]), ("a", without[1])], {"chairs": [without[0]]})
    assert (tmp_path / "all_metrics.txt").read_text() == str(golden["all_metrics_txt_P64"])


def test_pixelnerf_summary_of_categories(golden, tmp_path):
    """The golden text holds two categories of one object each, of which only six decimals are known."""
    text = str(golden["all_metrics_txt_multicat"])
    rows = [line.split() for line in text.splitlines() if line != "---"]
    scores = [dict(zip(("psnr", "ssim", "lpips"), map(float, row[2:7:2]), strict=True)) for row in rows]
    full = [{**entry, "float_psnr": 1.0, "float_ssim": 1.0} for entry in scores]
    PIXELNERF.write_summary(
        tmp_path,
        [("a", full[0]), ("b", full[1])],
        {"chair,seat": [full[0]], "table": [full[1]]},
    )
    written = (tmp_path / "all_metrics.txt").read_text()
    assert written.splitlines()[:3] == text.splitlines()[:3]
    assert written.splitlines()[3][:24] == text.splitlines()[3][:24]
    assert written.endswith("\n") == text.endswith("\n")


def object_file(folder, name, means):
    PIXELNERF.write_object(folder / name, means)
    return (folder / name / "metrics.txt").read_text()


def same_text(found, expected):
    def parts(text):
        return [(line.split()[0], float(line.split()[1])) for line in text.split("\n")]

    assert found.count("\n") == expected.count("\n") == 2
    for (name, value), (wanted, number) in zip(parts(found), parts(expected), strict=True):
        # The program computes SSIM in single precision.
        assert (name, value) == (wanted, pytest.approx(number, rel=1e-5))
    return True


def test_pixelnerf_cuts_predictions_and_not_the_truth(tmp_path):
    truth = picture(np.full((8, 8, 3), 100, np.uint8))
    prediction = torch.full((8, 8, 3), 100.9 / 255)
    found = PIXELNERF.score(prediction, truth, None, None)
    assert found["psnr"] == math.inf
    assert found["float_psnr"] == pytest.approx(-20 * math.log10(0.9 / 255), abs=1e-3)
    PIXELNERF.write_view(tmp_path / "chair", 64, prediction + torch.tensor([0.0, 1.0, math.nan]))
    written = read_image(tmp_path / "chair" / "000064.png")
    assert (written == [100, 255, 0]).all()
    assert PIXELNERF.leaves_out("dtu", 37)
    assert not PIXELNERF.leaves_out("dtu", 25)
    assert not PIXELNERF.leaves_out("srn", 37)


def test_enr_rounds_nothing():
    truth = torch.full((16, 16, 3), 0.5)
    found = ENR.score(truth + 1e-4, truth, None, None)
    assert found["psnr"] == pytest.approx(80, abs=0.01)
    assert get_protocol("enr").sources == get_protocol("pixelnerf").sources == "64"


@pytest.fixture(scope="module")
def chairs(shared):
    return open_capture(shared / "data" / "enr_chairs" / "original", format="enr", angle_unit="degrees")


def test_enr_baselines_of_real_chairs(shared, chairs):
    golden = json.loads((shared / "golden" / "enr" / "golden.json").read_text())["baselines_per_scene"]
    names = {"white": "white", "copy_source": "copy_source", "object_mean": "scene_mean_oracle"}
    for id in list(golden)[1:2]:
        entry = chairs[id]
        capture = entry.open()
        (case,) = CaseRule(parse_sources("64")).cases(entry, capture, ENR)
        assert (case.sources, len(case.targets)) == ((64,), 250)
        behind = background_for(capture)
        predictors = Baselines(None).of(id, capture, case.sources, behind)
        for name, key in names.items():
            values = []
            for index in case.targets:
                error = (predictors[name](index) - truth_picture(capture, index, behind)).double().square()
                values.append(-10 * math.log10(error.mean().item()))
            assert sum(values) / 250 == pytest.approx(golden[id][key], abs=0.01), (id, name)


def test_a_whole_evaluation_of_real_chairs(chairs, tmp_path):
    entries = [chairs[id] for id in chairs.splits["test"][:2]]
    shown = []

    def encode(views, behind):
        shown.append(views.image_names)
        source = truth_picture(views, 0, behind)
        return lambda camera: SimpleNamespace(rgb=source)

    evaluation = ObjectEvaluation(
        entries=entries,
        rule=CaseRule(parse_sources("64"), every=50),
        method="copy",
        data="chairs",
        split="test",
        baselines=Baselines(None, "not wanted"),
        protocol="pixelnerf",
    )
    metrics = evaluate_objects(encode, evaluation, tmp_path).metrics
    assert [name.rpartition("/")[2] for names in shown for name in names] == ["00064.png"] * 2
    assert metrics["views"] == 10
    assert metrics["psnr"] == pytest.approx(metrics["baselines"]["copy_source"]["psnr"], abs=1e-9)
    assert metrics["data_facts"]["angle_unit"] == "degrees"
    for entry, found in zip(entries, metrics["per_object"], strict=True):
        folder = tmp_path / "pixelnerf" / entry.id
        pictures = sorted(path.name for path in folder.glob("*.png"))
        assert pictures == [f"{index:06d}.png" for index in (0, 50, 101, 151, 201)]
        assert (folder / "metrics.txt").read_text() == f"psnr {found['psnr']}\nssim {found['ssim']}"
    finished = [line.split() for line in (tmp_path / "pixelnerf" / "finish.txt").read_text().splitlines()]
    assert [(line[0], line[3]) for line in finished] == [(entry.id, "1") for entry in entries]
    summary = (tmp_path / "pixelnerf" / "all_metrics.txt").read_text()
    assert summary == f" psnr: {metrics['psnr']:.6f} ssim: {metrics['ssim']:.6f}"


@pytest.mark.parametrize("name", ["blur", "noise", "other"])
def test_gpnr_scores(shared, name):
    folder = shared / "golden" / "gpnr"
    values = json.loads((folder / "golden.json").read_text(encoding="utf-8"))["metrics"]
    values = values["other_view" if name == "other" else f"{name}_fp16"]
    with np.load(folder / "metric_inputs.npz") as file:
        truth, picture = file["gt"].astype(np.float32) / 255, file[name].astype(np.float32)
    prediction = torch.from_numpy(picture / 255 if name == "other" else picture)
    found = get_protocol("gpnr").score(prediction, torch.from_numpy(truth), None, None)
    assert found["psnr"] == pytest.approx(values["psnr"], abs=1e-3)
    assert found["ssim"] == pytest.approx(values["ssim_range1"], abs=1e-4)
    assert found["ssim_range2"] == pytest.approx(values["ssim_range2"], abs=1e-4)
    if "psnr_crop10" in values:
        cropped = get_protocol("gpnr-cropped").score(prediction, torch.from_numpy(truth), None, None)
        assert cropped["psnr"] == pytest.approx(values["psnr_crop10"], abs=1e-3)


def test_gpnr_scores_of_what_counts():
    truth = torch.rand(24, 30, 3, generator=torch.Generator().manual_seed(0))
    prediction = truth.clone()
    prediction[:12] = 0
    counted = torch.zeros(24, 30, dtype=torch.bool)
    counted[12:] = True
    found = get_protocol("gpnr").score(prediction, truth, counted, None)
    assert (found["psnr"], found["ssim"], found["ssim_range2"]) == (math.inf, 1, 1)
    small = get_protocol("gpnr-cropped").score(prediction[:12], truth[:12], None, None)
    assert small["ssim"] is None
    assert small["ssim_range2"] is None
