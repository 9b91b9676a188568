"""Pictures of a run: the curves of its log, and previews of what the model makes of a scan."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.checkpoint import replace_file
from training.log import CSV_NAME, read_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 160  # HR px of a preview: enough to judge structure by, few enough to see pixels


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A validation scan and what was made of it, float32 in [0, 1], (Y, X) or (Y, X, 3).

    Attributes
    ----------
    name : str
        Of the set and the scan.
    lr, bicubic, sr, hr : ndarray
        All but `lr` of one shape.
    psnr, psnr_bicubic : float or None
        Of `sr` and `bicubic`, dB; None of a constant scan.
    """

    name: str
    lr: NDArray[Any]
    bicubic: NDArray[Any]
    sr: NDArray[Any]
    hr: NDArray[Any]
    psnr: float | None = None
    psnr_bicubic: float | None = None


def draw_previews(folder: Path, pictures: Sequence[Picture], step: int) -> dict[str, bytes]:
    """Write `preview-NAME-STEP.png` for each picture: its liveliest part.

    LR and bicubic stand above SR and HR.

    Returns
    -------
    dict of str to bytes
        The files' contents by the pictures' names.
    """
    from matplotlib.figure import Figure

    drawn = {}
    for picture in pictures:
        factor = picture.hr.shape[0] // picture.lr.shape[0]
        y, x = _liveliest(picture.hr, _SIDE, factor)
        fine = (slice(y, y + _SIDE), slice(x, x + _SIDE))
        coarse = tuple(slice(s.start // factor, s.stop // factor) for s in fine)
        parts = {
            "LR": picture.lr[coarse],
            "bicubic": picture.bicubic[fine],
            "SR": picture.sr[fine],
            "HR": picture.hr[fine],
        }
        # One range for all four, that of HR, or they could not be compared.
        low, high = float(parts["HR"].min()), float(parts["HR"].max())
        figure = Figure(figsize=(6.6, 7.2), layout="constrained")
        places = figure.subplots(2, 2).flat
        for axes, (title, image) in zip(places, parts.items(), strict=True):
            shown = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(f"{title}, {image.shape[1]} x {image.shape[0]} px", fontsize=10)
            axes.set_axis_off()
        score = ""
        if picture.psnr is not None and picture.psnr_bicubic is not None:
            gain = picture.psnr - picture.psnr_bicubic
            score = f"PSNR {picture.psnr:.2f} dB ({gain:+.2f} over bicubic)"
        figure.suptitle(f"{picture.name}, step {step}\n{score}".rstrip(), fontsize=10)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", picture.name)
        drawn[picture.name] = _save(figure, folder / f"preview-{name}-{step:07}.png")
    return drawn


def draw_curves(folder: Path, pretrain: int) -> None:
    """Write `curves.png` from the run's metrics.csv: losses, and PSNR and SSIM over bicubic.

    Parameters
    ----------
    folder : Path
        The run folder.
    pretrain : int
        The last step of the first phase.
    """
    from matplotlib.figure import Figure

    rows = read_rows(folder / CSV_NAME)
    steps = [r for r in rows if not r["set"]]
    scores = [r for r in rows if r["set"]]
    second = [r for r in steps if r["phase"] == "adversarial"]
    adversarial = any(r["discriminator"] for r in second)
    figure = Figure(figsize=(9, 10 if adversarial else 7.5), layout="constrained")
    axes = figure.subplots(4 if adversarial else 3, 1, sharex=True)
    # Each beside its own first value: features and pixels differ by orders of magnitude.
    for key, label, of in (
        ("pixel", "pixel", steps),
        ("content", "content", steps),
        ("adversarial", "adversarial", steps),
        ("generator", "generator, in all", second),
        ("discriminator", "discriminator", second),
    ):
        values = [float(r[key]) for r in of if r[key]]
        if values and values[0] > 0:
            at = [int(r["step"]) for r in of if r[key]]
            axes[0].plot(at, [v / values[0] for v in values], label=label, linewidth=1)
    axes[0].set(ylim=(0, None), ylabel="loss, of its first value")
    for i, (key, label) in enumerate((("psnr", "PSNR, dB"), ("ssim", "SSIM")), 1):
        for name in dict.fromkeys(r["set"] for r in scores):
            mine = [r for r in scores if r["set"] == name]
            gain = [float(r[key]) - float(r[f"{key}_bicubic"]) for r in mine]
            axes[i].plot([int(r["step"]) for r in mine], gain, marker=".", label=name)
        axes[i].axhline(0, color="gray", linewidth=0.8)
        axes[i].set_ylabel(f"{label} over bicubic")
    if adversarial:
        for key, label in (("real", "HR taken for real"), ("fake", "SR taken for real")):
            _line(axes[3], steps, key, label)
        axes[3].set(ylim=(-0.03, 1.03), ylabel="discriminator, share")
    for axis in axes:
        if second:
            axis.axvline(pretrain, color="gray", linestyle=":", linewidth=1)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
        axis.grid(alpha=0.25)
    axes[-1].set_xlabel("step" + (" (dotted: the adversary enters)" if second else ""))
    _save(figure, folder / "curves.png")


def _line(axes: Any, rows: list[dict[str, str]], key: str, label: str) -> None:
    points = [(int(r["step"]), float(r[key])) for r in rows if r[key]]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, linewidth=1)


def _liveliest(image: NDArray[Any], side: int, step: int) -> tuple[int, int]:
    """Return where the square of most variance begins, at a multiple of `step`."""
    gray = image.mean(axis=2) if image.ndim == 3 else image
    height, width = gray.shape
    stride = max(side // 4 // step, 1) * step
    places = [
        (y, x)
        for y in range(0, max(height - side, 0) + 1, stride)
        for x in range(0, max(width - side, 0) + 1, stride)
    ]
    return max(places, key=lambda p: float(gray[p[0] : p[0] + side, p[1] : p[1] + side].var()))


def _save(figure: Figure, path: Path) -> bytes:
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name with dollars is no formula
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=100)
    replace_file(path, held.getvalue(), "the picture")
    return held.getvalue()
