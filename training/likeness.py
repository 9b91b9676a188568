"""Whether two images show one place: copies and neighbours across a split, and what pairs hide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from training.scans import Scan

_SIDE = 48  # px of a thumbnail: too few for speckle, which tells nothing of the place
_AROUND = 9  # px whose mean is taken off: all eyes are dark above and bright in the middle

ONE_PLACE = 0.8
"""Correlation of two thumbnails from which they show one place.

Of registered frames of one eye it is 0.89 to 0.98; of different eyes below 0.6, measured on the
single frames and averages of Fang et al. (2012) and on averages of a Spectralis.
"""


def thumbnail(image: torch.Tensor) -> torch.Tensor:
    """Return what is characteristic of an image (C, Y, X): a vector of mean 0 and length 1."""
    small = functional.adaptive_avg_pool2d(image.mean(0, keepdim=True)[None], _SIDE)
    around = functional.pad(small, (_AROUND // 2,) * 4, mode="reflect")
    detail = (small - functional.avg_pool2d(around, _AROUND, 1)).flatten()
    detail = detail - detail.mean()
    return functional.normalize(detail, dim=0)


def thumbnails(scans: Sequence[Scan]) -> torch.Tensor:
    """Return a thumbnail a row; their products are correlations."""
    return torch.stack([thumbnail(scan.crop()) for scan in scans])


def most_alike(ones: Sequence[Scan], others: Sequence[Scan]) -> tuple[Scan, Scan, float]:
    """Return the two scans, one of each side, that are most alike, and their correlation."""
    alike = thumbnails(ones) @ thumbnails(others).T
    one, other = divmod(int(alike.argmax()), len(others))
    return ones[one], others[other], float(alike[one, other])


def shift(one: torch.Tensor, other: torch.Tensor) -> tuple[int, int]:
    """Return by how many pixels along Y and X `other` lies beyond `one`; both of shape (Y, X)."""
    height, width = one.shape
    window = torch.outer(torch.hann_window(height), torch.hann_window(width))
    spectra = [torch.fft.rfft2((image - image.mean()) * window) for image in (one, other)]
    product = spectra[1] * spectra[0].conj()
    found = int(torch.fft.irfft2(product, s=(height, width)).argmax())
    y, x = divmod(found, width)
    return (y - height if y > height // 2 else y), (x - width if x > width // 2 else x)


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return Pearson's correlation of two images of one shape; 0 where one is constant."""
    a, b = one.flatten() - one.mean(), other.flatten() - other.mean()
    lengths = float(a.norm() * b.norm())
    return float(a @ b) / lengths if lengths else 0.0
