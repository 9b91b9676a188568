"""Opening image files: from a path to a Stack, whatever the format."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import tifffile

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.atomic import PARTIAL
from napari_srgan.io.formats.npy import read_npy
from napari_srgan.io.formats.pictures import PICTURE_SUFFIXES, read_picture
from napari_srgan.io.formats.tiff import TIFF_SUFFIXES, read_tiff
from napari_srgan.io.formats.tiff_claims import micromanager_files
from napari_srgan.io.formats.tiff_segments import listening
from napari_srgan.io.formats.zarr import is_store, read_zarr

_FORMATS: dict[str, Callable[[Path, str | None, int | None], Stack]] = {
    **dict.fromkeys(TIFF_SUFFIXES, read_tiff),
    ".npy": read_npy,
    **dict.fromkeys(PICTURE_SUFFIXES, read_picture),
}
ZARR = ".zarr"
READABLE_SUFFIXES = (*_FORMATS, ZARR)


def open_stack(
    path: str | os.PathLike[str],
    axes: str | None = None,
    series: int | None = None,
    level: int = 0,
) -> Stack:
    """Open an image file without reading more than it needs.

    Of TIFF of all flavours and .npy only the parts that are asked for are read, later; PNG and JPEG
    are one plane and are read at once. Spacing comes from OME-XML, ImageJ's description,
    Micro-Manager's summary or the resolution tags; those of paper count as unknown.

    Parameters
    ----------
    path : path
        One file with one of `READABLE_SUFFIXES`.
    axes : str, optional
        Letters of TCZYXS in the order in which the file stores its axes, if it names them
        wrongly or not at all.
    series : int, optional
        Which of several images in the file, from 0: a series or a position of a TIFF, a frame of
        an animated PNG. By default the one with the most pixels, and the first of equals; a
        warning says so.
    level : int
        Of OME-Zarr, which of its levels: 0 is the image, the others are coarser.

    Returns
    -------
    Stack
        Named after the file; the provenance of a former result is in
        ``metadata["napari_srgan"]``.

    Raises
    ------
    InputError
        If the file is missing, is no image, is cut short or cannot be upscaled.
    """
    path = Path(path)
    check_file(path)
    if is_zarr(path):
        return read_zarr(path, axes, series, level)
    if level:
        raise InputError(f"{path.name} has level 0 only; leave --level out.")
    name = path.name.lower()
    return next(read for suffix, read in _FORMATS.items() if name.endswith(suffix))(
        path, axes, series
    )


def check_file(path: Path) -> None:
    """Refuse what is not there, is no file, or is of a format that is not read."""
    if "\0" in str(path):
        raise InputError(f"The file name {str(path)!r} has a null character in it; check it.")
    if path.is_dir() and not is_zarr(path):
        raise InputError(f"{path} is a folder; give an image file in it.")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name and the folder.")
    if path.is_dir():
        return
    if not path.is_file():
        raise InputError(f"{path} is no file but a device, pipe or socket; give an image file.")
    if not path.name.lower().endswith(READABLE_SUFFIXES):
        raise InputError(
            f"{path.name} is not of a format that is read; these are"
            f" {', '.join(READABLE_SUFFIXES)}."
        )
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as e:
        raise InputError(f"{path} cannot be opened: {e.strerror}.") from e
    if not first:
        raise InputError(f"{path.name} is empty (0 bytes).")


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder to be read as Zarr: by its name, or because it holds an image.

    So an unfinished result is one, and so is an image within a store.
    """
    return path.is_dir() and (path.name.lower().endswith(ZARR) or is_store(path))


_OME_FILE = re.compile(r"""FileName\s*=\s*["']([^"']*)["']""")


def input_files(path: Path) -> set[Path]:
    """List an input file with all others that its image may lie in.

    These are the files of an OME-TIFF set, and of one that Micro-Manager has written.
    """
    found = {path}
    # Opening says what is wrong with it; a pipe would be waited for.
    if path.name.lower().endswith(TIFF_SUFFIXES) and path.is_file():
        with suppress(Exception), listening(), path.open("rb") as f, tifffile.TiffFile(f) as tif:
            names = _OME_FILE.findall(tif.ome_metadata or "")
            # By their bare names: a set lies in one folder.
            found |= {path.with_name(re.split(r"[\\/]", html.unescape(n))[-1]) for n in names if n}
            found |= micromanager_files(tif, path)
    return found


class Spared:
    """Files that nothing may be written over: inputs, with all files of their sets.

    Parameters
    ----------
    inputs : iterable of Path or None
    """

    def __init__(self, inputs: Iterable[Path | None]) -> None:
        files = {file for path in inputs if path is not None for file in input_files(path)}
        self._files = {i for file in files if (i := file_number(file)) is not None}

    def check(self, target: Path) -> None:
        """Refuse to write there.

        Raises
        ------
        InputError
            If it is one of the files, by whatever name.
        """
        if file_number(target) in self._files:
            raise InputError(f"{target} is an input; name another output.")


def spare_inputs(targets: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write where an input lies, not even with --overwrite.

    Raises
    ------
    InputError
        If a target is the file of an input, or of its set, by whatever name.
    """
    spared = Spared(inputs)
    for target in targets:
        if target is not None:
            spared.check(target)


def file_number(path: Path) -> tuple[int, int] | None:
    """Give what all names of one file have in common; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a name that holds a null byte
        return None
    return found.st_dev, found.st_ino


def image_name(path: str | os.PathLike[str]) -> str:
    """Name of an image after its file, without the ending: ``scan.ome.tif`` -> ``scan``.

    That of an unfinished output is the one that it will have.
    """
    name = re.sub(rf"\.[a-z0-9_]{{8}}{re.escape(PARTIAL)}$", "", Path(path).name)
    ending = next((s for s in READABLE_SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(ending)] or name
