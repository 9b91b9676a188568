"""Runs the work in napari's worker thread and shows how far it is, with a Cancel button.

What belongs here: the bridge between the generator of worker.py and Qt.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_srgan._widgets.sentences import progress_text
from napari_srgan._widgets.worker import FAILED, Engines, Outcome, Request, Step, restore


class Runner(QWidget):
    """A progress bar, the time left and Cancel; hidden while nothing runs.

    Signals
    -------
    ended(Outcome)
        On the GUI thread, once for every start.
    """

    ended = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._engines = Engines()
        self._cancel = threading.Event()
        self._worker: Any = None
        self._what = ""
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop after the tile in progress; nothing is kept")
        self.cancel_button.clicked.connect(self.cancel)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.text)
        self.setVisible(False)

    @property
    def running(self) -> bool:
        """Whether work is going on."""
        return self._worker is not None

    def start(self, requests: Sequence[Request], what: str) -> None:
        """Start the work; `what` names it in the activity dock of napari."""
        from napari.qt.threading import create_worker

        if self.running:
            raise RuntimeError("the runner is busy")
        self._cancel = threading.Event()
        self._what = what
        self.bar.setRange(0, 0)
        self.bar.setFormat("")
        self.text.setText("Starting")
        self.cancel_button.setEnabled(True)
        self.setVisible(True)
        self._worker = create_worker(
            restore, requests, self._engines, self._cancel, _progress={"desc": what}
        )
        self._worker.yielded.connect(self._on_step)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.aborted.connect(self._on_aborted)
        self._worker.start()

    def cancel(self) -> None:
        """Ask the work to stop; it does after the tile in progress."""
        if self.running:
            self._cancel.set()
            self.cancel_button.setEnabled(False)
            self.text.setText("Cancelling after this tile")

    def _on_step(self, step: Step) -> None:
        if self._cancel.is_set():
            return
        if step.total:
            self.bar.setRange(0, step.total)
            self.bar.setValue(step.done)
            self.bar.setFormat("%p%")
        else:
            self.bar.setRange(0, 0)
        head = f"{step.part + 1} of {step.parts}: " if step.parts > 1 else ""
        tail = progress_text(step.done, step.total, step.eta) if step.total else step.note
        note = f" ({step.note})" if step.note and step.total else ""
        self.text.setText(head + tail + note)
        bar = getattr(self._worker, "pbar", None)
        if bar is not None and step.total:
            if bar.total != step.total:
                bar.total = step.total
            bar.n = step.done
            bar.refresh()

    def _on_returned(self, outcome: Outcome) -> None:
        self._end(outcome)

    def _on_errored(self, error: Exception) -> None:
        self._end(Outcome(error=FAILED))

    def _on_aborted(self) -> None:
        # napari itself asked the worker to quit: its generator still waits at a yield.
        self._worker._gen.close()
        self._end(Outcome(cancelled=True))

    def _end(self, outcome: Outcome) -> None:
        self._worker = None
        self.setVisible(False)
        self.ended.emit(outcome)
