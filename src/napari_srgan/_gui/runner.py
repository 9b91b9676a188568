"""Runs the work in napari's worker thread and shows how far it is, with a Cancel button.

What belongs here: the bridge between the generator of worker.py and Qt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui.sentences import progress_text
from napari_srgan._gui.worker import FAILED, Engines, Outcome, Step, restore


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

    def start(self, requests: Any, work: Callable[..., Any] = restore) -> None:
        """Start the work: a generator function of the requests, the engines and a cancel event."""
        from napari.qt.threading import create_worker

        if self.running:
            raise RuntimeError("the runner is busy")
        self._cancel = threading.Event()
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.text.setText("Starting")
        self.cancel_button.setEnabled(True)
        self.setVisible(True)
        # No `_progress`: its spinner, like a bar that runs to and fro, redraws the whole window
        # many times a second, and without a graphics card that takes the CPU from the network.
        self._worker = create_worker(work, requests, self._engines, self._cancel)
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
        head = f"{step.part + 1} of {step.parts}: " if step.parts > 1 else ""
        tail = progress_text(step.done, step.total, step.eta) if step.total else step.note
        note = f" ({step.note})" if step.note and step.total else ""
        self.text.setText(head + tail + note)

    def _on_returned(self, outcome: Any) -> None:
        self._end(outcome)

    def _on_errored(self, error: Exception) -> None:
        self._end(Outcome(error=FAILED))

    def _on_aborted(self) -> None:
        # napari itself asked the worker to quit: its generator still waits at a yield.
        self._worker._gen.close()
        self._end(Outcome(cancelled=True))

    def _end(self, outcome: Any) -> None:
        self._worker = None
        self.setVisible(False)
        self.ended.emit(outcome)
