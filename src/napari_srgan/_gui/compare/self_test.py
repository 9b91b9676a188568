"""Self-test: a layer degraded 4x by a named operator, restored, and put beside the original.

The controls; the work, as a generator for a thread; and the layers that it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal

from napari_srgan._gui.layers import (
    add_layer,
    add_result,
    in_layer_order,
    layer_arguments,
    layer_axes,
    layer_stack,
    linear_matrix,
    result_name,
    spacing_source,
    view_of,
)
from napari_srgan._gui.parts.widgets import DropDown, Form, Message, Part, button, column
from napari_srgan._gui.runner import End, RunnerBar, Step, errors_said
from napari_srgan._gui.super_resolve.model_picker import ModelPicker
from napari_srgan._gui.super_resolve.order import Engines, tiles
from napari_srgan._gui.tags import self_test_tag, spacing_tag, target_tag
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.degradation import NAMES, Degradation, degradation
from napari_srgan.image.intensity import measure
from napari_srgan.models.catalogue import Card, ModelInfo

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.image.stack import Stack

OPTIMISTIC = "Optimistic: same degradation as in training"
_RANGES = ("blur", "speckle", "noise")
_SEED = 0


class SelfTest(Part):
    """Degrade the reference, restore it, and compare.

    Signals
    -------
    made(object, object, object)
        Reference, result and LR layer, once they are in the viewer.
    """

    made = Signal(object, object, object)

    def __init__(self, viewer: napari.Viewer, reference: Callable[[], Any]) -> None:
        super().__init__()
        self._viewer, self._reference = viewer, reference
        self._engines = Engines()
        self.model = ModelPicker()
        self.operator = DropDown(
            ("as in training", None),
            *((name, name) for name in NAMES),
            tip="How the high resolution becomes low resolution",
        )
        self.slices = DropDown(("Slice in view", "view"), ("Whole stack", "all"))
        self.button = button(
            "Degrade, restore, compare",
            "Shrink the reference 4x, restore it, and measure the result",
        )
        self.runner = RunnerBar("%v of %m tiles")
        fields = {"Model": self.model, "Degrade by": self.operator, "Slices": self.slices}
        what = Message(
            "With the original only: how well is it restored after it was shrunk? The reference "
            "is taken, or the selected layer."
        )
        column(self, what, Form(fields=fields), self.button, self.runner)
        self.button.clicked.connect(self.start)
        self.runner.ended.connect(self._on_end)

    def start(self) -> None:
        """Start, or say why not."""
        if self.runner.running:
            return
        layer = self._reference()
        with errors_said(self.say):
            if layer is None:
                raise InputError("Choose the image to test with as the reference, or select it.")
            model = self.model.info(layer.rgb)
            operator_for(model.card, self.operator.value())
            region: dict[str, tuple[int, int]] = {}
            if self.slices.value() == "view":
                view = view_of(layer, self._viewer.dims)
                if view.outside:
                    raise InputError(f"The slider is beyond {layer.name}; move it to a slice.")
                region = {a: (i, i + 1) for a, i in view.index.items()}
            request = SelfTestRequest(layer, region, model, self.operator.value())
            self.button.setEnabled(False)
            self.runner.start(
                partial(self_test, request, self._engines),
                lambda result: self.made.emit(*show_self_test(self._viewer, request, result)),
                self.say,
            )

    def _on_end(self, end: End) -> None:
        self.button.setEnabled(True)


@dataclass(frozen=True)
class SelfTestRequest:
    """What is tested.

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
class SelfTestResult:
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


def self_test(request: SelfTestRequest, engines: Engines) -> Generator[Step, None, SelfTestResult]:
    """Degrade the planes, restore them; for a thread.

    Yields
    ------
    Step
        After every tile.

    Returns
    -------
    SelfTestResult

    Raises
    ------
    InputError
        If the layer is too small or does not fit the model, or holds NaN.
    """
    from napari_srgan.engine.upscaler import Job, plan
    from napari_srgan.image.stack import Stack

    yield Step(0, 1)
    stack, card = layer_stack(request.layer), request.model.card
    operator = operator_for(card, request.operator)
    low, target = _degraded(stack, request.region, operator, card)
    yield Step(0, 1)
    small = Stack(low, axes=stack.axes, name=stack.name)
    planned = plan(small, Job(model=request.model.path))
    result = yield from tiles(engines.get(planned.model, "auto", "auto").run(planned))
    moved = operator.name in ("decimate", "blur-noise") or target.shape != _shape(stack, request)
    return SelfTestResult(low, target, moved, result, heading_for(card, operator.name))


def show_self_test(
    viewer: napari.Viewer, request: SelfTestRequest, made: SelfTestResult
) -> tuple[Image, Image, Image]:
    """Add what was made as layers, and return reference, result and LR layer."""
    layer, factor = request.layer, request.model.card.scale
    axes = layer_axes(layer).replace("S", "")
    lengths = dict(zip(axes, made.target.shape, strict=False))
    region = dict(request.region) | {a: (0, lengths[a]) for a in "YX"}
    arguments = layer_arguments(layer, region, 1, f"{layer.name} [LR {factor}x]", {})
    growth = np.array([factor if a in "YX" else 1 for a in axes])
    # The rule of `geometry` the other way round: the corners of both coincide.
    arguments["translate"] = arguments["translate"] + linear_matrix(layer) @ ((growth - 1) / 2)
    arguments["scale"] = np.asarray(layer.scale) * growth
    arguments["metadata"] = spacing_tag(spacing_source(layer))
    low = add_layer(viewer, made.low, arguments)
    reference = layer
    if made.moved:
        arguments = layer_arguments(layer, region, 1, f"{layer.name} [target]", {})
        arguments["metadata"] = target_tag(layer)
        reference = add_layer(viewer, made.target, arguments)
    metadata = {**made.result.metadata, **self_test_tag(made.heading)}
    name = result_name(layer.name, request.model.card.name, factor)
    data = in_layer_order(made.result.data, made.result.axes, layer_axes(layer))
    result = add_result(viewer, low, data, layer_arguments(low, {}, factor, name, metadata))
    return reference, result, low


def _degraded(
    stack: Stack, region: Mapping[str, tuple[int, int]], operator: Degradation, card: Card
) -> tuple[np.ndarray, np.ndarray]:
    """Degrade the planes, and give what a model should make of them, in the stack's dtype."""
    from napari_srgan.measure.evaluation import cropped, degraded_plane
    from napari_srgan.measure.reference_grid import refuse_invalid_plane

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


def _shape(stack: Stack, request: SelfTestRequest) -> tuple[int, ...]:
    """The shape of the tried part of the original, without alpha."""
    lengths = {a: hi - lo for a, (lo, hi) in request.region.items() if a not in "YX"}
    return tuple(3 if a == "S" else lengths.get(a, n) for a, n in stack.sizes.items())
