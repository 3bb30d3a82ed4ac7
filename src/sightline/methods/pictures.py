"""Rendering pictures one after the other, with fewer rays at a time where memory runs out."""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.foundation.errors import RunError, warn
from sightline.geometry import Cameras
from sightline.methods.base import Method, Rendering, Scene

FIRST_CHUNK = 1 << 16
LEAST_CHUNK = 256


class PictureRenderer:
    """Renders cameras of one scene; what was learnt about memory in one picture holds for the next.

    Args:
        method, scene: what is rendered.
        background: colour in [0, 1] behind what is transparent; white where not given.
        chunk: rays at a time; the method's own choice where not given.
    """

    def __init__(
        self,
        method: Method,
        scene: Scene,
        *,
        background: Float[Tensor, "3"] | None = None,
        chunk: int | None = None,
    ):
        self.method, self.scene = method, scene
        self.background = background
        self.chunk = chunk

    def __call__(self, camera: Cameras) -> Rendering:
        """Render one camera without gradients.

        Raises:
            RunError: the memory is not enough even for a few rays at a time.
        """
        while True:
            try:
                with torch.no_grad():
                    return self.method.render(
                        self.scene, camera, background=self.background, chunk=self.chunk
                    )
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                if self.chunk is not None and self.chunk <= LEAST_CHUNK:
                    raise RunError(
                        f"The memory is not enough to render, even {self.chunk} rays at a time",
                        fix="Close other programs, or render a smaller picture",
                    ) from error
            # Outside the except block, so that the failed picture's tensors are let go before the next try.
            self.chunk = max(LEAST_CHUNK, (self.chunk or FIRST_CHUNK) // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            warn(f"Memory ran out while rendering; going on with {self.chunk} rays at a time")


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return "not enough memory" in text or "can't allocate memory" in text or "out of memory" in text
