"""What a report is asked for, and how far the work on it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_srgan.engine.plan import Job
from napari_srgan.image.stack import Region, Stack
from napari_srgan.measure.planes import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """A report on the result of one input.

    Attributes
    ----------
    stack : Stack
        The low-resolution input.
    job : Job
        How the result is made, and of which region; ``job.anonymise`` hides all names.
    reference : Stack, optional
        The true high-resolution image of the whole input.
    settings : Settings
        How images are compared with the reference.
    result : Stack, optional
        A result that is there already, of `result_region`; it is made without.
    result_region : mapping, optional
        In pixels of the input; the whole without.
    record : mapping, optional
        The provenance of `result`; needed with it.
    shown : tuple of int, optional
        The plane of the pictures, over the input's `Stack.plane_axes`; the middle one without.
    scratch : Path, optional
        Folder for a result that is too large for memory; it is removed again.
    """

    stack: Stack
    job: Job
    reference: Stack | None = None
    settings: Settings = field(default_factory=Settings)
    result: Stack | None = None
    result_region: Region | None = None
    record: Mapping[str, Any] | None = None
    shown: tuple[int, ...] | None = None
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """How far a stage of the work is.

    Attributes
    ----------
    stage : str
        What is being done, for people.
    done, total : int
        Tiles or slices of this stage.
    eta : float or None
        Estimated seconds left of this stage.
    note : str
        A sentence for the user when something out of the ordinary happened, else empty.
    """

    stage: str
    done: int
    total: int
    eta: float | None = None
    note: str = ""
