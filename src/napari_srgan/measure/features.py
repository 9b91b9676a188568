"""Distances of images by the features of a network: what such a network is, and how it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class FeatureMaps(Protocol):
    """A network whose features are compared, as `models.vgg.VGGFeatures` and `models.lpips.LPIPS`.

    Attributes
    ----------
    layer : str
        The name of the measure, as "vgg22" or "lpips_alex".
    smallest_side : int
        Pixels a side that an image needs.
    """

    layer: str
    smallest_side: int

    def __call__(self, images: torch.Tensor, /) -> torch.Tensor:
        """Compute the features of images in [0, 1], shape (N, 1 or 3, Y, X)."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Iterate over the weights, which lie where the features are computed."""


def feature_distances(
    features: FeatureMaps, reference: NDArray[Any], *candidates: NDArray[Any]
) -> tuple[float | None, ...]:
    """Return the mean squared difference of each candidate's features from the reference's.

    It is not defined, None, for images that are smaller than the network needs.

    Parameters
    ----------
    features : FeatureMaps
    reference, *candidates : ndarray, shape (Y, X) or (Y, X, 3)
        The reference in [0, 1]; the others are clipped to that.
    """
    if min(reference.shape[:2]) < features.smallest_side:
        return (None,) * len(candidates)
    import torch

    device = next((p.device for p in features.parameters()), None)
    with torch.inference_mode():
        true = features(as_batch(reference).to(device))
        found = (features(as_batch(c.clip(0, 1)).to(device)) for c in candidates)
        return tuple(float((f - true).square().mean()) for f in found)


def as_batch(image: NDArray[Any]) -> torch.Tensor:
    """(Y, X[, S]) -> (1, S, Y, X), float32."""
    import torch

    samples = image.reshape(*image.shape[:2], -1).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(samples, 2, 0)))[None]
