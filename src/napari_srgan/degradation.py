"""High resolution -> low resolution, as named operators; training and evaluation use the same.

Every operator places the centre of LR pixel i at f i + (f - 1) / 2 of the HR image, so that
the placement rule of `geometry` holds for every model trained with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_srgan.errors import InputError
from napari_srgan.resampling import shrink_batch

if TYPE_CHECKING:
    import torch

    Degradation = Callable[[torch.Tensor, int], torch.Tensor]


def bicubic(hr: torch.Tensor, factor: int) -> torch.Tensor:
    """Shrink by the antialiased cubic kernel, as MATLAB and Pillow do.

    Parameters
    ----------
    hr : torch.Tensor
        HR images in [0, 1], shape (N, C, Y, X), Y and X divisible by `factor`.
    factor : int
        The scale.

    Returns
    -------
    torch.Tensor
        LR images, shape (N, C, Y / factor, X / factor), clipped to [0, 1] because the images
        that the network will meet are stored without overshoot.
    """
    return shrink_batch(hr, factor).clamp(0, 1)


def degradation(name: str) -> Degradation:
    """Return the operator of that name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    operators: dict[str, Degradation] = {"bicubic": bicubic}
    if name not in operators:
        raise InputError(f"There is no degradation '{name}'; known are {', '.join(operators)}.")
    return operators[name]
