"""The work itself, as generators that run in a thread and can be cancelled.

What belongs here: turning requests into outcomes without touching a layer or a widget. An
error becomes an outcome with a sentence: it must not leave the generator, because napari's
worker swallows a RuntimeError (torch's own kind) without a sign of life.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_srgan.errors import InputError

if TYPE_CHECKING:
    from napari_srgan.engine.upscaler import Job, Plan, Result
    from napari_srgan.image.stack import Stack
    from napari_srgan.io.sinks import Sink

_log = logging.getLogger(__name__)
FAILED = (
    "The work stopped because of a defect in the program; the details are in the log (Help > "
    "Show logs, or the terminal). Please report them."
)


@dataclass(frozen=True)
class Request:
    """One thing to restore, and where to put it."""

    stack: Stack
    job: Job
    sink: Callable[[], Sink]


@dataclass(frozen=True)
class Step:
    """How far the work is: `part` of `parts` requests, tiles done and to do, time left in s."""

    part: int
    parts: int
    done: int = 0
    total: int = 0
    eta: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Made:
    """One restored request."""

    plan: Plan
    result: Result
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How the work ended: with results, cancelled, or with the sentence of an error."""

    made: tuple[Made, ...] = ()
    cancelled: bool = False
    error: str = ""
    warnings: tuple[str, ...] = field(default=())


class Engines:
    """Keeps the last upscaler, because building one (weights, folding, device) takes a second."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._engine: Any = None

    def get(self, model: Any, device: str, precision: str) -> Any:
        """Return an upscaler for this model, device and precision."""
        from napari_srgan.engine.upscaler import Upscaler

        key = (model.sha256, device, precision)
        if key != self._key:
            self._engine = None  # free its memory before the next one takes its own
            self._engine = Upscaler(model, device, precision)
            self._key = key
        return self._engine


def restore(
    requests: Sequence[Request], engines: Engines, cancel: threading.Event
) -> Generator[Step, None, Outcome]:
    """Restore the requests one after the other.

    Parameters
    ----------
    requests : sequence of Request
        What to do.
    engines : Engines
        Kept between calls.
    cancel : threading.Event
        Once set, the work ends after the tile in progress and nothing half-made stays.

    Yields
    ------
    Step
        After every tile.

    Returns
    -------
    Outcome
        Never raises.
    """
    made: list[Made] = []
    warnings: list[str] = []
    parts = len(requests)
    try:
        for part, request in enumerate(requests):
            yield Step(part, parts, note="Loading the model, measuring the image")
            if cancel.is_set():
                return Outcome(cancelled=True)
            one = yield from _one(request, engines, cancel, part, parts)
            if one is None:
                return Outcome(cancelled=True)
            made.append(one)
            warnings += [w for w in one.plan.warnings if w not in warnings]
        return Outcome(tuple(made), warnings=tuple(warnings))
    except Exception as error:
        return Outcome(error=failure(error))


def failure(error: Exception) -> str:
    """Say in a sentence why work failed; called where the exception is being handled."""
    if isinstance(error, InputError):
        return str(error)
    _log.exception("the work failed")
    if isinstance(error, MemoryError):
        return (
            "There is not enough memory for the result; set Advanced > Output to a file, or "
            "restore fewer slices or a smaller area."
        )
    if isinstance(error, OSError):
        return f"Reading or writing failed: {error.strerror or error}."
    return FAILED


def _one(
    request: Request, engines: Engines, cancel: threading.Event, part: int, parts: int
) -> Generator[Step, None, Made | None]:
    """Restore one request; None if it was cancelled."""
    from napari_srgan.engine.upscaler import plan

    planned = plan(request.stack, request.job)
    engine = engines.get(planned.model, request.job.device, request.job.precision)
    started = time.perf_counter()
    run = engine.run(planned, request.sink())
    try:
        while True:
            try:
                step = next(run)
            except StopIteration as end:
                return Made(planned, end.value, time.perf_counter() - started)
            yield Step(part, parts, step.done, step.total, step.eta, step.note)
            if cancel.is_set():
                return None
    finally:
        run.close()  # an unfinished run aborts its sink: no half-made layer, no partial file
