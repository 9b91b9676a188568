"""The synthetic RGB sample: a stained section of a gland in fibrous stroma.

Dye amounts are drawn (nuclei with chromatin, cytoplasm, fibres, a lumen), and the colour follows
from them by the law of Beer and Lambert, T = 10^-(c_h H + c_e E), with the optical densities of
haematoxylin and eosin of Ruifrok & Johnston (Anal. Quant. Cytol. Histol. 23:291, 2001). It is drawn
`SUPERSAMPLING` times finer than wanted and averaged in transmitted light, as a camera pixel does.
It is a picture with sharp edges and fine texture, no model of any disease.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float64]

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11])
SUPERSAMPLING = 3


def stained_tissue(size: int, pixel: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a square field of stained tissue.

    Parameters
    ----------
    size : int
        Pixels on a side.
    pixel : float
        Pixel distance, micrometres.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        RGB.
    """
    n, step = size * SUPERSAMPLING, pixel / SUPERSAMPLING
    side = n * step
    y, x = np.meshgrid((np.arange(n) + 0.5) * step, (np.arange(n) + 0.5) * step, indexing="ij")
    # The gland: an uneven ring of epithelium around a lumen.
    centre = np.array([0.56, 0.40]) * side
    angle = np.arctan2(y - centre[0], x - centre[1])
    radius = np.hypot((y - centre[0]) * 1.12, x - centre[1])
    wobble = 1 + 0.09 * np.cos(2 * angle + 0.7) + 0.06 * np.cos(3 * angle - 1.1)
    inner, outer = 0.15 * side * wobble, 0.335 * side * wobble
    lumen = _step((inner + 0.5 * np.sin(23 * angle) - radius) / 0.5)
    gland = _step((outer - radius) / 0.7) * (1 - lumen)

    grain = _noise(n, 0.25 / step, rng)
    eosin = (1 - lumen - gland) * _fibres(x, y, step, rng)
    eosin += gland * (0.30 + 0.035 * grain + 0.05 * _noise(n, 2.5 / step, rng))
    # The apical rim of the epithelium and the basement membrane take more dye.
    eosin += 0.16 * np.exp(-(((radius - inner - 0.6) / 0.6) ** 2))
    eosin += 0.14 * np.exp(-(((radius - outer) / 0.7) ** 2))
    haematoxylin = gland * 0.09 + 0.015 * (1 - lumen)

    chromatin = 0.6 * _noise(n, 0.22 / step, rng) + 0.8 * _noise(n, 0.6 / step, rng)
    for cy, cx, long, short, turn in _places(side, centre, rng):
        _stamp(haematoxylin, eosin, chromatin, (cy, cx), (long, short, turn), step, rng)

    density = haematoxylin[..., None] * HAEMATOXYLIN + eosin[..., None] * EOSIN
    light = 10 ** -np.maximum(density, 0)
    pixels = light.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, 3).mean(axis=(1, 3))
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * 245), dtype=np.uint8)


def _step(t: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(t)), dtype=np.float64)


