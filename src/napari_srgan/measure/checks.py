"""What can be measured at all: checks of images before a measure is taken, in one sentence each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError

_SAMPLE_COUNTS = (3, 4)  # RGB and RGBA


def real_array(array: Any, what: str) -> NDArray[Any]:
    """Give the array as numpy, or say why `what` is no image."""
    values = np.asarray(array)
    if values.size == 0:
        raise InputError(f"There is nothing to measure: {what} is empty (shape {values.shape}).")
    if values.dtype.kind not in "buif":
        raise InputError(
            f"PSNR and SSIM are defined for real numbers, and {what} is of the type {values.dtype}."
        )
    return values


def check_range(data_range: float) -> None:
    """Refuse a range that is not a number above 0."""
    if not (math.isfinite(data_range) and data_range > 0):
        raise InputError(
            f"The range of the data has to be a number above 0, and it is {data_range:g}."
        )


def checked_pair(reference: Any, candidate: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check that two images can be compared pixel by pixel.

    Parameters
    ----------
    reference, candidate : array of any shape and type

    Returns
    -------
    tuple of ndarray
        Both in their own dtype. Differences want a signed or floating type: float64 holds those
        of all admitted integers.

    Raises
    ------
    InputError
        If one is empty or not real, the shapes differ, or a pixel is NaN or infinite.
    """
    first = real_array(reference, "the reference")
    second = real_array(candidate, "the candidate")
    if first.shape != second.shape:
        raise InputError(
            f"The images have different shapes, reference {first.shape} and candidate "
            f"{second.shape}: only images on the same pixel grid can be compared."
        )
    for values, what in ((first, "reference"), (second, "candidate")):
        if values.dtype.kind != "f":
            continue
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise InputError(
                f"The {what} holds {bad} NaN or infinite pixels: fill or crop them first."
            )
    return first, second


def checked_planes(
    reference: Any, candidate: Any, smallest: int, measure: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check two planes as `checked_pair` does, and that `measure` can be taken of them.

    Parameters
    ----------
    reference, candidate : array
        Shape (Y, X) or (Y, X, S) with S = 3 or 4.
    smallest : int
        Pixels that a side needs at least.
    measure : str
        How the sentence of an error begins.

    Returns
    -------
    tuple of ndarray
        Both in their own dtype; the alpha of one is left out if the other has none.

    Raises
    ------
    InputError
        If they are no planes or too small, or see `checked_pair`.
    """
    images = [np.asarray(image) for image in (reference, candidate)]
    if {image.shape[2:] for image in images} == {(3,), (4,)}:
        images = [image[..., :3] for image in images]
    first, second = checked_pair(*images)
    has_samples = first.ndim == 3 and first.shape[-1] in _SAMPLE_COUNTS
    if not has_samples and first.ndim != 2:
        raise InputError(
            f"{measure} compares single planes (Y, X) or (Y, X, S), and these arrays have the "
            f"shape {first.shape}: compare them plane by plane."
        )
    height, width = first.shape[:2]
    if min(height, width) < smallest:
        raise InputError(
            f"{measure} needs at least {smallest} x {smallest} px, and these images have "
            f"{height} x {width} px."
        )
    return first, second
