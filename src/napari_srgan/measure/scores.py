"""The figures of an evaluation: of one image, model beside bicubic, and the means over many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

MEASURES = ("psnr", "ssim", "ms_ssim", "mse", "mae")
"""The measures of every image, in the order in which they are shown; then come VGG distances."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How close one candidate is to its reference, both in [0, 1].

    Attributes
    ----------
    psnr : float
        In dB; infinite if they are equal.
    ssim : float
    ms_ssim : float or None
        None where the image is too small for it (`msssim.MS_SSIM_SIDE`).
    mse, mae : float
        Of range 1.
    vgg : mapping of layer name to float
        Mean squared difference of the feature maps.
    """

    psnr: float
    ssim: float
    ms_ssim: float | None
    mse: float
    mae: float
    vgg: Mapping[str, float] = field(default_factory=dict)

    def row(self, suffix: str = "") -> dict[str, float | None]:
        """Return the figures by name, each name with the suffix; None for what is not finite."""
        values = {key: getattr(self, key) for key in MEASURES} | dict(self.vgg)
        return {
            key + suffix: value if value is not None and math.isfinite(value) else None
            for key, value in values.items()
        }


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a model and of bicubic enlargement for one image.

    Attributes
    ----------
    name : str
        Of the image.
    model, bicubic : Figures
    constant : bool
        Whether the reference is constant, so that the figures say nothing.
    """

    name: str
    model: Figures
    bicubic: Figures
    constant: bool = False

    @property
    def counts(self) -> bool:
        """Whether it can be part of a mean: not constant, and nothing restored exactly."""
        return not self.constant and math.isfinite(self.model.psnr + self.bicubic.psnr)

    def row(self) -> dict[str, float | None]:
        """Return all figures: the model's by name, bicubic's by name and "_bicubic"."""
        return self.model.row() | self.bicubic.row("_bicubic")


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over images.

    Attributes
    ----------
    images : int
        How many they are over.
    left_out : int
        How many were left out (see `Score.counts`): bicubic is exact on a constant image, and
        one infinite PSNR would make the mean infinite.
    mean : Score or None
        The means, the MS-SSIM over those images that are large enough; None without images.
    """

    images: int
    left_out: int
    mean: Score | None


def summary(scores: Sequence[Score], name: str = "mean") -> Summary:
    """Take the means over images, each with the same weight; the layers of VGG must be the same."""
    counted = [s for s in scores if s.counts]
    means = [_mean([s.model for s in counted]), _mean([s.bicubic for s in counted])]
    left_out = len(scores) - len(counted)
    if means[0] is None or means[1] is None:
        return Summary(0, left_out, None)
    return Summary(len(counted), left_out, Score(name, means[0], means[1]))


def _mean(figures: Sequence[Figures]) -> Figures | None:
    if not figures:
        return None
    multi = [f.ms_ssim for f in figures if f.ms_ssim is not None]
    return Figures(
        psnr=float(np.mean([f.psnr for f in figures])),
        ssim=float(np.mean([f.ssim for f in figures])),
        ms_ssim=float(np.mean(multi)) if multi else None,
        mse=float(np.mean([f.mse for f in figures])),
        mae=float(np.mean([f.mae for f in figures])),
        vgg={layer: float(np.mean([f.vgg[layer] for f in figures])) for layer in figures[0].vgg},
    )
