"""The intensity range of a whole stack: data -> [0, 1] for the network -> data.

An affine map that clips nothing, with an invertible transform before it for data that are
linear in intensity. One range for the whole stack, never per slice: per-slice ranges flicker
and amplify empty planes. One per channel along C; one for red, green and blue together.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.memory import remembered
from napari_srgan.image.sampling import sample, windows
from napari_srgan.image.stack import EXACT_INTEGER, Stack
from napari_srgan.image.valid import is_value

MODES = "auto, minmax, dtype, percentile:A,B or LO:HI"
TRANSFORMS = "none, log or power:P"

# Linear OCT spans some 40 dB between noise floor and brightest layers: log bends there.
_LOG_FLOOR = 1e-4
_FARTHEST = float(np.finfo(np.float32).max)
"""Beyond it the span of a range, its transform, and what comes back from it may be no number."""
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True)
class Intensity:
    """The map of a stack's values to the network's unit range, and back.

    Attributes
    ----------
    lo, hi : tuple of float
        Values that map to 0 and 1, in the data's own units, one per channel along C.
    mode : str
        How they were found: auto, minmax, dtype, percentile:A,B or LO:HI.
    transform : str
        none, log or power:P; applied before the affine map and inverted after it.
    """

    lo: tuple[float, ...]
    hi: tuple[float, ...]
    mode: str = "auto"
    transform: str = "none"

    def to_unit(self, block: NDArray[Any], channel: int = 0) -> NDArray[np.float32]:
        """Map values to the unit range; nothing is clipped.

        Parameters
        ----------
        block : ndarray of any real dtype and shape
            Stored values.
        channel : int
            Position along C.

        Returns
        -------
        ndarray of float32, same shape
        """
        low, span = self._affine(channel)
        # float64, since float32 has too few digits for 32-bit integers on a pedestal.
        values = self._forward(block.astype(np.float64), channel)
        unit: NDArray[np.float32] = ((values - low) / span).astype(np.float32)
        return unit

    def from_unit(self, unit: NDArray[Any], dtype: Any, channel: int = 0) -> NDArray[Any]:
        """Map unit-range values back to the data's range and dtype.

        Parameters
        ----------
        unit : ndarray of float
            What the network returned.
        dtype : dtype
            The dtype of the stack; integers are rounded and clipped to what it holds.
        channel : int
            Position along C.

        Returns
        -------
        ndarray of `dtype`, same shape
        """
        low, span = self._affine(channel)
        values: NDArray[np.float64] = self._inverse(unit.astype(np.float64) * span + low, channel)
        return to_dtype(values, dtype)

    def _affine(self, channel: int) -> tuple[float, float]:
        low, high = (
            float(self._forward(np.float64(v), channel))
            for v in (self.lo[channel], self.hi[channel])
        )
        return low, (high - low) or 1.0

    def _forward(self, values: Any, channel: int) -> Any:
        if self.transform == "none":
            return values
        if self.transform == "log":
            # Odd about zero, so that zero and noise below zero stay finite and come back.
            return np.sign(values) * np.log1p(np.abs(values) / self._log_floor(channel))
        return np.sign(values) * np.abs(values) ** _exponent(self.transform)

    def _inverse(self, values: Any, channel: int) -> Any:
        if self.transform == "none":
            return values
        if self.transform == "log":
            return np.sign(values) * np.expm1(np.abs(values)) * self._log_floor(channel)
        return np.sign(values) * np.abs(values) ** (1 / _exponent(self.transform))

    def _log_floor(self, channel: int) -> float:
        return (abs(self.hi[channel]) or 1.0) * _LOG_FLOOR


def to_dtype(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Round to an integer dtype and clip to what it holds; floats only to what is finite in it."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        finite = np.finfo(dtype)
        low, high = float(finite.min), float(finite.max)
    else:
        whole = np.iinfo(dtype)
        values = np.rint(values)
        # 2**63 - 1 is not a float64; beyond 2**53 no input was admitted either.
        low, high = max(whole.min, -EXACT_INTEGER), min(whole.max, EXACT_INTEGER)
    result: NDArray[Any] = np.clip(values, low, high).astype(dtype)
    return result


def measure(stack: Stack, mode: str = "auto", transform: str = "none") -> Intensity:
    """Find the intensity range of a whole stack, once; a repeated call returns it at once.

    That holds for the session also where a file is opened again, if it has not changed.

    Parameters
    ----------
    stack : Stack
        The whole stack, also when only a part of it will be upscaled.
    mode : str
        ``auto``: 0..255 for uint8, else the 0.1 and 99.9 percentiles; ``minmax``; ``dtype``: the
        range of an integer dtype, 0..1 for floats; ``percentile:A,B``; ``LO:HI`` in data units.
    transform : str
        ``none``, ``log``, or ``power:P`` with P > 0, for data linear in intensity.

    Returns
    -------
    Intensity

    Raises
    ------
    InputError
        If mode or transform is none of these, or no value of the stack is finite.

    Notes
    -----
    Percentiles of more than 4 million values a channel come from a sample with a fixed seed.
    NaN and infinities are left out.
    """
    mode, transform = str(mode).strip(), str(transform).strip()
    check_modes(mode, transform)
    return remembered(stack, (mode, transform), lambda: _measured(stack, mode, transform))


def _measured(stack: Stack, mode: str, transform: str) -> Intensity:
    ranges = [_range(stack, mode, channel) for channel in range(stack.n_channels)]
    lo, hi = (tuple(float(v) for v in ends) for ends in zip(*ranges, strict=True))
    # A constant channel (a black one, say) never meets the network: any range will do.
    unfit = [high for low, high in ranges if high <= 0 and low < high]
    if transform == "log" and unfit:
        raise InputError(
            f"{stack.name}: the log transform needs intensities above zero, but the range ends"
            f" at {min(unfit):g}; use --transform none for data that are already in decibels."
        )
    return Intensity(lo, hi, mode, transform)


def looks_linear(stack: Stack) -> bool:
    """Say whether the values look linear in intensity, so that a log transform would help.

    In a log-compressed image the typical value is within a factor of 50 (17 dB) of the
    brightest ones; in a linear OCT image it is far below them.
    """
    return remembered(stack, "looks linear", lambda: values_look_linear(_sampled(stack, 0)))


def values_look_linear(values: NDArray[Any]) -> bool:
    """Say of values, finite and 1-D, what `looks_linear` says of a stack."""
    values = values[:: max(1, values.size // 2**18)]
    if not values.size or values.min() < 0:
        return False
    values = values[values > 0]
    if values.size < 100:
        return False
    typical, bright = np.percentile(values, (50, 99.9))
    return bool(bright / 50 > typical)


def _sampled(stack: Stack, channel: int) -> NDArray[Any]:
    """Sample a channel, and see at once all that is asked of the first one: it is a look at all."""
    values = sample(stack, channel)
    if channel == 0:
        remembered(stack, "looks linear", lambda: values_look_linear(values))
    return values


def check_modes(mode: str, transform: str) -> None:
    """Refuse a mode or a transform that is none of those of `measure`; no pixel is read.

    Raises
    ------
    InputError
    """
    mode, transform = str(mode).strip(), str(transform).strip()
    if mode not in ("auto", "minmax", "dtype") and _percentiles(mode) is None:
        _limits(mode)
    if transform not in ("none", "log"):
        _exponent(transform)


def _range(stack: Stack, mode: str, channel: int) -> tuple[float, float]:
    """Range of one channel, in the data's own units."""
    if mode == "auto" and stack.dtype == np.uint8:
        return 0.0, 255.0
    if mode == "dtype":
        if stack.dtype.kind == "f":
            return 0.0, 1.0
        return float(np.iinfo(stack.dtype).min), float(np.iinfo(stack.dtype).max)
    if mode == "minmax":
        return _extremes(stack, channel)
    ends = (0.1, 99.9) if mode == "auto" else _percentiles(mode)
    if ends is None:
        return _limits(mode)
    values = _sampled(stack, channel)
    if not values.size:
        return _extremes(stack, channel)
    lo, hi = np.percentile(values, ends)
    # A few bright pixels on a flat ground: the percentiles coincide and say nothing.
    return (float(lo), float(hi)) if lo < hi else _extremes(stack, channel)


