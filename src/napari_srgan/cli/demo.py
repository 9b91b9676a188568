"""The demonstration: super-resolve the bundled OCT volume and measure it against the truth.

The truth is known because the volume is simulated: the input is its high-resolution stack,
shrunk. No window is needed; `_gui.demo_window` shows the same in napari.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.cli.panels import Panel, save_side_by_side
from napari_srgan.cli.terminal import follow, table
from napari_srgan.engine.upscaler import Job, Result, Upscaler, plan
from napari_srgan.errors import InputError
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack
from napari_srgan.io.sinks import FileSink
from napari_srgan.measure.metrics import data_range, psnr, ssim
from napari_srgan.synthetic.samples import sample, sample_path


@dataclass(frozen=True, slots=True)
class Measured:
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
    measured : tuple of Measured
        Bicubic first, then the model.
    picture, file : Path
        The picture (PNG) and the result (TIFF) on disk.
    seconds : float
        Time of the super-resolution.
    """

    low: Stack
    truth: Stack
    result: Result
    measured: tuple[Measured, ...]
    picture: Path
    file: Path
    seconds: float

    def text(self) -> str:
        """Give the table and what it says, for people."""
        rows = [("method", "PSNR (dB)", "SSIM")]
        rows += [(m.method, f"{m.psnr:.2f}", f"{m.ssim:.4f}") for m in self.measured]
        model = self.measured[-1]
        shape = " x ".join(map(str, self.low.shape))
        return (
            f"{self.low.name}: {self.low.axes} {shape} {self.low.dtype}, super-resolved 4x by "
            f"{model.method} in {self.seconds:.1f} s\n\n{table(rows)}\n\n"
            f"Mean over {self.low.shape[0]} slices against the high-resolution volume, of which\n"
            "the input is the 4x bicubic reduction; a coarser instrument loses more than that.\n"
            f"picture: {self.picture}\nresult:  {self.file}"
        )

    def summary(self) -> dict[str, Any]:
        """Give the same for machines."""
        return {
            "measured": [
                {"method": m.method, "psnr_db": m.psnr, "ssim": m.ssim} for m in self.measured
            ],
            "slices": self.low.shape[0],
            "seconds": round(self.seconds, 3),
            "picture": str(self.picture),
            "output": str(self.file),
        }


def check_window() -> None:
    """Refuse before any work if napari is not installed."""
    if importlib.util.find_spec("napari") is None:
        raise InputError(
            "--window needs napari, which is not installed here: pip install 'napari-srgan[gui]'."
        )


def run(folder: Path, model: str = "auto", device: str = "auto", quiet: bool = False) -> Demo:
    """Super-resolve the bundled volume, measure it, and write a picture and the result.

    Parameters
    ----------
    folder : Path
        Where to; made if it is not there. A former demonstration in it is replaced.
    model, device : str
        As everywhere; a grayscale model.
    quiet : bool
        Show no progress.

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
    planned = plan(low, Job(model=model, device=device))
    upscaler = Upscaler(planned.model, device)
    started = time.perf_counter()
    steps = upscaler.run(planned, FileSink(file, overwrite=True))
    result = follow(steps, low.name, planned.n_tiles, quiet)
    seconds = time.perf_counter() - started

    name = result.metadata["napari_srgan"]["model"]
    restored = np.asarray(result.data)
    enlarged = np.stack([_enlarge(plane, truth.dtype) for plane in _planes(low)])
    expected = np.stack(_planes(truth))
    measured = tuple(
        _measure(method, expected, candidate)
        for method, candidate in (("bicubic", enlarged), (name, restored))
    )

    middle = len(expected) // 2
    picture = folder / "oct_volume_4x.png"
    captions = [f"{m.method} {m.psnr:.2f} dB, {m.ssim:.3f}" for m in measured]
    save_side_by_side(
        picture,
        [
            Panel("input, each pixel as 4 x 4", _planes(low)[middle].repeat(4, 0).repeat(4, 1)),
            Panel(captions[0], enlarged[middle]),
            Panel(captions[1], restored[middle]),
            Panel("truth", expected[middle]),
        ],
    )
    return Demo(low, truth, result, measured, picture, file, seconds)


def _sample(name: str) -> Stack:
    """Open a bundled stack at its place: its file cannot say where the HR grid begins."""
    return replace(open_stack(sample_path(name)), translate=sample(name).translate)


def _planes(stack: Stack) -> list[NDArray[Any]]:
    return [stack.read(index) for index in stack.plane_indices()]


def _enlarge(plane: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Enlarge by bicubic interpolation, rounded and clipped as the model's result is."""
    enlarged = bicubic_enlarge(plane, 4)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        enlarged = np.clip(np.rint(enlarged), limits.min, limits.max)
    return enlarged.astype(dtype)


def _measure(method: str, truth: NDArray[Any], candidate: NDArray[Any]) -> Measured:
    """Mean over the slices, all with the range of the whole truth."""
    span = data_range(truth)
    pairs = list(zip(truth, candidate, strict=True))
    return Measured(
        method,
        float(np.mean([psnr(expected, given, span) for expected, given in pairs])),
        float(np.mean([ssim(expected, given, span) for expected, given in pairs])),
    )
