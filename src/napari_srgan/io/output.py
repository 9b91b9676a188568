"""What an output will be, known before its first pixel is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class OutputSpec:
    """What an output will be, known before its first pixel.

    Attributes
    ----------
    shape, axes : tuple of int and str
        As for `stack.Stack`.
    dtype : numpy.dtype
        Of the blocks and of the result.
    scale, translate, units : tuple
        Per axis without S, as for `stack.Stack`.
    name : str
        Name of the result.
    metadata : dict
        Carried to the file as far as JSON can hold it; the provenance is under "napari_srgan".
    window : tuple of (float, float)
        Values between which each channel is shown, for formats that say so; empty if unknown.
    """

    shape: tuple[int, ...]
    axes: str
    dtype: np.dtype[Any]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    name: str = "result"
    metadata: dict[str, Any] = field(default_factory=dict)
    window: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype).newbyteorder("="))

    @property
    def nbytes(self) -> int:
        """Size of all the pixels in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def n_planes(self) -> int:
        """How many planes of Y and X there are."""
        return math.prod(n for a, n in zip(self.axes, self.shape, strict=True) if a not in "YXS")

    @property
    def plane_bytes(self) -> int:
        """Size of the pixels of one plane in bytes."""
        return self.nbytes // self.n_planes

    @property
    def plane_axes(self) -> str:
        """The axes of a plane index: all but Y, X and S, in order."""
        return "".join(a for a in self.axes if a not in "YXS")
