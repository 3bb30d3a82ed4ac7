"""Protocols: the rules by which a prediction becomes numbers. Every result says which one it followed.

`sightline`, the default: prediction and truth are rounded to 8 bits; PSNR, SSIM with the 11x11 Gaussian
window and data range 1, LPIPS with VGG-16; the mean over the views of an object, then over objects.

`enr`: nothing is rounded. `pixelnerf`: the prediction is cut to 8 bits, and the files of pixelNeRF's own
programs are written. `gpnr`: nothing is rounded, SSIM is given with the published range too.

A protocol with rules of its own is an instance of `Protocol` with other fields, or of a subclass that
overrides `score` or `average`, and a call of `register_protocol`.

Pixels under an ignore-mask do not count: PSNR leaves them out; SSIM and LPIPS, which look at neighbourhoods,
see the truth in their place in both pictures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sightline.evaluation.pixelnerf_files import (
    append_finished,
    finished_line,
    object_text,
    summary_text,
    write_cut_png,
)
from sightline.foundation.cache import UnavailableError
from sightline.foundation.errors import InputError
from sightline.foundation.files import write_atomic
from sightline.metrics.backbones import BackboneName
from sightline.metrics.lpips import Lpips
from sightline.metrics.psnr import psnr
from sightline.metrics.ssim import WINDOW_SIZES, Window, ssim

Scores = dict[str, float | None]
"""metric → value; None where it is not defined (picture too small, no pixel counts, no weights)"""

DEFAULT_PROTOCOL = "sightline"
DTU_BAD_VIEWS = frozenset({3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 36, 37, 38, 39})


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a prediction is compared with the truth and how views are averaged."""

    name: str
    summary: str
    """one line for the list of protocols and for reports"""
    rounded: bool = True
    """whether both pictures are rounded to 8 bits first"""
    ssim_window: Window = "gaussian"
    lpips_backbone: BackboneName = "vgg"
    metrics: tuple[str, ...] = ("psnr", "ssim", "lpips")
    """names of the scores, in the order of tables"""
    sources: str | None = None
    """which views show an object where nobody says which, as `--sources` takes them; None leaves it open"""

    def score(self, prediction: Tensor, truth: Tensor, counted: Tensor | None, lpips: Lpips | None) -> Scores:
        """Compare one view.

        Args:
            prediction: (height, width, 3) in [0, 1]; what is outside is clipped, NaN becomes black.
            truth: (height, width, 3) in [0, 1].
            counted: bool (height, width), the pixels that count; all where None.
            lpips: the metric on the pictures' device; None leaves its score out.
        """
        prediction, truth = self.prepare(prediction), self.prepare(truth)
        signal = psnr(prediction, truth, counted).item()
        if counted is not None:
            prediction = torch.where(counted[..., None], prediction, truth)
        smallest = min(truth.shape[:2])
        similar = smallest >= WINDOW_SIZES[self.ssim_window]
        perceptual = lpips is not None and smallest >= lpips.backbone.smallest
        return {
            "psnr": None if math.isnan(signal) else signal,
            "ssim": ssim(prediction, truth, self.ssim_window).item() if similar else None,
            "lpips": lpips(prediction, truth).item() if lpips is not None and perceptual else None,
        }

    def prepare(self, picture: Tensor) -> Tensor:
        """Bring a picture to the values that are compared (float32)."""
        picture = torch.nan_to_num(picture.float(), nan=0.0).clamp(0, 1)
        return (picture * 255).round() / 255 if self.rounded else picture

    def average(self, scores: Sequence[Scores]) -> Scores:
        """Average the views of an object, or the objects of a set, leaving out what is not defined."""
        means: Scores = {}
        for metric in self.kept_metrics:
            values = [value for entry in scores if (value := entry[metric]) is not None]
            means[metric] = math.fsum(values) / len(values) if values and math.inf not in values else None
            if math.inf in values:
                means[metric] = math.inf
        return means

    def leaves_out(self, format: str, view: int) -> bool:
        """Whether a view of the data format `format` is never judged, by its number."""
        return False

    @property
    def kept_metrics(self) -> tuple[str, ...]:
        """All that `score` gives, those that only the protocol's own files show among them."""
        return self.metrics

    def write_view(self, folder: Path, index: int, prediction: Tensor) -> None:
        """Write the protocol's own file of a view of an object, where it has one.

        Args:
            folder: of the object, below the protocol's own folder; need not exist yet.
            index: of the view, in the capture.
            prediction: (height, width, 3), as it was rendered.
        """

    def write_object(self, folder: Path, scores: Scores) -> None:
        """Write the protocol's own file of an object's means, where it has one."""

    def write_summary(
        self, folder: Path, objects: Sequence[tuple[str, Scores]], categories: Mapping[str, Sequence[Scores]]
    ) -> None:
        """Write the protocol's own files of a whole evaluation, where it has some.

        Args:
            folder: the protocol's own folder.
            objects: folder name and means of each object, in the order of evaluation.
            categories: category → means of its objects, in the order of the first object's id.
        """

    def load_lpips(self) -> tuple[Lpips | None, str | None]:
        """Load the protocol's LPIPS; without its weights give the reason instead."""
        try:
            return Lpips.from_cache(self.lpips_backbone), None
        except UnavailableError as error:
            return None, str(error)


_PROTOCOLS: dict[str, Protocol] = {}


def register_protocol(protocol: Protocol) -> Protocol:
    """Make a protocol known by its name."""
    if protocol.name in _PROTOCOLS:
        raise ValueError(f"there is a protocol {protocol.name!r} already")
    _PROTOCOLS[protocol.name] = protocol
    return protocol


