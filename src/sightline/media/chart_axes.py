"""Axes of charts: nice numbers for ticks, on linear and logarithmic scales, and how numbers are written."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_LEAST_SPAN = 3.0
"""a logarithmic axis that spans less than this factor gets the ticks of a linear one"""
_MOST_TICKS = 7


@dataclass(frozen=True)
class Axis:
    """Where values stand between the ends of an axis, and its ticks."""

    low: float
    high: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def place(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Where values stand: 0 at the low end, 1 at the high one."""
        scale: Callable = np.log if self.logarithmic else np.asarray
        low, high = float(scale(self.low)), float(scale(self.high))
        return (scale(values) - low) / (high - low)


def make_axis(low: float, high: float, *, logarithmic: bool = False, count: int = 5) -> Axis:
    """Make an axis that holds both values, with about `count` ticks.

    A linear axis ends at ticks at its upper or lower end where that costs little room. Equal values get room
    around them.
    """
    if logarithmic and low > 0:
        if high <= low * 1.001:
            low, high = low / 2, high * 2
        return Axis(low / 1.05, high * 1.05, True, log_ticks(low / 1.05, high * 1.05, count))
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        room = abs(low) / 2 or 1.0
        low, high = low - room, high + room
    margin = 0.03 * (high - low)
    low, high = (low if low == 0 else low - margin), high + margin
    return Axis(low, high, False, linear_ticks(low, high, count))


def linear_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten between the ends, about `count` of them."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / rough)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Through the number of digits, so that 3 * 0.1 is 0.3.
    digits = max(0, -math.floor(math.log10(step)))
    return tuple(round(k * step, digits + 1) for k in range(first, last + 1))


def log_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Powers of ten between the ends; where those are few, 1, 2 and 5 times them, or linear ticks."""
    if high / low < _LEAST_SPAN:
        return linear_ticks(low, high, count)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = tuple(
            float(f"{f}e{exponent}")
            for exponent in decades
            for f in factors
            if low <= float(f"{f}e{exponent}") <= high
        )
        if len(ticks) >= min(3, count):
            break
    step = -(-len(ticks) // _MOST_TICKS)
    return ticks[::step]


def format_tick(value: float) -> str:
    """Write the number of a tick: 1,500, 0.25, 2e-5."""
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-3:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.10g}"


def format_value(value: float) -> str:
    """Write a value that was measured, with four digits that count."""
    size = abs(value)
    if size == 0 or not math.isfinite(value):
        return "0" if size == 0 else "–"
    if size >= 1e7 or size < 1e-3:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    digits = max(0, 3 - math.floor(math.log10(size)))
    return f"{value:,.{digits}f}"
