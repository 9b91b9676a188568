"""The tissue behind the synthetic OCT volume: a retina as a map of backscatter.

Layers, the foveal pit, vessels with their shadows, the choroid and the sclera belong here. The
thicknesses are those of the literature; where no figure is cited the value is a choice that makes
the B-scan look right, and says so. How the tissue is imaged is in `synthetic`.

Coordinates are micrometres: z downwards in depth, x lateral (0 at the fovea, positive towards the
nose), y across B-scans (0 at the fovea).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from napari_srgan.synthetic.optics import FloatArray, Grid


class Layer(NamedTuple):
    """One retinal layer: thickness at the fovea and nasal of it (um), backscatter (dB, RPE = 0)."""

    name: str
    fovea: float
    nasal: float
    backscatter: float
    texture: float  # SD of the fine structure in dB


# Thicknesses: PMC6042244 (its seven layers, in this order). Backscatter levels and textures are
# chosen so that a log-compressed B-scan shows the grey levels of clinical ones.
LAYERS = (
    Layer("RNFL", 11, 20, -5.0, 0.9),
    Layer("GCL", 12, 50, -11.5, 0.8),
    Layer("IPL", 18, 42, -9.5, 0.7),
    Layer("INL", 15, 38, -15.5, 1.0),
    Layer("OPL", 23, 32, -11.0, 0.9),
    Layer("ONL", 88, 73, -18.5, 0.7),
    Layer("PR+RPE", 90, 84, -2.0, 0.6),
)

# The bands inside PR+RPE: fraction of its thickness and backscatter. Their order is that of the
# international nomenclature (Staurenghi et al., Ophthalmology 121:1572, 2014); fractions chosen.
BANDS = (
    ("ELM", 0.05, -13.0),
    ("myoid zone", 0.22, -19.0),
    ("ellipsoid zone", 0.14, -2.5),
    ("outer segments", 0.20, -11.0),
    ("interdigitation zone", 0.09, -5.0),
    ("outer segment tips", 0.05, -9.0),
    ("RPE", 0.25, 0.0),
)

VITREOUS = -50.0
CHOROID_THICKNESS = 150.0
RIM = 860.0
"""Distance from the fovea at which the nasal thicknesses are reached, um."""
CURVATURE_RADIUS = 9_000.0
TILT = 0.028
FOVEAL_BASE = 398.0
"""Depth of the foot of the retina (outer edge of the RPE) at the fovea, um."""


class Vessel(NamedTuple):
    """A vessel of the inner retina that crosses the B-scans."""

    x: float  # where it crosses y = 0, um
    slope: float  # dx / dy
    radius: float  # um
    depth: float  # of its centre below the inner surface, um
    shadow: float  # fraction of the light that passes


VESSELS = (
    Vessel(-455, 0.22, 16, 27, 0.48),
    Vessel(-330, -0.30, 8, 34, 0.72),
    Vessel(430, 0.18, 9, 40, 0.70),
    Vessel(575, -0.28, 22, 33, 0.38),
    Vessel(668, 0.12, 11, 42, 0.62),
    Vessel(810, 0.35, 27, 38, 0.32),
)


def thicknesses(x: FloatArray, y: float) -> FloatArray:
    """Return the thickness of each of `LAYERS` at the positions x of one B-scan.

    The foveal value goes over into the nasal one along a smooth step of the distance from the
    fovea. The RNFL, whose fibres run to the optic nerve, thickens on the nasal side only.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Lateral positions, um.
    y : float
        Position of the B-scan, um.

    Returns
    -------
    ndarray, shape (7, n)
        Thickness, um.
    """
    distance = np.hypot(x, y)
    t = np.clip(distance / RIM, 0, 1)
    step = t**3 * (10 + t * (6 * t - 15))
    nasal = 0.5 * (1 + x / np.maximum(distance, 1e-9))
    fovea = np.array([layer.fovea for layer in LAYERS])[:, None]
    gain = np.array([layer.nasal for layer in LAYERS])[:, None] - fovea
    result = fovea + gain * step
    result[0] = LAYERS[0].fovea + gain[0] * step * nasal
    return np.asarray(result, dtype=np.float64)


def boundaries(x: FloatArray, y: float) -> FloatArray:
    """Return the depth of the inner edge of each layer and of the outer edge of the last.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Lateral positions, um.
    y : float
        Position of the B-scan, um.

    Returns
    -------
    ndarray, shape (8, n)
        Depth, um. The differences along the first axis are `thicknesses`.
    """
    thickness = thicknesses(x, y)
    foot = FOVEAL_BASE + TILT * x - (x**2 + y**2) / (2 * CURVATURE_RADIUS)
    above = np.cumsum(thickness[::-1], axis=0)[::-1]
    return np.concatenate([foot - above, foot[None]])


def backscatter(grid: Grid, y: float, rng: np.random.Generator) -> FloatArray:
    """Return the backscatter map S of one B-scan, linear, with the RPE near 1.

    Parameters
    ----------
    grid : Grid
        Where to evaluate it, um.
    y : float
        Position of the B-scan, um.
    rng : numpy.random.Generator
        For texture, capillaries and the choroid.
    """
    edges = boundaries(grid.x, y)
    # Undulation is common to all layers: thicknesses stay what they are.
    edges = edges + 1.2 * _noise(grid, (0, 90), rng)[0]
    z = grid.z[:, None]
    shape = [(layer.backscatter, layer.texture) for layer in LAYERS[:-1]]
    tops = list(edges[:-1])
    fraction = np.cumsum([0.0] + [b[1] for b in BANDS[:-1]])
    tops[-1:] = [edges[-2] + f * (edges[-1] - edges[-2]) for f in fraction]
    shape += [(level, LAYERS[-1].texture) for _, _, level in BANDS]

    fine, coarse = _noise(grid, (3, 4), rng), _noise(grid, (8, 45), rng)
    result = np.full(grid.shape, 10 ** (VITREOUS / 10))
    # Inner edges are gradual over 2 um: cell borders aren't optical surfaces.
    inside = [np.clip((z - top) / 2 + 0.5, 0, 1) for top in [*tops, edges[-1]]]
    for k, (level, texture) in enumerate(shape):
        s = 10 ** ((level + texture * (fine + coarse)) / 10)
        result += (inside[k] - inside[k + 1]) * s
    result += inside[-1] * _choroid(grid, edges[-1], rng)
    # The inner limiting membrane glints where it is nearly level, as on the foveal floor.
    slope = np.gradient(edges[0], grid.dx) - TILT
    result += np.exp(-(((z - edges[0] - 1.5) / 1.6) ** 2)) * 0.35 * np.exp(-((slope / 0.06) ** 2))
    result += _capillaries(grid, edges, y, rng)
    return _vessels(result, grid, edges[0], y)


def _noise(grid: Grid, length: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Smooth Gaussian noise of SD 1 with correlation lengths (z, x) in um; one row if z is 0."""
    rows = grid.rows if length[0] else 1
    white = rng.standard_normal((rows, grid.cols))
    sigma = (length[0] / grid.dz, length[1] / grid.dx)
    smooth = ndimage.gaussian_filter(white, sigma, mode="wrap")
    return np.asarray(smooth / smooth.std(), dtype=np.float64)


