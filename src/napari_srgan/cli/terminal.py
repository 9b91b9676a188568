"""What a terminal shows: sentences for people, progress with the time left, tables.

Standard error is for people, standard output for results, so that output can be piped. Names of
files, models and layers, and what files say of themselves, are somebody's text: here alone is it
printed, without what a terminal would obey; and on standard error, which ends up in the logs of
clusters, without the names that are to be hidden.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from napari_srgan.tasks.names import without_names

if TYPE_CHECKING:
    from napari_srgan.engine.progress import Progress

_NUMBER = re.compile(r"[-+]?[0-9.]+x?|inf|")
_MEMORY = "There was not enough memory: try a smaller --tile, or --slices and --roi."

# Control characters, and those that turn the direction of writing around.
_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_hidden: dict[str, str] = {}
"""What `hide` was given."""

Result = TypeVar("Result")


def say(sentence: str, program: str = "napari-srgan") -> None:
    """Tell the user one sentence, in one line on standard error."""
    # Names first: they may hold the white space that is made one blank.
    sentence = " ".join(without_names(sentence, _hidden).split())
    tqdm.write(printable(f"{program}: {sentence}"), file=sys.stderr)


def tell(text: str) -> None:
    """Print a result on standard output; it may have several lines."""
    print("\n".join(map(printable, text.split("\n"))), flush=True)


def printable(text: str) -> str:
    """Make a text fit to be printed in one line, with escapes for what a terminal would obey."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


def hide(names: Mapping[str, str]) -> None:
    """Say the labels of these names instead of them, from now on to the end of the command."""
    _hidden.clear()
    _hidden.update(names)


def sentence(error: Exception) -> str:
    """Say in one sentence what went wrong; see `steps.sentence_for`."""
    from napari_srgan.tasks.steps import sentence_for

    return sentence_for(error, _MEMORY)


class Bar:
    """A progress bar for each stage of a piece of work.

    Parameters
    ----------
    unit : str
        What the steps are.
    label : str
        What stands before the bar where the stage has no name.
    quiet : bool
        Show no bar; nor is one shown where standard error is no terminal.
    """

    def __init__(self, unit: str, label: str = "", quiet: bool = False) -> None:
        self._unit, self._label, self._quiet = unit, label, quiet
        self._stage: str | None = None
        self._bar: Any = None

    def show(self, progress: Progress) -> None:
        """Show how far the work is, and say what is out of the ordinary."""
        if progress.total:
            if self._bar is None or progress.stage != self._stage:
                self.close()
                self._stage = progress.stage
                self._bar = tqdm(
                    desc=printable(without_names(progress.stage or self._label, _hidden)),
                    total=progress.total,
                    unit=self._unit,
                    disable=self._quiet or None,
                )
            self._bar.total = progress.total
            self._bar.update(progress.done - self._bar.n)
        if progress.note:
            say(progress.note)

    def close(self) -> None:
        """Leave the bar as it stands; harmless at any time."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def follow(
    steps: Generator[Progress, None, Result], label: str, unit: str, quiet: bool = False
) -> Result:
    """Run work to its end under a progress bar; parameters are those of `Bar`."""
    from napari_srgan.engine.progress import drain

    bar = Bar(unit, label, quiet)
    try:
        return drain(steps, bar.show)
    finally:
        bar.close()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of cells in columns, the first row as the head; numbers to the right.

    Parameters
    ----------
    rows : sequence of rows, each of the same number of str

    Returns
    -------
    str
        One line per row and one under the head.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
