"""The consistency of a whole run, gathered while its tiles are made, in the memory of one tile row.

What belongs here: adding up, and the entry for the record. A is linear, so what every tile gives
of the degraded plane is added; rows that no later tile can touch are measured and forgotten.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.intensity import Intensity
from napari_srgan.trust.consistency import LEGEND, REMOVED_LEGEND, comparable, excluded_pixels
from napari_srgan.trust.operators import CONSISTENCY, Operator
from napari_srgan.trust.shrinking import Shrinking


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
    """

    def __init__(self, operator: Operator, intensity: Intensity, shrink: Shrinking) -> None:
        self._operator, self._intensity, self._shrink = operator, intensity, shrink
        self._channel, self._first = 0, 0
        self._excluded: NDArray[np.bool_] | None = None
        self._residual: NDArray[np.float64] | None = None
        self._squares, self._count, self._largest = 0.0, 0, 0.0

    def begin(self, channel: int, invalid: NDArray[np.bool_] | None = None) -> None:
        """Start a plane; `invalid` marks the NaN of its region, (y, x[, S])."""
        self._channel, self._first, self._residual = channel, 0, None
        self._excluded = None if invalid is None else excluded_pixels(invalid, self._operator)

    def add(self, low: NDArray[Any], high: NDArray[Any], y: int, x: int) -> None:
        """Take a part of the plane.

        Parameters
        ----------
        low : ndarray, shape (h, w[, S])
            The stored input of the part, invalid values filled.
        high : ndarray, shape (sy * h, sx * w[, S])
            Its result.
        y, x : int
            Corner of the part in the region, LR pixels; not above the last `advance`.
        """
        (sy, sx), shrink = self._operator.scale, self._shrink
        if shrink.empty:
            return
        values, _ = comparable(high, self._intensity, self._channel)
        rows, cols, part = shrink.down_part(values, sy * y, sx * x)
        measured, _ = comparable(low, self._intensity, self._channel)
        n_rows, n_cols = (axis.stop - axis.start for axis in (shrink.rows, shrink.cols))
        ours = [
            (max(0, at - axis.start), min(n, at + size - axis.start))
            for at, size, axis, n in zip(
                (y, x), measured.shape, (shrink.rows, shrink.cols), (n_rows, n_cols), strict=False
            )
        ]
        self._hold(max(rows.stop, ours[0][1]), n_cols, measured.shape[2:])
        assert self._residual is not None
        self._residual[rows.start - self._first : rows.stop - self._first, cols] -= part
        (a, b), (c, d) = ours
        if a < b and c < d:
            top, left = shrink.rows.start - y, shrink.cols.start - x
            self._residual[a - self._first : b - self._first, c:d] += measured[
                a + top : b + top, c + left : d + left
            ]

    def advance(self, y: int) -> None:
        """Measure the rows that no part from LR row `y` of the region on can touch."""
        self._measure(y - self._operator.reach[0] - self._shrink.rows.start)

    def end(self) -> None:
        """Finish the plane."""
        self._measure(self._shrink.rows.stop - self._shrink.rows.start)

    def entry(self) -> dict[str, Any]:
        """Give what the record of the result states.

        Returns
        -------
        dict
            kind ("consistency" or "removed signal"), degradation, rmse_percent and max_percent
            (over all planes and samples; in % of hi - lo of the intensity range of each channel,
            which is 255 for uint8; None if nothing could be measured), legend.
        """
        known = self._count > 0
        definite = self._operator.kind == CONSISTENCY
        return {
            "kind": self._operator.kind,
            "degradation": self._operator.name,
            "rmse_percent": 100 * math.sqrt(self._squares / self._count) if known else None,
            "max_percent": 100 * self._largest if known else None,
            "legend": LEGEND if definite else REMOVED_LEGEND,
        }

    def _hold(self, stop: int, width: int, samples: tuple[int, ...]) -> None:
        """See that there is room for the rows up to `stop`."""
        have = 0 if self._residual is None else self._residual.shape[0]
        missing = stop - self._first - have
        if missing > 0:
            more = np.zeros((missing, width, *samples))
            known = self._residual
            self._residual = more if known is None else np.concatenate([known, more])

    def _measure(self, stop: int) -> None:
        n = stop - self._first
        if self._residual is None or n <= 0:
            return
        done, self._residual = self._residual[:n], self._residual[n:]
        if self._excluded is not None:
            y, x = self._shrink.inside
            done = done[~self._excluded[y, x][self._first : self._first + len(done)]]
        self._first = stop
        lo, hi = (v[self._channel] for v in (self._intensity.lo, self._intensity.hi))
        span = ((hi - lo) or 1.0) if self._intensity.transform == "none" else 100.0
        if done.size:
            self._squares += float(np.vdot(done, done)) / span**2
            self._count += done.size
            self._largest = max(self._largest, float(np.abs(done).max()) / span)
