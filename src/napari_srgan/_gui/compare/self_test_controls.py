"""The part of Compare for the self-test: model, degradation, slices, and the button.

What belongs here: the controls. The work is in self_test.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui.background import End
from napari_srgan._gui.compare.self_test import Trial, Tried, operator_for, run_trial, show_trial
from napari_srgan._gui.layers import view_of
from napari_srgan._gui.parts.model_choice import ModelChoice
from napari_srgan._gui.parts.parts import Choice, Message, form
from napari_srgan._gui.task import Task
from napari_srgan._gui.worker import Engines
from napari_srgan.errors import InputError
from napari_srgan.image.degradation import NAMES

if TYPE_CHECKING:
    import napari


class SelfTest(QWidget):
    """Degrade the reference, restore it, and compare.

    Signals
    -------
    made(object, object, object)
        Reference, result and LR layer, once they are in the viewer.
    said(str, bool)
        A sentence, and whether it reports an error.
    """

    made = Signal(object, object, object)
    said = Signal(str, bool)

    def __init__(self, viewer: napari.Viewer, reference: Callable[[], Any]) -> None:
        super().__init__()
        self._viewer, self._reference = viewer, reference
        self._engines = Engines()
        self._trial: Trial | None = None
        self.model = ModelChoice()
        self.operator = Choice(
            ("as in training", None),
            *((name, name) for name in NAMES),
            tip="How the high resolution becomes low resolution",
        )
        self.slices = Choice(("Slice in view", "view"), ("Whole stack", "all"))
        self.button = QPushButton("Degrade, restore, compare")
        self.button.setToolTip("Shrink the reference 4x, restore it, and measure the result")
        self.task = Task()
        rows = form()
        rows.add("Model", self.model)
        rows.add("Degrade by", self.operator)
        rows.add("Slices", self.slices)
        what = Message(
            "With the original only: how well is it restored after it was shrunk? The reference "
            "is taken, or the selected layer."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(what)
        column.addLayout(rows)
        column.addWidget(self.button)
        column.addWidget(self.task)
        self.button.clicked.connect(self.start)
        self.task.ended.connect(self._on_end)

    def start(self) -> None:
        """Start, or say why not."""
        if self.task.running:
            return
        layer = self._reference()
        try:
            if layer is None:
                raise InputError("Choose the image to test with as the reference, or select it.")
            model = self.model.info(layer.rgb)
            operator_for(model.card, self.operator.value())
            region: dict[str, tuple[int, int]] = {}
            if self.slices.value() == "view":
                view = view_of(layer, self._viewer.dims)
                if view.outside:
                    raise InputError(f"The slider is beyond {layer.name}; move it to a slice.")
                region = {a: (i, i + 1) for a, i in view.index.items()}
        except InputError as error:
            self.said.emit(str(error), True)
            return
        trial = self._trial = Trial(layer, region, model, self.operator.value())
        self.button.setEnabled(False)
        self.task.start(lambda: run_trial(trial, self._engines), "%v of %m tiles")

    def stop(self) -> None:
        """Give up; for a panel that closes."""
        self.task.stop()

    def _on_end(self, end: End) -> None:
        self.button.setEnabled(True)
        trial, self._trial = self._trial, None
        if end.error:
            self.said.emit(end.error, True)
        elif end.cancelled:
            self.said.emit("Cancelled; nothing was kept.", False)
        elif isinstance(end.result, Tried):
            self.made.emit(*show_trial(self._viewer, trial, end.result))
