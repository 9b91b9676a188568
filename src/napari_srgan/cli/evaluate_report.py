"""What `evaluate` tells: a table for people, JSON lines for machines, and a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_srgan.cli.evaluate_image import FileScore
from napari_srgan.cli.terminal import table
from napari_srgan.io.atomic import whole_file
from napari_srgan.measure.protocols import Score, Summary
from napari_srgan.measure.table import MEASURES, Measure


def file_row(measured: FileScore, protocol: str) -> dict[str, Any]:
    """Return the facts and figures of one file, for JSON and CSV."""
    row: dict[str, Any] = {
        "image": measured.name,
        "protocol": protocol,
        **measured.degradation,
        "model": measured.model,
        "intensity": measured.intensity.mode,
        "intensity_lo": list(measured.intensity.lo),
        "intensity_hi": list(measured.intensity.hi),
        "transform": measured.intensity.transform,
    }
    return row | _figures(measured.summary, "planes")


def mean_row(overall: Summary, failed: int) -> dict[str, Any]:
    """Return the means over files, for JSON."""
    return {"mean": _figures(overall, "images"), "failed": failed}


def text(files: Sequence[FileScore], overall: Summary, protocol: str) -> str:
    """Return the head line, the table, and a sentence on what the mean is without."""
    measures = _shown(overall.mean)
    head = ["image"]
    for measure in measures:
        head += [measure.heading if measure.unit else measure.label, "bicubic"]
        head += ["gain"] * (measure.name == "psnr")
    rows = [head]
    rows += [_cells(f.name, f.summary.mean, measures) for f in files]
    if overall.mean is not None:
        count = f"{overall.images} image{'s' * (overall.images != 1)}"
        rows.append(_cells(f"mean of {count}", overall.mean, measures))
    lines = [_head_line(files, protocol), "", table(rows)]
    if overall.left_out:
        lines.append(
            f"\nLeft out of the mean, because constant or restored exactly: {overall.left_out}."
        )
    return "\n".join(lines)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of files, under the union of their columns; the file appears when complete."""
    columns = dict.fromkeys(key for row in rows for key in row)
    with (
        whole_file(path) as partial,
        # File names on Linux need not be UTF-8.
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.DictWriter(stream, list(columns), restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: _flat(v) for k, v in row.items()})


def _figures(found: Summary, what: str) -> dict[str, Any]:
    figures = found.mean.row() if found.mean is not None else {}
    return {what: found.images, "left_out": found.left_out, **figures}


def _shown(mean: Score | None) -> list[Measure]:
    """Choose the columns: PSNR, SSIM, and the distances of feature maps that were taken."""
    distances = () if mean is None else (n for n in mean.model if MEASURES[n].take is None)
    return [MEASURES[name] for name in ("psnr", "ssim", *distances)]


def _cells(name: str, mean: Score | None, measures: Sequence[Measure]) -> list[str]:
    if mean is None:
        return [f"{name} (left out)"] + [""] * (2 * len(measures) + 1)
    cells = [name]
    for measure in measures:
        pair = mean.model[measure.name], mean.bicubic[measure.name]
        cells += [measure.text(value) for value in pair]
        if measure.name == "psnr":
            cells.append(measure.difference(*pair))
    return cells


def _head_line(files: Sequence[FileScore], protocol: str) -> str:
    models = dict.fromkeys(f.model for f in files)
    degradations = dict.fromkeys(_described(f.degradation) for f in files)
    if protocol == "paper":
        how = "8 bits, range 255, RGB on its Y channel, a border of the scale's width cut"
        made = "MATLAB's bicubic"
    else:
        transforms = dict.fromkeys(f.intensity.transform for f in files)
        before = "".join(f" after {t}" for t in transforms if t != "none")
        modes = ", ".join(dict.fromkeys(f.intensity.mode for f in files))
        how = f"range 1 is the intensity {modes} of each file{before}"
        made = " / ".join(degradations)
    return f"protocol {protocol} ({how}); degradation {made}; model {', '.join(models)}"


def _described(operator: Mapping[str, Any]) -> str:
    ranges = ", ".join(
        f"{key} {value[0]:g} to {value[1]:g}"
        for key, value in operator.items()
        if key != "degradation"
    )
    return f"{operator['degradation']} ({ranges})" if ranges else str(operator["degradation"])


def _flat(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
