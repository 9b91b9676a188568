"""FileSink: a result that is written block by block into a file, which appears when it is whole."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.io.atomic import (
    JOURNAL,
    THERE,
    THERE_FOR_COMMANDS,
    WholeFile,
    WholeFolder,
    check_place,
    remove_leftover,
)
from napari_srgan.io.formats.tiff import TIFF_SUFFIXES
from napari_srgan.io.formats.zarr_array import METADATA as ZARR_FILES
from napari_srgan.io.journal import Found, Journal, Origin, Place, Unfinished, unfinished
from napari_srgan.io.notes import notes_for
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.memory import plane_view, size_text
from napari_srgan.io.sinks.nifti import NiftiContent
from napari_srgan.io.sinks.npy import NpyContent
from napari_srgan.io.sinks.png import PngContent
from napari_srgan.io.sinks.tiff import TiffContent
from napari_srgan.io.sinks.zarr import ZarrContent


class Content(Protocol):
    """The inside of a file while it is made; one class a kind of output.

    It is made with the path to write to, the OutputSpec, the name by which messages call the file,
    the notes known so far, and the folder of the journal of a former run that it goes on with;
    without one the file is laid out.
    """

    resumable: ClassVar[bool]
    """Whether a later run can go on with an unfinished file."""

    def __init__(
        self,
        path: Path,
        spec: OutputSpec,
        name: str,
        notes: dict[str, Any],
        former: Path | None = None,
    ) -> None: ...

    @staticmethod
    def check(spec: OutputSpec, name: str) -> None:
        """Say by InputError why the format cannot hold an output; nothing is written."""

    @staticmethod
    def nbytes(spec: OutputSpec, name: str) -> int:
        """Count the bytes that an output will take on the disk, but for headers."""

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block as `Sink.write` does, contiguous and in the dtype of the output."""

    def plane_done(self, index: tuple[int, ...]) -> None:
        """Learn that a plane is complete, as `Sink.plane_done` does."""

    def flush(self) -> None:
        """Bring to the disk what was written."""

    def keep_frame(self, folder: Path) -> None:
        """Keep in the folder of the journal what a later run needs beside the pixels."""

    def finish(self, notes: dict[str, Any]) -> None:
        """Write what is left to write, with the final notes, and close the file."""

    def result(self, path: Path) -> npt.NDArray[Any]:
        """Return the pixels of the file, which lies at `path` now, in the axis order of the output.

        A file that is mapped into memory is mapped read-only.
        """

    def close(self) -> None:
        """Close the file as it is."""


ZARR = ".zarr"
"""The ending of the one output that is a folder."""

_KINDS: dict[str, type[Content]] = {
    **dict.fromkeys(TIFF_SUFFIXES, TiffContent),
    ".npy": NpyContent,
    ".nii": NiftiContent,
    ".png": PngContent,
    ZARR: ZarrContent,
}
WRITABLE_SUFFIXES = tuple(_KINDS)

GO_ON = "--resume goes on with it, --overwrite starts anew."
"""What to do about an unfinished output."""

FLUSHED_EVERY = 1.0
"""Seconds between two marks in the journal of an output; each waits for the disk."""

_ROOM_TO_SPARE = 16 * 2**20
"""Bytes of free disk asked for beyond the pixels: page headers, and other programs."""


