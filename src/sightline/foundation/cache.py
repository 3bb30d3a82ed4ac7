"""Published files that are needed at run time (network weights): found locally, or downloaded and checked.

`fetch(asset)` looks in this order:

1. `SIGHTLINE_WEIGHTS`: a file or a folder of the user's own (several, separated like `PATH`). What is named
   there is taken as it is; where its checksum is not the published one, a warning says so and the copy is not
   `published`.
2. The cache of earlier downloads (`cache_folder()`), and PyTorch's own, which often holds the same files.
3. The places where it is published. A download is kept only with the right SHA-256.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, RunError, SightlineError, inform, warn
from sightline.foundation.files import atomic_path

LOCAL_VARIABLE = "SIGHTLINE_WEIGHTS"
OFFLINE_VARIABLE = "SIGHTLINE_OFFLINE"
CACHE_VARIABLE = "SIGHTLINE_CACHE"
TIMEOUT_SECONDS = 10.0
_BLOCK = 1 << 20


class UnavailableError(SightlineError):
    """A published file can be had neither locally nor from the network; callers may go on without it."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A published file: where it is, what its bytes must hash to, and what users may call their own copy."""

    name: str
    """file name in the cache"""
    url: str
    sha256: str
    """64 hexadecimal digits"""
    size: int
    """bytes, for messages"""
    aliases: tuple[str, ...] = ()
    """other relative paths under which a folder in SIGHTLINE_WEIGHTS may hold it"""


@dataclass(frozen=True)
class LocalCopy:
    """A file on this machine that stands for an asset."""

    path: Path
    sha256: str
    published: bool
    """whether the bytes are the published ones"""


def cache_folder() -> Path:
    """The folder of downloads: `SIGHTLINE_CACHE`, or the user's cache folder of the operating system."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("sightline", appauthor=False)


def sha256_of(path: Path | str) -> str:
    """Hash a file in blocks, so that a large one is not held in memory."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise InputError(f"Cannot read the file ({error.strerror or error})", where=path) from error
    return digest.hexdigest()


def fetch(asset: Asset) -> LocalCopy:
    """Find or download a published file.

    Raises:
        UnavailableError: there is no local copy and the download failed or is switched off; the message says
            why and what to do.
        InputError: `SIGHTLINE_WEIGHTS` names something that does not exist.
    """
    local = find(asset)
    if local is not None:
        return local
    if _is_set(OFFLINE_VARIABLE):
        raise _unavailable(asset, f"downloads are switched off by {OFFLINE_VARIABLE}")
    cached = cache_folder() / asset.name
    _download(asset, cached)
    return LocalCopy(cached, asset.sha256, published=True)


def find(asset: Asset) -> LocalCopy | None:
    """Find a published file on this machine, without the network; None where it is not.

    Raises:
        InputError: `SIGHTLINE_WEIGHTS` names something that does not exist.
    """
    given = _given_by_user(asset)
    if given is not None:
        return given
    for path in (cache_folder() / asset.name, _torch_hub_folder() / asset.name):
        if path.is_file() and sha256_of(path) == asset.sha256:
            return LocalCopy(path, asset.sha256, published=True)
    return None


def _given_by_user(asset: Asset) -> LocalCopy | None:
    for entry in filter(None, os.environ.get(LOCAL_VARIABLE, "").split(os.pathsep)):
        place = Path(entry).expanduser()
        if not place.exists():
            raise InputError(
                "There is no such file or folder",
                where=f"{LOCAL_VARIABLE}={entry}",
                fix="Correct the environment variable or remove it",
            )
        for path in _candidates(place, asset):
            if path.is_file():
                digest = sha256_of(path)
                if digest != asset.sha256:
                    warn(
                        f"{path} is not the published {asset.name} (SHA-256 {digest[:8]}…, published "
                        f"{asset.sha256[:8]}…); figures made with it are not comparable with published ones."
                    )
                return LocalCopy(path, digest, published=digest == asset.sha256)
    return None


def _candidates(place: Path, asset: Asset) -> Iterator[Path]:
    names = (asset.name, *asset.aliases)
    if place.is_dir():
        yield from (place / name for name in names)
    elif place.name in {Path(name).name for name in names}:
        yield place


def _torch_hub_folder() -> Path:
    home = os.environ.get("TORCH_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(home) if home else Path(cache) / "torch") / "hub" / "checkpoints"


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() not in {"", "0", "false", "no"}


def _unavailable(asset: Asset, reason: str) -> UnavailableError:
    folder = cache_folder()
    return UnavailableError(
        f"{asset.name} is not on this machine and could not be downloaded: {reason}",
        where=asset.url,
        fix=f"Connect to the network, or put the file in {folder} or in a folder named by {LOCAL_VARIABLE}",
    )


def _download(asset: Asset, target: Path) -> None:
    inform(f"Downloading {asset.name} ({asset.size / 1e6:.1f} MB) to {target.parent}")
    request = urllib.request.Request(asset.url, headers={"User-Agent": "sightline"})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise _unavailable(asset, _network_reason(error)) from error
    try:
        with response, atomic_path(target) as temporary, open(temporary, "wb") as file:
            digest = _copy(asset, response, file)
            if digest != asset.sha256:
                raise _unavailable(asset, f"what came has SHA-256 {digest}, not {asset.sha256}")
    except RunError as error:
        raise _unavailable(asset, f"it cannot be saved ({error})") from error


def _copy(asset: Asset, response: Any, file: Any) -> str:
    digest = hashlib.sha256()
    with _progress(asset) as advance:
        while True:
            try:
                block = response.read(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise _unavailable(asset, _network_reason(error)) from error
            if not block:
                return digest.hexdigest()
            digest.update(block)
            file.write(block)
            advance(len(block))


@contextmanager
def _progress(asset: Asset) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (asset.name, BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("download", total=asset.size)
        yield lambda count: progress.advance(task, count)


def _network_reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return f"the server did not answer within {TIMEOUT_SECONDS:.0f} s"
    return f"no connection ({getattr(error, 'reason', None) or error})"
