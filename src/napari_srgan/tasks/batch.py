"""Batches: the files of a folder restored into another, with a table of what came of each.

A batch goes on where it stopped, since what is there already is left; a folder that is watched is a
batch that never ends. The command and the window run the same.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.io.atomic import whole_file
from napari_srgan.io.natural import natural
from napari_srgan.io.open import READABLE_SUFFIXES
from napari_srgan.io.tables import add_row, encoded
from napari_srgan.options import FileOptions, PartOptions, RestoreOptions
from napari_srgan.tasks.names import names_of, without_names
from napari_srgan.tasks.restore import AS_USUAL, FileOutcome, restore_files
from napari_srgan.tasks.steps import Progress

SUMMARY = "summary.csv"
POLL = 2.0
"""Seconds between two looks at a folder; a file has to be alike in both."""

_PATIENCE = 30.0  # seconds
_COLUMNS = (
    "finished", "input", "output", "status", "axes", "shape", "dtype", "scale", "units", "model",
    "seconds", "peak_memory_mb", "error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileBegun:
    """A file that has come and will be read now."""

    source: str


Steps = Generator[Progress | FileBegun | FileOutcome, None, None]


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """How the files of a batch are restored, and where the results go.

    Attributes
    ----------
    folder : Path
        Of the results, which are called as `restore.target_name` says, and of their table.
    options : RestoreOptions
    part : PartOptions
    files : FileOptions
    overwrite : bool
        Whether results that are there may be replaced.
    anew : bool
        Whether the table begins anew.
    skip : bool
        Leave what has a result already, and what is a result itself: for folders, where nobody
        named each file, and to go on with a batch.
    """

    folder: Path
    options: RestoreOptions = field(default_factory=RestoreOptions)
    part: PartOptions = field(default_factory=PartOptions)
    files: FileOptions = AS_USUAL
    overwrite: bool = False
    anew: bool = False
    skip: bool = False


def run_batch(sources: Sequence[str], order: BatchOrder, told: Callable[[Exception], str]) -> Steps:
    """Restore files into a folder; an error in one does not stop the others.

    Parameters
    ----------
    sources : sequence of str
    order : BatchOrder
    told : callable
        Makes a sentence of an error.

    Yields
    ------
    Progress
        As `restore.restore_files`.
    FileOutcome
        After every file, which then is in the table, unless it was left.

    Raises
    ------
    InputError
        If the folder cannot be used.
    """
    yield from _restored(sources, order, told, _table(order))


def watch(
    folder: Path,
    pattern: str,
    order: BatchOrder,
    told: Callable[[Exception], str],
    poll: float = POLL,
) -> Steps:
    """Restore the files of a folder as they come, until the generator is closed.

    Network drives tell nobody of new files, so the folder is looked at again and again. A file is
    taken when it is of the same size and time in two looks: it may still be written before. One
    that changes later is taken again.

    Parameters
    ----------
    folder : Path
    pattern : str
        As of `files_in`.
    order : BatchOrder
    told : callable
        Makes a sentence of an error.
    poll : float
        Seconds between two looks.

    Yields
    ------
    Progress
        Of files, or with a note where something is out of the ordinary.
    FileBegun
        Before a file is read.
    FileOutcome
        After every file but results of this program, which are no inputs.

    Raises
    ------
    InputError
        If one of the folders cannot be used.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name one that is there.")
    check_apart(folder, order)
    table, order = _table(order), replace(order, skip=True)
    before: dict[Path, tuple[int, int]] = {}
    taken: dict[Path, tuple[int, int]] = {}
    lost = False
    while True:
        try:
            found = {path: _state(path) for path in files_in(folder, pattern) if path.is_file()}
            if lost:
                yield Progress(0, 0, note=f"{folder} is there again.")
            lost = False
        except OSError as error:
            if not lost:
                why = error.strerror or str(error)
                yield Progress(0, 0, note=f"{folder} cannot be read ({why}); waiting for it.")
            lost, found = True, before
        ready = [p for p, state in found.items() if before.get(p) == state != taken.get(p)]
        before = found
        for path in [] if lost else ready:
            taken[path] = found[path]
            yield FileBegun(str(path))
            try:
                yield from _restored([str(path)], order, told, table)
            except (InputError, OSError) as error:  # the folder of the results is gone, or full
                yield Progress(0, 0, note=told(error))
        yield Progress(0, 0, stage="Waiting for files")
        time.sleep(poll)


