"""What `evaluate` tells: a table for people, JSON lines for machines, and a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_srgan.cli.evaluate_image import FileScore
from napari_srgan.cli.terminal import table
from napari_srgan.io.atomic import whole_file
from napari_srgan.measure.scores import Score, Summary


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
    layers = list(overall.mean.model.vgg) if overall.mean else []
    head = ["image", "PSNR (dB)", "bicubic", "gain", "SSIM", "bicubic"]
    for layer in layers:
        head += [layer.upper(), "bicubic"]
    rows = [head]
    rows += [_cells(f.name, f.summary.mean, len(head)) for f in files]
    if overall.mean is not None:
        count = f"{overall.images} image{'s' * (overall.images != 1)}"
        rows.append(_cells(f"mean of {count}", overall.mean, len(head)))
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


def _cells(name: str, mean: Score | None, count: int) -> list[str]:
    if mean is None:
        return [f"{name} (left out)"] + [""] * (count - 1)
    model, bicubic = mean.model, mean.bicubic
    gain = model.psnr - bicubic.psnr
    cells = [name, f"{model.psnr:.2f}", f"{bicubic.psnr:.2f}", f"{gain:+.2f}"]
    cells += [f"{model.ssim:.4f}", f"{bicubic.ssim:.4f}"]
    for layer, distance in model.vgg.items():
        # Distances are of any size: it depends on how the weights are normalised.
        pair = distance, bicubic.vgg[layer]
        cells += [f"{d:.0f}" if d >= 1000 else f"{d:.4f}" for d in pair]
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
