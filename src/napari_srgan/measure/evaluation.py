"""How good a restoration of an image is, beside bicubic enlargement.

What belongs here: degrading a plane, and comparing what was restored with it. Which files are
measured is not known here, nor how the published tables measure (`paper_protocol`); means over
images are in `scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.degradation import Degradation, aligned_pair
from napari_srgan.image.geometry import Scale, scale_text
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.measure.metrics import SSIM_WINDOW, mae, mse, psnr, ssim
from napari_srgan.measure.msssim import MS_SSIM_SIDE, ms_ssim
from napari_srgan.measure.scores import Figures, Score, Summary, summary

if TYPE_CHECKING:
    import torch

    from napari_srgan.models.vgg import VGGFeatures

__all__ = [
    "Figures",
    "Restore",
    "Score",
    "Summary",
    "cropped",
    "degraded_plane",
    "evaluate_plane",
    "score",
    "summary",
]

Restore = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""LR (Y, X[, 3]) in [0, 1], float32 -> SR (sy Y, sx X[, 3])."""

_SMALLEST_LR = 8  # a side; what `Stack` admits


def cropped(
    hr: NDArray[Any], scale: Scale, name: str, border: int = 0, vgg: Sequence[VGGFeatures] = ()
) -> NDArray[Any]:
    """Cut an HR plane at the bottom and on the right to a multiple of the scale.

    Parameters
    ----------
    hr : ndarray
        Shape (Y, X) or (Y, X, S).
    scale : Scale
    name : str
        Of the image.
    border : int
        HR pixels a side that will not be measured.
    vgg : sequence of VGGFeatures
        What it will be measured with.

    Raises
    ------
    InputError
        If it is too small to be restored or measured.
    """
    height, width = hr.shape[:2]
    window = max([SSIM_WINDOW, *(features.smallest_side for features in vgg)])
    least = [max(_SMALLEST_LR * s, window + s - 1 + 2 * border) for s in scale]
    if height < least[0] or width < least[1]:
        raise InputError(
            f"{name} has {height} x {width} px, and {least[0]} x {least[1]} px are the least that "
            f"can be measured at {scale_text(scale)}."
        )
    return hr[: height - height % scale[0], : width - width % scale[1]]


def degraded_plane(
    hr: NDArray[np.float32], operator: Degradation, scale: Scale, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make LR of one HR plane, and what a model should make of it.

    Parameters
    ----------
    hr : ndarray of float32
        In [0, 1], shape (Y, X) or (Y, X, 3), Y and X divisible by the scale.
    operator : Degradation
    scale : Scale
    random : numpy.random.Generator
        For what the operator draws; a new one of the same seed gives the same image.

    Returns
    -------
    lr : ndarray of float32, shape (Y / sy, X / sx[, 3])
    target : ndarray of float32, the shape of `hr`
        See `degradation.aligned_pair`.
    """
    pair = aligned_pair(operator, _as_batch(hr), scale, random)
    lr, target = (image[0].permute(1, 2, 0).numpy() for image in pair)
    return (lr, target) if hr.ndim == 3 else (lr[..., 0], target[..., 0])


def evaluate_plane(
    hr: NDArray[np.float32],
    operator: Degradation,
    scale: Scale,
    restore: Restore,
    random: np.random.Generator,
    name: str = "the image",
    vgg: Sequence[VGGFeatures] = (),
) -> Score:
    """Degrade a plane, restore it, and measure both the result and bicubic enlargement.

    Parameters
    ----------
    hr : ndarray of float32
        In [0, 1], shape (Y, X) or (Y, X, 3); cropped to a multiple of the scale.
    operator : Degradation
    scale : Scale
    restore : callable
        LR -> SR, see `Restore`.
    random : numpy.random.Generator
        For what the operator draws.
    name : str
        Of the image.
    vgg : sequence of VGGFeatures
        Layers whose distances are wanted too.

    Raises
    ------
    InputError
        If the plane is too small.
    """
    lr, target = degraded_plane(cropped(hr, scale, name, vgg=vgg), operator, scale, random)
    return score(target, restore(lr), bicubic_enlarge(lr, scale), name, vgg)


def score(
    reference: NDArray[Any],
    restored: NDArray[Any],
    bicubic: NDArray[Any],
    name: str = "the image",
    vgg: Sequence[VGGFeatures] = (),
) -> Score:
    """Measure a restored image and bicubic enlargement against the reference.

    Parameters
    ----------
    reference, restored, bicubic : ndarray of float, shape (Y, X) or (Y, X, 3)
        The reference in [0, 1]; the others are clipped to that first. At least 11 px a side.
    name : str
        Of the image.
    vgg : sequence of VGGFeatures
        Layers whose distances are wanted too, each on its own device.

    Raises
    ------
    InputError
        If the shapes differ, or a pixel is NaN or infinite.
    """
    distances = [_distances(features, reference, restored, bicubic) for features in vgg]
    layers = [features.layer for features in vgg]
    figures = []
    for number, image in enumerate((restored, bicubic)):
        candidate = image.clip(0, 1)
        large = min(reference.shape[:2]) >= MS_SSIM_SIDE
        figures.append(
            Figures(
                psnr(reference, candidate, 1.0),
                ssim(reference, candidate, 1.0),
                ms_ssim(reference, candidate, 1.0) if large else None,
                mse(reference, candidate),
                mae(reference, candidate),
                {layer: pair[number] for layer, pair in zip(layers, distances, strict=True)},
            )
        )
    return Score(name, figures[0], figures[1], bool(reference.min() == reference.max()))


def _distances(
    features: VGGFeatures, reference: NDArray[Any], *candidates: NDArray[Any]
) -> tuple[float, ...]:
    """Return how far each candidate's feature map is from the reference's."""
    import torch

    device = next((p.device for p in features.parameters()), None)
    with torch.inference_mode():
        true = features(_as_batch(reference).to(device))
        maps = (features(_as_batch(c.clip(0, 1)).to(device)) for c in candidates)
        return tuple(float((m - true).square().mean()) for m in maps)


def _as_batch(image: NDArray[Any]) -> torch.Tensor:
    """(Y, X[, S]) -> (1, S, Y, X), float32."""
    import torch

    samples = image.reshape(*image.shape[:2], -1).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(samples, 2, 0)))[None]
