"""A picture of several versions of one plane side by side, each with a detail enlarged below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GAP = 8
_CAPTION = 26
_BACKGROUND = 24
_INK = 235
_FRAME = 255


@dataclass(frozen=True, slots=True)
class Panel:
    """One version: its caption and its pixels (Y, X); all panels of a picture have one shape."""

    caption: str
    pixels: NDArray[Any]


def save_side_by_side(path: Path, panels: Sequence[Panel]) -> None:
    """Write the picture as PNG.

    Parameters
    ----------
    path : Path
        Where to; replaced if it is there.
    panels : sequence of Panel
        All shown with one gray scale, that of the last, so that brightness can be compared.
        The detail is the part where the first differs from it most.
    """
    last = panels[-1].pixels
    black, white = np.percentile(last, (0.5, 99.8))
    height, width = last.shape
    side_y, side_x = height // 4, width // 4
    lost = last.astype(np.float64) - panels[0].pixels
    y, x = _busiest(lost, side_y, side_x)
    canvas = np.full(
        (_CAPTION + 2 * height + 2 * _GAP, len(panels) * (width + _GAP) + _GAP),
        _BACKGROUND,
        np.uint8,
    )
    for number, panel in enumerate(panels):
        span = max(float(white - black), 1e-12)
        gray = np.clip((panel.pixels.astype(np.float64) - black) / span, 0, 1)
        shown = np.rint(gray * 255).astype(np.uint8)
        detail = shown[y : y + side_y, x : x + side_x].repeat(4, 0).repeat(4, 1)
        framed = shown.copy()
        framed[y : y + side_y, [x, x + side_x - 1]] = _FRAME
        framed[[y, y + side_y - 1], x : x + side_x] = _FRAME
        left = _GAP + number * (width + _GAP)
        canvas[_CAPTION : _CAPTION + height, left : left + width] = framed
        below = _CAPTION + height + _GAP
        canvas[below : below + detail.shape[0], left : left + detail.shape[1]] = detail
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=15)
    for number, panel in enumerate(panels):
        draw.text((_GAP + number * (width + _GAP), 4), panel.caption, fill=_INK, font=font)
    image.save(path)


def _busiest(plane: NDArray[Any], height: int, width: int) -> tuple[int, int]:
    """Find the corner of the window of that size with the largest variance, on a coarse grid."""
    corners = [
        (y, x)
        for y in range(0, plane.shape[0] - height + 1, max(height // 4, 1))
        for x in range(0, plane.shape[1] - width + 1, max(width // 4, 1))
    ]
    return max(corners, key=lambda c: float(plane[c[0] : c[0] + height, c[1] : c[1] + width].var()))
