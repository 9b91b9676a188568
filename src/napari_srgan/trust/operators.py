"""A model's degradation: what it is, how far it looks, and its weights along one axis.

As a matrix on planes, and its inverse, it is in `shrinking`. LR pixel i has its centre at
f i + (f - 1) / 2, the rule of `geometry`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.image.resampling import SHIFT_REACH, keys

if TYPE_CHECKING:
    from napari_srgan.models.card import Card

CONSISTENCY, REMOVED = "consistency", "removed signal"
_SIGMAS = 4  # how far the PSF of blur-noise is followed, as in `degradation`


@dataclass(frozen=True, slots=True)
class Operator:
    """The degradation of a model, fit to be undone or at least to be compared with.

    Attributes
    ----------
    name : str
        As on the card: bicubic, area, decimate, blur-noise or measured.
    scale : Scale
        How many times Y and X shrink.
    sigma : float
        Standard deviation of the Gaussian PSF, HR pixels; 0 where there is none.

    Notes
    -----
    `bicubic` and `area` are the operators themselves. `decimate` samples the result at the centres
    of the LR pixels, between its own pixels where the factor is even, by the windowed sinc that
    shifted the targets in training. `blur-noise` blurs by the middle of the range of PSFs that
    training drew from, then samples likewise; no noise is added. Of `measured` nothing is known
    but the size of the pixels: the antialiased bicubic kernel stands in.
    """

    name: str
    scale: Scale
    sigma: float = 0.0

    @property
    def definite(self) -> bool:
        """Whether this is the very operator, so that what it cannot see is known."""
        return self.name in ("bicubic", "area", "decimate")

    @property
    def kind(self) -> str:
        """What the residual is: `CONSISTENCY`, or `REMOVED` of models that take noise away."""
        return CONSISTENCY if self.definite else REMOVED

    def half(self, factor: int) -> float:
        """Return how far from its centre an LR pixel looks along an axis, HR pixels."""
        if self.name == "area":
            return factor / 2
        if self.name == "decimate":
            return float(SHIFT_REACH) if factor % 2 == 0 else 0.5
        if self.name == "blur-noise":
            return _SIGMAS * self.sigma
        return 2.0 * factor

    @property
    def reach(self) -> tuple[int, int]:
        """How many LR pixels beyond its own an LR pixel looks along Y and X."""
        y, x = (max(0, math.ceil((self.half(f) - f / 2) / f)) for f in self.scale)
        return y, x


def operator_of(card: Card) -> Operator:
    """Return the degradation of a model.

    Raises
    ------
    InputError
        If the card names one that is not known.
    """
    if card.degradation not in ("bicubic", "area", "decimate", "blur-noise", "measured"):
        raise InputError(
            f"The degradation '{card.degradation}' of the model {card.name} is not known, so its "
            "results cannot be compared with the measured data."
        )
    sigma = 0.0
    if card.degradation == "blur-noise":
        low, high = card.training.get("blur", (1.0, 3.0))
        sigma = (float(low) + float(high)) / 2
    return Operator(card.degradation, card.scale, sigma)


def kernel_of(operator: Operator, factor: int) -> tuple[Callable[[Any], Any], bool]:
    """Give an axis' weight by the distance in HR pixels, and whether border pixels are repeated."""
    if operator.name == "area":
        return (lambda d: (np.abs(d) < factor / 2).astype(float)), False
    if operator.name == "decimate":
        if factor % 2:
            return (lambda d: (np.abs(d) < 0.5).astype(float)), True
        return (lambda d: np.where(np.abs(d) < SHIFT_REACH, _lanczos(d), 0.0)), True
    if operator.name == "blur-noise":
        return (lambda d: np.exp(-0.5 * (d / operator.sigma) ** 2)), True
    return (lambda d: keys(np.abs(d) / factor)), False


def _lanczos(d: Any) -> Any:
    return np.sinc(d) * np.sinc(d / SHIFT_REACH)
