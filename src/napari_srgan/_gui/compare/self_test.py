"""Self-test: a layer degraded by a named operator, restored, and put beside the original.

The choices, and the layers of what the task of this name has made.
"""

from __future__ import annotations

from collections.abc import Callable
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
from napari_srgan._gui.runner import End, RunnerBar, errors_said
from napari_srgan._gui.super_resolve.model_picker import ModelPicker
from napari_srgan._gui.tags import self_test_tag, spacing_tag, target_tag
from napari_srgan.errors import InputError
from napari_srgan.image.degradation import NAMES
from napari_srgan.image.geometry import factors, scale_text
from napari_srgan.tasks.self_test import SelfTestResult, operator_for, self_test

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.image.stack import Region
    from napari_srgan.models.card import Card


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
        self.model = ModelPicker()
        self.operator = DropDown(
            ("as in training", None),
            *((name, name) for name in NAMES),
            tip="How the high resolution becomes low resolution",
        )
        self.slices = DropDown(("Slice in view", "view"), ("Whole stack", "all"))
        self.button = button(
            "Degrade, restore, compare",
            "Shrink the reference, restore it, and measure the result",
        )
        self.runner = RunnerBar("%v of %m tiles")
        fields = Form(fields={"Model": self.model})
        fields.addRow(self.model.purpose)
        fields.add("Degrade by", self.operator)
        fields.add("Slices", self.slices)
        what = Message(
            "With the original only: how well is it restored after it was shrunk? The reference "
            "is taken, or the selected layer."
        )
        column(self, what, fields, self.button, self.runner)
        self.button.clicked.connect(self.start)
        self.runner.ended.connect(self._on_end)

    def start(self) -> None:
        """Start, or say why not."""
        if self.runner.running:
            return
        layer, operator = self._reference(), self.operator.value()
        with errors_said(self.say):
            if layer is None:
                raise InputError("Choose the image to test with as the reference, or select it.")
            model = self.model.info(layer.rgb)
            operator_for(model.card, operator)
            region: dict[str, tuple[int, int]] = {}
            if self.slices.value() == "view":
                view = view_of(layer, self._viewer.dims)
                if view.outside:
                    raise InputError(f"The slider is beyond {layer.name}; move it to a slice.")
                region = {a: (i, i + 1) for a, i in view.index.items()}

            def show(made: SelfTestResult) -> None:
                self.made.emit(*show_self_test(self._viewer, layer, region, model.card, made))

            self.button.setEnabled(False)
            stack = layer_stack(layer)
            self.runner.start(partial(self_test, stack, model, operator, region), show, self.say)

    def _on_end(self, end: End) -> None:
        self.button.setEnabled(True)


def show_self_test(
    viewer: napari.Viewer, layer: Image, region: Region, card: Card, made: SelfTestResult
) -> tuple[Image, Image, Image]:
    """Add what was made as layers.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : Image
        The original.
    region : mapping of letter to (start, stop)
        Which planes of it.
    card : Card
        Of the model.
    made : SelfTestResult

    Returns
    -------
    tuple of Image
        Reference, result and LR layer.
    """
    scale = card.scale
    axes = layer_axes(layer).replace("S", "")
    lengths = dict(zip(axes, made.target.shape, strict=False))
    region = {**region, **{a: (0, lengths[a]) for a in "YX"}}
    name = f"{layer.name} [LR {scale_text(scale)}]"
    arguments = layer_arguments(layer, region, (1, 1), name, {})
    growth = np.array(factors(axes, scale))
    # The rule of `geometry` the other way round: the corners of both coincide.
    arguments["translate"] = arguments["translate"] + linear_matrix(layer) @ ((growth - 1) / 2)
    arguments["scale"] = np.asarray(layer.scale) * growth
    arguments["metadata"] = spacing_tag(spacing_source(layer))
    low = add_layer(viewer, made.low, arguments)
    reference = layer
    if made.moved:
        arguments = layer_arguments(layer, region, (1, 1), f"{layer.name} [target]", {})
        arguments["metadata"] = target_tag(layer)
        reference = add_layer(viewer, made.target, arguments)
    metadata = {**made.result.metadata, **self_test_tag(made.heading)}
    name = result_name(layer.name, card.name, scale)
    data = in_layer_order(made.result.data, made.result.axes, layer_axes(layer))
    result = add_result(viewer, low, data, layer_arguments(low, {}, scale, name, metadata))
    return reference, result, low
