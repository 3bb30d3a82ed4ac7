"""Videos and scores of `pixelnerf` on its data sets, from folders to files, with tiny networks."""

import json
import multiprocessing
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pixelnerf_items import unpack
from pixelnerf_runs import TINY, make_pixelnerf_run
from sightline.captures import Collection
from sightline.evaluation.objects import Share
from sightline.evaluation.protocols import PIXELNERF
from sightline.foundation.errors import InputError, RunError
from sightline.geometry import Cameras
from sightline.media.images import read_image
from sightline.runs.run import Run
from sightline.synthesis.object_sets import make_objects
from sightline.workflows import evaluate_processes
from sightline.workflows.api import train
from sightline.workflows.evaluate import evaluate_run
from sightline.workflows.evaluate_many import SourceChoice, evaluate_many
from sightline.workflows.pixelnerf_videos import path_poses
from sightline.workflows.render import render_run
from sightline.workflows.scenes import load_method

SIZE = 12
SETS = {"srn": "srn_chair", "nmr": "sn64", "multi-object": "multi_obj"}


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    counts = {"objects": 2, "val_objects": 1, "test_objects": 2, "views": 4, "test_views": 4}
    return {
        layout: make_objects(root / layout, layout=layout, size=SIZE, samples=1, workers=0, **counts)  # type: ignore[arg-type]
        for layout in SETS
    }


@pytest.fixture
def make(sets, tmp_path: Path):
    def make_run(layout: str, **changes) -> Run:
        return make_pixelnerf_run(tmp_path / layout, SETS[layout], sets[layout], **changes)

    return make_run


def opened(run: Run) -> Collection:
    data = run.open_data()
    assert isinstance(data, Collection)
    return data


@pytest.mark.parametrize("layout", list(SETS))
def test_videos_follow_the_published_path_with_their_sources_beside(make, layout: str) -> None:
    run = make(layout)
    entry = opened(run).split("test")[1]
    done = render_run(run, object="1", sources="0,3", frames=2, format="png", device="cpu", debug_views=True)
    assert done.path == run.path / "renders" / f"{entry.id.replace('/', '_')}-pixelnerf"
    frames = [read_image(path) for path in sorted(done.path.iterdir())]
    strip = frames[0].shape[1] - SIZE
    assert 0 < strip < SIZE
    assert (frames[0][:, :strip] == frames[1][:, :strip]).all()
    capture = entry.open()
    method = load_method(run, device="cpu").method
    scene = method.encode(capture.subset([0, 3]))
    first = capture.cameras[0]
    cameras = Cameras.create(
        path_poses(capture, 2), *(float(value[0]) for value in (first.fx, first.fy)), width=SIZE, height=SIZE
    )
    for index, frame in enumerate(frames):
        with torch.no_grad():
            rgb = method.render(scene, cameras[index]).rgb
        shown = torch.from_numpy(frame[:, strip:]) / 255
        assert float((shown - rgb).abs().max()) <= 0.5 / 255 + 1e-5


def test_objects_are_found_by_number_and_by_id(make) -> None:
    run = make("srn")
    ids = opened(run).splits["train"]
    done = render_run(run, object="0", split="train", path="test", size="4", device="cpu")
    assert done.path.name == f"{ids[0]}-test"
    with pytest.raises(InputError, match=r"no object 5 in the split 'test'.*It has 2"):
        render_run(run, object="5", device="cpu")


def test_a_scan_has_a_path_of_its_own(shared, tmp_path: Path) -> None:
    data = unpack(shared, "rs_dtu_4", tmp_path)
    run = make_pixelnerf_run(tmp_path / "run", "dtu", data)
    done = render_run(run, sources="0,2", frames=5, size="8", format="png", device="cpu")
    assert (done.path.name, done.frames) == ("scan118s-pixelnerf", 6)
    around = render_run(run, sources="0", frames=2, size="8", path="orbit", device="cpu")
    assert around.path.name == "scan118s-orbit.mp4"


