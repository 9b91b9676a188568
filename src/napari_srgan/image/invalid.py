"""Numbers that are no values: finding them, filling them before the network, putting them back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.image.memory import remembered
from napari_srgan.image.sampling import windows
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.image.valid import FARTHEST, is_value

SCANNED = 2**27
"""Values of a stack that are looked through before work starts; larger ones while it goes on."""


def refuse_invalid(stack: Stack, region: Region | None = None) -> None:
    """Raise InputError if a stack, or a region of it, holds NaN or infinities.

    Parameters
    ----------
    stack : Stack
    region : Region, optional
        The part that the work will read.

    Raises
    ------
    InputError
        Naming the first plane that does, how many values there, and how many planes do.
    """
    if stack.dtype.kind != "f":
        return
    part = tuple(check_region(stack, region).items())
    remembered(stack, ("valid", part), lambda: _look_through(stack, region))


def _look_through(stack: Stack, region: Region | None) -> None:
    counts: dict[tuple[int, ...], int] = {}
    for index, _, block in windows(stack, region=region):
        bad = block.size - int(is_value(block).sum())
        if bad:
            counts[index] = counts.get(index, 0) + bad
    if counts:
        raise invalid_error(stack, counts)


def invalid_error(stack: Stack, counts: dict[tuple[int, ...], int]) -> InputError:
    """Compose the error for planes with so many invalid values each."""
    index, count = next(iter(counts.items()))
    at = ", ".join(f"{axis}={i}" for axis, i in zip(stack.plane_axes, index, strict=True))
    others = len(counts) - 1
    more = f" and {others} more slice{'s' * (others > 1)}" if others else ""
    return InputError(
        f"{stack.name} holds {count} NaN or infinite values{f' in slice {at}' if at else ''}{more};"
        " remove them, or fill them from their neighbourhood with --nan fill, in Python nan='fill'"
        f" (numbers from {FARTHEST:g} on count as such)."
    )


def fill(plane: NDArray[Any], empty: float = 0.0) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Replace invalid values by the nearest valid value of the same plane and sample.

    Parameters
    ----------
    plane : ndarray of float, shape (y, x) or (y, x, S)
    empty : float
        Put everywhere where a plane holds no valid value at all.

    Returns
    -------
    filled : ndarray, same shape and dtype
    mask : ndarray of bool, same shape
        True where a value was filled.
    """
    mask: NDArray[np.bool_] = ~is_value(plane)
    if not mask.any():
        return plane, mask
    from scipy.ndimage import distance_transform_edt

    filled = plane.copy()
    samples = filled.reshape(*plane.shape[:2], -1)  # a view: filled is contiguous
    for s in range(samples.shape[2]):
        bad = mask.reshape(samples.shape)[..., s]
        if bad.all():
            samples[..., s] = empty
        elif bad.any():
            rows, cols = distance_transform_edt(bad, return_distances=False, return_indices=True)
            samples[..., s] = samples[rows, cols, s]
    return filled, mask


def put_back(
    enlarged: NDArray[Any], original: NDArray[Any], mask: NDArray[np.bool_], scale: Scale
) -> None:
    """Write the invalid values of `original` over their blocks of `enlarged`, in place.

    Parameters
    ----------
    enlarged : ndarray, shape (sy * y, sx * x[, S])
    original : ndarray, shape (y, x[, S])
        The values before filling.
    mask : ndarray of bool, shape of `original`
        Where it is invalid.
    scale : Scale
    """
    if mask.any():
        sy, sx = scale
        big = mask.repeat(sy, axis=0).repeat(sx, axis=1)
        enlarged[big] = original.repeat(sy, axis=0).repeat(sx, axis=1)[big]
