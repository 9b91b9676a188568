"""Calibrating a model: degrade images whose truth is known, restore them, choose a threshold.

The statistics are `trust.conformal`; here files become tallies. The score is chosen on a quarter of
the images and the threshold on the others, so that the guarantee stands whichever score it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from napari_srgan import __version__
from napari_srgan.engine.plan import plan
from napari_srgan.engine.run import Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.kind import recognise
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack
from napari_srgan.models.catalogue import ModelInfo, find_model, load_model
from napari_srgan.options import CalibrateOptions, MapOptions, RestoreOptions
from napari_srgan.tasks.evaluate import find_images
from napari_srgan.tasks.self_test import degraded, operator_for
from napari_srgan.tasks.steps import Progress, Work, stage
from napari_srgan.tasks.trust_maps import MapRequest, TrustMaps
from napari_srgan.trust.calibration import Calibration, calibration_for, typical
from napari_srgan.trust.conformal import (
    THRESHOLDS,
    Tally,
    chance,
    chosen,
    fewest,
    left_out,
    promising,
    tally,
)
from napari_srgan.trust.consistency import comparable
from napari_srgan.trust.invention import has_invention
from napari_srgan.trust.scores import SCORES

RARE = 0.05
"""A mean risk above alpha that by chance would come up less often than this breaks the promise."""
WORTH = 0.02
"""Share of the pixels that a dearer score must trust beyond a cheaper one: a spread takes up to 8
more restorations of every image, whenever its mask is made."""
_SEED = 0


@dataclass(frozen=True, slots=True)
class Check:
    """What a calibration's promise was worth on images that it was not made on.

    Attributes
    ----------
    images : tuple of str
    risks, shares : tuple of float
        Of each image: the share of the trusted pixels that are off by more than the tolerance, and
        the share of the pixels that are trusted.
    alpha : float
        What the mean risk was promised not to exceed.
    unlike : int
        Of how many images it was said that they are unlike those of the calibration.
    """

    images: tuple[str, ...]
    risks: tuple[float, ...]
    shares: tuple[float, ...]
    alpha: float
    unlike: int = 0

    @property
    def risk(self) -> float:
        """The mean over the images."""
        return float(np.mean(self.risks))

    @property
    def share(self) -> float:
        """The mean over the images."""
        return float(np.mean(self.shares))

    @property
    def broken(self) -> bool:
        """Whether the mean risk is above alpha, and by more than chance explains."""
        return self.risk > self.alpha and chance(self.risks, self.alpha) < RARE

    @property
    def sentence(self) -> str:
        """Say what came of it."""
        found = (
            f"{100 * self.risk:.2g} % of the trusted pixels are off, promised were at most "
            f"{100 * self.alpha:.3g} %"
        )
        if self.broken:
            return (
                f"The promise does not hold for these images: {found}. They are not like those "
                "of the calibration; calibrate on images like these."
            )
        if self.risk > self.alpha:
            return f"{found}, which so few images can come to by chance; check more of them."
        return f"The promise holds: {found}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What came of a calibration.

    Attributes
    ----------
    calibration : Calibration
    choice : mapping of score to float
        The share that each could trust on the images it was chosen by; empty where it was given.
    left_out : Check or None
        Each image by a calibration without it; None where they are too few to do without one.
    kinds : mapping of kind to int
        What the images were taken for.
    """

    calibration: Calibration
    choice: Mapping[str, float]
    left_out: Check | None
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unit:
    """What counts as one: an image, or all that belong together."""

    name: str
    paths: tuple[Path, ...]


