"""From the figures of planes to those of a stack: pooled errors, means, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_srgan.image.geometry import Scale
from napari_srgan.measure.plane_measures import Figure, from_mse


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFigures:
    """The figures of one plane of one candidate.

    Attributes
    ----------
    candidate : str
    index : tuple of int
        The plane, over the reference's `Stack.plane_axes`.
    figures : mapping of measure to float or None
        See `plane_measures.measure_plane`.
    """

    candidate: str
    index: tuple[int, ...]
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFigures:
    """The figures of a whole candidate.

    Attributes
    ----------
    psnr : float or None
        dB, of the mean squared error over all pixels; infinite if all planes are equal. None if
        it was not asked for.
    mean_psnr : float or None
        dB, the mean over the planes with a finite one; None if there are none.
    infinite : int
        How many planes equal the reference's.
    figures : mapping of measure to float or None
        The others: MSE, RMSE and MAE over all pixels, else the mean over the planes for which the
        measure is defined.
    planes : int
        How many planes were compared.
    shift : tuple of float
        (dy, dx) of the middle plane in pixels of the reference, see `shift.estimated_shift`.
    scale : Scale
        How many times it was enlarged to the reference's grid by bicubic; (1, 1): it was not.
    """

    psnr: float | None
    mean_psnr: float | None
    infinite: int
    figures: Mapping[str, Figure]
    planes: int
    shift: tuple[float, float]
    scale: Scale


def stack_figures(
    planes: Sequence[PlaneFigures], data_range: float, shift: tuple[float, float], scale: Scale
) -> StackFigures:
    """Sum up the planes of one candidate.

    Parameters
    ----------
    planes : sequence of PlaneFigures
        At least one, all of the same size and with the same measures.
    data_range : float
        What their PSNR refers to.
    shift : tuple of float
    scale : Scale
        See `StackFigures`.
    """
    columns: dict[str, list[Figure]] = {
        measure: [p.figures[measure] for p in planes] for measure in planes[0].figures
    }
    figures = {measure: _mean(column) for measure, column in columns.items() if measure != "psnr"}
    if "rmse" in columns:
        # All pixels count alike, as in the PSNR: not the mean of roots.
        figures["rmse"] = math.sqrt(float(np.mean([v * v for v in _defined(columns["rmse"])])))
    if "psnr" not in columns:
        return StackFigures(
            psnr=None,
            mean_psnr=None,
            infinite=0,
            figures=figures,
            planes=len(planes),
            shift=shift,
            scale=scale,
        )
    psnrs = _defined(columns["psnr"])
    # The pooled error follows from the planes' PSNRs: an infinite one stands for an error of 0.
    errors = [data_range**2 * 10 ** (-value / 10) for value in psnrs]
    pooled = float(np.mean(errors))
    finite = [value for value in psnrs if math.isfinite(value)]
    return StackFigures(
        psnr=from_mse("psnr", pooled, data_range),
        mean_psnr=float(np.mean(finite)) if finite else None,
        infinite=len(psnrs) - len(finite),
        figures=figures,
        planes=len(planes),
        shift=shift,
        scale=scale,
    )


def _mean(column: Sequence[Figure]) -> Figure:
    values = _defined(column)
    return float(np.mean(values)) if values else None


def _defined(column: Sequence[Figure]) -> list[float]:
    return [value for value in column if value is not None]
