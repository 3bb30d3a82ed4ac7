"""Reports of runs of the small methods: what pages say, in every state that a run may be in."""

import json
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from many_objects import ball_data, make_warp_run, warp, with_weights
from sightline.captures import Collection
from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json, write_json
from sightline.methods.base import Scene
from sightline.runs.run import Run
from sightline.training.session import TrainOrder, train_run
from sightline.training.settings import TrainSettings
from sightline.workflows.evaluate import evaluate_run
from sightline.workflows.report import MOST_BYTES, _fitting, report_runs
from sightline.workflows.report_facts import labels_of
from sightline.workflows.report_settings import field_meanings, settings_of

__all__ = ["ball_data", "make_warp_run", "warp"]


class Page(HTMLParser):
    """A page as a reader finds it: texts, ids, links, pictures."""

    def __init__(self, text: str):
        super().__init__()
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.pictures: list[str] = []
        self._skipped = 0
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self._skipped += tag in ("script", "style")
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and not v.startswith("#")]
        if tag == "img":
            self.pictures.append(found["alt"])

    def handle_endtag(self, tag):
        self._skipped -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._skipped:
            self.texts.append(data)


def read(report) -> Page:
    page = Page(report.path.read_text(encoding="utf-8"))
    assert all(source.startswith("data:image/") for source in page.loaded)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(set(page.ids) & {i for i in page.ids if i.startswith("view-")}) == sum(
        i.startswith("view-") for i in page.ids
    )
    return page


@pytest.fixture
def trained(make_run, monkeypatch) -> Run:
    # What the small method renders has depth, which its scene does not say.
    monkeypatch.setattr(Scene, "capabilities", frozenset({"rgb", "depth"}))
    run = make_run(learning_rate=0.2)
    train_run(TrainOrder(run.path, TrainSettings(steps=40, log_every=5, eval_every=20, device="cpu")))
    return Run.open(run.path)


@pytest.fixture
def scored(trained) -> Run:
    evaluate_run(trained, device="cpu")
    return trained


def test_a_run_that_was_trained_and_scored(scored):
    report = report_runs([scored], device="cpu")
    assert report.path == scored.path / "report.html"
    assert report.size == report.path.stat().st_size
    page = read(report)
    metrics = read_json(scored.path / "eval" / "test" / "metrics.json")
    for text in ("finished", f"PSNR {metrics['psnr']:.2f} dB", "40", "13 views: 9 train, 2 val, 2 test"):
        assert text in page.text
    for entry in metrics["per_view"]:
        # SSIM has no value on pictures of 8 pixels, so that it has no column.
        assert f"{entry['name']} {entry['psnr']:.2f} {entry['seconds']:.3f}" in page.text
        for kind in ("truth", "prediction", "error", "depth"):
            assert f"{entry['name']}: {kind}" in page.pictures
    # Names of views in the table lead to their pictures.
    assert "#view-1" in page.links
    assert {"views", "scores", "curves", "data", "settings", "machine"} <= set(page.ids)
    for text in ("learning rate", "held-out views, small", "from above", "torch", "of all parameters"):
        assert text.lower() in page.text.lower()
    assert "Depth was rendered for this report." in report.views[0].notes
    found = report.to_json()["runs"][0]
    assert found["evaluations"] == [
        {
            "name": "test",
            "protocol": "sightline",
            "split": "test",
            "views": 2,
            **{name: metrics[name] for name in ("psnr", "ssim", "lpips")},
        }
    ]
    json.dumps(report.to_json(), allow_nan=False)


def test_truth_comes_from_saved_panels_where_the_data_is_gone(scored, data):
    shutil.rmtree(data)
    report = report_runs([scored], device="cpu")
    (views,) = report.views
    assert all(view.truth is not None and view.depth is not None for view in views.views)
    assert [len(view.prediction) for view in views.views] == [8, 8]


def test_a_run_without_evaluation_is_rendered_and_compared(trained):
    before = sorted(trained.path.rglob("*"))
    report = report_runs([trained], device="cpu", out=trained.path.parent / "page.html")
    assert sorted(trained.path.rglob("*")) == before  # nothing is added to the run
    (views,) = report.views
    assert "these 2 views of the split test were rendered and compared for this report" in views.notes[0]
    metrics = evaluate_run(trained, device="cpu").metrics
    assert [view.scores["psnr"] for view in views.views] == pytest.approx(
        [entry["psnr"] for entry in metrics["per_view"]]
    )
    page = read(report)
    assert "There are no scores" in page.text
    assert "best PSNR while training" in page.text


