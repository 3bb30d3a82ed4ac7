"""Pictures in memory and as PNG files: 8 and 16 bits, alpha, rounding, compositing over a background."""

import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from sightline.foundation.errors import InputError
from sightline.foundation.files import write_atomic

NAMED_COLOURS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0), "grey": (0.5, 0.5, 0.5)}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def to_uint8(image: Float[Tensor, "..."] | Float[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Round values in [0, 1] to the nearest of 0 to 255; what is outside is clipped, NaN becomes 0."""
    if isinstance(image, Tensor):
        rounded = torch.nan_to_num(image.detach(), nan=0.0).clamp(0, 1).mul(255).round()
        return rounded.to(torch.uint8).cpu().numpy()
    return np.rint(np.clip(np.nan_to_num(image, nan=0.0), 0, 1) * 255).astype(np.uint8)


def to_float(image: np.ndarray) -> Float[np.ndarray, "..."]:
    """Bring 8-bit or 16-bit pictures (or floats, unchanged) of any shape to float32 in [0, 1]."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(65535)
    if np.issubdtype(image.dtype, np.floating):
        return image.astype(np.float32, copy=False)
    raise TypeError(f"pictures are uint8, uint16 or floating point, not {image.dtype}")


def parse_colour(text: str) -> tuple[float, float, float]:
    """Understand a colour: `white`, `black`, `grey`, `#rrggbb`, or three numbers in [0, 1] with commas."""
    name = text.strip().lower()
    if name in NAMED_COLOURS:
        return NAMED_COLOURS[name]
    try:
        if name.startswith("#") and len(name) == 7:
            red, green, blue = bytes.fromhex(name[1:])
            return red / 255, green / 255, blue / 255
        red, green, blue = (float(part) for part in name.split(","))
        if all(0 <= value <= 1 for value in (red, green, blue)):
            return red, green, blue
    except ValueError:
        pass
    known = ", ".join(NAMED_COLOURS)
    raise InputError(
        f"{text!r} is not a colour",
        fix=f"Give one of {known}, #rrggbb, or three numbers in [0, 1] such as 0.2,0.2,0.2",
    )


def composite_over(
    image: Float[np.ndarray, "height width channels"], background: tuple[float, float, float]
) -> Float[np.ndarray, "height width 3"]:
    """Put a picture in [0, 1] before a background colour: rgb · alpha + background · (1 - alpha).

    A picture of three channels is opaque and comes back as it is.
    """
    if image.shape[-1] == 3:
        return image
    colour, alpha = image[..., :3], image[..., 3:]
    return (colour * alpha + np.asarray(background, dtype=image.dtype) * (1 - alpha)).astype(image.dtype)


def read_image(path: Path | str) -> np.ndarray:
    """Read a picture file.

    Returns:
        uint8, or uint16 for PNG files of 16 bits: (height, width) for grey files, (height, width, 3) RGB, or
        (height, width, 4) RGBA where the file has transparency.

    Raises:
        InputError: the file is missing, cut short or not a picture.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if data.startswith(_PNG_SIGNATURE) and len(data) > 24 and data[24] == 16:
            return _decode_16_bits(data)
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture.convert(_plain_mode(picture)))
    except FileNotFoundError as error:
        raise InputError("The picture does not exist", where=path) from error
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(
            f"Cannot read the picture ({error})",
            where=path,
            fix="Copy it again; it may be cut short or not a picture",
        ) from error


def _plain_mode(picture: Image.Image) -> str:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        return "RGBA"
    return "L" if picture.mode in ("L", "1") else "RGB"


def _decode_16_bits(data: bytes) -> np.ndarray:
    # Pillow reduces coloured 16-bit PNG files to 8 bits; OpenCV keeps them, with the channels the other way
    # round.
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError("broken 16-bit PNG")
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def encode_png(image: np.ndarray) -> bytes:
    """Encode a picture of uint8 or uint16, grey, RGB or RGBA, as PNG bytes of the same depth."""
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)) or image.size == 0:
        raise ValueError(f"not the shape of a picture: {image.shape}")
    if image.dtype == np.uint8:
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="PNG")
        return buffer.getvalue()
    if image.dtype == np.uint16:
        import cv2

        if image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
        return cv2.imencode(".png", image)[1].tobytes()
    raise TypeError(f"PNG files hold uint8 or uint16, not {image.dtype}: use to_uint8 first")


def write_png(path: Path | str, image: np.ndarray) -> None:
    """Write a picture of uint8 or uint16, grey, RGB or RGBA, as a PNG file, atomically."""
    write_atomic(path, encode_png(image))
