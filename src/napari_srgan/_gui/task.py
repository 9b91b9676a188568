"""A job with a progress bar and Cancel, for what takes longer than a moment.

What belongs here: the bar. The thread is background.py's.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from napari_srgan._gui.background import Background, End, Work


class Task(QWidget):
    """Runs one job at a time; hidden while nothing runs.

    A job yields ``(done, total, ...)``: its bar follows the first two.

    Signals
    -------
    stepped(object)
        What the job yielded.
    ended(End)
        Once for every start.
    """

    stepped = Signal(object)
    ended = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._background = Background(self)
        self.bar = QProgressBar()
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        self._background.stepped.connect(self._on_step)
        self._background.ended.connect(self._on_end)
        self.setVisible(False)

    @property
    def running(self) -> bool:
        """Whether a job is going on."""
        return self._background.running

    def start(self, work: Work, text: str = "%p %") -> None:
        """Start a job; `text` stands on the bar."""
        self.bar.setFormat(text)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.cancel_button.setEnabled(True)
        self.setVisible(True)
        self._background.start(work)

    def cancel(self) -> None:
        """Ask the job to end; it does at its next step."""
        self.cancel_button.setEnabled(False)
        self._background.cancel()

    def stop(self) -> None:
        """Cancel, and tell nobody any more; for a panel that closes."""
        self._background.stop()

    def _on_step(self, step: Any) -> None:
        done, total = step[:2]
        self.bar.setRange(0, max(int(total), 1))
        self.bar.setValue(int(done))
        self.stepped.emit(step)

    def _on_end(self, end: End) -> None:
        self.setVisible(False)
        self.ended.emit(end)
