"""Synthetic OCT: from a map of backscatter to B-scans with speckle, at any resolution.

Sampling grids, the point-spread function, scatterers, coherent detection and the log-compressed
display. What the tissue looks like is in `retina`; which stacks are made of it is in `samples`.

A B-scan is a plane of depth (rows, micrometres downwards) and lateral position (columns,
micrometres). Every scatterer has a circular complex Gaussian amplitude times the square root of
the local backscatter; the detected field is their sum weighted by the field point-spread function

    h(z, x) = exp(-(z / wz)^2 - (x / wx)^2),   wz = axial / sqrt(2 ln 2),   wx = lateral / 2,

and the intensity is I = |E + n|^2 with complex Gaussian detector noise n. Because the field is a
sum over scatterers, two instruments can look at the *same* scatterers on two grids, and the mean
over endless independent frames is known exactly: backscatter convolved with |h|^2, plus the noise.
All arithmetic is float64, so that the rounding of one processor or another does not show in
8 or 12 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

REACH = 3.2
"""Where the point-spread function is cut off, in field widths (wz, wx)."""


@dataclass(frozen=True, kw_only=True)
class Psf:
    """The resolution of an OCT instrument in tissue.

    Parameters
    ----------
    axial : float
        Full width at half maximum of |h|^2 in depth, micrometres.
    lateral : float
        1/e^2 diameter of |h|^2 across, micrometres.
    """

    axial: float
    lateral: float

    @property
    def wz(self) -> float:
        """1/e half width of the field in depth, micrometres."""
        return self.axial / float(np.sqrt(2 * np.log(2)))

    @property
    def wx(self) -> float:
        """1/e half width of the field across, micrometres."""
        return self.lateral / 2


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Pixel centres of a B-scan: row i lies at z0 + i dz, column j at x0 + j dx (micrometres)."""

    rows: int
    cols: int
    dz: float
    dx: float
    z0: float = 0.0
    x0: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.cols

    @property
    def z(self) -> FloatArray:
        """Depth of the rows, micrometres, shape (rows,)."""
        return self.z0 + self.dz * np.arange(self.rows, dtype=np.float64)

    @property
    def x(self) -> FloatArray:
        """Lateral position of the columns, micrometres, shape (cols,)."""
        return self.x0 + self.dx * np.arange(self.cols, dtype=np.float64)

    def coarser(self, factor: int) -> Grid:
        """Return the grid whose pixels each cover factor x factor pixels of this one.

        The centre of pixel i lies at factor i + (factor - 1) / 2 of this grid (4 i + 1.5 for
        factor 4), so that both grids cover the same area.

        Raises
        ------
        ValueError
            If rows or cols is not a multiple of factor.
        """
        if self.rows % factor or self.cols % factor:
            raise ValueError(f"a grid of {self.shape} does not divide by {factor}")
        half = (factor - 1) / 2
        return Grid(
            rows=self.rows // factor,
            cols=self.cols // factor,
            dz=self.dz * factor,
            dx=self.dx * factor,
            z0=self.z0 + half * self.dz,
            x0=self.x0 + half * self.dx,
        )

    def padded(self, margin: int) -> Grid:
        """Return the grid with margin more pixels on every side (room for the PSF)."""
        return Grid(
            rows=self.rows + 2 * margin,
            cols=self.cols + 2 * margin,
            dz=self.dz,
            dx=self.dx,
            z0=self.z0 - margin * self.dz,
            x0=self.x0 - margin * self.dx,
        )


def scatterers(backscatter: FloatArray, rng: np.random.Generator) -> ComplexArray:
    """Draw one realisation of the scatterers: B sqrt(S), B circular Gaussian with E|B|^2 = 1.

    Parameters
    ----------
    backscatter : ndarray, shape (rows, cols)
        Backscatter S on the grid of the scatterers, linear, >= 0.
    rng : numpy.random.Generator
        Source of randomness.
    """
    b = rng.standard_normal((2, *backscatter.shape))
    return np.asarray((b[0] + 1j * b[1]) * np.sqrt(backscatter / 2), dtype=np.complex128)


