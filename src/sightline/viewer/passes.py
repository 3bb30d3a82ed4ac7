"""From a look to pictures from coarse to fine, and to the pieces that they are rendered in."""

from collections.abc import Iterator
from dataclasses import dataclass

from sightline.viewer.looks import Look
from sightline.viewer.pace import Pace, fit

PIECE_SECONDS = 0.05
"""that a piece of a picture takes: what is no longer wanted stops after the piece under way"""
_STEP = 2.0
"""by which the sides of following pictures grow"""
_WORTH = 0.6
"""seconds that the finished picture must take for one more to be shown before it"""


@dataclass(frozen=True)
class Pass:
    """One picture of those that a look is given."""

    width: int
    height: int
    draft: bool
    """whether it is replaced soon, so that it may be less exact"""
    last: bool

    @property
    def rays(self) -> int:
        """Number of its pixels."""
        return self.width * self.height


def full_size(look: Look) -> tuple[int, int]:
    """Size of the finished picture: the window's, with the longer side no longer than was asked for."""
    factor = min(1.0, look.settings.longest / max(look.width, look.height))
    return max(1, round(look.width * factor)), max(1, round(look.height * factor))


def plan(look: Look, pace: Pace, sharing: int = 1, patience: float | None = None) -> list[Pass]:
    """Choose the pictures of a look, the coarsest first.

    The first one keeps to the look's budget, of which each of those that share the work has a part. Others
    follow, each with twice as long sides, until the finished one.

    Args:
        pace: how quickly they are made.
        sharing: browsers that are waiting for pictures, this one among them.
        patience: seconds that the finished picture may take; it is made smaller to keep to that.
    """
    width, height = full_size(look)
    if patience is not None:
        width, height = fit(width, height, patience * pace.rate(False))
    first = fit(width, height, look.settings.budget / sharing * pace.rate(True))
    if pace.seconds(width * height, False) <= look.settings.budget / sharing:
        return [Pass(width, height, False, True)]
    passes = [Pass(*first, True, False)]
    pixels = float(first[0] * first[1])
    while pace.seconds(width * height, False) > _WORTH:
        pixels *= _STEP**2
        # One that costs much of the finished one is not worth while.
        if pixels * _STEP > width * height:
            break
        passes.append(Pass(*fit(width, height, pixels), True, False))
    return [*passes, Pass(width, height, False, True)]


def pieces(one: Pass, pace: Pace) -> Iterator[tuple[int, int]]:
    """Cut a picture into bands of rows (first, after the last), each of about `PIECE_SECONDS`."""
    rows = max(1, int(PIECE_SECONDS * pace.rate(one.draft) / one.width))
    for first in range(0, one.height, rows):
        yield first, min(first + rows, one.height)
