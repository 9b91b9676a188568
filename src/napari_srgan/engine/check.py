"""What a run does so that its result can be trusted: measure its consistency, project it back.

What belongs here: handing tiles on to `trust.meter`, and keeping a plane whole where it is to be
projected. What these do is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.plan import Plan
from napari_srgan.engine.tiles import Tile
from napari_srgan.errors import InputError
from napari_srgan.image.invalid import put_back
from napari_srgan.trust.back_projection import Projection, back_project
from napari_srgan.trust.consistency import excluded_pixels
from napari_srgan.trust.meter import Meter
from napari_srgan.trust.operators import operator_of
from napari_srgan.trust.shrinking import shrinking

Invalid = tuple[NDArray[Any], NDArray[np.bool_]] | None
"""Unfilled values and mask of a part, as `Plane.invalid` gives them."""


class Check:
    """The measured side of one run.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self.projects = plan, plan.job.back_project
        (y0, y1), (x0, x1) = plan.region["Y"], plan.region["X"]
        self.whole = Tile(y0, y1, x0, x1, y0, y1, x0, x1)
        self._meter: Meter | None = None
        self._low: NDArray[Any] | None = None
        self._high: NDArray[Any] | None = None
        self._invalid: Invalid = None
        self._channel, self._squares, self._count, self._largest = 0, 0.0, 0, 0.0
        self._levels, self._iterations = 0.0, 0
        try:
            operator = operator_of(plan.model.card)
        except InputError:  # the plan's warnings say so
            return
        cuts = (y0 > 0, y1 < plan.stack.height, x0 > 0, x1 < plan.stack.width)
        self._operator = operator
        self._shrink = shrinking(operator, y1 - y0, x1 - x0, cuts)
        self._meter = Meter(operator, plan.intensity, self._shrink)

    def begin(self, channel: int, invalid: Invalid) -> None:
        """Start a plane; `invalid` is that of `whole`."""
        self._channel, self._invalid = channel, invalid
        if self._meter is not None:
            self._meter.begin(channel, None if invalid is None else invalid[1])

    def reach(self, planned: Tile) -> None:
        """Hear which of the plan's tiles is next: at a new row of tiles, former rows are done."""
        if self._meter is not None and planned.x0 == self.whole.x0:
            self._meter.advance(planned.y0 - self.whole.y0)

    def add(self, tile: Tile, low: NDArray[Any], high: NDArray[Any]) -> None:
        """Take the interior of a tile, input and result, invalid values filled in both."""
        y, x = tile.y0 - self.whole.y0, tile.x0 - self.whole.x0
        if self._meter is not None:
            self._meter.add(low, high, y, x)
        if self.projects:
            self._keep(low, high, y, x)

    def end(self) -> Iterator[None]:
        """Finish the plane, project it if that was asked for; steps so that work can be stopped."""
        if self._meter is not None:
            self._meter.end()
        if self.projects:
            assert self._low is not None and self._high is not None
            colours = self._high[..., :3] if self._high.ndim == 3 else self._high
            steps = back_project(self._low, colours, self._shrink)
            while True:
                try:
                    next(steps)
                except StopIteration as finished:
                    projection: Projection = finished.value
                    break
                yield
            colours[...] = projection.data
            self._note(projection)

    def take(self) -> NDArray[Any]:
        """Give the projected plane away, with NaN put back."""
        high = self._high
        assert high is not None
        if self._invalid is not None:
            put_back(high, *self._invalid, self._plan.scale)
        self._high = self._low = None
        return high

    def entries(self) -> dict[str, Any]:
        """Give what the record states: "consistency" and "back_projection", None where not done."""
        found: dict[str, Any] = {"consistency": None, "back_projection": None}
        if self._meter is not None:
            found["consistency"] = self._meter.entry()
        if self.projects:
            mean = math.sqrt(self._squares / self._count) if self._count else None
            found["back_projection"] = {
                "degradation": self._operator.name,
                "rmse_percent": None if mean is None else 100 * mean,
                "max_percent": 100 * self._largest if self._count else None,
                "max_residual": self._levels if self._count else None,
                "within_rounding": self._levels <= 0.5 or self._plan.stack.dtype.kind == "f",
                "iterations": self._iterations,
            }
        return found

    def _keep(self, low: NDArray[Any], high: NDArray[Any], y: int, x: int) -> None:
        (sy, sx), whole = self._plan.scale, self.whole
        low = low[..., :3] if low.ndim == 3 else low
        if self._low is None or self._high is None:
            height, width = whole.y1 - whole.y0, whole.x1 - whole.x0
            try:
                self._low = np.empty((height, width, *low.shape[2:]), low.dtype)
                self._high = np.empty((sy * height, sx * width, *high.shape[2:]), high.dtype)
            except MemoryError:
                raise InputError(
                    "Back-projection holds a plane of the result whole, and there is not enough "
                    "memory for that; restore a smaller region."
                ) from None
        self._low[y : y + low.shape[0], x : x + low.shape[1]] = low
        y, x = sy * y, sx * x
        self._high[y : y + high.shape[0], x : x + high.shape[1]] = high

    def _note(self, projection: Projection) -> None:
        residual = projection.residual
        if self._invalid is not None:
            excluded = excluded_pixels(self._invalid[1], self._operator)
            residual = residual[~excluded[self._shrink.inside]]
        self._iterations = max(self._iterations, projection.iterations)
        if residual.size:
            intensity = self._plan.intensity
            span = (intensity.hi[self._channel] - intensity.lo[self._channel]) or 1.0
            largest = float(np.abs(residual).max())
            self._squares += float(np.vdot(residual, residual)) / span**2
            self._count += residual.size
            self._levels = max(self._levels, largest)
            self._largest = max(self._largest, largest / span)
