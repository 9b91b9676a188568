"""Which trust maps are wanted, what comes of it plane by plane, and the words that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.geometry import Scale
from napari_srgan.image.stack import Region, Stack

if TYPE_CHECKING:
    from napari_srgan.engine.plan import Job

KINDS = ("consistency", "invention", "spread")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRequest:
    """Which maps of which planes.

    Attributes
    ----------
    kinds : tuple of str
        Of `KINDS`.
    stack : Stack
        The measured input.
    job : Job
        How the result was made: model, region (the planes and the part of them that maps are
        wanted of), intensity, transform, nan, and how to make what is not there.
    result : Stack, optional
        The result, of `result_region`; made plane by plane without.
    fidelity : Stack, optional
        That of the fidelity model, of `fidelity_region`; made without.
    result_region, fidelity_region : mapping, optional
        In pixels of the input; the whole without. Along Y and X that of the job.
    fidelity_model : str or Path, optional
        That which belongs to the model without.
    symmetries : str
        Of `spread.CHOICES`.
    """

    kinds: tuple[str, ...]
    stack: Stack
    job: Job
    result: Stack | None = None
    fidelity: Stack | None = None
    result_region: Region | None = None
    fidelity_region: Region | None = None
    fidelity_model: str | Path | None = None
    symmetries: str = "auto"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MapPlane:
    """One plane of one map.

    Attributes
    ----------
    kind : str
    index : tuple of int
        The plane, from the start of the region.
    values : ndarray of float32
        Shape (y, x) for consistency, (sy * y, sx * x) for the others.
    percent : float or None
        RMS in % of the range.
    """

    kind: str
    index: tuple[int, ...]
    values: NDArray[np.float32]
    percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNotes:
    """What goes with a map wherever it is shown or kept.

    Attributes
    ----------
    kind, title, unit, legend : str
        The title is "consistency", or "removed signal" for models that take noise away.
    scale : Scale
        (1, 1) for maps of the size of the input, else that of the model.
    models : tuple of str
    """

    kind: str
    title: str
    unit: str
    legend: str
    scale: Scale
    models: tuple[str, ...]

    def metadata(self, record: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give what a layer or file of the map carries; `record` is that of the result."""
        return {
            "trust_map": {
                "kind": self.kind,
                "title": self.title,
                "unit": self.unit,
                "legend": self.legend,
                "models": list(self.models),
                "result": None if record is None else dict(record),
            }
        }
