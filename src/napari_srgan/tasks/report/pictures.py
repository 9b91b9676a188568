"""The pictures of a report: which part is shown, with which limits and words, and as PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from napari_srgan.image.geometry import Scale, scale_text
from napari_srgan.image.views import values_range
from napari_srgan.io.inline import png_uri
from napari_srgan.tasks.report.content import Colours, Picture
from napari_srgan.tasks.trust_maps import MapNotes
from napari_srgan.trust.consistency import percent, strongest

LARGEST_SIDE = 1200
"""Pixels of the result along a side of what is shown."""
BYTES = 5_400_000
"""Of all pictures before compression and base64, so that the page stays below 8 MB."""
_DETAIL = (48, 160)  # HR px a side at least and at most; a quarter of what is shown between


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a slice in LR pixels, half-open, and the enlargement of the result."""

    y0: int
    y1: int
    x0: int
    x1: int
    scale: Scale

    def low(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Cut a plane of the size of the input."""
        return plane[self.y0 : self.y1, self.x0 : self.x1]

    def high(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Cut a plane of the size of the result."""
        sy, sx = self.scale
        return plane[sy * self.y0 : sy * self.y1, sx * self.x0 : sx * self.x1]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in HR pixels."""
        return self.scale[0] * (self.y1 - self.y0), self.scale[1] * (self.x1 - self.x0)


def central_part(height: int, width: int, scale: Scale, bytes_a_pixel: int) -> Part:
    """Choose what is shown of a plane: the whole, or the middle of it.

    Parameters
    ----------
    height, width : int
        Of the input, LR pixels.
    scale : Scale
    bytes_a_pixel : int
        Bytes of all pictures together for one HR pixel.

    Returns
    -------
    Part
        At most `LARGEST_SIDE` HR pixels a side, and `BYTES` in all.
    """
    most = BYTES // bytes_a_pixel
    sides = [min(n * f, LARGEST_SIDE) for n, f in zip((height, width), scale, strict=True)]
    if math.prod(sides) > most:
        # The longer side gives way first, down to a square.
        short = min(*sides, math.isqrt(most))
        sides = [min(side, most // short) for side in sides]
    low = [side // f for side, f in zip(sides, scale, strict=True)]
    y0, x0 = ((n - side) // 2 for side, n in zip(low, (height, width), strict=True))
    return Part(y0, y0 + low[0], x0, x0 + low[1], scale)


def part_text(part: Part, height: int, width: int) -> str:
    """Say which part of a plane of that size in LR pixels is shown; "" if it is the whole."""
    if (part.y1 - part.y0, part.x1 - part.x0) == (height, width):
        return ""
    sy, sx = part.scale
    return (
        f"The slice is {sy * height} x {sx * width} px after super-resolution; "
        f"shown is its middle, rows {sy * part.y0} to {sy * part.y1 - 1} and "
        f"columns {sx * part.x0} to {sx * part.x1 - 1} from 0."
    )


def busiest(first: NDArray[Any], second: NDArray[Any], scale: Scale) -> Part:
    """Find the window in which two planes differ most, in the mean square.

    Parameters
    ----------
    first, second : ndarray, shape (Y, X) or (Y, X, S)
        HR planes of what is shown.
    scale : Scale

    Returns
    -------
    Part
        Within what is shown, LR pixels.
    """
    squares = (first.astype(np.float64) - second.astype(np.float64)) ** 2
    squares = np.nan_to_num(squares if squares.ndim == 2 else squares.mean(axis=2))
    height, width = squares.shape
    sides = [
        max(f, min(n, max(_DETAIL[0], min(_DETAIL[1], n // 4))) // f * f)
        for n, f in zip((height, width), scale, strict=True)
    ]
    power = uniform_filter(squares, sides, mode="constant")
    y, x = sides[0] // 2, sides[1] // 2
    sy, sx = scale
    inner = power[y : height - sides[0] + y + 1 : sy, x : width - sides[1] + x + 1 : sx]
    row, col = (int(i) for i in np.unravel_index(int(np.argmax(inner)), inner.shape))
    return Part(row, row + sides[0] // sy, col, col + sides[1] // sx, scale)


def in_percent(window: Part, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Give left, top, width and height of a window in % of what is shown, `shape` in HR pixels."""
    height, width = shape
    sy, sx = window.scale
    return (
        100 * sx * window.x0 / width,
        100 * sy * window.y0 / height,
        100 * sx * (window.x1 - window.x0) / width,
        100 * sy * (window.y1 - window.y0) / height,
    )


_GRAY = (0.1, 99.9)  # percentiles that are black and white
_END = 99.9  # percentile of a map at the end of its colours
_LEAST = 0.01  # of the range: rounding noise is not to look alarming


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShownPlanes:
    """The planes of the shown slice.

    Attributes
    ----------
    low : ndarray, shape (y, x) or (y, x, S)
        The input, of the part that was restored.
    bicubic, result : ndarray, shape (Y, X) or (Y, X, S)
    reference : ndarray or None
    """

    low: NDArray[Any]
    bicubic: NDArray[Any]
    result: NDArray[Any]
    reference: NDArray[Any] | None


def image_pictures(
    planes: ShownPlanes, part: Part, model: str, names: Sequence[str]
) -> list[Picture]:
    """Show input, bicubic, result and reference with one black and one white.

    Parameters
    ----------
    planes : ShownPlanes
    part : Part
    model : str
    names : sequence of str
        Of the input and the reference.
    """
    low = _colours(part.low(planes.low))
    lo, hi = (0.0, 255.0)
    rgb = low.ndim == 3
    if not (rgb and low.dtype == np.uint8):
        lo, hi = values_range(low, _GRAY)
    finer = scale_text(part.scale)
    sy, sx = part.scale
    pairs = [
        ("input", "Input", f"{names[0]}, as measured; each pixel as {sy} x {sx}.", low),
        (
            "bicubic",
            "Bicubic",
            f"The input enlarged {finer} by bicubic interpolation, which adds no detail.",
            part.high(planes.bicubic),
        ),
        (
            "result",
            model,
            f"The input super-resolved {finer}; fine detail is estimated, not measured.",
            part.high(planes.result),
        ),
    ]
    if planes.reference is not None:
        pairs.append(
            ("reference", "Reference", f"{names[1]}.", part.high(planes.reference)),
        )
    return [
        Picture(
            name=name,
            title=title,
            caption=caption,
            pixels=_colours(pixels),
            colours="rgb" if rgb else "gray",
            lo=lo,
            hi=hi,
            framed=True,
        )
        for name, title, caption, pixels in pairs
    ]


def trust_picture(
    values: NDArray[np.float32], notes: MapNotes, figure: float | None, part: Part, span: float
) -> Picture:
    """Show a trust map; `figure` is its RMS over the slice in % of the range, or a share in %."""
    signed = notes.kind == "consistency"
    cut = part.low(values) if notes.scale == (1, 1) else part.high(values)
    if notes.kind == "trusted":
        return Picture(
            name=notes.kind,
            title=notes.title.capitalize(),
            caption=f"Bright: {figure:.1f} % of the pixels. {notes.legend}",
            pixels=cut,
            colours="sequential",
            lo=0.0,
            hi=1.0,
            unit=notes.unit,
        )
    in_percent = notes.unit.startswith("%")
    limit = _limit(cut, 100.0 if in_percent else span)
    ends = " Red: the input is brighter; blue: the degraded result is." if signed else ""
    if not in_percent:
        ends += f" The colours end at {percent(100 * limit / span)} of the range."
    rms = "" if figure is None else f"RMS {percent(figure)} of the range. "
    return Picture(
        name=notes.kind,
        title=notes.title.capitalize(),
        caption=f"{rms}{_legend(notes)}{ends}",
        pixels=cut,
        colours="diverging" if signed else "sequential",
        lo=-limit if signed else 0.0,
        hi=limit,
        unit=notes.unit,
    )


def reference_pictures(
    planes: ShownPlanes,
    error: NDArray[np.float32],
    rse: float | None,
    part: Part,
    model: str,
    span: float,
) -> list[Picture]:
    """Show how far bicubic and the result are from the reference, and the error map.

    Parameters
    ----------
    planes : ShownPlanes
        With a reference.
    error : ndarray of float32, shape (Y, X)
        The error map of the result, and its RMS `rse`; None: the reference is constant here.
    part : Part
    model : str
    span : float
        The data range.
    """
    assert planes.reference is not None
    truth = _colours(part.high(planes.reference)).astype(np.float64)
    differences = {
        name: strongest(_colours(part.high(plane)).astype(np.float64) - truth)
        for name, plane in (("bicubic", planes.bicubic), (model, planes.result))
    }
    # One limit for both, that of bicubic, so that they can be compared.
    limit = _limit(differences["bicubic"], span)
    colours = " Of the colour that departs most." if truth.ndim == 3 else ""
    found = [
        _map(
            f"difference-{'bicubic' if name == 'bicubic' else 'result'}",
            f"{name} minus reference",
            f"Red: too bright, blue: too dark. Both differences have the same colours.{colours}",
            values,
            "diverging",
            limit,
        )
        for name, values in differences.items()
    ]
    luma = " Of the luma." if truth.ndim == 3 else ""
    rms = "It is not defined here, where the reference is constant."
    if rse is not None:
        rms = f"Root mean square {rse:#.3g}."
    found.append(
        _map(
            "error",
            f"Error map of {model}",
            "What is left of |reference - result| after gain, offset and blur of the result were "
            "fitted to the reference, in the manner of SQUIRREL: structures that one of them shows "
            f"and the other does not. {rms}{luma}",
            part.high(error),
            "sequential",
            _limit(part.high(error), span),
        )
    )
    return found


def detail_picture(picture: Picture, window: Part) -> Picture:
    """Cut the details out of an image."""
    low = picture.name == "input"
    pixels = window.low(picture.pixels) if low else window.high(picture.pixels)
    return replace(picture, pixels=pixels, caption="", framed=False)


def _map(
    name: str, title: str, caption: str, values: NDArray[Any], colours: Colours, limit: float
) -> Picture:
    return Picture(
        name=name,
        title=title,
        caption=caption,
        pixels=values,
        colours=colours,
        lo=-limit if colours == "diverging" else 0.0,
        hi=limit,
        unit="stored values",
    )


def _limit(values: NDArray[Any], span: float) -> float:
    known = np.abs(values[np.isfinite(values)])
    return max(float(np.percentile(known, _END)) if known.size else 0.0, _LEAST * span)


def _colours(plane: NDArray[Any]) -> NDArray[Any]:
    return plane[..., :3] if plane.ndim == 3 else plane


def _legend(notes: MapNotes) -> str:
    # Under the title "Removed signal", the legend's own first words would say it twice.
    head, colon, rest = notes.legend.partition(": ")
    if colon and head.lower() == notes.title.lower():
        return rest[:1].upper() + rest[1:]
    return notes.legend


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
    return png_uri(image)


def bar_uri(picture: Picture) -> str:
    """Encode the colour bar of a map, from `lo` on the left to `hi`."""
    image = Image.fromarray(np.arange(_LEVELS, dtype=np.uint8)[None])
    image.putpalette(_palette(picture.colours))
    return png_uri(image)


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
