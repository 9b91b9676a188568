"""Stack: a lazy view of any image, addressed plane by plane, with named axes and spacing.

It says which axes an image has and what may be upscaled at all, and reads one plane of it.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.axes import checked_axes, checked_dtype, guess_axes
from napari_srgan.image.mapped import arrived, by_path, check_mapped

EXACT_INTEGER = 2**53
"""Beyond it a 64-bit integer has no exact float64 counterpart, so it could be silently wrong."""

SpacingSource = Literal["file", "user", "default", "unknown"]
Region = Mapping[str, tuple[int, int]]
"""Half-open ranges per axis letter (T C Z Y X); an axis that is missing is taken whole."""


class LazyArray(Protocol):
    """The little that a Stack needs of its data: numpy, dask, zarr and memmaps all have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""

    @property
    def dtype(self) -> Any:
        """The numpy dtype of the elements."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read the part that integers and slices, one per axis, address."""


@dataclass(frozen=True, eq=False, init=False)
class Stack:
    """An image of any number of planes, read lazily.

    Parameters
    ----------
    data : array-like
        Anything with ``shape``, ``dtype`` and ``__getitem__``; it is never loaded whole.
    axes : str, optional
        One letter of ``T C Z Y X S`` per axis, in the order of `data`. By default YX, ZYX or
        TZYX; in uint8 a last axis of 3 or 4 is S (colour samples), giving YXS, ZYXS or TZYXS.
    name : str
        Used in messages and in the names of results.
    scale, translate : sequence of float, optional
        Pixel distance and position of the centre of pixel 0, one number per axis without S,
        in `units`. 1 and 0 by default.
    units : sequence of str, optional
        One unit per axis without S, as pint spells it (``"micrometer"``); ``"pixel"`` if unknown.
    spacing_source : {"file", "user", "default", "unknown"}
        Where `scale` comes from; a scale bar may be drawn only for "file" and "user".
    metadata : mapping, optional
        Carried along untouched; ``metadata["napari_srgan"]`` is the provenance of a former result.

    Raises
    ------
    InputError
        If the image cannot be upscaled: empty, under 8 px along Y or X, of a dtype that is not
        a real number of at most 64 bits, or with axes that do not fit it.

    Notes
    -----
    It can be pickled and sent to another process. Data from files and memory maps travel by their
    path and are opened where they arrive; arrays in memory travel with their pixels.
    """

    data: LazyArray
    axes: str
    name: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    spacing_source: SpacingSource
    metadata: dict[str, Any]

    def __init__(
        self,
        data: LazyArray,
        axes: str | None = None,
        name: str = "image",
        scale: Iterable[float] | None = None,
        translate: Iterable[float] | None = None,
        units: Iterable[str] | None = None,
        spacing_source: SpacingSource = "unknown",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if not all(hasattr(data, needed) for needed in ("shape", "dtype", "__getitem__")):
            raise InputError(
                f"{name}: {type(data).__name__} is not an image array; give a numpy array or"
                " something that behaves like one."
            )
        if np.ma.is_masked(data):
            raise InputError(
                f"{name} is a masked array, and its mask would be lost; fill the masked pixels"
                " first, for example with data.filled(0)."
            )
        shape = tuple(int(n) for n in data.shape)
        dtype = checked_dtype(data.dtype, name)
        given = guess_axes(shape, dtype, name) if axes is None else axes
        letters = checked_axes(given, shape, name)
        n = len(letters.replace("S", ""))
        values = {
            "data": data,
            "axes": letters,
            "name": str(name),
            "scale": _numbers(scale, 1.0, n, "scale", name),
            "translate": _numbers(translate, 0.0, n, "translate", name),
            "units": _checked_units(units, n, name),
            "spacing_source": spacing_source,
            "metadata": dict(metadata or {}),
        }
        if 0.0 in values["scale"]:  # type: ignore[operator]
            raise InputError(f"{name}: a scale of 0 has no meaning; give the pixel distance.")
        for key, value in values.items():  # the fields are frozen for everybody else
            object.__setattr__(self, key, value)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"data": by_path(self.data)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, data=arrived(state["data"]))

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis, in the order of `axes`."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the pixels, in native byte order."""
        stored: np.dtype[Any] = np.dtype(self.data.dtype)
        return stored.newbyteorder("=")

    @property
    def in_files(self) -> bool:
        """Whether the pixels stay in files, and little more is read of these than asked for."""
        return getattr(self.data, "identity", None) is not None

    @property
    def nbytes(self) -> int:
        """Size of all the pixels in bytes, were they in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every axis by its letter."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def is_rgb(self) -> bool:
        """Whether the pixels are colours (there is an S axis)."""
        return "S" in self.axes

    @property
    def samples(self) -> int:
        """Samples a pixel: 1 (gray), 3 (RGB) or 4 (RGBA)."""
        return self.sizes.get("S", 1)

    @property
    def height(self) -> int:
        """Pixels along Y."""
        return self.sizes["Y"]

    @property
    def width(self) -> int:
        """Pixels along X."""
        return self.sizes["X"]

    @property
    def plane_axes(self) -> str:
        """The axes that are iterated: all but Y, X and S, in order."""
        return "".join(a for a in self.axes if a not in "YXS")

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of `plane_axes`."""
        return tuple(self.sizes[a] for a in self.plane_axes)

    @property
    def n_channels(self) -> int:
        """Length of the channel axis C, 1 without one."""
        return self.sizes.get("C", 1)

    def channel_of(self, index: tuple[int, ...]) -> int:
        """Position along C of the plane at `index` (over `plane_axes`); 0 without C."""
        return index[self.plane_axes.index("C")] if "C" in self.plane_axes else 0

    def plane_indices(self, region: Region | None = None) -> Iterator[tuple[int, ...]]:
        """Indices over `plane_axes` of the planes in `region`, the last axis fastest."""
        whole = check_region(self, region)
        return itertools.product(*(range(*whole[a]) for a in self.plane_axes))

    def read(
        self, index: tuple[int, ...], rows: slice = slice(None), cols: slice = slice(None)
    ) -> npt.NDArray[Any]:
        """Read one plane or a part of it.

        Parameters
        ----------
        index : tuple of int
            Position over `plane_axes`.
        rows, cols : slice
            Range along Y and X, in pixels.

        Returns
        -------
        ndarray, shape (y, x) or (y, x, S)
            The stored values, in native byte order, whatever the axis order of the data.

        Raises
        ------
        InputError
            If 64-bit integers beyond 2**53 are met, or the file has changed since it was opened.
        """
        check_mapped(self.data)
        where: dict[str, int | slice] = dict(zip(self.plane_axes, index, strict=True))
        where |= {"Y": rows, "X": cols, "S": slice(None)}
        block = np.asarray(self.data[tuple(where[a] for a in self.axes)])
        inner = [a for a in self.axes if a in "YXS"]
        block = block.transpose([inner.index(a) for a in "YXS" if a in inner])
        block = block.astype(self.dtype, copy=False)
        if self.dtype.kind in "iu" and self.dtype.itemsize == 8:
            self._check_exact(block, index)
        return block

    def _check_exact(self, block: npt.NDArray[Any], index: tuple[int, ...]) -> None:
        if block.size and max(int(block.max()), -int(block.min())) > EXACT_INTEGER:
            at = ", ".join(f"{a}={i}" for a, i in zip(self.plane_axes, index, strict=True))
            raise InputError(
                f"{self.name}: {self.dtype.name} values beyond 2^53{' at ' + at if at else ''}"
                " cannot be upscaled exactly; scale them down or convert to float64 first."
            )