def _extremes(stack: Stack, channel: int) -> tuple[float, float]:
    lo, hi = np.inf, -np.inf
    for _, _, block in windows(stack, channel):
        finite = block[is_value(block)] if block.dtype.kind == "f" else block
        if finite.size:
            lo, hi = min(lo, float(finite.min())), max(hi, float(finite.max()))
    if lo > hi:
        where = f" in channel {channel}" if stack.n_channels > 1 else ""
        raise InputError(f"{stack.name} holds no finite value{where}; there is nothing to upscale.")
    return lo, hi


def _percentiles(mode: str) -> tuple[float, float] | None:
    found = re.fullmatch(rf"percentile:({_NUMBER}),({_NUMBER})", mode)
    if not found:
        return None
    low, high = float(found[1]), float(found[2])
    if not 0 <= low < high <= 100:
        raise InputError(
            f"The intensity {mode!r} needs two percentiles with 0 <= A < B <= 100,"
            " for example percentile:0.1,99.9."
        )
    return low, high


def _limits(mode: str) -> tuple[float, float]:
    found = re.fullmatch(rf"({_NUMBER}):({_NUMBER})", mode)
    if not found:
        raise InputError(f"The intensity {mode!r} is not known; give {MODES}.")
    low, high = float(found[1]), float(found[2])
    if not low < high < np.inf:
        raise InputError(f"The intensity {mode!r} needs LO below HI, for example 0:4095.")
    if max(abs(low), abs(high)) > _FARTHEST:
        raise InputError(
            f"The intensity {mode!r} reaches beyond {_FARTHEST:.2g}, the largest value of float32;"
            " give the range of the data, for example 0:4095."
        )
    return low, high


def _exponent(transform: str) -> float:
    found = re.fullmatch(rf"power:({_NUMBER})", transform)
    if not found:
        raise InputError(f"The transform {transform!r} is not known; give {TRANSFORMS}.")
    exponent = float(found[1])
    if not 0 < exponent < np.inf:
        raise InputError(
            f"The transform {transform!r} needs an exponent above zero, for example power:0.25."
        )
    return exponent
