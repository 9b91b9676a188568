"""The dock widget Compare: candidates measured against a reference, with bicubic beside them.

What belongs here: following the viewer, and the figures of the slice in view. The controls are in
compare_controls.py; whole stacks, views, maps and the self-test have their own files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QFileDialog

from napari_srgan._gui.compare.compare_choices import Choices
from napari_srgan._gui.compare.compare_controls import HINT, CompareControls
from napari_srgan._gui.compare.compare_rows import save_csv
from napari_srgan._gui.compare.compare_stack import csv_rows, stack_rows
from napari_srgan._gui.compare.comparison import question_for
from napari_srgan._gui.compare.self_test import SELF_TEST_KEY
from napari_srgan._gui.compare.slice_figures import SliceFigures
from napari_srgan._gui.super_resolve.exports import record_of
from napari_srgan.errors import InputError
from napari_srgan.measure.comparison import Comparison, rows

if TYPE_CHECKING:
    import napari

NO_LOW = "Choose the LR input as well to see what bicubic enlargement of it gives."
_ALL_SLICES = ("psnr_mean", "psnr_infinite")


class Compare(CompareControls):
    """Measure candidates against a reference.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._choices = Choices(self)
        self._said = ""  # by a part: figures that come in leave it where it is
        self.slice = SliceFigures(self._ranges, self)
        self._pending = QTimer(self)
        self._pending.setSingleShot(True)
        self._pending.setInterval(40)
        self._connect()
        self.refresh()

    @property
    def busy(self) -> bool:
        """Whether the figures shown are not yet those of the slice in view."""
        return self.slice.busy or self._pending.isActive()

    def refresh(self) -> None:
        """Take the choices as they are now, and measure the slice in view."""
        self._pending.stop()
        self._choices.complete()
        self._pending.stop()  # completing the choices is no change of them
        reference = self.reference.value()
        self.how.show_kind(reference is not None and reference.rgb)
        self.views.offer(reference, self.candidates.ticked(), self.low.value())
        made = [la.metadata.get(SELF_TEST_KEY) for la in self.candidates.ticked()]
        self.heading.say(" ".join(dict.fromkeys(text for text in made if text)))
        results = (la for la in self.candidates.ticked() if record_of(la) is not None)
        self.report.show_layer(next(results, None))
        for button in (self.stack.button, self.copy, self.save):
            button.setEnabled(reference is not None and not self.stack.task.running)
        self._measure()

    # --- following the viewer ---------------------------------------------------------------

    def _connect(self) -> None:
        self._pending.timeout.connect(self.refresh)
        for signal in (
            self.reference.changed,
            self.candidates.changed,
            self.low.changed,
            self.how.changed,
            self.columns.changed,
        ):
            signal.connect(self._pending.start)
        self.slice.changed.connect(self._on_figures)
        self.slice.failed.connect(lambda text: self._clear(text, error=True))
        dims, layers = self.viewer.dims.events, self.viewer.layers.events
        for emitter in (dims.current_step, dims.order):
            self._connections.connect(emitter, self._on_slider)
        for emitter in (layers.inserted, layers.removed, layers.renamed):
            self._connections.connect(emitter, self._on_layers)
        self.copy.clicked.connect(lambda: self.table.copy())
        self.save.clicked.connect(self._on_save)
        self.stack.measured.connect(self._on_measured)
        self.self_test.made.connect(self._on_tested)
        for part in (self.stack, self.views, self.maps, self.self_test, self.report):
            part.said.connect(self.say)

    def say(self, text: str, error: bool = False) -> None:
        """Show a sentence under the table; an empty one takes the one before away."""
        if text or self.message.text() == self._said:
            self.message.say(text, error=error)
        self._said = text

    def _on_layers(self, event: Any = None) -> None:
        self._pending.start()

    def _on_slider(self, event: Any = None) -> None:
        self._measure(moved=True)

    def data_changed(self, event: Any = None) -> None:
        """Measure anew: the pixels of a layer are others."""
        self._ranges.forget()
        self.slice.forget_question()
        self._pending.start()

    # --- the slice in view ------------------------------------------------------------------

    def _measure(self, moved: bool = False) -> None:
        """Ask for the figures of the slice in view; the old ones turn grey until they are there."""
        try:
            chosen = self.selection()
            self.stack.check(chosen.key())
            self.maps.check(chosen.layers_key())
            question = question_for(
                chosen.reference,
                chosen.candidates,
                chosen.low,
                self.viewer.dims,
                chosen.settings,
                chosen.data_range,
            )
        except InputError as error:
            self._clear(str(error), error=str(error) != HINT)
            return
        self.stack.follow()
        former = self.slice.question
        if former is not None and question.asks_the_same(former):
            return  # another layer's slider, or a layer that is no part of it
        if self.message.is_error:
            self._said = ""
        self.slice.ask(question, moved)

    def _on_figures(self) -> None:
        self._show()
        if self.slice.is_stale():
            self.where.setEnabled(False)
        else:
            self._say_where()

    def _show(self) -> None:
        """Show slice and stack in one table."""
        whole = stack_rows(self.stack.comparison) if self.stack.comparison is not None else []
        more = _ALL_SLICES if whole and "psnr" in self.columns.value() else ()
        self.table.set_measures((*self.columns.value(), *more))
        self.table.show_rows([*self.slice.rows.values(), *whole])

    def _say_where(self) -> None:
        question = self.slice.question
        how = [f"data range {self.slice.span:.6g}"]
        if question.settings.mode == "y" and question.reference.stack.is_rgb:
            how.append("Y channel, range 255")
        if question.settings.border:
            how.append(f"{question.settings.border} px cut on each side")
        text = f"{question.where[:1].upper()}{question.where[1:]}; {', '.join(how)}."
        if text != self.where.text():
            self.where.say(text)
        self.where.setEnabled(True)
        errors = dict.fromkeys(self.slice.errors.values())
        if errors:
            self.message.say(" ".join(errors), error=True)
        elif self._may_go():
            notes = " ".join([*question.notes, *([] if self.low.value() else [NO_LOW])])
            if self.message.is_error or notes != self.message.text():
                self.message.say(notes)

    def _may_go(self) -> bool:
        text = self.message.text()
        return (self.message.is_error and text != self._said) or text in ("", HINT, NO_LOW)

    def _clear(self, text: str, error: bool = False) -> None:
        self.slice.clear()
        self.stack.check(None)
        self.maps.check(None)
        self._show()
        self.where.say("")
        # A refresh that was pending does not take away what a part has just said.
        if error or not (self.message.is_error and self.message.text() == self._said):
            self.message.say(text, error=error)

    # --- whole stack, self-test, files ------------------------------------------------------

    def _on_measured(self, comparison: Comparison | None) -> None:
        self._show()

    def _on_tested(self, reference: Any, result: Any, low: Any) -> None:
        for layer in self.candidates.layers():
            self.candidates.tick(layer, layer is result)
        self.reference.choose(reference)
        self.candidates.tick(result)
        self.low.choose(low)
        self.say("")
        self.refresh()

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the figures", "figures.csv", "CSV (*.csv)"
        )
        if path:
            self.save_to(path if Path(path).suffix else f"{path}.csv")

    def save_to(self, path: str | Path) -> None:
        """Write the figures as CSV: of all slices if measured, else of the one in view."""
        try:
            if self.stack.comparison is not None:
                save_csv(path, rows(self.stack.comparison))
            else:
                chosen = self.selection()
                how = {"mode": chosen.settings.mode, "border": chosen.settings.border}
                lines = csv_rows(list(self.slice.rows.values()), self.slice.span, how)
                save_csv(path, [{**line, "reference": chosen.reference.name} for line in lines])
        except InputError as error:
            self.say(str(error), error=True)
        except OSError as error:
            self.say(f"{Path(path).name} could not be written: {error.strerror}.", error=True)
        else:
            self.say(f"Saved {Path(path).name}.")

    # --- closing ----------------------------------------------------------------------------

    def changeEvent(self, event: QEvent) -> None:
        """Let go of the viewer when the dock is closed for good."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self._close_down()

    def closeEvent(self, event: Any) -> None:
        """Stop the work when the window is closed."""
        self._close_down()
        super().closeEvent(event)

    def _close_down(self) -> None:
        self._pending.stop()
        for part in (self.slice, self.stack, self.views, self.maps, self.self_test, self.report):
            part.stop()
        self._connections.disconnect_from()
