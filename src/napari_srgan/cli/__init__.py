"""The command line: what may be typed, and how errors become one sentence and an exit code.

Each command is a file with `add`, which describes it to argparse, and `run`. Nothing heavy is
imported before the arguments are understood, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any, TextIO

from napari_srgan import __version__
from napari_srgan.cli import (
    calibrate,
    compare,
    demo,
    doctor,
    evaluate,
    export,
    figure,
    models,
    movie,
    presets,
    report,
    runs,
    sample_data,
    train,
    trust,
    upscale,
    view,
)
from napari_srgan.cli.arguments import EXIT_INPUT, EXIT_OK, with_negative_ranges
from napari_srgan.cli.parser import Parser
from napari_srgan.cli.terminal import hide, say, sentence
from napari_srgan.errors import did_you_mean
from napari_srgan.io.atomic import kept_unfinished, remove_unfinished

_COMMANDS: dict[str, Any] = {
    "upscale": upscale,
    "view": view,
    "evaluate": evaluate,
    "trust": trust,
    "calibrate": calibrate,
    "compare": compare,
    "report": report,
    "figure": figure,
    "movie": movie,
    "models": models,
    "train": train,
    "runs": runs,
    "export": export,
    "presets": presets,
    "sample-data": sample_data,
    "demo": demo,
    "doctor": doctor,
}

_EPILOG = """\
examples:
  napari-srgan upscale scan.tif scan_4x.tif
  napari-srgan upscale scan.tif fovea.tif --slices 40:60 --roi 0:256,100:356
  napari-srgan upscale volumes/*.tif --out-dir restored --device cuda
  napari-srgan view scan.tif scan_4x.tif
  napari-srgan evaluate references --model srresnet-gray
  napari-srgan compare truth.tif scan_4x.tif --low scan.tif
  napari-srgan report scan.tif --reference truth.tif -o report.html
  napari-srgan figure scan_4x.tif --low scan.tif -o figure.svg

Fine detail in the results is estimated by a neural network, not measured. For research use.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0; 2 after one sentence on standard error; 130 after Ctrl-C, 143 after a request to end
        and 129 after the terminal was closed, all with nothing half-made left behind.
    """
    if argv is None:  # the process is ours
        # Threads that spin while they wait take the cores from those that work, where other
        # programs work too; torch reads this when it is loaded. See docs/reliability.md.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    hide({})
    kept_unfinished.clear()
    for stream in (sys.stdout, sys.stderr):
        # Consoles that know few letters (Windows) get \\xb5 for a name's µ, not an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = with_negative_ranges(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["train"]:
        return train.pass_on(words[1:])
    whole = parser()
    if words and not words[0].startswith("-") and words[0] not in _COMMANDS:
        whole.error(f"there is no command {words[0]!r}{did_you_mean(words[0], _COMMANDS)}")
    arguments = whole.parse_args(words)
    signals = _Signals()
    try:
        signals.listen()
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            code: int = _COMMANDS[arguments.command].run(arguments)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        left = ", ".join(map(str, kept_unfinished))
        if left:
            say(f"Stopped; what is done of {left} is kept, and --resume goes on with it.")
        else:
            say("Stopped; nothing half-made was left.")
        return signals.exit_code
    except BrokenPipeError:
        # The reader of our output went away ("napari-srgan models | head"): no mistake. Python
        # would complain again when it flushes at exit, so let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        say(sentence(error))
    finally:
        if argv is not None:  # else the process ends, and Ctrl-C while it does says nothing
            signals.restore()
    return EXIT_INPUT


def parser() -> argparse.ArgumentParser:
    """Build the parser; `command` in what it gives is the name of the command."""
    whole = Parser(
        prog="napari-srgan",
        description="4x super-resolution of OCT and microscopy stacks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"napari-srgan {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS.values():
        command.add(commands)
    return whole


class _Signals:
    """Lets Ctrl-C, a cluster's request to end and a terminal that is closed tidy up.

    Attributes
    ----------
    came : int
        Number of the first that came, or 0.
    """

    def __init__(self) -> None:
        self.came = 0
        self._former: dict[int, Any] = {}

    def listen(self) -> None:
        """Hear signals from now on."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is None or signal.getsignal(number) == signal.SIG_IGN:  # nohup
                continue
            try:
                self._former[number] = signal.signal(number, self._on_signal)
            except ValueError:  # not the main thread: signals are not ours to handle
                return

    def restore(self) -> None:
        """Leave signals to whom they were left before."""
        for number, former in self._former.items():
            signal.signal(number, former)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.came:  # the first is being seen to, or was lost in code that cannot be stopped
            remove_unfinished()
            os._exit(self.exit_code)
        if _importing(frame):
            # Torch's loading ends the process at an exception; so come again when it is over.
            again = threading.Timer(0.05, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        self.came = number
        raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """What a program that was ended by this signal returns."""
        return 128 + (self.came or signal.SIGINT)


def _importing(frame: FrameType | None) -> bool:
    """Say whether a module is being loaded where the program stands."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _say_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say a warning without where in the program it came up."""
    say(str(message))
