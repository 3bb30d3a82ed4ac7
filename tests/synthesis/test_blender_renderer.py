import shutil

import numpy as np
import pytest

from sightline.foundation.errors import InputError
from sightline.synthesis import blender_renderer
from sightline.synthesis.camera_laws import orbit_poses
from sightline.synthesis.mitsuba_renderer import MitsubaRenderer, View
from sightline.synthesis.object_recipes import ProceduralObject
from sightline.synthesis.object_sets import make_objects


def test_without_the_program_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(blender_renderer.shutil, "which", lambda _: None)
    blender_renderer.find_blender.cache_clear()
    with pytest.raises(InputError, match="apt-get install blender"):
        make_objects(tmp_path / "set", objects=1, renderer="blender")
    assert not (tmp_path / "set").exists()
    blender_renderer.find_blender.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("blender") is None, reason="blender is not installed")
def test_blender_shows_what_mitsuba_shows():
    """The same silhouettes, and nearly the same colours."""
    scene = ProceduralObject(category="chairs", stream="train", index=1, seed=0).build()
    poses = orbit_poses(np.array([2.0, -0.5]), np.array([0.4, -0.3]), 2.0)
    views = [View(c2w=pose, angle_x=0.6, width=64, height=64, samples=64) for pose in poses]
    renderer = MitsubaRenderer(scene)
    for view, there in zip(views, blender_renderer.render_views(scene, views), strict=True):
        here = renderer.render(view)
        covered = here[..., 3] > 127
        overlap = (covered & (there[..., 3] > 127)).sum() / (covered | (there[..., 3] > 127)).sum()
        assert overlap > 0.97
        inside = (here[..., 3] == 255) & (there[..., 3] == 255)
        difference = here[inside][:, :3].astype(int) - there[inside][:, :3]
        assert np.abs(difference).mean() < 12
