import errno
import hashlib
import io
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sightline.foundation import cache
from sightline.foundation.cache import Asset, UnavailableError, fetch, sha256_of
from sightline.foundation.errors import InputError

CONTENT = b"published weights" * 1000
ASSET = Asset(
    name="net-abc.pth",
    url="https://example.invalid/net-abc.pth",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
    aliases=("v0.1/net.pth",),
)


class Answer(io.BytesIO):
    """A response that can break off after some bytes."""

    def __init__(self, content: bytes, error: Exception | None = None):
        super().__init__(content)
        self.error = error

    def read(self, size=-1):
        block = super().read(min(size, 1000))
        if not block and self.error:
            raise self.error
        return block


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("SIGHTLINE_WEIGHTS", raising=False)
    monkeypatch.delenv("SIGHTLINE_OFFLINE", raising=False)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def refuse(*arguments, **options):
    raise AssertionError("the network must not be asked")


def serve(monkeypatch, answer):
    requests = []

    def urlopen(request, timeout):
        requests.append((request.full_url, timeout))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return requests


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_download_is_kept_and_asked_for_once(tmp_path, monkeypatch):
    requests = serve(monkeypatch, Answer(CONTENT))
    copy = fetch(ASSET)
    assert copy.path == tmp_path / "cache" / "net-abc.pth"
    assert copy.path.read_bytes() == CONTENT
    assert copy.published
    assert requests == [(ASSET.url, cache.TIMEOUT_SECONDS)]
    assert cache.TIMEOUT_SECONDS <= 15
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert fetch(ASSET) == copy


def test_a_spoilt_file_in_the_cache_is_downloaded_again(tmp_path, monkeypatch):
    put(tmp_path / "cache" / "net-abc.pth", CONTENT[:-1])
    serve(monkeypatch, Answer(CONTENT))
    assert sha256_of(fetch(ASSET).path) == ASSET.sha256


def test_pytorchs_own_cache_is_used(tmp_path):
    path = put(tmp_path / "torch" / "hub" / "checkpoints" / "net-abc.pth")
    assert fetch(ASSET).path == path


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (urllib.error.URLError(OSError("Name or service not known")), "no connection.*Name or service"),
        (urllib.error.URLError(TimeoutError("timed out")), "did not answer within 10 s"),
        (urllib.error.HTTPError(ASSET.url, 404, "Not Found", None, None), "answered 404 Not Found"),  # pyright: ignore
        (Answer(CONTENT[:500], TimeoutError("timed out")), "did not answer within 10 s"),
        (Answer(CONTENT[:500]), "SHA-256"),
        (Answer(b"<html>log in first</html>"), "SHA-256"),
    ],
)
def test_failed_download_says_why_and_leaves_nothing(tmp_path, monkeypatch, answer, reason):
    serve(monkeypatch, answer)
    with pytest.raises(UnavailableError, match=reason) as caught:
        fetch(ASSET)
    assert "SIGHTLINE_WEIGHTS" in str(caught.value)
    folder = tmp_path / "cache"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_full_disk_is_a_reason_too(tmp_path, monkeypatch):
    serve(monkeypatch, Answer(CONTENT))

    def full(asset, response, file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_copy", full)
    with pytest.raises(UnavailableError, match="No space left on device"):
        fetch(ASSET)
    assert list((tmp_path / "cache").iterdir()) == []


def test_offline_switch_asks_nobody(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="SIGHTLINE_OFFLINE"):
        fetch(ASSET)


@pytest.mark.parametrize("name", ["net-abc.pth", "v0.1/net.pth"])
def test_local_folder_comes_first(tmp_path, monkeypatch, name):
    put(tmp_path / "cache" / "net-abc.pth")
    path = put(tmp_path / "mine" / name)
    monkeypatch.setenv("SIGHTLINE_WEIGHTS", str(tmp_path / "mine"))
    copy = fetch(ASSET)
    assert (copy.path, copy.published) == (path, True)


def test_local_file_with_other_content_is_taken_with_a_warning(tmp_path, monkeypatch, caplog):
    path = put(tmp_path / "net.pth", b"my own")
    monkeypatch.setenv("SIGHTLINE_WEIGHTS", str(path))
    copy = fetch(ASSET)
    assert (copy.path, copy.published) == (path, False)
    assert copy.sha256 == hashlib.sha256(b"my own").hexdigest()
    assert "not the published net-abc.pth" in caplog.text


def test_local_file_of_another_asset_is_passed_over(tmp_path, monkeypatch):
    other = put(tmp_path / "other.pth")
    cached = put(tmp_path / "cache" / "net-abc.pth")
    folder = put(tmp_path / "empty" / "readme.txt").parent
    monkeypatch.setenv("SIGHTLINE_WEIGHTS", cache.os.pathsep.join([str(other), str(folder)]))
    assert fetch(ASSET).path == cached


def test_mistyped_local_path_is_an_input_error(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_WEIGHTS", str(tmp_path / "wieghts"))
    with pytest.raises(InputError, match=r"SIGHTLINE_WEIGHTS=.*wieghts"):
        fetch(ASSET)


def test_default_folder_is_the_operating_systems(monkeypatch):
    monkeypatch.delenv("SIGHTLINE_CACHE")
    import platformdirs

    assert cache.cache_folder() == platformdirs.user_cache_path("sightline", appauthor=False)
