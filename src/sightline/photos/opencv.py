"""OpenCV, loaded when a photo is cut, so that all else works where it is broken or missing."""

from typing import Any

from sightline.foundation.errors import InputError


def opencv() -> Any:
    """Import OpenCV; InputError says how to get it where it cannot be loaded."""
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            f"Photos are cut with OpenCV, which cannot be loaded ({error})",
            fix="Install it: pip install opencv-python-headless",
        ) from error
    return cv2