def files_in(folder: Path, pattern: str = "*") -> list[Path]:
    """List the images of a folder whose names match a pattern, in natural order.

    Parameters
    ----------
    folder : Path
    pattern : str
        As of a shell, such as ``*_oct.tif``; capitals make no difference. Hidden files are left
        out, as are endings that are not read.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    wanted = pattern.casefold()
    names = [path.name for path in folder.iterdir()]
    fitting = [
        name
        for name in names
        if name.lower().endswith(READABLE_SUFFIXES)
        and not name.startswith(".")
        and fnmatchcase(name.casefold(), wanted)
    ]
    return [folder / name for name in sorted(fitting, key=natural)]


def check_apart(folder: Path, order: BatchOrder) -> None:
    """Refuse to replace files in the folder that the inputs come from, with InputError."""
    if order.overwrite and order.folder.exists() and order.folder.samefile(folder):
        raise InputError(
            f"Results that replace others need another folder than that of the inputs, {folder}."
        )


def _restored(
    sources: Sequence[str],
    order: BatchOrder,
    told: Callable[[Exception], str],
    table: Summary,
) -> Steps:
    """Restore files, each outcome with its sentence, and in the table."""
    names = names_of(sources, order.options.anonymise)
    steps = restore_files(
        sources,
        order.folder,
        order.options,
        order.part,
        overwrite=order.overwrite,
        skip=order.skip,
        files=order.files,
    )
    with closing(steps):
        for step in steps:
            if isinstance(step, FileOutcome) and step.error is not None:
                said = told(step.error)
                # What is kept must not hold a name that may be a patient's.
                kept = {"input": step.label, "error": without_names(said, names)}
                table.add(kept | {"status": "failed"})
                yield replace(step, said=said)
                continue
            if isinstance(step, FileOutcome) and step.summary is not None:
                table.add(step.summary.to_dict() | {"status": "done"})
            yield step


def _state(path: Path) -> tuple[int, int]:
    """Give what changes while a file is written; not its number, which drives make up anew."""
    try:
        found = path.stat()
    except OSError:  # it has been renamed or removed since
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _table(order: BatchOrder) -> Summary:
    """Make the folder, and begin or go on with its table."""
    try:
        order.folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{order.folder} is a file: the results need a folder.") from None
    return Summary(order.folder / SUMMARY, anew=order.anew)


class Summary:
    """The table of a batch: one row a file, on disk before the next input starts.

    Parameters
    ----------
    path : Path
        Rows are added to the table that is there, so that a batch done in parts has one record.
    anew : bool
        Start an empty table instead.

    Raises
    ------
    InputError
        If the file is there and holds something else.
    """

    def __init__(self, path: Path, anew: bool) -> None:
        self._path = path
        with suppress(OutputExists):
            # A batch that runs beside this one has it for a moment only.
            with whole_file(path, anew, patience=_PATIENCE) as partial:
                partial.write_bytes(encoded([_COLUMNS]))
            return
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            if next(csv.reader(stream), None) != list(_COLUMNS):
                raise InputError(
                    f"{path} exists and is not a summary of this program; move it, or have it "
                    "replaced (--overwrite)."
                )

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; cells are taken by the columns' names, missing ones stay empty."""
        finished = {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
        values = (finished | dict(row)).get
        add_row(self._path, [_cell(values(key)) for key in _COLUMNS])


def _cell(value: Any) -> Any:
    return " x ".join(map(str, value)) if isinstance(value, list) else value
