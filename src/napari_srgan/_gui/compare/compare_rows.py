"""Figures in words: the rows of Compare's table, how numbers are written, and the CSV file.

What belongs here: text made from figures, without a window.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_srgan.io.atomic import whole_file

HEADS = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "pearson": "Pearson",
    "psnr_mean": "Mean",
    "psnr_infinite": "∞",
}
TIPS = {
    "psnr": "Peak signal-to-noise ratio, dB; of a stack from the mean squared error of all pixels",
    "ssim": "Structural similarity (Wang 2004: Gaussian window, 11 x 11 px, sigma 1.5)",
    "ms_ssim": "Multi-scale SSIM (Wang 2003), for images of at least 176 px a side",
    "mse": "Mean squared error, in the square of the pixels' unit",
    "rmse": "Root of the mean squared error, in the pixels' unit",
    "mae": "Mean absolute error (L1), in the pixels' unit",
    "pearson": "Pearson's correlation of the pixels",
    "psnr_mean": "Mean of the slices' PSNR, dB, without those that equal the reference",
    "psnr_infinite": "How many slices equal the reference: their PSNR is infinite",
}
LOWER_IS_BETTER = ("mse", "rmse", "mae")
EMPTY = "–"
WHOLE = "all"
"""What stands for the slices in a row of the whole stack."""
Figure = float | None


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


def figure_text(measure: str, value: Figure) -> str:
    """Write a figure as the table shows it; an infinite PSNR is the sign of infinity."""
    if value is None:
        return EMPTY
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if measure in ("psnr", "psnr_mean"):
        return f"{value:.2f}"
    if measure in ("ssim", "ms_ssim", "pearson"):
        return f"{value:.4f}"
    return f"{value:.4g}"


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
