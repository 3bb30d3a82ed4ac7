"""What captures and runs are called where nobody says."""

from pathlib import Path

_GENERAL = ("images", "photos", "input", "frames")
"""names of folders that say nothing"""
_DESCRIPTIONS = (".json", ".npz", ".npy", ".txt")
"""of files that stand for the folder that they lie in"""


def data_name(data: Path) -> str:
    """Name data after its folder, or after the video that it is."""
    data = data.resolve()
    if data.is_file() and data.suffix.lower() not in _DESCRIPTIONS:
        return data.stem
    folder = data if data.is_dir() else data.parent
    return folder.parent.name if folder.name in _GENERAL and folder.parent.name else folder.name
