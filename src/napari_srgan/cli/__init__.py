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
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from napari_srgan import __version__
from napari_srgan.cli import (
    compare,
    demo,
    evaluate,
    models,
    report,
    sample_data,
    trust,
    upscale,
)
from napari_srgan.cli.arguments import EXIT_INPUT, EXIT_OK, Parser, with_negative_ranges
from napari_srgan.cli.terminal import say, sentence

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_COMMANDS: dict[str, Any] = {
    "upscale": upscale,
    "evaluate": evaluate,
    "trust": trust,
    "compare": compare,
    "report": report,
    "models": models,
    "sample-data": sample_data,
    "demo": demo,
}

_EPILOG = """\
examples:
  napari-srgan upscale scan.tif scan_4x.tif
  napari-srgan upscale scan.tif fovea.tif --slices 40:60 --roi 0:256,100:356
  napari-srgan upscale volumes/*.tif --out-dir restored --device cuda
  napari-srgan evaluate references --model srresnet-gray
  napari-srgan compare truth.tif scan_4x.tif --low scan.tif
  napari-srgan report scan.tif --reference truth.tif -o report.html

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
        0; 2 after one sentence on standard error; 130 after Ctrl-C and 143 after a request
        to end, both with nothing half-made left behind.
    """
    for stream in (sys.stdout, sys.stderr):
        # Consoles that know few letters (Windows) get \\xb5 for a name's µ, not an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = parser().parse_args(with_negative_ranges(sys.argv[1:] if argv is None else argv))
    restore = _end_like_interrupt()
    try:
        code: int = _COMMANDS[arguments.command].run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as interrupt:
        terminated = interrupt.args == (signal.SIGTERM,)
        say("Stopped; nothing half-made was left.")
        return EXIT_TERMINATED if terminated else EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away ("napari-srgan models | head"): no mistake. Python
        # would complain again when it flushes at exit, so let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        say(sentence(error))
    finally:
        restore()
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


def _end_like_interrupt() -> Callable[[], None]:
    """Let a request to end (a cluster's time limit) tidy up as Ctrl-C does; give the way back."""

    def on_end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.SIGTERM)

    try:
        former = signal.signal(signal.SIGTERM, on_end)
    except ValueError:  # not the main thread: signals are not ours to handle
        return lambda: None

    def restore() -> None:
        signal.signal(signal.SIGTERM, former)

    return restore
