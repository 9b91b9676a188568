"""What kind of image a stack is, told from its pixels, with the figures that it was told by.

A few planes are looked at, in blocks of 8 x 8 pixels. Fully developed speckle is grain that is as
strong everywhere, no longer than a pixel or two, and dark-tailed or lying on layers; averaged OCT
has layers across the depth without it; fluorescence a flat dark ground, brightfield a light one or,
in RGB, the colours of a stain. What is none of these is taken for a photograph. How the limits were
found stands in docs/kinds.md.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.acquisition import Acquisition
from napari_srgan.image.intensity import values_look_linear
from napari_srgan.image.memory import recall, remembered
from napari_srgan.image.stack import Stack
from napari_srgan.image.valid import is_value
from napari_srgan.image.views import as_gray, is_gray

Kind = Literal["raw-oct", "oct", "fluorescence", "brightfield", "em", "photograph"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""All that an image may be taken for. `recognise` never says em: nothing that is measured here
tells a micrograph of an electron microscope from a gray photograph."""

PLANES = 3
"""Planes that are looked at, at most."""
_ROWS, _COLS = 1024, 384  # of a plane, around its middle; a B-scan's whole depth
_BLOCK = 8
_LEAST = 32  # pixels along Y and X: 4 x 4 blocks
_SPARSE = 11  # every how many values a percentile takes
_ALIKE = 0.01  # of the range: how far samples of one gray value may be apart


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured on a plane, or the median over several.

    Attributes
    ----------
    contrast : float
        Standard deviation within the brighter half of the blocks, less their slope: median, of the
        range from the 1st to the 99.5th percentile. Of data linear in intensity, after the fourth
        root.
    relative : float
        The same in proportion to the mean of each block.
    evenness, relative_evenness : float
        10th percentile over the median of both: 1 is grain as strong everywhere.
    brightest : float
        `relative` in the brightest tenth.
    neighbour : (float, float)
        Correlation of pixels 1 apart along Y and X, less the slope of each block.
    next : (float, float)
        The same 2 apart.
    skewness : float
        Of the grain; the logarithm of speckle has a dark tail.
    layers : float
        Power of the changes from block to block along Y, in that along X.
    ends : float
        The brighter end of the depth, in its brightest row of blocks.
    dark, light : float
        Share of the blocks that are a flat dark ground, and that are light.
    typical : float
        Median of the blocks, of the range.
    stain : float
        Of all chroma, the share where green is absorbed most, as by haematoxylin and eosin; 0 in
        gray.
    white : float
        Share of the pixels that are nearly white; 0 in gray.
    linear : float
        1 for data linear in intensity, nearly all of them dark.
    """

    contrast: float
    relative: float
    evenness: float
    relative_evenness: float
    brightest: float
    neighbour: tuple[float, float]
    next: tuple[float, float]
    skewness: float
    layers: float
    ends: float
    dark: float
    light: float
    typical: float
    stain: float
    white: float
    linear: float

    @property
    def grain(self) -> tuple[float, float]:
        """Length of the grain along Y and X, px: where its correlation falls to 1/e; 3 at most."""
        pairs = zip(self.neighbour, self.next, strict=True)
        y, x = (_length(first, second) for first, second in pairs)
        return y, x


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a stack was taken for.

    Attributes
    ----------
    kind : str
        Of `KINDS`.
    reason : str
        Why, as the end of a sentence that begins with "because".
    figures : Figures or None
        Medians over the planes of that kind; None where there was nothing to measure.
    alike : float or None
        Of RGB that holds gray: how far the three samples of a pixel are apart at most, in units of
        the data, to count as one gray value; None for colours, and where there is one sample.
    linear : bool or None
        Whether the data are linear in intensity, where their file says so.
    """

    kind: Kind
    reason: str
    figures: Figures | None = None
    alike: float | None = None
    linear: bool | None = None

    @property
    def is_linear(self) -> bool:
        """Whether the data are linear in intensity, nearly all of them dark."""
        if self.linear is not None:
            return self.linear
        return self.figures is not None and self.figures.linear >= 0.5


