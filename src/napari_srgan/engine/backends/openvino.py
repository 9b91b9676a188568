"""The network in OpenVINO, on CPUs; on trial, see docs/decisions.md.

The inference form of a generator is walked by torch.fx and written down in OpenVINO's operators,
which takes 40 ms; OpenVINO's own converter takes twelve seconds, and the layers' number formats
could not be chosen in it. Those of 16 bits are explicit in the graph, so that the sums of the skips
and both ends stay float32.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino import Type, opset13
from torch import fx, nn

from napari_srgan.engine.backends.lowering import between_first_and_last, rounded_kernels
from napari_srgan.image.geometry import Scale
from napari_srgan.models.architectures.receptive_field import finer, halo
from napari_srgan.models.architectures.rewrite import RowStrips, for_inference
from napari_srgan.models.architectures.shuffle import LateralShuffle

if TYPE_CHECKING:
    from napari_srgan.models.architectures.generator import Generator

_STRIP = 48
"""LR rows of the fine part that are computed together. Its features are wide: a window of 392 px
took 439 MB so, and 477 MB with 64 rows; 32 rows took 7 % more time for their halos."""


def formats() -> list[str]:
    """List the number formats that OpenVINO computes in natively on this CPU."""
    found = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["float32", *(["bfloat16"] if "BF16" in found else [])]


class OpenVINONetwork:
    """A generator in OpenVINO on the CPU, in a number format; see `backends.Backend`.

    Parameters
    ----------
    network : Generator
        As trained; it is not changed.
    precision : {"float32", "bfloat16"}
        Of the layers between the first and the last.

    Raises
    ------
    TypeError
        If the generator has a layer that is not known here.
    """

    def __init__(self, network: Generator, precision: str = "float32") -> None:
        self._scale = network.scale
        form = for_inference(network)
        low = between_first_and_last(form) if precision != "float32" else set()
        self._overlap = halo(form.fine)
        self._features = _compiled(form.features, network.channels, low)
        middle = self._features.output(0).get_partial_shape()[1].get_length()
        self._fine = _compiled(form.fine, middle, low)

    def __call__(self, unit: NDArray[np.float32]) -> NDArray[np.float32]:
        """Enlarge a window, (y, x[, 3]) to (sy * y, sx * x[, 3])."""
        height, width = unit.shape[:2]
        planes = unit.reshape(height, width, -1).transpose(2, 0, 1)[None]
        features = _computed(self._features, np.ascontiguousarray(planes))
        sy, sx = self._scale
        result = np.empty((sy * height, sx * width, *unit.shape[2:]), np.float32)
        count = -(-height // _STRIP)
        for top, bottom in pairwise(height * k // count for k in range(count + 1)):
            # Clipped at the border, where the zero padding belongs.
            above, below = max(top - self._overlap, 0), min(bottom + self._overlap, height)
            strip = _computed(self._fine, np.ascontiguousarray(features[:, :, above:below]))
            inside = strip[0, :, sy * (top - above) : sy * (bottom - above)]
            result[sy * top : sy * bottom] = inside.transpose(1, 2, 0).reshape(
                -1, *result.shape[1:]
            )
        return result

    def release(self) -> None:
        """Let go of what OpenVINO keeps of the last window, several hundred bytes a pixel."""
        for part in (self._features, self._fine):
            part.release_memory()


def _computed(part: openvino.CompiledModel, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute a part in a request of its own: one that is shared holds the result of one thread."""
    made: NDArray[np.float32] = part.create_infer_request().infer([features])[0]
    return made


def _compiled(part: nn.Module, channels: int, low: set[nn.Conv2d]) -> openvino.CompiledModel:
    """Write a part down, for windows of any size, and compile it for as many threads as torch's."""
    given = opset13.parameter([1, channels, -1, -1], np.float32)
    made = _Writer(low).write(part, given)
    if made.get_element_type() != Type.f32:
        made = opset13.convert(made, Type.f32).output(0)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # where the graph does not say bf16
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # other programs may be on those cores
    }
    return openvino.Core().compile_model(openvino.Model([made], [given]), "CPU", settings)


