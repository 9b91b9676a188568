"""A run as it is now: how far, for how long, its curves and its last preview.

All comes from the run folder, so that it does not matter who has begun the run, when, and where.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtGui import QPainter, QPixmap
from qtpy.QtWidgets import QProgressBar, QSizePolicy, QWidget

from napari_srgan._gui.compare.plot import Curve, CurvePlot
from napari_srgan._gui.parts.widgets import Message, column
from napari_srgan._gui.runner import End, LastQuestion
from napari_srgan._gui.sentences import time_text
from training.runs import RunFolder, Seen

_EVERY = 1000  # ms between two looks at the folder
_LOSSES = (
    ("pixel", "pixel loss"),
    ("content", "content loss"),
    ("adversarial", "adversarial loss"),
    ("discriminator", "discriminator's loss"),
)
_STATES = {
    "starting": "Starting: the scans are read and checked.",
    "training": "Training.",
    "done": "Done.",
    "stopped": "Stopped; Resume goes on from its last checkpoint.",
    "failed": "The training ended without a model.",
}


@dataclass(frozen=True)
class Look:
    """A run folder at a moment, with what is shown of it beside the numbers."""

    run: RunFolder
    seen: Seen
    preview: Path | None
    has_model: bool
    can_go_on: bool


def look_at(run: RunFolder, is_starting: bool) -> Generator[Look, None, None]:
    """Look at a run folder, for a thread: it may lie on a slow disk."""
    seen = run.look(is_starting)
    yield Look(run, seen, run.preview, run.model is not None, run.can_go_on)


class Picture(QWidget):
    """A picture as wide as the panel."""

    def __init__(self) -> None:
        super().__init__()
        self._pixels = QPixmap()
        self.path: Path | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_file(self, path: Path | None) -> None:
        """Show a picture file, or nothing."""
        if path != self.path:
            self.path = path
            self._pixels = QPixmap(str(path)) if path else QPixmap()
            self.setVisible(not self._pixels.isNull())
            self.setMinimumHeight(self.heightForWidth(self.width()))
            self.update()

    def hasHeightForWidth(self) -> bool:
        """The picture keeps its proportions."""
        return True

    def heightForWidth(self, width: int) -> int:
        """As high as it is in proportion to its width."""
        if self._pixels.isNull():
            return 0
        width = min(width, self._pixels.width())
        return width * self._pixels.height() // self._pixels.width()

    def sizeHint(self) -> QSize:
        """As wide as a narrow dock."""
        return QSize(280, self.heightForWidth(280))

    def resizeEvent(self, event: object) -> None:
        """Take the height that belongs to the width."""
        self.setMinimumHeight(self.heightForWidth(self.width()))

    def paintEvent(self, event: object) -> None:
        """Draw it."""
        if self._pixels.isNull():
            return
        ratio = self.devicePixelRatioF()
        width = min(self.width(), self._pixels.width())
        shown = self._pixels.scaledToWidth(
            round(width * ratio), Qt.TransformationMode.SmoothTransformation
        )
        shown.setDevicePixelRatio(ratio)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, shown)
        painter.end()


class RunView(QWidget):
    """Shows a run, and follows it while it is trained in.

    Signals
    -------
    looked(Look)
        When the folder was looked at.
    """

    looked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.look: Look | None = None
        self._run: RunFolder | None = None
        self._starting = lambda: False
        self._shown: Seen | None = None
        self.bar = QProgressBar()
        self.state = Message()
        self.scores, self.losses = CurvePlot(), CurvePlot()
        self.preview = Picture()
        self.caption = Message()
        column(
            self,
            self.bar,
            self.state,
            self.scores,
            self.losses,
            self.preview,
            self.caption,
            spacing=6,
        )
        self._question = LastQuestion(self)
        self._question.found.connect(self._on_look)
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.refresh)
        self.show_run(None)

    def show_run(self, run: RunFolder | None, starting=lambda: False) -> None:
        """Show this run from now on, or none.

        Parameters
        ----------
        run : RunFolder or None
        starting : callable
            Whether its process is known to be there.
        """
        self._run, self._starting, self.look, self._shown = run, starting, None, None
        self._question.forget()
        for part in (self.bar, self.scores, self.losses, self.preview):
            part.setVisible(False)
        self.state.say("")
        self.caption.say("")
        if run is None:
            self._timer.stop()
        else:
            self._timer.start()
            self.refresh()

    def refresh(self) -> None:
        """Look at the folder, unless that is going on."""
        if self._run is not None and not self._question.busy:
            self._question.ask(partial(look_at, self._run, self._starting()))

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()
        self._question.forget()

    def _on_look(self, look: Look | End) -> None:
        if isinstance(look, End):
            self.state.say(look.error, error=True)
            return
        if look.run != self._run:
            return
        self.look = look
        if look.seen != self._shown:
            self._shown = look.seen
            self._show(look)
        if look.seen.state not in ("starting", "training"):
            self._timer.stop()
        self.looked.emit(look)

    def _show(self, look: Look) -> None:
        seen = look.seen
        self.bar.setVisible(seen.steps > 0)
        self.bar.setRange(0, max(seen.steps, 1))
        self.bar.setValue(seen.step)
        self.bar.setFormat("step %v of %m")
        self.state.say(state_text(seen), error=seen.state == "failed")
        scores = [row for row in seen.rows if row["set"]]
        self._plot(self.scores, score_curves(scores), "PSNR of the validation scans, dB")
        self._plot(self.losses, loss_curves(seen.rows), "loss, of its first value")
        phase_ends = seen.pretrain if 0 < seen.pretrain < seen.step else None
        for plot in (self.scores, self.losses):
            plot.mark(phase_ends)
            plot.setToolTip("The line: the discriminator enters" if phase_ends else "")
        self.preview.show_file(look.preview)
        self.caption.say(_caption(scores) if look.preview else "")

    @staticmethod
    def _plot(plot: CurvePlot, curves: Sequence[Curve], label: str) -> None:
        plot.setVisible(bool(curves))
        if curves:
            plot.show_curves(curves, x_label="step", y_label=label)


def state_text(seen: Seen) -> str:
    """Say how a run stands: "Training, 12 min left, 0.42 dB over bicubic"."""
    if seen.state == "failed":
        return seen.sentence or _STATES["failed"]
    parts = [_STATES[seen.state]]
    if seen.state == "training":
        spent = "the time left is not known" if seen.seconds_left is None else ""
        parts = [f"Training, {spent or time_text(seen.seconds_left or 0) + ' left'}."]
    last = _last_scores([row for row in seen.rows if row["set"]])
    if last:
        gains = (f"{_gain(r):+.2f} dB over bicubic on {r['set']}" for r in last)
        parts.append(f"At step {last[0]['step']}: {', '.join(gains)}.")
    if seen.memory_gb:
        parts.append(f"GPU memory: {seen.memory_gb[0]:.1f} of {seen.memory_gb[1]:.0f} GB.")
    if seen.state == "done" and seen.sentence:
        parts.append(seen.sentence)
    return " ".join(parts)


def score_curves(scores: Sequence[dict[str, str]]) -> list[Curve]:
    """PSNR of each validation set, and that of bicubic beside it."""
    curves = []
    for name in dict.fromkeys(row["set"] for row in scores):
        mine = [row for row in scores if row["set"] == name]
        steps = [int(row["step"]) for row in mine]
        curves.append(Curve(name, steps, [_number(row["psnr"]) for row in mine]))
        bicubic = [_number(row["psnr_bicubic"]) for row in mine]
        curves.append(Curve(f"bicubic, {name}", steps, bicubic, dashed=True))
    return curves


def loss_curves(rows: Sequence[dict[str, str]]) -> list[Curve]:
    """Losses, each beside its own first value: they differ by orders of magnitude."""
    curves = []
    for key, name in _LOSSES:
        points = [(int(r["step"]), _number(r[key])) for r in rows if not r["set"] and r[key]]
        if points and points[0][1] > 0:
            first = points[0][1]
            curves.append(Curve(name, [x for x, _ in points], [y / first for _, y in points]))
    return curves


def _caption(scores: Sequence[dict[str, str]]) -> str:
    last = _last_scores(scores)
    return (
        f"Above: LR and bicubic; below: the model at step {last[0]['step']}, and HR."
        if last
        else ""
    )


def _last_scores(scores: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in scores if row["step"] == scores[-1]["step"]] if scores else []


def _gain(row: dict[str, str]) -> float:
    return _number(row["psnr"]) - _number(row["psnr_bicubic"])


def _number(text: str) -> float:
    return float(text) if text else math.nan
