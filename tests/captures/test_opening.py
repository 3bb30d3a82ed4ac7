from types import SimpleNamespace

import pytest

from sightline.captures import detect_format, open_capture, write_capture
from sightline.captures.formats import Format, get_format, list_formats
from sightline.foundation import registry
from sightline.foundation.errors import InputError


@pytest.mark.parametrize(
    ("folder", "format"),
    [
        ("fox", "transforms"),
        ("fox/transforms.json", "transforms"),
        ("nerf_synthetic_lego_400", "blender"),
        ("nerf_synthetic_lego_400/transforms_test.json", "transforms"),
        ("llff_fern_504", "llff"),
        ("llff_bird", "llff"),
        ("llff_bird/sparse/0", "colmap"),
    ],
)
def test_formats_are_detected(shared, folder, format):
    assert detect_format(shared / "data" / folder) == format


def test_unknown_folders_say_what_was_looked_for(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        open_capture(tmp_path)
    message = str(caught.value)
    for name in (
        "transforms_train.json",
        "transforms.json",
        "poses_bounds.npy",
        "sparse/0",
        "sightline poses",
    ):
        assert name in message
    assert str(tmp_path) in message
    assert caught.value.exit_code == 2


def test_folders_of_captures_name_one(tmp_path, capture_in_memory):
    write_capture(capture_in_memory(), tmp_path / "set" / "a", "transforms")
    (tmp_path / "set" / "notes").mkdir()
    with pytest.raises(InputError, match=r"no capture itself, but 1 of the folders in it are.*set/a"):
        open_capture(tmp_path / "set")


def test_missing_folders(tmp_path):
    with pytest.raises(InputError, match=r"no such folder or file.*nowhere"):
        open_capture(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no such folder or file.*nowhere"):
        open_capture(tmp_path / "nowhere", format="llff")


def test_unknown_format_names(tmp_path):
    with pytest.raises(InputError, match=r"no format 'nerf'.*blender, multi-object, transforms, shiny, llff"):
        open_capture(tmp_path, format="nerf")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"downscale": 0.5}, "Cannot downscale by 0.5"),
        ({"downscale": float("nan")}, "Cannot downscale"),
        ({"holdout": 1}, "leaves nothing to train on"),
        ({"split_rule": "random"}, "no split rule 'random'.*format, holdout, center"),
    ],
)
def test_bad_options(transforms_scene, options, message):
    with pytest.raises(InputError, match=message):
        open_capture(transforms_scene(3), **options)


@pytest.mark.parametrize("format", ["blender", "llff", "colmap", "transforms"])
def test_a_format_that_is_not_there(tmp_path, format):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError):
        open_capture(tmp_path, format=format)


def test_every_format_says_what_it_is():
    for format in list_formats():
        assert get_format(format.name) == format
        assert format.summary


def test_other_packages_add_formats(tmp_path, monkeypatch, capture_in_memory):
    (tmp_path / "cameras.foreign").write_text("", encoding="utf-8")
    foreign = Format(
        name="foreign",
        summary="made elsewhere",
        looked_for="cameras.foreign",
        detect=lambda path: (path / "cameras.foreign").is_file(),
        read=lambda path, options: capture_in_memory(path=path, format="foreign"),
    )
    point = SimpleNamespace(load=lambda: foreign)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] * (group == "sightline.formats"))
    assert open_capture(tmp_path).format == "foreign"
    assert open_capture(tmp_path, format="foreign").path == tmp_path
    with pytest.raises(InputError, match=r"'foreign' can be read, not written.*Choose one of: blender"):
        write_capture(capture_in_memory(), tmp_path / "out", "foreign")


def test_options_are_kept_to_open_again(transforms_scene):
    folder = transforms_scene(5)
    capture = open_capture(folder, downscale=2, holdout=3)
    again = open_capture(capture.path, format=capture.format, **capture.options)
    assert again.splits == capture.splits == {"train": (1, 2, 4), "val": (), "test": (0, 3)}
    assert again.images.sizes.tolist() == capture.images.sizes.tolist() == [[8, 6]] * 5
