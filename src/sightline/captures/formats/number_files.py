"""Text files of numbers, as the layouts with a file for each pose have them."""

from pathlib import Path

import numpy as np

from sightline.captures.formats.object_folders import OPENCV_TO_OPENGL
from sightline.foundation.errors import InputError


def read_lines(file: Path) -> list[list[float]]:
    """Read the numbers of each line that is not empty."""
    try:
        text = file.read_text(encoding="utf-8")
        return [[float(word) for word in line.split()] for line in text.splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"The file does not hold numbers ({error})", where=file) from error


def read_pose(file: Path, world_to_camera: bool) -> np.ndarray:
    """Read a pose of 16 numbers with camera axes x right, y down, z forward.

    Returns:
        float64 (4, 4), camera to world with axes x right, y up, z backward.
    """
    numbers = [number for line in read_lines(file) for number in line]
    if len(numbers) != 16:
        raise InputError(f"A pose has 16 numbers, the file holds {len(numbers)}", where=file)
    matrix = np.array(numbers).reshape(4, 4)
    if world_to_camera:
        try:
            matrix = np.linalg.inv(matrix)
        except np.linalg.LinAlgError as error:
            raise InputError("The pose cannot be inverted", where=file) from error
    return matrix * OPENCV_TO_OPENGL
