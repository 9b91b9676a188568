"""`napari-srgan train`: the command `python -m training.train_oct` by another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def add(commands: Any) -> None:
    """Name the command; what may be typed after it is the training's own."""
    commands.add_parser(
        "train", help="train a model on one's own scans (as python -m training.train_oct)"
    )


def pass_on(words: Sequence[str]) -> int:
    """Run the training command, which has its own options, signals and exit codes."""
    from training.train_oct import main

    return main(words)
