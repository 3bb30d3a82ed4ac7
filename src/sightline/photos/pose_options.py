"""How camera poses are found: what a user may choose (no torch, no pycolmap)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sightline.photos.pairing import Matcher

Quality = Literal["low", "medium", "high"]
LensChoice = Literal["auto", "pinhole", "radial", "opencv", "fisheye"]
CameraChoice = Literal["auto", "single", "each"]
Mapper = Literal["incremental", "global"]


@dataclass(frozen=True)
class PoseOptions:
    """How camera poses are found."""

    frames: int = 150
    """of a video: at most so many frames are taken"""
    masks: Path | None = None
    """folder of masks named as the photos, black where no features are looked for (people, reflections); they
    are kept for training; without it the transparency of photos counts"""
    matcher: Matcher = "auto"
    """which photos are compared: exhaustive (all pairs), sequential (neighbours in order and look-alikes) or
    retrieval (look-alikes); by their number and kind where not given"""
    quality: Quality = "medium"
    """how many features are found, and in how large photos"""
    camera: CameraChoice = "auto"
    """single: all photos are by one camera; each: each by its own; else those of one size and EXIF
    share one"""
    lens: LensChoice = "auto"
    """lens model; opencv for many photos of one camera and radial for few where not given"""
    mapper: Mapper = "incremental"
    """incremental adds photo by photo; global places all at once, which is faster with many hundreds"""
    keep_work: bool = False
    """keep COLMAP's database and log in the folder"""