def _noise(n: int, sigma: float, rng: np.random.Generator) -> FloatArray:
    """Smooth Gaussian noise of SD 1; wide kernels are drawn coarsely and enlarged, to be quick."""
    coarse = max(1, 2 ** int(np.log2(max(sigma / 2, 1))))
    white = rng.standard_normal((n // coarse, n // coarse))
    smooth = ndimage.gaussian_filter(white, sigma / coarse, mode="wrap")
    if coarse > 1:
        smooth = ndimage.zoom(smooth, coarse, order=1, mode="grid-wrap", grid_mode=True)
    return np.asarray(smooth / smooth.std(), dtype=np.float64)


def _fibres(x: FloatArray, y: FloatArray, step: float, rng: np.random.Generator) -> FloatArray:
    """Eosin of wavy collagen bundles with pale clefts between them."""
    n = len(x)
    bend = 2.2 * _noise(n, 9 / step, rng) + 0.5 * _noise(n, 3 / step, rng)
    across = 0.82 * y + 0.57 * x + bend
    strength = 0.5 + 0.5 * np.sin(2 * np.pi * across / 2.6 + 2.2 * _noise(n, 2 / step, rng))
    fine = 0.5 + 0.5 * np.sin(2 * np.pi * across / 1.1 + 2.6 * _noise(n, 1 / step, rng))
    cleft = _step((np.sin(2 * np.pi * across / 9.1) + 0.5 * _noise(n, 5 / step, rng) - 1.0) / 0.12)
    return np.asarray((0.13 + 0.15 * strength + 0.10 * fine) * (1 - 0.85 * cleft))


def _places(
    side: float, centre: FloatArray, rng: np.random.Generator
) -> list[tuple[float, float, float, float, float]]:
    """Nuclei as (y, x, long and short half axis, angle), um: a palisade and scattered spindles."""
    nuclei = []
    for turn in np.arange(0, 2 * np.pi, 2 * np.pi / 40):
        a = turn + rng.normal(0, 0.03)
        wobble = 1 + 0.09 * np.cos(2 * a + 0.7) + 0.06 * np.cos(3 * a - 1.1)
        r = (0.262 + rng.normal(0, 0.012)) * side * wobble
        y, x = centre[0] + r * np.sin(a) / 1.12, centre[1] + r * np.cos(a)
        nuclei.append((y, x, rng.uniform(3.6, 4.6), rng.uniform(2.0, 2.5), a))
    tries = rng.uniform(0, side, (900, 2))
    for y, x in tries:
        distance = np.hypot((y - centre[0]) * 1.12, x - centre[1])
        if distance < 0.40 * side or len(nuclei) > 110:
            continue
        if min(np.hypot(y - m[0], x - m[1]) for m in nuclei) < 7.5:
            continue
        if rng.random() < 0.75:  # a fibroblast, along the fibres
            shape = (rng.uniform(3.6, 5.2), rng.uniform(0.9, 1.3), -0.6 + rng.normal(0, 0.2))
        else:  # a lymphocyte
            shape = (2.4, rng.uniform(2.1, 2.4), rng.uniform(0, np.pi))
        nuclei.append((y, x, *shape))
    return nuclei


def _stamp(
    haematoxylin: FloatArray,
    eosin: FloatArray,
    chromatin: FloatArray,
    centre: tuple[float, float],
    shape: tuple[float, float, float],
    step: float,
    rng: np.random.Generator,
) -> None:
    """Draw one nucleus in place: membrane, clumped chromatin, sometimes a nucleolus."""
    long, short, turn = shape
    reach = long * 1.4
    lo = [max(0, int((c - reach) / step)) for c in centre]
    hi = [min(len(eosin), int((c + reach) / step) + 1) for c in centre]
    here = (slice(lo[0], hi[0]), slice(lo[1], hi[1]))
    y = (np.arange(lo[0], hi[0]) + 0.5)[:, None] * step - centre[0]
    x = (np.arange(lo[1], hi[1]) + 0.5)[None, :] * step - centre[1]
    u = (np.cos(turn) * x + np.sin(turn) * y) / long
    v = (np.cos(turn) * y - np.sin(turn) * x) / short
    angle = np.arctan2(v, u)
    phase = rng.uniform(0, 2 * np.pi, 2)
    edge = 1 + 0.05 * np.cos(2 * angle + phase[0]) + 0.04 * np.cos(3 * angle + phase[1])
    distance = (np.hypot(u, v) - edge) * short  # um outside the membrane, nearly
    inside = _step(-distance / 0.12)
    dye = rng.uniform(0.55, 0.8) * (1 + 0.20 * np.tanh(chromatin[here]))
    dye = dye + 0.30 * np.exp(-(((distance + 0.25) / 0.22) ** 2))
    nucleolus = rng.uniform(-0.35, 0.35, 2)
    spot = (u - nucleolus[0]) ** 2 * long**2 + (v - nucleolus[1]) ** 2 * short**2
    dye = dye + 0.35 * np.exp(-spot / 0.30) * (short > 1.9)
    haematoxylin[here] = haematoxylin[here] * (1 - inside) + inside * dye
    eosin[here] *= 1 - 0.55 * inside