def check_region(stack: Stack, region: Region | None) -> dict[str, tuple[int, int]]:
    """Complete a region with whole axes, and validate it.

    Returns
    -------
    dict
        ``{letter: (start, stop)}`` for every axis of `stack` but S, in the order of its axes.

    Raises
    ------
    InputError
        If an axis is not there, or a range is empty or reaches outside.
    """
    lengths = {a: n for a, n in stack.sizes.items() if a != "S"}
    for axis in region or {}:
        if axis not in lengths:
            raise InputError(
                f"{stack.name} has no axis {axis} to take a range of; its axes are {stack.axes}."
            )
    whole: dict[str, tuple[int, int]] = {}
    for axis, n in lengths.items():
        try:
            start, stop = (operator.index(v) for v in (region or {}).get(axis, (0, n)))
        except (TypeError, ValueError):
            raise InputError(f"The range along {axis} must be two whole numbers.") from None
        if not 0 <= start < stop <= n:
            raise InputError(
                f"The range {start}:{stop} along {axis} is empty or outside of {stack.name},"
                f" which has {axis} from 0 to {n}."
            )
        whole[axis] = (start, stop)
    return whole


def _numbers(given: Any, default: float, n: int, what: str, name: str) -> tuple[float, ...]:
    if given is None:
        return (default,) * n
    values = tuple(float(v) for v in given)
    if len(values) != n or not all(map(math.isfinite, values)):
        raise InputError(
            f"{name}: {what} must be {n} finite numbers, one for each axis without S;"
            f" it is {values}."
        )
    return values


def _checked_units(given: Any, n: int, name: str) -> tuple[str, ...]:
    units = ("pixel",) * n if given is None else tuple(str(u) for u in given)
    if len(units) != n:
        raise InputError(f"{name}: {len(units)} units are given for {n} axes: {units}.")
    return units
