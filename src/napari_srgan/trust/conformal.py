"""Which pixels may be marked as trusted, so that few of them are wrong: conformal risk control.

A score of every pixel is compared with a threshold, which is chosen on images whose truth is known
such that on a new one, drawn as they were, the expected share of wrong pixels among the trusted
ones is at most alpha (Angelopoulos et al., Conformal Risk Control, arXiv 2208.02814, theorem 1).
What is drawn is an image or a volume, never a pixel: pixels of one image are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

THRESHOLDS: NDArray[np.float64] = np.geomspace(0.01, 100.0, 241)
"""The thresholds that are chosen from, in the unit of the scores, % of the range. They were settled
before any image was seen, as the theorem asks."""

LEAST = 0.01
"""A mask that would hold a smaller share of its plane is empty: of a handful of pixels, one that is
wrong is a large share, and by that no threshold above it would do."""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """How many pixels of an image each threshold trusts, and how many of these are wrong.

    Attributes
    ----------
    below, trusted, wrong : ndarray of int64, one for each of `THRESHOLDS`
        Pixels whose score is no greater; those of them that are trusted, by the rule of `LEAST`
        plane by plane; those of these that are off by more than the tolerance.
    pixels : int
        All, those without a score too.
    """

    below: NDArray[np.int64]
    trusted: NDArray[np.int64]
    wrong: NDArray[np.int64]
    pixels: int

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.below + other.below,
            self.trusted + other.trusted,
            self.wrong + other.wrong,
            self.pixels + other.pixels,
        )

    @property
    def risks(self) -> NDArray[np.float64]:
        """The share of wrong pixels among the trusted ones; 0 where none is trusted."""
        return self.wrong / np.maximum(self.trusted, 1)

    @property
    def bounds(self) -> NDArray[np.float64]:
        """The largest risk of each threshold and all below it: it grows, as the theorem asks."""
        return np.maximum.accumulate(self.risks)

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of the pixels that are trusted."""
        return self.trusted / self.pixels

    def quantile(self, share: float) -> float:
        """Return the first threshold that as large a share of the scores is below."""
        at = int(np.searchsorted(self.below, share * self.pixels))
        return float(THRESHOLDS[min(at, len(THRESHOLDS) - 1)])


def tally(score: NDArray[Any], error: NDArray[Any] | None = None, tolerance: float = 0.0) -> Tally:
    """Count the pixels of a plane.

    Parameters
    ----------
    score : ndarray, shape (Y, X)
        The smaller, the more trusted; NaN is never trusted.
    error : ndarray, shape (Y, X), optional
        How far the pixels are off; none is wrong without.
    tolerance : float
        In the unit of the error.
    """
    first = np.searchsorted(THRESHOLDS, score.ravel())  # NaN is beyond the last
    count = len(THRESHOLDS)

    def up_to(weights: NDArray[Any] | None) -> NDArray[np.int64]:
        counts = np.bincount(first, weights, minlength=count + 1)[:count]
        return np.cumsum(counts).astype(np.int64)

    below = up_to(None)
    kept = below >= LEAST * score.size
    wrong = np.zeros_like(below) if error is None else up_to((error > tolerance).ravel())
    return Tally(below, below * kept, wrong * kept, score.size)


def mask_of(score: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Say which pixels of a plane are trusted."""
    with np.errstate(invalid="ignore"):
        mask: NDArray[np.bool_] = score <= threshold
    return mask if mask.sum() >= LEAST * mask.size else np.zeros_like(mask)


def fewest(alpha: float) -> int:
    """Return how many images a calibration needs at least: fewer could certify nothing."""
    return math.ceil(1 / alpha - 1e-9) - 1


def chosen(tallies: Sequence[Tally], alpha: float) -> int | None:
    """Choose the threshold: the largest whose corrected mean risk is at most alpha.

    Parameters
    ----------
    tallies : sequence of Tally
        One for each image.
    alpha : float

    Returns
    -------
    int or None
        Its place in `THRESHOLDS`; None if nothing can be trusted.
    """
    total = np.sum([t.bounds for t in tallies], axis=0)
    # n / (n + 1) of the mean, and 1 / (n + 1) for the new image, whose risk may be 1.
    return _last((total + 1) / (len(tallies) + 1) <= alpha)


def promising(tallies: Sequence[Tally], alpha: float) -> float:
    """Return the mean share that could be trusted if these images were all there is.

    Without the correction, so it certifies nothing: scores are compared by it, on images that no
    threshold is chosen by.
    """
    at = _last(np.mean([t.bounds for t in tallies], axis=0) <= alpha)
    return 0.0 if at is None else float(np.mean([t.shares[at] for t in tallies]))


def left_out(tallies: Sequence[Tally], alpha: float) -> list[tuple[float, float]]:
    """Calibrate without each image in turn, and measure the threshold on that one.

    Returns
    -------
    list of (float, float)
        Risk and trusted share of each image; the mean risk is what the theorem bounds.
    """
    found = []
    for k, own in enumerate(tallies):
        at = chosen([t for i, t in enumerate(tallies) if i != k], alpha)
        found.append((0.0, 0.0) if at is None else (float(own.risks[at]), float(own.shares[at])))
    return found


def chance(risks: Sequence[float], alpha: float) -> float:
    """Bound the probability of a mean risk as large as this if its expectation were alpha.

    Hoeffding's inequality in its tight form, for independent images and risks from 0 to 1
    (J. Am. Stat. Assoc. 58:13 (1963), theorem 1).
    """
    mean = float(np.mean(risks))
    if mean <= alpha:
        return 1.0
    divergence = mean * math.log(mean / alpha)
    if mean < 1:
        divergence += (1 - mean) * math.log((1 - mean) / (1 - alpha))
    return math.exp(-len(risks) * divergence)


def _last(holds: NDArray[np.bool_]) -> int | None:
    """Return the place of the last before the first that does not hold."""
    count = int(np.argmin(holds)) if not holds.all() else len(holds)
    return count - 1 if count else None
