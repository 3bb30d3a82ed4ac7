"""From photos without poses to a run, by the command line."""

from pathlib import Path

import numpy as np
import pytest

from photo_corner import write_photos
from sightline.cli.main import main
from sightline.foundation.errors import InputError
from sightline.foundation.files import read_json
from sightline.workflows.naming import data_name
from sightline.workflows.posing import default_capture, pose_photos, take_posed


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_training_on_photos_finds_their_poses_first_and_once(here, capsys, caplog):
    write_photos(here / "my_photos", 7)
    command = ["train", "ngp", "my_photos", "--steps", "2", "--downscale", "8", "--preset", "unbounded"]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == "runs/my_photos-ngp"
    record = read_json(here / "runs" / "my_photos-ngp" / "run.json")
    assert record["data"]["path"] == "../../captures/my_photos"
    assert read_json(here / "captures" / "my_photos" / "poses.json")["registration"]["placed"] == 7
    before = (here / "captures" / "my_photos" / "poses.json").stat().st_mtime_ns
    assert main([*command, "--out", "runs/again"]) == 0
    assert (here / "captures" / "my_photos" / "poses.json").stat().st_mtime_ns == before
    # The run itself goes on by the same words.
    assert main([*command, "--steps", "3", "--resume"]) == 0
    assert read_json(here / "runs" / "my_photos-ngp" / "run.json")["progress"]["step"] == 3


def test_data_with_poses_is_taken_as_it_is(here, capsys):
    write_photos(here / "photos", 6)
    found = pose_photos(here / "photos", here / "capture")
    assert main(["poses", "capture"]) == 0
    assert capsys.readouterr().out.strip() == "capture"
    with pytest.raises(InputError, match="has camera poses already"):
        pose_photos(found.path)
    written = take_posed(here / "capture", here / "copy")
    assert written == here / "copy"
    frames = read_json(here / "copy" / "transforms.json")["frames"]
    original = read_json(here / "capture" / "transforms.json")["frames"]
    np.testing.assert_allclose(
        [frame["transform_matrix"] for frame in frames], [frame["transform_matrix"] for frame in original]
    )


def test_names_follow_the_data(here):
    (here / "fox" / "images").mkdir(parents=True)
    (here / "walk.mp4").write_bytes(b"")
    (here / "fox" / "transforms.json").write_text("{}", encoding="utf-8")
    assert data_name(here / "fox") == "fox"
    assert data_name(here / "fox" / "images") == "fox"
    assert data_name(here / "fox" / "transforms.json") == "fox"
    assert data_name(here / "walk.mp4") == "walk"
    assert default_capture(here / "walk.mp4") == Path("captures/walk")


def test_an_empty_folder_is_still_refused_by_training(here, capsys):
    (here / "nothing").mkdir()
    assert main(["train", "ngp", "nothing", "--steps", "1"]) == 2
    assert "No known format of posed images" in capsys.readouterr().err
    assert not (here / "captures").exists()


def test_the_background_of_many_scenes_is_not_masked(here, capsys):
    (here / "scenes").mkdir()
    assert main(["train", "gpnr", "scenes", "--steps", "1", "--mask-background"]) == 2
    assert "learns many scenes" in capsys.readouterr().err
