"""Random views of a scan: flips, turns, small warps, and changes of intensity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may be done to a crop; see the fields of the same names in `Recipe`."""

    flips: str = "none"
    rotation: float = 0.0
    affine: float = 0.0
    homography: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0

    @classmethod
    def of(cls, recipe: Recipe) -> Augmentation:
        """Return that of a recipe."""
        return cls(
            recipe.symmetries,
            recipe.rotation,
            recipe.affine,
            recipe.homography,
            recipe.brightness,
            recipe.contrast,
        )

    @property
    def warps(self) -> bool:
        """Whether crops are sampled between pixels, which softens them a little."""
        return bool(self.rotation or self.affine or self.homography)

    def warp(self, random: np.random.Generator, side: int) -> NDArray[np.float64]:
        """Draw where the pixels of a square crop are taken from.

        Parameters
        ----------
        random : numpy.random.Generator
        side : int
            Of the crop, px.

        Returns
        -------
        ndarray of float64, shape (3, 3)
            Maps homogeneous (y, x, 1), pixels from the centre of the crop, to the scan's
            (y, x, w), pixels from the same centre.
        """
        angle = math.radians(random.uniform(-self.rotation, self.rotation))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrix = np.eye(3)
        matrix[:2, :2] = turn @ (np.eye(2) + random.uniform(-self.affine, self.affine, (2, 2)))
        # With bottom row (p, q, 1) a corner at (side / 2, side / 2) moves by about
        # (p + q) * side / 2 of its distance: half of the share each, from centre to corner.
        matrix[2, :2] = random.uniform(-self.homography, self.homography, 2) / side
        return matrix

    def jitter(self, random: np.random.Generator) -> tuple[float, float]:
        """Draw a gain and an offset, range 1."""
        return (
            1 + random.uniform(-self.contrast, self.contrast),
            random.uniform(-self.brightness, self.brightness),
        )

    def flip(self, random: np.random.Generator) -> tuple[bool, bool, bool]:
        """Draw whether X is reversed, Y is reversed, and Y and X are swapped."""
        drawn = [bool(random.integers(2)) for _ in range(3)]
        if self.flips == "all":
            return drawn[0], drawn[1], drawn[2]
        return drawn[0] and self.flips == "lateral", False, False


def flipped(image: torch.Tensor, flip: tuple[bool, bool, bool]) -> torch.Tensor:
    """Apply drawn flips to an image (C, Y, X)."""
    lateral, axial, swap = flip
    axes = [axis for axis, chosen in ((2, lateral), (1, axial)) if chosen]
    image = image.flip(axes) if axes else image
    return image.transpose(1, 2) if swap else image


def reach(matrix: NDArray[np.float64], side: int) -> float:
    """Return how far from the centre a warp of a square crop looks along an axis, px."""
    half = (side - 1) / 2
    corners = np.array([(y, x, 1.0) for y in (-half, half) for x in (-half, half)]).T
    y, x, w = matrix @ corners
    return float(np.abs(np.stack([y, x]) / w).max())


def warped(
    image: torch.Tensor, centre: tuple[float, float], matrix: NDArray[np.float64], side: int
) -> torch.Tensor:
    """Sample a square crop through a warp, bicubic; beyond the image it is mirrored.

    Parameters
    ----------
    image : torch.Tensor
        Shape (C, Y, X).
    centre : tuple of float
        Of the crop in the image, px.
    matrix : ndarray
        From `Augmentation.warp`.
    side : int
        Of the crop, px.

    Returns
    -------
    torch.Tensor
        Shape (C, side, side).
    """
    at = np.arange(side) - (side - 1) / 2
    grid = np.stack([*np.meshgrid(at, at, indexing="ij"), np.ones((side, side))])
    y, x, w = np.tensordot(matrix, grid, 1)
    height, width = image.shape[1:]
    # grid_sample wants -1..1 from the centre of the first pixel to that of the last.
    rows = 2 * (y / w + centre[0]) / (height - 1) - 1
    cols = 2 * (x / w + centre[1]) / (width - 1) - 1
    where = torch.from_numpy(np.stack([cols, rows], axis=-1).astype(np.float32))
    seen = functional.grid_sample(
        image[None], where[None], "bicubic", "reflection", align_corners=True
    )
    return seen[0]
