"""Connections to napari's events that end with the panel.

What belongs here: connecting and disconnecting, so that a closed panel hears no more events.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Connections:
    """The event connections of one panel."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., Any]]] = []

    def connect(self, emitter: Any, callback: Callable[..., Any]) -> None:
        """Connect a callback to a napari event and remember it."""
        emitter.connect(callback)
        self._made.append((emitter, callback))

    def disconnect_from(self, *emitters: Any) -> None:
        """Disconnect everything, or only what hangs on the given events."""
        kept = []
        for emitter, callback in self._made:
            if emitters and not any(emitter is given for given in emitters):
                kept.append((emitter, callback))
                continue
            # The layer or the viewer may have gone first.
            with suppress(ValueError, TypeError, RuntimeError):
                emitter.disconnect(callback)
        self._made = kept
