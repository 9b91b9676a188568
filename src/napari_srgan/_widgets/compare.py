"""The dock widget Compare: PSNR and SSIM of the slice in view, with bicubic beside them.

What belongs here: the panel. What is measured, and on what, is in comparison.py.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_srgan._widgets.comparison import Answer, Figures, Question, Ranges, answer, question_for
from napari_srgan._widgets.connections import Connections
from napari_srgan._widgets.exports import record_of
from napari_srgan._widgets.layer_stack import data_shape
from napari_srgan._widgets.parts import LayerChoice, Message, Scrolling, form
from napari_srgan._widgets.result_layer import input_of
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari

_log = logging.getLogger(__name__)
HINT = (
    "Choose a reference (the true high-resolution image) and a candidate (a result) of the same "
    "size."
)
NO_LOW = "Choose the LR input as well to see what bicubic enlargement of it gives."


class Compare(QWidget):
    """Measure a candidate against a reference.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        from napari.layers import Image

        super().__init__()
        self.viewer = napari_viewer
        self._connections = Connections()
        self._ranges = Ranges()
        self._worker: Any = None
        self._asked: Question | None = None
        self._again = False
        self._candidate_seen: Any = None

        def choice(none: str) -> LayerChoice:
            return LayerChoice(napari_viewer, Image, self._connections, none=none)

        self.reference, self.candidate = choice("choose"), choice("choose")
        self.low = choice("none")
        self.low.setToolTip("The LR image that bicubic enlarges; found by itself where possible")
        self.where = Message()
        self.message = Message(HINT)
        self.cells: dict[tuple[str, str], QLabel] = {}
        self._lay_out()

        self._pending = QTimer(self)
        self._pending.setSingleShot(True)
        self._pending.setInterval(40)
        self._pending.timeout.connect(self.refresh)
        for box in (self.reference, self.candidate, self.low):
            box.changed.connect(self._pending.start)
        for emitter in (napari_viewer.dims.events.current_step, napari_viewer.dims.events.order):
            self._connections.connect(emitter, self._on_slider)
        self._connections.connect(napari_viewer.layers.events.inserted, self._on_slider)
        self.refresh()

    @property
    def busy(self) -> bool:
        """Whether the figures shown are not yet those of the slice in view."""
        return self._worker is not None or self._again or self._pending.isActive()

    def refresh(self) -> None:
        """Measure the slice in view; the old figures turn grey until the new ones are there."""
        for box in (self.candidate, self.reference):
            box.blockSignals(True)
        self._choose()
        for box in (self.candidate, self.reference):
            box.blockSignals(False)
        reference, candidate = self.reference.value(), self.candidate.value()
        if reference is None or candidate is None:
            self._clear(HINT)
            return
        try:
            self._asked = question_for(reference, candidate, self.low.value(), self.viewer.dims)
        except InputError as error:
            self._clear(str(error), error=True)
            return
        self._stale(True)
        if self._worker is not None:
            self._again = True  # only the last position of a moving slider is measured
            return
        self._measure()

    # --- building ---------------------------------------------------------------------------

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        top = form()
        top.add("Reference", self.reference)
        top.add("Candidate", self.candidate)
        top.add("LR input", self.low)
        column.addLayout(top)
        table = QGridLayout()
        table.setHorizontalSpacing(12)
        for c, head in enumerate(("PSNR (dB)", "SSIM"), start=1):
            label = QLabel(head)
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
            table.addWidget(label, 0, c)
        for r, (key, text) in enumerate((("candidate", "Candidate"), ("bicubic", "Bicubic")), 1):
            table.addWidget(QLabel(text), r, 0)
            for c, measure in enumerate(("psnr", "ssim"), start=1):
                cell = QLabel("–")
                cell.setAlignment(Qt.AlignmentFlag.AlignRight)
                cell.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                self.cells[key, measure] = cell
                table.addWidget(cell, r, c)
        table.setColumnStretch(0, 1)
        column.addLayout(table)
        column.addWidget(self.where)
        column.addWidget(self.message)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(Scrolling(content))

    # --- choosing ---------------------------------------------------------------------------

    def _choose(self) -> None:
        """Choose what the user left open, where the answer is plain.

        The candidate is the result that is selected, or the last one made; the reference the one
        image of its size that is not a result itself.
        """
        images = self.candidate.layers()
        results = [la for la in images if record_of(la) is not None]
        if self.candidate.value() is None and results:
            active = self.viewer.layers.selection.active
            self.candidate.choose(active if active in results else results[0])
        candidate = self.candidate.value()
        if candidate is not None and self.reference.value() is None:
            size = data_shape(candidate)
            fitting = [
                la
                for la in images
                if record_of(la) is None and data_shape(la) == size and la is not candidate
            ]
            if len(fitting) == 1:
                self.reference.choose(fitting[0])
        self._choose_low()

    def _choose_low(self) -> None:
        """With a new candidate, choose the layer it was made from."""
        candidate = self.candidate.value()
        if candidate is self._candidate_seen:
            return
        self._candidate_seen = candidate
        if candidate is not None:
            source = input_of(candidate, self.low.layers())
            if source is not None:
                self.low.blockSignals(True)
                self.low.choose(source)
                self.low.blockSignals(False)

    def _on_slider(self, event: Any = None) -> None:
        self._stale(True)
        self._pending.start()

    # --- measuring --------------------------------------------------------------------------

    def _measure(self) -> None:
        from napari.qt.threading import create_worker

        self._again = False
        self._worker = create_worker(_safely, self._asked, self._ranges)
        self._worker.returned.connect(self._on_answer)
        self._worker.start()

    def _on_answer(self, found: Answer) -> None:
        self._worker = None
        if self._again:
            self._measure()
            return
        if self._asked is None:
            return
        if found.error:
            self._clear(found.error, error=True)
            return
        self._fill("candidate", found.candidate)
        self._fill("bicubic", found.bicubic)
        self.where.say(f"{_capital(self._asked.where)}; data range {found.data_range:.6g}.")
        note = self._asked.note or ("" if found.bicubic else NO_LOW)
        self.message.say(found.bicubic_error or note, error=bool(found.bicubic_error))
        self._stale(False)

    def _fill(self, row: str, figures: Figures | None) -> None:
        if figures is None:
            texts = ("–", "–")
        else:
            psnr = "identical" if math.isinf(figures.psnr) else f"{figures.psnr:.2f}"
            texts = (psnr, f"{figures.ssim:.4f}")
        for measure, text in zip(("psnr", "ssim"), texts, strict=True):
            self.cells[row, measure].setText(text)

    def _clear(self, text: str, error: bool = False) -> None:
        self._asked, self._again = None, False
        for row in ("candidate", "bicubic"):
            self._fill(row, None)
        self.where.say("")
        self.message.say(text, error=error)
        self._stale(False)

    def _stale(self, on: bool) -> None:
        for cell in (*self.cells.values(), self.where):
            cell.setEnabled(not on)

    # --- closing ----------------------------------------------------------------------------

    def changeEvent(self, event: QEvent) -> None:
        """Let go of the viewer when the dock is closed for good."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self._pending.stop()
            self._connections.disconnect_from()


def _safely(question: Question, ranges: Ranges) -> Answer:
    """Answer in a thread; a defect becomes a sentence, and its traceback goes to the log."""
    try:
        return answer(question, ranges)
    except Exception:
        _log.exception("the comparison failed")
        return Answer(error="The comparison failed; the details are in the log.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