def recognise(stack: Stack) -> Recognised:
    """Say what kind of image a stack is, once; a repeated call returns it at once.

    Parameters
    ----------
    stack : Stack
        At most `PLANES` of its planes are read, of large ones only the middle.

    Returns
    -------
    Recognised

    Raises
    ------
    InputError
        If the pixels cannot be read.
    """
    found: Recognised = remembered(stack, "kind", lambda: _recognised(stack))
    return found


def known_kind(stack: Stack) -> Recognised | None:
    """Return what `recognise` found before; None if it was not asked. Nothing is read."""
    found: Recognised | None = recall(stack, "kind")
    return found


def note_kind(stack: Stack, found: Recognised) -> None:
    """Remember of a stack what was found of the same pixels under another one."""
    remembered(stack, "kind", lambda: found)


def gray_if_gray(stack: Stack) -> Stack:
    """Return RGB that holds gray values as gray, lazily; any other stack as it is."""
    alike = recognise(stack).alike if stack.is_rgb else None
    return stack if alike is None else as_gray(stack, alike)


def _recognised(stack: Stack) -> Recognised:
    """Tell it from the pixels; of what its file calls B-scans, only which kind of OCT it is."""
    found = _from_pixels(stack)
    taken = Acquisition.of(stack.metadata)
    if taken is None or taken.modality != "oct":
        return found
    found = replace(found, linear=taken.linear)
    if found.kind in ("raw-oct", "oct"):
        return found
    single = bool(taken.frames) and max(taken.frames) == 1
    how = " of single frames" if single else ""
    reason = f"its file holds B-scans{how}"
    return replace(found, kind="raw-oct" if single else "oct", reason=reason)


def _from_pixels(stack: Stack) -> Recognised:
    if min(stack.height, stack.width) < _LEAST:
        size = f"{stack.height} x {stack.width} px"
        return Recognised("photograph", f"it is too small to tell more ({size})")
    planes = [_middle(stack, index) for index in _looked_at(stack)]
    alike: float | None = None
    if stack.is_rgb:
        alike = max(_ALIKE * (high - low) for low, high in map(_range_of_green, planes))
        if all(is_gray(plane, alike) for plane in planes):
            planes = [plane[..., 1] for plane in planes]
        else:
            alike, planes = None, [plane[..., :3] for plane in planes]
    measured = [f for f in map(_measured, planes) if f is not None]
    if not measured:
        return Recognised("photograph", "nothing in it varies", None, alike)
    coloured = planes[0].ndim == 3
    kinds = [_kind(f, coloured) for f in measured]
    kind = Counter(kinds).most_common(1)[0][0]
    figures = _median([f for f, k in zip(measured, kinds, strict=True) if k == kind])
    return Recognised(kind, _reason(kind, figures, coloured), figures, alike)