def test_without_data_and_evaluation_views_come_from_the_recorded_cameras(trained, data):
    shutil.rmtree(data)
    report = report_runs([trained], device="cpu", views=1)
    (view,) = report.views[0].views
    assert view.truth is None
    assert view.error is None
    assert (
        "The truth is missing: the data that this run was trained on is not where it was"
        in (report.views[0].notes[0])
    )
    page = read(report)
    assert f"{view.title}: prediction" in page.pictures
    assert f"{view.title}: truth" not in page.pictures


def test_a_training_that_goes_on_says_so(scored):
    path = scored.path / "run.json"
    record = read_json(path)
    record["progress"] |= {"finished": False, "fraction": 0.4}
    write_json(path, record)
    page = read(report_runs([scored.path], device="cpu"))
    assert "training: 40%, step 40" in page.text
    assert "still training" in page.text
    for name in ("metrics.jsonl", "training_state.pt"):
        os.utime(scored.path / name, (0, 0))
    page = read(report_runs([scored.path], device="cpu"))
    assert "stopped at 40%, step 40" in page.text
    assert "--resume" in page.text


def test_a_run_that_has_hardly_begun(make_run):
    report = report_runs([make_run()], device="cpu")
    page = read(report)
    for text in (
        "nothing saved yet",
        "There are no weights yet",
        "there is no metrics.jsonl",
        "does not know its cameras",
    ):
        assert text in page.text
    assert page.pictures == []


def test_an_imported_run_has_no_curves(scored):
    scored.update(source={"imported": "nerf_pl", "files": [{"name": "old <1>.ckpt"}]}, training={})
    (scored.path / "metrics.jsonl").unlink()
    page = read(report_runs([scored], device="cpu"))
    assert "imported from nerf_pl" in page.text
    assert "nerf_pl: old <1>.ckpt" in page.text
    assert "curves" not in page.ids
    assert "Training" not in page.text


@pytest.mark.parametrize("content", ["", "garbage\n{}\n"])
def test_a_log_without_a_whole_line(scored, content):
    (scored.path / "metrics.jsonl").write_text(content, encoding="utf-8")
    page = read(report_runs([scored], device="cpu", render=False))
    told = "2 damaged lines" if content else "metrics.jsonl is empty"
    assert told in page.text
    assert report_runs([scored], render=False).views[0].views[0].depth is None


def test_what_is_damaged_is_told(scored):
    (scored.path / "eval" / "test" / "metrics.json").write_text("{", encoding="utf-8")
    (scored.path / "capture.json").write_text("{", encoding="utf-8")
    page = read(report_runs([scored], device="cpu"))
    assert "The evaluation test is left out" in page.text


def test_names_are_escaped(scored):
    path = scored.path / "eval" / "test" / "metrics.json"
    metrics = read_json(path)
    metrics["per_view"][0]["name"] = "</script><img src=http://there onerror=alert(1)>.png"
    write_json(path, metrics)
    page = read(report_runs([scored], device="cpu"))
    assert "</script><img src=http://there onerror=alert(1)>.png" in page.text


def test_no_pictures(scored):
    report = report_runs([scored], pictures=False)
    page = read(report)
    assert page.pictures == []
    assert report.size < 150_000


def test_settings_that_were_changed_are_marked(trained):
    (facts,) = report_runs([trained], pictures=False).runs
    groups = settings_of(facts)
    assert [s.name for s in groups["method"] if s.changed] == ["learning_rate"]
    assert groups["method"][1].default_text == "0.05"
    assert groups["method"][1].meaning == "of all parameters"
    changed = {s.name: (s.value, s.default) for s in groups["training"] if s.changed}
    assert changed["steps"] == (40, 20)
    assert changed["log_every"] == (5, 25)
    assert "minutes" not in changed
    assert not any(s.changed for s in groups["data"])
    text = trained.path.joinpath("report.html").read_text(encoding="utf-8")
    assert re.search(r'<td>learning_rate</td><td class="changed">0.2</td>', text)


def test_meanings_are_the_docstrings_of_fields():
    meanings = field_meanings(TrainSettings)
    assert meanings["seed"] == "seed of all randomness"
    assert set(meanings) == set(TrainSettings.__dataclass_fields__)


