"""High-resolution scans in memory: decoded once, checked, and turned to [0, 1] where asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.intensity import Intensity, measure
from napari_srgan.image.stack import Stack
from napari_srgan.image.valid import is_value
from napari_srgan.io.open import open_stack

_MEMORY_SHARE = 0.8  # of what is free; the network and the system need some too
_MOST_TOLD = 20  # files that cannot be used, by name

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False, slots=True)
class Scan:
    """One plane of a file, decoded once and kept in the dtype it was stored in.

    Attributes
    ----------
    pixels : ndarray
        HR, shape (Y, X) or (Y, X, 3).
    intensity : Intensity
        Of the file; one range for all its planes.
    channel : int
        Position along C.
    name : str
        The file, for messages.
    low : ndarray, optional
        The measured LR plane of a pair, shape (Y / scale, X / scale[, 3]); its file's range is
        that of the pair. None where LR is made from HR.
    """

    pixels: NDArray[Any]
    intensity: Intensity
    channel: int
    name: str
    low: NDArray[Any] | None = None

    def crop(self, rows: slice = slice(None), cols: slice = slice(None)) -> torch.Tensor:
        """Return a part of the HR plane in [0, 1], float32, shape (C, Y, X)."""
        return self._unit(self.pixels[rows, cols])

    def crop_low(self, rows: slice = slice(None), cols: slice = slice(None)) -> torch.Tensor:
        """Return a part of the measured LR plane, as `crop` does; of a pair only."""
        assert self.low is not None
        return self._unit(self.low[rows, cols])

    def _unit(self, pixels: NDArray[Any]) -> torch.Tensor:
        unit = self.intensity.to_unit(pixels, self.channel)
        unit = unit[None] if unit.ndim == 2 else np.moveaxis(unit, -1, 0)
        return torch.from_numpy(np.ascontiguousarray(unit, dtype=np.float32)).clamp(0, 1)


@dataclass(frozen=True, eq=False, slots=True)
class ScanSet:
    """The scans of one folder, under its name."""

    name: str
    scans: tuple[Scan, ...]

    @property
    def pixels(self) -> int:
        """HR pixels of all scans."""
        return sum(s.pixels.shape[0] * s.pixels.shape[1] for s in self.scans)


@dataclass(frozen=True, eq=False, slots=True)
class Decoded:
    """A file as it was read: its planes by index."""

    path: Path
    stack: Stack
    planes: dict[tuple[int, ...], NDArray[Any]]

    @property
    def has_colour(self) -> bool:
        """Whether it is RGB with samples that differ: gray scans are often exported as RGB."""
        if not self.stack.is_rgb:
            return False
        return any((p[..., :3] != p[..., :1]).any() for p in self.planes.values())


def decode(path: Path) -> Decoded:
    """Read every plane of a file.

    Raises
    ------
    InputError
        If the file cannot be read, is constant, holds NaN or infinities, or does not fit into
        memory.
    """
    try:
        stack = open_stack(path)
    except InputError as error:
        # Of many scans that have one name, the folder tells which it is.
        raise InputError(f"{path}: {error}") from error
    free = psutil.virtual_memory().available
    if stack.nbytes > _MEMORY_SHARE * free:
        raise InputError(
            f"{path} takes {stack.nbytes / 1e9:.1f} GB of memory when decoded, and "
            f"{free / 1e9:.1f} GB are left; train on fewer or smaller scans."
        )
    planes = {index: np.asarray(stack.read(index)) for index in stack.plane_indices()}
    if all(plane.min() == plane.max() for plane in planes.values()):
        raise InputError(f"{path} is constant, so nothing can be learned from it.")
    if not all(is_value(plane).all() for plane in planes.values()):
        raise InputError(
            f"{path} holds NaN or infinite values, from which nothing can be learned; "
            "fill them first or leave the file out."
        )
    return Decoded(path, stack, planes)


def channels_of(files: Sequence[Decoded]) -> int:
    """Return 3 if every file has colour, else 1: colour can be turned to gray, not back."""
    return 3 if files and all(f.has_colour for f in files) else 1


class Sieve:
    """Gathers what cannot be used, so that all of it is told at once.

    Parameters
    ----------
    skip : bool
        Go on without what cannot be used, instead of refusing the rest too.

    Attributes
    ----------
    refused : list of str
        A sentence for each file.
    """

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self.refused: list[str] = []

    def each(self, make: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
        """Make something of each item, and leave out those for which that fails."""
        made = []
        for item in items:
            try:
                made.append(make(item))
            except InputError as error:
                self.refused.append(str(error))
        return made

    def settle(self) -> str:
        """Say what is left out, "" for nothing.

        Raises
        ------
        InputError
            If something is, and was not to be.
        """
        if not self.refused:
            return ""
        if self._skip:
            return f"{len(self.refused)} files are left out: {self._listed()}"
        if len(self.refused) == 1:
            raise InputError(f"{self.refused[0]} --skip-bad goes on without it.")
        raise InputError(
            f"{len(self.refused)} files cannot be used; --skip-bad goes on without them: "
            f"{self._listed()}"
        )

    def _listed(self) -> str:
        beyond = len(self.refused) - _MOST_TOLD
        return " ".join(self.refused[:_MOST_TOLD]) + (f" And {beyond} more." if beyond > 0 else "")


def scans_of(
    file: Decoded,
    *,
    channels: int,
    min_side: int,
    intensity: str = "auto",
    transform: str = "none",
) -> list[Scan]:
    """Make scans of a decoded file.

    Parameters
    ----------
    file : Decoded
        An RGB image is turned to gray (ITU-R BT.601 luma) for a grayscale model; a grayscale one
        cannot teach an RGB model.
    channels : int
        1 or 3.
    min_side : int
        Planes smaller than this, HR pixels, are refused.
    intensity, transform : str
        See `napari_srgan.image.intensity.measure`.

    Raises
    ------
    InputError
        If the file cannot be used: which, and why.
    """
    stack, path = file.stack, file.path
    if min(stack.height, stack.width) < min_side:
        raise InputError(
            f"{path} is {stack.height} x {stack.width} px, smaller than the {min_side} px "
            "that a crop needs; leave it out or make the crop smaller."
        )
    if channels == 3 and not stack.is_rgb:
        raise InputError(
            f"{path} is grayscale and cannot be part of an RGB training; leave it out, or "
            "train on gray with --channels 1."
        )
    scale = measure(stack, intensity, transform)
    return [
        Scan(as_channels(plane, channels), scale, stack.channel_of(index), short_name(path))
        for index, plane in file.planes.items()
    ]


def short_name(path: Path) -> str:
    """Name a file with its folder: scans of many eyes may all be called average.tif."""
    return "/".join(path.parts[-2:])


def thinned(scans: ScanSet, most: int) -> ScanSet:
    """Return at most so many scans of a set, evenly spread; all if `most` is 0."""
    count = len(scans.scans)
    if not most or count <= most:
        return scans
    chosen = [scans.scans[(2 * i + 1) * count // (2 * most)] for i in range(most)]
    return ScanSet(scans.name, tuple(chosen))
