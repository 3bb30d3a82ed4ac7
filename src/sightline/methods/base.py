"""The contract between methods and everything around them (training, evaluation, exports, viewer).

No method knows the trainer; the trainer knows no method. Data flow:

    prepared = method.prepare(data)                                  once
    for batch in method.batches(prepared, generator, rank, world):
        losses = method(batch, progress); losses["loss"].backward(); …; method.after_step(progress)
    scene = method.encode(views); rendering = method.render(scene, cameras)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from sightline.captures import Capture, Collection
from sightline.foundation.errors import InputError
from sightline.geometry import Cameras
from sightline.geometry.regions import Region

CAPABILITIES = frozenset({"rgb", "depth", "opacity", "field", "multi-view"})


@dataclass(frozen=True)
class Progress:
    """Where training stands; schedules follow `fraction`, whether the end is given in steps or in minutes."""

    step: int
    """steps finished"""
    fraction: float
    """part of the training that is over, 0 to 1"""
    seconds: float = 0.0
    """training time so far, over all resumed parts"""


@dataclass
class Optimisation:
    """One optimiser and how its learning rates move.

    `schedule(progress)` multiplies the learning rate that each parameter group was built with.
    """

    optimiser: torch.optim.Optimizer
    schedule: Callable[[Progress], float]


@runtime_checkable
class Batches(Protocol):
    """An iterator of batches that keeps something between them: a shuffled pool, an epoch, a look-ahead.

    A plain iterator is enough where every batch is drawn afresh from the generator alone: it is made again
    and goes on from the generator's saved state. What an iterator keeps besides, it gives to the checkpoint
    here, as tensors, numbers and strings in dictionaries and lists. On resuming, `load_state_dict` is
    called first, then the generator is set to its state at the checkpoint.
    """

    def __next__(self) -> Any:
        """Give the next batch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What is kept between batches, as it was after the last batch that was given out."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        ...


@dataclass(frozen=True)
class Rendering:
    """Pictures of one camera.

    `depth` is the opacity-weighted mean distance along the ray in input units, divided by opacity, NaN where
    opacity is below 0.01; `depth_sum` is the raw weighted sum.
    """

    rgb: Float[Tensor, "height width 3"]
    """sRGB in [0, 1], composited over the background that was asked for"""
    depth: Float[Tensor, "height width"] | None = None
    opacity: Float[Tensor, "height width"] | None = None
    depth_sum: Float[Tensor, "height width"] | None = None
    origin: Int[Tensor, "height width"] | None = None
    """number, among a scene's source views, of the one that says most of a pixel, where `picks_nearest`"""
    statistics: dict[str, float] = field(default_factory=dict)


