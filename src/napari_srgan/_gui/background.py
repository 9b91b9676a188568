"""Work in a thread of its own, told of on the GUI thread, cancelled between two steps.

What belongs here: the bridge between a generator and Qt for the short and long jobs of Compare.
Not napari's workers: they share one pool of as many threads as there are cores, so on two cores a
restoration and a measured stack would keep the figures of the slice in view waiting. And results
are fetched by a timer, because a signal to a window that was closed meanwhile ends the process.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_srgan._gui.worker import FAILED
from napari_srgan.errors import InputError

_log = logging.getLogger(__name__)
_POLL = 10  # ms

Work = Callable[[], Generator[Any, None, Any]]


@dataclass(frozen=True)
class End:
    """How a job ended: with a result, cancelled, or with the sentence of an error."""

    result: Any = None
    cancelled: bool = False
    error: str = ""


class Background(QObject):
    """One job at a time.

    Signals
    -------
    stepped(object)
        What the generator yielded.
    ended(End)
        Once for every start.
    """

    stepped = Signal(object)
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cancel, self._done = threading.Event(), threading.Event()
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._running = False
        self._poll = QTimer(self)
        self._poll.setInterval(_POLL)
        self._poll.timeout.connect(self._fetch)

    @property
    def running(self) -> bool:
        """Whether a job is going on."""
        return self._running

    def start(self, work: Work) -> None:
        """Start a job: a function without arguments that returns a generator."""
        if self._running:
            raise RuntimeError("a job is running already")
        self._running = True
        self._cancel, self._done = threading.Event(), threading.Event()
        self._told = queue.SimpleQueue()
        threading.Thread(
            target=_run,
            args=(work, self._cancel, self._told, self._done),
            name="napari-srgan compare",
        ).start()
        self._poll.start()

    def cancel(self) -> None:
        """Ask the job to end; it does at its next step."""
        self._cancel.set()

    def wait(self, seconds: float) -> None:
        """Give the job the processor for a moment, and tell at once what it has found."""
        self._done.wait(seconds)
        self._fetch()

    def stop(self) -> None:
        """Cancel, and tell nobody any more; for a panel that closes."""
        self.cancel()
        self._poll.stop()

    def _fetch(self) -> None:
        told = self._told
        while self._running and told is self._told:
            try:
                kind, what = told.get_nowait()
            except queue.Empty:
                return
            if kind == "step":
                self.stepped.emit(what)
                continue
            self._running = False
            self._poll.stop()
            self.ended.emit(what)


class Lane(QObject):
    """Does the last thing that was asked for; what was asked before is given up.

    Signals
    -------
    found(object)
        What the job that counts yielded.
    idle()
        When nothing is left to do.
    """

    found = Signal(object)
    idle = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = Background(self)
        self._next: Work | None = None
        self._background.stepped.connect(self._on_step)
        self._background.ended.connect(self._on_end)

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return self._background.running or self._next is not None

    def ask(self, work: Work) -> None:
        """Start this as soon as the job that is running has noticed that it is cancelled."""
        if self._background.running:
            self._next = work
            self._background.cancel()
        else:
            self._background.start(work)

    def wait(self, seconds: float) -> None:
        """Let a quick job end before what comes next on the GUI thread, a drawing for instance."""
        end = time.perf_counter() + seconds
        while self.busy and (left := end - time.perf_counter()) > 0:
            self._background.wait(left)

    def forget(self) -> None:
        """Give up what is running."""
        self._next = None
        self._background.cancel()

    def stop(self) -> None:
        """Give up, and tell nobody any more."""
        self._next = None
        self._background.stop()

    def _on_step(self, found: Any) -> None:
        if self._next is None and not self._background._cancel.is_set():
            self.found.emit(found)

    def _on_end(self, end: End) -> None:
        if self._next is not None:
            work, self._next = self._next, None
            self._background.start(work)
            return
        if end.error:
            self.found.emit(end)
        self.idle.emit()


def _run(
    work: Work, cancel: threading.Event, told: queue.SimpleQueue[Any], done: threading.Event
) -> None:
    end = End(cancelled=True)
    steps = None
    try:
        steps = work()
        while not cancel.is_set():
            try:
                told.put(("step", next(steps)))
            except StopIteration as stop:
                end = End(result=stop.value)
                break
    except InputError as error:
        end = End(error=str(error))
    except MemoryError:
        _log.exception("out of memory")
        end = End(error="There is not enough memory; close other layers, or take fewer slices.")
    except OSError as error:
        _log.exception("reading failed")
        end = End(error=f"Reading failed: {error.strerror or error}.")
    except Exception:
        _log.exception("the job failed")
        end = End(error=FAILED)
    finally:
        if steps is not None:
            steps.close()  # what is half-made is given up
        told.put(("end", end))
        done.set()
