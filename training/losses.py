"""The losses of both networks, as published; pictures are in [0, 1] throughout."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from napari_srgan.image.geometry import Scale

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_CHARBONNIER = 1e-3
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


def discriminator_loss(kind: str, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """What the discriminator minimises.

    Parameters
    ----------
    kind : str
        "bce": the paper's equation 2, -log D(HR) - log(1 - D(SR)). "relativistic": ESRGAN's
        equation 1 (arXiv 1809.00219), the same of the logits less the mean of the other side.
    real, fake : torch.Tensor
        Logits of HR and SR images; the sigmoid is in the loss, where it cannot saturate.
    """
    if kind == "relativistic":
        real, fake = real - fake.mean(), fake - real.mean()
    return _taken_for(real, True) + _taken_for(fake, False)


def adversarial_loss(kind: str, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
    """What the generator minimises to be taken for real.

    Parameters
    ----------
    kind : str
        "bce": the paper's equation 6, -log D(SR). "relativistic": ESRGAN's equation 2, which
        needs the logits of the HR images too.
    real, fake : torch.Tensor
        Logits of HR and SR images.
    """
    if kind == "bce":
        return _taken_for(fake, True)
    assert real is not None
    return _taken_for(real - fake.mean(), False) + _taken_for(fake - real.mean(), True)


def _taken_for(logits: torch.Tensor, real: bool) -> torch.Tensor:
    wanted = torch.full_like(logits, float(real))
    return functional.binary_cross_entropy_with_logits(logits, wanted)
