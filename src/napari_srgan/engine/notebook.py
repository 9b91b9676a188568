"""A result as a notebook shows it: its best place beside bicubic, what made it, what to mind."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_srgan.engine.record import Record
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.detail import busiest
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.views import enlarged, values_range
from napari_srgan.io.inline import png_uri

if TYPE_CHECKING:
    from napari_srgan.engine.run import Result
    from napari_srgan.image.stack import Stack

_SIDE = 320  # px of a picture: two stand side by side in a notebook
_SHOWN = (0.5, 99.8)  # percentiles of the first picture that are black and white

Part = tuple[slice, slice]


def html(result: Result) -> str:
    """Show a part of a result at its own size beside the same part of the input, by bicubic.

    The part is where the middle plane has most detail. Where the input is not known or can no
    longer be read, the result stands alone.
    """
    stack = result.stack()
    index = tuple(n // 2 for n in stack.plane_shape)
    high = stack.read(index)
    part = _detailed(high)
    pictures = {"result": high[part]}
    if (bicubic := _bicubic(result, index, part)) is not None:
        pictures = {"bicubic": bicubic} | pictures
    first = next(iter(pictures.values()))
    limits = (0.0, 255.0) if stack.is_rgb and first.dtype == "u1" else values_range(first, _SHOWN)
    cells = "".join(
        f'<td style="text-align:center"><img src="{_uri(pixels, limits)}" alt="{label}">'
        f"<br>{label}</td>"
        for label, pixels in pictures.items()
    )
    record = Record.of(result.metadata) or Record()
    made_by = f"{record.model} {scale_text(record.factor)}".lstrip()
    shape = " x ".join(map(str, result.data.shape))
    facts = f"{result.axes} {shape} {result.data.dtype}{_pixel_size(stack)}"
    warnings = result.plan.notes if result.plan is not None else ()
    notes = "".join(f"<br>{escape(text)}" for text in (*warnings, record.notice))
    return (
        f'<table><tr>{cells}</tr></table><div style="max-width:{2 * _SIDE}px">'
        f"<b>{escape(made_by)}</b>: {escape(facts)}{notes}</div>"
    )


def _detailed(plane: NDArray[Any]) -> Part:
    """Find the square of at most `_SIDE` with most detail."""
    sides = [min(_SIDE, n) for n in plane.shape[:2]]
    middle = busiest(as_channels(plane, 1), (sides[0], sides[1]))
    corner = [
        min(max(round(at - (n - 1) / 2), 0), whole - n)
        for at, n, whole in zip(middle, sides, plane.shape, strict=False)
    ]
    rows, cols = (slice(at, at + n) for at, n in zip(corner, sides, strict=True))
    return rows, cols


def _bicubic(result: Result, index: tuple[int, ...], part: Part) -> NDArray[Any] | None:
    plan = result.plan
    if plan is None or plan.factor != plan.scale:
        return None
    starts = (plan.region[axis][0] for axis in plan.stack.plane_axes)
    where = tuple(i + start for i, start in zip(index, starts, strict=True))
    try:
        return enlarged(plan.stack, plan.region, plan.scale).read(where, *part)
    except InputError:  # the file is gone, or another one
        return None


def _uri(pixels: NDArray[Any], limits: tuple[float, float]) -> str:
    lo, hi = limits
    shown = np.nan_to_num(pixels[..., :3] if pixels.ndim == 3 else pixels, nan=lo)
    levels = np.rint(255 * np.clip((shown - lo) / (hi - lo), 0, 1)).astype(np.uint8)
    return png_uri(Image.fromarray(levels))


def _pixel_size(stack: Stack) -> str:
    at = [stack.axes.replace("S", "").index(a) for a in "YX"]
    units = [stack.units[i] for i in at]
    if "pixel" in units:
        return ", pixel size unknown"
    sizes = [f"{stack.scale[i]:.4g} {unit}" for i, unit in zip(at, units, strict=True)]
    return f", pixel size {' x '.join(sizes)}"