class _Tracer(fx.Tracer):
    """Sees a strip-wise stage as one step, which it is to the result."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = isinstance(m, RowStrips | LateralShuffle)
        return ours or super().is_leaf_module(m, module_qualified_name)


class _Writer:
    """Writes modules down in OpenVINO's operators."""

    def __init__(self, low: set[nn.Conv2d]) -> None:
        self._low = low

    def write(self, module: nn.Module, x: Any) -> Any:
        """Return the output of the module for an input, both outputs of OpenVINO's nodes."""
        if isinstance(module, RowStrips):
            return self.write(module.stage, x)
        if (layer := _LAYERS.get(type(module))) is not None:
            return layer(self, module, x)
        if not list(module.children()):
            raise TypeError(f"OpenVINO is not told how to compute {type(module).__name__}")
        graph, modules = _Tracer().trace(module), dict(module.named_modules())
        values: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            args = fx.map_arg(node.args, values.__getitem__)
            if node.op == "placeholder":
                values[node] = x.output(0) if hasattr(x, "output") else x
            elif node.op == "call_module":
                values[node] = self.write(modules[node.target], args[0])
            elif node.op == "output":
                return args[0]
            else:
                values[node] = _called(node, args)
        raise AssertionError("a graph ends in an output")

    def convolution(self, layer: nn.Conv2d, x: Any) -> Any:
        """Write a convolution down; bias and activation join it before the result is rounded."""
        low = layer in self._low
        dtype = Type.bf16 if low else Type.f32
        weight = rounded_kernels(layer.weight, torch.bfloat16) if low else layer.weight
        padding = list(layer.padding)
        x = opset13.convolution(
            _as(x, dtype), _constant(weight, dtype), list(layer.stride), padding, padding,
            list(layer.dilation),
        ).output(0)  # fmt: skip
        if layer.bias is None:
            return x
        return opset13.add(x, _constant(layer.bias.reshape(1, -1, 1, 1), dtype)).output(0)

    def prelu(self, layer: nn.PReLU, x: Any) -> Any:
        """Write a PReLU down."""
        slopes = layer.weight.detach()
        return opset13.prelu(x, _constant(slopes, x.get_element_type())).output(0)

    def leaky_relu(self, layer: nn.LeakyReLU, x: Any) -> Any:
        """Write a leaky ReLU down."""
        slope = torch.tensor([layer.negative_slope])
        return opset13.prelu(x, _constant(slope, x.get_element_type())).output(0)

    def silu(self, _: nn.SiLU, x: Any) -> Any:
        """Write a SiLU down."""
        return opset13.swish(x, _constant(torch.tensor(1.0), x.get_element_type())).output(0)

    def relu(self, _: nn.ReLU, x: Any) -> Any:
        """Write a ReLU down."""
        return opset13.relu(x).output(0)

    def sigmoid(self, _: nn.Sigmoid, x: Any) -> Any:
        """Write a sigmoid down."""
        return opset13.sigmoid(x).output(0)

    def average(self, layer: nn.AdaptiveAvgPool2d, x: Any) -> Any:
        """Write the mean over the whole image down, in float32."""
        if layer.output_size not in (1, (1, 1)):
            raise TypeError(f"OpenVINO is not told how to compute {layer}")
        axes = opset13.constant(np.array([2, 3], np.int64))
        return opset13.reduce_mean(_as(x, Type.f32), axes, keep_dims=True).output(0)

    def pixel_shuffle(self, layer: nn.PixelShuffle, x: Any) -> Any:
        """Write a pixel shuffle down."""
        return opset13.depth_to_space(x, "depth_first", layer.upscale_factor).output(0)

    def lateral_shuffle(self, layer: LateralShuffle, x: Any) -> Any:
        """Write a pixel shuffle along X down; in a shape, 0 stands for the length as it is."""
        channels = x.get_partial_shape()[1].get_length() // layer.factor
        last = opset13.transpose(x, [0, 2, 3, 1])
        split = opset13.reshape(last, [0, 0, 0, channels, layer.factor], special_zero=True)
        phases = opset13.transpose(split, [0, 3, 1, 2, 4])
        return opset13.reshape(phases, [0, 0, 0, -1], special_zero=True).output(0)

    def upsample(self, layer: nn.Upsample, x: Any) -> Any:
        """Write a repetition of pixels down."""
        return _repeated(x, finer(layer))


_LAYERS: dict[type[nn.Module], Callable[[_Writer, Any, Any], Any]] = {
    nn.Conv2d: _Writer.convolution,
    nn.PReLU: _Writer.prelu,
    nn.LeakyReLU: _Writer.leaky_relu,
    nn.SiLU: _Writer.silu,
    nn.ReLU: _Writer.relu,
    nn.Sigmoid: _Writer.sigmoid,
    nn.AdaptiveAvgPool2d: _Writer.average,
    nn.PixelShuffle: _Writer.pixel_shuffle,
    LateralShuffle: _Writer.lateral_shuffle,
    nn.Upsample: _Writer.upsample,
    nn.Identity: lambda _, __, x: x,
}


def _called(node: fx.Node, args: Any) -> Any:
    """Write a function of tensors down; sums are in float32."""
    if node.target is torch.cat:
        dim = node.kwargs.get("dim", args[1] if len(args) > 1 else 0)
        return opset13.concat([_as(part, Type.f32) for part in args[0]], dim).output(0)
    write = _FUNCTIONS.get(node.target)
    if write is None:
        raise TypeError(f"OpenVINO is not told how to compute {node.target}")
    return write(*(_operand(a) for a in args)).output(0)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    operator.add: opset13.add,
    torch.add: opset13.add,
    operator.mul: opset13.multiply,
    torch.mul: opset13.multiply,
}


def _operand(value: Any) -> Any:
    if isinstance(value, int | float):
        return _constant(torch.tensor(float(value)), Type.f32)
    return _as(value, Type.f32)


def _repeated(x: Any, times: Scale) -> Any:
    """Repeat every pixel so many times along Y and X."""
    factors = opset13.constant(np.array(times, np.float32))
    axes = opset13.constant(np.array([2, 3], np.int64))
    return opset13.interpolate(
        x, factors, "nearest", "scales", axes=axes,
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    ).output(0)  # fmt: skip


def _as(x: Any, dtype: Type) -> Any:
    """Change the number format, rounding to the nearest.

    OpenVINO's conversion to bfloat16 takes the wrong neighbour for a quarter of the values, so it
    is given values of 8 bits, which it leaves as they are: Veltkamp's splitting (Dekker 1971,
    doi 10.1007/BF01397083).
    """
    if x.get_element_type() == dtype:
        return x
    if dtype == Type.bf16:
        far = opset13.multiply(x, _constant(torch.tensor(2.0**16 + 1), Type.f32))
        x = opset13.subtract(far, opset13.subtract(far, x))
    return opset13.convert(x, dtype).output(0)


def _constant(values: torch.Tensor, dtype: Type) -> Any:
    """Make a constant; values for 16 bits are rounded here, since OpenVINO would cut them off."""
    if dtype == Type.bf16:
        values = values.bfloat16()
    return opset13.constant(values.detach().float().contiguous().numpy(), dtype=dtype)