def test_scores_are_of_the_files_that_are_written(make) -> None:
    run = make("nmr")
    found = evaluate_run(run, sources="1", protocol="pixelnerf", device="cpu")
    own = found.folder / "pixelnerf"
    totals, finished = [], {}
    for line in (own / "finish.txt").read_text().splitlines():
        name, psnr, _, one = line.split()
        finished[name] = (float(psnr), one)
    for entry, result in zip(opened(run).split("test"), found.metrics["per_object"], strict=True):
        name, capture = entry.id.replace("/", "_"), entry.open()
        files = sorted((own / name).glob("*.png"))
        assert [path.name for path in files] == ["000000.png", "000002.png", "000003.png"]
        scores = []
        for path in files:
            seen = torch.from_numpy(read_image(path)) / 255
            truth = torch.from_numpy(np.array(capture.images[int(path.stem)])) / 255
            scores.append(PIXELNERF.score(seen, truth, None, None))
        means = PIXELNERF.average(scores)
        assert result["psnr"] == pytest.approx(means["psnr"], abs=1e-6)
        assert result["ssim"] == pytest.approx(means["ssim"], abs=1e-6)
        assert (own / name / "metrics.txt").read_text() == f"psnr {result['psnr']}\nssim {result['ssim']}"
        assert finished[name][1] == "1"
        assert abs(finished[name][0] - means["psnr"]) < 0.5, "of pictures that were not cut"
        totals.append(means["psnr"])
    assert found.metrics["psnr"] == pytest.approx(sum(totals) / len(totals), abs=1e-6)
    lines = (own / "all_metrics.txt").read_text().splitlines()
    groups = found.metrics["per_category"]
    assert [line[:12].strip() for line in lines] == [*(g["category"] for g in groups), "---", "total"]
    for line, group in zip(lines, groups, strict=False):
        assert line.split()[1:] == [
            "psnr:", f"{group['psnr']:.6f}", "ssim:", f"{group['ssim']:.6f}", "n_inst:", str(group["objects"])
        ]  # fmt: skip


def test_a_sampler_is_chosen_for_scores(make) -> None:
    run = make("srn")
    named = {"sources": "1", "device": "cpu"}
    usual = evaluate_run(run, **named)
    skipping = evaluate_run(run, sampler="occupancy", **named)
    assert "sampler" not in usual.metrics
    assert skipping.metrics["sampler"] == "occupancy"
    assert skipping.folder.name == f"{usual.folder.name}-occupancy"
    assert usual.metrics["psnr"] != skipping.metrics["psnr"]
    shared_out = evaluate_many(run, sampler="occupancy", choice=SourceChoice("1"), device="cpu")
    assert shared_out.metrics["psnr"] == skipping.metrics["psnr"]
    with pytest.raises(InputError, match="no sampler 'nearest'"):
        evaluate_run(run, sampler="nearest", **named)


@pytest.mark.parametrize("spawned", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_processes_share_objects_and_give_the_same(make, monkeypatch, spawned: bool) -> None:
    run = make("srn")
    named = {"sources": "0", "protocol": "pixelnerf", "device": "cpu", "every": 2}
    alone = evaluate_run(run, **named)
    before = files_of(alone.folder)
    shutil.rmtree(alone.folder)
    judged = []
    if not spawned:
        monkeypatch.setattr(evaluate_processes, "_judge_together", together(judged))
    found = evaluate_run(run, processes=2, **named)
    for name in ("psnr", "ssim", "per_object", "per_category", "baselines"):
        assert found.metrics[name] == alone.metrics[name], name
    assert files_of(found.folder) == before
    assert spawned or judged == [1, 2]


def together(judged: list[int]):
    """What processes do, one after the other; notes how many objects are finished after each."""

    def judge(run, processes, ready, total, options) -> None:
        for number in range(processes):
            evaluate_many(run, share=Share(number, processes), **options)
            judged.append(len(list((ready.folder / "objects").glob("*.json"))))

    return judge


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".png", ".txt")
    }


