"""The losses of both networks, as published; pictures are in [0, 1] throughout."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from napari_srgan.image.geometry import Scale

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_CHARBONNIER = 1e-3
_MS_SSIM = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # the weights of its scales, finest first
_WINDOW = 11  # px of its Gaussian window
_GRID = 12  # LR px a side that a repeated pattern is averaged over: few enough for a patch of it


def pixel_loss(name: str) -> Loss:
    """Return the mean loss between SR and HR images.

    Parameters
    ----------
    name : str
        "mse" (the paper's equation 4, on [0, 1]), "l1", or "charbonnier", sqrt(d^2 + 1e-6) (Lai
        et al., arXiv 1704.03915, equation 5).
    """
    return {
        "mse": functional.mse_loss,
        "l1": functional.l1_loss,
        "charbonnier": lambda sr, hr: ((sr - hr).square() + _CHARBONNIER**2).sqrt().mean(),
    }[name]


def gradient_loss(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the gradients, along Y and along X (GDL, arXiv 1511.05440)."""
    error = sr - hr
    down, right = error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]
    return down.abs().mean() + right.abs().mean()


def focal_frequency_loss(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the spectra, most weight where it is largest.

    Jiang et al., arXiv 2012.12821, equations 6 to 8, alpha = 1: the weight of a frequency is the
    distance itself over the largest one of the image; no gradient goes through it. The transform is
    orthonormal, so that the size of the crop does not matter.
    """
    distance: torch.Tensor = torch.fft.fft2(sr.float() - hr.float(), norm="ortho").abs()
    weight = distance.detach()
    weight = weight / weight.amax(dim=(2, 3), keepdim=True).clamp(min=1e-12)
    return (weight * distance.square()).mean()


def structure_loss(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """1 - MS-SSIM (Wang et al. 2003, doi 10.1109/ACSSC.2003.1292216), over the scales that fit.

    torchmetrics computes it. All five scales need crops of 176 px; smaller ones have fewer, with
    the weights of the finest ones, so that they sum to 1.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    side = min(sr.shape[2:])
    scales = next(n for n in range(len(_MS_SSIM), 0, -1) if side // max(1, n - 1) ** 2 > _WINDOW)
    betas = tuple(w / sum(_MS_SSIM[:scales]) for w in _MS_SSIM[:scales])
    similarity = multiscale_structural_similarity_index_measure(
        sr.float(), hr.float(), data_range=1.0, betas=betas, normalize="relu"
    )
    return 1 - similarity


IMAGE_LOSSES: dict[str, Loss] = {
    "gradient": gradient_loss,
    "frequency": focal_frequency_loss,
    "structure": structure_loss,
}
"""Losses beside the pixel loss that compare two images; the recipe has a weight for each."""


def content_loss(features: nn.Module, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of feature maps (Ledig et al., arXiv 1609.04802v5, equation 5).

    Parameters
    ----------
    features : torch.nn.Module
        Frozen; gradients go through it to `sr`. The paper's division of the maps by 12.75 is in
        the weight: 1 / 12.75^2 = 0.006.
    sr, hr : torch.Tensor
        Shape (N, C, Y, X).
    """
    with torch.no_grad():
        wanted = features(hr)
    return functional.mse_loss(features(sr), wanted)


def total_variation(images: torch.Tensor) -> torch.Tensor:
    """Mean length of the gradient (the paper's first version, arXiv 1609.04802v1, equation 7)."""
    down = images[..., 1:, :-1] - images[..., :-1, :-1]
    right = images[..., :-1, 1:] - images[..., :-1, :-1]
    # The root has no gradient at 0, where flat images are.
    return (down.square() + right.square() + 1e-12).sqrt().mean()


def grid_loss(sr: torch.Tensor, hr: torch.Tensor, scale: Scale) -> torch.Tensor:
    """Mean square of the pattern that an SR image repeats with every LR pixel, and HR does not.

    Adversarial and content losses let a generator with pixel shuffles draw such a pattern
    (checkerboard; Odena et al., Distill 2016, doi 10.23915/distill.00003). The error of an honest
    one has the same mean at each of the places within an LR pixel.

    Parameters
    ----------
    sr, hr : torch.Tensor
        Shape (N, C, Y, X).
    scale : Scale
        HR pixels per LR pixel along Y and X.
    """
    sy, sx = scale
    error = sr - hr
    n, channels, height, width = error.shape
    split = error.reshape(n * channels, height // sy, sy, width // sx, sx)
    places = split.permute(0, 2, 4, 1, 3)
    side = min(_GRID, *places.shape[-2:])
    means = functional.avg_pool2d(places.flatten(1, 2), side)
    means = means.reshape(len(places), sy * sx, -1)
    return torch.var(means, dim=1, correction=0).mean()


REAL_ABOVE = {"least-squares": 0.5}
"""What an output must be above for an image to be taken for real; 0 for the others."""


def discriminator_loss(kind: str, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """What the discriminator minimises.

    Parameters
    ----------
    kind : str
        "bce": the paper's equation 2, -log D(HR) - log(1 - D(SR)). "relativistic": ESRGAN's
        equation 1 (arXiv 1809.00219), the same of the logits less the mean of the other side.
        "hinge": max(0, 1 - D(HR)) + max(0, 1 + D(SR)) (Lim & Ye, arXiv 1705.02894).
        "least-squares": (D(HR) - 1)^2 + D(SR)^2 (Mao et al., arXiv 1611.04076, equation 9).
    real, fake : torch.Tensor
        Logits of HR and SR images; the sigmoid is in the loss, where it cannot saturate.
    """
    if kind == "hinge":
        return (1 - real).relu().mean() + (1 + fake).relu().mean()
    if kind == "least-squares":
        return (real - 1).square().mean() + fake.square().mean()
    if kind == "relativistic":
        real, fake = real - fake.mean(), fake - real.mean()
    return _taken_for(real, True) + _taken_for(fake, False)


def adversarial_loss(kind: str, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
    """What the generator minimises to be taken for real.

    Parameters
    ----------
    kind : str
        "bce": the paper's equation 6, -log D(SR). "relativistic": ESRGAN's equation 2, which
        needs the logits of the HR images too. "hinge": -D(SR). "least-squares": (D(SR) - 1)^2.
    real, fake : torch.Tensor
        Logits of HR and SR images.
    """
    if kind == "bce":
        return _taken_for(fake, True)
    if kind == "hinge":
        return -fake.mean()
    if kind == "least-squares":
        return (fake - 1).square().mean()
    assert real is not None
    return _taken_for(real - fake.mean(), False) + _taken_for(fake - real.mean(), True)


def _taken_for(logits: torch.Tensor, real: bool) -> torch.Tensor:
    wanted = torch.full_like(logits, float(real))
    return functional.binary_cross_entropy_with_logits(logits, wanted)
