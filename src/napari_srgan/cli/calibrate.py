"""`napari-srgan calibrate`: up to which score a model's pixels can be trusted, with a guarantee."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.cli.arguments import EXIT_INPUT, EXIT_OK, add_options, chosen, expanded
from napari_srgan.cli.terminal import follow, say, table, tell
from napari_srgan.errors import InputError
from napari_srgan.options import CalibrateOptions

if TYPE_CHECKING:
    from napari_srgan.tasks.calibrate import Calibrated, Check


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "calibrate",
        help="find which pixels of a model's results can be trusted",
        usage="napari-srgan calibrate HR_FOLDER... --model M [--alpha A] [--tolerance T] "
        "[options]\n"
        "       napari-srgan calibrate --check HR_FOLDER... --model M --kind K",
        description="Degrade high-resolution images, restore them, and choose by conformal risk "
        "control up to which score pixels are marked as trusted, such that in new images like "
        "these the expected share of the trusted pixels that are off by more than the tolerance "
        "is at most alpha. The calibration is kept beside your models; 'upscale --trust-mask', "
        "'trust' and 'report' use it.",
    )
    more = parser.add_argument
    more(
        "paths",
        nargs="*",
        type=Path,
        metavar="HR_FOLDER",
        help="folders of high-resolution images that the model was not trained on, or image files",
    )
    add_options(parser, CalibrateOptions)
    more(
        "--choose-on",
        nargs="+",
        type=Path,
        default=[],
        metavar="HR_FOLDER",
        help="choose the score on these images instead of a quarter of the others",
    )
    more(
        "--check",
        nargs="+",
        type=Path,
        default=[],
        metavar="HR_FOLDER",
        help="measure on these images whether the promise holds; without others, that of the "
        "calibration that is kept for --kind",
    )
    more("--keep", type=Path, metavar="FILE", help="where it is kept (default: beside your models)")
    more("--json", action="store_true", help="print one JSON line a result, and no progress")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, check, and print what came of it."""
    options = chosen(arguments, CalibrateOptions)
    paths, choose_on, checked = (
        [Path(path) for path in expanded(given)]
        for given in (arguments.paths, arguments.choose_on, arguments.check)
    )
    if options.model == "auto":
        raise InputError("Name the model that is to be calibrated with --model.")
    if not paths and not checked:
        raise InputError("Name a folder of high-resolution images.")
    from napari_srgan.models.catalogue import find_model, user_folder
    from napari_srgan.tasks.calibrate import calibrate, check, known_calibration
    from napari_srgan.trust.calibration import NAME, keep_calibrations

    quiet = arguments.json
    if paths:
        steps = calibrate(paths, options, choose_on, checked)
        found = follow(steps, "calibrating", "tile", quiet=quiet)
        place = arguments.keep or user_folder() / NAME
        keep_calibrations(place, [found.calibration])
        _tell(found, arguments.json)
        say(f"Kept in {place}")
        calibration, info = found.calibration, find_model(options.model)
    else:
        calibration, info = known_calibration(options)
    if not checked:
        return EXIT_OK
    result = follow(check(calibration, info, checked, options), "checking", "tile", quiet=quiet)
    _tell_check(result, arguments.json)
    return EXIT_INPUT if result.broken else EXIT_OK


def _tell(found: Calibrated, as_json: bool) -> None:
    calibration, without = found.calibration, found.left_out
    if as_json:
        row: dict[str, Any] = asdict(calibration) | {"shares_by_score": dict(found.choice)}
        left = without and {"risk": without.risk, "share": without.share}
        tell(json.dumps(row | {"left_out": left, "kinds": dict(found.kinds)}))
        return
    if found.choice:
        rows = [("score", "could trust")]
        rows += [(name, f"{100 * share:.1f} %") for name, share in found.choice.items()]
        tell(table(rows))
    tell(
        f"{calibration.model}, {calibration.kind}: trusted is what has a {calibration.score} of at "
        f"most {calibration.threshold:.3g} %, {100 * calibration.share:.1f} % of the pixels of "
        f"{calibration.images} images."
    )
    tell(calibration.sentence)
    if len(found.kinds) > 1:
        kinds = ", ".join(f"{count} for {kind}" for kind, count in found.kinds.items())
        tell(f"The images were taken {kinds}; --kind names what the calibration is for.")
    if without is not None:
        tell(
            f"Each image by a calibration without it: {without.sentence} "
            f"{100 * without.share:.1f} % of the pixels are trusted."
        )


def _tell_check(result: Check, as_json: bool) -> None:
    if as_json:
        row = {"check": result.sentence, "broken": result.broken, "risk": result.risk}
        row |= {"share": result.share, "images": len(result.images), "unlike": result.unlike}
        tell(json.dumps(row))
        return
    tell(
        f"{len(result.images)} images kept out, {100 * result.share:.1f} % of their pixels "
        f"trusted, {result.unlike} of them unlike those of the calibration."
    )
    (say if result.broken else tell)(result.sentence)
