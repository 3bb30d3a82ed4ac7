"""Choosing what the viewer shows, of methods that see objects in source views."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from many_objects import WarpConfig, ball_data, make_warp_run, warp, with_weights
from pixelnerf_runs import make_pixelnerf_run
from sightline.foundation.errors import InputError
from sightline.methods.registry import get_method_info
from sightline.viewer.looks import Look, Picture
from sightline.viewer.pace import Pace
from sightline.workflows import view_training
from sightline.workflows.options import read_layers
from sightline.workflows.render import render_run
from sightline.workflows.train import train_method
from sightline.workflows.view import RunHost

__all__ = ["ball_data", "make_warp_run", "warp"]


@pytest.fixture
def host(make_warp_run) -> RunHost:
    return RunHost(with_weights(make_warp_run(), blend=0.5))


def test_the_first_object_of_the_test_split_is_shown_first(host):
    assert host.stage.name == "test_0"
    assert host.stage.export == {"object": "test_0", "split": "test"}
    assert len(host.stage.photos) == 8
    assert len(host.stage.sources) == 1
    assert host.choices.splits["train"] == ("train_0", "train_1", "train_2", "train_3")
    assert host.choices.takes_photos


def test_other_objects_and_views_can_be_chosen(host):
    candidate = host.choices.look_up("train_2", "train")
    assert len(candidate.photos) == 8
    assert candidate.photos.thumbnail(3) is not None
    stage = host.choices.choose("train_2", "train", [3, 5])
    assert (stage.name, stage.sources) == ("train_2", (3, 5))
    assert stage.views.image_names == ("00003.png", "00005.png")
    assert stage.export == {"object": "train_2", "split": "train", "sources": "00003.png,00005.png"}
    with pytest.raises(InputError):
        host.choices.look_up("nobody", "train")


def test_the_command_renders_the_same_scene(host, tmp_path):
    stage = host.choices.choose("train_1", "train", [2])
    command = host.render_command(tmp_path / "my path.json", stage)
    assert command == (
        f"sightline render {host.folder} --path '{tmp_path / 'my path.json'}' "
        "--object train_1 --split train --sources 00002.png"
    )
    done = render_run(
        host.run, path="test", object="train_1", split="train", sources="00002.png", format="png"
    )
    pictures = sorted(done.path.glob("*.png"))
    camera = stage.photos.cameras[4]
    own = stage.method.render(stage.scene, camera).rgb
    file = np.asarray(Image.open(pictures[4])).astype(float)
    assert np.abs(file - own.detach().numpy() * 255).max() <= 1


def test_weights_that_changed_show_what_was_shown(host):
    stage = host.choices.choose("train_1", "train", [2])
    again = host.renew(stage, host.stage.method)
    assert again.scene is not stage.scene
    assert (again.sources, again.name) == (stage.sources, stage.name)


def test_a_photo_of_an_object_can_be_shown_instead(tmp_path):
    run = make_pixelnerf_run(tmp_path / "run", "srn_car", image_size=32)
    photo = np.full((80, 90, 4), 255, np.uint8)
    photo[..., 3] = 0
    photo[20:60, 25:65] = (200, 60, 40, 255)
    Image.fromarray(photo).save(tmp_path / "car.png")
    host = RunHost(run, photo=[tmp_path / "car.png"])
    stage = host.stage
    assert stage.name == "car"
    assert stage.export is None
    assert stage.render_flags == ("--photo", str(tmp_path / "car.png"))
    assert host.choices.takes_photos
    content = io.BytesIO()
    Image.fromarray(np.roll(photo, 5, axis=1)).save(content, format="PNG")
    uploaded = host.choices.take("..\\..\\other.png", content.getvalue())
    assert uploaded.name == "other"
    with pytest.raises(InputError):
        host.choices.take("none.png", b"this is no picture")
    # Sent names name nothing outside of the folder that is gone afterwards.
    assert not (tmp_path / "other.png").exists()


def test_an_object_is_given_in_one_way(make_warp_run):
    run = with_weights(make_warp_run(), blend=0.5)
    with pytest.raises(InputError, match="two ways"):
        RunHost(run, object="test_1", photo=["a.png"])


def test_an_object_is_shown_while_the_method_is_trained(warp, ball_data, tmp_path, monkeypatch):
    monkeypatch.setattr(view_training, "wait_for_interruption", lambda *arguments: None)
    monkeypatch.setattr("sightline.viewer.turns.REFRESH_SECONDS", 0.0)
    shown, begin = [], view_training.TrainingViewer.begin

    def begin_and_look(self, run, method):
        begin(self, run, method)
        stage, scheduler = self.viewer.host.stage, self.viewer.scheduler
        scheduler.open(9, stage.painter(), shown.append, Pace())
        scheduler.look(9, Look(stage.photos.cameras.c2w[1].numpy(), 0.8, 32, 24))

    monkeypatch.setattr(view_training.TrainingViewer, "begin", begin_and_look)
    options = read_layers(get_method_info("warp")).options
    weights = []
    for view in (True, False):
        out = tmp_path / f"view-{view}"
        chosen = replace(options, out=out, steps=40, view=view, view_port=0, eval_every=0)
        train_method("warp", ball_data, WarpConfig(), chosen)
        weights.append(load_file(out / "weights.safetensors"))
    assert len(shown) > 2
    assert all(isinstance(picture, Picture) for picture in shown)
    assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])
