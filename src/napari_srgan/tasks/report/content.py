"""All that a report states, measured and ready to be laid out.

How it is measured is `gather`'s, how it looks `page`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from napari_srgan.engine.record import Record
from napari_srgan.measure.error_map import ErrorMap
from napari_srgan.measure.frc import FRC
from napari_srgan.measure.stacks import Comparison
from napari_srgan.models.card import Card

Colours = Literal["gray", "rgb", "diverging", "sequential"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Picture:
    """One image of the page.

    Attributes
    ----------
    name : str
        For programs: input, bicubic, result, reference, consistency and so on.
    title, caption : str
    pixels : ndarray, shape (Y, X), or (Y, X, 3) for "rgb"
        What is shown, in the unit of the data or in %; NaN where nothing is known.
    colours : {"gray", "rgb", "diverging", "sequential"}
    lo, hi : float
        The values at the ends of the colours; values beyond have the colour of the end.
    unit : str
        Of the colour bar; "" for images, which have none.
    framed : bool
        Whether the place of the details is marked in it.
    """

    name: str
    title: str
    caption: str
    pixels: NDArray[Any]
    colours: Colours
    lo: float
    hi: float
    unit: str = ""
    framed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSlice:
    """The slice of the pictures.

    Attributes
    ----------
    label : str
        Such as "slice Z=4"; "the image" where there is but one.
    part : str
        A sentence on the part of the slice that the pictures show; "" if it is the whole.
    images, maps, details : tuple of Picture
    frame : tuple of float
        Left, top, width and height of the details in the images, in %.
    fits : mapping of candidate to ErrorMap
    rings : mapping of candidate to FRC of every direction
    ring_unit : str
        Unit of the resolution as pint spells it.
    reference_percent : float or None
        RMSE of the degraded reference against the input, % of the intensity range.
    invention_percent, trusted_percent : float or None
        The latter is the share of the pixels that are trusted.
    promise : str
        What that is worth; "" where nothing is calibrated.
    notes : tuple of str
        Sentences on what could not be made.
    """

    label: str
    part: str
    images: tuple[Picture, ...]
    maps: tuple[Picture, ...]
    details: tuple[Picture, ...]
    frame: tuple[float, float, float, float]
    fits: Mapping[str, ErrorMap]
    rings: Mapping[str, tuple[FRC, ...]]
    ring_unit: str
    reference_percent: float | None
    invention_percent: float | None
    trusted_percent: float | None
    promise: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """How far the result, degraded again, is from the input.

    Attributes
    ----------
    title, legend : str
        "consistency" or "removed signal".
    degradation : str
    percent : float or None
        RMSE over all slices in % of the intensity range, of the result as it is.
    before : float or None
        The same before back-projection; None where there was none.
    slices : mapping of slice label to float or None
        RMSE of every slice.
    """

    title: str
    legend: str
    degradation: str
    percent: float | None
    before: float | None
    slices: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The whole report.

    Attributes
    ----------
    label : str
        The name under which the input may be recorded.
    reference : str or None
        That of the reference.
    card : Card
        Of the model.
    record : Record
        Of the result.
    facts : tuple of (str, str)
        What input, result and reference are.
    warnings : tuple of str
        Sentences on input and model that a reader has to know.
    slices : tuple of str
        Labels of all slices that were measured, in their order.
    shown : ShownSlice
    residuals : Residuals or None
        None where the model's degradation is not known.
    comparison : Comparison or None
        With the reference, of "bicubic" and the model by its name.
    figures : mapping of slice label to mapping of candidate to its figures
        Of the same comparison; empty without.
    """

    label: str
    reference: str | None
    card: Card
    record: Record
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    slices: tuple[str, ...]
    shown: ShownSlice
    residuals: Residuals | None
    comparison: Comparison | None
    figures: Mapping[str, Mapping[str, Mapping[str, float | None]]]
