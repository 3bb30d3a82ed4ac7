"""Somebody who looks at a scene while it is trained, in turns with the training."""

from typing import Protocol

from sightline.methods.base import Method
from sightline.runs.run import Run


class Watcher(Protocol):
    """Looks at a scene between the steps of its training, in the training's own thread."""

    def begin(self, run: Run, method: Method) -> None:
        """The method is prepared, on its device, and about to be trained."""
        ...

    def between_steps(self, step: int) -> float:
        """Take a turn after so many steps; gives the seconds that it took, which are no training time.

        Parameters, random state and training mode are as before afterwards.
        """
        ...
