"""How fast a training is, and how long the rest of it takes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from training.timetable import Timetable

_NEWEST = 0.3  # weight of the newest measurement, so that one slow moment changes little


class Forecast:
    """How long the rest of a training takes, from what each of its parts has cost so far.

    Parameters
    ----------
    timetable : Timetable
    """

    def __init__(self, timetable: Timetable) -> None:
        self._table = timetable
        self._cost: dict[str, float] = {}  # seconds for each HR pixel of a crop, by phase
        self._rough: set[str] = set()
        self._validation = 0.0

    def steps_took(self, first: int, last: int, seconds: float, *, rough: bool = False) -> None:
        """Learn from steps of one phase; what was learned roughly, the next ones replace."""
        phase = self._table.phase(last)
        area = self._table.crop_area_left(phase, first - 1)
        self._learn(phase, seconds / (area - self._table.crop_area_left(phase, last)), rough)

    def step_would_take(self, step: int, crop: int, seconds: float) -> None:
        """Learn from a step that was tried out before its phase."""
        self._learn(self._table.phase(step), seconds / crop**2, rough=True)

    def validation_took(self, seconds: float) -> None:
        """Learn from a validation."""
        self._validation = seconds

    def _learn(self, phase: str, cost: float, rough: bool) -> None:
        former = self._cost.get(phase)
        known = former is not None and phase not in self._rough
        self._cost[phase] = former + _NEWEST * (cost - former) if known and former else cost
        (self._rough.add if rough else self._rough.discard)(phase)

    def seconds_left(self, step: int) -> float:
        """Return how long it takes from a step that is done to the end."""
        table = self._table
        steps = sum(table.crop_area_left(phase, step) * cost for phase, cost in self._cost.items())
        validations = (table.total - step) // table.recipe.validate_every + 1
        return steps + validations * self._validation


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
