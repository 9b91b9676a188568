"""The dock widget Compare: candidates measured against a reference, with bicubic beside them.

The controls in their order from the choice of layers to the findings; following the viewer, and the
figures of the slice in view. Whole stacks, views, maps and the self-test have their own files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan._gui.compare.candidates import Autofill, CandidateList, CompareRequest
from napari_srgan._gui.compare.colours import Colours
from napari_srgan._gui.compare.maps import SliceMaps
from napari_srgan._gui.compare.planes import DataRange, question_for
from napari_srgan._gui.compare.self_test import SelfTest
from napari_srgan._gui.compare.slice_figures import SliceFigures
from napari_srgan._gui.compare.table import FigureTable, MeasureMenu, MeasureSettings
from napari_srgan._gui.compare.views import Views
from napari_srgan._gui.compare.whole_stack import WholeStack, csv_rows, stack_rows
from napari_srgan._gui.parts.widgets import (
    Fold,
    Form,
    LayerPicker,
    Message,
    Panel,
    asked_path,
    button,
    row,
)
from napari_srgan._gui.runner import errors_said
from napari_srgan._gui.super_resolve.report import ReportButton
from napari_srgan._gui.tags import is_candidate, is_restored, original_of, self_test_heading
from napari_srgan.errors import InputError
from napari_srgan.io.tables import csv_file
from napari_srgan.measure.stacks import rows

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

# The fidelity model that a report's maps are made with runs where and how it suits.
_AUTO = {"device": "auto", "precision": "auto", "tile": "auto"}
HINT = (
    "Choose a reference (the true high-resolution image) and tick a candidate (a result) of the "
    "same size. Without a reference, the self-test below makes its own pair."
)
NO_LOW = "Choose the LR input as well to see what bicubic enlargement of it gives."
LOOKING = "Looking first whether the colours hold one gray value ..."
_ALL_SLICES = ("psnr_mean", "psnr_infinite")


class Compare(Panel):
    """Measure candidates against a reference.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    title = "Compare"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        from napari.layers import Image

        super().__init__(napari_viewer)
        viewer = self.viewer
        self._ranges = DataRange()
        self._said = ""  # by a part: figures that come in leave it where it is

        def picker(none: str) -> LayerPicker:
            return LayerPicker(viewer, Image, self._connections, none=none, fits=is_candidate)

        self.reference = picker("choose")
        self.candidates = CandidateList(viewer, self._connections)
        self.low = picker("none")
        self.low.setToolTip("The LR image that bicubic enlarges; found by itself where possible")
        self.settings = MeasureSettings()
        self.heading = Message()
        font = self.heading.font()
        font.setBold(True)
        self.heading.setFont(font)
        self.table = FigureTable()
        self.where = Message()
        self.measures = MeasureMenu()
        self.copy = button(
            "Copy", "Copy the table, tabs between the columns (Ctrl+C: selected rows)"
        )
        self.save = button(
            "Save CSV", "Save the table, with every slice if the whole stack was measured"
        )
        self.message = Message(HINT)
        self.colours = Colours(self)
        self.slice = SliceFigures(self._ranges, self)
        self.stack = WholeStack(viewer, self._ranges, self.request)
        self.views = Views(viewer, self.request)
        self.maps = SliceMaps(viewer, self._connections, self.request)
        self.reported = LayerPicker(viewer, Image, self._connections, fits=self._is_reported)
        self.reported.setAccessibleName("Result of the report")
        self.report = ReportButton(
            viewer,
            self._connections,
            lambda: _AUTO,
            beside=self.reported,
            reference=self.reference.value,
        )
        self.self_test = SelfTest(viewer, self._to_test)
        self.self_test_fold = Fold("Self-test", self.self_test)
        self.maps_fold = Fold("Error map, Fourier rings, regions", self.maps)
        self._autofill = Autofill(self)
        self.fill(
            Form(
                fields={
                    "Reference": self.reference,
                    "Candidates": self.candidates,
                    "LR input": self.low,
                }
            ),
            Fold("Settings", self.settings),
            self.heading,
            self.table,
            self.where,
            row(self.measures, self.copy, self.save),
            self.message,
            self.stack,
            self.report,
            self.views,
            self.maps_fold,
            self.self_test_fold,
        )
        self._connect()
        self.refresh()

    @property
    def busy(self) -> bool:
        """Whether the figures shown are not yet those of the slice in view."""
        return self.slice.busy or self._pending.isActive() or self.colours.busy

    def refresh(self) -> None:
        """Take the choices as they are now, and measure the slice in view."""
        self._pending.stop()
        self._autofill.complete()
        self._pending.stop()  # completing the choices is no change of them
        reference = self.reference.value()
        self.settings.show_kind(reference is not None and reference.rgb)
        self.views.offer(reference, self.candidates.ticked(), self.low.value())
        made = [self_test_heading(la) for la in self.candidates.ticked()]
        self.heading.say(" ".join(dict.fromkeys(text for text in made if text)))
        self.reported.refresh()
        self.report.show_layer(self.reported.value())
        for each in (self.stack.button, self.copy, self.save):
            each.setEnabled(reference is not None and not self.stack.runner.running)
        self._measure()

    def _is_reported(self, layer: Image) -> bool:
        """Whether a report can be made of a layer: it is a result, and ticked."""
        return is_restored(layer) and any(layer is la for la in self.candidates.ticked())

    def request(self) -> CompareRequest:
        """What is chosen.

        Raises
        ------
        InputError
            If no reference or nothing to compare is chosen, or the data range is no number.
        """
        reference, low = self.reference.value(), self.low.value()
        candidates = tuple(self.candidates.ticked())
        if reference is None or not (candidates or low is not None):
            raise InputError(HINT)
        return CompareRequest(
            reference,
            candidates,
            low,
            self.settings.value(self.measures.value()),
            self.settings.data_range(),
        )

    def _to_test(self) -> Any:
        """The layer of the self-test: the reference, else the selected image, else the only one."""
        if self.reference.value() is not None:
            return original_of(self.reference.value(), self.reference.layers())
        layers, active = self.reference.layers(), self.viewer.layers.selection.active
        return active if active in layers else (layers[0] if len(layers) == 1 else None)

    # --- following the viewer ---------------------------------------------------------------

    def _connect(self) -> None:
        for signal in (
            self.reference.changed,
            self.candidates.changed,
            self.low.changed,
            self.settings.changed,
            self.measures.changed,
        ):
            signal.connect(self.refresh_soon)
        self.colours.known.connect(self.refresh_soon)
        self.slice.changed.connect(self._on_figures)
        self.slice.failed.connect(lambda text: self._clear(text, error=True))
        dims, layers = self.viewer.dims.events, self.viewer.layers.events
        for emitter in (dims.current_step, dims.order):
            self._connections.connect(emitter, self._on_slider)
        for emitter in (layers.inserted, layers.removed, layers.renamed):
            self._connections.connect(emitter, self.refresh_soon)
        self.reported.changed.connect(lambda: self.report.show_layer(self.reported.value()))
        self.copy.clicked.connect(lambda: self.table.copy())
        self.save.clicked.connect(self._on_save)
        self.stack.measured.connect(lambda _comparison: self._show())
        self.self_test.made.connect(self._on_tested)
        for part in (self.stack, self.views, self.maps, self.self_test, self.report):
            part.said.connect(self.say)

    def say(self, text: str, error: bool = False) -> None:
        """Show a sentence under the table; an empty one takes the one before away."""
        if text or self.message.text() == self._said:
            self.message.say(text, error=error)
        self._said = text

    def _on_slider(self, event: Any = None) -> None:
        self._measure(moved=True)

    def data_changed(self, event: Any = None) -> None:
        """Measure anew: the pixels of a layer are others."""
        self._ranges.forget()
        self.slice.forget_question()
        self.refresh_soon()

    # --- the slice in view ------------------------------------------------------------------

    def _measure(self, moved: bool = False) -> None:
        """Ask for the figures of the slice in view; the old ones turn grey until they are there."""
        try:
            chosen = self.request()
            self.stack.check(chosen.key())
            self.maps.check(chosen.layers_key())
            low = [] if chosen.low is None else [chosen.low]
            if not self.colours.look([chosen.reference, *chosen.candidates, *low]):
                self.message.say(LOOKING)
                return
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
        more = _ALL_SLICES if whole and "psnr" in self.measures.value() else ()
        self.table.set_measures((*self.measures.value(), *more))
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
        return (self.message.is_error and text != self._said) or text in ("", HINT, NO_LOW, LOOKING)

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

    def _on_tested(self, reference: Any, result: Any, low: Any) -> None:
        for layer in self.candidates.layers():
            self.candidates.tick(layer, layer is result)
        self.reference.choose(reference)
        self.candidates.tick(result)
        self.low.choose(low)
        self.say("")
        self.refresh()

    def _on_save(self) -> None:
        with errors_said(self.say):
            path = asked_path(self, "Save the figures", "figures.csv", "CSV (*.csv)", ".csv")
            if path is not None:
                self.save_to(path)

    def save_to(self, path: str | Path) -> None:
        """Write the figures as CSV: of all slices if measured, else of the one in view."""
        path = Path(path)
        try:
            with csv_file(path, overwrite=True) as write:
                if self.stack.comparison is not None:
                    write(rows(self.stack.comparison))
                else:
                    chosen = self.request()
                    how = {"mode": chosen.settings.mode, "border": chosen.settings.border}
                    lines = csv_rows(list(self.slice.rows.values()), self.slice.span, how)
                    write([{**line, "reference": chosen.reference.name} for line in lines])
        except InputError as error:
            self.say(str(error), error=True)
        except OSError as error:
            self.say(f"{path.name} could not be written: {error.strerror}.", error=True)
        else:
            self.say(f"Saved {path.name}.")

    # --- closing ----------------------------------------------------------------------------

    def let_go(self) -> None:
        """Give up all work, hear of the viewer no more, and put it back as it was."""
        self.slice.clear()
        self.views.close_curtain()
        super().let_go()
