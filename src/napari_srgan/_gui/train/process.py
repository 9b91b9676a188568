"""The training command as a process of its own, which outlives napari. No Qt.

Training never runs in napari's process (docs/decisions.md), and a day's work must not end with a
window. What the command prints goes to a file of the run folder, so that whoever looks later, this
napari or the next, reads the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from napari_srgan.errors import InputError
from napari_srgan.tasks.steps import Progress
from training.runs import OUTPUT, events_of

_NICER = 5
_begun: list[subprocess.Popen[bytes]] = []
"""So that Python complains of none that goes on, and the system keeps none that has ended."""


def interpreter() -> Path:
    """Return the Python that runs this process.

    ``sys.executable`` is it, but in an app: there it may be the app itself or a link that is
    called after it, neither of which takes ``-m``, or Windows' Python without a console.

    Raises
    ------
    InputError
        If none is found.
    """
    own, base = Path(sys.executable or ""), getattr(sys, "_base_executable", None)
    if own.is_file() and own.stem.lower().startswith("python") and own.stem != "pythonw":
        return own
    inside = ("python.exe", "Scripts/python.exe") if sys.platform == "win32" else ("bin/python3",)
    candidates = [*(Path(sys.prefix) / name for name in inside), *([Path(base)] if base else [])]
    for path in candidates:
        if path.is_file() and path.stem.lower().startswith("python"):
            return path
    raise InputError(
        f"No Python was found beside {own or 'this program'} to train with; train with "
        "'napari-srgan train' where this plugin is installed with pip."
    )


def command(arguments: Sequence[str]) -> list[str]:
    """Return the training command, as it is started."""
    # -P: a folder called `training` where napari was started must not be taken for ours.
    return [str(interpreter()), "-P", "-m", "training.train_oct", *arguments, "--json-progress"]


def environment() -> dict[str, str]:
    """Return the environment of a training: it finds the modules that this process finds."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONIOENCODING": "utf-8",
        # Threads that spin while they wait would take the processor from the window.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
    }


def begin(arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start the training command, apart from this process.

    Parameters
    ----------
    arguments : sequence of str
        Of the command.
    folder : Path
        The run folder, which takes what it prints; made if it is not there.

    Raises
    ------
    InputError
        If the folder cannot be made or the process not started.
    """
    _begun[:] = [process for process in _begun if process.poll() is None]
    detached = (
        {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(),
                cwd=folder,
                **detached,
            )
    except OSError as error:
        raise InputError(
            f"The training cannot be started in {folder}: {error.strerror or error}."
        ) from error
    _begun.append(process)
    _be_nice(process)
    return process


def look(arguments: Sequence[str], folder: Path) -> Generator[Progress, None, dict[str, Any]]:
    """Let the command look at the scans, and wait for what it tells; for a thread.

    Parameters
    ----------
    arguments : sequence of str
        Of the command, --look and the page included.
    folder : Path
        Takes what it prints.

    Returns
    -------
    dict
        The event "look".

    Raises
    ------
    InputError
        With the sentence of the command if it cannot.
    """
    process = begin(arguments, folder)
    try:
        while process.poll() is None:
            yield Progress(0, 0, stage="Looking at the scans")
            time.sleep(0.1)
    finally:
        process.kill()
    told = list(events_of((folder / OUTPUT).read_bytes().splitlines()))
    last = told[-1] if told else {"event": "error", "text": "The scans could not be looked at."}
    if last["event"] != "look":
        raise InputError(str(last.get("text")))
    return last


def _be_nice(process: subprocess.Popen[bytes]) -> None:
    """Let what the processor does for the window come first."""
    with suppress(psutil.Error, OSError):  # it may have ended already
        other = psutil.Process(process.pid)
        other.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else _NICER)
