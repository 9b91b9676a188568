"""A folder of slices, each a file of one plane, as a stack in the natural order of their names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.io.formats.image_file import ImageFile
from napari_srgan.io.formats.pictures import PICTURE_SUFFIXES, decode
from napari_srgan.io.formats.plane_files import PlaneFiles
from napari_srgan.io.formats.source import FileArray, Source, check_series
from napari_srgan.io.formats.tiff import TIFF_SUFFIXES, open_tiff
from napari_srgan.io.natural import natural


def slice_files(folder: Path) -> list[Path]:
    """List the pictures and TIFF files of a folder in natural order; none if it cannot be read."""
    try:
        found = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    except OSError:
        return []
    kinds = (*PICTURE_SUFFIXES, *TIFF_SUFFIXES)
    return sorted(
        (p for p in found if p.name.lower().endswith(kinds)), key=lambda p: natural(p.name)
    )


def open_folder(path: Path, axes: str | None = None, series: int | None = None) -> ImageFile:
    """Open the files of a folder as the slices of a stack, and say in which order.

    Raises
    ------
    InputError
        If they are not alike, or hold more than a plane each.
    """
    check_series(path.name, series, 1)
    files = slice_files(path)
    planes: list[tuple[Path, ImageFile]] = []
    for file in files:
        picture = file.name.lower().endswith(PICTURE_SUFFIXES)
        image = _picture(file) if picture else open_tiff(file)
        if image.axes not in ("YX", "YXS"):
            raise InputError(
                f"{path.name} is a folder whose {file.name} is a stack itself ({image.axes}); give"
                " its files one by one, or --each with --out-dir."
            )
        planes.append((file, image))
    first = planes[0][1]
    warnings.warn(
        f"{path.name}: its {len(files)} files are taken for slices, in the order from"
        f" {files[0].name} to {files[-1].name}; --each with --out-dir takes them one by one.",
        stacklevel=2,
    )
    data = PlaneFiles(Source.of(path), [(file, image.data) for file, image in planes], _array_of)
    return ImageFile(
        data,
        axes or "Z" + first.axes,
        (1.0, *first.scale),
        (0.0, *first.translate),
        ("pixel", *first.units),
        first.spacing_source,
    )


class _Picture(FileArray):
    """A picture that is decoded when it is asked for, and once to see what it is."""

    def __init__(self, path: Path) -> None:
        array, self.axes, _, _ = decode(path)
        super().__init__([Source.of(path)], array.shape, array.dtype, _Picture)

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        return decode(self.sources[0].path)[0][np.ix_(*ranges)]


def _picture(path: Path) -> ImageFile:
    array = _Picture(path)
    return ImageFile(array, array.axes, (1.0, 1.0), (0.0, 0.0), ("pixel", "pixel"))


def _array_of(path: Path) -> PlaneFiles:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cast("PlaneFiles", open_folder(path).data)
