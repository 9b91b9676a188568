"""An operator as separable matrices on planes of one size, with its exact pseudo-inverse.

A leads from a result to what would have been measured, A+ is its Moore-Penrose inverse. Both axes
are shrunk by one sparse matrix each, so A = Ay (x) Ax and A+ = Ay+ (x) Ax+, where
Ay+ = Ay' (Ay Ay')^-1 needs no more than a banded Cholesky factor (Golub and Van Loan, Matrix
Computations, sections 4.3 and 5.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse import csr_array

from napari_srgan.trust.operators import Operator, kernel_of


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The matrix of one axis, the LR pixels that it predicts, and how to invert it.

    Attributes
    ----------
    factor, reach : int
        How many times the axis shrinks; how many LR pixels beyond its own an LR pixel looks.
    matrix : csr_array of float64, shape (m, n * factor)
    start, stop : int
        The m of n LR pixels that it predicts: those that do not look beyond a cut.
    gram : ndarray or None
        Cholesky factor of matrix @ matrix.T, in the banded form of scipy; None for operators that
        are not definite, which nobody inverts.
    """

    factor: int
    reach: int
    matrix: Any
    start: int
    stop: int
    gram: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, eq=False)
class Shrinking:
    """An operator on planes of one size.

    Attributes
    ----------
    operator : Operator
    rows, cols : Axis
    """

    operator: Operator
    rows: Axis
    cols: Axis

    @property
    def inside(self) -> tuple[slice, slice]:
        """The part of an LR plane that is predicted: all of it but beside a cut."""
        return slice(self.rows.start, self.rows.stop), slice(self.cols.start, self.cols.stop)

    @property
    def empty(self) -> bool:
        """Whether the plane is so small that nothing is predicted."""
        return self.rows.stop <= self.rows.start or self.cols.stop <= self.cols.start

    def down(self, high: NDArray[Any]) -> NDArray[np.float64]:
        """Apply A.

        Parameters
        ----------
        high : ndarray, shape (Y, X) or (Y, X, S), real
            In any unit.

        Returns
        -------
        ndarray of float64
            What would have been measured of the pixels `inside`, in the same unit.
        """
        return _both(self.rows.matrix, self.cols.matrix, high)

    def down_part(
        self, block: NDArray[Any], y: int, x: int
    ) -> tuple[slice, slice, NDArray[np.float64]]:
        """Apply A to a part of a plane whose corner is at (y, x), the rest being zero.

        Returns
        -------
        rows, cols : slice
            Of the result of `down`.
        part : ndarray of float64
            What to add there; sums over the parts of a plane give `down` of it.
        """
        sizes = block.shape[:2]
        rows, cols = (
            _touched(axis, first, size)
            for axis, first, size in zip((self.rows, self.cols), (y, x), sizes, strict=True)
        )
        part = _both(
            self.rows.matrix[rows, y : y + sizes[0]],
            self.cols.matrix[cols, x : x + sizes[1]],
            block,
        )
        return rows, cols, part

    def up(self, low: NDArray[Any]) -> NDArray[np.float64]:
        """Apply A+: the smallest image whose degradation is `low`.

        Parameters
        ----------
        low : ndarray, shape (y, x) or (y, x, S)
            Values of the pixels `inside`.
        """
        return _both(self.rows.matrix.T, self.cols.matrix.T, self.solve(low))

    def solve(self, low: NDArray[Any]) -> NDArray[np.float64]:
        """Apply (A A')^-1."""
        first = _solve(self.rows.gram, np.asarray(low, np.float64))
        return _swap(_solve(self.cols.gram, _swap(first)))

    def spread_rows(
        self, solved: NDArray[np.float64], start: int, stop: int
    ) -> NDArray[np.float64]:
        """Apply A' to what `solve` gave, for the HR rows start to stop - 1 only."""
        rows = _touched(self.rows, start, stop - start)
        matrix = self.rows.matrix[rows, start:stop]
        return _both(matrix.T, self.cols.matrix.T, solved[rows])


def shrinking(
    operator: Operator,
    height: int,
    width: int,
    cuts: tuple[bool, bool, bool, bool] = (False, False, False, False),
) -> Shrinking:
    """Return the operator on planes of one size.

    Parameters
    ----------
    operator : Operator
    height, width : int
        Of the LR plane, pixels.
    cuts : four bool
        Which of the sides top, bottom, left and right are no borders of the image but cut it. LR
        pixels that look beyond a cut are not predicted. Beyond a border there is nothing:
        weights are renormalised there (decimate and blur-noise: the outermost pixels go on).
    """
    return Shrinking(
        operator, _axis(operator, 0, height, *cuts[:2]), _axis(operator, 1, width, *cuts[2:])
    )


@lru_cache(maxsize=16)
def _axis(operator: Operator, axis: int, length: int, cut_first: bool, cut_last: bool) -> Axis:
    f, reach = operator.scale[axis], operator.reach[axis]
    kernel, extends = kernel_of(operator, f)
    half = operator.half(f)
    centres = f * np.arange(length) + (f - 1) / 2
    first = np.ceil(centres - half).astype(int)
    taps = first[:, None] + np.arange(int(2 * half) + 1)
    weights = kernel(taps - centres[:, None])
    at = np.clip(taps, 0, f * length - 1)
    if not extends:
        weights = np.where(at == taps, weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    where = np.repeat(np.arange(length), taps.shape[1])
    matrix = csr_array((weights.ravel(), (where, at.ravel())), shape=(length, f * length))
    start = reach if cut_first else 0
    stop = max(start, length - (reach if cut_last else 0))
    matrix = matrix[start:stop]
    matrix.eliminate_zeros()
    gram = _gram(matrix, 2 * reach + 1) if operator.definite else None
    return Axis(f, reach, matrix, start, stop, gram)


def _gram(matrix: Any, bands: int) -> NDArray[np.float64]:
    product = matrix @ matrix.T
    banded = np.zeros((bands + 1, matrix.shape[0]))
    for k in range(min(bands + 1, matrix.shape[0])):
        diagonal = product.diagonal(k)
        banded[k, : len(diagonal)] = diagonal
    return cholesky_banded(banded, lower=True) if matrix.shape[0] else banded


def _touched(axis: Axis, first: int, size: int) -> slice:
    """Give the rows of a matrix that look at the HR pixels first to first + size - 1."""
    f, n = axis.factor, axis.stop - axis.start
    low = first // f - axis.reach - axis.start
    high = -(-(first + size) // f) + axis.reach - axis.start
    return slice(min(max(low, 0), n), min(max(high, 0), n))


def _both(rows: Any, cols: Any, image: NDArray[Any]) -> NDArray[np.float64]:
    return _swap(_apply(cols, _swap(_apply(rows, np.asarray(image, np.float64)))))


def _apply(matrix: Any, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply along the first axis."""
    flat = matrix @ image.reshape(image.shape[0], -1)
    return np.asarray(flat).reshape(matrix.shape[0], *image.shape[1:])


def _solve(gram: NDArray[np.float64] | None, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve along the first axis."""
    if gram is None:
        raise ValueError("only a definite operator can be inverted")
    if not values.size:
        return values
    flat = cho_solve_banded((gram, True), values.reshape(values.shape[0], -1))
    return np.asarray(flat).reshape(values.shape)


def _swap(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.swapaxes(image, 0, 1))
