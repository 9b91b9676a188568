"""What may be typed after `napari-srgan evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def add_evaluate(commands: Any) -> None:
    """Describe `evaluate`; what is left out here is settled by model and protocol."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model beside bicubic on high-resolution images",
        usage="napari-srgan evaluate HR_FOLDER... [options]",
        description="Degrade high-resolution images, restore them, and report PSNR and SSIM of the "
        "model beside those of bicubic enlargement, per file and in the mean.",
    )
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        type=Path,
        metavar="HR_FOLDER",
        help="folders, searched with all below them, or image files",
    )
    add("--model", default="auto", help="name or file of a model (default: auto)")
    add(
        "--protocol",
        default="data",
        choices=("data", "paper"),
        help="data: all pixels in the range of --intensity; paper: as published tables, with "
        "MATLAB's bicubic and Y channel, 8-bit rounding and a border left out (default: data)",
    )
    add(
        "--degradation",
        metavar="D",
        help="bicubic, area, decimate or blur-noise (default: what the model was trained on)",
    )
    for option, what in (
        ("--blur", "standard deviation of the PSF of blur-noise, HR pixels"),
        ("--speckle", "contrast of the speckle of blur-noise"),
        ("--noise", "standard deviation of the noise of blur-noise, of range 1"),
    ):
        add(
            option,
            nargs=2,
            type=float,
            metavar=("LO", "HI"),
            help=f"{what}, drawn between two values (default: what the model was trained on)",
        )
    add(
        "--intensity",
        metavar="RANGE",
        help="auto, minmax, dtype, percentile:A,B or LO:HI, which becomes range 1 (default: auto)",
    )
    add("--transform", metavar="T", help="none, log or power:P, before that (default: none)")
    add("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    add(
        "--vgg-weights",
        type=Path,
        metavar="FILE",
        help="also measure distances of VGG19's features, by these weights (torchvision's)",
    )
    add("--csv", type=Path, metavar="FILE", help="also write the figures to a table")
    add("--overwrite", action="store_true", help="replace that table if it exists")
    add("--json", action="store_true", help="print one JSON line per file and one of the mean")
