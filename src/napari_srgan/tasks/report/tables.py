"""The numbers of a report as rows of cells.

What belongs here: which figure stands where, and with how many digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_srgan.image.units import PIXEL, ome_symbol
from napari_srgan.measure.comparison import BICUBIC
from napari_srgan.measure.frc import FRC
from napari_srgan.tasks.report.content import Content
from napari_srgan.trust.consistency import percent

HEADS = {
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "pearson": "Pearson",
}
NONE = "–"
_HIGHER = ("psnr", "ssim", "ms_ssim", "pearson", "psnr_mean", "rsp")
_FINE = ("ssim", "ms_ssim", "pearson", "rsp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A figure in a table.

    Attributes
    ----------
    text : str
    value : str
        The same with all its digits, for programs; "" for what is not defined.
    best : bool
        Whether it is the best of its row.
    """

    text: str
    value: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row: what it is called, what that means, and its cells."""

    name: str
    note: str = ""
    cells: tuple[Cell, ...] = ()


def figure(measure: str, value: float | None) -> str:
    """Write a figure with as many digits as it is read with."""
    if value is None or math.isnan(value):
        return NONE
    if measure.startswith("psnr"):
        return "∞" if math.isinf(value) else f"{value:.2f}"
    return f"{value:.4f}" if measure in _FINE else f"{value:#.4g}".rstrip(".")


def glance(content: Content) -> list[Line]:
    """Sum the report up in a few rows: name, figure, what it says."""
    lines, shown = [], content.shown
    if content.residuals is not None and content.residuals.percent is not None:
        found = content.residuals
        text = f"RMSE {percent(content.residuals.percent)} of the intensity range"
        if found.before is not None:
            text += f" after back-projection, {percent(found.before)} before"
        title = found.title.capitalize()
        lines.append(_line(title, text, found.percent, _said(found.legend, title)))
    if shown.invention_percent is not None:
        lines.append(
            _line(
                "Invention",
                f"RMS {percent(shown.invention_percent)} of the range in {shown.label}",
                shown.invention_percent,
                "Detail that the fidelity model does not show and the measurement cannot see.",
            )
        )
    if content.comparison is None:
        return lines
    name, whole = content.card.name, content.comparison.stack
    for measure in ("psnr", "ssim"):
        values = [_stack_value(whole[who], measure) for who in (name, BICUBIC)]
        if values[0] is None:
            continue
        text = f"{figure(measure, values[0])}, bicubic {figure(measure, values[1])}"
        if all(v is not None and math.isfinite(v) for v in values):
            gain = values[0] - values[1]  # type: ignore[operator]
            text += f" ({gain:+.2f})" if measure == "psnr" else f" ({gain:+.4f})"
        lines.append(_line(HEADS[measure], text, values[0], _OVER[measure]))
    for number, direction in enumerate(("axial (Y)", "lateral (X)")):
        if shown.rings:
            own, other = (shown.rings[who][number] for who in (name, BICUBIC))
            text = f"{resolution(own, shown.ring_unit)}; "
            text += f"bicubic {resolution(other, shown.ring_unit)}"
            said = f"Of {shown.label}, by Fourier ring correlation with the reference."
            lines.append(_line(f"Detail, {direction}", text, own.resolution, said))
    return lines


_OVER = {
    "psnr": "Against the reference, from the mean squared error over all slices.",
    "ssim": "Against the reference, mean over all slices.",
}


def stack_table(content: Content) -> list[Line]:
    """Lay out all measures of the whole stack, bicubic first and then the model."""
    comparison, shown = content.comparison, content.shown
    assert comparison is not None
    whole = [comparison.stack[who] for who in (BICUBIC, content.card.name)]
    lines = []
    for measure in comparison.settings.measures:
        values = [_stack_value(w, measure) for w in whole]
        lines.append(_figures(HEADS[measure], measure, values))
        if measure == "psnr" and len(content.slices) > 1:
            lines.append(
                _figures("PSNR, mean of slices (dB)", "psnr_mean", [w.mean_psnr for w in whole])
            )
        if measure == "psnr" and any(w.infinite for w in whole):
            counts = [Cell(text=str(w.infinite), value=str(w.infinite)) for w in whole]
            lines.append(Line(name="Slices that equal the reference", cells=tuple(counts)))
    names = (BICUBIC, content.card.name)
    if shown.fits:
        errors = [shown.fits[who].rse for who in names]
        of = shown.label
        lines.append(_figures(f"RSE, {of}", "rse", errors, "resolution-scaled error (SQUIRREL)"))
        lines.append(
            _figures(
                f"RSP, {of}",
                "rsp",
                [shown.fits[who].rsp for who in names],
                "resolution-scaled Pearson coefficient",
            )
        )
    shifts = tuple(Cell(text=_shift(w.shift)) for w in whole)
    lines.append(Line(name="Estimated shift Y, X (px)", cells=shifts))
    return lines


def slice_table(content: Content) -> tuple[list[str], list[Line]]:
    """Lay out every slice: consistency, and all measures of bicubic and the model.

    Returns
    -------
    heads : list of str
        Measures, each with one column for bicubic and one for the model; consistency is apart.
    lines : list of Line
        The first cell is the consistency where there is one.
    """
    comparison = content.comparison
    heads = [] if comparison is None else [HEADS[m] for m in comparison.settings.measures]
    lines = []
    for label in content.slices:
        cells = []
        if content.residuals is not None:
            value = content.residuals.slices.get(label)
            cells.append(Cell(text=NONE if value is None else f"{value:.3g}", value=_exact(value)))
        for measure in () if comparison is None else comparison.settings.measures:
            figures = content.figures[label]
            found = [figures[who].get(measure) for who in (BICUBIC, content.card.name)]
            cells += _figures("", measure, found).cells
        lines.append(Line(name=label or "all", cells=tuple(cells)))
    return heads, lines


def ring_table(content: Content) -> list[Line]:
    """Say the resolution by Fourier ring correlation of bicubic and the model."""
    shown = content.shown
    return [
        Line(
            name=who,
            cells=tuple(
                Cell(text=resolution(curve, shown.ring_unit), value=_exact(curve.resolution))
                for curve in shown.rings[who]
            ),
        )
        for who in (BICUBIC, content.card.name)
        if shown.rings
    ]


def resolution(curve: FRC, unit: str) -> str:
    """Say in words what a ring correlation found."""
    symbol = unit_text(unit)
    finest = 1 / float(curve.frequency[-1])
    return {
        "crossing": f"{curve.resolution or 0:#.3g} {symbol}",
        "above": f"no crossing down to {finest:#.3g} {symbol}",
        "below": "no crossing (below the threshold from the first ring)",
        "undefined": "not defined (constant image)",
    }[curve.outcome]


def unit_text(unit: str) -> str:
    """Spell a unit of length for people."""
    return "px" if unit == PIXEL else ome_symbol(unit)


def _line(name: str, text: str, value: float | None, note: str) -> Line:
    return Line(name=name, note=note, cells=(Cell(text=text, value=_exact(value)),))


def _said(legend: str, title: str) -> str:
    head, colon, rest = legend.partition(": ")
    return rest[:1].upper() + rest[1:] if colon and head.lower() == title.lower() else legend


def _stack_value(whole: Any, measure: str) -> float | None:
    value: float | None = whole.psnr if measure == "psnr" else whole.figures[measure]
    return value


def _figures(name: str, measure: str, values: Sequence[float | None], note: str = "") -> Line:
    known = [v for v in values if v is not None and not math.isnan(v)]
    best = (max if measure in _HIGHER else min)(known) if len(set(known)) > 1 else None
    cells = tuple(
        Cell(text=figure(measure, v), value=_exact(v), best=best is not None and v == best)
        for v in values
    )
    return Line(name=name, note=note, cells=cells)


def _shift(shift: tuple[float, float]) -> str:
    if not all(map(math.isfinite, shift)):
        return NONE
    return ", ".join(f"{v:+.2f}" for v in shift)


def _exact(value: float | None) -> str:
    return "" if value is None else repr(float(value))
