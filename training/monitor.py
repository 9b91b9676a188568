"""What a training tells: lines for people or programs, metrics.csv, and TensorBoard events."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_srgan.io.tables import add_row, encoded
from training.checkpoint import not_written, replace_file
from training.log import COLUMNS, CSV_NAME, VALIDATION, duration, read_rows

Told = Callable[[dict[str, Any]], None]


class Monitor:
    """Takes what happens in a training and passes it on.

    Parameters
    ----------
    folder : Path
        The run folder.
    after : int
        Last step that counts: what a former run logged of later ones is taken out again, since
        those steps will be taken anew.
    told : callable
        Takes each event: {"event": kind, "text": a sentence if there is one, ...}, with values
        that JSON can hold.
    """

    def __init__(self, folder: Path, after: int, told: Told) -> None:
        self._path, self._told = folder / CSV_NAME, told
        rows = [row for row in read_rows(self._path) if int(row["step"]) <= after]
        self._validated = {(int(row["step"]), row["set"]) for row in rows if row["set"]}
        self._pictured = {step for step, _ in self._validated}
        table = encoded([COLUMNS, *([row[key] for key in COLUMNS] for row in rows)])
        replace_file(self._path, table, "the log")
        self._board = Board(folder / "tensorboard", after)

    def event(self, kind: str, sentence: str = "", **values: Any) -> None:
        """Tell something that is in no log."""
        said = {"text": sentence} if sentence else {}
        self._told(_finite({"event": kind} | said | values))

    def step(
        self,
        values: Mapping[str, Any],
        steps: int,
        seconds_left: float,
        memory: tuple[float, float] | None = None,
        pretrain: int = 0,
    ) -> None:
        """Log a step.

        Parameters
        ----------
        values : mapping
            By the names of the columns of metrics.csv.
        steps : int
            Of the whole training.
        seconds_left : float
        memory : tuple of float, optional
            That is used of a GPU, and what it has, GB.
        pretrain : int
            Steps of the first phase.
        """
        self._append(values)
        numbers = {f"train/{k}": values[k] for k in values.keys() - {"step", "phase"}}
        self._board.scalars(values["step"], numbers)
        shown = [f"{key} {values[key]:.4g}" for key in _TERMS if key in values]
        skipped = f"  {values['skipped']} skipped" if values.get("skipped") else ""
        held = f", {memory[0]:.3g} of {memory[1]:.3g} GB" if memory else ""
        self.event(
            "step",
            f"step {values['step']}/{steps} {values['phase']}  {'  '.join(shown)}  "
            f"{values['steps_per_second']:.3g} steps/s, device busy "
            f"{values['device_share']:.0%}{held}, {duration(seconds_left)} left{skipped}",
            steps=steps,
            pretrain=pretrain,
            seconds_left=round(seconds_left, 1),
            **({"memory_gb": list(memory)} if memory else {}),
            **values,
        )

    def validation(self, step: int, phase: str, rows: list[dict[str, Any]]) -> None:
        """Log the scores of every validation set."""
        for row in rows:
            # What is resumed at its end, or ends early, is validated again, and the same.
            if (step, row["set"]) not in self._validated:
                self._append({"step": step, "phase": phase, **row})
                self._validated.add((step, row["set"]))
                figures = {key: row[key] for key in VALIDATION[2:] if row.get(key) is not None}
                self._board.scalars(step, {f"{row['set']}/{k}": v for k, v in figures.items()})
            gain = row["psnr"] - row["psnr_bicubic"]
            self.event(
                "validation",
                f"step {step}  {row['set']}: PSNR {row['psnr']:.2f} dB ({gain:+.2f} over bicubic), "
                f"SSIM {row['ssim']:.4f} ({row['ssim'] - row['ssim_bicubic']:+.4f})",
                step=step,
                **row,
            )

    def pictures(self, step: int, files: Mapping[str, bytes]) -> None:
        """Log previews, PNG files by their names."""
        if step not in self._pictured:
            self._pictured.add(step)
            self._board.pictures(step, files)

    def close(self) -> None:
        """Finish the TensorBoard events."""
        # On a full disk this fails too, and must not hide the sentence that says so.
        with suppress(OSError):
            self._board.close()

    def _append(self, row: Mapping[str, Any]) -> None:
        try:
            add_row(self._path, [_short(row.get(key, "")) for key in COLUMNS])
        except OSError as error:
            raise not_written(self._path, "the log", error) from error


class Board:
    """TensorBoard events, written at once: a thread would tell of a full disk by a traceback.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    after : int
        Last step that counts, as of `Monitor`.
    """

    def __init__(self, folder: Path, after: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self._folder = folder
        with self._told():
            folder.mkdir(exist_ok=True)
            # The name has the second; a run may be resumed within it.
            name = f".{after}.{len(list(folder.iterdir()))}"
            self._events = EventsWriter(str(folder / "events"), name)
        self._write(after + 1, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write finite numbers by their names."""
        from tensorboardX.summary import scalar

        for name, value in values.items():
            if math.isfinite(value):
                self._write(step, summary=scalar(name, value))

    def pictures(self, step: int, files: Mapping[str, bytes]) -> None:
        """Write PNG files by their names."""
        from tensorboardX.proto.summary_pb2 import Summary

        for name, png in files.items():
            width, height = struct.unpack(">II", png[16:24])
            image = Summary.Image(
                encoded_image_string=png, width=width, height=height, colorspace=4
            )
            self._write(step, summary=Summary(value=[Summary.Value(tag=name, image=image)]))

    def close(self) -> None:
        """Close the file."""
        self._events.close()

    def _write(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with self._told():
            self._events.write_event(Event(wall_time=time.time(), step=step, **content))
            self._events.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise not_written(self._folder, "the log", error) from error


_TERMS = ("generator", "pixel", "content", "adversarial", "discriminator", "real", "fake")


def _finite(value: Any) -> Any:
    """Replace what JSON has no word for by null."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
