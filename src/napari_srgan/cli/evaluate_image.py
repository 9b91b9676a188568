"""From a high-resolution file to its figures: planes, model and degradation that belong to it.

Mistakes in the request are found when an `Evaluator` is made, those in a file when it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.devices import resolve_device
from napari_srgan.engine.upscaler import Job, Progress, Upscaler, finish, plan
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.degradation import BlurNoise, Degradation, degradation
from napari_srgan.image.intensity import Intensity, measure
from napari_srgan.image.sampling import windows
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack
from napari_srgan.measure.protocols import (
    Restore,
    Summary,
    evaluate_plane,
    evaluate_plane_paper,
    summary,
)
from napari_srgan.models.catalogue import Card, find_model, load_model, model_for

if TYPE_CHECKING:
    from napari_srgan.models.vgg import VGGFeatures

_VGG_LAYERS = ("vgg22", "vgg34", "vgg54")
_RANGES = ("blur", "speckle", "noise")

OnStep = Callable[[int, int, Progress], object]
"""Called after every tile with the plane's number, how many there are, and the progress in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How to measure, the same for every file; None is what model or protocol ask for.

    Attributes
    ----------
    model, protocol, degradation, intensity, transform, device : str
        As on the command line.
    ranges : mapping
        "blur", "speckle" and "noise" of `degradation.BlurNoise`, as far as they are given.
    vgg_weights : Path or None
    """

    model: str = "auto"
    protocol: str = "data"
    degradation: str | None = None
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    intensity: str | None = None
    transform: str | None = None
    device: str = "auto"
    vgg_weights: Path | None = None


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


class Evaluator:
    """Measures files in one way; models are loaded once.

    Raises
    ------
    InputError
        If parts of the request do not go together, or model, device or weights cannot be used.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        if request.protocol == "paper":
            if request.degradation not in (None, "bicubic"):
                raise InputError(
                    f"The degradation {request.degradation} has no meaning in the protocol paper, "
                    "which is defined by MATLAB's bicubic; leave it out or use --protocol data."
                )
            if request.intensity is not None or request.transform is not None:
                raise InputError(
                    "The protocol paper takes 8-bit images as they are: leave out --intensity and "
                    "--transform or use --protocol data."
                )
        if request.degradation is not None or request.protocol == "paper":
            self._operator(None)
        if request.model != "auto":
            self._operator(find_model(request.model).card)
        self._device = resolve_device(request.device)
        self._upscalers: dict[bool, Upscaler] = {}
        self._vgg = _load_vgg(request.vgg_weights, self._device)

    def measure(self, path: Path, name: str, number: int, on_step: OnStep) -> FileScore:
        """Measure every plane of a file.

        Parameters
        ----------
        path : Path
        name : str
            What it is called.
        number : int
            Of the file; seeds what the degradation draws.
        on_step : callable
            Told of every tile.

        Raises
        ------
        InputError
            If the file cannot be used.
        """
        stack = open_stack(path)
        upscaler = self._upscaler(stack, name)
        card = upscaler.model.card
        operator = self._operator(card)
        _refuse_invalid(stack, name)
        request, is_paper = self.request, self.request.protocol == "paper"
        if is_paper and stack.dtype != np.uint8:
            raise InputError(
                f"{name} is of the type {stack.dtype}, and the protocol paper is for 8-bit images; "
                "use --protocol data."
            )
        intensity = measure(stack, request.intensity or "auto", request.transform or "none")
        scores = []
        planes = list(stack.plane_indices())
        for index, plane in enumerate(planes):
            pixels = as_channels(stack.read(plane), card.channels)
            restore = engine(upscaler, name, partial(on_step, index, len(planes)))
            if is_paper:
                scores.append(evaluate_plane_paper(pixels, card.scale, restore, name, self._vgg))
                continue
            unit = intensity.to_unit(pixels, stack.channel_of(plane)).clip(0, 1)
            random = np.random.default_rng((number, index))
            scores.append(
                evaluate_plane(unit, operator, card.scale, restore, random, name, self._vgg)
            )
        return FileScore(name, summary(scores, name), card.name, described(operator), intensity)

    def _upscaler(self, stack: Stack, name: str) -> Upscaler:
        if self.request.model == "auto":
            info = model_for("auto", stack.is_rgb)
        else:
            info = find_model(self.request.model)
            if info.card.channels == 3 and not stack.is_rgb:
                raise InputError(
                    f"{name} is grayscale, but the model {info.card.name} takes RGB images; leave "
                    "it out or choose a model for grayscale."
                )
        if stack.is_rgb not in self._upscalers:
            self._upscalers[stack.is_rgb] = Upscaler(load_model(info.path), str(self._device))
        return self._upscalers[stack.is_rgb]

    def _operator(self, card: Card | None) -> Degradation:
        """Return the operator that was asked for, or else that of the card, with its ranges."""
        name = self.request.degradation
        trained: Mapping[str, Any] = {}
        if self.request.protocol == "paper":
            name = "bicubic"
        elif card is not None and name in (None, card.degradation):
            name = card.degradation
            trained = {key: card.training[key] for key in _RANGES if key in card.training}
            if name == "measured":
                raise InputError(
                    f"The model {card.name} was trained on measured pairs, so it has no "
                    "degradation of its own; choose one with --degradation."
                )
        operator = degradation(name or "bicubic", **{**trained, **self.request.ranges})
        if self.request.ranges and not isinstance(operator, BlurNoise):
            raise InputError(
                f"The degradation {operator.name} has no {', '.join(self.request.ranges)}; those "
                "belong to --degradation blur-noise."
            )
        return operator


def engine(upscaler: Upscaler, name: str, on_step: Callable[[Progress], object]) -> Restore:
    """Return a function that restores planes in [0, 1] just as `upscale` does, tiles included."""

    def restore(lr: NDArray[np.float32]) -> NDArray[np.float32]:
        stack = Stack(lr, "YXS" if lr.ndim == 3 else "YX", name)
        planned = plan(
            stack,
            Job(model=upscaler.model.path, device=str(upscaler.device), intensity="0:1"),
        )
        return np.asarray(finish(upscaler.run(planned), on_step).data, dtype=np.float32)

    return restore


def described(operator: Degradation) -> dict[str, Any]:
    """Return an operator's name, and the ranges that it has."""
    ranges = {key: list(getattr(operator, key)) for key in _RANGES if hasattr(operator, key)}
    return {"degradation": operator.name, **ranges}


def _load_vgg(weights: Path | None, device: Any) -> tuple[VGGFeatures, ...]:
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
        if not np.isfinite(block).all():
            at = ", ".join(f"{a}={i}" for a, i in zip(stack.plane_axes, index, strict=True))
            raise InputError(
                f"{name} holds NaN or infinite values{f' in slice {at}' if at else ''}, against "
                "which nothing can be measured; fill or crop them first."
            )