def calibrate(
    paths: Sequence[Path],
    options: CalibrateOptions,
    choose_on: Sequence[Path] = (),
    check_on: Sequence[Path] = (),
) -> Work[Calibrated]:
    """Choose the score and the threshold by which pixels of a model's results are trusted.

    Parameters
    ----------
    paths : sequence of Path
        Folders of high-resolution images, or such images.
    options : CalibrateOptions
    choose_on : sequence of Path
        Other images to choose the score on; without, a quarter of the images.
    check_on : sequence of Path
        What `check` is to get afterwards, so that none of it is used here.

    Yields
    ------
    Progress
        After every plane; the stage says of which image.

    Returns
    -------
    Calibrated

    Raises
    ------
    InputError
        If the images are too few for alpha, do not fit the model or cannot be read, one of them is
        to be used twice, the model has no degradation of its own, or nothing can be trusted.
    """
    info = find_model(options.model)
    names = _scores_of(info) if options.score == "auto" else (options.score,)
    units = units_of(paths, options.by_folder)
    chooses: list[Unit] = []
    if len(names) > 1 and choose_on:
        chooses = units_of(choose_on, options.by_folder)
    elif len(names) > 1:
        order = np.random.default_rng(_SEED).permutation(len(units))
        chooses = [units[i] for i in sorted(order[: -(-len(units) // 4)])]
        units = [unit for unit in units if unit not in chooses]
    _refuse_few(len(units), options.alpha, bool(chooses) and not choose_on)
    checks = units_of(check_on, options.by_folder)
    _refuse_twice({"choose the score": chooses, "calibrate": units, "check": checks})
    kinds: Counter[str] = Counter()
    counted = _tallied(info, chooses, names, options, Counter())
    by_score = yield from stage("choosing the score", counted)
    choice = {name: promising(by_score[name], options.alpha) for name in names if chooses}
    most = max(choice.values(), default=0.0)
    best = next(name for name in names if choice.get(name, 0.0) >= most - WORTH)
    tallies = (yield from _tallied(info, units, (best,), options, kinds))[best]
    at = chosen(tallies, options.alpha)
    if at is None or not any(t.trusted[at] for t in tallies):
        raise InputError(
            f"No pixels of these {len(units)} images can be trusted to {options.tolerance:g} % of "
            f"the range at alpha {options.alpha:g}; allow more with --tolerance or --alpha."
        )
    calibration = Calibration(
        model=info.card.name,
        sha256=load_model(info.path).sha256,
        kind=kinds.most_common(1)[0][0] if options.kind == "auto" else options.kind,
        score=best,
        threshold=float(THRESHOLDS[at]),
        alpha=options.alpha,
        tolerance=options.tolerance,
        images=len(units),
        share=float(np.mean([t.shares[at] for t in tallies])),
        typical=typical(tallies),
        degradation=info.card.degradation,
        date=datetime.now(UTC).date().isoformat(),
        tool_version=__version__,
    )
    without = None
    if len(units) > fewest(options.alpha):
        risks, shares = zip(*left_out(tallies, options.alpha), strict=True)
        without = Check(tuple(u.name for u in units), risks, shares, options.alpha)
    return Calibrated(calibration=calibration, choice=choice, left_out=without, kinds=kinds)


def check(
    calibration: Calibration, model: ModelInfo, paths: Sequence[Path], options: CalibrateOptions
) -> Work[Check]:
    """Measure what a calibration promises on other images whose truth is known.

    Parameters
    ----------
    calibration : Calibration
    model : ModelInfo
    paths : sequence of Path
        Folders of high-resolution images, or such images.
    options : CalibrateOptions
        Its alpha, tolerance and score are those of the calibration.

    Yields
    ------
    Progress

    Returns
    -------
    Check

    Raises
    ------
    InputError
        If the images cannot be used.
    """
    units = units_of(paths, options.by_folder)
    options = replace(options, tolerance=calibration.tolerance)
    counted = _tallied(model, units, (calibration.score,), options, Counter())
    tallies = (yield from counted)[calibration.score]
    at = int(np.searchsorted(THRESHOLDS, calibration.threshold * (1 - 1e-9)))
    return Check(
        tuple(unit.name for unit in units),
        tuple(float(t.risks[at]) for t in tallies),
        tuple(float(t.shares[at]) for t in tallies),
        calibration.alpha,
        sum(bool(calibration.unlike(t)) for t in tallies),
    )


def known_calibration(options: CalibrateOptions) -> tuple[Calibration, ModelInfo]:
    """Find the calibration that is kept for a model and a kind of image.

    Raises
    ------
    InputError
        If there is none, or no kind is named.
    """
    info = find_model(options.model)
    if options.kind == "auto":
        raise InputError("Say with --kind which calibration is to be checked.")
    return calibration_for(info.card.name, load_model(info.path).sha256, options.kind), info


def units_of(paths: Sequence[Path], by_folder: bool) -> list[Unit]:
    """Sort images into what counts as one.

    Raises
    ------
    InputError
        If a folder holds no images.
    """
    images = find_images(paths)
    if not by_folder:
        return [Unit(name, (path,)) for path, name in images]
    together: dict[Path, list[Path]] = {}
    for path, _ in images:
        together.setdefault(path.parent, []).append(path)
    return [Unit(folder.name, tuple(found)) for folder, found in together.items()]


def _scores_of(info: ModelInfo) -> tuple[str, ...]:
    """Return the scores that there are for a model."""
    return tuple(s for s in SCORES if s != "invention" or has_invention(info.card))


def _refuse_few(count: int, alpha: float, quarter: bool) -> None:
    least = fewest(alpha)
    if count >= least:
        return
    apart = " beside the quarter that the score is chosen on" if quarter else ""
    instead = f"give --alpha {1 / (count + 1) + 0.0005:.3f} or more, or " if count else ""
    raise InputError(
        f"{count} images are too few for alpha {alpha:g}, which needs {least}{apart}: {instead}add "
        "images."
    )


def _refuse_twice(uses: Mapping[str, Sequence[Unit]]) -> None:
    """Refuse an image, or a copy of it, that is to be used for two things."""
    seen: dict[str, tuple[str, Path]] = {}
    for use, units in uses.items():
        for path in (path for unit in units for path in unit.paths):
            former, same = seen.setdefault(_content(path), (use, path))
            if former != use:
                copy = "" if same.resolve() == path.resolve() else f" (the same as {same})"
                raise InputError(
                    f"{path}{copy} would be used both to {former} and to {use}, so nothing would "
                    "be shown by it; leave it out of one of them."
                )


def _content(path: Path) -> str:
    """Tell a file by its bytes, and what is no file by where it is."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # a Zarr folder; what is not there at all is told when it is read
        return str(path.resolve())


def _tallied(
    info: ModelInfo,
    units: Sequence[Unit],
    names: Sequence[str],
    options: CalibrateOptions,
    kinds: Counter[str],
) -> Work[dict[str, list[Tally]]]:
    """Count the pixels of all units by each score, and what the images are taken for."""
    found: dict[str, list[Tally]] = {name: [] for name in names}
    for number, unit in enumerate(units):
        own: dict[str, Tally] = {}
        taken: Counter[str] = Counter()
        for path in unit.paths:
            planes = _planes(path, info, names, options, taken)
            which = f"{unit.name} ({number + 1} of {len(units)})"
            for step in planes:
                if isinstance(step, Progress):
                    yield replace(step, stage=which)
                else:
                    name, counts = step
                    own[name] = own[name] + counts if name in own else counts
        for name in names:
            found[name].append(own[name])
        kinds[taken.most_common(1)[0][0]] += 1
    return found


def _planes(
    path: Path,
    info: ModelInfo,
    names: Sequence[str],
    options: CalibrateOptions,
    taken: Counter[str],
) -> Iterator[Progress | tuple[str, Tally]]:
    """Degrade and restore a file just as `upscale` would, and count the pixels of its planes."""
    card = info.card
    stack = open_stack(path)
    if stack.is_rgb and card.channels == 1:
        stack = _luma(stack)
    low, target = degraded(stack, {}, operator_for(card, None), card)
    small = Stack(low, axes=stack.axes, name=stack.name)
    taken[recognise(small).kind] += 1
    restore = RestoreOptions(
        model=info.path, device=options.device, precision="float32", transform="none"
    )
    planned = plan(small, restore)
    result = yield from Upscaler.of(planned).run(planned)
    made = Stack(result.data, axes=result.axes, name=stack.name)
    maps = TrustMaps(
        MapRequest(
            stack=small, restore=restore, options=MapOptions(), result=made, scores=tuple(names)
        )
    )
    true = Stack(target, axes=stack.axes, name=stack.name)
    for index in small.plane_indices():
        channel = small.channel_of(index)
        first, span = comparable(made.read(index), maps.intensity, channel)
        second, _ = comparable(true.read(index), maps.intensity, channel)
        off = np.abs(first - second) * (100 / span)
        off = off.max(axis=2) if off.ndim == 3 else off
        for name in names:
            score = yield from maps.score(name, index)
            yield name, tally(score, off, options.tolerance)


def _luma(stack: Stack) -> Stack:
    """Turn RGB to gray for a gray model, as evaluations do."""
    planes = [as_channels(stack.read(index), 1) for index in stack.plane_indices()]
    axes = stack.plane_axes + "YX"
    shape = *stack.plane_shape, stack.height, stack.width
    return Stack(np.stack(planes).reshape(shape), axes, name=stack.name)
