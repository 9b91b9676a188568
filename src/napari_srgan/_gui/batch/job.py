"""The batch of a window: its files, their states, and the work, which outlives the panel."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QObject, Signal

from napari_srgan._gui.runner import NO_MEMORY, End, Runner
from napari_srgan._gui.sentences import time_text
from napari_srgan.errors import InputError
from napari_srgan.tasks.batch import SUMMARY, BatchOrder, run_batch
from napari_srgan.tasks.restore import LOOKING, FileOutcome
from napari_srgan.tasks.steps import Progress, sentence_for

if TYPE_CHECKING:
    import napari

State = Literal["waiting", "running", "done", "failed", "left"]

_log = logging.getLogger(__name__)


@dataclass
class Entry:
    """A file of the batch.

    Attributes
    ----------
    path : Path
    state : str
    text : str
        What is to be said of it beside its state.
    result : Path or None
        The file that was written.
    """

    path: Path
    state: State = "waiting"
    text: str = ""
    result: Path | None = None


class BatchJob(QObject):
    """The batch of a window; closing the panel leaves it running, closing the window ends it.

    Signals
    -------
    changed(int)
        When an entry has changed, by its number; -1 stands for all.
    said(str, bool)
        As of `parts.widgets.Part`.
    """

    changed = Signal(int)
    said = Signal(str, bool)

    def __init__(self, parent: QObject | None) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []
        self.order: BatchOrder | None = None
        self._turn: list[int] = []
        self._runner = Runner(self)
        self._runner.stepped.connect(self._on_step)
        self._runner.ended.connect(self._on_end)

    @property
    def running(self) -> bool:
        """Whether files are being restored."""
        return self._runner.running

    @property
    def begun(self) -> bool:
        """Whether some of its files are done, and others are not."""
        states = {entry.state for entry in self.entries}
        return "done" in states and bool(states & {"waiting", "failed"})

    def take(self, paths: Iterable[Path]) -> None:
        """Take other files, all of which wait."""
        self.entries, self.order = [Entry(path) for path in paths], None
        self.changed.emit(-1)

    def start(self, order: BatchOrder) -> None:
        """Restore what is not done; with another order than before, everything."""
        going_on = order == self.order
        self.order = order
        for entry in self.entries:
            if not (going_on and entry.state in ("done", "left")):
                entry.state, entry.text, entry.result = "waiting", "", None
        self._turn = [i for i, entry in enumerate(self.entries) if entry.state == "waiting"]
        sources = [str(self.entries[i].path) for i in self._turn]
        # The table of a batch that goes on goes on, even where files are replaced.
        order = replace(order, anew=order.overwrite and not going_on)
        self._runner.start(partial(run_batch, sources, order, _told))
        self.said.emit("", False)
        self.changed.emit(-1)

    def cancel(self) -> None:
        """Stop after the tile in progress; what is done stays."""
        self._runner.cancel()

    def stop(self) -> None:
        """Cancel, and tell nobody of it any more: the window is being closed."""
        self._runner.stop()

    def _on_step(self, step: Any) -> None:
        if not self._turn:
            return
        at = self._turn[0]
        entry = self.entries[at]
        if isinstance(step, FileOutcome):
            self._turn.pop(0)
            if step.summary is not None:
                took = time_text(step.summary.seconds)
                entry.state, entry.text = "done", f"{step.summary.model}, {took}"
                entry.result = Path(step.summary.output)
            elif step.error is not None:
                entry.state, entry.text = "failed", step.said
            else:
                entry.state, entry.text = "left", step.left
        elif not isinstance(step, Progress):
            return
        elif step.stage == LOOKING:
            if step.total > 1:
                self.said.emit(f"{LOOKING}: {step.done + 1} of {step.total}", False)
            return
        else:
            if entry.state != "running":
                self.said.emit("", False)
            share = (step.done + step.part) / step.total if step.total else 0.0
            entry.state, entry.text = "running", f"{share:.0%}"
        self.changed.emit(at)

    def _on_end(self, end: End) -> None:
        for entry in self.entries:
            if entry.state == "running":
                entry.state, entry.text = "waiting", ""
        self._turn = []
        self.changed.emit(-1)
        if end.error:
            self.said.emit(end.error, True)
        elif end.cancelled:
            self.said.emit("Cancelled; what is done stays, and Go on does the rest.", False)
        else:
            self.said.emit(self.result_text(), any(e.state == "failed" for e in self.entries))

    def counts(self) -> str:
        """Say how many files there are of each state."""
        found = {
            words: sum(entry.state == state for entry in self.entries)
            for state, words in _WORDS.items()
        }
        total = len(self.entries)
        parts = [f"{number} {words}" for words, number in found.items() if number]
        files = "1 file" if total == 1 else f"{total} files"
        return f"{files}: {', '.join(parts)}." if total else ""

    def result_text(self) -> str:
        """Say what came of it, beside the counts."""
        assert self.order is not None
        failed = any(entry.state == "failed" for entry in self.entries)
        why = "Why files failed is in the list. " if failed else ""
        return f"{why}The table is {self.order.folder / SUMMARY}."


_WORDS: dict[State, str] = {
    "done": "done",
    "running": "running",
    "waiting": "waiting",
    "failed": "failed",
    "left": "left as they are",
}


def job_of(viewer: napari.Viewer, panel: QObject) -> BatchJob:
    """Return the batch of a viewer's window; without a window that of the panel."""
    window = viewer.window._qt_window if hasattr(viewer, "window") else None
    known = None if window is None else window.findChild(BatchJob)
    if known is not None:
        return known
    job = BatchJob(panel if window is None else window)
    if window is not None:
        window.destroyed.connect(job.stop)
    return job


def _told(error: Exception) -> str:
    """Say in a sentence why a file failed; the traceback of a defect is in napari's log."""
    if not isinstance(error, InputError):
        _log.error("a file of the batch failed", exc_info=error)
    return sentence_for(error, NO_MEMORY)
