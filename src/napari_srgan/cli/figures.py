"""How figures are told: as tables for people, lines of JSON for machines, and rows of CSV files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_srgan.cli.terminal import table
from napari_srgan.image.geometry import as_scale, scale_text
from napari_srgan.image.units import PIXEL, ome_symbol
from napari_srgan.measure.frc import HALF_ANGLE
from napari_srgan.measure.stacks import BICUBIC, rows
from napari_srgan.measure.table import LPIPS_MEASURES, MEASURES, PLANE_MEASURES, Measure

if TYPE_CHECKING:
    from napari_srgan.measure.protocols import Score, Summary
    from napari_srgan.tasks.compare import FilesCompared, RingRow
    from napari_srgan.tasks.evaluate import FileScore

Row = dict[str, Any]

_MOST_SLICES = 40  # in the table; CSV and JSON have all
_COLUMNS = (*PLANE_MEASURES, *LPIPS_MEASURES, "rse", "rsp")  # as far as they were taken
_NOT_DEFINED = "-"


def comparison_rows(compared: FilesCompared) -> list[Row]:
    """Return the rows of a comparison with the figures of error maps and ring correlation.

    Returns
    -------
    list of dict
        As `stacks.rows`; "rse", "rsp", "fit_gain", "fit_offset" and "fit_sigma" of planes, None
        where the reference is constant, the pooled "rse" and mean "rsp" of stacks, over the planes
        where they are defined, and their "frc_all", "frc_axial" and "frc_lateral" in "frc_unit".
    """
    found, fits, rings = compared.comparison, compared.fits, compared.rings
    laid = rows(found)
    stack_rows, plane_rows = laid[: len(found.stack)], laid[len(found.stack) :]
    by_plane = {(f.candidate, f.index): f for f in fits}
    for row, plane in zip(plane_rows, found.planes, strict=True):
        fit = by_plane.get((plane.candidate, plane.index))
        if fit is not None:
            row |= {"rse": fit.rse, "rsp": fit.rsp}
            # A fit to a constant reference says nothing of the candidate, as its error does not.
            fitted = (fit.gain, fit.offset, fit.sigma) if fit.rse is not None else (None,) * 3
            row |= dict(zip(("fit_gain", "fit_offset", "fit_sigma"), fitted, strict=True))
    for row in stack_rows:
        own = [f for f in fits if f.candidate == row["candidate"]]
        if own:
            for name, values in (("rse", [f.rse for f in own]), ("rsp", [f.rsp for f in own])):
                row[name] = MEASURES[name].of_stack(values, found.data_range)
        for ring in rings:
            if ring.candidate == row["candidate"]:
                row[f"frc_{ring.curve.direction}"] = ring.curve.resolution
                row |= {"frc_unit": ring.unit, "frc_threshold": ring.curve.threshold}
    return laid


def comparison_lines(compared: FilesCompared, laid: Sequence[Row]) -> list[Row]:
    """Return what is printed for machines: the rows, curves, and last the notes.

    Numbers that JSON lacks become null: an infinite PSNR, whose "mse" is 0, and what is not
    defined.
    """
    lines = [{key: _finite(value) for key, value in row.items()} for row in laid]
    for ring in compared.rings:
        curve = ring.curve
        lines.append(
            {
                "candidate": ring.candidate,
                "frc": curve.direction,
                "threshold": curve.threshold,
                "resolution": curve.resolution,
                "outcome": curve.outcome,
                "unit": ring.unit,
                "frequency": curve.frequency.tolist(),
                "correlation": curve.correlation.tolist(),
                "smoothed": curve.smoothed.tolist(),
                "samples": curve.samples.tolist(),
            }
        )
    return [*lines, {"notes": list(compared.comparison.notes)}]


def comparison_text(compared: FilesCompared, laid: Sequence[Row]) -> str:
    """Return the head line, the tables and the notes of a comparison for people."""
    found, rings = compared.comparison, compared.rings
    settings = found.settings
    slices = next(iter(found.stack.values())).planes
    head = (
        f"reference {found.reference}, {slices} slice{'s' * (slices != 1)}; "
        f"data range {found.data_range:.6g}; mode {settings.mode}; border {settings.border} px"
    )
    stack_rows, plane_rows = laid[: len(found.stack)], laid[len(found.stack) :]
    parts = [head, _stack_table(stack_rows, slices)]
    if slices > 1:
        parts.append(_slice_table(plane_rows, list(found.stack)))
    if rings:
        parts.append(_ring_table(rings))
    if found.notes:
        parts.append("\n".join(found.notes))
    return "\n\n".join(parts)


def evaluation_row(measured: FileScore, protocol: str) -> dict[str, Any]:
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


def evaluation_mean(overall: Summary, failed: int) -> dict[str, Any]:
    """Return the means over files, for JSON."""
    return {"mean": _figures(overall, "images"), "failed": failed}


def evaluation_text(files: Sequence[FileScore], overall: Summary, protocol: str) -> str:
    """Return the head line, the table of an evaluation, and what its mean is without."""
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


def _stack_table(stack_rows: Sequence[Row], slices: int) -> str:
    measures = [m for m in _COLUMNS if m in stack_rows[0]]
    bicubic = next((r.get("psnr") for r in stack_rows if r["candidate"] == BICUBIC), None)
    gains = bicubic is not None and len(stack_rows) > 1
    head = ["candidate"]
    for measure in measures:
        head.append(MEASURES[measure].heading)
        if measure == "psnr":
            head += ["gain"] * gains + ["slice mean", "identical"] * (slices > 1)
    lines = [[*head, "shift Y", "shift X", "enlarged"]]
    for row in stack_rows:
        cells = [row["candidate"]]
        for measure in measures:
            cells.append(_cell(measure, row[measure]))
            if measure == "psnr":
                cells += [_gain(row, bicubic)] * gains
                if slices > 1:
                    cells += [_cell("psnr", row["psnr_mean"]), str(row["psnr_infinite"])]
        cells += [_pixels(row["shift_y"]), _pixels(row["shift_x"])]
        enlarged = as_scale(row["enlarged"])
        lines.append([*cells, "no" if enlarged == (1, 1) else scale_text(enlarged)])
    return _right(lines)


def _slice_table(plane_rows: Sequence[Row], names: Sequence[str]) -> str:
    shown = [m for m in ("psnr", "ssim") if m in plane_rows[0]] or [
        m for m in _COLUMNS if m in plane_rows[0]
    ][:2]
    lines = [["slice", *(f"{MEASURES[m].heading} {name}" for name in names for m in shown)]]
    by_slice: dict[str, list[str]] = {}
    for row in plane_rows:
        by_slice.setdefault(row["slice"], []).extend(_cell(m, row[m]) for m in shown)
    lines += [[label, *cells] for label, cells in by_slice.items()]
    listed = _right(lines[: _MOST_SLICES + 1])
    if len(by_slice) > _MOST_SLICES:
        listed += f"\n... {len(by_slice) - _MOST_SLICES} slices more; --csv FILE keeps them all."
    return listed


def _ring_table(rings: Sequence[RingRow]) -> str:
    unit = "px" if rings[0].unit == PIXEL else ome_symbol(rings[0].unit)
    threshold = rings[0].curve.threshold
    by_name: dict[str, list[str]] = {}
    for ring in rings:
        curve = ring.curve
        finest = 1 / float(curve.frequency[-1])
        what = {
            "crossing": f"{curve.resolution or 0:#.3g} {unit}",
            "above": f"no crossing down to {finest:#.3g} {unit}",
            "below": "no crossing: below from the first ring",
            "undefined": "not defined (constant image)",
        }[curve.outcome]
        by_name.setdefault(ring.candidate, []).append(what)
    lines = [["resolution by FRC", "all", "Y (axial)", "X (lateral)"]]
    lines += [[name, *cells] for name, cells in by_name.items()]
    return (
        f"{table(lines)}\nFourier ring correlation with the reference in {rings[0].where}, "
        f"threshold {threshold:.4g}; axial and lateral within {HALF_ANGLE:g} degrees of Y and X."
    )


def _cell(measure: str, value: float | None) -> str:
    return MEASURES[measure].text(value, missing=_NOT_DEFINED, infinite="identical")


def _gain(row: Row, bicubic: float | None) -> str:
    if row["candidate"] == BICUBIC or bicubic is None:
        return ""
    return MEASURES["psnr"].difference(row["psnr"], bicubic, missing=_NOT_DEFINED)


def _pixels(value: float) -> str:
    return f"{value:+.2f}" if math.isfinite(value) else _NOT_DEFINED


def _right(lines: Sequence[Sequence[str]]) -> str:
    """Lay out a table with all but the first column to the right; words are among the numbers."""
    columns = list(zip(*lines, strict=True))
    padded = [
        column if number == 0 else [cell.rjust(max(map(len, column))) for cell in column]
        for number, column in enumerate(columns)
    ]
    return table(list(zip(*padded, strict=True)))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
