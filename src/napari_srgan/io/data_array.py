"""xarray's DataArray as a Stack, and back: dimensions are axes, coordinates scale and place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.image.units import PIXEL, normalise_unit

if TYPE_CHECKING:
    from xarray import DataArray

_EVEN = 1e-3
"""Share of the spacing by which coordinates may be off an even grid: they are often rounded."""

_WORDS = {
    "time": "T", "channel": "C", "band": "C", "depth": "Z", "height": "Y", "width": "X",
    "row": "Y", "column": "X", "rgb": "S", "sample": "S", "samples": "S",
}  # fmt: skip


def is_data_array(image: Any) -> bool:
    """Say whether it is a DataArray; xarray need not be installed."""
    kind = type(image)
    return kind.__module__.split(".")[0] == "xarray" and kind.__name__ == "DataArray"


def stack_of(image: DataArray, axes: str | None = None) -> Stack:
    """Take a DataArray as a Stack; its pixels are read later, plane by plane.

    Parameters
    ----------
    image : xarray.DataArray
        Its dimensions are named by letters of TCZYXS or words such as "time", "channel", "height";
        coordinates along them, where there are any, are evenly spaced.
    axes : str, optional
        The letters, where the names of the dimensions are others.

    Raises
    ------
    InputError
        If the dimensions are not known, coordinates are uneven, or the image cannot be upscaled.
    """
    name = str(image.name or "image")
    letters = axes or _letters(image, name)
    if len(letters) != image.ndim:
        return Stack(image.data, letters, name)  # says what is wrong with them
    scale, translate, units = [], [], []
    for letter, dim in zip(letters.upper(), map(str, image.dims), strict=True):
        if letter == "S":
            continue
        step, start, unit = 1.0, 0.0, PIXEL
        if dim in image.coords and image.coords[dim].dtype.kind in "iuf":
            step, start = _grid(image.coords[dim].values, dim, name)
            unit = normalise_unit(image.coords[dim].attrs.get("units"))
        scale.append(step)
        translate.append(start)
        units.append(unit)
    known = any(unit != PIXEL for unit in units)
    return Stack(image.data, letters, name, scale, translate, units, "user" if known else "unknown")


def to_data_array(stack: Stack) -> DataArray:
    """Give a Stack as a DataArray, with its metadata as attributes.

    Raises
    ------
    InputError
        If xarray is not installed.
    """
    try:
        from xarray import DataArray
    except ImportError:
        raise InputError("xarray is not installed; pip install xarray installs it.") from None
    plain = stack.axes.replace("S", "")
    coords = {
        axis.lower(): (axis.lower(), start + step * np.arange(stack.sizes[axis]), {"units": unit})
        for axis, step, start, unit in zip(
            plain, stack.scale, stack.translate, stack.units, strict=True
        )
    }
    dims = list(stack.axes.lower())
    return DataArray(stack.data, coords, dims, stack.name, stack.metadata)


def _letters(image: DataArray, name: str) -> str:
    known = [_WORDS.get(str(dim).lower(), str(dim).upper()) for dim in image.dims]
    if all(letter in tuple("TCZYXS") for letter in known):
        return "".join(known)
    raise InputError(
        f"{name} has the dimensions {', '.join(map(str, image.dims))}; say with letters of TCZYXS "
        "what they are, for example axes='ZYX'."
    )


def _grid(values: Any, dim: str, name: str) -> tuple[float, float]:
    """Return spacing and first position of evenly spaced coordinates."""
    at = np.asarray(values, np.float64)
    if at.size < 2:
        return 1.0, float(at[0]) if at.size else 0.0
    step = float(at[-1] - at[0]) / (at.size - 1)
    if not np.isfinite(step) or step == 0 or np.abs(np.diff(at) - step).max() > _EVEN * abs(step):
        raise InputError(
            f"{name}: the coordinates along {dim} are not evenly spaced; drop them with "
            f"image.drop_vars({dim!r}), or resample the image."
        )
    return step, float(at[0])
