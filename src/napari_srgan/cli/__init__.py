"""The command line: what may be typed, and how errors become one sentence and an exit code.

The work itself is in `batch` (files), `evaluate`, `demo` and `models`. Nothing heavy is imported
before the arguments are understood, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from napari_srgan.cli.arguments import EXIT_INPUT, parser, with_negative_ranges
from napari_srgan.cli.compare_arguments import ring_threshold
from napari_srgan.cli.terminal import say, sentence_for, table
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text

EXIT_OK = 0
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

# The options that go to the engine as they are.
_JOB = (
    "model", "device", "precision", "tile", "intensity", "transform", "nan", "anonymise",
    "back_project",
)  # fmt: skip


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
        code = _COMMANDS[arguments.command](arguments)
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
        say(sentence_for(error))
    finally:
        restore()
    return EXIT_INPUT


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


def _upscale(arguments: argparse.Namespace) -> int:
    from napari_srgan.cli import batch

    asked = {} if arguments.roi is None else dict(arguments.roi)
    request = batch.Request(
        job={key: getattr(arguments, key) for key in _JOB},
        axes=arguments.axes,
        slices=arguments.slices,
        roi=asked,
        overwrite=arguments.overwrite,
        as_json=arguments.json,
    )
    if arguments.out_dir is not None:
        failed = batch.upscale_many(arguments.paths, arguments.out_dir, request)
        return EXIT_INPUT if failed else EXIT_OK
    if len(arguments.paths) != 2:
        raise InputError(
            "Give one input and one output, or --out-dir DIR for any number of inputs (paths "
            f"given: {len(arguments.paths)})."
        )
    batch.upscale_one(arguments.paths[0], Path(arguments.paths[1]), request)
    return EXIT_OK


def _evaluate(arguments: argparse.Namespace) -> int:
    from napari_srgan.cli import evaluate

    ranges = {key: getattr(arguments, key) for key in ("blur", "speckle", "noise")}
    request = evaluate.Request(
        model=arguments.model,
        protocol=arguments.protocol,
        degradation=arguments.degradation,
        ranges={key: value for key, value in ranges.items() if value is not None},
        intensity=arguments.intensity,
        transform=arguments.transform,
        device=arguments.device,
        vgg_weights=arguments.vgg_weights,
    )
    failed = evaluate.evaluate(
        arguments.paths, request, arguments.csv, arguments.overwrite, arguments.json
    )
    return EXIT_INPUT if failed else EXIT_OK


def _compare(arguments: argparse.Namespace) -> int:
    rings = ring_threshold(arguments)
    from napari_srgan.cli import compare

    compare.run(
        compare.Request(
            reference=arguments.reference,
            candidates=arguments.candidates,
            low=arguments.low,
            settings=compare.Settings(mode=arguments.mode, border=arguments.border),
            axes=arguments.axes,
            data_range=arguments.range,
            slices=arguments.slices,
            frc=rings,
            error_maps=arguments.error_map,
            csv=arguments.csv,
            overwrite=arguments.overwrite,
            as_json=arguments.json,
        )
    )
    return EXIT_OK


def _report(arguments: argparse.Namespace) -> int:
    from napari_srgan.cli import report

    report.run(
        report.Request(
            source=arguments.input,
            output=arguments.output,
            job={key: getattr(arguments, key) for key in _JOB},
            reference=arguments.reference,
            settings=report.Settings(mode=arguments.mode, border=arguments.border),
            axes=arguments.axes,
            slices=arguments.slices,
            show=arguments.show,
            overwrite=arguments.overwrite,
            as_json=arguments.json,
        )
    )
    return EXIT_OK


def _trust(arguments: argparse.Namespace) -> int:
    from napari_srgan.cli import trust

    job = {key: getattr(arguments, key) for key in _JOB if hasattr(arguments, key)}
    trust.run(
        trust.Request(
            source=arguments.input,
            out=arguments.out,
            job=job,
            kinds=arguments.maps,
            fidelity=arguments.fidelity,
            symmetries=arguments.symmetries,
            axes=arguments.axes,
            slices=arguments.slices,
            roi={} if arguments.roi is None else dict(arguments.roi),
            overwrite=arguments.overwrite,
            as_json=arguments.json,
        )
    )
    return EXIT_OK


def _models(arguments: argparse.Namespace) -> int:
    from napari_srgan.models.catalogue import add_model, list_models

    if arguments.action == "add":
        info = add_model(arguments.file, arguments.overwrite)
        print(f"{info.card.name} is now listed; its file is {info.path}")
        return EXIT_OK
    found = list_models()
    if arguments.json:
        for info in found:
            print(
                json.dumps({"path": str(info.path), "bundled": info.bundled} | info.card.to_dict())
            )
        return EXIT_OK
    if not found:
        raise InputError("No model is installed; train one with 'python -m training.train_oct'.")
    rows = [("name", "channels", "scale", "gain over baseline", "purpose")]
    rows += [
        (
            info.card.name,
            {1: "gray", 3: "RGB"}.get(info.card.channels, str(info.card.channels)),
            scale_text(info.card.scale),
            _gain(info.card.validation),
            info.card.purpose,
        )
        for info in found
    ]
    print(table(rows))
    print("baseline: bicubic enlargement; for models that remove noise, a tuned filter before it")
    return EXIT_OK


def _gain(validation: Sequence[Mapping[str, Any]]) -> str:
    """Say by the card how far its PSNR was above the baseline's, from the least set to the best."""
    gains = sorted(
        entry["psnr"] - entry["psnr_bicubic"]
        for entry in validation
        # A card is somebody's file: figures may be missing, or null.
        if all(isinstance(entry.get(key), int | float) for key in ("psnr", "psnr_bicubic"))
    )
    if not gains:
        return "not stated"
    least, best = f"{gains[0]:+.2f}", f"{gains[-1]:+.2f}"
    return f"{best} dB" if least == best else f"{least} to {best} dB"


def _sample_data(arguments: argparse.Namespace) -> int:
    from napari_srgan.synthetic.samples import copy_to

    for path in copy_to(arguments.folder, overwrite=arguments.overwrite):
        print(path)
    return EXIT_OK


def _demo(arguments: argparse.Namespace) -> int:
    from napari_srgan.cli import demo

    if arguments.window:
        demo.check_window()
    elif arguments.screenshot:
        raise InputError("--screenshot is of the --window; add that or leave this out.")
    shown = demo.run(arguments.out, arguments.model, arguments.device, quiet=arguments.json)
    print(json.dumps(shown.summary()) if arguments.json else shown.text())
    if arguments.window:
        from napari_srgan._gui.demo_window import show

        show(shown, arguments.screenshot)
    return EXIT_OK


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "upscale": _upscale,
    "evaluate": _evaluate,
    "trust": _trust,
    "compare": _compare,
    "report": _report,
    "models": _models,
    "sample-data": _sample_data,
    "demo": _demo,
}
