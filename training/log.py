"""The log of a run, metrics.csv: its columns, and reading it. Nothing heavy is imported."""

from __future__ import annotations

import csv
from collections.abc import Mapping
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


def duration(seconds: float) -> str:
    """Say a time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
