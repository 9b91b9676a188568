"""The answer to Compare's question, in pieces: the quick measures first.

What belongs here: reading and measuring planes in a thread, in steps between which the work can
be given up. The measures are planes.py's.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.compare.comparison import Question, enlarged
from napari_srgan.errors import InputError
from napari_srgan.measure import metrics
from napari_srgan.measure.grid import on_reference_grid, reference_range
from napari_srgan.measure.planes import Settings, compared, measure_plane
from napari_srgan.measure.table import MEASURES, Figure

if TYPE_CHECKING:
    from napari_srgan.image.stack import Stack

_BAND = 128  # rows; SSIM can be given up between two bands


@dataclass(frozen=True)
class Found:
    """A part of the answer: figures of one candidate, or why there are none.

    An error without a candidate is about the reference, so about all of them.
    """

    question: Question
    candidate: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    data_range: float = 0.0
    error: str = ""


class Ranges:
    """The data range of the last reference, so that moving the slider reads it only once.

    It is that of the whole stack: all slices refer to the same range.
    """

    def __init__(self) -> None:
        self._data: Any = None
        self._range = 0.0
        self._lock = threading.Lock()

    def of(self, question: Question) -> float:
        """Return the range that was given by hand, or that of the reference's stack."""
        if question.data_range is not None:
            return question.data_range
        return self.of_stack(question.reference.stack)

    def of_stack(self, stack: Stack) -> float:
        """Return the range of a reference's stack."""
        with self._lock:
            if stack.data is not self._data:
                self._range = reference_range(stack)
                self._data = stack.data
            return self._range

    def forget(self) -> None:
        """Measure anew the next time: the pixels have changed."""
        self._data = None


class Pixels:
    """The planes of a question on the reference's grid, each read and enlarged only once."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._kept: dict[str, np.ndarray] = {}
        self._locks = {name: threading.Lock() for name in ("", *question.candidates)}

    def reference(self) -> np.ndarray:
        """The reference's plane."""
        with self._locks[""]:
            if "" not in self._kept:
                self._kept[""] = self.question.reference.read()
            return self._kept[""]

    def candidate(self, name: str) -> np.ndarray:
        """A candidate's plane, enlarged by bicubic if it is smaller."""
        shape = self.reference().shape
        plane = self.question.candidates[name]
        with self._locks[name]:
            if name not in self._kept:
                pixels = plane.read()
                if plane.part is None:
                    self._kept[name] = on_reference_grid(pixels, shape)[0]
                else:
                    self._kept[name] = enlarged(pixels, plane.part, shape, plane.stack.name)
            return self._kept[name]


def quick(pixels: Pixels, ranges: Ranges, names: Sequence[str]) -> Generator[Found, None, None]:
    """Measure what is quick, candidate by candidate.

    Parameters
    ----------
    pixels : Pixels
        Of the question.
    ranges : Ranges
        Kept between calls.
    names : sequence of str
        Which candidates.

    Yields
    ------
    Found
    """
    question = pixels.question
    measures = tuple(m for m in question.settings.measures if not MEASURES[m].effort)
    try:
        span = ranges.of(question)
        reference = pixels.reference()
    except InputError as error:
        yield Found(question, "", error=str(error))
        return
    settings = replace(question.settings, measures=measures) if measures else None
    for name in names:
        try:
            candidate = pixels.candidate(name)
            figures = measure_plane(reference, candidate, span, settings) if settings else {}
            yield Found(question, name, figures, span)
        except InputError as error:
            yield Found(question, name, data_range=span, error=str(error))


def slow(pixels: Pixels, ranges: Ranges) -> Generator[Found | None, None, None]:
    """Measure the others, those of all candidates that take longest last.

    Yields
    ------
    Found or None
        None where the work can be given up.
    """
    question = pixels.question
    measures = [m for m in question.settings.measures if MEASURES[m].effort]
    for measure in sorted(measures, key=lambda name: MEASURES[name].effort):
        for name in question.candidates:
            yield None
            # Errors are told of by `quick`, which meets the same ones.
            try:
                span, reference = ranges.of(question), pixels.reference()
                candidate = pixels.candidate(name)
                if measure == "ssim":
                    value = yield from _ssim(reference, candidate, span, question.settings)
                else:
                    one = replace(question.settings, measures=(measure,))
                    value = measure_plane(reference, candidate, span, one)[measure]
            except InputError:
                continue
            yield Found(question, name, {measure: value}, span)


def _ssim(
    reference: np.ndarray, candidate: np.ndarray, span: float, settings: Settings
) -> Generator[None, None, Figure]:
    """SSIM in bands that overlap by what the window reaches; their mean is that of the whole."""
    first, second = compared(reference, settings), compared(candidate, settings)
    if min(first.shape[:2]) < metrics.SSIM_WINDOW:
        return None
    reach = metrics.SSIM_WINDOW - 1
    total, inside = 0.0, first.shape[0] - reach
    for start in range(0, inside, _BAND):
        stop = min(start + _BAND, inside)
        rows = slice(start, stop + reach)
        total += (stop - start) * metrics.ssim(first[rows], second[rows], span)
        yield None
    return total / inside
