"""`napari-srgan demo`: the bundled OCT volume super-resolved and measured against the truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan.cli.arguments import EXIT_OK, add_options, chosen
from napari_srgan.cli.terminal import follow, table, tell
from napari_srgan.cli.view import check_window
from napari_srgan.errors import InputError
from napari_srgan.options import RestoreOptions

if TYPE_CHECKING:
    from napari_srgan.tasks.demo import Demo


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "demo", help="super-resolve the bundled OCT volume and measure it against the truth"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="where the results go (default: %(default)s)",
    )
    add_options(parser, RestoreOptions, only=("model", "device"))
    parser.add_argument(
        "--window",
        action="store_true",
        help="then open napari with input, result and truth side by side",
    )
    parser.add_argument(
        "--screenshot",
        type=Path,
        metavar="PNG",
        help="with --window: write a picture of the window and close it",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON line")


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration, print its figures, and open its window if that is asked for."""
    if arguments.window:
        check_window("--window")
    if arguments.screenshot and not arguments.window:
        raise InputError("--screenshot is of the --window; add that or leave this out.")
    from napari_srgan.tasks.demo import run_demo

    options = chosen(arguments, RestoreOptions)
    steps = run_demo(arguments.out, str(options.model), options.device)
    demo = follow(steps, "oct_volume_lr.tif", "tile", quiet=arguments.json)
    tell(json.dumps(_summary(demo)) if arguments.json else demo_text(demo))
    if arguments.window:
        from napari_srgan._gui.view_window import show

        show(demo_images(demo), "napari-srgan demo", arguments.screenshot)
        if arguments.screenshot is not None:
            tell(f"window:  {arguments.screenshot}")
    return EXIT_OK


def demo_images(demo: Demo) -> list[Any]:
    """Give input, result and truth as layer data, all with the contrast of the truth."""
    from napari_srgan._gui.files import layers_of

    limits = [float(v) for v in np.percentile(demo.truth.data[:], (0.5, 99.8))]
    result = f"result [{demo.model} 4x]"
    names = {"input": demo.low, result: demo.result.stack(), "truth": demo.truth}
    images = [layer for name, stack in names.items() for layer in layers_of(stack, name)]
    for _pixels, about, _kind in images:
        about["contrast_limits"] = limits
    return images


def demo_text(demo: Demo) -> str:
    """Give the table and what it says, for people."""
    rows = [("method", "PSNR (dB)", "SSIM")]
    rows += [(m.method, f"{m.psnr:.2f}", f"{m.ssim:.4f}") for m in demo.methods]
    low = demo.low
    shape = " x ".join(map(str, low.shape))
    return (
        f"{low.name}: {low.axes} {shape} {low.dtype}, super-resolved 4x by "
        f"{demo.model} in {demo.seconds:.1f} s\n\n{table(rows)}\n\n"
        f"Mean over {low.shape[0]} slices against the high-resolution volume, of which\n"
        "the input is the 4x bicubic reduction; a coarser instrument loses more than that.\n"
        f"picture: {demo.picture}\nresult:  {demo.file}"
    )


def _summary(demo: Demo) -> dict[str, Any]:
    """Give the same for machines."""
    return {
        "measured": [{"method": m.method, "psnr_db": m.psnr, "ssim": m.ssim} for m in demo.methods],
        "slices": demo.low.shape[0],
        "seconds": round(demo.seconds, 3),
        "picture": str(demo.picture),
        "output": str(demo.file),
    }
