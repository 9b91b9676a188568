"""What a perceptual model adds to a fidelity model where the measurement cannot see it.

That is (I - A+ A) of the difference of two results, and its local strength. A+ A is the projection
on what the data determine, so the rest can be changed at will without any trace in the measured
image: it rests on the training alone.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.models.catalogue import fidelity_for, list_models
from napari_srgan.trust.operators import Operator, operator_of
from napari_srgan.trust.shrinking import shrinking

if TYPE_CHECKING:
    from napari_srgan.models.card import Card
    from napari_srgan.models.catalogue import ModelInfo

SIGMA = 4.0
"""Of the Gaussian window that the strength is averaged in, HR pixels."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Invention:
    """What was added in one plane.

    Attributes
    ----------
    map : ndarray of float32, shape (Y, X)
        Root mean square in a Gaussian window, in % of the range; of RGB over the samples too.
        NaN where one of the results is.
    rms_percent : float or None
        Over the whole plane; None if nothing of it is finite.
    """

    map: NDArray[np.float32]
    rms_percent: float | None


def invention(
    perceptual: Any, fidelity: Any, operator: Operator, data_range: float, sigma: float = SIGMA
) -> Invention:
    """Map the unseen part of the difference between two results of the same input.

    Parameters
    ----------
    perceptual, fidelity : array (Y, X) or (Y, X, 3), real, the same shape
        Results of a whole plane or of a region; Y and X divisible by the scale.
    operator : Operator
        The degradation of the perceptual model.
    data_range : float
        100 %, in the unit of the results.
    sigma : float
        Of the window, HR pixels.

    Returns
    -------
    Invention

    Raises
    ------
    InputError
        If the shapes differ or do not fit the scale, or the operator is not definite, so that it
        is not known what it cannot see.

    Notes
    -----
    Results of an integer dtype differ by their rounding too, which shows as some 0.4 levels. At the
    sides of a region the window of A ends with the region.
    """
    require_definite(operator)
    first, second = np.asarray(perceptual), np.asarray(fidelity)
    sy, sx = operator.scale
    if first.shape != second.shape or first.shape[0] % sy or first.shape[1] % sx:
        raise InputError(
            f"Results of shape {first.shape} and {second.shape} cannot be compared for what was "
            f"added; both must be {scale_text((sy, sx))} results of the same input."
        )
    with np.errstate(invalid="ignore"):
        added = first.astype(np.float64) - second.astype(np.float64)
    known: NDArray[Any] = np.isfinite(added)
    added[~known] = 0.0
    shrink = shrinking(operator, first.shape[0] // sy, first.shape[1] // sx)
    added -= shrink.up(shrink.down(added))
    squares = added**2
    if squares.ndim == 3:
        squares, known = squares.mean(axis=2), np.asarray(known.all(axis=2))
    # Filtering in floats may leave -1e-20 where all is zero.
    local = np.sqrt(np.maximum(gaussian_filter(squares, sigma, mode="reflect"), 0.0))
    local *= 100 / data_range
    local[~known] = np.nan
    some = squares[known]
    return Invention(
        map=local.astype(np.float32),
        rms_percent=100 * math.sqrt(some.mean()) / data_range if some.size else None,
    )


def require_definite(operator: Operator) -> None:
    """Refuse an operator of which it is not known what it cannot see, with InputError."""
    if not operator.definite:
        raise InputError(
            f"What the measurement cannot see is not known for a model trained on "
            f"'{operator.name}', so nothing can be said of what it adds there; the invention map "
            "is for models of the degradations bicubic, area and decimate."
        )


def fidelity_model(card: Card) -> ModelInfo:
    """Return the fidelity model that belongs to a perceptual one.

    Returns
    -------
    ModelInfo
        The one that the model was trained from, if its card names it and it is listed; else the
        usual one for its channels; else the first other one of its channels, scale and
        degradation.

    Raises
    ------
    InputError
        If there is none, or the model is that one itself, or of another scale or degradation.
    """
    known = [info for info in list_models() if info.card.role == "fidelity"]
    usual = fidelity_for(card.channels)
    if card.name != usual.card.name:
        first = [info for info in known if info.card.name == card.training.get("init")]
        for info in (*first, usual, *known):
            with suppress(InputError):
                check_fidelity(card, info.card)
                return info
    check_fidelity(card, usual.card)
    return usual


def has_invention(card: Card) -> bool:
    """Whether there is a fidelity model to compare with, and a degradation that is known."""
    try:
        require_definite(operator_of(card))
        fidelity_model(card)
    except InputError:
        return False
    return True


def check_fidelity(card: Card, fidelity: Card) -> None:
    """Refuse a pair of models that cannot be compared, with InputError."""
    if fidelity.name == card.name:
        raise InputError(
            f"{card.name} is the fidelity model itself, which others are compared with for what "
            "they add; choose the result of a perceptual model such as srgan-gray."
        )
    if (fidelity.scale, fidelity.channels) != (card.scale, card.channels):
        raise InputError(
            f"{card.name} ({scale_text(card.scale)}, {card.channels} channels) and "
            f"{fidelity.name} ({scale_text(fidelity.scale)}, {fidelity.channels} channels) do not "
            "make comparable results."
        )
    if fidelity.degradation != card.degradation:
        raise InputError(
            f"{card.name} undoes '{card.degradation}' and {fidelity.name} "
            f"'{fidelity.degradation}', so their results differ in what is measured too; name a "
            "fidelity model of the same degradation."
        )
