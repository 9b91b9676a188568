"""The demonstration: super-resolve the bundled OCT volume and measure it against the truth.

The truth is known because the volume is simulated: the input is its high-resolution stack, shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.run import Result
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack
from napari_srgan.measure.metrics import data_range, psnr, ssim
from napari_srgan.options import FigureOptions, RestoreOptions
from napari_srgan.synthetic.samples import sample, sample_path
from napari_srgan.tasks.figure import Shown, write_figure
from napari_srgan.tasks.restore import restore
from napari_srgan.tasks.steps import Work


@dataclass(frozen=True, slots=True)
class MethodFigures:
    """How close a method comes to the truth: means over the slices (PSNR in dB)."""

    method: str
    psnr: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demonstration made.

    Attributes
    ----------
    low, truth : Stack
        The input and the high-resolution truth, ZYX.
    result : Result
        The super-resolved stack.
    model : str
        That made it.
    methods : tuple of MethodFigures
        Bicubic first, then the model.
    picture, file : Path
        The picture (PNG) and the result (TIFF) on disk.
    seconds : float
        Time of the super-resolution.
    """

    low: Stack
    truth: Stack
    result: Result
    model: str
    methods: tuple[MethodFigures, ...]
    picture: Path
    file: Path
    seconds: float


def run_demo(folder: Path, model: str = "auto", device: str = "auto") -> Work[Demo]:
    """Super-resolve the bundled volume, measure it, and write a picture and the result.

    Parameters
    ----------
    folder : Path
        Where to; made if it is not there. A former demonstration in it is replaced.
    model, device : str
        As everywhere; a grayscale model.

    Yields
    ------
    Progress
        After every tile.

    Returns
    -------
    Demo

    Raises
    ------
    InputError
        If the model or the device cannot be used, or the folder is a file.
    """
    low, truth = _sample("oct_volume_lr"), _sample("oct_volume_hr")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is a file: --out needs a folder.") from None
    file = folder / "oct_volume_4x.tif"
    options = RestoreOptions(model=model, device=device)
    made = yield from restore(low, options, file, overwrite=True)

    name = made.record.model
    restored = np.asarray(made.result.data)
    enlarged = np.stack([to_dtype(bicubic_enlarge(p, 4), truth.dtype) for p in _planes(low)])
    expected = np.stack(_planes(truth))
    methods = tuple(
        _measure(method, expected, candidate)
        for method, candidate in (("bicubic", enlarged), (name, restored))
    )

    picture = folder / "oct_volume_4x.png"
    bicubic, result = (f"{m.method} {m.psnr:.2f} dB, {m.ssim:.3f}" for m in methods)
    shown = Shown(
        low=low,
        result=made.result.stack(),
        reference=truth,
        captions={"lr": "input", "bicubic": bicubic, "result": result, "reference": "truth"},
    )
    yield from write_figure(shown, picture, FigureOptions())
    return Demo(low, truth, made.result, name, methods, picture, file, made.seconds)


def _sample(name: str) -> Stack:
    """Open a bundled stack at its place: its file cannot say where the HR grid begins."""
    return replace(open_stack(sample_path(name)), translate=sample(name).translate)


def _planes(stack: Stack) -> list[NDArray[Any]]:
    return [stack.read(index) for index in stack.plane_indices()]


def _measure(method: str, truth: NDArray[Any], candidate: NDArray[Any]) -> MethodFigures:
    """Mean over the slices, all with the range of the whole truth."""
    span = data_range(truth)
    pairs = list(zip(truth, candidate, strict=True))
    return MethodFigures(
        method,
        float(np.mean([psnr(expected, given, span) for expected, given in pairs])),
        float(np.mean([ssim(expected, given, span) for expected, given in pairs])),
    )
