"""Sinks: where a result goes while it is made, block by block, in memory or in a file.

What belongs here: taking blocks in any order, and the promise that a file at its place is
always whole. What the file formats look like inside is tifflayout.py's and pictures.py's.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.image.axes import canonical
from napari_srgan.io.formats.notes import notes_for
from napari_srgan.io.formats.tifflayout import Layout, as_memmap, lay_out, rewrite_notes
from napari_srgan.io.output import OutputSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TIFF_SUFFIXES", "WRITABLE_SUFFIXES", "FileSink", "MemorySink", "OutputSpec", "Sink"]

TIFF_SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
WRITABLE_SUFFIXES = (*TIFF_SUFFIXES, ".npy", ".png")

_ROOM_TO_SPARE = 16 * 2**20
"""Bytes of free disk asked for beyond the pixels: page headers, and other programs."""


class Sink(Protocol):
    """Takes a result in blocks; after `open`, either `commit` or `abort` ends it."""

    def open(self, spec: OutputSpec) -> None:
        """Prepare for an output; InputError if there is no place for it."""

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block (h, w) or (h, w, S) whose corner is at (y, x) of the plane at `index`."""

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Finish, with late additions to the metadata; return the result in spec.axes order."""

    def abort(self) -> None:
        """Give up and leave nothing behind; harmless at any time."""


class MemorySink:
    """Keeps the result as an array."""

    def __init__(self) -> None:
        self._spec: OutputSpec | None = None
        self._array: npt.NDArray[Any] | None = None

    def open(self, spec: OutputSpec) -> None:
        """Reserve the memory; InputError if there is not enough."""
        try:
            self._array = np.zeros(spec.shape, spec.dtype)
        except MemoryError:
            raise InputError(
                f"The result needs {_size(spec.nbytes)} of memory, which is not there; write it"
                " to a file instead."
            ) from None
        self._spec = spec

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block; see `Sink.write`."""
        assert self._spec is not None and self._array is not None
        plane = _plane_view(self._array, self._spec.axes, index)
        plane[y : y + block.shape[0], x : x + block.shape[1]] = block

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Return the array."""
        assert self._array is not None
        array, self._array = self._array, None
        return array

    def abort(self) -> None:
        """Let the memory go."""
        self._array = None


class FileSink:
    """Writes the result into a file, which appears at its place only when it is whole.

    Parameters
    ----------
    path : path
        The suffix chooses the format: one of `WRITABLE_SUFFIXES`.
    overwrite : bool
        Whether a file that is already there may be replaced, at commit.

    Notes
    -----
    Pixels go into ``<name>.partial`` beside the target, and memory stays bounded by a block,
    except for PNG, which is compressed at the end.
    """

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + ".partial")
        self._overwrite = overwrite
        self._spec: OutputSpec | None = None
        self._layout: Layout | None = None
        self._notes: dict[str, Any] = {}
        self._file: BinaryIO | None = None
        self._picture: npt.NDArray[Any] | None = None

    def open(self, spec: OutputSpec) -> None:
        """Lay out the file.

        Raises
        ------
        OutputExists
            If the file is there and overwriting was not asked for.
        InputError
            If the format cannot hold the output, or the folder or disk cannot take it.
        """
        suffix = check_place(self.path, self._overwrite)
        self._check_room(spec)
        self._notes = notes_for(spec)
        self._spec = spec  # from here on `abort` has something to remove
        with self._disk_errors():
            if suffix == ".png":
                from napari_srgan.io.formats.pictures import check_png

                check_png(spec, self.path.name)
                self._picture = np.zeros(spec.shape, spec.dtype)
                self.partial.touch()
            else:
                lay = _lay_out_npy if suffix == ".npy" else lay_out
                self._layout = lay(self.partial, spec, self.path.name, self._notes)
                self._file = self.partial.open("r+b")

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block; see `Sink.write`."""
        spec = self._spec
        assert spec is not None
        block = np.ascontiguousarray(block, spec.dtype)
        if self._picture is not None:
            plane = _plane_view(self._picture, spec.axes, index)
            plane[y : y + block.shape[0], x : x + block.shape[1]] = block
            return
        layout, file = self._layout, self._file
        assert layout is not None and file is not None
        sizes = dict(zip(layout.axes, layout.shape, strict=True))
        at = dict(zip(spec.plane_axes, index, strict=True))
        plane_number = 0
        for a in layout.axes:
            if a not in "YXS":
                plane_number = plane_number * sizes[a] + at.get(a, 0)
        height, width = sizes["Y"], sizes["X"]
        pixel = spec.dtype.itemsize * sizes.get("S", 1)
        if y < 0 or x < 0 or y + block.shape[0] > height or x + block.shape[1] > width:
            raise IndexError(f"a block of {block.shape} at {(y, x)} leaves {height} x {width} px")
        start = layout.offset + ((plane_number * height + y) * width + x) * pixel
        with self._disk_errors():
            if block.shape[1] == width:
                file.seek(start)
                file.write(block.data)
                return
            for row in block:
                file.seek(start)
                file.write(row.data)
                start += width * pixel

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Finish the file and put it at its place, in one step.

        Returns
        -------
        ndarray
            The file mapped into memory, read-only, in the axis order of the output.
        """
        spec = self._spec
        assert spec is not None
        with self._disk_errors():
            notes = notes_for(spec, metadata)
            if self._picture is not None:
                from napari_srgan.io.formats.pictures import write_png

                write_png(self.partial, self._picture, spec, notes)
            else:
                assert self._file is not None
                self._file.close()
                self._file = None
                if notes != self._notes and not self.path.name.lower().endswith(".npy"):
                    rewrite_notes(self.partial, self._notes, notes)
            with self.partial.open("r+b") as file:
                os.fsync(file.fileno())  # a disk may say only now that it is full
            if not self._overwrite and self.path.exists():
                kept, self._spec = self.partial.name, None
                raise OutputExists(
                    f"{self.path} has appeared while its result was made; the result is whole and"
                    f" waits beside it as {kept}."
                )
            os.replace(self.partial, self.path)  # noqa: PTH105 (the atomic one)
        self._spec = None
        picture, self._picture = self._picture, None
        if picture is not None:
            return picture
        assert self._layout is not None
        return as_memmap(self.path, self._layout, spec)

    def abort(self) -> None:
        """Remove the partial file; an older file at the place stays as it was."""
        if self._spec is None:
            return
        self._spec = None
        self._drop()

    def _check_room(self, spec: OutputSpec) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if spec.nbytes + _ROOM_TO_SPARE > free:
            raise InputError(
                f"{self.path} will take {_size(spec.nbytes)}, but only {_size(free)} are free"
                " there; choose another disk or a smaller region."
            )

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn what the disk refuses into one sentence, and clean up first."""
        try:
            yield
        except OSError as e:
            self._spec = None
            self._drop()
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                why = "the disk is full; free some space or choose another disk"
            else:
                why = (e.strerror or str(e)).rstrip(".")
            raise InputError(f"{self.path} cannot be written: {why}.") from e
        except OutputExists:
            raise
        except InputError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # closing writes what is buffered, which may fail again
                self._file.close()
            self._file = None
        self._picture = None
        with suppress(OSError):
            self.partial.unlink(missing_ok=True)


