"""What `compare` tells: tables for people, JSON lines for machines, and rows of a CSV file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from napari_srgan.cli.compare_maps import FittedPlane, RingRow
from napari_srgan.cli.terminal import table
from napari_srgan.image.geometry import as_scale, scale_text
from napari_srgan.image.units import PIXEL, ome_symbol
from napari_srgan.measure.frc import HALF_ANGLE
from napari_srgan.measure.stacks import BICUBIC, Comparison, rows
from napari_srgan.measure.table import MEASURES, PLANE_MEASURES

Row = dict[str, Any]

_MOST_SLICES = 40  # in the table; CSV and JSON have all
_COLUMNS = (*PLANE_MEASURES, "rse", "rsp")  # as far as they were taken
_NOT_DEFINED = "-"


def all_rows(found: Comparison, fits: Sequence[FittedPlane], rings: Sequence[RingRow]) -> list[Row]:
    """Return the rows of a comparison with the figures of error maps and ring correlation.

    Parameters
    ----------
    found : Comparison
    fits : sequence of FittedPlane
        Of all planes that were compared, or none.
    rings : sequence of RingRow

    Returns
    -------
    list of dict
        As `comparison.rows`; "rse", "rsp", "fit_gain", "fit_offset" and "fit_sigma" of planes, None
        where the reference is constant, the pooled "rse" and mean "rsp" of stacks, over the planes
        where they are defined, and their "frc_all", "frc_axial" and "frc_lateral" in "frc_unit".
    """
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


def map_notes(fits: Sequence[FittedPlane]) -> tuple[str, ...]:
    """Say where error maps are not defined, in the words of the comparison's own notes."""
    planes = {f.index for f in fits}
    without = {f.index for f in fits if f.rse is None}
    if not without:
        return ()
    where = "everywhere" if without == planes else f"in {len(without)} of {len(planes)} slices"
    return (f"RSE and RSP against a constant reference are not defined; left out {where}.",)


def json_rows(found: Comparison, laid: Sequence[Row], rings: Sequence[RingRow]) -> list[Row]:
    """Return what is printed for machines: the rows, curves, and last the notes.

    Numbers that JSON lacks become null: an infinite PSNR, whose "mse" is 0, and what is not
    defined.
    """
    lines = [{key: _finite(value) for key, value in row.items()} for row in laid]
    for ring in rings:
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
    return [*lines, {"notes": list(found.notes)}]


def text(found: Comparison, laid: Sequence[Row], rings: Sequence[RingRow]) -> str:
    """Return the head line, the tables and the notes for people."""
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
