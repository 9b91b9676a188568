"""PSNR and SSIM of one plane of a candidate and of bicubic, against a reference.

What belongs here: the question (which planes), the answer (the figures), and how one follows
from the other, without a window. The measures themselves are metrics.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan import metrics
from napari_srgan._widgets.layer_stack import INPUT_KEY, layer_stack, view_of
from napari_srgan._widgets.sentences import plane_text
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

    from napari_srgan.stack import Stack

Range = tuple[int, int]


@dataclass(frozen=True)
class Plane:
    """One plane of a stack."""

    stack: Stack
    index: tuple[int, ...]

    def read(self) -> np.ndarray:
        """Its pixels, (y, x) or (y, x, S)."""
        return self.stack.read(self.index)


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    Attributes
    ----------
    reference, candidate : Plane
        The planes in view.
    low : Plane or None
        The LR plane for the bicubic row.
    rows, cols : (int, int)
        The part of the LR plane that the candidate was made from, half-open.
    where : str
        Names the plane for the user.
    note : str
        A doubt about the comparison, for instance that the layers do not lie at one place.
    """

    reference: Plane
    candidate: Plane
    low: Plane | None
    rows: Range
    cols: Range
    where: str
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """PSNR in dB and SSIM."""

    psnr: float
    ssim: float


@dataclass(frozen=True)
class Answer:
    """The figures of candidate and bicubic, or the sentence of an error."""

    data_range: float = 0.0
    candidate: Figures | None = None
    bicubic: Figures | None = None
    bicubic_error: str = ""
    error: str = ""


def question_for(reference: Image, candidate: Image, low: Image | None, dims: Dims) -> Question:
    """Find the planes in view.

    Raises
    ------
    InputError
        If a layer cannot be measured, or the slider is beyond one of them.
    """
    ref, cand = _in_view(reference, dims), _in_view(candidate, dims)
    small = None if low is None else _in_view(low, dims)
    rows = cols = (0, 0)
    if small is not None:
        rows, cols = (0, small.stack.height), (0, small.stack.width)
        made: Mapping[str, Any] = candidate.metadata.get(INPUT_KEY) or {}
        if made.get("id") == str(low.unique_id):
            rows, cols = made["region"].get("Y", rows), made["region"].get("X", cols)
    where = plane_text(dict(zip(ref.stack.plane_axes, ref.index, strict=True)), ref.stack.sizes)
    return Question(
        ref, cand, small, tuple(rows), tuple(cols), where, _place_note(reference, candidate)
    )


class Ranges:
    """The data range of the last reference, so that moving the slider reads it only once.

    It is that of the whole stack: all slices refer to the same range.
    """

    def __init__(self) -> None:
        self._data: Any = None
        self._range = 0.0

    def of(self, data: Any) -> float:
        """Return the range of the data."""
        if data is not self._data:
            self._range = metrics.data_range(data)
            self._data = data
        return self._range


def answer(question: Question, ranges: Ranges) -> Answer:
    """Measure; for a thread.

    Parameters
    ----------
    question : Question
        What to measure.
    ranges : Ranges
        Kept between calls.
    """
    try:
        reference, candidate = question.reference.read(), question.candidate.read()
        _check_shapes(reference, candidate)
        span = ranges.of(question.reference.stack.data)
        figures = _figures(reference, candidate, span)
    except InputError as error:
        return Answer(error=str(error))
    if question.low is None:
        return Answer(span, figures)
    try:
        return Answer(span, figures, _figures(reference, enlarged(question, reference), span))
    except InputError as error:
        return Answer(span, figures, bicubic_error=str(error))


def enlarged(question: Question, reference: np.ndarray) -> np.ndarray:
    """Enlarge the LR plane bicubically to the reference's size, in the reference's dtype.

    Raises
    ------
    InputError
        If the sizes do not differ by one whole factor.
    """
    from napari_srgan.resampling import bicubic_enlarge

    (y0, y1), (x0, x1) = question.rows, question.cols
    height, width = reference.shape[:2]
    factor = height // (y1 - y0)
    if factor < 2 or (height, width) != (factor * (y1 - y0), factor * (x1 - x0)):
        raise InputError(
            f"The LR input is {y1 - y0} x {x1 - x0} px and the reference {height} x {width} px: "
            "choose an LR input that is a whole number of times smaller."
        )
    large = np.asarray(bicubic_enlarge(question.low.read(), factor))
    large = large[y0 * factor : y1 * factor, x0 * factor : x1 * factor]
    if reference.dtype.kind in "iu":
        # As the candidate: integers are rounded and clipped.
        limits = np.iinfo(reference.dtype)
        large = np.clip(np.rint(large), limits.min, limits.max)
    return large


def _in_view(layer: Image, dims: Dims) -> Plane:
    stack, view = layer_stack(layer), view_of(layer, dims)
    if view.outside:
        raise InputError(f"The slider is beyond {layer.name}; move it to a slice that both have.")
    return Plane(stack, tuple(view.index[a] for a in stack.plane_axes))


def _place_note(reference: Image, candidate: Image) -> str:
    first, second = (np.asarray(la.extent.world)[:, -2:] for la in (reference, candidate))
    pixel = np.abs(np.asarray(reference.scale)[-2:])
    if first.shape == second.shape and np.any(np.abs(first - second) > 0.5 * pixel):
        return "The two layers do not lie at the same place: the figures may compare other things."
    return ""


def _check_shapes(reference: np.ndarray, candidate: np.ndarray) -> None:
    if reference.shape != candidate.shape:
        sizes = [" x ".join(map(str, a.shape)) for a in (reference, candidate)]
        raise InputError(
            f"The reference plane is {sizes[0]} px and the candidate {sizes[1]} px; choose two "
            "layers of the same size."
        )


def _figures(reference: np.ndarray, candidate: np.ndarray, span: float) -> Figures:
    return Figures(
        metrics.psnr(reference, candidate, span), metrics.ssim(reference, candidate, span)
    )
