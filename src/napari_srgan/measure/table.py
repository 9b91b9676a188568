"""The table of measures: what each is called, which way is better, how it is taken and written.

A measure is a function and a row here; tables, CSV files, reports, commands and panels read the
row. Rows without a function stand for figures that are taken elsewhere: of whole stacks, of error
maps, of regions, of feature maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_srgan.measure.metrics import (
    MS_SSIM_SIDE,
    SSIM_WINDOW,
    mae,
    ms_ssim,
    mse,
    pearson,
    psnr_of_mse,
    ssim,
)

Figure = float | None
"""A value of a measure; None where it is not defined."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A candidate beside its reference, and what several measures have in common.

    Attributes
    ----------
    reference, candidate : ndarray
        Shape (Y, X) or (Y, X, S), the same for both, real dtype.
    data_range : float
        The range of the data in the unit of the pixels, above 0.
    """

    reference: NDArray[Any]
    candidate: NDArray[Any]
    data_range: float

    @cached_property
    def mse(self) -> float:
        """The mean squared error."""
        return mse(self.reference, self.candidate)


def _mean(values: Sequence[float], data_range: float) -> float:
    return float(np.mean(values))


def _root_mean_square(values: Sequence[float], data_range: float) -> float:
    # All pixels count alike, as in the PSNR: not the mean of roots.
    return math.sqrt(float(np.mean([value * value for value in values])))


def _pooled_psnr(values: Sequence[float], data_range: float) -> float:
    # The pooled error follows from the planes' PSNRs: an infinite one stands for an error of 0.
    errors = [data_range**2 * 10 ** (-value / 10) for value in values]
    return psnr_of_mse(float(np.mean(errors)), data_range)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A row of the table.

    Attributes
    ----------
    name : str
        In files and in programs.
    label : str
        Short, the head of a column.
    title : str
        Longer, where there is room; by default the label.
    unit : str
        "dB", or "" for none or that of the pixels.
    tip : str
        What it is.
    better : {"higher", "lower"}
        Which direction is better.
    decimals : int or None
        With how many it is written; None: with four significant digits.
    take : callable or None
        How it is taken of a `Pair`; None: elsewhere.
    smallest : int
        Pixels a side that `take` needs; the measure of smaller planes is not defined.
    undefined : str
        A sentence without its end on where it is not defined; "" if it always is.
    pool : callable
        From its values in planes of one size, and the data range, to that of the stack.
    effort : int
        0 if 2048 x 2048 px take some 10 ms, else 1 or more: greater ones had better come last.
    evaluated : bool
        Whether evaluations (`protocols`) and the validation of a training take it.
    """

    name: str
    label: str
    title: str = ""
    unit: str = ""
    tip: str
    better: Literal["higher", "lower"] = "higher"
    decimals: int | None = None
    take: Callable[[Pair], Figure] | None = None
    smallest: int = 1
    undefined: str = ""
    pool: Callable[[Sequence[float], float], float] = _mean
    effort: int = 0
    evaluated: bool = False

    @property
    def heading(self) -> str:
        """The title and the unit: "PSNR (dB)", "SSIM"."""
        title = self.title or self.label
        return f"{title} ({self.unit})" if self.unit else title

    def of(self, pair: Pair) -> Figure:
        """Take the measure of two planes; None where it is not defined.

        Raises
        ------
        InputError
            If the shapes differ, or a pixel is NaN or infinite.
        """
        assert self.take is not None, f"{self.name} is not taken of two planes"
        return self.take(pair) if min(pair.reference.shape[:2]) >= self.smallest else None

    def of_stack(self, values: Sequence[Figure], data_range: float) -> Figure:
        """Pool the values of a stack's planes; None if it is defined for none of them."""
        defined = [value for value in values if value is not None]
        return self.pool(defined, data_range) if defined else None

    def best(self, values: Sequence[Figure]) -> Figure:
        """Return the best of the values; None if they do not differ."""
        known = {value for value in values if value is not None and not math.isnan(value)}
        if len(known) < 2:
            return None
        return max(known) if self.better == "higher" else min(known)

    def text(self, value: Figure, *, missing: str = "–", infinite: str = "∞") -> str:
        """Write a value for people; values of 1000 and more lose their decimals."""
        if value is None or math.isnan(value):
            return missing
        if math.isinf(value):
            return infinite
        if self.decimals is None:
            return f"{value:#.4g}".rstrip(".")
        return f"{value:.{0 if abs(value) >= 1000 else self.decimals}f}"

    def difference(self, value: Figure, other: Figure, *, missing: str = "–") -> str:
        """Write by how much a value exceeds another, with its sign."""
        if value is None or other is None or not math.isfinite(value - other):
            return missing
        return f"{value - other:+{'#.4g' if self.decimals is None else f'.{self.decimals}f'}}"


MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            name="psnr",
            label="PSNR",
            unit="dB",
            tip="Peak signal-to-noise ratio, dB; of a stack from the mean squared error of all "
            "pixels",
            decimals=2,
            take=lambda pair: psnr_of_mse(pair.mse, pair.data_range),
            pool=_pooled_psnr,
            evaluated=True,
        ),
        Measure(
            name="ssim",
            label="SSIM",
            tip="Structural similarity (Wang 2004: Gaussian window, 11 x 11 px, sigma 1.5)",
            decimals=4,
            take=lambda pair: ssim(pair.reference, pair.candidate, pair.data_range),
            smallest=SSIM_WINDOW,
            undefined=f"SSIM needs {SSIM_WINDOW} px a side",
            effort=1,
            evaluated=True,
        ),
        Measure(
            name="ms_ssim",
            label="MS-SSIM",
            tip=f"Multi-scale SSIM (Wang 2003), for images of at least {MS_SSIM_SIDE} px a side",
            decimals=4,
            take=lambda pair: ms_ssim(pair.reference, pair.candidate, pair.data_range),
            smallest=MS_SSIM_SIDE,
            undefined=f"MS-SSIM needs {MS_SSIM_SIDE} px a side",
            effort=2,
            evaluated=True,
        ),
        Measure(
            name="mse",
            label="MSE",
            tip="Mean squared error, in the square of the pixels' unit",
            better="lower",
            take=lambda pair: pair.mse,
            evaluated=True,
        ),
        Measure(
            name="rmse",
            label="RMSE",
            tip="Root of the mean squared error, in the pixels' unit",
            better="lower",
            take=lambda pair: math.sqrt(pair.mse),
            pool=_root_mean_square,
        ),
        Measure(
            name="mae",
            label="MAE",
            tip="Mean absolute error (L1), in the pixels' unit",
            better="lower",
            take=lambda pair: mae(pair.reference, pair.candidate),
            evaluated=True,
        ),
        Measure(
            name="pearson",
            label="Pearson",
            tip="Pearson's correlation of the pixels",
            decimals=4,
            take=lambda pair: pearson(pair.reference, pair.candidate),
            undefined="Pearson's correlation of a constant image is not defined",
            effort=1,
        ),
        Measure(
            name="rse",
            label="RSE",
            tip="Resolution-scaled error (SQUIRREL)",
            better="lower",
            pool=_root_mean_square,
        ),
        Measure(
            name="rsp",
            label="RSP",
            tip="Resolution-scaled Pearson coefficient",
            decimals=4,
        ),
        Measure(
            name="psnr_mean",
            label="Mean",
            title="PSNR, mean of slices",
            unit="dB",
            tip="Mean of the slices' PSNR, dB, without those that equal the reference",
            decimals=2,
        ),
        Measure(
            name="psnr_infinite",
            label="∞",
            title="Slices that equal the reference",
            tip="How many slices equal the reference: their PSNR is infinite",
            decimals=0,
        ),
        Measure(name="cnr", label="CNR", tip="Contrast-to-noise ratio of two regions"),
        Measure(name="enl", label="ENL", tip="Equivalent number of looks of a region"),
        *(
            # Distances are of any size: it depends on how the weights are normalised.
            Measure(
                name=f"vgg{layer}",
                label=f"VGG{layer}",
                title=f"VGG{layer} distance",
                tip=f"Mean squared difference of VGG19's feature maps phi {layer[0]},{layer[1]}",
                better="lower",
                decimals=4,
                evaluated=True,
            )
            for layer in ("22", "34", "44", "54")
        ),
        *(
            Measure(
                name=f"lpips_{network.lower()}",
                label=f"LPIPS {network}",
                tip=f"Learned perceptual distance (Zhang 2018, v0.1) by {trunk}: how different two "
                "images look",
                better="lower",
                decimals=4,
                undefined=f"LPIPS {network} needs {side} px a side",
                evaluated=True,
            )
            for network, trunk, side in (("Alex", "AlexNet", 31), ("VGG", "VGG16", 16))
        ),
    )
}
"""All measures by name, in the order in which they are shown."""

PLANE_MEASURES = tuple(measure.name for measure in MEASURES.values() if measure.take)
"""The names of those that are taken of two planes."""
LPIPS_MEASURES = tuple(name for name in MEASURES if name.startswith("lpips"))
"""The names of those of a network that is to be had apart, see `models.lpips`."""


def take(names: Sequence[str], pair: Pair) -> dict[str, Figure]:
    """Take several measures of two planes.

    Parameters
    ----------
    names : sequence of str
        Some of `PLANE_MEASURES`.
    pair : Pair

    Returns
    -------
    dict of name to float or None
        In the order of the names. A PSNR in dB is infinite for equal images.

    Raises
    ------
    InputError
        If the shapes differ, or a pixel is NaN or infinite.
    """
    return {name: MEASURES[name].of(pair) for name in names}