class Optics:
    """What one instrument sees on its grid of scatterers that lie on another grid.

    The weights are cut off at `REACH` field widths (h = 4e-5) and normalised so that the |h|^2 of a
    pixel sum to one: a uniform backscatter S gives the mean intensity S at every resolution.

    Parameters
    ----------
    psf : Psf
        The resolution.
    source : Grid
        Where the scatterers lie; it should reach `REACH` field widths beyond `target`, or
        the border sees fewer of them.
    target : Grid
        The pixels of the image.
    """

    def __init__(self, psf: Psf, source: Grid, target: Grid) -> None:
        self.psf, self.source, self.target = psf, source, target
        self._rows = _weights(target.z, source.z, psf.wz)
        self._cols = _weights(target.x, source.x, psf.wx)

    def field(self, amplitudes: ComplexArray) -> ComplexArray:
        """Return the complex field E on the target grid of scatterers given on the source grid."""
        return _separable(self._rows, self._cols, amplitudes)

    def mean_intensity(self, backscatter: FloatArray) -> FloatArray:
        """Return the speckle-free intensity S * |h|^2 on the target grid, without noise."""
        return _separable(self._rows.power(2), self._cols.power(2), backscatter)


def detect(field: ComplexArray, noise: float, rng: np.random.Generator) -> FloatArray:
    """Return I = |E + n|^2, n circular complex Gaussian with E|n|^2 = noise (linear intensity)."""
    n = rng.standard_normal((2, *field.shape)) * np.sqrt(noise / 2)
    return np.asarray((field.real + n[0]) ** 2 + (field.imag + n[1]) ** 2, dtype=np.float64)


def acquire(
    backscatter: FloatArray,
    optics: Sequence[Optics],
    *,
    noise: float,
    frames: int,
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Image the same tissue with several instruments, averaging frames of independent speckle.

    In every frame all instruments see the same scatterers; detector noise is their own. Averaging
    is of linear intensity, over frames whose speckle is taken as uncorrelated (in the eye, small
    movements between repeats see to that only in part).

    Parameters
    ----------
    backscatter : ndarray, shape of the source grid
        Backscatter S, linear.
    optics : sequence of Optics
        The instruments; all with the same source grid.
    noise : float
        Mean intensity of the detector noise, in units of S.
    frames : int
        How many frames are averaged.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of ndarray
        One mean intensity image, float64, for each instrument.
    """
    sums = [np.zeros(o.target.shape) for o in optics]
    for _ in range(frames):
        amplitudes = scatterers(backscatter, rng)
        for total, instrument in zip(sums, optics, strict=True):
            total += detect(instrument.field(amplitudes), noise, rng)
    return [total / frames for total in sums]


def display(intensity: FloatArray, lo: float, hi: float) -> FloatArray:
    """Log-compress intensity: clip((10 log10 I - lo) / (hi - lo)) to 0..1, lo and hi in dB."""
    decibel = 10 * np.log10(np.maximum(intensity, np.finfo(np.float64).tiny))
    return np.asarray(np.clip((decibel - lo) / (hi - lo), 0, 1), dtype=np.float64)


def _weights(target: FloatArray, source: FloatArray, width: float) -> sparse.csr_array:
    """Return h between every target and source position of one axis, rows of unit energy."""
    distance = (target[:, None] - source[None, :]) / width
    h = np.where(np.abs(distance) <= REACH, np.exp(-(distance**2)), 0.0)
    return sparse.csr_array(h / np.sqrt(np.sum(h**2, axis=1, keepdims=True)))


def _separable(rows: sparse.csr_array, cols: sparse.csr_array, image: NDArray[Any]) -> NDArray[Any]:
    """Apply one matrix along the rows and one along the columns.

    Sparse products add in a fixed order, where a BLAS may not: the same seed gives the same image
    on every machine.
    """
    half = rows @ image
    return np.ascontiguousarray((cols @ np.ascontiguousarray(half.T)).T)