def test_what_a_process_says_is_told(make, monkeypatch) -> None:
    run = make("srn")
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(evaluate_processes.logger, "setLevel", lambda level: None)
    listening, speaking = multiprocessing.Pipe(duplex=False)
    options = {"choice": SourceChoice("9"), "device": "cpu"}
    with pytest.raises(SystemExit):
        evaluate_processes._judge_share(str(run.path), Share(0, 1), options, speaking)
    ended = SimpleNamespace(exitcode=1)
    with pytest.raises(InputError, match="has no view '9'"):
        evaluate_processes._refuse_failures([ended], (listening,))
    with pytest.raises(RunError, match=r"ended with code -9.*to go on"):
        evaluate_processes._refuse_failures([SimpleNamespace(exitcode=-9)], (listening,))
    going_on = [SimpleNamespace(exitcode=None), SimpleNamespace(exitcode=0)]
    evaluate_processes._refuse_failures(going_on, (listening, listening))
    with pytest.raises(InputError, match="0 processes"):
        evaluate_run(run, sources="0", device="cpu", processes=0)


@pytest.mark.parametrize(("sources", "left"), [("25", 33), ("22 25 28", 31), ("22 25 28 40 44 48", 28)])
def test_the_published_number_of_targets_of_a_scan(sources: str, left: int) -> None:
    chosen = {int(view) for view in sources.split()}
    targets = [v for v in range(49) if v not in chosen and not PIXELNERF.leaves_out("dtu", v)]
    assert len(targets) == left


def test_objects_with_fewer_views_end_the_evaluation_there(make, sets, tmp_path: Path) -> None:
    data = tmp_path / "chairs"
    shutil.copytree(sets["srn"], data)
    run = make_pixelnerf_run(tmp_path / "run", "srn_chair", data)
    folders = [entry.open().path for entry in opened(run).split("test")]
    (folders[1] / "rgb" / "000003.png").unlink()
    with pytest.raises(InputError, match="no view '3'"):
        evaluate_run(run, sources="3", device="cpu")
    assert len(list((run.path / "eval").glob("*/objects/*.json"))) == 1, "what is finished stays"
    shutil.rmtree(folders[1] / "pose")
    with pytest.raises(InputError, match=r"no poses.*pose"):
        evaluate_run(run, sources="0", device="cpu")


def test_listed_objects_without_data_are_left_out(make, sets, tmp_path: Path, caplog) -> None:
    data = tmp_path / "nmr"
    shutil.copytree(sets["nmr"], data)
    run = make_pixelnerf_run(tmp_path / "run", "sn64", data)
    first = opened(run).split("test")[0]
    shutil.rmtree(data / first.id)
    found = evaluate_run(run, sources="0", every=3, device="cpu")
    assert first.id not in [entry["object"] for entry in found.metrics["per_object"]]
    assert "1 of 5 listed objects have no folder" in caplog.text


def test_other_sizes_than_the_learnt_one_are_told(make, caplog) -> None:
    caplog.set_level("INFO", logger="sightline")
    evaluate_run(make("srn", image_size=8), sources="0", approx=True, device="cpu")
    assert caplog.text.count("12 pixels high; the network sees them reduced to 8") == 1
    evaluate_run(make("nmr"), sources="0", approx=True, device="cpu")
    assert caplog.text.count("12 pixels high, while the network learnt from 64") == 1


def test_a_capture_is_a_scene(tmp_path: Path) -> None:
    """Photos of one scene with poses: trained on, scored, and shown from sources that are named."""
    from small_method import write_data

    data = write_data(tmp_path / "scene", views=6, size=12)
    settings = {"preset": "small", "steps": 2, "rays": 8, "objects": 1, "eval_every": 0, "device": "cpu"}
    trained = train("pixelnerf", data, out=tmp_path / "run", **{**settings, **TINY, "image_size": 12})
    scores = evaluate_run(tmp_path / "run", sources="0,2", device="cpu").metrics
    # The two that were held out.
    assert [view["name"] for view in scores["per_view"]] == ["test/r_0.png", "test/r_1.png"]
    assert np.isfinite(scores["psnr"])
    seen = trained.see(sources="1,4", split="test")
    assert len(seen.views) == 2
    done = render_run(tmp_path / "run", sources="1,4", frames=2, size="8", device="cpu")
    assert done.path.name.endswith("-orbit.mp4")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["method"] == "pixelnerf"
