"""How quickly pictures of a scene are made, from those that were."""

import math

FIRST_RATE = 20_000.0
"""rays per second where nothing was measured yet"""
_WEIGHT = 0.3
"""of a new measurement"""
LEAST_SIDE = 32


class Pace:
    """Rays per second, of drafts and of finished pictures, as moving means."""

    def __init__(self) -> None:
        self._rates: dict[bool, float] = {}

    def add(self, rays: int, seconds: float, draft: bool) -> None:
        """Take notice of rays that were rendered."""
        rate = rays / max(seconds, 1e-6)
        earlier = self._rates.get(draft)
        self._rates[draft] = rate if earlier is None else earlier * (rate / earlier) ** _WEIGHT

    def set(self, rays: int, seconds: float, draft: bool) -> None:
        """Take a measurement in the place of all earlier ones."""
        self._rates.pop(draft, None)
        self.add(rays, seconds, draft)

    def rate(self, draft: bool) -> float:
        """Rays per second."""
        return self._rates.get(draft) or self._rates.get(not draft) or FIRST_RATE

    def seconds(self, rays: int, draft: bool) -> float:
        """Time that so many rays will take."""
        return rays / self.rate(draft)


def fit(width: int, height: int, pixels: float) -> tuple[int, int]:
    """Give the size of about so many pixels in the shape of (width, height), and no larger than that.

    The shorter side has `LEAST_SIDE` pixels at least, where the whole has.
    """
    factor = math.sqrt(pixels / (width * height))
    factor = min(1.0, max(factor, LEAST_SIDE / min(width, height)))
    return max(1, round(width * factor)), max(1, round(height * factor))
