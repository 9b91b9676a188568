"""Self-test: a stack degraded by a named operator and restored, to be put beside the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.plan import plan
from napari_srgan.engine.run import Result, Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.degradation import Degradation, degradation
from napari_srgan.image.intensity import measure
from napari_srgan.image.stack import Region, Stack
from napari_srgan.measure.grid import refuse_invalid_plane
from napari_srgan.measure.protocols import cropped, degraded_plane
from napari_srgan.models.card import Card
from napari_srgan.models.catalogue import ModelInfo
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.steps import Progress, Work

OPTIMISTIC = "Optimistic: same degradation as in training"
_RANGES = ("blur", "speckle", "noise")
_SEED = 0


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """What came of a self-test.

    Attributes
    ----------
    low, target : ndarray
        In the dtype and order of axes of the original; the target is what the model should have
        made, which differs from the original where the operator samples between its pixels.
    moved : bool
        Whether it differs, in place or in size.
    result : Result
        Of the engine.
    heading : str
        What the figures stand under.
    """

    low: NDArray[Any]
    target: NDArray[Any]
    moved: bool
    result: Result
    heading: str


def operator_for(card: Card, name: str | None) -> Degradation:
    """Return the operator of that name, with the ranges of the training if it is the training's.

    Parameters
    ----------
    card : Card
        Of the model.
    name : str or None
        None: the one that the model was trained to undo.

    Raises
    ------
    InputError
        If the model was trained on measured pairs and none is named.
    """
    if name in (None, card.degradation):
        if card.degradation == "measured":
            raise InputError(
                f"The model {card.name} was trained on measured pairs, so it has no degradation "
                "of its own; choose one."
            )
        trained = {key: card.training[key] for key in _RANGES if key in card.training}
        return degradation(card.degradation, **trained)
    return degradation(str(name))


def heading_for(card: Card, name: str) -> str:
    """Say what the figures of a self-test stand under."""
    if name == card.degradation:
        return f"{OPTIMISTIC} ({name})."
    measured = card.degradation == "measured"
    trained = "on measured pairs" if measured else f"with {card.degradation}"
    return (
        f"Self-test: degraded by {name}, the model was trained {trained}; no instrument has made "
        "this input."
    )


def self_test(
    stack: Stack,
    model: ModelInfo,
    operator: str | None = None,
    region: Region | None = None,
) -> Work[SelfTestResult]:
    """Degrade planes and restore them.

    Parameters
    ----------
    stack : Stack
        The original.
    model : ModelInfo
    operator : str, optional
        Name of the degradation; without, the one that the model was trained to undo.
    region : mapping, optional
        Which planes; ranges along Y and X are not looked at.

    Yields
    ------
    Progress
        After every tile.

    Returns
    -------
    SelfTestResult

    Raises
    ------
    InputError
        If the stack is too small or does not fit the model, or holds NaN.
    """
    yield Progress(0, 1)
    card = model.card
    made_by = operator_for(card, operator)
    low, target = degraded(stack, region or {}, made_by, card)
    yield Progress(0, 1)
    options = RestoreOptions(model=model.path, transform="none")
    planned = plan(Stack(low, axes=stack.axes, name=stack.name), options)
    result = yield from Upscaler.of(planned).run(planned)
    whole = {a: hi - lo for a, (lo, hi) in (region or {}).items() if a not in "YX"}
    # Alpha is no part of it.
    shape = tuple(3 if a == "S" else whole.get(a, n) for a, n in stack.sizes.items())
    moved = made_by.name in ("decimate", "blur-noise") or target.shape != shape
    return SelfTestResult(low, target, moved, result, heading_for(card, made_by.name))


def degraded(
    stack: Stack, region: Region, operator: Degradation, card: Card
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Degrade planes, and give what a model should make of them.

    Parameters
    ----------
    stack : Stack
        Of as many samples as the model takes.
    region : mapping
        Which planes; ranges along Y and X are not looked at.
    operator : Degradation
    card : Card
        Of the model.

    Returns
    -------
    low, target : ndarray
        In the dtype and order of axes of the stack, alpha left out.

    Raises
    ------
    InputError
        If the stack is too small or does not fit the model, or holds NaN.
    """
    if stack.is_rgb != (card.channels == 3):
        kinds = ("RGB", "gray") if stack.is_rgb else ("gray", "RGB")
        raise InputError(
            f"{stack.name} is {kinds[0]} and the model {card.name} for {kinds[1]} images; choose "
            "another model."
        )
    # The whole range, not percentiles: what is beyond would be cut from the LR image.
    intensity = measure(stack, "auto" if stack.dtype == np.uint8 else "minmax")
    whole = {a: region.get(a, (0, n)) for a, n in stack.sizes.items() if a not in "YXS"}
    lows: list[NDArray[Any]] = []
    targets: list[NDArray[Any]] = []
    for number, index in enumerate(stack.plane_indices(whole)):
        pixels = stack.read(index)
        refuse_invalid_plane(pixels, stack, index)
        channel = stack.channel_of(index)
        pixels = cropped(as_channels(pixels, card.channels), card.scale, stack.name)
        unit = intensity.to_unit(pixels, channel).clip(0, 1)
        random = np.random.default_rng((_SEED, number))
        pair = degraded_plane(unit, operator, card.scale, random)
        for kept, image in zip((lows, targets), pair, strict=True):
            kept.append(intensity.from_unit(image, stack.dtype, channel))
    lengths = [hi - lo for lo, hi in whole.values()]
    names = "".join(a for a in stack.axes if a not in "YXS") + ("YXS" if stack.is_rgb else "YX")
    order = [names.index(a) for a in stack.axes]
    low, target = (
        np.stack(images).reshape(*lengths, *images[0].shape).transpose(order)
        for images in (lows, targets)
    )
    return low, target
