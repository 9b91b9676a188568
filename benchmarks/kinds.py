"""What kind of image `recognise` takes a folder of known scans for, and which model `auto` becomes.

    python benchmarks/kinds.py DATA [--markdown]

DATA holds the folders of the table in docs/kinds.md; those that are missing are left out, and the
bundled samples are always looked at. The rule was made on the sets that are marked so, and on no
other. Gray photographs are made of the coloured ones; gray in RGB is an averaged B-scan three
times.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_srgan.cli.terminal import table, tell
from napari_srgan.image.colour import as_channels
from napari_srgan.image.kind import recognise
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack
from napari_srgan.models.kinds import choose
from napari_srgan.synthetic.samples import SAMPLES, sample_path


def as_it_is(stack: Stack) -> Stack:
    """Take a stack as its file holds it."""
    return stack


def gray(stack: Stack) -> Stack:
    """Make an RGB photograph gray."""
    return Stack(as_channels(stack.read(()), 1), "YX", stack.name)


def gray_in_rgb(stack: Stack) -> Stack:
    """Store a gray image in three equal colours."""
    return Stack(np.stack([stack.read(())] * 3, axis=-1), "YXS", stack.name)


def noisy(stack: Stack) -> Stack:
    """Make an RGB photograph gray, with Gaussian noise of a tenth of the range."""
    random = np.random.default_rng(0)
    plane = as_channels(stack.read(()), 1) + random.normal(0, 25, (stack.height, stack.width))
    return Stack(plane.clip(0, 255).astype(np.uint8), "YX", stack.name)


@dataclass(frozen=True)
class Set:
    """Scans of one kind.

    Attributes
    ----------
    pattern : str
        Of their files, below DATA.
    right : str
        Their kind.
    made_on : bool
        Whether the rule was made with them in view.
    change : callable
        What is done to each before it is looked at.
    title : str
        What the set is called; `pattern` without.
    part : (int, int)
        The first of the files by name, and every how many of them.
    """

    pattern: str
    right: str
    made_on: bool = False
    change: Callable[[Stack], Stack] = as_it_is
    title: str = ""
    part: tuple[int, int] = (0, 1)


SETS = (
    Set("oct/duke_sdoct/train/*/single_frame*.tif", "raw-oct", made_on=True),
    Set("oct/duke_sdoct/val/*/single_frame*.tif", "raw-oct"),
    Set("oct/duke_sdoct/train/*/average.tif", "oct", made_on=True),
    Set("oct/duke_sdoct/val/*/average.tif", "oct"),
    Set("oct/spectralis_averages/train/person0[012]*.tif", "oct", made_on=True),
    Set("oct/spectralis_averages/train/person0[345]*.tif", "oct"),
    Set("oct/spectralis/*.npy", "oct"),
    Set("microscopy/dsb2018/fluorescence_gray/*.png", "fluorescence", made_on=True),
    Set("microscopy/dsb2018/brightfield_gray/*.png", "brightfield", made_on=True),
    Set("microscopy/dsb2018/tissue_rgb/*.png", "brightfield", made_on=True),
    Set("natural/bsds500/train/*.jpg", "photograph", made_on=True),
    Set("natural/bsds500/test/*.jpg", "photograph"),
    Set(
        "natural/cid22/*.png",
        "photograph",
        True,
        title="cid22, every other",
        part=(1, 2),
    ),
    Set("natural/cid22/*.png", "photograph", title="cid22, the others", part=(0, 2)),
    Set("natural/clic2025_half/*.png", "photograph"),
    Set("natural/gb82/*.png", "photograph"),
    Set("natural/t91/*.png", "photograph", made_on=True),
    Set("natural/bsds500/test/*.jpg", "photograph", change=gray, title="bsds500/test, gray"),
    Set("natural/cid22/*.png", "photograph", change=gray, title="cid22, gray"),
    Set("natural/bsds500/test/*.jpg", "photograph", change=noisy, title="bsds500/test, noisy"),
    Set(
        "oct/duke_sdoct/val/*/average.tif", "oct", change=gray_in_rgb, title="Duke averages in RGB"
    ),
)
SAMPLE_KINDS = {"oct_frame": "raw-oct", "oct_volume": "oct", "tissue": "brightfield"}


def scans(data: Path, one: Set) -> Iterator[Stack]:
    """Open the files of a set."""
    for path in sorted(data.glob(one.pattern))[one.part[0] :: one.part[1]]:
        yield one.change(open_stack(path))


def row(title: str, right: str, made_on: bool, stacks: Iterable[Stack]) -> list[str] | None:
    """Look at every scan of a set; None if there is none."""
    kinds: Counter[str] = Counter()
    models: Counter[str] = Counter()
    seconds = []
    for stack in stacks:
        stack.read(next(stack.plane_indices()))  # the disk is no part of it
        started = time.perf_counter()
        recognise(stack)
        seconds.append(time.perf_counter() - started)
        choice = choose(stack)
        kinds[choice.kind] += 1
        models[choice.model.card.name] += 1
    if not seconds:
        return None
    others = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common() if kind != right)
    return [
        title + (" *" if made_on else ""),
        str(len(seconds)),
        right,
        f"{100 * kinds[right] / len(seconds):.1f}",
        others,
        ", ".join(f"{name} {n}" for name, n in models.most_common()),
        f"{1000 * np.median(seconds):.0f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/kinds.md")
    arguments = parser.parse_args()
    head = ["set (*: the rule was made on it)", "scans", "kind", "right, %", "else", "auto", "ms"]
    rows = [head]
    for one in SETS:
        title = one.title or one.pattern.rsplit(".", 1)[0].replace("/*", "").rstrip("*")
        if found := row(title, one.right, one.made_on, scans(arguments.data, one)):
            rows.append(found)
    for start, right in SAMPLE_KINDS.items():
        names = [s.name for s in SAMPLES if s.name.startswith(start)]
        stacks = (open_stack(sample_path(name)) for name in names)
        if found := row(f"bundled samples {start}_*", right, True, stacks):
            rows.append(found)
    if arguments.markdown:
        lines = [" | ".join(cells) for cells in (rows[0], ["---"] * len(head), *rows[1:])]
        tell("\n".join(f"| {line} |" for line in lines))
    else:
        tell(table(rows))


if __name__ == "__main__":
    main()
