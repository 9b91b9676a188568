"""Fourier ring correlation: to which detail two images agree, in physical units.

The curve of two planes, and where it crosses a threshold: van Heel and Schatz, J. Struct. Biol.
151:250 (2005); Nieuwenhuizen et al., Nat. Methods 10:557 (2013) and Banterle et al., J. Struct.
Biol. 183:363 (2013) for optical images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.stack import Stack
from napari_srgan.image.units import PIXEL, convert, is_length
from napari_srgan.measure.checks import checked_planes

Direction = Literal["all", "axial", "lateral"]
Outcome = Literal["crossing", "above", "below", "undefined"]

TWO_ACQUISITIONS = 1 / 7
"""The threshold for two independent acquisitions of one object (Nieuwenhuizen et al. 2013)."""
AGAINST_REFERENCE = 0.5
"""The threshold for one image against a reference of the same object."""
HALF_ANGLE = 30.0
"""Half of the opening of the sectors around Y (axial) and X (lateral), degrees in frequency."""
SMOOTHING = 5
"""Rings over which the curve's running median is taken: a mean would soften the fall at the limit
of an optical system, and move where it crosses a low threshold."""

_SMALLEST = 32  # px a side
_FEWEST_RINGS = 8
_SECTOR_WIDTH = 2  # rings of sectors are so many times wider: they hold a third of the samples


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FRC:
    """A Fourier ring correlation curve, and the resolution that follows from it.

    Attributes
    ----------
    frequency : ndarray of float64, shape (n,)
        The middle of every ring, cycles a unit of the spacing, ascending.
    correlation : ndarray of float64, shape (n,)
        As measured, from -1 to 1; 0 where one of the images holds nothing.
    smoothed : ndarray of float64, shape (n,)
        Its running median over `SMOOTHING` rings, which is compared with the threshold.
    samples : ndarray of int64, shape (n,)
        Fourier coefficients in every ring; those of opposite frequencies are counted both, though
        they are not independent.
    direction : {"all", "axial", "lateral"}
    threshold : float
    resolution : float or None
        1 / the frequency at which the smoothed curve first falls below the threshold, in the unit
        of the spacing; None if it does not.
    outcome : {"crossing", "above", "below", "undefined"}
        Why there is no resolution: the curve stays above the threshold up to the limit of
        sampling, or is below it from the first ring, or an image is constant.
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    samples: NDArray[np.int64]
    direction: Direction
    threshold: float
    resolution: float | None
    outcome: Outcome


def ring_correlation(
    a: Any,
    b: Any,
    *,
    spacing: tuple[float, float] = (1.0, 1.0),
    direction: Direction = "all",
    threshold: float = TWO_ACQUISITIONS,
) -> FRC:
    """Correlate two images of one object ring by ring in the Fourier plane.

    Parameters
    ----------
    a, b : array (Y, X) or (Y, X, S), the same shape, real dtype
        Planes on one pixel grid, at least 32 px a side; of RGB the luma is used.
    spacing : tuple of float
        Pixel distance along Y and X, above 0, both in the same unit.
    direction : {"all", "axial", "lateral"}
        The whole of every ring, or the sectors within `HALF_ANGLE` of the Y axis or the X axis;
        angles are those of physical frequencies.
    threshold : float
        Between 0 and 1: `TWO_ACQUISITIONS` or `AGAINST_REFERENCE`.

    Returns
    -------
    FRC

    Raises
    ------
    InputError
        If the shapes differ, the images are no planes or too small, or hold NaN, or spacing,
        direction or threshold cannot be used.

    Notes
    -----
    sum(A conj(B)) / sqrt(sum(|A|^2) sum(|B|^2)) over the coefficients of a ring, real part. Before
    the transform the images lose their mean and get a Hann window along both axes, since the jump
    from one border to the opposite one would correlate. Rings are circles in physical frequency,
    as wide as the larger of the two frequency steps, 1 / (pixels * spacing), and twice as wide in
    sectors, which hold fewer coefficients. They end where the axis in question does: at
    1 / (2 spacing), and for "all" at the lower of both. The window spreads every coefficient over
    its neighbours, so that a sharp limit is found some 2 of those steps late, and by noise in small
    sectors up to 6: of 256 px, by 2 and at most 7 percent for a limit of 0.35 cycles a pixel.
    """
    if direction not in ("all", "axial", "lateral"):
        raise InputError(f"The direction {direction!r} is not known; choose all, axial or lateral.")
    if not all(0 < distance < np.inf for distance in spacing):
        raise InputError(f"The spacing along Y and X has to be above 0, and it is {spacing}.")
    if not 0 < threshold < 1:
        raise InputError(f"The threshold lies between 0 and 1, and it is {threshold:g}.")
    pair = checked_planes(a, b, _SMALLEST, "Fourier ring correlation")
    spectra = [np.fft.rfft2(windowed(as_channels(image.astype(np.float64), 1))) for image in pair]
    ring, weight, frequency = _rings(pair[0].shape[:2], spacing, direction)
    count = frequency.size

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.bincount(ring.ravel(), (values * weight).ravel(), minlength=count + 1)
        return np.asarray(total[:count], dtype=np.float64)

    cross = summed((spectra[0] * spectra[1].conj()).real)
    powers = [summed(np.abs(spectrum) ** 2) for spectrum in spectra]
    samples = summed(np.ones_like(weight))
    norm = np.sqrt(powers[0]) * np.sqrt(powers[1])
    correlation = np.divide(cross, norm, out=np.zeros(count), where=norm > 0)
    smoothed: NDArray[np.float64] = median_filter(correlation, SMOOTHING, mode="nearest")
    resolution, outcome = _crossing(frequency, smoothed, threshold)
    if not all(power.any() for power in powers):
        resolution, outcome = None, "undefined"
    return FRC(
        frequency=frequency,
        correlation=correlation,
        smoothed=smoothed,
        samples=np.asarray(samples, dtype=np.int64),
        direction=direction,
        threshold=threshold,
        resolution=resolution,
        outcome=outcome,
    )


