"""What a terminal shows: sentences for people, a progress bar with the time left, measured memory.

Standard error is for people, standard output for results, so that output can be piped.
"""

from __future__ import annotations

import re
import sys
import tempfile
import traceback
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from napari_srgan.errors import InputError

if TYPE_CHECKING:
    from napari_srgan.engine.upscaler import Progress, Result

_NUMBER = re.compile(r"[-+]?[0-9.]+x?|inf|")


def say(sentence: str) -> None:
    """Tell the user one sentence, in one line on standard error."""
    tqdm.write(f"napari-srgan: {' '.join(sentence.split())}", file=sys.stderr)


def sentence_for(error: Exception) -> str:
    """Say in one sentence what went wrong.

    Parameters
    ----------
    error : Exception
        A mistake in the input, a refusal of the system, or a defect of this program. The
        traceback of a defect is kept in a log file, which the sentence names.
    """
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There was not enough memory: try a smaller --tile, or --slices and --roi."
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}."
    with tempfile.NamedTemporaryFile(
        "w", prefix="napari-srgan-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.writelines(traceback.format_exception(error))
    first = (str(error).splitlines() or [""])[0]
    return (
        f"This is a defect of napari-srgan ({type(error).__name__}: {first}): please report it "
        f"with the log {log.name}."
    )


def follow(steps: Generator[Progress, None, Result], label: str, total: int, quiet: bool) -> Result:
    """Run a job to its end under a progress bar.

    Parameters
    ----------
    steps : generator of Progress
        The job; closed in every case, which removes what is half-made.
    label : str
        What stands before the bar.
    total : int
        Number of tiles.
    quiet : bool
        Show no bar; nor is one shown where standard error is no terminal.

    Returns
    -------
    Result
        What the job gave.
    """
    from napari_srgan.engine.upscaler import finish

    with tqdm(desc=label, total=total, unit="tile", disable=quiet or None) as bar:

        def show(progress: Progress) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)
            if progress.note:
                say(progress.note)

        return finish(steps, show)


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


def peak_memory_mb() -> float:
    """Give the most memory that this process has held so far, in MB (10^6 bytes)."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    # macOS counts in bytes, the others in KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
