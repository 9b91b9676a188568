"""What the map buttons of Compare compute of the slice in view: maps, curves and figures.

From planes to findings with their sentences, for a thread. The formulas are the core's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.compare.candidates import CompareRequest
from napari_srgan._gui.compare.planes import Question, SlicePixels, part_of, question_for
from napari_srgan._gui.layers import drawn_in_pixels, layer_axes, layer_sizes, layer_stack
from napari_srgan._gui.sentences import UNIT_SYMBOLS
from napari_srgan._gui.super_resolve.trust_maps import LEAST, recorded_intensity
from napari_srgan._gui.tags import record_of
from napari_srgan.engine.progress import Progress, Work
from napari_srgan.errors import InputError
from napari_srgan.measure.error_map import error_map
from napari_srgan.measure.frc import AGAINST_REFERENCE, FRC, ring_correlation
from napari_srgan.measure.regions import cnr, enl
from napari_srgan.measure.table import MEASURES
from napari_srgan.models.catalogue import find_model

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Shapes

_AREAS = ("rectangle", "ellipse", "polygon")
_CORNERS = 96  # of the polygon that stands for an ellipse


@dataclass(frozen=True)
class SliceInView:
    """The slice in view: its planes as a question, and the layers of its candidates."""

    question: Question
    request: CompareRequest
    layers: Mapping[str, Image]


@dataclass(frozen=True)
class CandidateMap:
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
class RingCurve:
    """The curve of one candidate, and what it says."""

    name: str
    frequency: Sequence[float]
    correlation: Sequence[float]
    unit: str
    threshold: float
    text: str
    dashed: bool


def slice_in_view(request: CompareRequest, dims: Dims) -> SliceInView:
    """Find the planes in view.

    Raises
    ------
    InputError
        If there is nothing to look at, or the slider is beyond a layer.
    """
    question = question_for(request.reference, request.candidates, request.low, dims)
    for sentence in question.errors.values():
        raise InputError(sentence)
    if not question.candidates:
        raise InputError("Tick a candidate first.")
    return SliceInView(question, request, {la.name: la for la in request.candidates})


def error_maps(seen: SliceInView) -> Work[list[CandidateMap]]:
    """Map the errors of every candidate and of bicubic.

    Returns
    -------
    list of CandidateMap

    Raises
    ------
    InputError
        If the reference is constant in this slice.
    """
    question, found = seen.question, []
    pixels = SlicePixels(question)
    names = list(question.candidates)
    for done, name in enumerate(names):
        yield Progress(done, len(names))
        one = error_map(pixels.reference(), pixels.candidate(name))
        if one.rse is None:
            raise InputError(
                f"{seen.request.reference.name} is constant in this slice, where an error map "
                "is not defined; go to another slice."
            )
        rse, rsp = MEASURES["rse"].text(one.rse), MEASURES["rsp"].text(one.rsp)
        found.append(
            CandidateMap(
                name,
                seen.request.reference,
                question.position,
                one.map,
                f"{name}: RSE {rse}, RSP {rsp} (gain {one.gain:.3g}, offset "
                f"{one.offset:.3g}, blur {one.sigma:.2g} px)",
            )
        )
    return found


def correlations(seen: SliceInView, direction: Any) -> Work[list[RingCurve]]:
    """Correlate every candidate, and bicubic, with the reference, ring by ring.

    Returns
    -------
    list of RingCurve
    """
    question, found = seen.question, []
    spacing, unit = _spacing(seen.request.reference)
    pixels = SlicePixels(question)
    names = list(question.candidates)
    for done, name in enumerate(names):
        yield Progress(done, len(names))
        curve = ring_correlation(
            pixels.reference(),
            pixels.candidate(name),
            spacing=spacing,
            direction=direction,
            threshold=AGAINST_REFERENCE,
        )
        found.append(
            RingCurve(
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


def _spacing(layer: Image) -> tuple[tuple[float, float], str]:
    """Pixel distance along Y and X in one unit, in pixels if it is not known."""
    stack = layer_stack(layer)
    axes = stack.axes.replace("S", "")
    at = [axes.index(a) for a in "YX"]
    units = {stack.units[i] for i in at}
    if stack.spacing_source == "unknown" or len(units) != 1:
        return (1.0, 1.0), "px"
    unit = units.pop()
    return (abs(stack.scale[at[0]]), abs(stack.scale[at[1]])), UNIT_SYMBOLS.get(unit, unit)


def _resolution(curve: FRC, unit: str) -> str:
    if curve.outcome == "crossing":
        return f"agrees with the reference down to {curve.resolution:.4g} {unit}"
    return {
        "above": "no crossing: agrees up to the limit of sampling",
        "below": "no crossing: does not agree in any ring",
    }.get(curve.outcome, "not defined: an image is constant")


# --- consistency -------------------------------------------------------------------------------


def consistency_maps(seen: SliceInView) -> Work[list[CandidateMap]]:
    """Compare the slice in view of every result with the LR input.

    Yields
    ------
    Progress
        How many maps are done.

    Returns
    -------
    list of CandidateMap
        Of the size of the part of the LR input that each was made from.

    Raises
    ------
    InputError
        If there is no result or no LR input, or the model of a result is not there any more.
    """
    # Late: trust brings its operators along, which opening the panel does not need.
    from napari_srgan.trust.consistency import (
        LEGEND,
        REMOVED_LEGEND,
        comparable,
        consistency,
        percent,
    )
    from napari_srgan.trust.operators import REMOVED, operator_of

    low, question = seen.request.low, seen.question
    records = {name: record_of(layer) for name, layer in seen.layers.items()}
    made = {name: record for name, record in records.items() if record is not None}
    small = next((p for p in question.candidates.values() if p.part is not None), None)
    if low is None or small is None or not made:
        raise InputError(
            "The consistency map compares a result of Super-resolve with its LR input: tick a "
            "result, and choose the LR input."
        )
    at = dict(zip(small.stack.plane_axes, small.index, strict=True))
    measured = small.read()
    found = []
    for done, (name, record) in enumerate(made.items()):
        yield Progress(done, len(made))
        part = part_of(low, [seen.layers[name]])
        rows, cols = part["Y"], part["X"]
        height, width = small.stack.height, small.stack.width
        cuts = (rows[0] > 0, rows[1] < height, cols[0] > 0, cols[1] < width)
        operator = operator_of(find_model(record.model).card)
        intensity, channel = recorded_intensity(record), at.get("C", 0)
        first, span = comparable(measured[slice(*rows), slice(*cols)], intensity, channel)
        second, _ = comparable(question.candidates[name].read(), intensity, channel)
        one = consistency(first, second, operator, span, cuts)
        sizes = np.abs(one.map[np.isfinite(one.map)])
        level = float(np.sqrt(np.mean(sizes**2))) if sizes.size else 0.0
        rmse = "unknown" if one.rmse_percent is None else percent(one.rmse_percent)
        legend = REMOVED_LEGEND if one.kind == REMOVED else LEGEND
        found.append(
            CandidateMap(
                name=name,
                layer=low,
                index=at,
                plane=one.map,
                text=f"{name}: {one.kind}, RMSE {level:.3g} ({rmse} of the intensity range).",
                part={"Y": rows, "X": cols},
                limit=max(float(np.percentile(sizes, 99.9)) if sizes.size else 0.0, LEAST * span),
                kind=one.kind,
                legend=legend,
            )
        )
    return found


# --- drawn regions -----------------------------------------------------------------------------


def region_figures(seen: SliceInView, masks: list[np.ndarray], scale: Any) -> Work[str]:
    """Measure drawn regions in the reference and in all candidates.

    Returns
    -------
    str
    """
    question = seen.question
    pixels = SlicePixels(question)
    yield Progress(0, 1)
    images = {seen.request.reference.name: pixels.reference()}
    images |= {name: pixels.candidate(name) for name in question.candidates}
    return region_text(images, masks, scale, None)


def region_masks(shapes: Shapes, image: Image) -> list[np.ndarray]:
    """Masks over a plane of the image of the shapes of a layer, in the order they were drawn.

    Parameters
    ----------
    shapes : Shapes
        Rectangles, ellipses and polygons. Layers may differ in scale, position, rotation and
        (convertible) units; a shape counts on every slice.
    image : Image

    Returns
    -------
    list of ndarray of bool, shape (Y, X)

    Raises
    ------
    InputError
        If nothing is drawn, or something that encloses no area.
    """
    from skimage.draw import polygon2mask

    if not len(shapes.data):
        raise InputError(
            f"Nothing is drawn in {shapes.name}; draw a region of signal first, and one of "
            "background after it."
        )
    axes = layer_axes(image)
    sizes = layer_sizes(image)
    masks = []
    for number, (corners, kind) in enumerate(zip(shapes.data, shapes.shape_type, strict=True), 1):
        if str(kind) not in _AREAS:
            raise InputError(
                f"Shape {number} in {shapes.name} is a {kind}, which has no area; draw rectangles, "
                "ellipses or polygons."
            )
        outline = np.asarray(corners, dtype=float)
        if str(kind) == "ellipse":
            outline = _ellipse(outline)
        inside = drawn_in_pixels(outline, shapes, image)
        at = inside[:, [axes.index("Y"), axes.index("X")]]
        masks.append(polygon2mask((sizes["Y"], sizes["X"]), at))
    return masks


def region_text(
    images: Mapping[str, np.ndarray], masks: list[np.ndarray], scale: Any, decibels: float | None
) -> str:
    """CNR of the first region against the second, and the ENL of each, image by image.

    Parameters
    ----------
    images : mapping of name to ndarray, shape (Y, X)
    masks : list of ndarray of bool
    scale : {"linear", "log"}
        What the values are.
    decibels : float, optional
        A unit of the stored values, for logarithmic values that are made linear first.

    Raises
    ------
    InputError
        If a region is too small, or an image is not gray.
    """
    lines = []
    for name, image in images.items():
        figures = []
        if len(masks) > 1:
            found = cnr(image, masks[0], masks[1], scale, decibels)
            figures.append(f"{found.label} {MEASURES['cnr'].text(found.value)}")
        looks = [enl(image, mask, scale, decibels) for mask in masks]
        values = " / ".join(MEASURES["enl"].text(one.value) for one in looks)
        figures.append(f"{looks[0].label} {values}")
        lines.append(f"{name}: {', '.join(figures)}")
    if len(masks) == 1:
        lines.append("For the CNR draw a second region, of background.")
    else:
        lines.append(
            "Regions in the order drawn: CNR of the first against the second, ENL of each."
        )
    return "\n".join(lines)


def _ellipse(corners: np.ndarray) -> np.ndarray:
    """The outline of the ellipse in a parallelogram of four corners."""
    centre = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)[:, None]
    return centre + np.cos(angle) * first + np.sin(angle) * second
