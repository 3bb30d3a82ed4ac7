import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.foundation.errors import InputError, RunError
from sightline.media.exr import read_exr, write_exr

shapes = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda s: st.sampled_from([s, (*s, 3), (*s, 4)])
)


@given(values=hnp.arrays(np.float32, shapes, elements=st.floats(width=32)))
def test_round_trip_is_exact(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("exr") / "map.exr"
    write_exr(path, values)
    assert read_exr(path).view(np.uint32).tolist() == values.view(np.uint32).tolist()
    assert [file.name for file in path.parent.iterdir()] == ["map.exr"]


@pytest.mark.parametrize(("shape", "names"), [((2, 3), "Z"), ((2, 3, 3), "RGB"), ((2, 3, 4), "RGBA")])
def test_channels_have_their_usual_names(tmp_path, shape, names):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    write_exr(tmp_path / "a.exr", values)
    assert (tmp_path / "a.exr").read_bytes()[:4] == b"\x76\x2f\x31\x01"
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        found = {name: channel.pixels for name, channel in file.channels().items()}
    assert set(found) == set(names)
    for name, channel in found.items():
        assert channel.dtype == np.float32
        assert np.array_equal(channel, values if names == "Z" else values[..., names.index(name)])


def test_parts_of_larger_pictures_are_written(tmp_path):
    values = np.arange(48, dtype=np.float32).reshape(4, 4, 3)[::-1, ::2]
    write_exr(tmp_path / "a.exr", values)
    assert np.array_equal(read_exr(tmp_path / "a.exr"), values)


@pytest.mark.parametrize("shape", [(2, 3, 2), (0, 3), (2, 2, 3, 1)])
def test_shapes_that_are_no_pictures_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="shape"):
        write_exr(tmp_path / "a.exr", np.zeros(shape, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_half_precision_of_other_programs_is_read(tmp_path):
    pixels = np.array([[1.5, -2]], np.float16)
    with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, {"depth.V": pixels}) as file:
        file.write(str(tmp_path / "half.exr"))
    found = read_exr(tmp_path / "half.exr")
    assert (found.dtype, found.tolist()) == (np.float32, [[1.5, -2]])


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_exr(tmp_path / "none.exr")
    write_exr(tmp_path / "cut.exr", np.random.default_rng(0).random((64, 64), np.float32))
    data = (tmp_path / "cut.exr").read_bytes()
    for wrong in (b"", b"P6 not EXR", data[:100], data[: len(data) // 2]):
        (tmp_path / "cut.exr").write_bytes(wrong)
        with pytest.raises(InputError, match="Cannot read the EXR file"):
            read_exr(tmp_path / "cut.exr")


def test_other_channels_are_named(tmp_path):
    two = {name: np.zeros((2, 2), np.float32) for name in ("u", "v")}
    with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, two) as file:
        file.write(str(tmp_path / "flow.exr"))
    with pytest.raises(InputError, match="channels u, v"):
        read_exr(tmp_path / "flow.exr")


def test_what_was_there_survives_a_full_disk(tmp_path, monkeypatch):
    path = tmp_path / "a.exr"
    write_exr(path, np.ones((2, 2), np.float32))

    def full(self, name):
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(OpenEXR.File, "write", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_exr(path, np.zeros((2, 2), np.float32))
    assert (read_exr(path) == 1).all()
    assert [file.name for file in tmp_path.iterdir()] == ["a.exr"]
