"""From shapes drawn in napari to masks over an image, and the figures of those regions.

What belongs here: the geometry of drawn regions, and which figures are taken of them. The figures
themselves are regions.py's of the core.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.layers import data_shape, layer_axes, unit_ratio
from napari_srgan.errors import InputError
from napari_srgan.measure.regions import cnr, enl
from napari_srgan.measure.table import MEASURES

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

_AREAS = ("rectangle", "ellipse", "polygon")
_CORNERS = 96  # of the polygon that stands for an ellipse


def region_masks(shapes: Shapes, image: Image) -> list[np.ndarray]:
    """Masks over a plane of the image of the shapes of a layer, in the order they were drawn.

    Parameters
    ----------
    shapes : Shapes
        Rectangles, ellipses and polygons. Layers may differ in scale, position, rotation and
        (convertible) units; a shape counts on every slice.
    image : Image

    Returns
    -------
    list of ndarray of bool, shape (Y, X)

    Raises
    ------
    InputError
        If nothing is drawn, or something that encloses no area.
    """
    from skimage.draw import polygon2mask

    if not len(shapes.data):
        raise InputError(
            f"Nothing is drawn in {shapes.name}; draw a region of signal first, and one of "
            "background after it."
        )
    axes = layer_axes(image)
    sizes = dict(zip(axes, data_shape(image), strict=True))
    masks = []
    for number, (corners, kind) in enumerate(zip(shapes.data, shapes.shape_type, strict=True), 1):
        if str(kind) not in _AREAS:
            raise InputError(
                f"Shape {number} in {shapes.name} is a {kind}, which has no area; draw rectangles, "
                "ellipses or polygons."
            )
        outline = np.asarray(corners, dtype=float)
        if str(kind) == "ellipse":
            outline = _ellipse(outline)
        inside = _in_image(outline, shapes, image)
        at = inside[:, [axes.index("Y"), axes.index("X")]]
        masks.append(polygon2mask((sizes["Y"], sizes["X"]), at))
    return masks


def region_text(
    images: Mapping[str, np.ndarray], masks: list[np.ndarray], scale: Any, decibels: float | None
) -> str:
    """CNR of the first region against the second, and the ENL of each, image by image.

    Parameters
    ----------
    images : mapping of name to ndarray, shape (Y, X)
    masks : list of ndarray of bool
    scale : {"linear", "log"}
        What the values are.
    decibels : float, optional
        A unit of the stored values, for logarithmic values that are made linear first.

    Raises
    ------
    InputError
        If a region is too small, or an image is not gray.
    """
    lines = []
    for name, image in images.items():
        figures = []
        if len(masks) > 1:
            found = cnr(image, masks[0], masks[1], scale, decibels)
            figures.append(f"{found.label} {MEASURES['cnr'].text(found.value)}")
        looks = [enl(image, mask, scale, decibels) for mask in masks]
        values = " / ".join(MEASURES["enl"].text(one.value) for one in looks)
        figures.append(f"{looks[0].label} {values}")
        lines.append(f"{name}: {', '.join(figures)}")
    if len(masks) == 1:
        lines.append("For the CNR draw a second region, of background.")
    else:
        lines.append(
            "Regions in the order drawn: CNR of the first against the second, ENL of each."
        )
    return "\n".join(lines)


def _ellipse(corners: np.ndarray) -> np.ndarray:
    """The outline of the ellipse in a parallelogram of four corners."""
    centre = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)[:, None]
    return centre + np.cos(angle) * first + np.sin(angle) * second


def _in_image(points: np.ndarray, shapes: Shapes, image: Image) -> np.ndarray:
    world = np.array([shapes.data_to_world(p) for p in points])
    shared = min(shapes.ndim, image.ndim)
    pairs = zip(shapes.units[-shared:], image.units[-shared:], strict=True)
    world = world[:, -shared:] * [unit_ratio(a, b) for a, b in pairs]
    lead = np.zeros((len(world), image.ndim - shared))
    return np.array([image.world_to_data(w) for w in np.hstack([lead, world])])
