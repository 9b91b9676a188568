"""The figures of Compare: which are taken and how, their rows, and the table of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QBrush, QColor, QFontMetrics, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QLineEdit,
    QMenu,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QWidget,
)
from qtpy.QtWidgets import QTableWidgetItem as Item

from napari_srgan._gui.parts.widgets import DropDown, Form
from napari_srgan.errors import InputError
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.table import MEASURES, PLANE_MEASURES, Figure

WHOLE = "all"
"""What stands for the slices in a row of the whole stack."""
DEFAULT = ("psnr", "ssim")
_MOST = 8  # rows that are seen without scrolling
_STALE = "#8c8c8c"


# --- which figures, and how --------------------------------------------------------------------


class MeasureMenu(QPushButton):
    """A button with a list of the measures to show."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setText("Measures")
        self.setToolTip("Which measures are taken and shown")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.boxes = {}
        for name in PLANE_MEASURES:
            action = menu.addAction(MEASURES[name].label)
            action.setToolTip(MEASURES[name].tip)
            action.setCheckable(True)
            action.setChecked(name in DEFAULT)
            action.toggled.connect(self._on_toggle)
            self.boxes[name] = action
        self.setMenu(menu)

    def value(self) -> tuple[str, ...]:
        """The ticked measures; one at least."""
        return tuple(name for name, box in self.boxes.items() if box.isChecked()) or ("psnr",)

    def _on_toggle(self, on: bool) -> None:
        self.changed.emit()


class MeasureSettings(QWidget):
    """Mode, border and data range."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = DropDown(
            ("R, G and B", "rgb"),
            ("Y channel", "y"),
            tip="What of colours is compared; published tables use the Y channel of 8-bit images",
        )
        self.border = QSpinBox()
        self.border.setRange(0, 9999)
        self.border.setSuffix(" px")
        self.border.setToolTip("Pixels of the reference left out on each side")
        self.span = QLineEdit()
        self.span.setPlaceholderText("automatic")
        self.span.setToolTip(
            "What PSNR and SSIM refer to; automatic: 255 for 8-bit images, else the range of the "
            "whole reference"
        )
        fields = {"Colours": self.mode, "Border": self.border, "Data range": self.span}
        self._rows = Form(self, fields)
        self.show_kind(False)
        self.mode.currentIndexChanged.connect(lambda _i: self.changed.emit())
        self.border.valueChanged.connect(lambda _v: self.changed.emit())
        self.span.editingFinished.connect(self.changed.emit)

    def show_kind(self, rgb: bool) -> None:
        """Offer the mode for RGB only."""
        self._rows.setRowVisible(self.mode, rgb)
        self._rgb = rgb

    def value(self, measures: tuple[str, ...]) -> Settings:
        """The settings for these measures."""
        mode = self.mode.value() if self._rgb else "rgb"
        return Settings(mode=mode, border=self.border.value(), measures=measures)

    def data_range(self) -> float | None:
        """The range given by hand, None for automatic.

        Raises
        ------
        InputError
            If it is not a number above 0.
        """
        text = self.span.text().strip().replace(",", ".")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise InputError(
                f"The data range '{text}' is not a number above 0; correct it under Settings, or "
                "leave it empty for automatic."
            )
        return value


# --- figures in words --------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes
    ----------
    candidate : str
        Name of the layer, or "bicubic".
    where : str
        Which slices, short: "Z=12" or "all".
    figures : mapping of measure to float or None
        Those that are known; None: not defined.
    stale : frozenset of str
        Which of them are not yet those of the slice in view.
    """

    candidate: str
    where: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[str, bool]:
        """What stays the same while the slider moves."""
        return self.candidate, self.where == WHOLE


def plain(value: Figure | str) -> str:
    """Write a value for a file: six digits, "inf", nothing for what is not known."""
    if isinstance(value, str):
        return value
    return "" if value is None else f"{value:.6g}"


# --- the table ---------------------------------------------------------------------------------


class _Cell(Item):
    """A cell that is sorted by its value, not by its text."""

    def __init__(self) -> None:
        super().__init__()
        self.value: Figure | str = None
        self.stale = False

    def __lt__(self, other: Item) -> bool:
        return self._order() < other._order()  # type: ignore[attr-defined]

    def _order(self) -> tuple[int, float, str]:
        if isinstance(self.value, str):
            return 1, 0.0, self.value.casefold()
        return (0, 0.0, "") if self.value is None else (1, self.value, "")


