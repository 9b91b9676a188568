"""What a training tells: lines for people or programs, metrics.csv, and TensorBoard events."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_srgan.cli.terminal import tell
from napari_srgan.io.tables import add_row, encoded, plain
from training.checkpoint import replace_file

CSV_NAME = "metrics.csv"
_STEP = (
    "step", "phase", "seconds", "learning_rate", "steps_per_second", "device_share", "generator",
    "pixel", "content", "adversarial", "tv", "grid", "discriminator", "real", "fake", "skipped",
)  # fmt: skip
_VALIDATION = (
    "set", "images", "psnr", "psnr_bicubic", "ssim", "ssim_bicubic", "ms_ssim", "ms_ssim_bicubic",
    "mse", "mse_bicubic", "mae", "mae_bicubic", "vgg22", "vgg22_bicubic", "vgg54", "vgg54_bicubic",
)  # fmt: skip
COLUMNS = _STEP + _VALIDATION


class Monitor:
    """Takes what happens in a training and passes it on.

    Parameters
    ----------
    folder : Path
        The run folder.
    after : int
        Last step that counts: what a former run logged of later ones is taken out again, since
        those steps will be taken anew.
    as_json : bool
        Print one JSON object a line instead of sentences.
    say : callable
        Takes each line.
    """

    def __init__(
        self, folder: Path, after: int, as_json: bool = False, say: Callable[[str], None] = tell
    ) -> None:
        from tensorboardX import SummaryWriter

        self._path = folder / CSV_NAME
        self._as_json, self._say = as_json, say
        rows = [row for row in read_rows(self._path) if int(row["step"]) <= after]
        self._validated = {(int(row["step"]), row["set"]) for row in rows if row["set"]}
        table = encoded([COLUMNS, *([row[key] for key in COLUMNS] for row in rows)])
        replace_file(self._path, table, "the log")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=after + 1)

    def event(self, kind: str, sentence: str = "", **values: Any) -> None:
        """Tell something that is in no log: {"event": kind, ...} or the sentence."""
        if self._as_json:
            told = {"event": kind} | ({"text": sentence} if sentence else {}) | values
            self._say(json.dumps(_finite(told), allow_nan=False))
        elif sentence:
            self._say(sentence)

    def step(self, values: Mapping[str, Any], steps: int, seconds_left: float) -> None:
        """Log a step; `values` are by the names of the columns of metrics.csv."""
        self._append(values)
        for key in values.keys() - {"step", "phase"}:
            self._board.add_scalar(f"train/{key}", values[key], values["step"])
        shown = [f"{key} {values[key]:.4g}" for key in _TERMS if key in values]
        skipped = f"  {values['skipped']} skipped" if values.get("skipped") else ""
        self.event(
            "step",
            f"step {values['step']}/{steps} {values['phase']}  {'  '.join(shown)}  "
            f"{values['steps_per_second']:.3g} steps/s, device busy {values['device_share']:.0%}, "
            f"{duration(seconds_left)} left{skipped}",
            steps=steps,
            seconds_left=round(seconds_left, 1),
            **values,
        )

    def validation(self, step: int, phase: str, rows: list[dict[str, Any]]) -> None:
        """Log the scores of every validation set."""
        for row in rows:
            # A run that is resumed at its end is validated again, and the same.
            if (step, row["set"]) not in self._validated:
                self._append({"step": step, "phase": phase, **row})
            for key in _VALIDATION[2:]:
                if row.get(key) is not None and math.isfinite(row[key]):
                    self._board.add_scalar(f"{row['set']}/{key}", row[key], step)
            gain = row["psnr"] - row["psnr_bicubic"]
            self.event(
                "validation",
                f"step {step}  {row['set']}: PSNR {row['psnr']:.2f} dB ({gain:+.2f} over bicubic), "
                f"SSIM {row['ssim']:.4f} ({row['ssim'] - row['ssim_bicubic']:+.4f})",
                step=step,
                **row,
            )
        self._board.flush()

    def close(self) -> None:
        """Finish the TensorBoard events."""
        # On a full disk this fails too, and must not hide the sentence that says so.
        with suppress(OSError):
            self._board.close()

    def _append(self, row: Mapping[str, Any]) -> None:
        add_row(self._path, [_short(row.get(key, "")) for key in COLUMNS])


_TERMS = ("generator", "pixel", "content", "adversarial", "discriminator", "real", "fake")


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics.csv that are whole: a kill may have cut the last one short."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        try:
            rows = [row for row in csv.DictReader(file) if _is_whole(row)]
        except csv.Error:
            return []
    return [{key: plain(text) for key, text in row.items()} for row in rows]


def _is_whole(row: Mapping[str | None, Any]) -> bool:
    if set(row) != set(COLUMNS) or None in row.values() or not row["step"].isdecimal():
        return False
    try:
        for key in set(COLUMNS) - {"phase", "set"}:
            float(row[key] or 0)
    except ValueError:
        return False
    return True


def duration(seconds: float) -> str:
    """Say a time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _finite(value: Any) -> Any:
    """Replace what JSON has no word for by null."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
