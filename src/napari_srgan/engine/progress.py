"""How far work is and how long it will take; and running a generator of work to its end.

Long work is a generator: it yields `Progress`, returns its result, and is cancelled by closing it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

_REMEMBERED = 20  # steps that the time left is estimated from

Result = TypeVar("Result")
Work = Generator["Progress", None, Result]
"""Work that tells how far it is and returns a result."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is.

    Attributes
    ----------
    done, total : int
        Steps of this stage: tiles, slices or files. A total of 0 is one that is not known yet.
    eta : float or None
        Estimated seconds left of this stage.
    note : str
        A sentence for the user when something out of the ordinary happened, else empty.
    stage : str
        What is being done, for people; empty where there is but one stage.
    part : float
        What is done beyond the steps that are, in steps, where that is known.
    """

    done: int
    total: int
    eta: float | None = None
    note: str = ""
    stage: str = ""
    part: float = 0.0


_here = threading.local()


@contextmanager
def counting(count: Callable[[float], object]) -> Iterator[None]:
    """Have the layers that this thread computes tell of their multiplications."""
    _here.count = count
    try:
        yield
    finally:
        del _here.count


def count_work(multiplications: float) -> None:
    """Tell of work to who is `counting` in this thread, if anybody is."""
    count = getattr(_here, "count", None)
    if count is not None:
        count(multiplications)


class Clock:
    """Times the steps of work; the time in which the caller holds it up does not count."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)
        self._started = time.perf_counter()
        self._paused = 0.0

    def step(self) -> None:
        """Note that a step is done."""
        now = time.perf_counter()
        self._seconds.append(now - self._started)
        self._started = now

    def pause(self) -> None:
        """Stop until `go_on`."""
        self._paused = time.perf_counter()

    def go_on(self) -> None:
        """Go on after `pause`."""
        self._started += time.perf_counter() - self._paused

    def left(self, steps: float, part: float = 0.0) -> float | None:
        """Estimate the seconds that so many steps will take.

        Before the first is done, by the part of it that is; None where that is nothing.
        """
        if not self._seconds:
            return steps * (time.perf_counter() - self._started) / part if part else None
        return steps * sum(self._seconds) / len(self._seconds)


def drain(
    steps: Generator[Any, None, Result], progress: Callable[[Any], object] | None = None
) -> Result:
    """Run work to its end, handing each step to `progress`.

    Parameters
    ----------
    steps : generator
        Work; closed in every case, so that nothing half-made is left if `progress` raises.
    progress : callable, optional
        Called with everything that is yielded.

    Returns
    -------
    object
        What the generator returned.
    """
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            if progress is not None:
                progress(step)
    finally:
        steps.close()