class FigureTable(QTableWidget):
    """The table.

    A click on a column's head sorts by it, the best first; another click turns the order round.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Figures of the candidates")
        self.setTabKeyNavigation(False)  # arrows go through the cells, Tab leaves them
        self._measures: tuple[str, ...] = ()
        self._heads: list[str] = []
        self._rows: list[Row] = []
        self._sorted: tuple[int, Qt.SortOrder] | None = None
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(QFontMetrics(self.font()).height() + 8)
        self.horizontalHeader().setMinimumSectionSize(12)  # the style's own is wider than "∞"
        self.horizontalHeader().setSectionsClickable(True)
        self.horizontalHeader().sectionClicked.connect(self.sort_by)
        self.set_measures(DEFAULT)

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures shown, from left to right."""
        return self._measures

    def set_measures(self, measures: Sequence[str]) -> None:
        """Choose the columns."""
        if tuple(measures) == self._measures:
            return
        self._measures, self._sorted = tuple(measures), None
        heads = self._heads = ["Candidate", "Slice", *(MEASURES[m].label for m in measures)]
        self.clear()
        self.setColumnCount(len(heads))
        self.setHorizontalHeaderLabels(heads)
        header = self.horizontalHeader()
        header.setSortIndicatorShown(False)
        for column, measure in enumerate(measures, start=2):
            self.horizontalHeaderItem(column).setToolTip(MEASURES[measure].tip)
        self._set_widths()
        self.show_rows(self._rows)

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows, in this order unless the user has sorted them."""
        self._rows, before = list(rows), self.rowCount()
        self.setRowCount(len(rows))
        heads = [(self.item(r, 0), self.item(r, 1)) for r in range(len(rows))]
        known = {(a.value, b.value == WHOLE): r for r, (a, b) in enumerate(heads) if a and b}
        same = len(known) == len(rows) and all(row.key in known for row in rows)
        for number, row in enumerate(rows):
            # Rows that are there keep their place, so that sorting and selection stay.
            self._fill(known[row.key] if same else number, row)
        if self._sorted is not None:
            self.sortItems(*self._sorted)
        self._set_widths()
        if self.rowCount() != before:
            self._set_height()

    def cell(self, candidate: str, measure: str, where: str | None = None) -> _Cell:
        """Find a cell; without `where` in the first row of the candidate as they were given.

        Raises
        ------
        KeyError
            If there is none.
        """
        for row in self._rows:
            if row.candidate == candidate and where in (None, row.where):
                for r in range(self.rowCount()):
                    if (self.item(r, 0).value, self.item(r, 1).value) == (candidate, row.where):
                        return self.item(r, 2 + self._measures.index(measure))
        raise KeyError((candidate, measure, where))

    def sort_by(self, column: int) -> None:
        """Sort by a column, or turn the order round."""
        ascending, descending = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
        if self._sorted is not None and self._sorted[0] == column:
            order = ascending if self._sorted[1] == descending else descending
        else:
            rising = column < 2 or MEASURES[self._measures[column - 2]].better == "lower"
            order = ascending if rising else descending
        self._sorted = column, order
        self.sortItems(column, order)
        self.horizontalHeader().setSortIndicator(column, order)
        self.horizontalHeader().setSortIndicatorShown(True)

    def lines(self, selected_only: bool = False) -> list[list[str]]:
        """Heads and rows as shown, numbers with six digits; infinity is "inf", unknown empty."""
        chosen = {index.row() for index in self.selectionModel().selectedRows()}
        heads = [self.horizontalHeaderItem(c).text() for c in range(self.columnCount())]
        found = [heads]
        for r in range(self.rowCount()):
            if not selected_only or not chosen or r in chosen:
                cells = [self.item(r, c) for c in range(self.columnCount())]
                found.append(["" if c.stale else plain(c.value) for c in cells])
        return found

    def copy(self, selected_only: bool = False) -> None:
        """Put the table on the clipboard, as text with tabs, which spreadsheets take."""
        lines = self.lines(selected_only)
        QApplication.clipboard().setText("\n".join("\t".join(line) for line in lines))

    def keyPressEvent(self, event: object) -> None:
        """Copy with Ctrl+C: the selected rows, or all of them."""
        if event.matches(QKeySequence.StandardKey.Copy):  # type: ignore[attr-defined]
            self.copy(selected_only=True)
            event.accept()  # type: ignore[attr-defined]
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: object) -> None:
        """Give the names what room there is."""
        super().resizeEvent(event)
        self._set_widths()
        self._set_height()

    def _set_widths(self) -> None:
        """Make columns as wide as their figures need, and the first as wide as is left."""
        metrics = QFontMetrics(self.font())
        widths = []
        # Columns that are being added resize the table before they have heads.
        for column in range(1, min(self.columnCount(), len(self._heads))):
            texts = [self._heads[column]]
            if column > 1:
                measure = MEASURES[self._measures[column - 2]]
                # A typical figure, so that the columns do not jump when the first ones come.
                if measure.decimals is not None:
                    texts.append(measure.text(10.0 if measure.unit else 0.0))
            items = (self.item(r, column) for r in range(self.rowCount()))
            texts += [item.text() for item in items if item is not None]
            widths.append(max(metrics.horizontalAdvance(t) for t in texts) + 8)
            self.setColumnWidth(column, widths[-1])
        left = self.width() - 2 * self.frameWidth() - sum(widths)
        if self.rowCount() > _MOST:
            left -= self.verticalScrollBar().sizeHint().width()
        self.setColumnWidth(0, max(left, metrics.horizontalAdvance("bicubic") + 24))

    def _set_height(self) -> None:
        height = self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth() + 2
        height += min(max(self.rowCount(), 2), _MOST) * self.verticalHeader().defaultSectionSize()
        wide = self.horizontalHeader().length() > self.width() - 2 * self.frameWidth()
        self.setFixedHeight(
            height + (self.horizontalScrollBar().sizeHint().height() if wide else 0)
        )

    def _fill(self, at: int, row: Row) -> None:
        values = [row.candidate, row.where, *(row.figures.get(m) for m in self._measures)]
        for column, value in enumerate(values):
            cell = self.item(at, column)
            if cell is None:
                cell = _Cell()
                self.setItem(at, column, cell)
            measure = "" if column < 2 else self._measures[column - 2]
            if cell.text() and (value, measure in row.stale) == (cell.value, cell.stale):
                continue  # each change is drawn, and the slider should stay smooth
            cell.value = value
            cell.stale = measure in row.stale
            cell.setText(value if isinstance(value, str) else MEASURES[measure].text(value))
            cell.setToolTip(row.candidate if column == 0 else "")
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            cell.setTextAlignment(
                right if column > 1 else Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            )
            # A gray that is faint in every theme; without one the theme's own colour is taken.
            brush = QBrush(QColor(_STALE)) if cell.stale else None
            cell.setData(Qt.ItemDataRole.ForegroundRole, brush)
