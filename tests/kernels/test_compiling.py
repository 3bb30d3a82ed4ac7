import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sightline.kernels import compiling
from sightline.kernels.compiling import Kernel, inline, kernel
from sightline.kernels.warm import all_kernels, compile_all, compile_operations, kernels_of


@inline
def _doubled(x):
    return x + x


def _fill(out, value, start, stop):
    """Write twice a value."""
    for k in range(start, stop):
        out[k] = _doubled(value)


def new_kernel() -> Kernel:
    return Kernel(_fill, "void(T[::1], T, int64, int64)", compiling.FAST)


def check(function, dtype) -> None:
    out = np.zeros(5, dtype)
    function(out, dtype(1.5), 1, 4)
    assert out.tolist() == [0, 3, 3, 3, 0]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_one_machine_code_for_each_type(cache):
    fill = new_kernel()
    assert fill.__doc__ == "Write twice a value."
    single, double = fill.compiled(np.float32), fill.compiled(np.float64)
    check(single, np.float32)
    check(double, np.float64)
    assert fill.compiled() is single
    assert fill.compiled(np.dtype("float64")) is double
    with pytest.raises(TypeError):
        single(np.zeros(5, np.float64), 1.0, 0, 5)


def test_the_decorator_makes_a_kernel(cache):
    made = kernel("void(T[::1], T, int64, int64)")(_fill)
    assert isinstance(made, Kernel)
    assert made.fastmath == compiling.FAST
    check(made.compiled(np.float64), np.float64)


def test_sums_stay_in_order_and_nan_stays():
    assert not {"reassoc", "nnan", "ninf", "fast"} & compiling.FAST
    assert not {"nnan", "ninf", "fast"} & compiling.FAST_REDUCTION


def test_machine_code_is_loaded_from_the_cache(cache):
    first, second = new_kernel(), new_kernel()
    before = compiling.compile_seconds()
    saved = first.compiled(np.float32)
    spent = compiling.compile_seconds() - before
    assert spent > 0
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb*")}
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    assert all(path.is_relative_to(compiling.cache_folder()) for path in files)
    loaded = second.compiled(np.float32)
    assert (sum(saved.stats.cache_hits.values()), sum(loaded.stats.cache_hits.values())) == (0, 1)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb*")} == files
    check(loaded, np.float32)
    # A second call costs nothing.
    before = compiling.compile_seconds()
    assert first.compiled(np.float32) is saved
    assert compiling.compile_seconds() == before


def folder_after_import(sources: Path) -> str:
    """Name of the cache folder for a copy of the sources."""
    spec = importlib.util.spec_from_file_location("compiling_copy", sources / "compiling.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cache_folder().name


@pytest.fixture
def sources(tmp_path) -> Path:
    """A copy of the kernels' sources."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(Path(compiling.__file__).parent, tmp_path / "kernels", ignore=ignored))


def test_the_cache_belongs_to_the_sources(sources):
    here = folder_after_import(sources)
    assert folder_after_import(sources) == here
    source = sources / "hash_encoding" / "cpu.py"
    original, stamp = source.read_bytes(), source.stat()
    source.write_bytes(original + b"\n")
    edited = folder_after_import(sources)
    # An edit that keeps size and time stamp is seen as well.
    source.write_bytes(original + b" ")
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert len({here, edited, folder_after_import(sources)}) == 3
    source.write_bytes(original)
    assert folder_after_import(sources) == here


def test_an_edit_does_not_rename_code_that_was_loaded_before(sources, monkeypatch):
    here = compiling.cache_folder()
    (sources / "hash_encoding" / "cpu.py").write_text("edited", encoding="utf-8")
    monkeypatch.setattr(compiling, "__file__", str(sources / "compiling.py"))
    assert compiling.cache_folder() == here


def test_the_cache_belongs_to_the_compiler(sources, monkeypatch):
    here = folder_after_import(sources)
    monkeypatch.setattr(compiling.numba, "__version__", "0.0.1")
    assert folder_after_import(sources) != here


def test_the_cache_can_be_moved(cache):
    assert compiling.cache_folder().parent == cache / "kernels"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("SIGHTLINE_CACHE", str(blocked))
    check(new_kernel().compiled(np.float32), np.float32)
    assert blocked.read_text(encoding="utf-8") == "not a folder"


def test_a_full_disk_is_done_without(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    check(new_kernel().compiled(np.float64), np.float64)


@pytest.mark.parametrize("length", [0, 20])
def test_a_cache_cut_short_is_done_without_and_made_anew(cache, length):
    new_kernel().compiled(np.float32)
    for path in cache.rglob("*.nb*"):
        path.write_bytes(path.read_bytes()[:length])
    check(new_kernel().compiled(np.float32), np.float32)
    # The broken files are gone: the next kernel is saved, the one after it loaded.
    codes = [new_kernel().compiled(np.float32) for _ in range(2)]
    assert [sum(code.stats.cache_hits.values()) for code in codes] == [0, 1]


def test_numba_keeps_its_own_cache_folder(cache):
    before = compiling.numba.config.CACHE_DIR
    new_kernel().compiled(np.float32)
    assert before == compiling.numba.config.CACHE_DIR


def test_threads_that_ask_at_once_get_the_same_code(cache):
    fill, barrier = new_kernel(), threading.Barrier(3)
    found = []

    def ask():
        barrier.wait(20)
        found.append(fill.compiled(np.float32))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 3
    assert all(code is found[0] for code in found)


def test_all_kernels_are_found_and_compiled():
    kernels = all_kernels()
    assert all(isinstance(found, Kernel) for found in kernels)
    folders = {found.function.__module__.split(".")[-2] for found in kernels}
    assert folders == {path.parent.name for path in Path(compiling.__file__).parent.glob("*/cpu.py")}
    assert {"hash_encoding", "mlp", "marching", "compositing", "adam"} <= folders
    before = compiling.compile_seconds()
    seconds = compile_all()
    assert seconds == pytest.approx(compiling.compile_seconds() - before)
    # Now all are there.
    assert compile_all() == 0


def test_the_kernels_of_some_operations_are_compiled_alone(monkeypatch):
    names = [found.__name__ for found in kernels_of("visibility", "occupancy")]
    assert names == ["_summarise", "_observe", "_bin_weights", "_visible"]
    asked = []
    monkeypatch.setattr(Kernel, "compiled", lambda self, dtype: asked.append((self.__name__, dtype)))
    compile_operations("visibility", dtype=np.float64)
    assert asked == [("_bin_weights", np.float64), ("_visible", np.float64)]


_SCRIPT = """
import json
from sightline.kernels.warm import all_kernels, compile_all
seconds = compile_all()
hits = [sum(k.compiled().stats.cache_hits.values()) for k in all_kernels()]
print(json.dumps({"seconds": seconds, "hits": hits}))
"""


def compile_in_a_process(cache: Path) -> dict:
    environment = {**os.environ, "SIGHTLINE_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path):
    cold = compile_in_a_process(tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    warm = compile_in_a_process(tmp_path)
    assert set(cold["hits"]) == {0}
    assert set(warm["hits"]) == {1}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")} == files
    assert math.isfinite(warm["seconds"])
    assert warm["seconds"] < cold["seconds"] / 3
