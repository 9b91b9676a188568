"""From pixels to PNG in the page: gray, colour, and maps with their colours.

What belongs here: encoding. Which pixels and which limits is `shown`'s.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_srgan.tasks.report.content import Picture

_COLOURS = {"diverging": "RdBu_r", "sequential": "inferno"}
_UNKNOWN = (128, 128, 128)
_LEVELS = 255  # of a map; the last entry of its palette stands for NaN


def picture_uri(picture: Picture) -> str:
    """Encode a picture as the data URI of a PNG."""
    if picture.colours in _COLOURS:
        image = Image.fromarray(_levels(picture.pixels, picture.lo, picture.hi, _LEVELS - 1))
        image.putpalette(_palette(picture.colours))
    else:
        # NaN is black in images: they have no colour of their own for it.
        image = Image.fromarray(_levels(picture.pixels, picture.lo, picture.hi, 255))
    return _uri(image)


def bar_uri(picture: Picture) -> str:
    """Encode the colour bar of a map, from `lo` on the left to `hi`."""
    image = Image.fromarray(np.arange(_LEVELS, dtype=np.uint8)[None])
    image.putpalette(_palette(picture.colours))
    return _uri(image)


def _levels(pixels: NDArray[Any], lo: float, hi: float, last: int) -> NDArray[np.uint8]:
    """Scale to 0 .. last, with values beyond at the ends; NaN to last + 1, or 0 of 256 levels."""
    values = pixels.astype(np.float64)
    known = np.isfinite(values)
    scaled = np.rint(last * np.clip((np.where(known, values, lo) - lo) / ((hi - lo) or 1.0), 0, 1))
    scaled[~known] = last + 1 if last < 255 else 0
    return scaled.astype(np.uint8)


def _palette(colours: str) -> list[int]:
    steps = matplotlib.colormaps[_COLOURS[colours]](np.linspace(0, 1, _LEVELS))[:, :3]
    return [*np.rint(255 * steps).astype(int).ravel().tolist(), *_UNKNOWN]


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
