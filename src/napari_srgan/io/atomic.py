"""Files that are written whole: places are refused before any work, and a file appears complete.

Whatever happens while a file is written (a full disk, Ctrl-C, a kill), what was at its place before
is still there and whole.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError, OutputExists

THERE = "is already there; choose another name or ask to overwrite it."
THERE_FOR_COMMANDS = "exists already; --overwrite replaces it."
"""Why a file is not written over, for a window or a Python call, and for a command."""


class PartialFile:
    """A file that is written beside its place, and put there when it is whole.

    Parameters
    ----------
    target : Path
        Where the file will appear, in a folder that exists; it replaces what is there.

    Attributes
    ----------
    target : Path
    path : Path
        ``<name>.partial`` beside the target: where to write.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".partial")

    def sync(self) -> None:
        """Have the disk take what is written: it may say only now that it is full."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())

    def place(self) -> None:
        """Put the file at its place, in one step; `sync` comes first."""
        os.replace(self.path, self.target)  # noqa: PTH105 (the atomic one)

    def remove(self) -> None:
        """Remove what was written; harmless at any time, and silent on a disk that refuses."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Parameters
    ----------
    target : Path
        Where the file will appear, in a folder that exists; it replaces what is there.

    Yields
    ------
    Path
        Where to write it, beside the target. It must be closed when the block ends; then it is
        flushed to the disk and renamed, and after an error it is removed.

    Raises
    ------
    OSError
        If the disk is full or refuses.
    """
    partial = PartialFile(target)
    try:
        yield partial.path
        partial.sync()
        partial.place()
    except BaseException:  # a full disk, or Ctrl-C
        partial.remove()
        raise


def check_place(
    path: Path,
    overwrite: bool,
    suffixes: Sequence[str] = (),
    advice: str = "",
    there: str = THERE_FOR_COMMANDS,
) -> None:
    """Refuse a place where no file can be written, before any work.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file that is there may be replaced.
    suffixes : sequence of str
        The endings, in lower case, of which the name must have one; none: any name will do.
    advice : str
        What is said of a name that has none of them.
    there : str
        What is said of a file that may not be replaced.

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced.
    InputError
        If it is a folder, has no ending of `suffixes`, or lies in no folder.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it.")
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(f"{path.name}: {advice}")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; make it first.")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} {there}")


def spare_inputs(targets: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write where an input lies, not even with --overwrite.

    Raises
    ------
    InputError
        If a target is the file of an input, by whatever name.
    """
    there = [path for path in inputs if path is not None and path.exists()]
    for target in targets:
        if target is not None and target.exists() and any(target.samefile(p) for p in there):
            raise InputError(f"{target} is an input; name another output.")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows under the union of their columns, in the order of appearance.

    Parameters
    ----------
    path : Path
        The file appears when it is complete.
    rows : sequence of mapping
        Lists are written with spaces between their items, None as nothing.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    columns = dict.fromkeys(key for row in rows for key in row)
    with (
        whole_file(path) as partial,
        # File names on Linux need not be UTF-8.
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.DictWriter(stream, list(columns), restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()}
            )
