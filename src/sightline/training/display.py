"""What a training shows on stderr: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from sightline.methods.base import Progress
from sightline.training.meter import Reading

_BAR_EVERY = 0.5
_LINE_EVERY = 10.0


class Display:
    """Shows where training stands. It is told at every step and decides itself when to redraw.

    Args:
        stream: where to write; a bar is drawn where it is a terminal.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.perf_counter):
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._bar = _Bar(self._stream) if self._stream.isatty() else None
        self._every = _BAR_EVERY if self._bar else _LINE_EVERY
        self._next = clock() + (0 if self._bar else self._every)

    def due(self) -> bool:
        """Whether it is time to show something."""
        return self._clock() >= self._next

    def show(self, progress: Progress, reading: Reading | None, seconds_left: float | None) -> None:
        """Show where training stands."""
        self._next = self._clock() + self._every
        facts = describe(progress, reading, seconds_left)
        if self._bar is not None:
            self._bar.show(progress.fraction, facts)
        else:
            print(f"{progress.fraction:4.0%}  {facts}", file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()


class _Bar:
    """A rich progress bar, redrawn only when told to: a refresh thread would take time from training."""

    def __init__(self, stream: TextIO):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._progress = Progress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            console=Console(file=stream),
            auto_refresh=False,
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task("", total=1.0)

    def show(self, fraction: float, facts: str) -> None:
        self._progress.update(self._task, completed=fraction, description=facts, refresh=True)

    def close(self) -> None:
        self._progress.stop()


def describe(progress: Progress, reading: Reading | None, seconds_left: float | None) -> str:
    """One line: step, training PSNR, rays and samples, time left."""
    parts = [f"step {progress.step}"]
    if reading is not None:
        if "psnr" in reading.values:
            parts.append(f"train {reading.values['psnr']:.2f} dB")
        elif "loss" in reading.values:
            parts.append(f"loss {reading.values['loss']:.4g}")
        if reading.rays_per_second:
            parts.append(f"{short_number(reading.rays_per_second)} rays/s")
        if reading.samples_per_ray:
            parts.append(f"{reading.samples_per_ray:.1f} samples/ray")
    parts.append("time left unknown" if seconds_left is None else f"{short_time(seconds_left)} left")
    return "  ".join(parts)


def short_number(value: float) -> str:
    """Write a count with at most three digits: 950, 12.3k, 4.56M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.0f}"


def short_time(seconds: float) -> str:
    """Write a duration in the two largest units: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
