"""The folders of compiled kernels on disk: where they are, and which are removed."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from sightline.foundation.cache import cache_folder as downloads_folder
from sightline.kernels import compiling
from sightline.kernels.compiling import Kernel

DAY = 24 * 3600


def _fill(out, value, start, stop):
    for k in range(start, stop):
        out[k] = value


def compile_one() -> None:
    Kernel(_fill, "void(T[::1], T, int64, int64)", compiling.FAST).compiled(np.float32)


@pytest.fixture
def kernels(tmp_path, monkeypatch) -> Path:
    """The folder that holds a folder for each state of the sources."""
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


def old_folder(kernels: Path, name: str, days: float) -> Path:
    """A folder with a file, last used some days ago."""
    folder = kernels / name
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "code.nbi").write_bytes(b"code")
    stamp = time.time() - days * DAY
    os.utime(folder, (stamp, stamp))
    return folder


def test_it_lies_beside_the_downloads(monkeypatch):
    monkeypatch.delenv("SIGHTLINE_CACHE", raising=False)
    assert compiling.cache_folder().parent == downloads_folder() / "kernels"


@pytest.mark.skipif(sys.platform == "win32", reason="there the folder is made by the system itself")
def test_the_name_is_not_repeated_on_windows(monkeypatch):
    from platformdirs.windows import Windows

    monkeypatch.delenv("SIGHTLINE_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda name: "/local")
    monkeypatch.setattr(platformdirs, "PlatformDirs", Windows)
    assert compiling.cache_folder().parent.as_posix().replace("\\", "/") == "/local/sightline/Cache/kernels"


def test_folders_that_were_not_used_for_thirty_days_are_removed(kernels):
    forgotten = [old_folder(kernels, "0123456789abcdef", 31), old_folder(kernels, "f" * 16, 400)]
    # A removal that another process began and did not end.
    forgotten.append(old_folder(kernels, "0" * 16 + ".removed", 31))
    kept = [old_folder(kernels, "a" * 16, 29), old_folder(kernels, "my-own-folder", 400)]
    compile_one()
    assert not any(folder.exists() for folder in forgotten)
    assert all((folder / "inner" / "code.nbi").read_bytes() == b"code" for folder in kept)
    assert set(kernels.iterdir()) == {*kept, compiling.cache_folder()}


def test_using_a_folder_is_noted(kernels):
    own = old_folder(kernels, compiling.cache_folder().name, 31)
    compile_one()
    assert time.time() - own.stat().st_mtime < 60
    assert (own / "inner" / "code.nbi").exists()


def test_several_processes_may_remove_at_once(kernels):
    old = [old_folder(kernels, f"{k:016x}", 40) for k in range(60)]
    own = compiling.cache_folder()
    own.mkdir()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(compiling._tidy.__wrapped__, [own] * 16))
    assert not any(folder.exists() for folder in old)
    assert own.is_dir()


def test_what_cannot_be_removed_stops_nothing(kernels, monkeypatch):
    old = old_folder(kernels, "0123456789abcdef", 31)

    def refused(*_):
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "rename", refused)
    compile_one()
    assert (old / "inner" / "code.nbi").exists()
    assert list(compiling.cache_folder().rglob("*.nbc"))
