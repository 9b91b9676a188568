"""What all tasks share: sentences for errors, and stages of work that are made of other work."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from napari_srgan.engine.progress import Progress, Work, drain
from napari_srgan.errors import InputError

__all__ = ["DEFECT", "Progress", "Work", "counted", "drain", "sentence_for", "stage", "whole_steps"]

Result = TypeVar("Result")


def stage(name: str, steps: Work[Result]) -> Work[Result]:
    """Do other work as a stage of this one: its steps carry the stage's name before their own."""
    return _told(steps, lambda s: replace(s, stage=": ".join(filter(None, (name, s.stage)))))


def counted(steps: Generator[Any, None, Result], total: int, name: str = "") -> Work[Result]:
    """Do work that yields something else after each of `total` steps, as a stage of this name."""
    done = count(1)
    return _told(steps, lambda _: Progress(next(done), total, stage=name))


def whole_steps(steps: Work[Result]) -> Work[Result]:
    """Do work, telling of each step when it is done and of no part of it."""
    told = 0

    def tell(step: Progress) -> Progress | None:
        nonlocal told
        if step.done <= told:
            return None
        told = step.done
        return step

    return _told(steps, tell)


def _told(
    steps: Generator[Any, None, Result], tell: Callable[[Any], Progress | None]
) -> Work[Result]:
    """Do work, telling of each of its steps in other words, or not of it."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            if (told := tell(step)) is not None:
                yield told
    finally:
        steps.close()


DEFECT = "This is a defect of napari-srgan"
"""How the sentence on an error begins that is nobody's mistake but this program's."""


def sentence_for(error: Exception, memory: str) -> str:
    """Say in one sentence what went wrong.

    Parameters
    ----------
    error : Exception
        A mistake in the input, a refusal of the system, or a defect of this program. The
        traceback of a defect is kept in a log file, which the sentence names.
    memory : str
        What is said where memory ran out: each face has other means against it.
    """
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return memory
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}."
    with tempfile.NamedTemporaryFile(
        "w", prefix="napari-srgan-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.writelines(traceback.format_exception(error))
    first = (str(error).splitlines() or [""])[0]
    return f"{DEFECT} ({type(error).__name__}: {first}): please report it with the log {log.name}."
