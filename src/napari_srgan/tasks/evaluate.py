"""How good a model is on high-resolution images: degraded, restored, and measured beside bicubic.

How one plane is measured is `measure.protocols`; here files become planes, with the model and the
degradation that belong to them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.devices import resolve_device
from napari_srgan.engine.plan import plan
from napari_srgan.engine.run import Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.degradation import BlurNoise, Degradation, degradation
from napari_srgan.image.intensity import Intensity, measure
from napari_srgan.image.sampling import windows
from napari_srgan.image.stack import Stack
from napari_srgan.image.valid import is_value
from napari_srgan.io.atomic import check_place
from napari_srgan.io.open import READABLE_SUFFIXES, is_zarr, open_stack, spare_inputs
from napari_srgan.measure.protocols import (
    Score,
    Summary,
    evaluate_plane,
    evaluate_plane_paper,
    summary,
)
from napari_srgan.models.card import Card
from napari_srgan.models.catalogue import ModelInfo, find_model, model_for
from napari_srgan.options import EvaluateOptions, RestoreOptions
from napari_srgan.tasks.steps import Progress, Work, drain, stage

if TYPE_CHECKING:
    from napari_srgan.measure.features import FeatureMaps

_VGG_LAYERS = ("vgg22", "vgg34", "vgg54")
_RANGES = ("blur", "speckle", "noise")


@dataclass(frozen=True, slots=True)
class FileScore:
    """What was measured on one file: the means over its planes, and how.

    Attributes
    ----------
    name : str
    summary : Summary
        Over its planes.
    model : str
    degradation : dict
        "degradation", and the ranges that it has.
    intensity : Intensity
        What range 1 is.
    """

    name: str
    summary: Summary
    model: str
    degradation: Mapping[str, Any]
    intensity: Intensity


@dataclass(frozen=True, slots=True)
class FileEvaluated:
    """How one file of an evaluation ended: with figures, or with an error that did not stop it."""

    name: str
    score: FileScore | None = None
    error: Exception | None = None


def evaluate_files(
    paths: Sequence[Path],
    options: EvaluateOptions,
    csv: Path | None = None,
    *,
    overwrite: bool = False,
) -> Generator[Progress | FileEvaluated, None, Summary]:
    """Measure all images below folders; an error in one does not stop the others.

    Parameters
    ----------
    paths : sequence of Path
        Folders or files.
    options : EvaluateOptions
    csv : Path, optional
        A table that will be written; its place is checked before any work.
    overwrite : bool
        Whether that table may be replaced.

    Yields
    ------
    Progress
        After every plane of a file; the stage says which file, and which of how many.
    FileEvaluated
        After every file.

    Returns
    -------
    Summary
        Over the files that did not fail, each with the same weight.

    Raises
    ------
    InputError
        If a folder holds no images, or the options cannot be met for any file.
    """
    if csv is not None:
        check_place(csv, overwrite)
    images = find_images(paths)
    spare_inputs([csv], (path for path, _ in images))
    evaluator = Evaluator(options)
    scores: list[FileScore] = []
    for number, (path, name) in enumerate(images):
        try:
            which = f"{name} ({number + 1} of {len(images)})"
            found = yield from stage(which, evaluator.measure(path, name, number))
        except Exception as error:
            yield FileEvaluated(name, error=error)
        else:
            scores.append(found)
            yield FileEvaluated(name, found)
    means = [f.summary.mean for f in scores if f.summary.mean is not None]
    return replace(summary(means), left_out=len(scores) - len(means))


def find_images(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """List files and all images below folders, each with the name that it is told of by.

    Returns
    -------
    list of (path, name)
        In the order given, those of a folder sorted; the name is the path below the folder.

    Raises
    ------
    InputError
        If a folder holds no images.
    """
    found: list[tuple[Path, str]] = []
    for path in paths:
        if not path.is_dir() or is_zarr(path):
            found.append((path, path.name))
            continue
        below = sorted(
            p
            for p in path.rglob("*")
            if p.name.lower().endswith(READABLE_SUFFIXES)
            and not p.name.startswith(".")
            and (p.is_file() or is_zarr(p))
        )
        if not below:
            raise InputError(f"The folder {path} holds no images ({', '.join(READABLE_SUFFIXES)}).")
        found += [(p, p.relative_to(path).as_posix()) for p in below]
    return found


class Evaluator:
    """Measures files in one way; models are loaded once.

    Raises
    ------
    InputError
        If options do not go together, or model, device or weights cannot be used.
    """

    def __init__(self, options: EvaluateOptions) -> None:
        self.options = options
        self._paper = options.protocol == "paper"
        if self._paper:
            if options.degradation not in (None, "bicubic"):
                raise InputError(
                    f"The degradation {options.degradation} has no meaning in the protocol paper, "
                    "which is defined by MATLAB's bicubic; leave it out or use --protocol data."
                )
            if options.intensity is not None or options.transform is not None:
                raise InputError(
                    "The protocol paper takes 8-bit images as they are: leave out --intensity and "
                    "--transform or use --protocol data."
                )
        if options.degradation is not None or self._paper:
            self._operator(None)
        if options.model != "auto":
            self._operator(find_model(options.model).card)
        self._device = resolve_device(options.device)
        self._features = _features(options, self._device)

    def measure(self, path: Path, name: str, number: int) -> Work[FileScore]:
        """Measure every plane of a file.

        Parameters
        ----------
        path : Path
        name : str
            What it is called.
        number : int
            Of the file; seeds what the degradation draws.

        Yields
        ------
        Progress
            After every plane.

        Returns
        -------
        FileScore

        Raises
        ------
        InputError
            If the file cannot be used.
        """
        stack = open_stack(path)
        info = self._model(stack, name)
        card = info.card
        operator = self._operator(card)
        _refuse_invalid(stack, name)
        options = self.options
        if self._paper and stack.dtype != np.uint8:
            raise InputError(
                f"{name} is of the type {stack.dtype}, and the protocol paper is for 8-bit images; "
                "use --protocol data."
            )
        intensity = measure(stack, options.intensity or "auto", options.transform or "none")
        scores: list[Score] = []
        notes: list[str] = []

        def restore(lr: NDArray[np.float32]) -> NDArray[np.float32]:
            return self._restore(lr, info, name, notes)

        planes = list(stack.plane_indices())
        for index, plane in enumerate(planes):
            pixels = as_channels(stack.read(plane), card.channels)
            if self._paper:
                found = evaluate_plane_paper(pixels, card.scale, restore, name, self._features)
            else:
                unit = intensity.to_unit(pixels, stack.channel_of(plane)).clip(0, 1)
                random = np.random.default_rng((number, index))
                found = evaluate_plane(
                    unit, operator, card.scale, restore, random, name, self._features
                )
            scores.append(found)
            yield Progress(index + 1, len(planes), note=" ".join(notes))
            notes.clear()
        return FileScore(name, summary(scores, name), card.name, described(operator), intensity)

    def _restore(
        self, lr: NDArray[np.float32], info: ModelInfo, name: str, notes: list[str]
    ) -> NDArray[np.float32]:
        """Restore a plane in [0, 1] just as `upscale` does, tiles included."""

        def listen(progress: Progress) -> None:
            if progress.note:
                notes.append(progress.note)

        stack = Stack(lr, "YXS" if lr.ndim == 3 else "YX", name)
        options = RestoreOptions(
            model=info.path, device=str(self._device), intensity="0:1", transform="none"
        )
        planned = plan(stack, options)
        steps = Upscaler.of(planned).run(planned)
        return np.asarray(drain(steps, listen).data, dtype=np.float32)

    def _model(self, stack: Stack, name: str) -> ModelInfo:
        if self.options.model == "auto":
            return model_for("auto", stack.is_rgb)
        info = find_model(self.options.model)
        if info.card.channels == 3 and not stack.is_rgb:
            raise InputError(
                f"{name} is grayscale, but the model {info.card.name} takes RGB images; leave "
                "it out or choose a model for grayscale."
            )
        return info

    def _operator(self, card: Card | None) -> Degradation:
        """Return the operator that was asked for, or else that of the card, with its ranges."""
        name, ranges = self.options.degradation, self.options.ranges
        trained: Mapping[str, Any] = {}
        if self._paper:
            name = "bicubic"
        elif card is not None and name in (None, card.degradation):
            name = card.degradation
            trained = {key: card.training[key] for key in _RANGES if key in card.training}
            if name == "measured":
                raise InputError(
                    f"The model {card.name} was trained on measured pairs, so it has no "
                    "degradation of its own; choose one with --degradation."
                )
        operator = degradation(name or "bicubic", **{**trained, **ranges})
        if ranges and not isinstance(operator, BlurNoise):
            raise InputError(
                f"The degradation {operator.name} has no {', '.join(ranges)}; those belong to "
                "--degradation blur-noise."
            )
        return operator


def described(operator: Degradation) -> dict[str, Any]:
    """Return an operator's name, and the ranges that it has."""
    ranges = {key: list(getattr(operator, key)) for key in _RANGES if hasattr(operator, key)}
    return {"degradation": operator.name, **ranges}


