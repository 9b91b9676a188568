"""SharedStore: a store that several jobs fill at once, each with planes of its own.

It is laid out once (`FileSink.leave`), filled by any number of jobs, and put in place when all of
it is done. Every plane has files of its own and a mark of its own, so no two jobs write one file,
and no lock is needed, which network disks do not always have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.io.atomic import WholeFolder
from napari_srgan.io.journal import Journal, Origin, Unfinished, unfinished
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.file import FileSink


class SharedStore(FileSink):
    """A share of the planes of a store that has been prepared.

    Parameters
    ----------
    path : Path
        Where the store will be.
    ome_zarr : {"0.4", "0.5"}

    Notes
    -----
    `commit` leaves the store unfinished, with the planes marked; what it returns are all pixels.
    """

    @property
    def is_prepared(self) -> bool:
        """Whether there is such a store."""
        found = unfinished(self.path)
        return found is not None and found[1].shared

    def reserve(self, spec: OutputSpec | None = None) -> None:
        """Find the store; InputError if none is prepared, or it is whole already."""
        path, journal = prepared(self.path)
        self._file = WholeFolder(self.path, overwrite=True)
        self._file.path, self._file.keep, self._former = path, True, journal

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """Open the store; see `FileSink.open`."""
        if self._file is None:
            self.reserve()
        return super().open(spec, origin)

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Mark what is done, and leave the store to the other jobs."""
        content, file = self._content, self._file
        assert content is not None and file is not None
        with self._disk_errors():
            self._mark()
            result = content.result(file.path)
        self._close(keep=True)
        return result

    def abort(self, keep: bool = False) -> None:
        """Mark what is done; see `FileSink.abort`."""
        super().abort(keep=True)


def prepared(target: Path) -> tuple[Path, Journal]:
    """Find the unfinished store of a place, and its journal.

    Raises
    ------
    InputError
        If none was prepared there for several jobs.
    """
    found = unfinished(target)
    if found is None:
        raise InputError(
            f"{target} is there and whole; no share of it is missing."
            if target.exists()
            else f"{target} is not prepared for several jobs; --prepare does that."
        )
    if not found[1].shared:
        raise InputError(
            f"{target} was begun by one run for itself, which goes on with --resume alone."
        )
    return found