def plane_spacing(stack: Stack) -> tuple[tuple[float, float], str]:
    """Find the pixel distances of a stack's planes, for `ring_correlation`.

    Parameters
    ----------
    stack : Stack

    Returns
    -------
    spacing : tuple of float
        Along Y and X, in one unit.
    unit : str
        A length as pint spells it; "pixel", and a spacing of 1, where file or user gave none.
    """
    letters = stack.axes.replace("S", "")
    (dy, unit), (dx, other) = (
        (abs(stack.scale[letters.index(a)]), stack.units[letters.index(a)]) for a in "YX"
    )
    if stack.spacing_source in ("file", "user") and is_length(unit) and is_length(other):
        converted = convert(dx, other, unit)
        if converted is not None:
            return (dy, converted), unit
    return (1.0, 1.0), PIXEL


def windowed(image: NDArray[Any]) -> NDArray[np.float64]:
    """Take the mean from a gray plane (Y, X) and multiply it by a Hann window along both axes.

    The mean is that under the window; a constant plane becomes 0.
    """
    if np.ptp(image) == 0:
        return np.zeros(image.shape)
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in image.shape))
    centred: NDArray[np.float64] = image - float((image * window).sum() / window.sum())
    return centred * window


def _rings(
    shape: tuple[int, ...], spacing: tuple[float, float], direction: Direction
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Sort the coefficients of `rfft2` into rings.

    Returns
    -------
    ring : ndarray of int
        The ring of each coefficient; n for those in none.
    weight : ndarray of float
        How many coefficients of the whole plane each stands for, 1 or 2.
    frequency : ndarray of float, shape (n,)
    """
    (height, width), (dy, dx) = shape, spacing
    fy, fx = np.fft.fftfreq(height, dy)[:, None], np.fft.rfftfreq(width, dx)[None, :]
    step = max(1 / (height * dy), 1 / (width * dx))
    if direction != "all":
        step *= _SECTOR_WIDTH
    limits = {"axial": 1 / (2 * dy), "lateral": 1 / (2 * dx)}
    limit = limits.get(direction, min(limits.values()))
    count = round(limit / step) - 1
    if count < _FEWEST_RINGS:
        raise InputError(
            f"Images of {height} x {width} px at a spacing of {dy:g} and {dx:g} hold too few "
            "frequencies for Fourier ring correlation; choose larger ones."
        )
    radius = np.hypot(fy, fx)
    # Ring k is centred at (k + 1) steps; the mean, which is no detail, is in none.
    ring: NDArray[np.intp] = np.rint(radius / step).astype(np.intp) - 1
    outside = (ring < 0) | (ring >= count)
    if direction != "all":
        along, across = (fy, fx) if direction == "axial" else (fx, fy)
        outside |= np.abs(across) > np.tan(np.radians(HALF_ANGLE)) * np.abs(along)
    ring[outside] = count
    weight: NDArray[np.float64] = np.full(ring.shape, 2.0)
    weight[:, 0] = 1.0
    if width % 2 == 0:
        weight[:, -1] = 1.0
    frequency: NDArray[np.float64] = step * np.arange(1, count + 1, dtype=np.float64)
    return ring, weight, frequency


def _crossing(
    frequency: NDArray[np.float64], curve: NDArray[np.float64], threshold: float
) -> tuple[float | None, Outcome]:
    below = np.flatnonzero(curve < threshold)
    if below.size == 0:
        return None, "above"
    k = int(below[0])
    if k == 0:
        return None, "below"
    part = (curve[k - 1] - threshold) / (curve[k - 1] - curve[k])
    return float(1 / (frequency[k - 1] + part * (frequency[k] - frequency[k - 1]))), "crossing"
