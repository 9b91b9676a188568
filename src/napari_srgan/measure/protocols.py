"""How good a restoration of an image is, beside bicubic enlargement: the two protocols.

The protocol "data" degrades a plane as the model's training did. The protocol "paper" measures as
the published tables of super-resolution do: MATLAB's `imresize` makes the LR image and the bicubic
enlargement, everything is rounded to 8 bits as files are, and colour is compared on MATLAB's Y
channel without a border. SRGAN (Ledig et al., arXiv 1609.04802v5, section 3.1) and most tables for
Set5, Set14 and BSD100 measure so; the same images give other figures by other conventions (EDSR on
Set5: 32.0 dB, or 30.1 dB on RGB).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.degradation import Degradation, aligned_pair
from napari_srgan.image.geometry import Scale, as_scale, scale_text
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.measure.features import FeatureMaps, as_batch, feature_distances
from napari_srgan.measure.metrics import SSIM_WINDOW
from napari_srgan.measure.planes import luma
from napari_srgan.measure.table import MEASURES, Figure, Pair, take

Restore = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""LR (Y, X[, 3]) in [0, 1], float32 -> SR (sy Y, sx X[, 3])."""

Figures = Mapping[str, Figure]
"""Measure -> value, in the order of the table: of range 1, the PSNR in dB, infinite for equal
images; None where a measure is not defined, as MS-SSIM of small images."""

_TAKEN = tuple(m.name for m in MEASURES.values() if m.evaluated and m.take)
_SMALLEST_LR = 8  # a side; what `Stack` admits
_MARGIN = 4  # LR px; the cubic kernel reaches 2


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a model and of bicubic enlargement for one image.

    Attributes
    ----------
    name : str
        Of the image.
    model, bicubic : Figures
        Of the same measures.
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
        psnrs = (self.model["psnr"], self.bicubic["psnr"])
        return not self.constant and all(v is not None and math.isfinite(v) for v in psnrs)

    def row(self) -> dict[str, Figure]:
        """Return all figures: the model's by name, bicubic's by name and "_bicubic".

        What is not finite becomes None.
        """
        columns = {"": self.model, "_bicubic": self.bicubic}
        return {
            name + suffix: value if value is not None and math.isfinite(value) else None
            for suffix, figures in columns.items()
            for name, value in figures.items()
        }


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
        The means of each measure over the images for which it is defined; None without images.
    """

    images: int
    left_out: int
    mean: Score | None


def summary(scores: Sequence[Score], name: str = "mean") -> Summary:
    """Take the means over images of the same measures, each with the same weight."""
    counted = [score for score in scores if score.counts]
    mean = None
    if counted:
        mean = Score(name, _means([s.model for s in counted]), _means([s.bicubic for s in counted]))
    return Summary(len(counted), len(scores) - len(counted), mean)


def _means(figures: Sequence[Figures]) -> Figures:
    means: dict[str, Figure] = {}
    for name in figures[0]:
        defined = [value for one in figures if (value := one[name]) is not None]
        means[name] = float(np.mean(defined)) if defined else None
    return means


def cropped(
    hr: NDArray[Any],
    scale: int | Scale,
    name: str,
    border: int = 0,
) -> NDArray[Any]:
    """Cut an HR plane at the bottom and on the right to a multiple of the scale.

    Parameters
    ----------
    hr : ndarray
        Shape (Y, X) or (Y, X, S).
    scale : int or Scale
    name : str
        Of the image.
    border : int
        HR pixels a side that will not be measured.

    Raises
    ------
    InputError
        If it is too small to be restored or measured.
    """
    height, width = hr.shape[:2]
    sy, sx = scale = as_scale(scale)
    least = [max(_SMALLEST_LR * s, SSIM_WINDOW + s - 1 + 2 * border) for s in scale]
    if height < least[0] or width < least[1]:
        raise InputError(
            f"{name} has {height} x {width} px, and {least[0]} x {least[1]} px are the least that "
            f"can be measured at {scale_text(scale)}."
        )
    return hr[: height - height % sy, : width - width % sx]


def degraded_plane(
    hr: NDArray[np.float32], operator: Degradation, scale: int | Scale, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make LR of one HR plane, and what a model should make of it.

    Parameters
    ----------
    hr : ndarray of float32
        In [0, 1], shape (Y, X) or (Y, X, 3), Y and X divisible by the scale.
    operator : Degradation
    scale : int or Scale
    random : numpy.random.Generator
        For what the operator draws; a new one of the same seed gives the same image.

    Returns
    -------
    lr : ndarray of float32, shape (Y / sy, X / sx[, 3])
    target : ndarray of float32, the shape of `hr`
        See `degradation.aligned_pair`.
    """
    pair = aligned_pair(operator, as_batch(hr), as_scale(scale), random)
    lr, target = (image[0].permute(1, 2, 0).numpy() for image in pair)
    return (lr, target) if hr.ndim == 3 else (lr[..., 0], target[..., 0])