def test_two_runs_side_by_side(scored, make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = make_run("other", hidden=4)
    train_run(TrainOrder(other.path, TrainSettings(steps=10, log_every=5, device="cpu")))
    evaluate_run(other.path, device="cpu")
    report = report_runs([scored, other.path], device="cpu")
    assert report.path.name == "runs-report.html"
    page = read(report)
    assert [len(views.views) for views in report.views] == [2, 2]
    assert [view.key for view in report.views[0].views] == [view.key for view in report.views[1].views]
    assert "Not comparable" not in page.text
    assert "learning_rate 0.2 0.05" in page.text
    assert "hidden 8 4" in page.text
    psnr = [views.views[0].scores["psnr"] for views in report.views]
    for label, value in zip(("run", "other"), psnr, strict=True):
        assert any(text.endswith(f"{label}, {value:.2f} dB") for text in page.pictures)


def test_scores_that_cannot_be_compared_are_flagged(scored, make_run, tmp_path):
    other = make_run("other")
    train_run(TrainOrder(other.path, TrainSettings(steps=10, device="cpu")))
    evaluate_run(other.path, device="cpu", protocol="enr")
    evaluate_run(other.path, device="cpu", downscale=2, split="val")
    report = report_runs([scored, other.path], device="cpu", out=tmp_path / "page.html", views=0)
    page = read(report)
    assert "Not comparable with" in page.text
    assert "protocol: enr, not sightline" in page.text
    assert "split: val, not test" in page.text
    assert "picture: 4 × 4, not 8 × 8" in page.text
    # The same views by the same rules compare, whatever the runs are.
    evaluate_run(other.path, device="cpu")
    page = report_runs([scored, other.path], device="cpu", out=tmp_path / "page.html", views=0)
    assert page.path.read_text(encoding="utf-8").count('class="number best"') == 1


def test_views_of_other_data_are_not_put_beside(scored, make_run, tmp_path):
    """Two sets may name their pictures alike."""
    other = make_run("other")
    train_run(TrainOrder(other.path, TrainSettings(steps=10, device="cpu")))
    evaluate_run(other.path, device="cpu")
    path = other.path / "eval" / "test" / "metrics.json"
    write_json(path, {**read_json(path), "data": "/elsewhere/another"})
    run = read_json(other.path / "run.json")
    run["data"]["path"] = "../another"
    write_json(other.path / "run.json", run)
    report = report_runs([scored, other.path], device="cpu", out=tmp_path / "page.html")
    assert [len(views.views) for views in report.views] == [2, 0]
    assert "other data: another, not data" in report.views[1].notes[0]


def test_methods_that_see_many_objects(make_warp_run, tmp_path):
    run = with_weights(make_warp_run())
    report = report_runs([run], device="cpu", out=tmp_path / "first.html", views=2)
    (views,) = report.views
    assert [view.key[0] for view in views.views] == ["test_0", "test_1"]
    assert all(view.truth is not None and view.depth is not None for view in views.views)
    assert [view.source_count for view in views.views] == [1, 1]
    metrics = evaluate_run(run, device="cpu").metrics
    by_key = {(entry["object"], entry["name"]): entry["psnr"] for entry in metrics["per_view"]}
    for view in views.views:
        assert view.scores["psnr"] == pytest.approx(by_key[view.key], abs=1e-3)
    data = run.open_data()
    assert isinstance(data, Collection)
    run.record_collection(data)
    report = report_runs([run], device="cpu", out=tmp_path / "second.html")
    page = read(report)
    assert len(report.views[0].views) == 6
    assert all(len(view.sources) == 1 and view.depth is not None for view in report.views[0].views)
    for text in ("9 objects: 4 train, 2 val, 3 test", "baseline white", "21 views of 3 objects", "test_0"):
        assert text in page.text
    np.testing.assert_array_equal(
        report.views[0].views[0].sources[0].shape, report.views[0].views[0].prediction.shape
    )


def test_methods_that_see_many_objects_need_the_data(make_warp_run, ball_data):
    run = with_weights(make_warp_run())
    shutil.rmtree(ball_data)
    (views,) = report_runs([run], device="cpu").views
    assert views.views == ()
    assert "sees scenes from source views of the data" in views.notes[0]


def test_what_is_no_run_is_refused(trained, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="not a run folder"):
        report_runs([tmp_path / "folder"])
    with pytest.raises(InputError, match="given twice"):
        report_runs([trained, trained.path / ".." / trained.path.name])
    with pytest.raises(InputError, match="No run"):
        report_runs([])
    with pytest.raises(InputError, match="this is a folder"):
        report_runs([trained], out=tmp_path / "folder")
    with pytest.raises(InputError, match="fewer than no views"):
        report_runs([trained], views=-1)


def test_labels_tell_runs_apart(tmp_path):
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "fox"]
    assert labels_of(paths) == ["a/run", "b/run", "fox"]
    assert labels_of([tmp_path / "x" / "fox", tmp_path / "y" / "fox"]) == ["x/fox", "y/fox"]
    assert labels_of([tmp_path / "fox"]) == ["fox"]


def test_pages_stay_small():
    tried = []

    def make(width: int) -> str:
        tried.append(width)
        return "x" * (width * 20_000)

    assert len(_fitting(make)) == 360 * 20_000 <= MOST_BYTES
    assert tried == [640, 480, 360]
    # Where nothing helps, the page is as small as it can be.
    assert _fitting(lambda width: "x" * MOST_BYTES + str(width)).endswith("x160")