def check_place(path: Path, overwrite: bool) -> str:
    """Refuse a place where no output can be written; return the ending, which says the format.

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced.
    InputError
        If the path is a folder, lies in none, or has no ending of `WRITABLE_SUFFIXES`.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it.")
    name = path.name.lower()
    suffix = next((s for s in WRITABLE_SUFFIXES if name.endswith(s)), None)
    if suffix is None:
        raise InputError(
            f"{path.name}: outputs are written as {', '.join(WRITABLE_SUFFIXES)};"
            " choose one of these endings."
        )
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; make it first.")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} is already there; choose another name or ask to overwrite it.")
    return suffix


def _lay_out_npy(path: Path, spec: OutputSpec, name: str, notes: dict[str, Any]) -> Layout:
    """Write the header of an .npy file and make it as long as it will be; it holds no notes."""
    axes = canonical(spec.axes)
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    shape = tuple(sizes[a] for a in axes)
    with path.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(spec.dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
        file.truncate(offset + spec.nbytes)
    return Layout(offset, axes, shape)


def _plane_view(array: npt.NDArray[Any], axes: str, index: tuple[int, ...]) -> npt.NDArray[Any]:
    """View one plane of an array as (Y, X) or (Y, X, S)."""
    positions = iter(index)
    key = tuple(slice(None) if a in "YXS" else next(positions) for a in axes)
    inner = [a for a in axes if a in "YXS"]
    view: npt.NDArray[Any] = array[key]
    return view.transpose([inner.index(a) for a in "YXS" if a in inner])


def _size(nbytes: int) -> str:
    value, unit = float(nbytes), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
