"""How many samples rays get, and how they spread."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplerSettings:
    """How many samples a ray gets, and how they spread."""

    samples: int
    """samples of a ray whose way is opaque in the grid; others get fewer"""
    per_bin: int = 4
    """at most this many samples for each bin with matter"""
    floor: float = 0.01
    """part of the weight that is spread evenly over all visible bins, so that the grid's errors are found"""
