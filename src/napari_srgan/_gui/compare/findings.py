"""What the map buttons of Compare compute, for a thread: maps, curves and figures of one slice.

What belongs here: from planes to findings with their sentences. The formulas are the core's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.compare.compare_rows import figure_text
from napari_srgan._gui.compare.comparison import Question, question_for
from napari_srgan._gui.compare.drawn_regions import region_text
from napari_srgan._gui.compare.readout import Pixels
from napari_srgan._gui.compare.selection import Selection
from napari_srgan._gui.layers import layer_stack
from napari_srgan.errors import InputError
from napari_srgan.measure.error_map import error_map
from napari_srgan.measure.frc import AGAINST_REFERENCE, FRC, ring_correlation

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

_SHORT = {"micrometer": "µm", "millimeter": "mm", "nanometer": "nm", "pixel": "px"}


@dataclass(frozen=True)
class Subject:
    """The slice in view: the question that it answers, and the layers of its candidates."""

    question: Question
    selection: Selection
    layers: Mapping[str, Image]


@dataclass(frozen=True)
class Mapped:
    """A map of one candidate, the layer and the plane where it lies, and what it says."""

    name: str
    layer: Image
    index: Mapping[str, int]
    plane: np.ndarray
    text: str
    part: Mapping[str, tuple[int, int]] | None = None
    limit: float = 1.0
    kind: str = ""
    legend: str = ""


@dataclass(frozen=True)
class Rings:
    """The curve of one candidate, and what it says."""

    name: str
    frequency: Sequence[float]
    correlation: Sequence[float]
    unit: str
    threshold: float
    text: str
    dashed: bool


Steps = Generator[tuple[int, int], None, Any]


def subject_for(selection: Selection, dims: Dims) -> Subject:
    """Find the planes in view.

    Raises
    ------
    InputError
        If there is nothing to look at, or the slider is beyond a layer.
    """
    question = question_for(selection.reference, selection.candidates, selection.low, dims)
    for sentence in question.errors.values():
        raise InputError(sentence)
    if not question.candidates:
        raise InputError("Tick a candidate first.")
    return Subject(question, selection, {la.name: la for la in selection.candidates})


def error_maps(subject: Subject) -> Steps:
    """Map the errors of every candidate and of bicubic.

    Returns
    -------
    list of Mapped

    Raises
    ------
    InputError
        If the reference is constant in this slice.
    """
    question, found = subject.question, []
    pixels = Pixels(question)
    names = list(question.candidates)
    for done, name in enumerate(names):
        yield done, len(names)
        one = error_map(pixels.reference(), pixels.candidate(name))
        if one.rse is None:
            raise InputError(
                f"{subject.selection.reference.name} is constant in this slice, where an error map "
                "is not defined; go to another slice."
            )
        rsp = figure_text("pearson", one.rsp)
        found.append(
            Mapped(
                name,
                subject.selection.reference,
                position_of(question),
                one.map,
                f"{name}: RSE {one.rse:.4g}, RSP {rsp} (gain {one.gain:.3g}, offset "
                f"{one.offset:.3g}, blur {one.sigma:.2g} px)",
            )
        )
    return found


def correlations(subject: Subject, direction: Any) -> Steps:
    """Correlate every candidate, and bicubic, with the reference, ring by ring.

    Returns
    -------
    list of Rings
    """
    question, found = subject.question, []
    spacing, unit = _spacing(subject.selection.reference)
    pixels = Pixels(question)
    names = list(question.candidates)
    for done, name in enumerate(names):
        yield done, len(names)
        curve = ring_correlation(
            pixels.reference(),
            pixels.candidate(name),
            spacing=spacing,
            direction=direction,
            threshold=AGAINST_REFERENCE,
        )
        found.append(
            Rings(
                name,
                curve.frequency.tolist(),
                curve.smoothed.tolist(),
                unit,
                curve.threshold,
                f"{name}: {_resolution(curve, unit)}",
                question.candidates[name].part is not None,
            )
        )
    return found


def region_figures(subject: Subject, masks: list[np.ndarray], scale: Any) -> Steps:
    """Measure drawn regions in the reference and in all candidates.

    Returns
    -------
    str
    """
    question = subject.question
    pixels = Pixels(question)
    yield 0, 1
    images = {subject.selection.reference.name: pixels.reference()}
    images |= {name: pixels.candidate(name) for name in question.candidates}
    return region_text(images, masks, scale, None)


def position_of(question: Question) -> dict[str, int]:
    plane = question.reference
    return dict(zip(plane.stack.plane_axes, plane.index, strict=True))


def _spacing(layer: Image) -> tuple[tuple[float, float], str]:
    """Pixel distance along Y and X in one unit, in pixels if it is not known."""
    stack = layer_stack(layer)
    axes = stack.axes.replace("S", "")
    at = [axes.index(a) for a in "YX"]
    units = {stack.units[i] for i in at}
    if stack.spacing_source == "unknown" or len(units) != 1:
        return (1.0, 1.0), "px"
    unit = units.pop()
    return (abs(stack.scale[at[0]]), abs(stack.scale[at[1]])), _SHORT.get(unit, unit)


def _resolution(curve: FRC, unit: str) -> str:
    if curve.outcome == "crossing":
        return f"agrees with the reference down to {curve.resolution:.4g} {unit}"
    return {
        "above": "no crossing: agrees up to the limit of sampling",
        "below": "no crossing: does not agree in any ring",
    }.get(curve.outcome, "not defined: an image is constant")
