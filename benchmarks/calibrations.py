"""Calibrate the bundled models on their validation sets, and check what that promises.

    python benchmarks/calibrations.py SETS [--models NAME ...] [--score S] [--shift] [--write]

SETS is what `scripts/lay_out_scans.py` made. Each row: the score that pixels are trusted by, chosen
on images that were trained on; how many pixels are trusted; and how many of these are off where
every image is left out of its own calibration in turn. With --shift the same calibration is also
checked on the images with noise added, which it must be found to be wrong for. With --write the
calibrations go into the package (`weights/calibration.json`).

What counts as one is a photograph, an eye or a person, and a field of neighbouring tiles, not a
file. So few are there of some kinds that alpha has to be greater than 0.1: n of them allow
1 / (n + 1).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from skimage.io import imread, imsave

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from lay_out_scans import abutting

from napari_srgan.models.catalogue import WEIGHTS, ModelInfo, list_models
from napari_srgan.options import CalibrateOptions
from napari_srgan.tasks.calibrate import Check, calibrate, check
from napari_srgan.tasks.steps import drain
from napari_srgan.trust.calibration import NAME, Calibration, keep_calibrations

TOLERANCE = 5.0
CHOOSE_ON = 4  # images
NOISE = 0.08  # standard deviation, range 1


@dataclass(frozen=True)
class Images:
    """Images of a kind: what the score is chosen on, what the threshold, and what may be promised.

    Attributes
    ----------
    choose_on : str
        Folder of images that were trained on.
    folders : tuple of str
        Of validation.
    alpha : float
    together : {"file", "field", "eye"}
        What counts as one: a file, neighbouring tiles, or files of the same name up to the first
        underscore.
    """

    choose_on: str
    folders: tuple[str, ...]
    alpha: float
    together: str = "file"


SETS: Mapping[int, Mapping[str, Images]] = {
    1: {
        "fluorescence": Images("gray/microscopy", ("val/fluorescence",), 0.1, "field"),
        "photograph": Images("gray/photographs", ("val/photographs",), 0.1),
        "oct": Images(
            "gray/oct-resized",
            ("val/oct-averages", "val/spectralis", "val/spectralis-averages"),
            0.25,
            "eye",
        ),
    },
    3: {
        "brightfield": Images("rgb/tissue", ("val/tissue",), 0.2, "field"),
        "photograph": Images("rgb/photographs", ("val/photographs",), 0.1),
    },
}


def groups(sets: Path, images: Images) -> list[list[Path]]:
    """Sort the validation files into what counts as one."""
    files = [path for name in images.folders for path in sorted((sets / name).iterdir())]
    if images.together == "field":
        return abutting(files)
    if images.together == "file":
        return [[path] for path in files]
    by_eye: dict[str, list[Path]] = {}
    for path in files:
        by_eye.setdefault(path.stem.split("_")[0], []).append(path)
    return list(by_eye.values())


@contextmanager
def laid_out(found: Sequence[Sequence[Path]], noise: float = 0.0) -> Iterator[Path]:
    """Give each group a folder of its own, for a while; with noise added if that is wanted."""
    random = np.random.default_rng(0)
    with TemporaryDirectory() as place:
        for number, group in enumerate(found):
            folder = Path(place) / f"{number:03}"
            folder.mkdir()
            for path in group:
                if not noise:
                    (folder / path.name).symlink_to(path.resolve())
                    continue
                image = imread(path).astype(float)
                image += 255 * noise * random.normal(size=image.shape)
                pixels = image.clip(0, 255).round().astype(np.uint8)
                imsave(folder / f"{path.stem}.png", pixels, check_contrast=False)
        yield Path(place)


def calibrated(
    info: ModelInfo, kind: str, sets: Path, score: str, shift: bool
) -> tuple[Calibration, str]:
    """Calibrate a model for a kind of image; the row of the table too."""
    images = SETS[info.card.channels][kind]
    options = CalibrateOptions(
        model=info.path,
        alpha=images.alpha,
        tolerance=TOLERANCE,
        kind=kind,
        score=score,
        by_folder=True,
    )
    first = sorted((sets / images.choose_on).iterdir())
    chosen_on = [[path] for path in islice(first, 0, None, max(1, len(first) // CHOOSE_ON))]
    found = groups(sets, images)
    with laid_out(found) as units, laid_out(chosen_on[:CHOOSE_ON]) as others:
        made = drain(calibrate([units], options, [others]))
    calibration = made.calibration
    left = "too few" if made.left_out is None else _risk(made.left_out)
    cells = [
        f"`{info.card.name}`",
        kind,
        f"{calibration.images}",
        f"{calibration.alpha:g}",
        ", ".join(f"{name} {100 * share:.0f}" for name, share in made.choice.items())
        or "not measured",
        f"{calibration.score} {calibration.threshold:.3g}",
        f"{100 * calibration.share:.1f}",
        left,
    ]
    if shift:
        with laid_out(found, NOISE) as units:
            shifted = drain(check(calibration, info, [units], options))
        verdict = "broken" if shifted.broken else "not told"
        unlike = f"{shifted.unlike} of {len(shifted.images)} named unlike"
        cells.append(f"{_risk(shifted)}: {verdict}, {unlike}")
    return calibration, "| " + " | ".join(cells) + " |"


def _risk(result: Check) -> str:
    return f"{100 * result.risk:.1f} of {100 * result.share:.1f}"


def main() -> None:
    """Calibrate, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--models", nargs="+", help="names; all bundled ones without")
    parser.add_argument("--score", default="auto", help="do not choose one, but take this")
    parser.add_argument("--shift", action="store_true", help="also check with noise added")
    parser.add_argument("--write", action="store_true", help="put them into the package")
    given = parser.parse_args()
    bundled = [info for info in list_models() if info.bundled]
    if unknown := set(given.models or ()) - {info.card.name for info in bundled}:
        parser.error(f"not bundled: {', '.join(sorted(unknown))}")
    head = ["model", "kind", "images", "alpha", "each score could trust, %", "trusted: at most, %"]
    head += ["trusted, %", "left out: off of trusted, %", *(["noise added"] * given.shift)]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    for info in bundled:
        if given.models and info.card.name not in given.models:
            continue
        if info.card.degradation == "measured" or info.card.scale != (4, 4):
            continue  # their truth is measured too, and of too few eyes
        for kind in SETS[info.card.channels]:
            calibration, row = calibrated(info, kind, given.sets, given.score, given.shift)
            print(row, flush=True)
            if given.write:
                keep_calibrations(WEIGHTS / NAME, [calibration])


if __name__ == "__main__":
    main()