def _choroid(grid: Grid, top: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Choriocapillaris, vessels that grow with depth in a brighter stroma, sclera; fading."""
    depth = grid.z[:, None] - top
    small, large = _noise(grid, (7, 11), rng), _noise(grid, (17, 32), rng)
    mix = np.clip((depth - 20) / 60, 0, 1)
    lumen = 1 / (1 + np.exp(-((1 - mix) * small + mix * large - 0.2) / 0.35))
    lumen = lumen * np.clip((depth - 9) / 8, 0, 1)
    level = -8.5 - 6.5 * lumen + 0.8 * _noise(grid, (4, 6), rng)
    bottom = CHOROID_THICKNESS + 9 * _noise(grid, (0, 160), rng)[0]
    sclera = np.clip((depth - bottom) / 10 + 0.5, 0, 1)
    level = (1 - sclera) * level + sclera * (-6.5 + 0.7 * _noise(grid, (7, 60), rng))
    return np.asarray(10 ** ((level - 0.062 * np.maximum(depth, 0)) / 10), dtype=np.float64)


def _capillaries(grid: Grid, edges: FloatArray, y: float, rng: np.random.Generator) -> FloatArray:
    """Bright capillaries, cut across, at both borders of the INL; none in the avascular zone."""
    result = np.zeros(grid.shape)
    for plexus in (3, 4):
        for x in rng.uniform(grid.x[0], grid.x[-1], 26):
            column = int(np.argmin(np.abs(grid.x - x)))
            z = edges[plexus, column] + rng.normal(0, 3)
            radius, strength = rng.uniform(2.5, 4.5), rng.uniform(0.12, 0.3)
            if np.hypot(x, y) < 260:
                continue
            square = ((grid.z[:, None] - z) / radius) ** 2 + ((grid.x - x) / (1.5 * radius)) ** 2
            result += strength * np.exp(-square)
    return result


def _vessels(s: FloatArray, grid: Grid, surface: FloatArray, y: float) -> FloatArray:
    """Put the vessels in: bright upper wall, darkening lumen, and the shadow below."""
    z, x = grid.z[:, None], grid.x
    for vessel in VESSELS:
        centre = vessel.x + vessel.slope * y
        if np.hypot(centre, y) < 300:  # the foveal avascular zone and its margin
            continue
        column = int(np.argmin(np.abs(x - centre)))
        zc = surface[column] + vessel.depth
        square = ((z - zc) ** 2 + (x - centre) ** 2) / vessel.radius**2
        inside = 1 / (1 + np.exp(np.minimum((square - 1) / 0.15, 50)))
        down = np.clip((z - zc) / vessel.radius, -1, 1)
        blood = 10 ** ((-8.5 - 5.0 * down) / 10)
        s = s * (1 - inside) + inside * blood
        edge = np.clip((vessel.radius - np.abs(x - centre)) / (0.8 * vessel.radius) + 0.5, 0, 1)
        below = np.clip((z - zc) / vessel.radius, 0, 1)
        s = s * (1 - (1 - vessel.shadow) * edge * below)
    return np.asarray(s, dtype=np.float64)