class Scene:
    """What `encode` returns: something to be seen from any camera. All coordinates are the input frame's."""

    capabilities: frozenset[str] = frozenset({"rgb"})

    can_be_cut: ClassVar[bool] = False
    """whether `within` serves"""

    def within(self, region: Region) -> "Scene":
        """The same scene with nothing outside a region of the input frame; later changes of it show too.

        Raises:
            InputError: the scene cannot be cut.
        """
        raise InputError("Scenes of this method cannot be cut", fix="Take the whole scene")

    def drafted(self) -> "Scene":
        """The same scene for pictures that are replaced soon: quicker, less exact; itself where there is no
        such way.
        """
        return self

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners of the box that holds the scene's content (`field` only)."""
        raise NotImplementedError(f"{type(self).__name__} has no field")

    @property
    def unbounded(self) -> bool:
        """Whether there may be matter beyond `bounds` (`field` only)."""
        return False

    @property
    def near(self) -> float:
        """Distance from a camera, in input units, at which rays begin; 0 where they begin at once."""
        return 0.0

    def density(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Volume density per input unit at points of the input frame (`field` only)."""
        raise NotImplementedError(f"{type(self).__name__} has no field")

    def radiance(
        self, points: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n 3"]:
        """Colour in [0, 1] seen at points when looking along unit `directions` (`field` only)."""
        raise NotImplementedError(f"{type(self).__name__} has no field")


class Method(nn.Module, ABC):
    """A way to synthesise views. Subclasses say their registry name and take their frozen configuration."""

    name: ClassVar[str]
    torch_threads: ClassVar[int | None] = None
    """threads for PyTorch's own operations while training; None leaves them as they are. A method whose work
    is done by the compiled kernels takes 1: PyTorch's pool would only spin beside theirs."""
    usual_sources: ClassVar[int | None] = 1
    """of methods that learn many scenes: how many views show an object where nobody says which; None for all
    its training views"""
    picks_nearest: ClassVar[bool] = False
    """whether a picture is made from those of the source views alone that are nearest to its camera"""
    most_sources: ClassVar[int | None] = None
    """how many source views `encode` takes at most; None for any number"""
    whole_pictures: ClassVar[bool] = False
    """whether a picture is computed as a whole, so that a part of it costs as much"""
    usual_path: ClassVar[str] = "orbit"
    """camera path of videos where nobody names one; that of its published program where the data fits it"""

    def __init__(self, config: Any):
        super().__init__()
        self.config = config

    def warm_up(self) -> None:
        """Compile kernels before the training clock starts; the time is printed, not counted as training."""

    @abstractmethod
    def prepare(self, data: Capture | Collection) -> Any:
        """Look at the data once: frame, bounds, grids, parameters whose size depends on them.

        Returns what `batches` needs. What rendering needs afterwards is kept in the module's buffers or in
        `state()`.
        """

    @abstractmethod
    def batches(
        self, prepared: Any, generator: torch.Generator, rank: int = 0, world: int = 1
    ) -> Iterator[Any]:
        """Yield training batches without end; every process draws its own share from its own generator.

        All randomness comes from `generator`, which is on the device of training, where batches belong too.
        An iterator that keeps something between batches follows `Batches`, so that training resumes exactly.
        """

    @abstractmethod
    def forward(self, batch: Any, progress: Progress) -> dict[str, Tensor]:
        """Compute the losses of a batch: "loss" is what is minimised, other entries are scalars to log.

        Well-known names: "psnr" (training), "rays", "samples" (counts of this step, numbers or tensors).
        """

    def after_step(self, progress: Progress) -> bool | None:
        """Do what follows an optimiser step (occupancy grids, sampling schedules).

        Returns True where buffers changed in a way that may differ between processes: they are then copied
        from the first process to the others. Randomness comes from torch's global generator, which starts
        equal in all processes and is part of every checkpoint.
        """
        return False

    @abstractmethod
    def optimisers(self) -> list[Optimisation]:
        """Build the optimisers and their schedules (after `prepare`)."""

    @abstractmethod
    def encode(self, views: Capture | None = None) -> Scene:
        """Make a scene: per-scene methods take no views, the others their source views with cameras."""

    @abstractmethod
    def render(
        self,
        scene: Scene,
        camera: Cameras,
        *,
        background: Float[Tensor, "3"] | None = None,
        chunk: int | None = None,
    ) -> Rendering:
        """Render one camera (`len(camera) == 1`) of the input frame.

        Args:
            background: colour in [0, 1] behind what is transparent; white where not given.
            chunk: rays at a time; the method's own choice where not given.
        """

    def views_of_photos(self, photos: Sequence[UInt8[np.ndarray, "height width channels"]]) -> Capture:
        """Turn photos of one object, whose cameras nobody knows, into source views for `encode`.

        The method decides where such a photo counts as taken from, and brings it to the size, the crop and
        the background that it learnt with.

        Args:
            photos: sRGB, 3 channels, or 4 where the object is cut out.

        Raises:
            InputError: the method needs to know its cameras, or takes another number of photos.
        """
        raise InputError(
            f"{self.name} needs to know where its source views were taken from",
            where="--photo",
            fix="Give posed images with --data and --object",
        )

    def take_any_size(self) -> None:
        """Take source views of any size from now on, for rendering alone, where training did not.

        Raises:
            InputError: it does so anyway.
        """
        raise InputError(
            f"{self.name} takes pictures of any size as they are", where="--resize", fix="Leave it away"
        )

    def moved(
        self,
        scene: Scene,
        azimuth: Float[Tensor, "n"],
        elevation: Float[Tensor, "n"],
        shift: Float[Tensor, "n 3"],
    ) -> Sequence[Scene]:
        """Give a scene as its source camera would see it from elsewhere, for scenes with such a motion.

        The source camera's own pose counts as azimuth and elevation 0, wherever it is.

        Args:
            azimuth: radians; the camera moves to its right.
            elevation: radians; the camera moves up.
            shift: of what the camera looks at, towards the source camera, down and right, in half widths of
                the scene's volume.

        Raises:
            InputError: the method's scenes move with posed cameras only.
        """
        raise InputError(
            f"Scenes of {self.name} have no motion of their own: they are seen from posed cameras",
            where="--motion",
            fix="Use --path orbit, or a FILE.json with cameras",
        )

    @property
    def photo_side(self) -> int | None:
        """Side in pixels of the square that photos of one object are cropped to around it, on white, before
        `views_of_photos`; None where they are taken whole.
        """
        return None

    def choose_sampler(self, name: str) -> None:
        """Place samples along rays in another way than the run was trained with, for rendering alone.

        Raises:
            InputError: the method has no such way.
        """
        raise InputError(
            f"{self.name} has one way to place samples along rays", where="--sampler", fix="Leave it away"
        )

    @property
    def sampler(self) -> str | None:
        """How samples are placed along rays; None where the method has one way."""
        return getattr(self.config, "sampler", None)

    def use_nearest(self, count: int) -> None:
        """Make pictures from so many source views, the nearest ones, where `picks_nearest`.

        Raises:
            InputError: the method takes all of its source views, or less than one is asked for.
        """
        raise InputError(f"{self.name} sees all source views that it is given", where="--num-sources")

    @property
    def nearest(self) -> int | None:
        """How many of the source views a picture is made from; None for all."""
        return None

    @property
    def fitted(self) -> tuple[str, ...]:
        """What this run learnt of each training photo and a test photo has of its own: "exposure".

        Evaluation fits it to each test photo, and alone that, for scores beside those without the fit.
        """
        return ()

    def refined_cameras(self, cameras: Cameras) -> Cameras | None:
        """Correct cameras as training did; None where it takes them as they are given.

        Args:
            cameras: of the training photos, in their order, as the data gives them.
        """
        return None

    @property
    def derived_name(self) -> str | None:
        """Name of what rendering needs besides the weights and follows from them; None where nothing does."""
        return None

    def derive(self, kept: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Make ready what `derived_name` names.

        Args:
            kept: what this gave earlier for the same weights, configuration and state; empty if it did not.

        Returns:
            Tensors on the CPU to keep beside the weights: `kept` itself where it served.
        """
        return kept

    def state(self) -> dict[str, Any]:
        """JSON-able facts found by `prepare` that are needed to build the module again (sizes, frame)."""
        return {}

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Bring a fresh module to the shape that `state()` described, ready for `load_state_dict`."""

    def training_state(self) -> dict[str, Any]:
        """What further training needs besides parameters, buffers, optimisers: tensors, numbers, strings."""
        return {}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take back what `training_state` gave (after `prepare`, on resuming)."""

    def describe(self) -> dict[str, float | int | str]:
        """Facts for logs and reports: parameter counts, grid sizes."""
        return {"parameters": sum(p.numel() for p in self.parameters())}
