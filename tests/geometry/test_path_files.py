import json
import math

import pytest
import torch

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras, look_at
from sightline.geometry.trajectories import frames_per_second, from_file, orbit, to_file

POSE = [[1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.25], [0.0, 0.0, 1.0, 2.0]]
LAST = [0.0, 0.0, 0.0, 1.0]


def write(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def reference():
    angles = torch.arange(7).double()
    eyes = torch.stack([torch.cos(angles), torch.sin(angles), 0.3 + 0 * angles], -1)
    poses = look_at(eyes, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))
    return Cameras.create(poses, fx=123.4, fy=125.0, cx=51.0, cy=39.0, width=100, height=80)


def test_written_paths_come_back_exactly(tmp_path):
    path = orbit(reference(), 9)
    to_file(tmp_path / "path.json", path, fps=24)
    again = from_file(tmp_path / "path.json")
    for name in ("c2w", "fx", "fy", "cx", "cy", "width", "height"):
        assert torch.equal(getattr(again, name), getattr(path, name)), name
    assert frames_per_second(tmp_path / "path.json") == 24.0


def test_own_format_with_field_of_view(tmp_path):
    frames = [{"c2w": POSE, "fov": 90}, {"c2w": [*POSE, LAST], "fl_x": 30.0, "cx": 41}, {"c2w": POSE}]
    file = write(tmp_path / "p.json", {"fps": 30, "width": 80, "height": 60, "fov": 60, "frames": frames})
    path = from_file(file)
    assert path.fy.tolist() == pytest.approx([30.0, 30.0, 30 * math.sqrt(3)])
    assert path.fx.tolist() == path.fy.tolist()
    assert path.cx.tolist() == [40.0, 41.0, 40.0]
    assert path.cy.tolist() == [30.0] * 3
    assert path.c2w.tolist() == [POSE] * 3
    larger = from_file(file, width=161, height=120)
    assert larger.width.tolist() == [160] * 3
    assert larger.fx.tolist() == pytest.approx([60.0, 60.0, 60 * math.sqrt(3)])
    assert larger.cx.tolist() == [80.0, 82.0, 80.0]
    assert from_file(file, height=30).width.tolist() == [40] * 3


def test_nerfstudio_format(tmp_path):
    numbers = [x for row in [*POSE, LAST] for x in row]
    content = {
        "camera_type": "perspective",
        "render_height": 1080,
        "render_width": 1920,
        "fps": 24,
        "seconds": 4,
        "is_cycle": False,
        "camera_path": [
            {"camera_to_world": numbers, "fov": 50, "aspect": 1.7777},
            {"camera_to_world": numbers, "fov": 75.5, "aspect": 1.7777},
        ],
    }
    path = from_file(write(tmp_path / "p.json", content))
    assert path.c2w.tolist() == [POSE] * 2
    assert (path.width.tolist(), path.height.tolist()) == ([1920] * 2, [1080] * 2)
    # The field of view is the vertical one.
    assert path.fy.tolist() == pytest.approx([540 / math.tan(math.radians(f / 2)) for f in (50, 75.5)])
    content["camera_type"] = "equirectangular"
    with pytest.raises(InputError, match=r"equirectangular.*camera_type"):
        from_file(write(tmp_path / "p.json", content))


def test_reference_gives_what_the_file_lacks(tmp_path):
    file = write(tmp_path / "p.json", {"frames": [{"c2w": POSE}]})
    path = from_file(file, cameras=reference())
    assert (int(path.width), int(path.height)) == (100, 80)
    assert [float(v) for v in (path.fx, path.fy, path.cx, path.cy)] == [123.4, 125.0, 51.0, 39.0]
    sized = write(tmp_path / "q.json", {"width": 50, "height": 40, "frames": [{"c2w": POSE}]})
    path = from_file(sized, cameras=reference())
    assert [float(v) for v in (path.fx, path.fy, path.cx, path.cy)] == [61.7, 62.5, 25.5, 19.5]
    with pytest.raises(InputError, match="size"):
        from_file(file)
    with pytest.raises(InputError, match=r"frame 0, field fov"):
        from_file(sized)
    assert frames_per_second(file) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no camera path"),
        ({"frames": []}, "no camera path"),
        ({"poses": [1]}, "no camera path"),
        ({"frames": [{"c2w": POSE}, 3]}, "frame 1"),
        ({"frames": [{"c2w": POSE}, {"c2w": POSE[:2]}]}, "frame 1, field c2w"),
        ({"frames": [{"c2w": [*POSE, [1, 0, 0, 1]]}]}, "frame 0, field c2w"),
        ({"frames": [{}]}, "frame 0, field c2w"),
        ({"frames": [{"c2w": POSE, "fov": 0}]}, "frame 0, field fov"),
        ({"frames": [{"c2w": POSE, "fov": "wide"}]}, "frame 0, field fov"),
        (
            {"frames": [{"c2w": POSE}, {"c2w": [[2 * x for x in row] for row in POSE]}]},
            "Camera 1 .*orthonormal",
        ),
        ({"frames": [{"c2w": [[math.nan] * 4] * 3}]}, "Camera 0 .*not finite"),
        ({"frames": [{"c2w": POSE, "fl_x": -3}]}, "Camera 0 .*fx is not positive"),
        ({"frames": [{"c2w": POSE}], "width": 20.5}, "whole pixels"),
        ({"frames": [{"c2w": POSE}], "width": 1}, "too small"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, content, message):
    if isinstance(content, dict):
        content = {"width": 80, "height": 60, "fov": 50, **content}
    file = write(tmp_path / "broken.json", content)
    with pytest.raises(InputError, match=message) as caught:
        from_file(file)
    if message != "too small":
        assert "broken.json" in str(caught.value)


def test_syntax_errors_say_where(tmp_path):
    (tmp_path / "p.json").write_text('{"frames": [\n  oops]}', encoding="utf-8")
    with pytest.raises(InputError, match="line 2, column 3"):
        from_file(tmp_path / "p.json")


def test_to_file_refuses_mixed_sizes(tmp_path):
    cameras = reference()
    mixed = Cameras.concatenate([cameras, cameras.resized(50, 40)])
    with pytest.raises(InputError, match="2"):
        to_file(tmp_path / "p.json", mixed)
    with pytest.raises(InputError, match="0"):
        to_file(tmp_path / "p.json", cameras[[]])
