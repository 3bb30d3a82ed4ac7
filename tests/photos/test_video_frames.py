"""Frames of videos: sharp ones, evenly along the way."""

import numpy as np
import pytest

from sightline.foundation.errors import InputError
from sightline.media.video import write_video
from sightline.photos.video import FrameFacts, choose_frames, look_at, read_frames, write_frames


def test_frames_follow_the_motion_and_are_sharp():
    """Half of the time nothing moves; a third of the frames is blurred."""
    motion = np.concatenate([np.zeros(50), np.full(150, 0.01)])
    sharp = np.where(np.arange(200) % 3 == 0, 10.0, 1.0)
    chosen = choose_frames(FrameFacts(sharp, motion), most=100)
    assert chosen == sorted(set(chosen))
    assert sum(frame < 50 for frame in chosen) <= 1
    assert 25 <= len(chosen) <= 32  # 1.5 of the longer side, in steps of 0.05
    assert all(sharp[frame] == 10 for frame in chosen)


def test_at_most_so_many():
    facts = FrameFacts(np.ones(500), np.full(500, 0.1))
    assert len(choose_frames(facts, most=20)) == 20


def test_a_camera_that_stands_still_gives_one_frame():
    assert len(choose_frames(FrameFacts(np.ones(30), np.zeros(30)), most=20)) == 1


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A texture that moves four pixels a frame; every fourth frame is blurred."""
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    wide = cv2.resize(noise, (600, 400), interpolation=cv2.INTER_CUBIC)
    path = tmp_path_factory.mktemp("video") / "moving.mp4"
    frames = (wide[100:340, 4 * frame : 4 * frame + 320] for frame in range(40))
    shaken = (cv2.GaussianBlur(part, (0, 0), 8) if k % 4 == 3 else part for k, part in enumerate(frames))
    write_video(path, (np.ascontiguousarray(part) for part in shaken), fps=30)
    return path


def test_motion_and_blur_of_a_video(video):
    facts = look_at(video)
    assert len(facts.motion) == 40
    assert np.median(facts.motion[1:]) == pytest.approx(4 / 320, rel=0.2)
    blurred = np.arange(40) % 4 == 3
    assert facts.sharpness[blurred].max() < facts.sharpness[~blurred].min()


def test_chosen_frames_are_written_at_full_size(video, tmp_path):
    names = write_frames(video, [1, 5, 17], tmp_path, lambda done: None)
    assert names == ["frame_000002.jpg", "frame_000006.jpg", "frame_000018.jpg"]
    from PIL import Image

    frames = list(read_frames(video, None))
    written = np.asarray(Image.open(tmp_path / names[2])).astype(float)
    assert written.shape == (240, 320, 3)
    assert np.abs(written - frames[17]).mean() < 3 < np.abs(written - frames[10]).mean()


def test_what_is_no_video_is_refused(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"this is no video" * 100)
    with pytest.raises(InputError, match="cannot be decoded"):
        look_at(path)
