"""What to restore: slices and an area of a layer, as the Region that the engine takes.

What belongs here: the choices of the panel turned into half-open ranges per axis letter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_srgan._gui.layers import View, layer_axes, unit_ratio
from napari_srgan.errors import InputError
from napari_srgan.image.axes import MIN_SIDE

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

Slices = Literal["view", "range", "all"]
Range = tuple[int, int]


def slice_axis(sizes: dict[str, int]) -> str | None:
    """The axis that a range of slices runs along: Z, else T, else C; None for a single plane."""
    return next((a for a in "ZTC" if sizes.get(a, 1) > 1), None)


def region_for(
    sizes: dict[str, int],
    view: View,
    slices: Slices,
    span: Range | None = None,
    area: tuple[Range, Range] | None = None,
) -> dict[str, Range]:
    """Put the choices together.

    Parameters
    ----------
    sizes : dict of letter to int
        Lengths of the layer's axes.
    view : View
        What the viewer shows.
    slices : {"view", "range", "all"}
        Which planes: the one in view, a range along `slice_axis`, or all of them.
    span : (int, int), optional
        First and last slice of the range, both included, counted from 0 as napari's slider does.
    area : ((int, int), (int, int)), optional
        Rows and columns, half-open; the whole frame by default.

    Returns
    -------
    dict
        Half-open ranges; axes that are taken whole are left out.

    Raises
    ------
    InputError
        If the range of slices is empty or outside.
    """
    region: dict[str, Range] = {}
    axis = slice_axis(sizes)
    if slices == "view":
        region |= {a: (i, i + 1) for a, i in view.index.items()}
    elif slices == "range" and axis is not None:
        first, last = span or (0, sizes[axis] - 1)
        if not 0 <= first <= last < sizes[axis]:
            raise InputError(
                f"The slices {first} to {last} are no range along {axis}, which goes from 0 to "
                f"{sizes[axis] - 1}; set the first at or below the last."
            )
        region[axis] = (first, last + 1)
    if area is not None:
        region["Y"], region["X"] = area
    return region


def rectangle(shapes: Shapes, image: Image) -> tuple[Range, Range]:
    """Rows and columns of the image that a drawn rectangle covers.

    The selected shape counts, else the one drawn last; of anything but an upright rectangle its
    bounding box. Layers may differ in scale, position, rotation and (convertible) units.

    Raises
    ------
    InputError
        If nothing is drawn, or it covers less than 8 x 8 px of the image.
    """
    if not len(shapes.data):
        raise InputError(f"Nothing is drawn in {shapes.name}; draw a rectangle over the image.")
    chosen = max(shapes.selected_data, default=len(shapes.data) - 1)
    corners = np.atleast_2d(np.asarray(shapes.data[chosen], dtype=float))
    world = np.array([shapes.data_to_world(c) for c in corners])
    shared = min(shapes.ndim, image.ndim)
    pairs = zip(shapes.units[-shared:], image.units[-shared:], strict=True)
    world = world[:, -shared:] * [unit_ratio(a, b) for a, b in pairs]
    # A shape of fewer axes than the image (a 2D rectangle over a stack) holds at every slice.
    lead = np.zeros((len(world), image.ndim - shared))
    inside = np.array([image.world_to_data(w) for w in np.hstack([lead, world])])
    axes = layer_axes(image)
    lengths = (image.data[0] if image.multiscale else image.data).shape
    found: dict[str, Range] = {}
    for letter in "YX":
        along, size = inside[:, axes.index(letter)], lengths[axes.index(letter)]
        # Pixels whose centre is covered; the margin is for rounding in the transforms.
        lo, hi = math.ceil(along.min() - 1e-6), math.floor(along.max() + 1e-6) + 1
        found[letter] = (max(lo, 0), min(hi, size))
    height, width = (hi - lo for lo, hi in (found["Y"], found["X"]))
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"The shape in {shapes.name} covers {max(height, 0)} x {max(width, 0)} px (Y x X) of "
            f"{image.name}, but at least {MIN_SIDE} px are needed on each side; draw it larger."
        )
    return found["Y"], found["X"]


def preview_area(view: View, most: int) -> tuple[Range, Range]:
    """The part of what is in view that a preview restores: all of it, or its middle.

    Parameters
    ----------
    view : View
        What the viewer shows.
    most : int
        Number of pixels that can be restored in the time at hand.
    """
    (y0, y1), (x0, x1) = view.rows, view.cols
    height, width = y1 - y0, x1 - x0
    shrink = min(1.0, math.sqrt(most / max(height * width, 1)))
    # Keep the proportions, save where that would fall below what a model can use.
    h = min(height, max(MIN_SIDE, round(height * shrink)))
    w = min(width, max(MIN_SIDE, round(width * shrink)))
    top, left = y0 + (height - h) // 2, x0 + (width - w) // 2
    return (top, top + h), (left, left + w)
