"""The loop: steps, and between them what is due: logs, checkpoints, validation, the display."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from sightline.foundation.errors import warn
from sightline.kernels.parallel import torch_on_one_thread
from sightline.methods.base import Progress
from sightline.runs.checkpoint import Checkpoint
from sightline.runs.record import RunProgress
from sightline.runs.run import Run
from sightline.training.budget import Budget
from sightline.training.display import Display
from sightline.training.interruption import StopRequests
from sightline.training.logs import TrainingLog
from sightline.training.meter import Meter, Reading
from sightline.training.saving import Saver, all_finite, copy_weights
from sightline.training.settings import TrainSettings
from sightline.training.stepping import Stepper, not_finite
from sightline.training.validation import Scheduled, Validation
from sightline.training.watching import Watcher

Ending = Literal["finished", "interrupted"]
_ENDINGS: tuple[Ending | None, ...] = (None, "finished", "interrupted")
_LONGEST_LOG_INTERVAL = 10.0
"""seconds after which losses are logged even when fewer than `log_every` steps were taken"""
PICTURES = Path("eval") / "validation"


class Loop:
    """Steps until the budget is used up or somebody asks to stop.

    Every process of a team runs it; the first one decides, writes and prints.
    """

    def __init__(
        self,
        stepper: Stepper,
        budget: Budget,
        stop: StopRequests,
        run: Run,
        settings: TrainSettings,
        log: TrainingLog | None = None,
        validator: Scheduled | None = None,
        watcher: Watcher | None = None,
    ):
        self.stepper, self.budget, self.stop = stepper, budget, stop
        self.team, self.method = stepper.team, stepper.method
        self.run_folder, self.settings = run, settings
        self.log, self.validator, self.watcher = log, validator, watcher
        self.watched = 0.0
        """seconds that the watcher took"""
        self.step = 0
        self.best_psnr: float | None = None
        self.validation: Validation | None = None
        self.reading: Reading | None = None
        self.meter = Meter()
        self.saver = Saver()
        self.display = Display() if self.team.first else None
        self._logged = budget.elapsed()
        self._ended: Progress | None = None
        self._validated: int | None = None

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a training state that `_take_checkpoint` made."""
        self.step = int(state["step"])
        # A validation after the last step is in run.json only.
        found = (state["progress"]["best_psnr"], self.run_folder.record.progress.best_psnr)
        self.best_psnr = max((value for value in found if value is not None), default=None)
        if self.validator is not None:
            self.validator.pixels = state["validation_pixels"]
        self.stepper.restore(state["shared"], state["processes"])

    def run(self) -> tuple[Ending, Progress]:
        """Train; gives how it ended and where it stood. What was trained is saved in either case.

        Raises:
            RunError: the loss is not a number (the last good checkpoint stays), or the result cannot be
                saved.
        """
        with torch_on_one_thread(self.method.torch_threads):
            return self._run()

    def _run(self) -> tuple[Ending, Progress]:
        while True:
            progress, ending, save = self._decide()
            if save or ending:
                self._checkpoint(progress, ending)
            if ending:
                self._ended = progress
                return ending, progress
            losses = self.stepper.advance(progress)
            self.step += 1
            self.meter.add(losses)
            self.stepper.after_step(self._after(progress))
            if self.team.first:
                self._first_process_duties()
            if self.watcher is not None:
                self._let_watch(self.watcher)

    def _let_watch(self, watcher: Watcher) -> None:
        """Give the watcher its turn, which is no training time."""
        seconds = watcher.between_steps(self.step)
        self.watched += seconds
        self.budget.pause(seconds)
        self.meter.exclude(seconds)

    def _decide(self) -> tuple[Progress, Ending | None, bool]:
        """Settle where training stands and what is to be done; all processes get the first one's decision."""
        progress = self.budget.progress(self.step)
        ending = 1 if progress.fraction >= 1 else 2 if self.stop.requested() else 0
        save = self.team.first and self.saver.due()
        if self.team.world > 1:
            agreed = self.team.agree([progress.fraction, progress.seconds, float(ending), float(save)])
            progress = Progress(self.step, agreed[0], agreed[1])
            ending, save = int(agreed[2]), bool(agreed[3])
        return progress, _ENDINGS[ending], save

    def _after(self, progress: Progress) -> Progress:
        # With minutes the clock goes on between the processes, so the fraction that they agreed on is kept.
        steps = self.budget.steps
        fraction = progress.fraction if steps is None else min(self.step / steps, 1.0)
        return Progress(self.step, fraction, progress.seconds)

    def _first_process_duties(self) -> None:
        step, settings = self.step, self.settings
        elapsed = self.budget.elapsed()
        if step % settings.log_every == 0 or elapsed - self._logged > _LONGEST_LOG_INTERVAL:
            self._read_meter()
        if settings.save_every is not None and step % settings.save_every == 0:
            self._keep_milestone()
        if self.validator is not None and self.validator.due(step):
            self.validate()
        if self.display is not None and self.display.due():
            progress = self.budget.progress(step)
            self.display.show(progress, self.reading, self.budget.seconds_left(progress))

    def _read_meter(self) -> None:
        if self.meter.steps == 0:
            return
        progress = self.budget.progress(self.step)
        self.reading = self.meter.read()
        self._logged = progress.seconds
        if not self.reading.finite:
            raise not_finite(self.step)
        if self.log is not None:
            self.log.write("train", progress, {**self.reading.to_json(), **self.stepper.learning_rates()})

    def validate(self) -> None:
        """Render the validation views, log them, and keep the weights where they are the best so far."""
        if self.validator is None or not self.validator.possible:
            return
        found = self.validator.run(self.method)
        self.validation, self._validated = found, self.step
        self.meter.exclude(found.seconds)
        progress = self._ended or self.budget.progress(self.step)
        if self.log is not None:
            values = {"psnr": round(found.psnr, 4), "seconds_spent": round(found.seconds, 3)}
            self.log.write("val", progress, values if found.psnr == found.psnr else {})
            self.log.write_picture("validation", progress, found.picture)
        self._write_picture(found)
        if self.best_psnr is None or found.psnr > self.best_psnr:
            self.best_psnr = found.psnr
            checkpoint = Checkpoint(self.run_folder.method_name, self.step, copy_weights(self.method))
            self.saver.also(lambda: self.run_folder.write_best(checkpoint))

    def _write_picture(self, found: Validation) -> None:
        path = self.run_folder.path / PICTURES / f"{self.step:08d}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(found.picture).save(path)
        except OSError as error:
            warn(f"The validation picture {path} cannot be written ({error.strerror or error})")

    def _keep_milestone(self) -> None:
        checkpoint = Checkpoint(self.run_folder.method_name, self.step, copy_weights(self.method))
        self.saver.also(lambda: self.run_folder.write_milestone(checkpoint) and None)

    def _checkpoint(self, progress: Progress, ending: Ending | None) -> None:
        """Save: beside the training while it goes on, at once and with errors raised when it ends."""
        processes = self.team.gather(self.stepper.process_state())
        if not self.team.first:
            return
        if ending:
            self._read_meter()
            if not all_finite(self.method):
                raise not_finite(self.step)
            self.saver.finish(self._take_checkpoint(progress, processes, ending == "finished"))
            return
        if not all_finite(self.method):
            raise not_finite(self.step)
        self.saver.save(lambda: self._take_checkpoint(progress, processes, False))

    def _take_checkpoint(self, progress: Progress, processes: list[dict[str, Any]], finished: bool) -> Any:
        """Copy everything that is to be saved; gives the function that writes it."""
        reading = self.reading
        saved = RunProgress(
            step=self.step,
            fraction=progress.fraction,
            seconds=round(progress.seconds, 3),
            finished=finished,
            psnr=None if reading is None else _rounded(reading.values.get("psnr")),
            best_psnr=_rounded(self.best_psnr),
        )
        checkpoint = Checkpoint(
            method=self.run_folder.method_name,
            step=self.step,
            weights=copy_weights(self.method),
            training={
                "progress": {
                    "seconds": progress.seconds,
                    "fraction": progress.fraction,
                    "best_psnr": self.best_psnr,
                },
                "shared": self.stepper.shared_state(),
                "processes": processes,
                "validation_pixels": None if self.validator is None else self.validator.pixels,
            },
        )
        return lambda: self.run_folder.write_checkpoint(checkpoint, progress=saved)

    def conclude(self) -> None:
        """After the last step, outside the training time: validate once more and record what was found."""
        if not self.team.first or self.validator is None or not self.validator.possible:
            return
        if self._validated != self.step:
            self.validate()
        self.saver.finish()
        progress = replace(self.run_folder.record.progress, best_psnr=_rounded(self.best_psnr))
        self.run_folder.update(progress=progress)

    def close(self) -> None:
        """Let the writing end and leave the terminal as it was."""
        if self.display is not None:
            self.display.close()
        self.saver.close()


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 4)