def _features(options: EvaluateOptions, device: Any) -> tuple[FeatureMaps, ...]:
    """Load the networks by whose features distances are measured."""
    from napari_srgan.models.lpips import wanted_lpips

    lpips = wanted_lpips(options.lpips, options.lpips_weights)
    return (*_vgg(options.vgg_weights, device), *(network.to(device) for network in lpips))


def _vgg(weights: Path | None, device: Any) -> tuple[FeatureMaps, ...]:
    if weights is None:
        return ()
    from napari_srgan.models.vgg import load_vgg, reach, read_vgg

    if not weights.is_file():
        raise InputError(f"There is no file {weights} with the weights of VGG19.")
    # A file that reaches none of them is refused by the first, with the reason.
    reached = reach(read_vgg(weights))
    layers = [layer for layer in _VGG_LAYERS if layer in reached] or _VGG_LAYERS[:1]
    return tuple(load_vgg(layer, weights).to(device) for layer in layers)


def _refuse_invalid(stack: Stack, name: str) -> None:
    """Refuse a file with NaN before any of it is restored."""
    if stack.dtype.kind != "f":
        return
    for index, _, block in windows(stack):
        if not is_value(block).all():
            at = ", ".join(f"{a}={i}" for a, i in zip(stack.plane_axes, index, strict=True))
            raise InputError(
                f"{name} holds NaN or infinite values{f' in slice {at}' if at else ''}, against "
                "which nothing can be measured; fill or crop them first."
            )
