import re
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from sightline.foundation.errors import InputError, RunError
from sightline.media import video
from sightline.media.images import read_image
from sightline.media.video import write_video


def clip(frames=8, width=64, height=48):
    """A bright square moves over a smooth coloured ground."""
    y, x = np.mgrid[:height, :width]
    ground = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 90)], -1).astype(np.uint8)
    for i in range(frames):
        frame = ground.copy()
        frame[10:20, 4 * i : 4 * i + 10] = (250, 240, 30)
        yield frame


def decode(path):
    reader = imageio_ffmpeg.read_frames(str(path), pix_fmt="rgb24")
    size = next(reader)["size"]
    return [np.frombuffer(frame, np.uint8).reshape(size[1], size[0], 3) for frame in reader]


def facts(path):
    program = imageio_ffmpeg.get_ffmpeg_exe()
    shown = subprocess.run(
        [program, "-hide_banner", "-i", str(path)], capture_output=True, text=True, check=False
    )
    return next(line for line in shown.stderr.splitlines() if "Video:" in line)


def psnr(a, b):
    return -10 * np.log10(np.mean((a / 255.0 - b / 255.0) ** 2))


def test_mp4_plays_in_browsers_and_shows_the_frames(tmp_path):
    path = tmp_path / "out" / "clip.mp4"
    assert write_video(path, clip(), fps=24) == 8
    line = facts(path)
    assert "h264" in line
    assert re.search(r"yuv420p\(tv, bt709", line)
    assert "64x48" in line
    assert "24 fps" in line
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    frames = decode(path)
    assert len(frames) == 8
    assert min(psnr(a, b) for a, b in zip(frames, clip(), strict=True)) > 30
    assert [p.name for p in path.parent.iterdir()] == ["clip.mp4"]


def test_odd_sizes_are_padded_with_a_note(tmp_path, caplog):
    caplog.set_level("INFO", logger="sightline")
    write_video(tmp_path / "odd.mp4", clip(3, width=33, height=47))
    frames = decode(tmp_path / "odd.mp4")
    assert frames[0].shape == (48, 34, 3)
    assert psnr(frames[1][:47, :33], list(clip(3, 33, 47))[1]) > 28
    assert "34x48" in caplog.text


def test_gif_has_a_good_palette_and_repeats(tmp_path):
    assert write_video(tmp_path / "clip.gif", clip(), fps=10) == 8
    with Image.open(tmp_path / "clip.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (8, (64, 48), 0)
        durations, shown = [], []
        for i in range(8):
            gif.seek(i)
            durations.append(gif.info["duration"])
            shown.append(np.array(gif.convert("RGB")))
    assert durations == [100] * 8
    assert min(psnr(a, b) for a, b in zip(shown, clip(), strict=True)) > 28
    assert [p.name for p in tmp_path.iterdir()] == ["clip.gif"]


def test_png_frames_keep_alpha(tmp_path):
    frames = [np.full((2, 3, 4), i, np.uint8) for i in range(3)]
    assert write_video(tmp_path / "frames", iter(frames)) == 3
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["0000.png", "0001.png", "0002.png"]
    assert np.array_equal(read_image(tmp_path / "frames" / "0002.png"), frames[2])


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
def test_no_frames(tmp_path, name):
    with pytest.raises(InputError, match="no frames"):
        write_video(tmp_path / name, iter(()))


def test_frames_that_do_not_fit(tmp_path):
    good = np.zeros((4, 4, 3), np.uint8)
    for bad in (np.zeros((4, 6, 3), np.uint8), np.zeros((4, 4, 4), np.uint8), good.astype(np.float32)):
        with pytest.raises(InputError):
            write_video(tmp_path / "a.mp4", [good, bad])
    with pytest.raises(InputError, match="Composite"):
        write_video(tmp_path / "a.gif", [np.zeros((4, 4, 4), np.uint8)])
    with pytest.raises(InputError, match=r"'\.avi'"):
        write_video(tmp_path / "a.avi", [good])
    with pytest.raises(InputError, match="frames per second"):
        write_video(tmp_path / "a.mp4", [good], fps=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_an_error_while_rendering_keeps_the_earlier_video(tmp_path, name):
    (tmp_path / name).write_bytes(b"earlier")

    def failing():
        yield from clip(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / name, failing())
    assert (tmp_path / name).read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 1


def test_ffmpegs_message_reaches_the_user(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "_MP4", "-c:v no_such_encoder -f mp4")
    with pytest.raises(RunError, match="Encoder not found"):
        write_video(tmp_path / "a.mp4", clip(200))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "_MP4", "-f rawvideo /dev/full -f mp4")
    with pytest.raises(
        RunError, match=r"^The video cannot be written \(No space left on device\)\. Free some"
    ):
        write_video(tmp_path / "a.mp4", clip(20))
    assert list(tmp_path.iterdir()) == []


def test_frames_are_not_collected(tmp_path):
    alive = 0
    most = 0

    class Frame(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def frames():
        nonlocal alive, most
        for frame in clip(20):
            alive += 1
            most = max(most, alive)
            yield frame.view(Frame)

    write_video(tmp_path / "a.mp4", frames())
    if sys.implementation.name == "cpython":
        assert most <= 6
