"""Protocols: the rules by which a prediction becomes numbers. Every result says which one it followed.

`sightline`, the default: prediction and truth are rounded to 8 bits; PSNR, SSIM with the 11x11 Gaussian
window and data range 1, LPIPS with VGG-16; the mean over the views of an object, then over objects.

A protocol with rules of its own is an instance of `Protocol` with other fields, or of a subclass that
overrides `score` or `average`, and a call of `register_protocol`.

Pixels under an ignore-mask do not count: PSNR leaves them out; SSIM and LPIPS, which look at neighbourhoods,
see the truth in their place in both pictures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sightline.foundation.cache import UnavailableError
from sightline.foundation.errors import InputError
from sightline.metrics.backbones import BackboneName
from sightline.metrics.lpips import Lpips
from sightline.metrics.psnr import psnr
from sightline.metrics.ssim import WINDOW_SIZES, Window, ssim

Scores = dict[str, float | None]
"""metric → value; None where it is not defined (picture too small, no pixel counts, no weights)"""

DEFAULT_PROTOCOL = "sightline"


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
        for metric in self.metrics:
            values = [value for entry in scores if (value := entry[metric]) is not None]
            means[metric] = math.fsum(values) / len(values) if values and math.inf not in values else None
            if math.inf in values:
                means[metric] = math.inf
        return means

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
