"""Curves as SVG that stands in the page: measures over slices, and ring correlation.

Drawn with matplotlib's Figure alone, without pyplot and its state, so that it may happen in any
thread. Ink is `currentColor`, so that it follows the page into dark and print.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from napari_srgan.measure.frc import FRC

_INK = "#010203"  # stands for currentColor until the SVG is written
_COLOURS = ("#8a8f98", "#2f7fd1", "#d1662f")  # bicubic first; they read on white and on black
_SIZE = (5.2, 2.9)  # inches


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a plot: `y` may hold NaN, where there is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot in the page.

    Attributes
    ----------
    title : str
        Also what screen readers say.
    svg : str
        To be put into HTML as it is.
    """

    title: str
    svg: str


def slice_plot(
    title: str, curves: Sequence[Curve], x_label: str, y_label: str, from_zero: bool = False
) -> Plot:
    """Draw a measure over the slices.

    Parameters
    ----------
    title : str
    curves : sequence of Curve
        x: positions of the slices. One curve has the colour of the model.
    x_label, y_label : str
    from_zero : bool
        Let the vertical axis begin at 0, so that small changes look small.
    """
    figure, axes = _axes(x_label, y_label)
    colours = _COLOURS if len(curves) > 1 else _COLOURS[1:]
    for curve, colour in zip(curves, colours, strict=False):
        axes.plot(
            curve.x,
            curve.y,
            color=colour,
            label=curve.name,
            marker="o" if len(curve.x) <= 60 else "",
            markersize=3.5,
            linewidth=1.6,
        )
    axes.locator_params(axis="x", integer=True)
    if from_zero:
        axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
    if len(curves) > 1:
        _legend(axes)
    return Plot(title=title, svg=_svg(figure, title))


def ring_plot(title: str, curves: Mapping[str, FRC], unit: str) -> Plot:
    """Draw the Fourier ring correlation of several images in one direction.

    Parameters
    ----------
    title : str
    curves : mapping of name to FRC
        The measured values are points, the running median that is compared with the threshold
        a line; where it crosses, the resolution is marked.
    unit : str
        Of the resolution, as it is shown.
    """
    figure, axes = _axes(f"spatial frequency (cycles / {unit})", "correlation")
    for (name, curve), colour in zip(curves.items(), _COLOURS, strict=False):
        axes.plot(curve.frequency, curve.correlation, ".", color=colour, markersize=2, alpha=0.5)
        axes.plot(curve.frequency, curve.smoothed, color=colour, label=name, linewidth=1.6)
        if curve.resolution is not None:
            axes.plot(
                [1 / curve.resolution],
                [curve.threshold],
                "o",
                color=colour,
                markersize=6,
                markerfacecolor="none",
            )
    threshold = next(iter(curves.values())).threshold
    axes.axhline(threshold, color=_INK, linewidth=0.8, linestyle="--", alpha=0.7)
    axes.set_ylim(min(-0.1, axes.get_ylim()[0]), 1.05)
    axes.set_xlim(left=0)
    _legend(axes)
    return Plot(title=title, svg=_svg(figure, title))


def _axes(x_label: str, y_label: str) -> tuple[Any, Any]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_xlabel(x_label, color=_INK, fontsize=9)
    axes.set_ylabel(y_label, color=_INK, fontsize=9)
    axes.tick_params(colors=_INK, labelsize=8, width=0.6)
    axes.grid(color=_INK, alpha=0.12, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_color(_INK)
        spine.set_linewidth(0.6)
        spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def _legend(axes: Any) -> None:
    axes.legend(frameon=False, labelcolor=_INK, fontsize=8)


def _svg(figure: Any, title: str) -> str:
    """Write a figure as an element of HTML, with names of its own and without metadata."""
    buffer = io.BytesIO()
    for label in figure.findobj(Text):
        label.set_parse_math(False)  # a name with dollars is no formula
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    own = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    text = re.sub(r'\bid="', f'id="{own}-', text)
    text = re.sub(r'href="#', f'href="#{own}-', text)
    text = re.sub(r"url\(#", f"url(#{own}-", text)
    # Its size is the page's business; its names of namespaces mean nothing in HTML.
    text = re.sub(r'<svg\b[^>]*?\bviewBox="([^"]*)"[^>]*>', _opening, text, count=1)
    return text.replace(_INK, "currentColor")


def _opening(found: re.Match[str]) -> str:
    return (
        f'<svg viewBox="{found[1]}" aria-hidden="true" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )


def gap(value: float | None) -> float:
    """Turn what is not defined or infinite into a gap of a curve."""
    return math.nan if value is None or not math.isfinite(value) else value
