"""Curves in a panel: a measure over the slices, or a correlation over frequency.

Painted with Qt itself: matplotlib takes 2.7 s to import and 0.1 s a drawing (measured on two busy
cores), and the window may not be blocked longer than that; and Qt knows the colours and the font of
napari's theme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFontMetricsF, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

# Okabe and Ito's colours, told apart by the colour-blind, and readable on dark and on light.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2")
GRAY = "#909090"
_TICK = 4.0


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes
    ----------
    name : str
        In the legend.
    x, y : sequence of float
        The points; where y is not finite the curve has a gap.
    dashed : bool
        Gray and dashed, for what the others are measured against.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


class CurvePlot(QWidget):
    """Curves with axes and a legend.

    Signals
    -------
    clicked(float)
        Where along x the user clicked.
    """

    clicked = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.curves: tuple[Curve, ...] = ()
        self.marked: float | None = None
        self.level: float | None = None
        self._labels = ("", "")
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def show_curves(
        self,
        curves: Sequence[Curve],
        *,
        x_label: str,
        y_label: str,
        level: float | None = None,
    ) -> None:
        """Show curves.

        Parameters
        ----------
        curves : sequence of Curve
        x_label, y_label : str
            Under the axis, and above it.
        level : float, optional
            A threshold, drawn across.
        """
        self.curves, self._labels, self.level = tuple(curves), (x_label, y_label), level
        self.setToolTip("Click to go to that slice" if self.marked is not None else "")
        self.updateGeometry()
        self.update()

    def mark(self, x: float | None) -> None:
        """Mark a place along x with a line; None takes it away."""
        if x != self.marked:
            self.marked = x
            self.update()

    def sizeHint(self) -> QSize:
        """High enough for the curves and a line of legend for each."""
        return QSize(280, 150 + round(len(self.curves) * QFontMetricsF(self.font()).height()))

    def minimumSizeHint(self) -> QSize:
        """As wide as a narrow dock."""
        return QSize(200, self.sizeHint().height())

    # --- places -----------------------------------------------------------------------------

    def x_at(self, x: float) -> float:
        """Pixel, from the left edge of the widget, of a place along x."""
        area, (low, high) = self._area(), self._x_range()
        return area.left() + (x - low) / (high - low) * area.width()

    def _from_pixel(self, pixel: float) -> float:
        area, (low, high) = self._area(), self._x_range()
        return low + (pixel - area.left()) / area.width() * (high - low)

    def _area(self) -> QRectF:
        metrics = QFontMetricsF(self.font())
        line = metrics.height()
        left = metrics.horizontalAdvance("0.0000 ") + _TICK
        top, bottom = line * 1.3, line * (2.4 + len(self.curves))
        size = self.size()
        return QRectF(
            left, top, max(size.width() - left - 10, 10), max(size.height() - top - bottom, 10)
        )

    def _x_range(self) -> tuple[float, float]:
        low, high = _extent([c.x for c in self.curves])
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    def _y_range(self) -> tuple[float, float]:
        rows = [c.y for c in self.curves]
        if self.level is not None:
            rows.append([self.level])
        low, high = _extent(rows)
        room = 0.06 * (high - low) or max(abs(high) * 0.01, 1e-6)
        return low - room, high + room

    # --- events -----------------------------------------------------------------------------

    def mousePressEvent(self, event: object) -> None:
        """Tell where along x the click was."""
        at = event.position()  # type: ignore[attr-defined]
        area = self._area().adjusted(-6, 0, 6, 30)
        if self.curves and area.contains(at):
            low, high = self._x_range()
            self.clicked.emit(min(max(self._from_pixel(at.x()), low), high))

    def paintEvent(self, event: object) -> None:
        """Draw everything."""
        if not self.curves:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        faint = QColor(text)
        faint.setAlphaF(0.25)
        area, y_range = self._area(), self._y_range()
        self._draw_axes(painter, area, y_range, text, faint)
        painter.setClipRect(area.adjusted(-4, -4, 4, 4))
        if self.level is not None:
            y = _pixel(self.level, y_range, area)
            painter.setPen(QPen(text, 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        if self.marked is not None:
            x = self.x_at(self.marked)
            painter.setPen(QPen(text, 1.5))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        for curve, pen in zip(self.curves, self._pens(), strict=True):
            self._draw_curve(painter, curve, pen, area, y_range)
        painter.setClipping(False)
        self._draw_legend(painter, area, text)
        painter.end()

    def _pens(self) -> list[QPen]:
        colours = iter(COLOURS * (1 + len(self.curves) // len(COLOURS)))
        return [
            QPen(QColor(GRAY), 1.5, Qt.PenStyle.DashLine)
            if c.dashed
            else QPen(QColor(next(colours)), 1.8)
            for c in self.curves
        ]

    def _draw_axes(
        self,
        painter: QPainter,
        area: QRectF,
        y_range: tuple[float, float],
        text: QColor,
        faint: QColor,
    ) -> None:
        line = QFontMetricsF(self.font()).height()
        for value in ticks(*y_range, most=max(2, int(area.height() / (2.2 * line)))):
            y = _pixel(value, y_range, area)
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(text)
            box = QRectF(0, y - line / 2, area.left() - _TICK, line)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight, f"{value:.6g}")
        for value in ticks(*self._x_range(), most=max(2, int(area.width() / 55))):
            x = self.x_at(value)
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + _TICK))
            painter.setPen(text)
            box = QRectF(x - 40, area.bottom() + _TICK, 80, line)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, f"{value:.6g}")
        painter.drawText(QRectF(0, 0, self.width(), line), 0, self._labels[1])
        box = QRectF(area.left(), area.bottom() + _TICK + line, area.width(), line)
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, self._labels[0])

    def _draw_curve(
        self,
        painter: QPainter,
        curve: Curve,
        pen: QPen,
        area: QRectF,
        y_range: tuple[float, float],
    ) -> None:
        painter.setPen(pen)
        run: list[QPointF] = []
        points = list(zip(curve.x, curve.y, strict=True))
        for x, y in [*points, (0.0, math.nan)]:
            if math.isfinite(y):
                run.append(QPointF(self.x_at(x), _pixel(y, y_range, area)))
                continue
            if len(run) > 1:
                painter.drawPolyline(QPolygonF(run))
            elif run:  # a point with no neighbours is no line
                painter.drawEllipse(run[0], 2.0, 2.0)
            run = []

    def _draw_legend(self, painter: QPainter, area: QRectF, text: QColor) -> None:
        metrics = QFontMetricsF(self.font())
        line = metrics.height()
        y = area.bottom() + _TICK + 2 * line
        for curve, pen in zip(self.curves, self._pens(), strict=True):
            y += line
            painter.setPen(pen)
            painter.drawLine(QPointF(8, y - line / 2), QPointF(30, y - line / 2))
            painter.setPen(text)
            room = self.width() - 46
            name = metrics.elidedText(curve.name, Qt.TextElideMode.ElideMiddle, room)
            painter.drawText(QRectF(36, y - line, room, line), 0, name)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values within a range, at most about `most` of them, 1, 2 or 5 times 10^n apart."""
    raw = (high - low) / max(most, 1)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(s * size for s in (1, 2, 5, 10) if s * size >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _extent(rows: Sequence[Sequence[float]]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(row, dtype=float) for row in rows])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _pixel(value: float, span: tuple[float, float], area: QRectF) -> float:
    return area.bottom() - (value - span[0]) / (span[1] - span[0]) * area.height()