def evaluate_plane(
    hr: NDArray[np.float32],
    operator: Degradation,
    scale: int | Scale,
    restore: Restore,
    random: np.random.Generator,
    name: str = "the image",
    features: Sequence[FeatureMaps] = (),
) -> Score:
    """Degrade a plane, restore it, and measure both the result and bicubic enlargement.

    Parameters
    ----------
    hr : ndarray of float32
        In [0, 1], shape (Y, X) or (Y, X, 3); cropped to a multiple of the scale.
    operator : Degradation
    scale : int or Scale
    restore : callable
        LR -> SR, see `Restore`.
    random : numpy.random.Generator
        For what the operator draws.
    name : str
        Of the image.
    features : sequence of FeatureMaps
        Networks whose distances are wanted too.

    Raises
    ------
    InputError
        If the plane is too small.
    """
    lr, target = degraded_plane(cropped(hr, scale, name), operator, scale, random)
    return score(target, restore(lr), bicubic_enlarge(lr, scale), name, features)


def score(
    reference: NDArray[Any],
    restored: NDArray[Any],
    bicubic: NDArray[Any],
    name: str = "the image",
    features: Sequence[FeatureMaps] = (),
) -> Score:
    """Measure a restored image and bicubic enlargement against the reference.

    Parameters
    ----------
    reference, restored, bicubic : ndarray of float, shape (Y, X) or (Y, X, 3)
        The reference in [0, 1]; the others are clipped to that first. At least 11 px a side.
    name : str
        Of the image.
    features : sequence of FeatureMaps
        Networks whose distances are wanted too, each on its own device.

    Raises
    ------
    InputError
        If the shapes differ, or a pixel is NaN or infinite.
    """
    distances = {f.layer: feature_distances(f, reference, restored, bicubic) for f in features}
    figures = [
        take(_TAKEN, Pair(reference, image.clip(0, 1), 1.0))
        | {layer: pair[number] for layer, pair in distances.items()}
        for number, image in enumerate((restored, bicubic))
    ]
    return Score(name, figures[0], figures[1], bool(reference.min() == reference.max()))


def evaluate_plane_paper(
    hr: NDArray[np.uint8],
    scale: int | Scale,
    restore: Restore,
    name: str = "the image",
    features: Sequence[FeatureMaps] = (),
) -> Score:
    """Shrink a plane as MATLAB does, restore it, and measure result and bicubic as papers do.

    Parameters
    ----------
    hr : ndarray of uint8
        Shape (Y, X) or (Y, X, 3); cropped to a multiple of the scale.
    scale : int or Scale
        The larger number is also the width of the border that is not compared, px: 4 at 4x.
    restore : callable
        LR -> SR in [0, 1], see `Restore`; it gets the rounded LR image, and what it gives is
        rounded too.
    name : str
        Of the image.
    features : sequence of FeatureMaps
        Networks whose distances are wanted too, on what is compared: the Y channel for RGB.

    Returns
    -------
    Score
        PSNR and SSIM are those of range 255; MSE and MAE are for range 1.

    Raises
    ------
    InputError
        If the plane is too small.

    Notes
    -----
    Y is computed from rounded RGB and is not rounded itself, as after im2double in MATLAB.
    """
    border = max(as_scale(scale))
    hr = cropped(hr, scale, name, border)
    lr = to_bytes(matlab_shrink(hr, scale))
    restored = to_bytes(255 * restore(np.divide(lr, 255, dtype=np.float32)))
    enlarged = to_bytes(matlab_enlarge(lr, scale))
    reference, result, bicubic = (_compared(image, border) for image in (hr, restored, enlarged))
    return score(reference, result, bicubic, name, features)


def matlab_shrink(image: NDArray[Any], scale: int | Scale) -> NDArray[np.float32]:
    """Shrink as MATLAB's ``imresize(image, 1 / scale, "bicubic")`` does, antialiased.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X) or (Y, X, S), Y and X divisible by the scale.
    scale : int or Scale

    Returns
    -------
    ndarray of float32
        Not rounded. At the border MATLAB mirrors the image, outermost pixels included, where
        `resampling` leaves out what is missing of the kernel.
    """
    sy, sx = as_scale(scale)
    shrunk = bicubic_shrink(_mirrored(image, _MARGIN * sy, _MARGIN * sx), scale)
    return shrunk[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def matlab_enlarge(image: NDArray[Any], scale: int | Scale) -> NDArray[np.float32]:
    """Enlarge as MATLAB's ``imresize(image, scale, "bicubic")`` does; see `matlab_shrink`."""
    rows, cols = (slice(_MARGIN * s, -_MARGIN * s) for s in as_scale(scale))
    return bicubic_enlarge(_mirrored(image, _MARGIN, _MARGIN), scale)[rows, cols]


def to_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Round values of the range 0 to 255 to uint8."""
    rounded: NDArray[np.uint8] = np.rint(image).clip(0, 255).astype(np.uint8)
    return rounded


def _compared(image: NDArray[np.uint8], border: int) -> NDArray[np.float64]:
    values = luma(image) if image.ndim == 3 else image.astype(np.float64)
    return values[border:-border, border:-border] / 255


def _mirrored(image: NDArray[Any], rows: int, cols: int) -> NDArray[Any]:
    padding = [(rows, rows), (cols, cols)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, padding, mode="symmetric")