class FileSink:
    """Writes the result into a file, which appears at its place only when it is whole.

    Parameters
    ----------
    path : path
        The suffix chooses the format: one of `WRITABLE_SUFFIXES`.
    overwrite : bool
        Whether a file that is already there may be replaced, at commit, and an unfinished one
        removed.
    ome_zarr : {"0.4", "0.5"}
        Version of OME-Zarr, where that is written.
    resume : bool
        Go on with an unfinished one, and leave one where this run is stopped.

    Notes
    -----
    Pixels go into a `WholeFile` beside the target, and memory stays bounded by a block, except for
    PNG, which is compressed at the end. Planes that lie on the disk are marked in a `Journal`
    beside it, so that a kill, a full disk or an error takes no more than a second's work.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        overwrite: bool = False,
        ome_zarr: str = "0.4",
        resume: bool = False,
    ) -> None:
        self.path = Path(path)
        self._overwrite, self._ome_zarr, self._resume = overwrite, ome_zarr, resume
        self._file: WholeFile | None = None  # while the place is held
        self._spec: OutputSpec | None = None
        self._content: Content | None = None
        self._former: Journal | None = None  # of an unfinished file that is gone on with
        self._origin: Origin | None = None
        self._journal: Journal | None = None  # once planes are marked
        self._unmarked: dict[Place, Found] = {}
        self._marked = 0.0  # when

    @property
    def former(self) -> Origin | None:
        """What the unfinished output is made from that `reserve` has found to go on with."""
        return None if self._former is None else self._former.origin

    @property
    def shared(self) -> bool:
        """Whether that was laid out for several jobs to fill."""
        return self._former is not None and self._former.shared

    @property
    def done(self) -> Mapping[Place, Found]:
        """The planes of it that are done."""
        return {} if self._former is None else self._former.planes()

    def close(self) -> None:
        """Do as `abort`."""
        self.abort()

    def reserve(self, spec: OutputSpec) -> None:
        """Hold the place until `commit` or `abort`, or refuse it, before any pixel is read.

        Parameters
        ----------
        spec : OutputSpec
            Of the output; its notes may be others when it is opened.

        Raises
        ------
        OutputExists
            If the file is there and overwriting was not asked for, or an unfinished one that is
            not to be gone on with either.
        OutputBusy
            If another run is writing it.
        InputError
            If the format cannot hold the output, or the folder or disk cannot take it.
        """
        check_output(self.path, self._overwrite)
        self._kind().check(spec, self.path.name)
        self._file = self._place()
        with self._disk_errors():
            self._file.hold()
            written = self._look_for_unfinished(spec.plane_bytes)
            nbytes = self._kind().nbytes(spec, self.path.name)
            check_room(self.path, nbytes - written)

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """Lay out the file, after `reserve` or with all that it refuses; see `Sink.open`.

        Raises
        ------
        InputError
            If an unfinished file was made from something else; it stays as it is.
        """
        if self._file is None:
            self.reserve(spec)
        assert self._file is not None
        self._spec = spec
        self._origin = self._of_this(origin)
        done = Unfinished()
        with self._disk_errors():
            if self._former is not None and self._origin is not None:
                self._journal, done = self._former, self._gone_on_with(self._origin)
                path, former = self._file.path, self._former.folder
            else:
                path, former = self._file.create(), None
            self._content = self._made(path, spec, self.path.name, notes_for(spec), former)
        self._marked = time.monotonic()
        return done

    def leave(self) -> None:
        """Leave the store, which is laid out, for several jobs to fill; see `shared`."""
        assert self._content is not None
        with self._disk_errors():
            self._content.flush()
            self._begin_journal(shared=True)
        self._close(keep=True)

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block; see `Sink.write`."""
        spec, content = self._spec, self._content
        assert spec is not None and content is not None
        with self._disk_errors():
            content.write(index, y, x, np.ascontiguousarray(block, spec.dtype))

    def plane_done(self, index: tuple[int, ...], found: Found | None = None) -> None:
        """Learn that a plane is complete, and mark it before long; see `Sink.plane_done`."""
        assert self._content is not None
        with self._disk_errors():
            self._content.plane_done(index)
            self._unmarked[index] = found or {}
            if time.monotonic() - self._marked >= FLUSHED_EVERY:
                self._mark()

    def plane(self, index: Place) -> npt.NDArray[Any] | None:
        """Read a plane that is done, in any thread, while the file is made.

        Returns
        -------
        ndarray, shape (Y, X[, S]), or None
            None where the file is whole or given up, or lies in memory until its end.
        """
        content, file, spec = self._content, self._file, self._spec
        if content is None or file is None or spec is None or not content.resumable:
            return None
        try:
            return np.array(plane_view(content.result(file.path), spec.axes, index))
        except (OSError, ValueError, InputError):  # it is being put in place
            return None

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Finish the file and put it at its place, in one step.

        Returns
        -------
        ndarray
            The file mapped into memory, read-only, in the axis order of the output.

        Raises
        ------
        OutputExists
            If somebody else has written to the place meanwhile; the sentence says where the
            result is.
        InputError
            If the disk is full or refuses.
        """
        spec, content, file = self._spec, self._content, self._file
        assert spec is not None and content is not None and file is not None
        with self._disk_errors():
            self._mark()
            content.finish(notes_for(spec, metadata))
            file.commit()
            result = content.result(self.path)  # while nobody else can replace it
        self._former = None
        self._close(keep=False)
        return result

    def abort(self, keep: bool = False) -> None:
        """Remove what is not in place; an older file stays as it was.

        With `keep`, or where going on was asked for, planes that are done stay unfinished.
        """
        keep = keep or self._resume
        if self._content is not None and keep:
            with suppress(OSError):  # a disk that refuses; what was marked before stays
                self._mark()
        self._close(keep)

    def _close(self, keep: bool) -> None:
        """Let all go; what is unfinished stays with `keep` if a later run can go on with it."""
        content, file, journal = self._content, self._file, self._journal
        kept = self._former is not None or (keep and journal is not None)
        self._spec = self._content = self._file = self._journal = self._former = None
        self._unmarked.clear()
        if content is not None:
            content.close()
        if file is not None:
            file.keep = kept
            if journal is not None and not kept:
                journal.remove()
            file.close()

    def _look_for_unfinished(self, plane_bytes: int) -> int:
        """See what a former run has left, and what is to become of it; return its bytes on disk."""
        assert self._file is not None
        found = unfinished(self.path)
        if found is None:
            return 0
        path, journal = found
        if self._resume:
            self._file.path, self._former, self._file.keep = path, journal, True
            return len(journal.planes()) * plane_bytes
        if not self._overwrite:
            count = len(journal.planes())
            done = f"{count} plane{'s' * (count != 1)} done"
            raise OutputExists(
                f"{self.path} is prepared for several jobs, with {done}; --slice-of fills it, "
                "--overwrite starts anew."
                if journal.shared
                else f"A run that was stopped has left {self.path} unfinished, with {done}; {GO_ON}"
            )
        if self._file.is_certain:  # else it may be another run's, at this moment
            remove_leftover(path)
        return 0

    def _mark(self) -> None:
        """Bring what was written to the disk, and mark its planes."""
        content = self._content
        assert content is not None
        if self._origin is None or not self._unmarked:
            return
        content.flush()
        journal = self._begin_journal() if self._journal is None else self._journal
        journal.mark(self._unmarked)
        self._unmarked.clear()
        self._marked = time.monotonic()

    def _begin_journal(self, shared: bool = False) -> Journal:
        """Make the journal of what is laid out."""
        file, content, origin = self._file, self._content, self._origin
        assert file is not None and content is not None and origin is not None
        journal = Journal(file.path.with_suffix(JOURNAL), self.path)
        journal.folder.mkdir()
        content.keep_frame(journal.folder)
        journal.begin(origin, shared)
        self._journal, file.keep = journal, self._resume
        return journal

    def _gone_on_with(self, origin: Origin) -> Unfinished:
        """Refuse what was made from something else; else say what there is."""
        assert self._former is not None and self._spec is not None
        self._former.check(origin)
        planes = self._former.planes()
        if len(planes) < self._spec.n_planes:  # else nothing more is computed
            self._former.claim(origin)
        return Unfinished(planes, self._former.origin.machine)

    def _of_this(self, origin: Callable[[], Origin] | None) -> Origin | None:
        """Say what the output will be made from, its format included; None if nobody asks."""
        if origin is None or not self._kind().resumable:
            return None
        made = origin()
        if self._kind() is ZarrContent:
            made = replace(made, settings={**made.settings, "OME-Zarr": self._ome_zarr})
        return made

    def _kind(self) -> type[Content]:
        name = self.path.name.lower()
        return next(kind for suffix, kind in _KINDS.items() if name.endswith(suffix))

    def _made(self, *given: Any) -> Content:
        kind = self._kind()
        return kind(*given, self._ome_zarr) if kind is ZarrContent else kind(*given)  # type: ignore[call-arg]

    def _place(self) -> WholeFile:
        if self._kind() is ZarrContent:
            return WholeFolder(self.path, self._overwrite, marks=ZARR_FILES)
        return WholeFile(self.path, self._overwrite)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn what the disk refuses into one sentence, and clean up first."""
        try:
            yield
        except InputError:
            self.abort()
            raise
        except OSError as e:
            self.abort(keep=True)
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                why = "the disk is full; free some space or choose another disk"
            else:
                why = (e.strerror or str(e)).rstrip(".")
            kept = (
                " What is done is kept: --resume goes on with it." if unfinished(self.path) else ""
            )
            raise InputError(f"{self.path} cannot be written: {why}.{kept}") from e


def check_room(place: Path, nbytes: int) -> None:
    """Refuse to write so many bytes of pixels to a disk that has no room for them.

    Parameters
    ----------
    place : Path
        A file, or a folder of files, in a folder that exists.
    nbytes : int
        Of all files together.
    """
    free = shutil.disk_usage(place if place.is_dir() else place.parent).free
    short = nbytes + _ROOM_TO_SPARE - free
    if short > 0:
        raise InputError(
            f"{place} will take {size_text(nbytes)}, and {size_text(_ROOM_TO_SPARE)} must stay free"
            f" for other programs, which is {size_text(short)} more than is free there; choose"
            " another disk or a smaller region."
        )


def made_folder(folder: Path, undo: ExitStack) -> None:
    """Make a folder of outputs; `undo` removes it again if it was not there and stays empty.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    if folder.is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from error

    def remove() -> None:
        with suppress(OSError):  # it holds something
            folder.rmdir()

    undo.callback(remove)


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
    marks = ZARR_FILES if path.name.lower().endswith(ZARR) else ()
    check_place(path, overwrite, WRITABLE_SUFFIXES, advice, there, marks)


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