def _looked_at(stack: Stack) -> list[tuple[int, ...]]:
    """Choose planes spread over the stack, of all channels in turn."""
    total = math.prod(stack.plane_shape)
    count = min(total, PLANES)
    found = []
    for k in range(count):
        where = np.unravel_index((2 * k + 1) * total // (2 * count), stack.plane_shape)
        index = dict(zip(stack.plane_axes, map(int, where), strict=True))
        if "C" in index and total // stack.n_channels > 1:
            index["C"] = k % stack.n_channels
        found.append(tuple(index.values()))
    return found


def _middle(stack: Stack, index: tuple[int, ...]) -> NDArray[Any]:
    """Read the middle of a plane."""
    parts = []
    for length, most in ((stack.height, _ROWS), (stack.width, _COLS)):
        start = max(0, (length - most) // 2)
        parts.append(slice(start, start + min(length, most) // _BLOCK * _BLOCK))
    return stack.read(index, *parts)


def _range_of_green(plane: NDArray[Any]) -> tuple[float, float]:
    green = plane[..., 1]
    return _range(green[is_value(green)])


def _range(known: NDArray[Any]) -> tuple[float, float]:
    """Return the 1st and 99.5th percentile; the extremes where these coincide."""
    if not known.size:
        return 0.0, 0.0
    low, high = np.percentile(known[::_SPARSE], (1, 99.5))
    if not low < high:
        low, high = known.min(), known.max()
    return float(low), float(high)


def _measured(plane: NDArray[Any]) -> Figures | None:
    """Measure a plane (y, x) or (y, x, 3); None if nothing in it varies."""
    stain = white = 0.0
    gray = plane.astype(np.float64)
    if plane.ndim == 3:
        stain, white = _colour(plane[::2, ::2].astype(np.float64))
        gray = (gray[..., 0] + gray[..., 1] + gray[..., 2]) / 3
    finite = is_value(gray)
    known = gray[finite]
    low, high = _range(known)
    if not 0 < high - low < math.inf:
        return None
    if known.size < gray.size:  # what is no value belongs to the dark half, which is left out
        gray = np.where(finite, gray, low)
    plain = _blocks(((gray - low) / (high - low)).astype(np.float32).clip(-1, 2))
    linear = values_look_linear(known[::_SPARSE])
    shown = np.sqrt(np.sqrt(_blocks((gray / high).clip(0, 2)))) if linear else plain
    means, deviations = plain.mean((2, 3)), plain.std((2, 3))
    layers, ends = _layers(shown.mean((2, 3)))
    return Figures(
        **_grain(shown),
        layers=layers,
        ends=ends,
        dark=float(np.mean((deviations < 0.03) & (means < 0.2))),
        light=float(np.mean(means > 0.8)),
        typical=float(np.median(means)),
        stain=stain,
        white=white,
        linear=float(linear),
    )


def _colour(plane: NDArray[np.float64]) -> tuple[float, float]:
    """Return `Figures.stain` and `Figures.white` of (y, x, 3)."""
    top = np.nanpercentile(plane[::3, ::3], 99.9)
    share = np.nan_to_num(plane / top if top > 0 else plane)
    red, green, blue = (share[..., k] for k in range(3))
    least = np.minimum(np.minimum(red, green), blue)
    chroma = np.maximum(np.maximum(red, green), blue) - least
    absorbed = (red > green) & (blue > green)
    stain = chroma[absorbed].sum() / max(chroma.sum(), 1e-12)
    return float(stain), float(np.mean((least > 0.75) & (chroma < 0.12)))


def _blocks(plane: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cut a plane into (rows of blocks, columns of blocks, 8, 8)."""
    rows, cols = (n // _BLOCK for n in plane.shape)
    cut = plane.astype(np.float32).reshape(rows, _BLOCK, cols, _BLOCK)
    return np.ascontiguousarray(cut.swapaxes(1, 2))


def _grain(blocks: NDArray[np.float32]) -> dict[str, Any]:
    """Measure what is left of the brighter half of the blocks without their mean and slope."""
    means = blocks.mean((2, 3))
    varied = np.ptp(blocks, axis=(2, 3)) > 0  # clipped or empty ones hold no grain
    chosen = varied & (means >= np.median(means[varied] if varied.any() else means))
    if not chosen.any():
        chosen = np.ones_like(varied)
    means, grain = means[chosen], blocks[chosen] - means[chosen][:, None, None]
    ramp = np.arange(_BLOCK, dtype=np.float32) - (_BLOCK - 1) / 2
    ramp /= np.sqrt(_BLOCK * (ramp**2).sum())
    grain = grain - (grain.sum(2) @ ramp)[:, None, None] * ramp[:, None]
    grain = grain - (grain.sum(1) @ ramp)[:, None, None] * ramp
    deviations = np.sqrt((grain * grain).mean((1, 2)))
    relative = deviations / np.maximum(means, 1e-6)
    power = max(float((grain * grain).mean()), 1e-20)
    lagged = {
        lag: (
            float((grain[:, lag:] * grain[:, :-lag]).mean()) / power,
            float((grain[:, :, lag:] * grain[:, :, :-lag]).mean()) / power,
        )
        for lag in (1, 2)
    }
    return {
        "contrast": float(np.median(deviations)),
        "relative": float(np.median(relative)),
        "evenness": _evenness(deviations),
        "relative_evenness": _evenness(relative),
        "brightest": float(np.median(relative[means >= np.percentile(means, 80)])),
        "neighbour": lagged[1],
        "next": lagged[2],
        "skewness": float((grain**3).mean()) / power**1.5,
    }


def _evenness(values: NDArray[np.float32]) -> float:
    tenth, half = np.percentile(values, (10, 50))
    return float(tenth / max(half, 1e-12))


def _layers(means: NDArray[np.float32]) -> tuple[float, float]:
    """Return `Figures.layers` and `Figures.ends`, from the means of the blocks."""
    down, across = (float((np.diff(means, axis=axis) ** 2).mean()) for axis in (0, 1))
    rows = means.mean(1)
    edge = max(1, len(rows) // 8)
    ends = max(float(rows[:edge].mean()), float(rows[-edge:].mean()))
    return down / max(across, 1e-12), ends / max(float(rows.max()), 1e-6)


def _length(first: float, second: float) -> float:
    """Find where a correlation falls to 1/e, from its values 1 and 2 px away."""
    level = math.exp(-1)
    if first < level:
        return (1 - level) / (1 - first)
    if second < level:
        return 1 + (first - level) / max(first - second, 1e-6)
    return 3.0


def _kind(f: Figures, coloured: bool) -> Kind:
    """Name the kind by the figures of a plane; the limits are explained in docs/kinds.md."""
    if coloured:
        if f.stain >= 0.4 and f.stain + f.white / 2 >= 0.85 and f.typical >= 0.4:
            return "brightfield"
        return "fluorescence" if f.dark >= 0.55 and f.typical <= 0.05 else "photograph"
    if _is_speckle(f):
        return "raw-oct"
    if f.light >= 0.5 and f.typical >= 0.85:
        return "brightfield"
    if f.layers >= 4 and f.ends <= 0.65:
        return "oct"
    return "fluorescence" if f.dark >= 0.28 and f.typical <= 0.15 else "photograph"


def _is_speckle(f: Figures) -> bool:
    if max(f.next) > 0.3:
        return False
    layered = f.layers >= 2.5
    # In decibels speckle is noise of one strength, whose tail is dark.
    if not f.linear and f.contrast >= 0.075 and f.relative >= 0.18 and f.evenness >= 0.65:
        return layered or f.skewness <= -0.35
    # In intensity and amplitude it is in proportion to the mean, the brightest parts included.
    # So is the noise of few photons on a dark ground, which has no layers.
    return layered and min(f.relative, f.brightest) >= 0.17 and f.relative_evenness >= 0.65


def _median(figures: list[Figures]) -> Figures:
    """Take the median of each figure."""
    values: dict[str, Any] = {}
    for f in fields(Figures):
        middle = np.median([getattr(one, f.name) for one in figures], axis=0)
        pair = f.name in ("neighbour", "next")
        values[f.name] = (float(middle[0]), float(middle[1])) if pair else float(middle)
    return Figures(**values)


def _reason(kind: Kind, f: Figures, coloured: bool) -> str:
    if kind == "raw-oct":
        y, x = f.grain
        return (
            f"the image is fully developed speckle (contrast {f.relative:.2f} of the local mean, "
            f"grain {y:.1f} x {x:.1f} px)"
        )
    if kind == "oct":
        return (
            "it has layers across the depth and hardly any speckle (contrast "
            f"{f.relative:.2f} of the local mean)"
        )
    if kind == "fluorescence":
        return f"{f.dark:.0%} of it is a flat dark ground"
    if kind == "brightfield":
        if coloured:
            return f"its colours are those of a stain ({f.stain:.0%} of them absorb green most)"
        return f"{f.light:.0%} of it is a light ground"
    if coloured:
        return "it is in colour, and not in that of a stain"
    return "it shows no speckle, no layers and no flat ground (EM looks the same)"
