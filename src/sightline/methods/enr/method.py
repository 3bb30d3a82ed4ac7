"""`enr`: a volume inferred from one picture, moved as the camera moves, and rendered (Dupont et al. 2020)."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.captures import Capture, Collection, ImageStore
from sightline.foundation.errors import InputError, warn
from sightline.foundation.hardware import keep_freed_memory
from sightline.geometry import Cameras
from sightline.geometry.turning_volume import turntable_poses
from sightline.kernels.warm import compile_operations
from sightline.methods.base import Method, Optimisation, Progress, Rendering, Scene
from sightline.methods.enr.config import EnrConfig
from sightline.methods.enr.losses import picture_loss
from sightline.methods.enr.motion import move
from sightline.methods.enr.network import EnrNetwork
from sightline.methods.enr.pairs import (
    PairBatch,
    PairMaker,
    PictureBank,
    TrainingObject,
    mean_colour,
    share_of_batch,
)
from sightline.methods.enr.pictures import (
    check_size,
    cut_side,
    file_of,
    fit_pictures,
    fit_square,
    place_on_white,
)
from sightline.methods.enr.poses import (
    find_distance,
    focal_of,
    learnt_poses,
    left_out,
    seen_from,
    unlearnt_motion,
)
from sightline.methods.enr.scene import BATCH, EnrScene, Renderer
from sightline.methods.enr.variation import vary
from sightline.networks.fused_adam import fused_adam
from sightline.networks.precision import product_type, products_in

_SHOWN = 3
_RISING_STEPS = 100


class Enr(Method):
    """Many objects of a category, each rendered from one of its pictures.

    Parameters are those of `EnrNetwork`, behind `network.`: with the names of the published files.
    """

    name: ClassVar[str] = "enr"
    usual_sources: ClassVar[int | None] = 1
    most_sources: ClassVar[int | None] = 1
    whole_pictures: ClassVar[bool] = True
    config: EnrConfig

    def __init__(self, config: EnrConfig):
        super().__init__(config)
        self.network = EnrNetwork(config)
        self._distance, self._focal = 2.0, 1.0
        # Part of the smaller side of training pictures that the network sees; None where nobody noted it.
        self._shown: float | None = None
        # With what it was made of; in a list, so that its weights are not taken for those of the method.
        self._kept: list[tuple[Any, Renderer]] = []

    def warm_up(self) -> None:
        """Compile the kernels, and settle how memory is reused: outputs of the same sizes come again."""
        keep_freed_memory()
        if self.network.ball.device.type == "cpu":
            narrow = self.convolution_type == torch.bfloat16
            compile_operations("group_norm", "moved_volume", dtype=np.uint16 if narrow else np.float32)

    @property
    def convolution_type(self) -> torch.dtype:
        """Number format of the convolutions on the network's device."""
        return product_type(self.config.network_precision, self.network.ball.device)

    def prepare(self, data: Capture | Collection) -> list[TrainingObject]:
        """Open the training objects; their pictures are decoded by `batches`.

        Raises:
            InputError: no training objects, pictures of another size, or cameras whose distance nobody says.
        """
        captures = [data] if isinstance(data, Capture) else [entry.open() for entry in data.split("train")]
        found = [self._training_object(capture) for capture in captures]
        objects = [entry for entry in found if entry is not None]
        if not objects:
            raise InputError(
                "No object has two training views", where=data.path, fix="Hold out fewer views (--holdout)"
            )
        counts = [len(entry.views) for entry in objects]
        differing = sum(count != counts[0] for count in counts)
        if differing or len(objects) < len(captures):
            warn(
                f"{differing} of {len(objects)} objects have other numbers of views than the first "
                f"({counts[0]}); {len(captures) - len(objects)} have less than two and are left out"
            )
        self._distance = find_distance(objects[0].capture, self.config) or self._distance
        self._focal = focal_of(objects[0].capture)
        self._shown = self._part_shown(objects[0].capture)
        self._tell_what_is_left_out(objects[0].capture)
        if self.config.normalisation == "none":
            self.network.begin_with(mean_colour(objects, self.config).to(self.network.ball.device))
        return objects

    def _training_object(self, capture: Capture) -> TrainingObject | None:
        views = sorted(capture.splits.get("train", ()), key=lambda index: capture.image_names[index])
        # An odd one would have no partner.
        views = views[: len(views) // 2 * 2]
        if not views:
            return None
        for index in views:
            width, height = capture.images.sizes[index]
            check_size(int(width), int(height), self.config, file_of(capture, index))
        cameras = capture.cameras[views]
        turns, shifts = learnt_poses(cameras, self._distance_of(capture), self.config)
        return TrainingObject(capture, tuple(views), turns, shifts)

    def _distance_of(self, capture: Capture, fallback: float | None = None) -> float:
        distance = find_distance(capture, self.config) or fallback
        if distance is not None:
            return distance
        if self.config.motion == "rotation":
            # Turns do not depend on it.
            return 1.0
        raise InputError(
            "The data does not say how far the cameras are from what they look at, and shifts follow from it",
            where=capture.path,
            fix="Give it with --distance, in units of the data, or use --motion rotation",
        )

    def _tell_what_is_left_out(self, capture: Capture) -> None:
        what = left_out(capture.cameras, self._distance, self.config)
        if what is not None:
            warn(
                f"The cameras' {what} are left out, since --motion is {self.config.motion}; "
                "with rototranslation they are learnt"
            )

    def batches(
        self, prepared: Sequence[TrainingObject], generator: torch.Generator, rank: int = 0, world: int = 1
    ) -> PairMaker:
        """Pairs of views; see `PairMaker`."""
        config = self.config
        size = share_of_batch(config.batch_size, world)
        ways = {name: getattr(config, name) for name in ("mirror", "permute_colours", "bend_colours")}
        changed = partial(vary, **ways) if any(ways.values()) else None
        return PairMaker(PictureBank(prepared, config), size, generator, changed)

    def forward(self, batch: PairBatch, progress: Progress) -> dict[str, Any]:
        """Render each picture from the volume of its partner, and compare."""
        batch = batch.to(self.network.ball.device)
        rendered = self.swap_and_render(batch)
        config = self.config
        loss, difference, dissimilarity = picture_loss(
            rendered, batch.pictures, config.loss, config.ssim_weight
        )
        squared = (rendered.detach() - batch.pictures).square().mean((1, 2, 3))
        return {
            "loss": loss,
            "psnr": -10 * torch.log10(squared.clamp_min(1e-10)).mean(),
            config.loss: difference.detach(),
            "dissimilarity": dissimilarity.detach(),
        }

    def swap_and_render(self, batch: PairBatch) -> Float[Tensor, "batch 3 side side"]:
        """Infer all volumes, move each to its partner's camera, and render there."""
        with self._precision():
            volumes = self.network.infer(batch.pictures)
            partners = volumes.view(-1, 2, *volumes.shape[1:]).flip(1).flatten(0, 1)
            return self.network.show(move(partners, batch.motions, self.config.interpolation))

    def _precision(self) -> AbstractContextManager[object]:
        return products_in(self.convolution_type, self.network.ball.device)

    def optimisers(self) -> list[Optimisation]:
        """Adam; its rate falls along half a cosine to `final_rate`.

        Without normalisation it rises over the first steps, in which Adam knows little of the gradients yet.
        """
        adam = fused_adam(self.parameters(), lr=self.config.learning_rate)
        low = self.config.final_rate
        rising = _RISING_STEPS if self.config.normalisation == "none" else 1

        def schedule(progress: Progress) -> float:
            falling = low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress.fraction))
            return falling * min(1.0, (progress.step + 1) / rising)

        return [Optimisation(adam, schedule)]

    @torch.no_grad()
    def encode(self, views: Capture | None = None) -> EnrScene:
        """Infer the volume of one source view.

        Raises:
            InputError: no view or several, or a picture of another size.
        """
        if views is None or len(views) != 1:
            raise InputError(
                f"enr sees an object from one source view, not from {0 if views is None else len(views)}",
                where=None if views is None else views.path,
                fix="Choose one with --sources",
            )
        keep_freed_memory()
        width, height = views.images.sizes[0]
        check_size(int(width), int(height), self.config, file_of(views, 0))
        picture = fit_pictures([views.images[0]], self.config).to(self.network.ball.device).float() / 255
        distance = self._distance_of(views, self._distance)
        turn, shift = learnt_poses(views.cameras, distance, self.config)
        renderer = self._renderer()
        with self._precision():
            volume = self.network.infer(picture)
        entered, shown = renderer.enter(volume), self._part_shown(views)
        return EnrScene(self.config, renderer, entered, turn.cpu(), shift.cpu(), distance, shown)

    def _part_shown(self, views: Capture) -> float:
        width, height = (int(length) for length in views.images.sizes[0])
        return cut_side(width, height, self.config) / min(width, height)

    def _renderer(self) -> Renderer:
        """Make the renderer in its number format, or take the one that was made of the same weights."""
        weights = tuple((tensor.data_ptr(), tensor._version) for tensor in self.network.parameters())
        made_of = (weights, self.convolution_type, self.config.interpolation)
        if not self._kept or self._kept[0][0] != made_of:
            renderer = Renderer(self.network, self.config.interpolation, self.convolution_type)
            self._kept = [(made_of, renderer)]
        return self._kept[0][1]

    def render(
        self,
        scene: Scene,
        camera: Cameras,
        *,
        background: Float[Tensor, "3"] | None = None,
        chunk: int | None = None,
    ) -> Rendering:
        """Render one camera. The picture has no opacity; its background is what was learnt.

        It is computed at the network's size and resized to the camera's. Where source pictures are cut to
        their middle square, what is beside that square is white.

        Raises:
            InputError: the camera's picture is not square, and pictures are not to be resized.
        """
        return Rendering(self.render_many(scene, camera)[0])

    def render_many(
        self, scene: Scene, cameras: Cameras, batch: int = BATCH
    ) -> Float[Tensor, "n height width 3"]:
        """Render cameras of one picture size, several at a time; see `render`."""
        assert isinstance(scene, EnrScene)
        width, height = int(cameras.width[0]), int(cameras.height[0])
        if width != height and not self.config.resize:
            raise InputError(
                f"enr renders square pictures, and the camera's has {width}x{height} pixels",
                fix="Give --resize, which leaves white what is beside the middle square",
            )
        return place_on_white(scene.pictures(scene.motions(cameras), batch), width, height, scene.shown)

    def views_of_photos(self, photos: Sequence[UInt8[np.ndarray, "height width channels"]]) -> Capture:
        """Take a photo (height, width, 3 or 4) as seen from azimuth and elevation 0; see `Method`."""
        if len(photos) != 1:
            raise InputError(
                f"enr takes one photo, and {len(photos)} are given", where="--photo", fix="Choose one"
            )
        # As large as the training pictures, of which the network sees the middle.
        crop, side = self.config.crop, self.config.image_size
        if crop is not None and self._shown is not None:
            side = round(crop / self._shown)
        photo = np.asarray(photos[0])
        smallest = min(photo.shape[:2])
        picture = fit_square(photo, smallest, side)
        if smallest < side:
            warn(f"The photo has {photo.shape[1]}x{photo.shape[0]} pixels and is enlarged to {side}x{side}")
        nothing = torch.zeros(1, dtype=torch.float64)
        pose = turntable_poses(nothing, nothing, torch.zeros(1, 3, dtype=torch.float64), self._distance)
        return Capture(
            name="photo",
            cameras=Cameras.create(pose, self._focal * side, width=side, height=side),
            images=ImageStore.from_arrays([picture]),
            image_names=("photo.png",),
            splits={"train": (0,), "val": (), "test": ()},
            background="white",
            extras={"distance": self._distance},
        )

    def take_any_size(self) -> None:
        """Resize source pictures, as `resize` of the configuration does; see `Method`."""
        self.config = replace(self.config, resize=True)

    def moved(
        self,
        scene: Scene,
        azimuth: Float[Tensor, "n"],
        elevation: Float[Tensor, "n"],
        shift: Float[Tensor, "n 3"],
    ) -> Sequence[EnrScene]:
        """Move the volume freely, also in ways that the configuration leaves out; see `Method`."""
        assert isinstance(scene, EnrScene)
        unlearnt = unlearnt_motion(self.config.motion, azimuth, elevation, shift)
        if unlearnt is not None:
            warn(
                f"This run has learnt {self.config.motion} only: the volume is moved by {unlearnt} all the "
                "same, but nothing was learnt of how that looks"
            )
        turns, shifts = seen_from(scene.turn, scene.shift, azimuth, elevation, shift)
        return [
            replace(scene, turn=turns[index : index + 1], shift=shifts[index : index + 1])
            for index in range(len(turns))
        ]

    def state(self) -> dict[str, Any]:
        """Distance, lens and frame of the training views, for photos whose cameras nobody knows."""
        return {"distance": self._distance, "focal": self._focal, "shown": self._shown}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self._distance, self._focal = float(state["distance"]), float(state["focal"])
        self._shown = state.get("shown")
