"""The one bridge between threads and the window.

A work is a generator: it yields how far it is, returns its result and raises its errors. It runs in
a plain thread of its own and is told of on the GUI thread by a timer that looks into a queue. Not
napari's workers: they share a pool of as many threads as there are cores, so that on two cores a
restoration would keep the figures of the slice in view waiting; superqt's worker drops a
RuntimeError, torch's own kind; and a signal to a window that was closed meanwhile ends the process.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui.sentences import progress_text
from napari_srgan.errors import InputError
from napari_srgan.tasks.steps import Progress, sentence_for

_log = logging.getLogger(__name__)
_POLL = 10  # ms
_FINE = 100  # steps of the bar for a tile, which tells of parts of itself
NO_MEMORY = (
    "There is not enough memory; restore fewer slices or a smaller area, set Advanced > Output to "
    "a file, or close other layers."
)

Work = Callable[[], Generator[Any, None, Any]]
Say = Callable[..., None]
"""Shows a sentence: `say(text, error=False)`."""


@dataclass(frozen=True)
class End:
    """How a work ended: with a result, cancelled, or with the sentence of an error."""

    result: Any = None
    cancelled: bool = False
    error: str = ""


def said(error: Exception) -> str:
    """Say in a sentence why work failed; called where the exception is being handled.

    The traceback of all but an `InputError` is in napari's log, where people look first.
    """
    if not isinstance(error, InputError):
        _log.exception("the work failed")
    return sentence_for(error, NO_MEMORY)


@contextmanager
def errors_said(say: Say) -> Iterator[None]:
    """Turn an exception into a sentence that is said; napari would show the traceback."""
    try:
        yield
    except Exception as error:
        say(said(error), error=True)


class Runner(QObject):
    """Runs one work at a time.

    A work is cancelled between two steps by closing its generator, so that nothing half-made
    stays; that happens too when the program ends. It should hold no widget: the last one to let go
    of a widget destroys it, and that must not be its thread.

    Signals
    -------
    stepped(object)
        What the generator yielded.
    ended(End)
        Once for every start, unless it was stopped.
    """

    stepped = Signal(object)
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job: _Job | None = None
        self._poll = QTimer(self)
        self._poll.setInterval(_POLL)
        self._poll.timeout.connect(self._fetch)
        QCoreApplication.instance().aboutToQuit.connect(self.cancel)

    @property
    def running(self) -> bool:
        """Whether a work is going on."""
        return self._job is not None

    @property
    def cancelling(self) -> bool:
        """Whether the work that is going on has been asked to end."""
        return self._job is not None and self._job.cancelled.is_set()

    def start(self, work: Work) -> None:
        """Start a work: a function without arguments that returns a generator."""
        if self.running:
            raise RuntimeError("the runner is busy")
        self._job = _Job(work)
        self._job.start()
        self._poll.start()

    def cancel(self) -> None:
        """Ask the work to end; it does at its next step."""
        if self._job is not None:
            self._job.cancelled.set()

    def stop(self) -> None:
        """Cancel, and tell nobody of it any more."""
        self.cancel()
        self._job = None
        self._poll.stop()

    def wait(self, seconds: float) -> None:
        """Give the work the processor for a moment, and tell at once what it has found."""
        if self._job is not None:
            self._job.join(seconds)
        self._fetch()

    def _fetch(self) -> None:
        job = self._job
        while job is not None and job is self._job:  # who is told may stop it
            try:
                told = job.told.get_nowait()
            except queue.Empty:
                return
            if isinstance(told, End):
                self._job = None
                self._poll.stop()
                self.ended.emit(told)
            else:
                self.stepped.emit(told)


class _Job(threading.Thread):
    """The thread of one work; what it tells is in a queue, and an End is the last of it."""

    def __init__(self, work: Work) -> None:
        super().__init__(name="napari-srgan work")
        self._work = work
        self.cancelled = threading.Event()
        self.told: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self) -> None:
        """Go on step by step, to the end or until cancelled."""
        end, steps = End(cancelled=True), None
        try:
            steps = self._work()
            while not self.cancelled.is_set():
                self.told.put(next(steps))
        except StopIteration as stop:
            end = End(result=stop.value)
        except Exception as error:
            # Of a work that was given up nobody wants to hear; when the program ends, its pools of
            # threads are closed before it has noticed.
            if not self.cancelled.is_set():
                end = End(error=said(error))
        finally:
            if steps is not None:
                steps.close()  # what is half-made is given up
            self.told.put(end)


class LastQuestion(QObject):
    """Answers the last question that was asked; those before are given up.

    Signals
    -------
    found(object)
        What the work that counts yielded, or its `End` if that is an error.
    idle()
        When nothing is left to do.
    """

    found = Signal(object)
    idle = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = Runner(self)
        self._next: Work | None = None
        self._runner.stepped.connect(self._on_step)
        self._runner.ended.connect(self._on_end)

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return self._runner.running or self._next is not None

    def ask(self, work: Work) -> None:
        """Start this as soon as the work that is running has noticed that it is cancelled."""
        if self._runner.running:
            self._next = work
            self._runner.cancel()
        else:
            self._runner.start(work)

    def wait(self, seconds: float) -> None:
        """Let a quick work end before what comes next on the GUI thread, a drawing for instance."""
        end = time.perf_counter() + seconds
        while self.busy and (left := end - time.perf_counter()) > 0:
            self._runner.wait(left)

    def forget(self) -> None:
        """Give up what is running."""
        self._next = None
        self._runner.cancel()

    def _on_step(self, found: Any) -> None:
        if not self._runner.cancelling:
            self.found.emit(found)

    def _on_end(self, end: End) -> None:
        if self._next is not None:
            work, self._next = self._next, None
            self._runner.start(work)
            return
        if end.error:
            self.found.emit(end)
        self.idle.emit()


class RunnerBar(QWidget):
    """A runner with a progress bar and Cancel; hidden while nothing runs.

    Parameters
    ----------
    numbers : str, optional
        What stands on the bar, in Qt's format, for instance "%v of %m". Without, a line under the
        bar tells of tiles and of the time left.

    Signals
    -------
    stepped(object)
        What the work yielded: `Progress`, or what it has found.
    ended(End)
        When all that follows from the end has been done.
    """

    stepped = Signal(object)
    ended = Signal(object)

    def __init__(self, numbers: str = "") -> None:
        super().__init__()
        self._runner = Runner(self)
        self._told: tuple[Callable[[Any], None], Say, str]
        self._focus: tuple[QWidget | None, QWidget | None] = (None, None)
        self._numbers = numbers
        self.bar = QProgressBar()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.cancel_button = QPushButton("Cancel")
        if numbers:
            self.bar.setFormat(numbers)
            self.text.hide()
        else:
            self.cancel_button.setToolTip("Stop; nothing is kept")
        self.cancel_button.clicked.connect(self.cancel)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.text)
        self._runner.stepped.connect(self._on_step)
        self._runner.ended.connect(self._on_end)
        self.setVisible(False)

    @property
    def running(self) -> bool:
        """Whether a work is going on."""
        return self._runner.running

    def start(
        self,
        work: Work,
        show: Callable[[Any], None],
        say: Say,
        cancelled: str = "Cancelled; nothing was kept.",
    ) -> None:
        """Start a work.

        Parameters
        ----------
        work : callable
            Returns a generator of `Progress`.
        show : callable
            Called with the result.
        say : callable
            Called with a sentence if there is none, or if it cannot be shown.
        cancelled : str
            The sentence if it was cancelled.
        """
        # Neither a spinner nor a bar that runs to and fro: they redraw the whole window many times
        # a second, and without a graphics card that takes the CPU from the network.
        self._runner.start(work)
        self._told = show, say, cancelled
        self._focus = self.window().focusWidget(), None
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.text.setText("Starting")
        self.cancel_button.setEnabled(True)
        self.setVisible(True)

    def cancel(self) -> None:
        """Ask the work to end; it does at its next step."""
        self._runner.cancel()
        self.cancel_button.setEnabled(False)
        self.text.setText("Cancelling")

    def stop(self) -> None:
        """Cancel, and tell nobody of it any more."""
        self._runner.stop()
        self.setVisible(False)

    def _on_step(self, step: Any) -> None:
        if self._runner.cancelling:
            return
        if self._focus[1] is None:
            self._focus = self._focus[0], self.window().focusWidget()
        if isinstance(step, Progress):
            self._tell(step)
        self.stepped.emit(step)

    def _tell(self, step: Progress) -> None:
        parts = [step.stage] if step.stage else []
        if step.total:
            fine = 1 if self._numbers else _FINE
            self.bar.setRange(0, fine * step.total)
            self.bar.setValue(int(fine * (step.done + step.part)))
            parts.append(progress_text(step.done, step.total, step.eta))
        note = f" ({step.note})" if step.note else ""
        self.text.setText(": ".join(parts) + note)

    def _on_end(self, end: End) -> None:
        show, say, cancelled = self._told
        now = self.window().focusWidget()
        self.setVisible(False)
        if end.error:
            say(end.error, error=True)
        elif end.cancelled:
            say(cancelled)
        else:
            with errors_said(say):
                show(end.result)
        self.ended.emit(end)
        # A button that cannot be pressed while it works loses the focus; nobody has moved it.
        former, taken = self._focus
        self._focus = (None, None)
        if former is not None and now in (taken, self.cancel_button):
            with suppress(RuntimeError):  # it may be gone
                former.setFocus()
