"""FileSink: a result that is written block by block into a file, which appears when it is whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.io.atomic import THERE, THERE_FOR_COMMANDS, PartialFile, check_place
from napari_srgan.io.formats.tiff import TIFF_SUFFIXES
from napari_srgan.io.notes import notes_for
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.memory import size_text
from napari_srgan.io.sinks.npy import NpyContent
from napari_srgan.io.sinks.png import PngContent
from napari_srgan.io.sinks.tiff import TiffContent


class Content(Protocol):
    """The inside of a file while it is made; one class a kind of output.

    It is made with the path to write to, the OutputSpec, the name by which messages call the file,
    and the notes known so far; then the file is laid out, or InputError says why it cannot hold
    the output.
    """

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block as `Sink.write` does, contiguous and in the dtype of the output."""

    def finish(self, notes: dict[str, Any]) -> None:
        """Write what is left to write, with the final notes, and close the file."""

    def result(self, path: Path) -> npt.NDArray[Any]:
        """Return the pixels of the file, which lies at `path` now, in the axis order of the output.

        A file that is mapped into memory is mapped read-only.
        """

    def close(self) -> None:
        """Close the file as it is."""


_KINDS: dict[str, Callable[[Path, OutputSpec, str, dict[str, Any]], Content]] = {
    **dict.fromkeys(TIFF_SUFFIXES, TiffContent),
    ".npy": NpyContent,
    ".png": PngContent,
}
WRITABLE_SUFFIXES = tuple(_KINDS)

_ROOM_TO_SPARE = 16 * 2**20
"""Bytes of free disk asked for beyond the pixels: page headers, and other programs."""


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
        self._partial = PartialFile(self.path)
        self._overwrite = overwrite
        self._spec: OutputSpec | None = None
        self._content: Content | None = None

    def open(self, spec: OutputSpec) -> None:
        """Lay out the file.

        Raises
        ------
        OutputExists
            If the file is there and overwriting was not asked for.
        InputError
            If the format cannot hold the output, or the folder or disk cannot take it.
        """
        check_output(self.path, self._overwrite)
        self._check_room(spec)
        self._spec = spec  # from here on `abort` has something to remove
        with self._disk_errors():
            name = self.path.name.lower()
            kind = next(kind for suffix, kind in _KINDS.items() if name.endswith(suffix))
            self._content = kind(self._partial.path, spec, self.path.name, notes_for(spec))

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block; see `Sink.write`."""
        spec, content = self._spec, self._content
        assert spec is not None and content is not None
        with self._disk_errors():
            content.write(index, y, x, np.ascontiguousarray(block, spec.dtype))

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Finish the file and put it at its place, in one step.

        Returns
        -------
        ndarray
            The file mapped into memory, read-only, in the axis order of the output.
        """
        spec, content = self._spec, self._content
        assert spec is not None and content is not None
        with self._disk_errors():
            content.finish(notes_for(spec, metadata))
            self._partial.sync()
            if not self._overwrite and self.path.exists():
                self._spec = None
                raise OutputExists(
                    f"{self.path} has appeared while its result was made; the result is whole and"
                    f" waits beside it as {self._partial.path.name}."
                )
            self._partial.place()
        self._spec = self._content = None
        return content.result(self.path)

    def abort(self) -> None:
        """Remove the partial file; an older file at the place stays as it was."""
        if self._spec is not None:
            self._drop()

    def _check_room(self, spec: OutputSpec) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if spec.nbytes + _ROOM_TO_SPARE > free:
            raise InputError(
                f"{self.path} will take {size_text(spec.nbytes)}, but only {size_text(free)} are"
                " free there; choose another disk or a smaller region."
            )

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn what the disk refuses into one sentence, and clean up first."""
        try:
            yield
        except OSError as e:
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
        if self._content is not None:
            self._content.close()
        self._spec = self._content = None
        self._partial.remove()


def check_output(path: Path, overwrite: bool, there: str = THERE) -> None:
    """Refuse a place where no output can be written, before any work.

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced; it says `there`.
    InputError
        If the path is a folder, lies in none, or has no ending of `WRITABLE_SUFFIXES`.
    """
    advice = f"outputs are written as {', '.join(WRITABLE_SUFFIXES)}; choose one of these endings."
    check_place(path, overwrite, WRITABLE_SUFFIXES, advice, there)


def check_outputs_in(folder: Path, paths: Iterable[Path], overwrite: bool, option: str) -> None:
    """Refuse a folder of outputs, which is made when it is not there, before any work.

    Parameters
    ----------
    folder : Path
    paths : iterable of Path
        The outputs in it.
    overwrite : bool
        Whether files that are there may be replaced.
    option : str
        What names the folder on the command line, for example "--out".

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced.
    InputError
        If the folder is a file, or an output cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: {option} needs a folder.")
    for path in paths if folder.is_dir() else ():
        check_output(path, overwrite, THERE_FOR_COMMANDS)
