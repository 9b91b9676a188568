"""The figures of the slice in view as they come in, quick ones first, and which are out of date.

What belongs here: the order of the work between threads and the GUI. What is measured is in
readout.py, how it is shown in compare_table.py.
"""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer, Signal

from napari_srgan._gui.background import End, Lane, Work
from napari_srgan._gui.compare.compare_rows import Row
from napari_srgan._gui.compare.comparison import Question
from napari_srgan._gui.compare.readout import Found, Pixels, Ranges, quick, slow

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

    def __init__(self, ranges: Ranges, parent: QObject) -> None:
        super().__init__(parent)
        self._ranges = ranges
        self.question: Question | None = None
        self.rows: dict[str, Row] = {}
        self.errors: dict[str, str] = {}
        self.span = 0.0
        # PSNR must wait neither for an SSIM, nor for an enlargement of the slice before. They come
        # one after the other all the same: threads that share the interpreter's lock are slow.
        self._lanes = tuple(Lane(self) for _ in range(3))
        self._later: list[tuple[Lane, Work]] = []
        # What takes long begins when the slider rests: it would take time from the drawing.
        self._moving = QTimer(self)
        self._moving.setSingleShot(True)
        self._moving.setInterval(_REST)
        self._moving.timeout.connect(self._go_on)
        # The enlargement begins once the slice is drawn: a timer comes after the drawing.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._go_on)
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
        pixels, ranges = Pixels(question), self._ranges
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

    def stop(self) -> None:
        """Give up, and tell nobody any more; for a panel that closes."""
        self._moving.stop()
        self._soon.stop()
        self._later = []
        for lane in self._lanes:
            lane.stop()

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

    def _on_found(self, found: Found | End | None) -> None:
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
