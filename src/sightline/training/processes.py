"""The processes of one training: starting them, keeping them in step, and bringing their errors home.

One process needs nothing of this. Several on one machine are started by spawn; with torchrun or SLURM the
processes exist already and Fabric finds its place among them.
"""

import logging
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor

from sightline.foundation.errors import InputError, RunError, SightlineError, logger
from sightline.foundation.hardware import available_cores
from sightline.training.interruption import Flag, StopRequests
from sightline.training.settings import TrainSettings

_THREADS = "SIGHTLINE_THREADS"

# Its notes say what the run's own lines say better; set here, before a child that it started does anything.
for _name in ("lightning_fabric", "lightning.fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Team:
    """The processes that train together; with one process every method returns at once.

    Attributes:
        rank, world: number of this process, and how many there are.
        device: where this process computes.
    """

    def __init__(self, fabric: Fabric):
        self.fabric = fabric
        self.rank, self.world = fabric.global_rank, fabric.world_size
        self.device = fabric.device
        # Decisions travel as CPU tensors, so that taking them never waits for a GPU.
        self._group: Any = dist.new_group(backend="gloo") if self.world > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process writes files, prints and decides."""
        return self.rank == 0

    def agree(self, values: list[float]) -> list[float]:
        """Give every process the numbers that the first one has."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(tensor, 0, group=self._group)
        return tensor.tolist()

    def share(self, value: Any) -> Any:
        """Give every process the object that the first one has."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0, group=self._group)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Bring one object of every process to the first process; the others get an empty list."""
        if self.world == 1:
            return [value]
        found: list[Any] | None = [None] * self.world if self.first else None
        dist.gather_object(value, found, 0, group=self._group)
        return found or []

    def equalise(self, tensors: list[Tensor]) -> None:
        """Overwrite tensors in every process with those of the first one."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)


def launch(settings: TrainSettings, work: Callable[..., Any], *arguments: Any) -> Any:
    """Call `work(team, stop, *arguments)` in every process of the training; give what the first one returns.

    Everything passed must be picklable when several processes are started.

    Raises:
        SightlineError: the one that a process raised, as if it had been raised here.
    """
    with _quiet_fabric():
        fabric = _make_fabric(settings)
        if started_from_outside():
            with _shared_cores(int(os.environ.get("LOCAL_WORLD_SIZE", "1"))):
                fabric.launch()
                return _run(fabric, None, work, arguments)
        if settings.devices == 1:
            fabric.launch()
            return _run(fabric, None, work, arguments)
        return _spawn(fabric, settings, work, arguments)


def _make_fabric(settings: TrainSettings) -> Fabric:
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "No CUDA device can be used",
            where="--device cuda",
            fix="Use --device cpu; `sightline doctor` tells what PyTorch finds",
        )
    accelerator = "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
    if accelerator == "cuda" and settings.devices > torch.cuda.device_count():
        raise InputError(
            f"There are {torch.cuda.device_count()} CUDA devices, not {settings.devices}", where="--devices"
        )
    strategy: Any = "auto"
    if settings.devices > 1 or settings.num_nodes > 1 or started_from_outside():
        outside = started_from_outside()
        if settings.num_nodes > 1 and not outside:
            raise InputError(
                "Several machines need a launcher that starts the command on each of them",
                where="--num-nodes",
                fix="Use torchrun --nnodes … --nproc-per-node … -m sightline train …",
            )
        nccl = accelerator == "cuda" and dist.is_nccl_available()
        strategy = DDPStrategy(
            start_method="popen" if outside else "spawn",
            process_group_backend="nccl" if nccl else "gloo",
            # The method says when its buffers changed; sending all of them at every step would cost more.
            broadcast_buffers=False,
        )
    return Fabric(
        accelerator=accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=strategy,
        precision=settings.precision,
    )


def is_first_process() -> bool:
    """Whether this is the process that writes and prints, or a further one that torchrun or SLURM started."""
    rank = os.environ.get("RANK") or os.environ.get("SLURM_PROCID")
    return not started_from_outside() or rank in (None, "0")


def started_from_outside() -> bool:
    """Whether torchrun or SLURM started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ or (
        "SLURM_NTASKS" in os.environ and "SLURM_PROCID" in os.environ
    )


def _run(fabric: Fabric, flag: Flag | None, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    if fabric.device.type == "cpu":
        torch.set_num_threads(available_cores())
    try:
        with StopRequests(flag) as stop:
            return work(Team(fabric), stop, *arguments)
    finally:
        if fabric.world_size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def _spawn(
    fabric: Fabric, settings: TrainSettings, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    """Start the processes, pass requests to stop on to them, and raise here what one of them raised."""
    context = multiprocessing.get_context("spawn")
    flag, errors = context.Event(), context.SimpleQueue()
    stop = StopRequests(flag)
    stop.defer()
    try:
        with stop, _shared_cores(settings.devices):
            job: Any = _Job(flag, errors, work, arguments)
            return fabric.launch(cast(Callable[[Fabric], Any], _in_child), job).value
    except Exception as failure:
        if not errors.empty():
            kind, *details = errors.get()
            raise (InputError if kind == "InputError" else RunError)(*details) from failure
        raise RunError(
            f"A training process failed ({str(failure).strip().splitlines()[-1]})",
            fix="Run with --debug for the whole traceback",
        ) from failure


class _Job:
    """What a child does. Fabric rebuilds dataclasses and tuples that it passes on, but not this."""

    def __init__(self, flag: Flag, errors: Any, work: Callable[..., Any], arguments: tuple[Any, ...]):
        self.flag, self.errors, self.work, self.arguments = flag, errors, work, arguments
        self.log_level = logger.getEffectiveLevel() if logger.hasHandlers() else None


class _Outcome:
    """What a child gives back, untouched by Fabric for the same reason."""

    def __init__(self, value: Any):
        self.value = value


def _in_child(fabric: Fabric, job: _Job) -> _Outcome:
    if job.log_level is not None and not logger.hasHandlers():
        _log_to_stderr(job.log_level if fabric.global_rank == 0 else logging.ERROR)
    try:
        with _quiet_fabric():
            return _Outcome(_run(fabric, job.flag, job.work, job.arguments))
    except SightlineError as error:
        where = None if error.where is None else str(error.where)
        job.errors.put((type(error).__name__, error.what, where, error.fix))
        raise
    except KeyboardInterrupt:
        # Nothing to save yet: all processes were asked to stop, and the parent knows.
        return _Outcome(None)


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)


@contextmanager
def _shared_cores(processes: int) -> Iterator[None]:
    """Let each child use its share of the cores."""
    share = str(max(1, available_cores() // processes))
    earlier = {name: os.environ.get(name) for name in (_THREADS, "OMP_NUM_THREADS")}
    os.environ.update({_THREADS: share, "OMP_NUM_THREADS": share})
    try:
        yield
    finally:
        for name, value in earlier.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet_fabric() -> Iterator[None]:
    """Keep Fabric's advice about devices and workers off the user's screen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning_fabric")
        yield
