"""`napari-srgan doctor`: what is installed, what it can do here, and what would help."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK
from napari_srgan.cli.terminal import tell


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "doctor",
        help="say what is installed, what it can do here, and what would help",
        description="Examine this installation. The text can be pasted into an issue: it names "
        "neither the user nor any image.",
    )
    parser.add_argument("--json", action="store_true", help="print the facts as one JSON line")


def run(arguments: argparse.Namespace) -> int:
    """Print the report."""
    from napari_srgan.tasks.doctor import examine, report

    facts = examine()
    tell(json.dumps([asdict(fact) for fact in facts]) if arguments.json else report(facts))
    return EXIT_OK
