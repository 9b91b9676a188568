"""How much a result depends on the orientation of its input: the spread of a self-ensemble.

The symmetries, which of them a model should respect, and the standard deviation over them; the
results are made by `tasks.maps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError

if TYPE_CHECKING:
    from napari_srgan.models.card import Card

CHOICES = ("auto", "lateral", "all")
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Symmetry:
    """A mirror image of a plane: transposed, then turned upside down, then left to right."""

    transpose: bool = False
    flip_y: bool = False
    flip_x: bool = False

    def of(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Mirror a plane (Y, X) or (Y, X, S); a view."""
        plane = plane.swapaxes(0, 1) if self.transpose else plane
        return plane[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def undo(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Mirror it back; a view."""
        plane = plane[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        return plane.swapaxes(0, 1) if self.transpose else plane

    def region(self, rows: Range, cols: Range, height: int, width: int) -> dict[str, Range]:
        """Say where a region of a plane of height x width lies in the mirrored plane."""
        if self.transpose:
            rows, cols, height, width = cols, rows, width, height
        if self.flip_y:
            rows = height - rows[1], height - rows[0]
        if self.flip_x:
            cols = width - cols[1], width - cols[0]
        return {"Y": rows, "X": cols}


def symmetries(card: Card, wanted: str = "auto") -> tuple[Symmetry, ...]:
    """Choose the mirror images that a model should treat alike.

    Parameters
    ----------
    card : Card
    wanted : str
        "lateral": left and right (depth is not to be mirrored in OCT); "all": the eight
        symmetries of the square; "auto": those that the model was trained with, else lateral for
        grayscale and all for RGB.

    Returns
    -------
    tuple of Symmetry
        The first is the plane as it is.

    Raises
    ------
    InputError
        If `wanted` is none of these.
    """
    if wanted not in CHOICES:
        raise InputError(f"The symmetries {wanted!r} are not known; give {', '.join(CHOICES)}.")
    if wanted == "auto":
        trained = card.training.get("flips")
        default = "lateral" if card.channels == 1 else "all"
        wanted = str(trained) if trained in ("lateral", "all") else default
    if wanted == "lateral":
        return Symmetry(), Symmetry(flip_x=True)
    both = (False, True)
    return tuple(Symmetry(t, y, x) for t in both for y in both for x in both)


class Spread:
    """Gathers the standard deviation of planes that come one by one.

    Notes
    -----
    Welford's update (Technometrics 4:419 (1962)); with n - 1 in the denominator.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0

    def add(self, plane: NDArray[Any]) -> None:
        """Take a result, mirrored back; shape (Y, X) or (Y, X, S)."""
        self._count += 1
        values = plane.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinities that were put back have no spread
            difference = values - self._mean
            self._mean = self._mean + difference / self._count
            self._squares = self._squares + difference * (values - self._mean)

    def map(self, data_range: float) -> NDArray[np.float32]:
        """Give the standard deviation in % of the range, (Y, X); of RGB the RMS of the samples."""
        if self._count < 2:
            raise ValueError("a spread needs two results")
        variance = self._squares / (self._count - 1)
        if variance.ndim == 3:
            variance = variance.mean(axis=2)
        deviation: NDArray[np.float32] = (100 * np.sqrt(variance) / data_range).astype(np.float32)
        return deviation


def legend(members: tuple[Symmetry, ...] | int) -> str:
    """Say what a spread of so many results is."""
    n = members if isinstance(members, int) else len(members)
    how = "of the input and its mirror image" if n == 2 else f"of {n} mirrored and turned inputs"
    return (
        f"Standard deviation of the results {how}, in % of the range. It is equivariance spread, "
        "not truth: results that agree can be wrong together."
    )
