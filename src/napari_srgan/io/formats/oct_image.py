"""What the readers of OCT formats share: images of a file by name, whose planes lie as they are.

A file of an instrument holds B-scans, and often an image of the fundus with them. Each is an image
of its own, and of what the file says beside the pixels only an `Acquisition` and the spacing are
kept: such files hold names and dates of birth.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import KEY, Acquisition, Provenance
from napari_srgan.image.stack import LazyArray
from napari_srgan.image.units import PIXEL
from napari_srgan.io.appearance import KEY as APPEARANCE
from napari_srgan.io.appearance import Appearance
from napari_srgan.io.formats.image_file import ImageFile
from napari_srgan.io.formats.source import FileArray, Source, check_series, read_block

MICROMETRES = 1000.0
"""In a millimetre, the unit of most of these formats."""


@dataclass(frozen=True, kw_only=True)
class OctImage:
    """One of the images of a file.

    Attributes
    ----------
    name : str
        What it is, such as "OCT" or "SLO".
    data : LazyArray
    axes : str
    spacing : mapping of axis letter to float
        Pixel distances that the file states, in micrometres; nonsense counts as not stated.
    assumed : str
        Axes whose spacing the file states of something that is usually the same.
    acquisition : Acquisition
        Its own `spacing` is filled in here.
    appearance : Appearance
    """

    name: str
    data: LazyArray
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    assumed: str = ""
    acquisition: Acquisition = field(default_factory=Acquisition)
    appearance: Appearance = field(default_factory=Appearance)

    def opened(self) -> ImageFile:
        """Return it as all opened files are.

        Where only one of Y and X has a known pixel size the other has the same number without a
        unit, so that pixels are shown square.
        """
        plain = self.axes.replace("S", "")
        known = {a: v for a, v in self.spacing.items() if 0 < v < float("inf") and a in plain}
        square = {a: known[b] for a, b in ("YX", "XY") if b in known}
        source: dict[str, Provenance] = {
            a: "unknown" if a not in known else "assumed" if a in self.assumed else "file"
            for a in plain
            if a in "ZYX"
        }
        taken = replace(self.acquisition, spacing=source)
        return ImageFile(
            self.data,
            self.axes,
            tuple(known.get(a, square.get(a, 1.0)) for a in plain),
            (0.0,) * len(plain),
            tuple("micrometer" if a in known else PIXEL for a in plain),
            "file" if {"Y", "X"} <= set(known) else "unknown",
            {KEY: taken.to_dict()} | ({APPEARANCE: self.appearance} if self.appearance else {}),
        )


Reader = Callable[[Path], Sequence[OctImage]]
"""Lists the images of a file without reading their pixels, the volumes of B-scans first."""


def open_one(
    read: Reader, path: Path, axes: str | None = None, series: int | None = None
) -> ImageFile:
    """Open one of the images of a file: by default the first, which is said if it holds others.

    Raises
    ------
    InputError
        If the file cannot be read, or has no such image.
    """
    if axes is not None:
        raise InputError(f"{path.name} names its axes itself; leave --axes out.")
    images = read(path)
    scans = [image for image in images if image.acquisition.modality == "oct"]
    if series is None and len(scans) == 1 and images[0] is scans[0]:
        return scans[0].opened()  # nobody takes the image of the fundus for the scan
    names = [image.name for image in images]
    return images[check_series(path.name, series, len(images), names=names)].opened()


def open_all(read: Reader, path: Path) -> list[tuple[str, ImageFile]]:
    """Open all images of a file, with their names; the only one needs none."""
    images = read(path)
    return [(image.name if len(images) > 1 else "", image.opened()) for image in images]


def numbered(images: Sequence[OctImage]) -> list[OctImage]:
    """Tell images of one name apart by numbers, from 1, and by the eye."""
    if len(images) < 2:
        return list(images)
    eyes = [image.acquisition.laterality for image in images]
    return [
        replace(image, name=" ".join(filter(None, (image.name, str(i), eye))))
        for i, (image, eye) in enumerate(zip(images, eyes, strict=True), 1)
    ]


def number_of(said: object) -> float | None:
    """Read a number that a file states, with a decimal point or comma; None for anything else."""
    try:
        value = float(str(said).replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def spacing_of(path: Path, said: Mapping[str, str | None]) -> dict[str, float]:
    """Read pixel distances by axis; of those that are no numbers it is said that they are unknown.

    Empty ones and None are not stated.
    """
    found = {axis: number_of(text) for axis, text in said.items() if text and text.strip()}
    warn_unread(path, [f"the pixel size along {a}" for a, value in found.items() if value is None])
    return {axis: value for axis, value in found.items() if value is not None}


def warn_unread(path: Path, what: Sequence[str]) -> None:
    """Say what a file states in a way that is not read, and not how: that may name a patient."""
    if what:
        warnings.warn(
            f"{path.name} states {' and '.join(what)} in a way that is no number; it counts as"
            " unknown.",
            stacklevel=3,
        )


@contextmanager
def damage_of(path: Path, kind: str) -> Iterator[None]:
    """Say in one sentence that a file is damaged, whatever error that led to.

    What the error says itself is left out: it may quote the file, and so a patient's name.
    """
    try:
        yield
    except (InputError, MemoryError, OSError):
        raise
    except Exception:
        raise InputError(
            f"{path.name} is damaged or cut short: it is no whole {kind} file."
        ) from None


class StoredPlanes(FileArray):
    """Planes of equal size that lie uncompressed in a file, each in one piece.

    Parameters
    ----------
    source : Source
    offsets : sequence of int
        Where each plane begins, in bytes; below 0 for one that is missing and reads as 0.
    plane : (int, int)
        Length of Y and X.
    stored : dtype
    reader, number
        Which image of which reader it is, to find it again in another process.
    flat : bool
        Whether the only plane has no axis of its own.
    by_columns : bool
        Whether A-scans lie in one piece, and not lines of equal depth.
    upside_down, mirrored : bool
        Whether Y and X are stored in reverse.
    meaning : callable, optional
        From stored values to those that are meant; of no more than the dtype.
    dtype : dtype, optional
        Of the values that are meant.

    Raises
    ------
    InputError
        If the file ends before the planes do.
    """

    def __init__(
        self,
        source: Source,
        offsets: Sequence[int],
        plane: tuple[int, int],
        stored: npt.DTypeLike,
        reader: Reader,
        number: int = 0,
        *,
        flat: bool = False,
        by_columns: bool = False,
        upside_down: bool = False,
        mirrored: bool = False,
        meaning: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self._offsets, self._stored = tuple(offsets), np.dtype(stored)
        self._by_columns, self._meaning = by_columns, meaning
        self._reversed = upside_down, mirrored
        end = max(self._offsets, default=0) + plane[0] * plane[1] * self._stored.itemsize
        if end > source.size:
            raise InputError(
                f"{source.name} is cut short: it should have {end} bytes or more, but has"
                f" {source.size}."
            )
        shape = plane if flat else (len(self._offsets), *plane)
        super().__init__(
            [source],
            shape,
            self._stored if dtype is None else dtype,
            partial(array_of, reader=reader, number=number),
            number,
        )

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        planes = ranges[0] if self.ndim == 3 else range(1)
        inner = [
            range(n - 1 - r.start, n - 1 - r.stop, -r.step) if turned else r
            for r, n, turned in zip(ranges[-2:], self.shape[-2:], self._reversed, strict=True)
        ]
        shape = self.shape[-2:]
        if self._by_columns:
            inner, shape = inner[::-1], shape[::-1]
        out = np.zeros((len(planes), *map(len, inner)), self.dtype)
        source = self.sources[0]
        with source.open() as file:
            for into, number in zip(out, planes, strict=True):
                if (offset := self._offsets[number]) >= 0:
                    try:
                        block = read_block(file, offset, shape, self._stored, inner)
                    except EOFError:
                        raise InputError(f"{source.name} is cut short.") from None
                    into[...] = block if self._meaning is None else self._meaning(block)
        if self._by_columns:
            out = out.swapaxes(1, 2)
        return out if self.ndim == 3 else out[0]


def array_of(path: Path, reader: Reader, number: int) -> Any:
    """Return the array of one of a file's images, for another process."""
    return reader(path)[number].data
