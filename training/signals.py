"""Ctrl-C and a request to end: noted, so that a training stops between two steps."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class Signals:
    """Notes the first SIGINT or SIGTERM while it is entered; a second one ends at once.

    Attributes
    ----------
    came : int
        Number of the signal that came, or 0.
    """

    def __init__(self) -> None:
        self.came = 0
        self._former: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._former[number] = signal.signal(number, self._note)  # type: ignore[assignment]
            except ValueError:  # not the main thread: signals are not ours to handle
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = number

    @property
    def exit_code(self) -> int:
        """What a program that was ended by this signal returns."""
        return 128 + (self.came or signal.SIGINT)
