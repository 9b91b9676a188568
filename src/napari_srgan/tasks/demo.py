"""The demonstration: super-resolve the bundled OCT volume and measure it against the truth.

The truth is known because the volume is simulated: the input is its high-resolution stack, shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_srgan.engine.run import Result
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.image.stack import Stack
from napari_srgan.io.atomic import whole_file
from napari_srgan.io.open import open_stack
from napari_srgan.measure.metrics import data_range, psnr, ssim
from napari_srgan.options import RestoreOptions
from napari_srgan.synthetic.samples import sample, sample_path
from napari_srgan.tasks.restore import restore
from napari_srgan.tasks.steps import Work

_GAP = 8
_CAPTION = 26
_BACKGROUND = 24
_INK = 235
_FRAME = 255


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

    middle = len(expected) // 2
    picture = folder / "oct_volume_4x.png"
    captions = [f"{m.method} {m.psnr:.2f} dB, {m.ssim:.3f}" for m in methods]
    save_side_by_side(
        picture,
        [
            Panel("input, each pixel as 4 x 4", _planes(low)[middle].repeat(4, 0).repeat(4, 1)),
            Panel(captions[0], enlarged[middle]),
            Panel(captions[1], restored[middle]),
            Panel("truth", expected[middle]),
        ],
    )
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


@dataclass(frozen=True, slots=True)
class Panel:
    """One version: its caption and its pixels (Y, X); all panels of a picture have one shape."""

    caption: str
    pixels: NDArray[Any]


def save_side_by_side(path: Path, panels: Sequence[Panel]) -> None:
    """Write the picture as PNG.

    Parameters
    ----------
    path : Path
        Where to; replaced if it is there.
    panels : sequence of Panel
        All shown with one gray scale, that of the last, so that brightness can be compared.
        The detail is the part where the first differs from it most.
    """
    last = panels[-1].pixels
    black, white = np.percentile(last, (0.5, 99.8))
    height, width = last.shape
    side_y, side_x = height // 4, width // 4
    lost = last.astype(np.float64) - panels[0].pixels
    y, x = _busiest(lost, side_y, side_x)
    canvas = np.full(
        (_CAPTION + 2 * height + 2 * _GAP, len(panels) * (width + _GAP) + _GAP),
        _BACKGROUND,
        np.uint8,
    )
    for number, panel in enumerate(panels):
        span = max(float(white - black), 1e-12)
        gray = np.clip((panel.pixels.astype(np.float64) - black) / span, 0, 1)
        shown = np.rint(gray * 255).astype(np.uint8)
        detail = shown[y : y + side_y, x : x + side_x].repeat(4, 0).repeat(4, 1)
        framed = shown.copy()
        framed[y : y + side_y, [x, x + side_x - 1]] = _FRAME
        framed[[y, y + side_y - 1], x : x + side_x] = _FRAME
        left = _GAP + number * (width + _GAP)
        canvas[_CAPTION : _CAPTION + height, left : left + width] = framed
        below = _CAPTION + height + _GAP
        canvas[below : below + detail.shape[0], left : left + detail.shape[1]] = detail
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=15)
    for number, panel in enumerate(panels):
        draw.text((_GAP + number * (width + _GAP), 4), panel.caption, fill=_INK, font=font)
    with whole_file(path) as partial:
        image.save(partial, "PNG")


def _busiest(plane: NDArray[Any], height: int, width: int) -> tuple[int, int]:
    """Find the corner of the window of that size with the largest variance, on a coarse grid."""
    corners = [
        (y, x)
        for y in range(0, plane.shape[0] - height + 1, max(height // 4, 1))
        for x in range(0, plane.shape[1] - width + 1, max(width // 4, 1))
    ]
    return max(corners, key=lambda c: float(plane[c[0] : c[0] + height, c[1] : c[1] + width].var()))
