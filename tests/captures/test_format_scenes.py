"""Folders of scenes, each a capture of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sightline.captures import Capture, Collection, detect_format, open_capture, write_capture
from sightline.foundation.errors import InputError


@pytest.fixture
def scenes(tmp_path: Path, capture_in_memory: Callable[..., Capture]) -> Callable[..., Path]:
    def make(*names: str, kinds: tuple[str, ...] = ("llff", "transforms")) -> Path:
        for number, name in enumerate(names):
            folder = tmp_path / "scenes" / name
            folder.parent.mkdir(parents=True, exist_ok=True)
            write_capture(capture_in_memory(count=9), folder, kinds[number % len(kinds)])
        return tmp_path / "scenes"

    return make


def opened(path: Path, **options) -> Collection:
    found = open_capture(path, **options)
    assert isinstance(found, Collection)
    return found


def test_scenes_of_any_format_are_a_collection(scenes) -> None:
    path = scenes("fern", "leaves", "room")
    assert detect_format(path) == "scenes"
    found = opened(path, holdout=2)
    assert [entry.id for entry in found] == ["fern", "leaves", "room"]
    assert (found.splits["train"], found.splits["test"]) == (("leaves",), ("fern", "room"))
    capture = found["fern"].open()
    assert (capture.name, capture.format, len(capture)) == ("fern", "llff", 9)
    assert len(capture.splits["test"]) == 5
    # Of scenes to learn from all views are.
    learnt = found["leaves"].open()
    assert (learnt.format, len(learnt.splits["train"])) == ("transforms", 9)


def test_splits_by_lists_and_by_folders(scenes) -> None:
    path = scenes("a", "b", "c")
    (path / "train.txt").write_text("b\nc\n")
    (path / "test.txt").write_text("a\n")
    assert dict(opened(path).splits) == {"train": ("b", "c"), "val": (), "test": ("a",)}


def test_folders_of_splits(scenes) -> None:
    path = scenes("train/a", "train/b", "test/c")
    found = opened(path)
    assert found.format == "scenes"
    assert dict(found.splits) == {"train": ("train/a", "train/b"), "val": (), "test": ("test/c",)}
    assert found["test/c"].open().name == "c"


def test_what_papers_leave_out_is_left_out(scenes, caplog) -> None:
    path = scenes("data2_fernvlsb", "kitchen", "qq18", "table")
    caplog.set_level("INFO", logger="sightline")
    assert [entry.id for entry in opened(path, holdout=0)] == ["kitchen", "table"]
    assert "2 scenes of IBRNet's collections are left out" in caplog.text


def test_one_scene_is_no_collection(scenes, tmp_path: Path) -> None:
    path = scenes("fern")
    with pytest.raises(InputError, match="1 of the folders in it are"):
        open_capture(path)
    assert detect_format(path / "fern") == "llff"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="No folder in it is a scene"):
        open_capture(tmp_path / "empty", format="scenes")
