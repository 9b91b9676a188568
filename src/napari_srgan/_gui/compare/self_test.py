"""Self-test: a layer degraded 4x by a named operator, restored, and put beside the original.

What belongs here: the work, as a generator for a thread, and the layers that it makes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.layers import layer_axes, layer_stack
from napari_srgan._gui.result_layer import (
    add_result,
    in_layer_order,
    layer_arguments,
    linear_matrix,
    placement,
    result_name,
    unique_name,
)
from napari_srgan._gui.worker import Engines
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.degradation import Degradation, degradation
from napari_srgan.image.geometry import factors, scale_text
from napari_srgan.image.intensity import measure
from napari_srgan.models.catalogue import Card, ModelInfo

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.image.stack import Stack

SELF_TEST_KEY = "napari_srgan_self_test"
"""Metadata of a result of a self-test: the heading that its figures stand under."""
OPTIMISTIC = "Optimistic: same degradation as in training"
TARGET_KEY = "napari_srgan_target"
"""Metadata of the reference that a self-test made: the id of the layer that was tested."""
_RANGES = ("blur", "speckle", "noise")
_SEED = 0


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes
    ----------
    layer : Image
        The original.
    region : mapping of letter to (start, stop)
        Which planes; ranges along Y and X are not looked at.
    model : ModelInfo
    operator : str or None
        Name of the degradation; None: the one that the model was trained to undo.
    """

    layer: Image
    region: Mapping[str, tuple[int, int]]
    model: ModelInfo
    operator: str | None


@dataclass(frozen=True)
class Tried:
    """What came of it.

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
    """

    low: np.ndarray
    target: np.ndarray
    moved: bool
    result: Any
    heading: str


def operator_for(card: Card, name: str | None) -> Degradation:
    """The operator of that name, with the ranges of the training if it is the training's.

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
    """What the figures of a self-test stand under."""
    if name == card.degradation:
        return f"{OPTIMISTIC} ({name})."
    measured = card.degradation == "measured"
    trained = "on measured pairs" if measured else f"with {card.degradation}"
    return (
        f"Self-test: degraded by {name}, the model was trained {trained}; no instrument has made "
        "this input."
    )


def run_trial(trial: Trial, engines: Engines) -> Generator[tuple[int, int], None, Tried]:
    """Degrade the planes, restore them; for a thread.

    Yields
    ------
    tuple of int
        Tiles done and to do.

    Returns
    -------
    Tried

    Raises
    ------
    InputError
        If the layer is too small or does not fit the model, or holds NaN.
    """
    from napari_srgan.engine.upscaler import Job, plan
    from napari_srgan.image.stack import Stack

    yield 0, 1
    stack, card = layer_stack(trial.layer), trial.model.card
    operator = operator_for(card, trial.operator)
    low, target = _degraded(stack, trial.region, operator, card)
    yield 0, 1
    small = Stack(low, axes=stack.axes, name=stack.name)
    planned = plan(small, Job(model=trial.model.path))
    run = engines.get(planned.model, "auto", "auto").run(planned)
    try:
        while True:
            try:
                step = next(run)
            except StopIteration as end:
                result = end.value
                break
            yield step.done, step.total
    finally:
        run.close()
    moved = operator.name in ("decimate", "blur-noise") or target.shape != _shape(stack, trial)
    return Tried(low, target, moved, result, heading_for(card, operator.name))


def show_trial(viewer: napari.Viewer, trial: Trial, tried: Tried) -> tuple[Image, Image, Image]:
    """Add what was tried as layers, and return reference, result and LR layer."""
    layer, scale = trial.layer, trial.model.card.scale
    axes = layer_axes(layer).replace("S", "")
    lengths = dict(zip(axes, tried.target.shape, strict=False))
    region = dict(trial.region) | {a: (0, lengths[a]) for a in "YX"}
    name = unique_name(f"{layer.name} [LR {scale_text(scale)}]", [la.name for la in viewer.layers])
    arguments = layer_arguments(layer, region, (1, 1), name, {})
    growth = np.array(factors(axes, scale))
    # The rule of `geometry` the other way round: the corners of both coincide.
    arguments["translate"] = arguments["translate"] + linear_matrix(layer) @ ((growth - 1) / 2)
    arguments["scale"] = np.asarray(layer.scale) * growth
    arguments["metadata"] = {"spacing_source": arguments["metadata"]["spacing_source"]}
    low = viewer.add_image(tried.low, multiscale=False, **arguments)
    reference = layer
    if tried.moved:
        name = unique_name(f"{layer.name} [target]", [la.name for la in viewer.layers])
        reference = viewer.add_image(
            tried.target,
            multiscale=False,
            **layer_arguments(layer, region, (1, 1), name, {})
            | {"metadata": {TARGET_KEY: str(layer.unique_id)}, **placement(layer, region, (1, 1))},
        )
    metadata = {**tried.result.metadata, SELF_TEST_KEY: tried.heading}
    card = trial.model.card
    made = add_result(
        viewer,
        low,
        in_layer_order(tried.result.data, tried.result.axes, layer_axes(layer)),
        layer_arguments(low, {}, scale, result_name(layer.name, card.name, scale), metadata),
    )
    return reference, made, low


def original_of(layer: Any, layers: Sequence[Any]) -> Any:
    """The layer that a self-test made this reference from, if it is there, else the layer itself.

    A second test has to start from the original: a target is resampled already.
    """
    key = layer.metadata.get(TARGET_KEY)
    return next((la for la in layers if str(la.unique_id) == key), layer)


def _degraded(
    stack: Stack, region: Mapping[str, tuple[int, int]], operator: Degradation, card: Card
) -> tuple[np.ndarray, np.ndarray]:
    """Degrade the planes, and give what a model should make of them, in the stack's dtype."""
    from napari_srgan.measure.grid import refuse_invalid_plane
    from napari_srgan.measure.protocols import cropped, degraded_plane

    if stack.is_rgb != (card.channels == 3):
        kinds = ("RGB", "gray") if stack.is_rgb else ("gray", "RGB")
        raise InputError(
            f"{stack.name} is {kinds[0]} and the model {card.name} for {kinds[1]} images; choose "
            "another model."
        )
    # The whole range, not percentiles: what is beyond would be cut from the LR image.
    intensity = measure(stack, "auto" if stack.dtype == np.uint8 else "minmax")
    whole = {a: region.get(a, (0, n)) for a, n in stack.sizes.items() if a not in "YXS"}
    lows, targets = [], []
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


def _shape(stack: Stack, trial: Trial) -> tuple[int, ...]:
    """The shape of the tried part of the original, without alpha."""
    lengths = {a: hi - lo for a, (lo, hi) in trial.region.items() if a not in "YX"}
    return tuple(3 if a == "S" else lengths.get(a, n) for a, n in stack.sizes.items())
