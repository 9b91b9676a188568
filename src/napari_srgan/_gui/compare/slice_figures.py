"""The figures of the slice in view as they come in, quick ones first, and which are out of date.

Planes are read and measured in a thread, in steps between which the work can be given up.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_srgan._gui.compare.planes import DataRange, Question, SlicePixels
from napari_srgan._gui.compare.table import Row
from napari_srgan._gui.parts.widgets import timer
from napari_srgan._gui.runner import End, LastQuestion, Work
from napari_srgan.errors import InputError
from napari_srgan.measure import metrics
from napari_srgan.measure.planes import Settings, compared, measure_plane
from napari_srgan.measure.table import MEASURES, Figure

_BAND = 128  # rows; SSIM can be given up between two bands
_REST = 120  # ms
_PATIENCE = 0.03  # s; for figures that are there before the slice is drawn, if they are quick


class SliceFigures(QObject):
    """The rows of the table that belong to the slice in view.

    Attributes
    ----------
    question : Question or None
        The last one.
    rows : dict of name to Row
        With the figures known so far; old ones are kept, as stale, until new ones are there.
    errors : dict of name to str
        Candidates that cannot be measured, and why.
    span : float
        The data range.

    Signals
    -------
    changed()
        When a figure or an error has come.
    failed(str)
        When nothing can be measured: the sentence.
    """

    changed = Signal()
    failed = Signal(str)

    def __init__(self, ranges: DataRange, parent: QObject) -> None:
        super().__init__(parent)
        self._ranges = ranges
        self.question: Question | None = None
        self.rows: dict[str, Row] = {}
        self.errors: dict[str, str] = {}
        self.span = 0.0
        # PSNR must wait neither for an SSIM, nor for an enlargement of the slice before. They come
        # one after the other all the same: threads that share the interpreter's lock are slow.
        self._lanes = tuple(LastQuestion(self) for _ in range(3))
        self._later: list[tuple[LastQuestion, Work]] = []
        # What takes long begins when the slider rests: it would take time from the drawing.
        self._moving = timer(self, _REST, self._go_on)
        # The enlargement begins once the slice is drawn: a timer comes after the drawing.
        self._soon = timer(self, 0, self._go_on)
        for lane in self._lanes:
            lane.found.connect(self._on_found)
            lane.idle.connect(self._soon.start)

    @property
    def busy(self) -> bool:
        """Whether some figures are still to come."""
        return bool(self._later) or any(lane.busy for lane in self._lanes)

    def ask(self, question: Question, moved: bool) -> None:
        """Measure; `moved` tells that the slider may go on moving."""
        self.question, self.errors = question, dict(question.errors)
        stale, known = frozenset(question.settings.measures), self.rows
        self.rows = {
            name: Row(
                name,
                question.slice_name,
                known[name].figures if name in known else {},
                stale,
            )
            for name in question.candidates
        } | {name: Row(name, question.slice_name) for name in question.errors}
        self.changed.emit()
        pixels, ranges = SlicePixels(question), self._ranges
        size = question.reference.stack.height
        alike = [n for n, p in question.candidates.items() if p.stack.height == size]
        smaller = [n for n in question.candidates if n not in alike]
        for lane in self._lanes:
            lane.forget()
        self._later = [
            (self._lanes[1], lambda: quick(pixels, ranges, smaller)),
            (self._lanes[2], lambda: slow(pixels, ranges)),
        ]
        self._lanes[0].ask(lambda: quick(pixels, ranges, alike))
        if moved:
            self._moving.start()
            self._lanes[0].wait(_PATIENCE)

    def clear(self) -> None:
        """Forget everything."""
        self.question, self.rows, self.errors, self._later = None, {}, {}, []
        for lane in self._lanes:
            lane.forget()

    def forget_question(self) -> None:
        """Take no answer to the last question any more: its pixels have changed."""
        self.question = None

    def is_stale(self) -> bool:
        """Whether no figure shown is that of the slice in view."""
        measured = self.question.settings.measures if self.question is not None else ()
        rows = [row for name, row in self.rows.items() if name not in self.errors]
        return bool(rows) and all(row.stale >= set(measured) for row in rows)

    def _go_on(self) -> None:
        """Begin the next step, unless a later question has begun."""
        if not self._later or self._lanes[0].busy:
            return
        if len(self._later) == 1 and self._moving.isActive():
            return  # its end comes back here
        lane, work = self._later.pop(0)
        lane.ask(work)

    def _on_found(self, found: Answer | End | None) -> None:
        if isinstance(found, End):
            self.failed.emit(found.error)
            return
        if found is None or found.question is not self.question:
            return
        if found.error and not found.candidate:
            self.failed.emit(found.error)
            return
        if found.error:
            self.errors[found.candidate] = found.error
            self.rows[found.candidate] = Row(found.candidate, self.question.slice_name)
        elif found.candidate not in self.errors:
            row = self.rows[found.candidate]
            self.rows[found.candidate] = Row(
                row.candidate,
                row.where,
                {**row.figures, **found.figures},
                row.stale - frozenset(found.figures),
            )
        self.span = found.data_range
        self.changed.emit()


@dataclass(frozen=True)
class Answer:
    """A part of the answer: figures of one candidate, or why there are none.

    An error without a candidate is about the reference, so about all of them.
    """

    question: Question
    candidate: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    data_range: float = 0.0
    error: str = ""


def quick(
    pixels: SlicePixels, ranges: DataRange, names: Sequence[str]
) -> Generator[Answer, None, None]:
    """Measure what is quick, candidate by candidate.

    Parameters
    ----------
    pixels : SlicePixels
        Of the question.
    ranges : DataRange
        Kept between calls.
    names : sequence of str
        Which candidates.

    Yields
    ------
    Answer
    """
    question = pixels.question
    measures = tuple(m for m in question.settings.measures if not MEASURES[m].effort)
    try:
        span = ranges.of(question)
        reference = pixels.reference()
    except InputError as error:
        yield Answer(question, "", error=str(error))
        return
    settings = replace(question.settings, measures=measures) if measures else None
    for name in names:
        try:
            candidate = pixels.candidate(name)
            figures = measure_plane(reference, candidate, span, settings) if settings else {}
            yield Answer(question, name, figures, span)
        except InputError as error:
            yield Answer(question, name, data_range=span, error=str(error))


def slow(pixels: SlicePixels, ranges: DataRange) -> Generator[Answer | None, None, None]:
    """Measure the others, those of all candidates that take longest last.

    Yields
    ------
    Answer or None
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
            yield Answer(question, name, {measure: value}, span)


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
