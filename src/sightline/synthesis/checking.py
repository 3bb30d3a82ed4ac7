"""Checks of what users ask for."""

from sightline.foundation.errors import InputError
from sightline.synthesis.blender_renderer import find_blender


def check_number(name: str, value: int, lowest: int, highest: int) -> None:
    """Refuse a number that is out of range."""
    if not lowest <= value <= highest:
        fix = (
            f"Choose a number between {lowest} and {highest}" if lowest < highest else f"Leave it at {lowest}"
        )
        raise InputError(f"{name} is {value}", fix=fix)


def check_renderer(name: str) -> None:
    """Refuse a renderer that there is not, before anything is written."""
    if name not in ("mitsuba", "blender"):
        raise InputError(f"There is no renderer {name!r}", fix="Choose mitsuba or blender")
    if name == "blender":
        find_blender()
