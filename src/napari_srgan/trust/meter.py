"""The consistency of a whole run, gathered from its tiles in any order and in little memory.

A is linear, so what every tile gives of the degraded plane is added. LR pixels that look at one
tile only are measured at once; those near its borders wait as parts, which are summed when the
plane ends, or when meters of several processes have been merged.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.intensity import Intensity
from napari_srgan.io import schema
from napari_srgan.trust.consistency import (
    LEGEND,
    REMOVED_LEGEND,
    ConsistencyFinding,
    comparable,
    excluded_pixels,
    six_digits,
)
from napari_srgan.trust.operators import CONSISTENCY, Operator
from napari_srgan.trust.shrinking import Shrinking

_Parts = list[tuple[NDArray[np.intp], NDArray[np.float64]]]
"""Places in a plane, and parts of the residuals there in units of the range."""


@dataclass(slots=True)
class Sums:
    """What was measured on a plane, in units of the range: enough to add planes up.

    Attributes
    ----------
    squares : float
        Sum of the squares of the residuals.
    count : int
    largest : float
    """

    squares: float = 0.0
    count: int = 0
    largest: float = 0.0

    def add(self, residuals: NDArray[np.float64]) -> None:
        """Add residuals."""
        if residuals.size:
            self.squares += float(np.vdot(residuals, residuals))
            self.count += residuals.size
            self.largest = max(self.largest, float(np.abs(residuals).max()))

    def merge(self, other: Sums) -> None:
        """Add those of other pixels."""
        self.squares += other.squares
        self.count += other.count
        self.largest = max(self.largest, other.largest)

    @classmethod
    def of(cls, values: Any) -> Self:
        """Read what `astuple` gave and JSON has held; ValueError if it is none."""
        squares, count, largest = schema.several(schema.number, 3)(values)
        return cls(squares, int(count), largest)


def together(planes: Iterable[Sums]) -> tuple[float | None, float | None]:
    """Give root mean square and largest of all planes; None where nothing was measured.

    The sums are exact, so it does not matter in which order planes were made, or by how many.
    """
    found = list(planes)
    count = sum(p.count for p in found)
    if not count:
        return None, None
    mean = math.sqrt(math.fsum(p.squares for p in found) / count)
    return mean, max(p.largest for p in found)


class Interior(Protocol):
    """A tile as far as the meter sees it: where what is kept of it begins, LR pixels."""

    @property
    def y0(self) -> int:
        """First row."""

    @property
    def x0(self) -> int:
        """First column."""


class Meter:
    """Measures how far a run's results are from the measured data.

    Parameters
    ----------
    operator : Operator
        The degradation of the model.
    intensity : Intensity
        Of the run.
    shrink : Shrinking
        The operator on the region of a plane that is restored.
    corner : (int, int)
        Of that region in the plane, LR pixels.
    """

    def __init__(
        self,
        operator: Operator,
        intensity: Intensity,
        shrink: Shrinking,
        corner: tuple[int, int] = (0, 0),
    ) -> None:
        self._operator, self._intensity, self._shrink = operator, intensity, shrink
        self._corner = corner
        self._plane: tuple[int, ...] = ()
        self._channel = 0
        self._samples = 1
        self._excluded: NDArray[np.bool_] | None = None
        self._parts: defaultdict[tuple[int, ...], _Parts] = defaultdict(list)
        self._sums: defaultdict[tuple[int, ...], Sums] = defaultdict(Sums)

    def begin(
        self,
        plane: tuple[int, ...],
        channel: int = 0,
        invalid: tuple[NDArray[Any], NDArray[np.bool_]] | None = None,
    ) -> None:
        """Turn to a plane.

        Parameters
        ----------
        plane : tuple of int
            Its index.
        channel : int
            Position along C.
        invalid : (ndarray, ndarray of bool), optional
            Unfilled values and mask of the NaN of the region, (y, x[, S]).
        """
        self._plane, self._channel = plane, channel
        self._excluded = None
        if invalid is not None:
            excluded = excluded_pixels(invalid[1], self._operator)
            self._excluded = excluded[self._shrink.inside]

    def see(self, tile: Interior, low: NDArray[Any], high: NDArray[Any]) -> None:
        """Take the interior of a tile of the plane, input and result, invalid values filled.

        Parameters
        ----------
        tile : Interior
        low : ndarray, shape (h, w[, S])
        high : ndarray, shape (sy * h, sx * w[, S])
        """
        shrink, (sy, sx) = self._shrink, self._operator.scale
        if shrink.empty:
            return
        y, x = tile.y0 - self._corner[0], tile.x0 - self._corner[1]
        values, span = comparable(high, self._intensity, self._channel)
        rows, cols, part = shrink.down_part(values, sy * y, sx * x)
        measured, _ = comparable(low, self._intensity, self._channel)
        residual = -part
        own_rows = _overlap(rows, y - shrink.rows.start, measured.shape[0])
        own_cols = _overlap(cols, x - shrink.cols.start, measured.shape[1])
        residual[own_rows[0], own_cols[0]] += measured[own_rows[1], own_cols[1]]
        residual /= span
        whole = (
            shrink.rows.matrix.shape[1] // sy,
            shrink.cols.matrix.shape[1] // sx,
        )
        ours = tuple(
            _alone(touched, axis.start, at, size, reach, length)
            for touched, axis, at, size, reach, length in zip(
                (rows, cols), (shrink.rows, shrink.cols), (y, x), measured.shape,
                self._operator.reach, whole, strict=False,
            )
        )  # fmt: skip
        kept = np.ones(residual.shape[:2], bool)
        if self._excluded is not None:
            kept &= ~self._excluded[rows, cols]
        alone = np.zeros_like(kept)
        alone[ours] = True
        self._sums[self._plane].add(residual[alone & kept].ravel())
        seam = kept & ~alone
        if seam.any():
            n_cols, samples = shrink.cols.stop - shrink.cols.start, residual[0, 0].size
            self._samples = samples
            at_rows, at_cols = np.nonzero(seam)
            flat = ((at_rows + rows.start) * n_cols + at_cols + cols.start) * samples
            places = (flat[:, None] + np.arange(samples)).ravel()
            self._parts[self._plane].append((places, residual[seam].ravel()))

    def passed(self, row: int) -> None:
        """Learn that no tile comes any more that begins above this row of the plane.

        What waited for one is summed up, so that a plane of any size takes little memory.
        """
        rows = self._shrink.rows
        below = row - self._corner[0] - self._operator.reach[0] - rows.start
        self._settle(self._plane, min(max(below, 0), rows.stop - rows.start))

    def end(self) -> Sums:
        """Finish the plane, of which all tiles have been seen, and say what was found on it."""
        self._settle(self._plane)
        return self._sums[self._plane]

    def note(self, plane: tuple[int, ...], sums: Sums) -> None:
        """Take what another meter's `end` has found on a plane."""
        self._sums[plane] = sums

    def merge(self, other: Meter) -> None:
        """Add what another meter saw of other tiles, of these planes or of others."""
        for plane, sums in other._sums.items():
            self._sums[plane].merge(sums)
        for plane, parts in other._parts.items():
            self._parts[plane] += parts

    def finding(self) -> ConsistencyFinding:
        """Say what was found; planes that were not ended are taken to be complete."""
        for plane in list(self._parts):
            self._settle(plane)
        mean, largest = together(self._sums.values())
        definite = self._operator.kind == CONSISTENCY
        return ConsistencyFinding(
            kind=self._operator.kind,
            degradation=self._operator.name,
            rmse_percent=None if mean is None else six_digits(100 * mean),
            max_percent=None if largest is None else six_digits(100 * largest),
            legend=LEGEND if definite else REMOVED_LEGEND,
        )

    def _settle(self, plane: tuple[int, ...], rows: int | None = None) -> None:
        """Sum the parts that wait for other tiles of a plane, in its first rows or in all."""
        parts = self._parts.pop(plane, [])
        if not parts:
            return
        places = np.concatenate([at for at, _ in parts])
        values = np.concatenate([v for _, v in parts])
        if rows is not None:
            shrink = self._shrink
            width = (shrink.cols.stop - shrink.cols.start) * self._samples
            later = places >= rows * width
            if later.any():
                self._parts[plane] = [(places[later], values[later])]
            places, values = places[~later], values[~later]
        _, which = np.unique(places, return_inverse=True)
        self._sums[plane].add(np.bincount(which, values).astype(np.float64, copy=False))


def _overlap(touched: slice, start: int, size: int) -> tuple[slice, slice]:
    """Find the part of start .. start + size that lies in `touched`, counted from either."""
    first, last = max(touched.start, start), min(touched.stop, start + size)
    last = max(first, last)
    return (
        slice(first - touched.start, last - touched.start),
        slice(first - start, last - start),
    )


def _alone(touched: slice, inside: int, at: int, size: int, reach: int, length: int) -> slice:
    """Find the LR pixels of `touched` that look at no other tile along one axis.

    Those of the tile `at` .. `at + size` but for `reach` beside a border with another tile; the
    borders of the region of `length` are none.
    """
    first = at + (reach if at > 0 else 0) - inside - touched.start
    last = at + size - (reach if at + size < length else 0) - inside - touched.start
    n = touched.stop - touched.start
    first = min(max(first, 0), n)
    return slice(first, max(first, min(last, n)))
