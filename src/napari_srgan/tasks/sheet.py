"""A page of pictures, frames and words, drawn as pixels or as SVG.

Drawn with Pillow and by hand: matplotlib takes seconds to import, resamples the pixels that a
figure is about, and has nothing to lay out here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_srgan.io.inline import png_uri

DPI = 300
_MM = 25.4
_FONT = "'DejaVu Sans', Verdana, Arial, sans-serif"


@dataclass(frozen=True)
class Box:
    """A place on the page: left, top, width and height, in page pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first pixel beyond it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first pixel below it."""
        return self.y + self.height


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels (Y, X) or (Y, X, 3) of uint8 that fill a box; enlarged ones are repeated."""

    box: Box
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Outline:
    """A rectangle of a colour, filled where `line` is 0, else `line` pixels thick, inwards."""

    box: Box
    colour: str
    line: int = 0


@dataclass(frozen=True)
class Words:
    """A line of text.

    Attributes
    ----------
    x, y : int
        The middle of its baseline where it is centred, else the left end.
    size : int
        Of the font, in page pixels.
    """

    x: int
    y: int
    text: str
    size: int
    colour: str = "#000000"
    centred: bool = False


@dataclass(frozen=True)
class Sheet:
    """A white page; what comes later lies on top."""

    width: int
    height: int
    items: tuple[Picture | Outline | Words, ...]


@cache
def font(size: int) -> Any:
    """The font of the pixels, matplotlib's: the same on every machine, and Pillow's has no µ."""
    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def text_width(text: str, size: int) -> int:
    """How wide a text gets, in page pixels."""
    long: float = font(size).getlength(text)
    return math.ceil(long)


def shortened(text: str, size: int, room: int) -> str:
    """Cut a text in the middle so that it fits; what cannot be printed is left out."""
    text = "".join(c for c in text if c.isprintable())
    kept = len(text)
    shown = text
    while kept > 1 and text_width(shown, size) > room:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return shown


def raster(sheet: Sheet) -> Image.Image:
    """Draw the page as pixels; all grays are kept as they are."""
    grays = all(
        i.pixels.ndim == 2 if isinstance(i, Picture) else _is_gray(i.colour) for i in sheet.items
    )
    mode = "L" if grays else "RGB"
    page = Image.new(mode, (sheet.width, sheet.height), "#ffffff")
    draw = ImageDraw.Draw(page)
    for item in sheet.items:
        if isinstance(item, Picture):
            page.paste(_fitted(item).convert(mode), (item.box.x, item.box.y))
        elif isinstance(item, Outline):
            corners = (item.box.x, item.box.y, item.box.right - 1, item.box.bottom - 1)
            if item.line:
                draw.rectangle(corners, outline=item.colour, width=item.line)
            else:
                draw.rectangle(corners, fill=item.colour)
        else:
            anchor = "ms" if item.centred else "ls"
            where = (item.x, item.y)
            draw.text(where, item.text, fill=item.colour, font=font(item.size), anchor=anchor)
    return page


def svg(sheet: Sheet) -> str:
    """Draw the page as SVG: pictures with the pixels that they have, words as text."""
    size = [f"{n / DPI * _MM:.3f}mm" for n in (sheet.width, sheet.height)]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{size[0]}" height="{size[1]}" viewBox="0 0 {sheet.width} {sheet.height}">',
        f'<rect width="{sheet.width}" height="{sheet.height}" fill="#ffffff"/>',
        *(_element(item) for item in sheet.items),
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _element(item: Picture | Outline | Words) -> str:
    if isinstance(item, Words):
        anchor = "middle" if item.centred else "start"
        return (
            f'<text x="{item.x}" y="{item.y}" font-family="{_FONT}" font-size="{item.size}" '
            f'fill="{item.colour}" text-anchor="{anchor}">{escape(item.text)}</text>'
        )
    box = item.box
    if isinstance(item, Outline):
        half = item.line / 2
        place = (
            f'x="{box.x + half:g}" y="{box.y + half:g}" '
            f'width="{box.width - item.line}" height="{box.height - item.line}"'
        )
        if item.line:
            return f'<rect {place} fill="none" stroke="{item.colour}" stroke-width="{item.line}"/>'
        return f'<rect {place} fill="{item.colour}"/>'
    uri = png_uri(Image.fromarray(np.ascontiguousarray(item.pixels)))
    return (
        f'<image x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" '
        'preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'xlink:href="{uri}"/>'
    )


def _fitted(picture: Picture) -> Image.Image:
    """Bring pixels to the size of their box: repeated where enlarged, averaged where shrunk."""
    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    sizes: Sequence[tuple[int, int]] = (
        (picture.box.width, image.height),
        (picture.box.width, picture.box.height),
    )
    for size in sizes:
        grows = size[0] >= image.width and size[1] >= image.height
        image = image.resize(size, Image.Resampling.NEAREST if grows else Image.Resampling.BOX)
    return image


def _is_gray(colour: str) -> bool:
    return len({colour[i : i + 2] for i in (1, 3, 5)}) == 1
