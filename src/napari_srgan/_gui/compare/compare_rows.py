"""The rows of Compare's table and of its CSV file, without a window."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_srgan.io.atomic import whole_file
from napari_srgan.measure.table import Figure

WHOLE = "all"
"""What stands for the slices in a row of the whole stack."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes
    ----------
    candidate : str
        Name of the layer, or "bicubic".
    where : str
        Which slices, short: "Z=12" or "all".
    figures : mapping of measure to float or None
        Those that are known; None: not defined.
    stale : frozenset of str
        Which of them are not yet those of the slice in view.
    """

    candidate: str
    where: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[str, bool]:
        """What stays the same while the slider moves."""
        return self.candidate, self.where == WHOLE


def plain(value: Figure | str) -> str:
    """Write a value for a file: six digits, "inf", nothing for what is not known."""
    if isinstance(value, str):
        return value
    return "" if value is None else f"{value:.6g}"


def save_csv(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV, with a head of all their keys in the order of appearance.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with whole_file(Path(path)) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys, restval="")
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
