"""Tables as CSV: written whole, or grown row by row, with cells that a spreadsheet cannot run.

Names of files, layers and models are somebody's text. A spreadsheet takes a cell that begins with
``=`` for a formula, which can start programs; it leaves one alone that begins with an apostrophe.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from napari_srgan.errors import OutputBusy
from napari_srgan.io.atomic import THERE, whole_file
from napari_srgan.io.lock import FileLock, Taken

_BEGINS_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_PATIENCE = 30.0
"""Seconds to wait for another process that adds a row."""


def cell(value: Any) -> Any:
    """Make of a value what is written: lists with spaces, and no text that is a formula."""
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    if isinstance(text, str) and text.startswith(_BEGINS_FORMULA) and not _is_number(text):
        return f"'{text}"
    return text


def plain(text: str) -> str:
    """Read what `cell` made of a text."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_BEGINS_FORMULA) else text


Rows = Sequence[Mapping[str, Any]]


@contextmanager
def csv_file(
    path: Path | None, overwrite: bool, there: str = THERE
) -> Iterator[Callable[[Rows], None]]:
    """Hold the place of a table while what it will hold is worked out; see `atomic.whole_file`.

    Parameters
    ----------
    path : Path or None
        Without one nothing is written.
    overwrite, there : bool, str
        As of `atomic.WholeFile`.

    Yields
    ------
    callable
        Takes the rows: they stand under the union of their columns, in the order of appearance;
        lists with spaces between their items, None as nothing. The file appears when the block
        ends.

    Raises
    ------
    InputError
        If the place cannot be used, or another run uses it.
    OSError
        If the file cannot be written.
    """
    if path is None:
        yield lambda rows: None
        return
    with whole_file(path, overwrite, there) as unfinished:
        yield partial(_write, unfinished)


def _write(path: Path, rows: Rows) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path.write_bytes(encoded([columns, *([row.get(c) for c in columns] for row in rows)]))


def add_row(path: Path, values: Iterable[Any]) -> None:
    """Add a row to the end of a table that is there, whole or not at all.

    Several processes may do so at once.

    Raises
    ------
    OutputBusy
        If another process holds the table for long.
    OSError
        If the file cannot be written.
    """
    row = encoded([values])
    lock = FileLock(path)
    try:
        lock.acquire(_PATIENCE)
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
        try:
            before = os.fstat(descriptor).st_size
            try:
                # All in one call, which no kill divides, unless the disk is full.
                while row:
                    row = row[os.write(descriptor, row) :]
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
    except Taken:
        raise OutputBusy(f"{path} is being written by another run; try again later.") from None
    finally:
        lock.release()


def encoded(rows: Iterable[Iterable[Any]]) -> bytes:
    """Give rows as the bytes of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    # File names on Linux need not be UTF-8.
    return text.getvalue().encode("utf-8", errors="backslashreplace")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
