"""The numbers of a report as rows of cells: which figure stands where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from napari_srgan.image.units import PIXEL, ome_symbol
from napari_srgan.measure.frc import FRC
from napari_srgan.measure.stacks import BICUBIC
from napari_srgan.measure.table import MEASURES, Figure, Measure
from napari_srgan.tasks.report.content import Content
from napari_srgan.trust.consistency import percent

NONE = "–"


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
    if shown.trusted_percent is not None:
        text = f"{shown.trusted_percent:.1f} % of the pixels in {shown.label}"
        lines.append(_line("Trusted", text, shown.trusted_percent, shown.promise))
    if content.comparison is None:
        return lines
    name, whole = content.card.name, content.comparison.stack
    for measure in (MEASURES["psnr"], MEASURES["ssim"]):
        own, other = (whole[who].figures.get(measure.name) for who in (name, BICUBIC))
        if own is None:
            continue
        text = f"{measure.text(own)}, bicubic {measure.text(other)}"
        if gain := measure.difference(own, other, missing=""):
            text += f" ({gain})"
        lines.append(_line(measure.heading, text, own, _OVER[measure.name]))
    for number, direction in enumerate(("axial (Y)", "lateral (X)")):
        if shown.rings:
            curve, bicubic = (shown.rings[who][number] for who in (name, BICUBIC))
            text = f"{resolution(curve, shown.ring_unit)}; "
            text += f"bicubic {resolution(bicubic, shown.ring_unit)}"
            said = f"Of {shown.label}, by Fourier ring correlation with the reference."
            lines.append(_line(f"Detail, {direction}", text, curve.resolution, said))
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
    for name in comparison.settings.names:
        lines.append(_row(MEASURES[name], [w.figures[name] for w in whole]))
        if name == "psnr" and len(content.slices) > 1:
            lines.append(_row(MEASURES["psnr_mean"], [w.psnr_mean for w in whole]))
        if name == "psnr" and any(w.psnr_infinite for w in whole):
            counts = [str(w.psnr_infinite) for w in whole]
            cells = tuple(Cell(text=count, value=count) for count in counts)
            lines.append(Line(name=MEASURES["psnr_infinite"].heading, cells=cells))
    if shown.fits:
        fits = [shown.fits[who] for who in (BICUBIC, content.card.name)]
        for name, values in (("rse", [f.rse for f in fits]), ("rsp", [f.rsp for f in fits])):
            measure = MEASURES[name]
            note = measure.tip[0].lower() + measure.tip[1:]
            lines.append(_row(measure, values, f"{measure.label}, {shown.label}", note))
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
    names = () if comparison is None else comparison.settings.names
    heads = [MEASURES[name].heading for name in names]
    lines = []
    for label in content.slices:
        cells = []
        if content.residuals is not None:
            value = content.residuals.slices.get(label)
            cells.append(Cell(text=NONE if value is None else f"{value:.3g}", value=_exact(value)))
        for name in names:
            figures = content.figures[label]
            values = [figures[who].get(name) for who in (BICUBIC, content.card.name)]
            cells += _row(MEASURES[name], values).cells
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


def _row(
    measure: Measure, values: Sequence[Figure], name: str | None = None, note: str = ""
) -> Line:
    best = measure.best(values)
    cells = tuple(
        Cell(text=measure.text(v), value=_exact(v), best=best is not None and v == best)
        for v in values
    )
    return Line(name=name or measure.heading, note=note, cells=cells)


def _shift(shift: tuple[float, float]) -> str:
    if not all(map(math.isfinite, shift)):
        return NONE
    return ", ".join(f"{v:+.2f}" for v in shift)


def _exact(value: float | None) -> str:
    return "" if value is None else repr(float(value))
