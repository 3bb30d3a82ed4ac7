"""Videos through the ffmpeg program of imageio-ffmpeg: frames go in one at a time, none is kept."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import numpy as np

from sightline.foundation.errors import InputError, RunError, inform
from sightline.foundation.files import atomic_path
from sightline.media.images import write_png

# H.264 in the only pixel format that every browser decodes; the index in front, so that it plays while it
# loads; the colour matrix said in the file, since players guess differently where it is not.
_MP4 = (
    "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p -c:v libx264 -preset medium -crf {crf} "
    "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv -movflags +faststart -f mp4"
)


def write_video(
    path: Path | str, frames: Iterable[np.ndarray], fps: float | int = 30.0, *, crf: int = 18
) -> int:
    """Write frames as a video: `.mp4` (H.264, plays in browsers), endless `.gif`, or a folder of PNG files.

    Args:
        path: the suffix says the format; a path without suffix is a folder, filled with 0000.png, 0001.png …
        frames: pictures of one size, uint8, RGB (PNG frames may also be RGBA); taken one at a time. In mp4 an
            odd width or height is made even by repeating the last column or row.
        fps: frames per second.
        crf: quality of mp4, 0 (lossless) to 51; 18 is hard to tell from the source.

    Returns:
        The number of frames written.

    Raises:
        InputError: no frames, frames of different sizes or of another kind, an unknown suffix.
        RunError: ffmpeg failed, or the file cannot be written; an earlier file of that name is unchanged.
    """
    path = Path(path)
    if not 0 < fps <= 1000:
        raise InputError(f"{fps} frames per second cannot be written", fix="Choose between 1 and 120")
    suffix = path.suffix.lower()
    if suffix == "":
        return write_frames(path, frames)
    if suffix not in (".mp4", ".gif"):
        raise InputError(
            f"No video format has the suffix {suffix!r}", where=path, fix="Use .mp4, .gif or a folder"
        )
    first, rest = _first_of(frames, path)
    _check(first, first.shape, path)
    checked = _checked(chain([first], rest), first.shape, path)
    with atomic_path(path) as temporary:
        if suffix == ".mp4":
            return _write_mp4(temporary, checked, first.shape, fps, crf)
        return _write_gif(temporary, checked, first.shape, fps)


def write_frames(folder: Path | str, frames: Iterable[np.ndarray]) -> int:
    """Write frames, grey, RGB or RGBA, as 0000.png, 0001.png … into a folder; returns how many there were."""
    folder = Path(folder)
    count = 0
    for count, frame in enumerate(frames, start=1):
        write_png(folder / f"{count - 1:04d}.png", frame)
    if count == 0:
        raise InputError("There are no frames to write", where=folder)
    return count


def _first_of(frames: Iterable[np.ndarray], path: Path) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    iterator = iter(frames)
    try:
        return next(iterator), iterator
    except StopIteration:
        raise InputError("There are no frames to write", where=path) from None


def _checked(frames: Iterable[np.ndarray], shape: tuple[int, ...], path: Path) -> Iterator[np.ndarray]:
    for frame in frames:
        _check(frame, shape, path)
        yield frame


def _check(frame: np.ndarray, shape: tuple[int, ...], path: Path) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InputError(
            f"A video takes RGB frames of uint8, not {frame.dtype} of shape {frame.shape}",
            where=path,
            fix="Composite transparent frames over a background, or write PNG frames",
        )
    if frame.shape != shape:
        raise InputError(f"The frames have different sizes: {shape[:2]} and {frame.shape[:2]}", where=path)


def _write_mp4(
    path: Path, frames: Iterator[np.ndarray], shape: tuple[int, ...], fps: float | int, crf: int
) -> int:
    extra = (shape[0] % 2, shape[1] % 2)
    if any(extra):
        inform(f"H.264 needs even sizes: the video is {shape[1] + extra[1]}x{shape[0] + extra[0]}.")
        frames = (np.pad(f, ((0, extra[0]), (0, extra[1]), (0, 0)), mode="edge") for f in frames)
    size = (shape[1] + extra[1], shape[0] + extra[0])
    return _pipe(frames, size, fps, [*_MP4.format(crf=crf).split(), str(path)])


def _write_gif(path: Path, frames: Iterator[np.ndarray], shape: tuple[int, ...], fps: float | int) -> int:
    # Two passes: a palette for all frames needs all of them, and a lossless file on disk holds them instead
    # of memory.
    with tempfile.TemporaryDirectory(prefix="sightline-") as folder:
        lossless, palette = Path(folder) / "frames.nut", Path(folder) / "palette.png"
        graph = "[0:v]split[frames][seen];[seen]palettegen=stats_mode=full[palette]"
        outputs = ["-map", "[frames]", "-c:v", "ffv1", "-pix_fmt", "bgr0", "-f", "nut", str(lossless)]
        outputs += ["-map", "[palette]", "-update", "1", str(palette)]
        count = _pipe(frames, (shape[1], shape[0]), fps, ["-filter_complex", graph, *outputs])
        inputs = ["-i", str(lossless), "-i", str(palette)]
        dithered = "paletteuse=dither=sierra2_4a:diff_mode=rectangle"
        _run([*inputs, "-lavfi", dithered, "-loop", "0", "-f", "gif", str(path)])
    return count


def _command(arguments: list[str]) -> list[str]:
    return [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-hide_banner",
        "-loglevel",
        "error",
        "-nostdin",
        "-y",
        *arguments,
    ]


def _run(arguments: list[str]) -> None:
    finished = subprocess.run(_command(arguments), capture_output=True, check=False)
    if finished.returncode != 0:
        raise _failure(finished.stderr)


def _pipe(frames: Iterator[np.ndarray], size: tuple[int, int], fps: float | int, outputs: list[str]) -> int:
    source = f"-f rawvideo -pix_fmt rgb24 -s {size[0]}x{size[1]} -r {fps} -i -".split()
    # Messages go to a file: a pipe that nobody reads would fill up and stop ffmpeg.
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            _command([*source, *outputs]),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=messages,
        )
        assert process.stdin is not None
        try:
            count = _feed(process.stdin, frames)
            process.stdin.close()
            process.wait()
        except BrokenPipeError:
            process.wait()
            count = 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode != 0 or count == 0:
            messages.seek(0)
            raise _failure(messages.read())
    return count


def _feed(pipe: IO[bytes], frames: Iterator[np.ndarray]) -> int:
    count = 0
    for count, frame in enumerate(frames, start=1):  # noqa: B007 - the count is what is returned
        pipe.write(np.ascontiguousarray(frame).data)
    pipe.flush()
    return count


def _failure(messages: bytes) -> RunError:
    text = messages.decode("utf-8", "replace").strip()
    full = os.strerror(errno.ENOSPC)
    if full in text:
        return RunError(
            f"The video cannot be written ({full})", fix="Free some space or choose another --out"
        )
    lines = text.splitlines()
    return RunError(f"ffmpeg could not write the video ({' | '.join(lines[-5:]) or 'no message'})")
