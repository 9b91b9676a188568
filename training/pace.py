"""How a training gets on between two lines of its log: losses, speed, and waits for crops."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Pace:
    """Means of losses, steps per second and the device's share of the time, between two logs."""

    def __init__(self) -> None:
        self._reset()
        self._since = time.monotonic()

    def _reset(self) -> None:
        self._losses: dict[str, list[torch.Tensor]] = defaultdict(list)
        self._steps, self._waited, self._paused = 0, 0.0, 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time a wait for crops."""
        start = time.monotonic()
        yield
        self._waited += time.monotonic() - start

    def add(self, losses: dict[str, torch.Tensor]) -> None:
        """Count a step. The losses stay on the device: reading them would make it wait."""
        self._steps += 1
        for key, value in losses.items():
            self._losses[key].append(value)
        self._worked = time.monotonic()

    def pause(self) -> None:
        """Leave out of the pace what was done since the last step: a validation."""
        self._paused += time.monotonic() - self._worked

    def take(self) -> dict[str, Any]:
        """Return what has been gathered, and begin anew."""
        now = time.monotonic()
        seconds = max(now - self._since - self._paused, 1e-9)
        values = {k: float(torch.stack(v).mean()) for k, v in self._losses.items()}
        values |= {
            "seconds": seconds,
            "steps_per_second": self._steps / seconds,
            "device_share": max(0.0, 1 - self._waited / seconds),
        }
        self._reset()
        self._since = now
        return values
