"""High resolution -> low resolution, as named operators; training and evaluation use the same.

An operator says where the centre of its LR pixel 0 lies in HR pixels. The rule of `geometry` wants
it at (s - 1) / 2 along an axis that shrinks s times; `aligned_pair` shifts the HR image by what
is missing, so that the rule holds for every model, whatever it was trained to undo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.image.resampling import SHIFT_REACH, shift_batch, shrink_batch

if TYPE_CHECKING:
    import numpy as np
    import torch

Offset = tuple[float, float]
"""Centre of LR pixel 0 along Y and X, in HR pixels."""

NAMES = ("bicubic", "area", "decimate", "blur-noise")


class Degradation(Protocol):
    """A way in which high resolution becomes low resolution."""

    @property
    def name(self) -> str:
        """As in recipes and model cards."""

    def __call__(
        self, hr: torch.Tensor, scale: Scale, random: np.random.Generator
    ) -> tuple[torch.Tensor, Offset]:
        """Degrade a batch of HR images.

        Parameters
        ----------
        hr : torch.Tensor
            In [0, 1], float32, shape (N, C, Y, X); Y and X divisible by `scale`.
        scale : Scale
            How many times smaller Y and X become.
        random : numpy.random.Generator
            For whatever is drawn; equal states give equal images.

        Returns
        -------
        lr : torch.Tensor
            Shape (N, C, Y / scale[0], X / scale[1]), clipped to [0, 1], because the images that
            the network will meet are stored without overshoot.
        offset : tuple of float
            Where the centre of LR pixel 0 lies, in HR pixels.
        """

    def reach(self, factor: int) -> int:
        """Return how far along an axis, in HR pixels, an LR pixel and its target look."""


@dataclass(frozen=True, slots=True)
class Bicubic:
    """Shrink by the antialiased cubic kernel, as MATLAB and Pillow do."""

    name: ClassVar[str] = "bicubic"

    def __call__(
        self, hr: torch.Tensor, scale: Scale, random: np.random.Generator
    ) -> tuple[torch.Tensor, Offset]:
        """Degrade; see `Degradation`."""
        del random
        return shrink_batch(hr, scale).clamp(0, 1), _centred(scale)

    def reach(self, factor: int) -> int:
        """Return the half-width of the widened kernel."""
        return 2 * factor


@dataclass(frozen=True, slots=True)
class Area:
    """Average sy x sx pixels, as a detector with larger pixels does."""

    name: ClassVar[str] = "area"

    def __call__(
        self, hr: torch.Tensor, scale: Scale, random: np.random.Generator
    ) -> tuple[torch.Tensor, Offset]:
        """Degrade; see `Degradation`."""
        from torch.nn import functional

        del random
        return functional.avg_pool2d(hr, scale).clamp(0, 1), _centred(scale)

    def reach(self, factor: int) -> int:
        """Return 0: an LR pixel averages the HR pixels that it covers, no others."""
        del factor
        return 0


@dataclass(frozen=True, slots=True)
class Decimate:
    """Keep every s-th pixel, from a random first one: fewer A-scans, and no antialiasing."""

    name: ClassVar[str] = "decimate"

    def __call__(
        self, hr: torch.Tensor, scale: Scale, random: np.random.Generator
    ) -> tuple[torch.Tensor, Offset]:
        """Degrade; see `Degradation`. One phase is drawn a batch."""
        y, x = (int(random.integers(s)) for s in scale)
        return hr[..., y :: scale[0], x :: scale[1]].clamp(0, 1), (float(y), float(x))

    def reach(self, factor: int) -> int:
        """Return how far the shifted target looks."""
        return factor // 2 + SHIFT_REACH


@dataclass(frozen=True, slots=True)
class BlurNoise:
    """Blur by the optics, decimate, then speckle and read noise, each drawn anew for an image.

    Attributes
    ----------
    blur : (float, float)
        Least and greatest standard deviation of the Gaussian PSF, HR pixels; drawn for Y and X
        on their own, because axial and lateral resolution differ.
    speckle : (float, float)
        Least and greatest contrast (standard deviation over mean) of the multiplicative noise,
        which has a gamma distribution: that of the intensity of averaged speckle (Goodman,
        Speckle Phenomena in Optics, section 3.2).
    noise : (float, float)
        Least and greatest standard deviation of the additive Gaussian noise, range 1.
    """

    blur: tuple[float, float] = (1.0, 3.0)
    speckle: tuple[float, float] = (0.0, 0.2)
    noise: tuple[float, float] = (0.0, 0.02)
    name: ClassVar[str] = "blur-noise"

    def __post_init__(self) -> None:
        for key in ("blur", "speckle", "noise"):
            low, high = getattr(self, key)
            if not 0 <= low <= high < math.inf:
                raise InputError(f"The range of {key} must be 0 <= LO <= HI, not {low} {high}.")

    def __call__(
        self, hr: torch.Tensor, scale: Scale, random: np.random.Generator
    ) -> tuple[torch.Tensor, Offset]:
        """Degrade; see `Degradation`. Strengths are drawn for every image, the phase for all."""
        import torch

        y, x = (int(random.integers(s)) for s in scale)
        low = []
        for image in hr:
            sharp = image[None]
            blurred = _blur(sharp, random.uniform(*self.blur), random.uniform(*self.blur))
            lr = blurred[0, :, y :: scale[0], x :: scale[1]]
            contrast = random.uniform(*self.speckle)
            if contrast > 0:
                looks = contrast**-2
                grain = random.gamma(looks, 1 / looks, lr.shape[1:]).astype("float32")
                lr = lr * torch.from_numpy(grain)
            deviation = random.uniform(*self.noise)
            grain = random.normal(0, deviation, tuple(lr.shape)).astype("float32")
            low.append(lr + torch.from_numpy(grain))
        return torch.stack(low).clamp(0, 1), (float(y), float(x))

    def reach(self, factor: int) -> int:
        """Return how far the widest PSF and the shifted target look."""
        return math.ceil(_SIGMAS * self.blur[1]) + factor // 2 + SHIFT_REACH


def degradation(
    name: str,
    *,
    blur: Sequence[float] = BlurNoise().blur,
    speckle: Sequence[float] = BlurNoise().speckle,
    noise: Sequence[float] = BlurNoise().noise,
) -> Degradation:
    """Return the operator of that name.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    blur, speckle, noise : two floats each
        Ranges of `BlurNoise`; the other operators have none.

    Raises
    ------
    InputError
        If there is none of that name, or a range is none.
    """
    if name == "blur-noise":
        ranges = []
        for key, values in (("blur", blur), ("speckle", speckle), ("noise", noise)):
            if len(values) != 2:
                raise InputError(f"The range of {key} must be two numbers, not {list(values)}.")
            ranges.append((float(values[0]), float(values[1])))
        return BlurNoise(*ranges)
    others: dict[str, Degradation] = {o.name: o for o in (Bicubic(), Area(), Decimate())}
    if name not in others:
        raise InputError(f"There is no degradation '{name}'; known are {', '.join(NAMES)}.")
    return others[name]


def aligned_pair(
    operator: Degradation, hr: torch.Tensor, scale: Scale, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Degrade HR images and put them where the rule of `geometry` wants them.

    Parameters
    ----------
    operator : Degradation
        HR -> LR.
    hr : torch.Tensor
        In [0, 1], shape (N, C, Y, X), Y and X divisible by the scale.
    scale : Scale
        How many times smaller Y and X become.
    random : numpy.random.Generator
        For what the operator draws.

    Returns
    -------
    lr : torch.Tensor
        Shape (N, C, Y / scale[0], X / scale[1]).
    target : torch.Tensor
        What a network should make of it, the shape of `hr`: `hr` itself, or `hr` shifted by a
        part of a pixel (windowed sinc, so that its detail survives).
    """
    lr, offset = operator(hr, scale, random)
    missing = tuple(o - (s - 1) / 2 for o, s in zip(offset, scale, strict=True))
    return lr, shift_batch(hr, (missing[0], missing[1])).clamp(0, 1)


def _centred(scale: Scale) -> Offset:
    return (scale[0] - 1) / 2, (scale[1] - 1) / 2


_SIGMAS = 4


def _blur(images: torch.Tensor, sigma_y: float, sigma_x: float) -> torch.Tensor:
    """Blur by a Gaussian, standard deviations in pixels, edges repeated."""
    import torch
    from torch.nn import functional

    for axis, sigma in ((2, sigma_y), (3, sigma_x)):
        reach = math.ceil(_SIGMAS * sigma)
        if not reach:
            continue
        at = torch.arange(-reach, reach + 1, dtype=images.dtype)
        kernel = torch.exp(-0.5 * (at / sigma) ** 2)
        shape = [1, 1, 1, 1]
        shape[axis] = len(kernel)
        padding = [0, 0, reach, reach] if axis == 2 else [reach, reach, 0, 0]
        channels = images.shape[1]
        weight = (kernel / kernel.sum()).view(shape).repeat(channels, 1, 1, 1)
        images = functional.conv2d(
            functional.pad(images, padding, mode="replicate"), weight, groups=channels
        )
    return images
