"""Making a result reproduce the measured data: x + A+ (y - A x), within what its dtype holds.

A plane is projected whole, so that no tile has a seam. In the end the pixels are as near to the
network's as the data allow (Ben-Israel and Greville, Generalized Inverses, chapter 3: A+ gives the
smallest change).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.image.intensity import Intensity, to_dtype
from napari_srgan.image.stack import EXACT_INTEGER
from napari_srgan.io import schema
from napari_srgan.trust.consistency import excluded_pixels, six_digits
from napari_srgan.trust.meter import Sums, together
from napari_srgan.trust.operators import Operator
from napari_srgan.trust.shrinking import Shrinking

if TYPE_CHECKING:
    from napari_srgan.models.card import Card

PROJECTABLE = ("area", "bicubic")
TOLERANCE = 0.05
"""Of `bicubic`, in grey levels of an integer dtype, before the last rounding: the iteration ends
when A x is nowhere farther from the data."""
FLOAT_TOLERANCE = 1e-6
"""The same for floats, as a part of the largest absolute value."""
MOST_ITERATIONS = 150
_PATIENCE = 20  # iterations in which the error must fall by 2 %; else no image fits the data
_GAIN = 0.98
_BAND = 2**22  # HR values that are worked on at once
_BLOCK_BAND = 2**20  # the same where every block is to have a sum


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Projection:
    """A plane that reproduces the measured data.

    Attributes
    ----------
    data : ndarray, shape (Y, X) or (Y, X, S), dtype of the result
    residual : ndarray of float64, shape of the LR pixels that the operator predicts
        Measured minus degraded `data`, stored values.
    iterations : int
        How often it was projected; 1 for area.
    """

    data: NDArray[Any]
    residual: NDArray[np.float64]
    iterations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionFinding:
    """What the record of a result states of its projection.

    Attributes
    ----------
    degradation : str
    rmse_percent, max_percent : float or None
        What is left of the residual, in % of the intensity range; None if nothing was measured.
    max_residual : float or None
        The largest, in stored values.
    within_rounding : bool
        Whether that is no more than rounding to the dtype explains.
    iterations : int
        Of the plane that took most.
    """

    degradation: str
    rmse_percent: float | None
    max_percent: float | None
    max_residual: float | None
    within_rounding: bool
    iterations: int

    @classmethod
    def of(cls, values: Any) -> Self:
        """Read the entry of a record; ValueError if it is none."""
        measured = schema.optional(schema.number)
        readers: dict[str, schema.Reader[Any]] = {
            "degradation": schema.line,
            "rmse_percent": measured,
            "max_percent": measured,
            "max_residual": measured,
            "within_rounding": bool,
            "iterations": schema.whole(0, 10**6),
        }
        unknown = {"rmse_percent": None, "max_percent": None, "max_residual": None}
        rest = {"degradation": "", "within_rounding": True, "iterations": 0}
        return cls(**{**unknown, **rest, **schema.fields_of(values, readers)})


@dataclass(frozen=True, slots=True)
class PlaneProjection:
    """What the projection of a plane left of the residual.

    Attributes
    ----------
    sums : Sums
        In units of the range.
    largest : float
        In stored values.
    iterations : int
    """

    sums: Sums
    largest: float
    iterations: int

    @classmethod
    def of(cls, values: Any) -> Self:
        """Read what `astuple` gave and JSON has held; ValueError if it is none."""
        sums, largest, iterations = schema.several(lambda value: value, 3)(values)
        return cls(Sums.of(sums), schema.number(largest), schema.whole(0, 10**6)(iterations))


class ProjectionSums:
    """What the projections of a run's planes left of the residuals.

    Parameters
    ----------
    operator : Operator
    intensity : Intensity
    dtype : numpy.dtype
        Of the result.
    """

    def __init__(self, operator: Operator, intensity: Intensity, dtype: np.dtype[Any]) -> None:
        self._operator, self._intensity, self._dtype = operator, intensity, dtype
        self._planes: list[PlaneProjection] = []

    def add(
        self,
        projection: Projection,
        channel: int,
        shrink: Shrinking,
        invalid: NDArray[np.bool_] | None = None,
    ) -> PlaneProjection:
        """Take a plane; `invalid` marks the NaN of its region, (y, x[, S])."""
        residual = projection.residual
        if invalid is not None:
            excluded = excluded_pixels(invalid, self._operator)
            residual = residual[~excluded[shrink.inside]]
        span = (self._intensity.hi[channel] - self._intensity.lo[channel]) or 1.0
        sums, largest = Sums(), 0.0
        if residual.size:
            largest = float(np.abs(residual).max())
            squares = float(np.vdot(residual, residual)) / span**2
            sums = Sums(squares, residual.size, largest / span)
        plane = PlaneProjection(sums, largest, projection.iterations)
        self.note(plane)
        return plane

    def note(self, plane: PlaneProjection) -> None:
        """Take what was left on a plane."""
        self._planes.append(plane)

    def finding(self) -> ProjectionFinding:
        """Say what was left."""
        mean, largest = together(p.sums for p in self._planes)
        levels = max((p.largest for p in self._planes), default=0.0)
        return ProjectionFinding(
            degradation=self._operator.name,
            rmse_percent=None if mean is None else six_digits(100 * mean),
            max_percent=None if largest is None else six_digits(100 * largest),
            max_residual=None if mean is None else six_digits(levels),
            within_rounding=levels <= 0.5 or self._dtype.kind == "f",
            iterations=max((p.iterations for p in self._planes), default=0),
        )


def check_back_projection(card: Card, transform: str = "none") -> None:
    """Refuse models and settings that results cannot be back-projected with.

    Raises
    ------
    InputError
        If the model was not trained on `area` or `bicubic`, so that its A is not known or does
        not fit the pixels, or if a transform bends the values that A adds up.
    """
    if card.degradation not in PROJECTABLE:
        how = "measured pairs" if card.degradation == "measured" else f"'{card.degradation}'"
        raise InputError(
            f"Results of {card.name} cannot be back-projected: it was trained on {how}, and only "
            "for the degradations area and bicubic is it known what the data say of the result."
        )
    if transform != "none":
        raise InputError(
            f"Back-projection works on the stored values, which the transform {transform} bends; "
            "leave one of the two out."
        )


def back_project(
    low: NDArray[Any], high: NDArray[Any], shrink: Shrinking
) -> Generator[int, None, Projection]:
    """Change a plane as little as is needed to make its degradation equal the measured data.

    Parameters
    ----------
    low : ndarray, shape (y, x) or (y, x, S)
        The measured plane, finite.
    high : ndarray, shape (sy * y, sx * x) or (sy * y, sx * x, S)
        The result; its dtype is kept, and what it holds is not left.
    shrink : Shrinking
        `area` or `bicubic` on planes of that size.

    Yields
    ------
    int
        The number of every iteration that is done.

    Returns
    -------
    Projection

    Notes
    -----
    `area`, integers: in every block of sy x sx pixels the same value is added to each,
    pixels at the end of the dtype are held there and the others take their share, and what is left
    of the integer division goes to single pixels, one level each. The block's sum is then exactly
    sy sx times the measured value, so its mean is the value itself, without rounding error.

    `bicubic`: x = clip(high + A' m), the image within the dtype that is nearest to the result of
    all that fit the data, for the m with A x = y. It is found by m += (A A')^-1 (y - A x) with
    Nesterov's momentum, started anew when the error grows (O'Donoghue and Candes, Found. Comput.
    Math. 15:715 (2015)); without clipping the first step is exact. It ends when A x is within
    `TOLERANCE` of the data or gets no nearer: data that no image within the dtype could give
    (single pixels of 255 among zeros) are met as nearly as possible. Rounding to integers at the
    end adds some 0.06 levels of noise, a weighted mean of rounding errors; `residual` includes it.
    """
    if shrink.operator.name == "area" and high.dtype.kind in "iu":
        data = with_block_sums(low, high, shrink.operator.scale)
        yield 1
        return Projection(data=data, residual=_residual(low, data, shrink), iterations=1)
    tolerance = FLOAT_TOLERANCE * float(np.abs(low).max())
    if high.dtype.kind in "iu":
        tolerance = TOLERANCE
    bands, ends = _bands(high), _ends(high.dtype)
    step = _Momentum(np.zeros_like(low[shrink.inside], np.float64))
    best, errors = step.at, [np.inf]
    for count in range(MOST_ITERATIONS):
        residual = low[shrink.inside].astype(np.float64)
        for start, stop in bands:
            band = np.clip(high[start:stop] + shrink.spread_rows(step.at, start, stop), *ends)
            rows, cols, part = shrink.down_part(band, start, 0)
            residual[rows, cols] -= part
        error = float(np.sqrt(np.mean(residual**2))) if residual.size else 0.0
        if error < min(errors):
            best = step.at
        errors.append(error)
        if not residual.size or float(np.abs(residual).max()) <= tolerance:
            break
        if count > _PATIENCE and min(errors) > _GAIN * min(errors[:-_PATIENCE]):
            break
        step.take(shrink.solve(residual), restart=error > errors[-2])
        yield count + 1
    data = np.empty_like(high)
    for start, stop in bands:
        data[start:stop] = to_dtype(
            high[start:stop] + shrink.spread_rows(best, start, stop), high.dtype
        )
    return Projection(data=data, residual=_residual(low, data, shrink), iterations=count)


class _Momentum:
    """Where the iteration stands: Nesterov's extrapolation of the steps so far."""

    def __init__(self, start: NDArray[np.float64]) -> None:
        self.at = self._last = start
        self._age = 0

    def take(self, step: NDArray[np.float64], restart: bool) -> None:
        """Go one step from where it stands, and on along the way of the last ones."""
        self._age = 0 if restart else self._age
        new = self.at + step
        self.at = new + self._age / (self._age + 3) * (new - self._last)
        self._last, self._age = new, self._age + 1


def _ends(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    whole = np.iinfo(dtype)
    return max(whole.min, -EXACT_INTEGER), min(whole.max, EXACT_INTEGER)


def _residual(low: NDArray[Any], high: NDArray[Any], shrink: Shrinking) -> NDArray[np.float64]:
    """Give y - A x, from bands of rows, so that no float64 copy of the whole plane is made."""
    residual: NDArray[np.float64] = low[shrink.inside].astype(np.float64)
    if residual.size:
        for start, stop in _bands(high):
            rows, cols, part = shrink.down_part(high[start:stop], start, 0)
            residual[rows, cols] -= part
    return residual


def _bands(image: NDArray[Any]) -> list[tuple[int, int]]:
    step = max(1, _BAND // (image.size // image.shape[0]))
    return [(k, min(k + step, image.shape[0])) for k in range(0, image.shape[0], step)]


def with_block_sums(
    low: NDArray[np.integer[Any]], high: NDArray[np.integer[Any]], scale: Scale
) -> NDArray[Any]:
    """Change an image so that the mean of every block is exactly the pixel of a smaller one.

    Parameters
    ----------
    low : ndarray of integers, shape (y, x) or (y, x, S)
        The means; within the dtype of `high`.
    high : ndarray of integers, shape (sy * y, sx * x) or (sy * y, sx * x, S)
    scale : Scale
        Height and width of a block.

    Returns
    -------
    ndarray
        Shape and dtype of `high`. Within a block all pixels are shifted by the same number t or
        t + 1 and clipped to the dtype: the nearest solution but for the choice of the pixels
        that get one more, which follows a fixed pattern.
    """
    result = np.empty_like(high)
    step = max(1, _BLOCK_BAND // max(1, scale[0] * high[0].size))
    for start in range(0, low.shape[0], step):
        rows = slice(start, min(start + step, low.shape[0]))
        fine = slice(scale[0] * rows.start, scale[0] * rows.stop)
        result[fine] = _with_sums(low[rows], high[fine], scale)
    return result


def _with_sums(low: NDArray[Any], high: NDArray[Any], scale: Scale) -> NDArray[Any]:
    (y, x), (sy, sx) = low.shape[:2], scale
    samples = low.reshape(y, x, -1).shape[2]
    split = high.reshape(y, sy, x, sx, samples)
    blocks = split.transpose(0, 2, 4, 1, 3).reshape(-1, sy * sx).astype(np.int64)
    targets = low.reshape(-1).astype(np.int64) * (sy * sx)
    whole = np.iinfo(high.dtype)
    lo, hi = max(int(whole.min), -EXACT_INTEGER), min(int(whole.max), EXACT_INTEGER)
    shift = _shifts(blocks, targets, lo, hi)
    filled = np.clip(blocks + shift[:, None], lo, hi)
    missing = targets - filled.sum(axis=1)
    # One level more for as many of the pixels that have room as are missing, in a fixed order
    # that leaps through the block, so that they do not gather in a corner.
    order = _leaps(scale)
    room = np.clip(blocks + shift[:, None] + 1, lo, hi) > filled
    rank = np.cumsum(room[:, order], axis=1)
    filled[:, order] += room[:, order] & (rank <= missing[:, None])
    result = filled.reshape(y, x, samples, sy, sx).transpose(0, 3, 1, 4, 2)
    image: NDArray[Any] = result.reshape(high.shape).astype(high.dtype)
    return image


def _shifts(
    blocks: NDArray[np.int64], targets: NDArray[np.int64], lo: int, hi: int
) -> NDArray[np.int64]:
    """Find for each block the largest t for which its clipped sum does not exceed the target."""
    shift: NDArray[np.int64] = (targets - blocks.sum(axis=1)) // blocks.shape[1]
    # Only where nothing is clipped is that the answer; the sum grows with t, so bisect elsewhere.
    clipped = (blocks.min(axis=1) + shift < lo) | (blocks.max(axis=1) + shift + 1 > hi)
    at = np.flatnonzero(clipped)
    if at.size:
        some, wanted = blocks[at], targets[at]
        below, above = lo - some.max(axis=1), hi - some.min(axis=1) + 1
        while (above - below > 1).any():
            middle = (below + above) // 2
            fits = np.clip(some + middle[:, None], lo, hi).sum(axis=1) <= wanted
            below, above = np.where(fits, middle, below), np.where(fits, above, middle)
        shift[at] = below
    return shift


def _leaps(scale: Scale) -> NDArray[np.intp]:
    """Order the pixels of a block so that those that follow each other lie apart."""
    y, x = np.divmod(np.arange(scale[0] * scale[1]), scale[1])
    # The R2 sequence of Roberts (2018), a two-dimensional golden ratio, as an ordered dither.
    return np.argsort((0.7548776662466927 * y + 0.5698402909980532 * x) % 1, kind="stable")
