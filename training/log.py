"""The log of a run, metrics.csv: its columns, and reading it. Nothing heavy is imported."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_srgan.io.tables import plain

CSV_NAME = "metrics.csv"
STEP = (
    "step", "phase", "seconds", "learning_rate", "steps_per_second", "device_share", "generator",
    "pixel", "content", "adversarial", "tv", "grid", "gradient", "frequency", "structure",
    "discriminator", "real", "fake", "skipped",
)  # fmt: skip
"""Of a line about steps."""
VALIDATION = (
    "set", "images", "psnr", "psnr_bicubic", "ssim", "ssim_bicubic", "ms_ssim", "ms_ssim_bicubic",
    "mse", "mse_bicubic", "mae", "mae_bicubic", "vgg22", "vgg22_bicubic", "vgg54", "vgg54_bicubic",
    "lpips_alex", "lpips_alex_bicubic", "lpips_vgg", "lpips_vgg_bicubic",
)  # fmt: skip
"""Of a line about the validation of a set."""
LOWER_IS_BETTER = ("mse", "mae")
COLUMNS = STEP + VALIDATION


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics.csv that are whole: a kill may have cut the last one short."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        try:
            reader = csv.DictReader(file)
            # A log that an earlier version began has no LPIPS.
            later = {key: "" for key in COLUMNS if key.startswith("lpips")}
            rows = [row for row in (later | row for row in reader) if _is_whole(row)]
        except csv.Error:
            return []
    # A former version had fewer columns.
    return [{key: plain(row.get(key, "")) for key in COLUMNS} for row in rows]


def _is_whole(row: Mapping[str | None, Any]) -> bool:
    known = row.keys() <= set(COLUMNS) and row.keys() >= {"step", "set"}
    if not known or None in row.values() or not row["step"].isdecimal():
        return False
    try:
        for key in row.keys() - {"phase", "set"}:
            float(row[key] or 0)
    except ValueError:
        return False
    return True


def scores_by(rows: Iterable[Mapping[str, Any]], measure: str) -> dict[int, float]:
    """Return how much better than bicubic a run was, by step: the mean over its sets.

    Parameters
    ----------
    rows : iterable of mapping
        Lines about validations; what a run started from (step 0) does not count.
    measure : str
        Of `recipe.BEST_BY`; more is better in what is returned, whichever it is.
    """
    sign = -1.0 if measure in LOWER_IS_BETTER else 1.0
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if row["set"] and int(row["step"]) and row[measure] not in ("", None):
            gain = float(row[measure]) - float(row[f"{measure}_bicubic"])
            found[int(row["step"])].append(sign * gain)
    return {step: sum(gains) / len(gains) for step, gains in sorted(found.items())}


def duration(seconds: float) -> str:
    """Say a time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
