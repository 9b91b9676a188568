"""`napari-srgan sample-data`: the bundled stacks, copied to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK
from napari_srgan.cli.terminal import tell


def add(commands: Any) -> None:
    """Describe the command."""
    samples = commands.add_parser("sample-data", help="copy the bundled sample stacks to a folder")
    samples.add_argument("folder", type=Path, metavar="DIR")
    samples.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(arguments: argparse.Namespace) -> int:
    """Copy them and print their paths."""
    from napari_srgan.synthetic.samples import copy_to

    for path in copy_to(arguments.folder, overwrite=arguments.overwrite):
        tell(str(path))
    return EXIT_OK
