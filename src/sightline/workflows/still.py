"""A picture that stands still while the direction that its colours are seen from moves."""

import inspect
from typing import Any, cast

from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.methods.base import Method, Rendering, Scene
from sightline.methods.pictures import PictureRenderer


class _StillMethod:
    """Renders one camera, whichever it is asked for, with the directions of the one asked for."""

    def __init__(self, method: Method, camera: Cameras):
        self.method, self.camera = method, camera

    def render(self, scene: Scene, camera: Cameras, **options: Any) -> Rendering:
        width, height = int(camera.width[0]), int(camera.height[0])
        held = self.camera.resized(width, height)
        return cast(Any, self.method).render(scene, held, directions_from=camera, **options)


def hold_camera(render: PictureRenderer, camera: Cameras) -> PictureRenderer:
    """Make a renderer that shows what `camera` sees, in colours as seen from the cameras that it is given.

    The method's `render` must take `directions_from`, a camera whose directions colours depend on.

    Raises:
        InputError: it does not.
    """
    if "directions_from" not in inspect.signature(render.method.render).parameters:
        raise InputError(
            f"The method {render.method.name} cannot hold the view while directions move",
            where="--still",
            fix="Leave out --still, or use a run of nerf",
        )
    held = PictureRenderer(render.method, render.scene, background=render.background, chunk=render.chunk)
    held.method = cast(Method, _StillMethod(render.method, camera))
    return held
