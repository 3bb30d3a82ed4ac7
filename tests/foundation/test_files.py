import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.foundation.errors import InputError, RunError
from sightline.foundation.files import atomic_path, read_json, write_atomic, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_atomic_write_makes_folders_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "a" / "b" / "file.bin"
    write_atomic(target, b"one")
    write_atomic(target, b"two")
    assert target.read_bytes() == b"two"
    assert names(target.parent) == ["file.bin"]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_earlier_file_survives_an_error_inside_the_block(tmp_path, error):
    target = tmp_path / "file"
    write_atomic(target, b"earlier")

    def write_half():
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert target.read_bytes() == b"earlier"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_earlier_file_survives_a_full_disk(tmp_path, monkeypatch, step):
    target = tmp_path / "file"
    write_atomic(target, b"earlier")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "write":
        monkeypatch.setattr(Path, "write_bytes", full)
    else:
        monkeypatch.setattr(os, step, full)
    with pytest.raises(RunError, match="No space left on device") as caught:
        write_atomic(target, b"later")
    monkeypatch.undo()
    assert str(target) in str(caught.value)
    assert "unchanged" in str(caught.value)
    assert target.read_bytes() == b"earlier"
    assert names(tmp_path) == ["file"]


def test_read_only_folder_is_a_run_error(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunError, match="Permission denied"):
        write_atomic(tmp_path / "new" / "file", b"x")


def test_a_file_in_place_of_the_folder_is_a_run_error(tmp_path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(RunError, match="Cannot write"):
        write_atomic(tmp_path / "taken" / "file", b"x")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=json_values)
def test_json_round_trip(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_other_programs_cannot_read(tmp_path, value):
    path = tmp_path / "value.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"psnr": value})
    assert read_json(path) == 1


def test_json_error_names_line_and_column(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{\n  "a": 1,\n  "b" 2\n}', encoding="utf-8")
    with pytest.raises(InputError, match=r"broken\.json, line 3, column 7"):
        read_json(path)


def test_json_with_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "windows.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path) == [1]


def test_json_that_is_missing_or_not_text(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_json(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'"\xe9"')
    with pytest.raises(InputError, match="Cannot read"):
        read_json(tmp_path / "latin.json")
