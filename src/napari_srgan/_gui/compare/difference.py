"""The difference of a candidate and a reference, as a layer that is computed when it is seen.

What belongs here: the array, and how it is coloured and placed. Blue: the candidate is darker
than the reference; red: it is brighter; the colour in the middle is exactly zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.compare.candidate_list import MAP_KEY
from napari_srgan._gui.result_layer import placement, unique_name
from napari_srgan.image.colour import as_channels
from napari_srgan.image.plane_array import PlaneArray
from napari_srgan.measure.reference_grid import index_in, matched, on_reference_grid

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.image.stack import Stack

COLORMAP = "coolwarm"  # Moreland, "Diverging color maps for scientific visualization" (2009)
_PERCENTILE = 99.9
_SAMPLE = 2**18  # pixels


def difference_array(reference: Stack, candidate: Stack) -> PlaneArray:
    """Give candidate - reference, computed plane by plane.

    Parameters
    ----------
    reference, candidate : Stack
        With the same planes; a candidate that is a whole number of times smaller is enlarged by
        bicubic. Of RGB the luma is used, because a colour has no sign.

    Returns
    -------
    PlaneArray
        The reference's axes without S; float32, or float64 where the values have more than 16
        bits. Unsigned integers are made floating before they are subtracted.

    Raises
    ------
    InputError
        If the two cannot be compared.
    """
    matched(reference, candidate)
    exact = all(s.dtype.itemsize <= 2 for s in (reference, candidate))
    dtype = np.dtype(np.float32 if exact else np.float64)

    def plane(index: tuple[int, ...]) -> np.ndarray:
        first = reference.read(index)
        second, _ = on_reference_grid(
            candidate.read(index_in(candidate, reference, index)), first.shape
        )
        values = as_channels(second.astype(dtype), 1)
        values -= as_channels(first.astype(dtype), 1)
        return values

    axes = reference.axes.replace("S", "")
    return PlaneArray([reference.sizes[a] for a in axes], dtype, axes, plane)


def symmetric_limit(plane: np.ndarray) -> float:
    """Where the colours end on both sides of zero: so that one pixel in a thousand is beyond.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
        Of the difference; of a large one a regular sample is looked at.

    Returns
    -------
    float
        Above 0; 1 if nothing differs.
    """
    values = np.abs(plane.ravel()[:: max(1, plane.size // _SAMPLE)])
    values = values[np.isfinite(values)]
    if not values.size:
        return 1.0
    limit = float(np.percentile(values, _PERCENTILE)) or float(values.max())
    return limit or 1.0


def add_difference(
    viewer: napari.Viewer, reference: Image, candidate: Image, array: PlaneArray, limit: float
) -> Image:
    """Add a difference on top of the layers, where the reference lies.

    Parameters
    ----------
    viewer : napari.Viewer
    reference, candidate : Image
        The layers that were subtracted.
    array : PlaneArray
        See `difference_array`.
    limit : float
        The colours reach from -limit to limit; the sliders reach as far as the dtype can differ.
    """
    widest = max(_span(reference), _span(candidate), limit)
    made = viewer.add_image(
        array,
        name=unique_name(
            f"{candidate.name} - {reference.name}", (known.name for known in viewer.layers)
        ),
        rgb=False,
        multiscale=False,
        colormap=COLORMAP,
        contrast_limits=(-limit, limit),
        metadata={MAP_KEY: True},
        **placement(reference, {}, (1, 1)),
    )
    made.contrast_limits_range = (-widest, widest)
    return made


def _span(layer: Any) -> float:
    low, high = layer.contrast_limits_range if not layer.rgb else (0, 255)
    return float(high) - float(low)