def get_protocol(name: str = DEFAULT_PROTOCOL) -> Protocol:
    """Find a protocol by its name; InputError lists the names there are."""
    if name not in _PROTOCOLS:
        raise InputError(
            f"There is no protocol {name!r}",
            where="--protocol",
            fix=f"Choose one of: {', '.join(_PROTOCOLS)}",
        )
    return _PROTOCOLS[name]


def list_protocols() -> list[Protocol]:
    """Every protocol, the default first."""
    return list(_PROTOCOLS.values())


SIGHTLINE = register_protocol(
    Protocol(
        name=DEFAULT_PROTOCOL,
        summary="8-bit pictures; PSNR, SSIM (11x11 Gaussian), LPIPS-VGG; mean over views, then over objects",
    )
)


ENR = register_protocol(
    Protocol(
        name="enr",
        summary="ENR: nothing rounded; PSNR of one source view (64) against all others; mean over views, "
        "then over objects",
        rounded=False,
        sources="64",
    )
)


@dataclass(frozen=True, kw_only=True)
class PixelnerfProtocol(Protocol):
    """What pixelNeRF's programs do: pictures go through 8-bit files, cut instead of rounded, and are compared
    as those files; SSIM has the 7x7 box; scores of what was not cut are in `finish.txt` only.
    """

    def score(self, prediction: Tensor, truth: Tensor, counted: Tensor | None, lpips: Lpips | None) -> Scores:
        """Compare one view: `psnr`, `ssim`, `lpips` of the cut picture, `float_*` of the picture itself."""
        exact = torch.nan_to_num(prediction.float(), nan=0.0).clamp(0, 1)
        as_file = (exact * 255).floor() / 255
        plain = super().score(exact, truth, counted, None)
        return {
            **super().score(as_file, truth, counted, lpips),
            "float_psnr": plain["psnr"],
            "float_ssim": plain["ssim"],
        }

    @property
    def kept_metrics(self) -> tuple[str, ...]:
        """The metrics, and those of `finish.txt`."""
        return (*self.metrics, "float_psnr", "float_ssim")

    def leaves_out(self, format: str, view: int) -> bool:
        """Leave out the over-exposed and dark pictures of DTU."""
        return "dtu" in format and view in DTU_BAD_VIEWS

    def write_view(self, folder: Path, index: int, prediction: Tensor) -> None:
        """Write `OBJECT/000064.png`, cut to 8 bits."""
        write_cut_png(folder / f"{index:06d}.png", prediction)

    def write_object(self, folder: Path, scores: Scores) -> None:
        """Write `OBJECT/metrics.txt`, and a line of `finish.txt`."""
        write_atomic(folder / "metrics.txt", object_text(scores).encode())
        append_finished(folder.parent / "finish.txt", folder.name, scores)

    def write_summary(
        self, folder: Path, objects: Sequence[tuple[str, Scores]], categories: Mapping[str, Sequence[Scores]]
    ) -> None:
        """Write `all_metrics.txt` and the whole `finish.txt`."""
        total = self.average([scores for _, scores in objects])
        groups = [(name, self.average(members), len(members)) for name, members in categories.items()]
        write_atomic(folder / "all_metrics.txt", summary_text(total, groups).encode())
        write_atomic(folder / "finish.txt", "".join(finished_line(*entry) for entry in objects).encode())


PIXELNERF = register_protocol(
    PixelnerfProtocol(
        name="pixelnerf",
        summary="pixelNeRF: pictures cut to 8 bits; PSNR, SSIM (7x7 box), LPIPS-VGG; mean over views, then "
        "over objects; writes finish.txt, all_metrics.txt, metrics.txt and pictures",
        rounded=False,
        ssim_window="uniform",
        sources="64",
    )
)


@dataclass(frozen=True, kw_only=True)
class GpnrProtocol(Protocol):
    """What GPNR's program does: nothing is rounded, and SSIM has the covariance of samples.

    `ssim` has the range of values in [0, 1]; `ssim_range2` that of the program, twice as large by mistake,
    which inflates it: only for comparing with tables that were made so.
    """

    borders: bool = True
    """compare whole pictures; or else without a tenth of them on each side, as MVSNeRF does"""

    def score(self, prediction: Tensor, truth: Tensor, counted: Tensor | None, lpips: Lpips | None) -> Scores:
        """Compare one view."""
        if not self.borders:
            height, width = truth.shape[:2]
            inner = slice(height // 10, height - height // 10), slice(width // 10, width - width // 10)
            prediction, truth = prediction[inner], truth[inner]
            counted = None if counted is None else counted[inner]
        found = super().score(prediction, truth, counted, lpips)
        prediction, truth = self.prepare(prediction), self.prepare(truth)
        if counted is not None:
            prediction = torch.where(counted[..., None], prediction, truth)
        similar = {
            name: None
            if found["ssim"] is None
            else ssim(prediction, truth, self.ssim_window, span, sample_covariance=True).item()
            for name, span in (("ssim", 1.0), ("ssim_range2", 2.0))
        }
        return {**found, **similar}


_GPNR_METRICS = ("psnr", "ssim", "ssim_range2", "lpips")
GPNR = register_protocol(
    GpnrProtocol(
        name="gpnr",
        summary="GPNR: nothing rounded; PSNR, SSIM (11x11 Gaussian) and the same with the published range, "
        "LPIPS-VGG; mean over views, then over scenes",
        rounded=False,
        metrics=_GPNR_METRICS,
    )
)
GPNR_CROPPED = register_protocol(
    GpnrProtocol(
        name="gpnr-cropped",
        summary="the same without a tenth of the picture on each side, as MVSNeRF compares",
        rounded=False,
        metrics=_GPNR_METRICS,
        borders=False,
    )
)
