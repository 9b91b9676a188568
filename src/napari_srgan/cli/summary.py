"""The table of a batch: one row a file, kept as CSV beside the results."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError

SUMMARY = "summary.csv"
_COLUMNS = (
    "finished", "input", "output", "status", "axes", "shape", "dtype", "scale", "units", "model",
    "seconds", "peak_memory_mb", "error",
)  # fmt: skip


class Summary:
    """Appends rows to a file; each row is on disk before the next input starts.

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
        if path.exists() and not anew:
            with path.open(newline="", encoding="utf-8", errors="replace") as stream:
                if next(csv.reader(stream), None) != list(_COLUMNS):
                    raise InputError(
                        f"{path} exists and is not a summary of this program; move it, or "
                        "--overwrite replaces it."
                    )
            return
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow(_COLUMNS)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; cells are taken by the columns' names, missing ones stay empty."""
        finished = {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
        cells = {
            key: " x ".join(map(str, value)) if isinstance(value, list) else value
            for key, value in (finished | dict(row)).items()
        }
        # File names on Linux need not be UTF-8.
        with self._path.open(
            "a", newline="", encoding="utf-8", errors="backslashreplace"
        ) as stream:
            writer = csv.DictWriter(stream, _COLUMNS, restval="", extrasaction="ignore")
            writer.writerow(cells)
