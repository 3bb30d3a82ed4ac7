import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.foundation.errors import InputError
from sightline.media.pfm import read_pfm, write_pfm

maps = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(lambda s: st.sampled_from([s, (*s, 3)]))


def test_golden_file_is_read_and_written_byte_by_byte(shared, tmp_path):
    golden = shared / "golden" / "nerf"
    expected = np.load(golden / "depth_000.npy")
    assert np.array_equal(read_pfm(golden / "depth_000.pfm"), expected)
    write_pfm(tmp_path / "depth.pfm", expected)
    assert (tmp_path / "depth.pfm").read_bytes() == (golden / "depth_000.pfm").read_bytes()


def test_rows_are_stored_from_the_bottom(tmp_path):
    write_pfm(tmp_path / "a.pfm", np.array([[1, 2], [3, 4]], np.float32))
    data = (tmp_path / "a.pfm").read_bytes()
    assert data.startswith(b"Pf\n2 2\n-1.000000\n")
    assert np.frombuffer(data[-16:], "<f4").tolist() == [3, 4, 1, 2]


def test_big_endian_colour_by_hand(tmp_path):
    values = np.arange(6, dtype=">f4").tobytes()
    (tmp_path / "big.pfm").write_bytes(b"PF\n1 2\n1.0\n" + values)
    assert read_pfm(tmp_path / "big.pfm").tolist() == [[[3, 4, 5]], [[0, 1, 2]]]


@given(values=hnp.arrays(np.float32, maps, elements=st.floats(width=32)))
def test_round_trip_is_exact(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("pfm") / "map.pfm"
    write_pfm(path, values)
    assert read_pfm(path).view(np.uint32).tolist() == values.view(np.uint32).tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5\n1 1\n255\n0", "Not a PFM file"),
        (b"Pf\n1 x\n-1\n0000", "Not a PFM file"),
        (b"Pf\n2 2\n-1.0\n" + b"0" * 15, "15 of 16 bytes"),
        (b"Pf\n0 2\n-1.0\n", "cut short"),
        (b"", "Not a PFM file"),
    ],
)
def test_broken_files(tmp_path, content, message):
    (tmp_path / "broken.pfm").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_pfm(tmp_path / "broken.pfm")
    assert "broken.pfm" in str(caught.value)


def test_missing_file_and_wrong_shape(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        read_pfm(tmp_path / "none.pfm")
    with pytest.raises(ValueError, match="one or three"):
        write_pfm(tmp_path / "a.pfm", np.zeros((2, 2, 4), np.float32))
