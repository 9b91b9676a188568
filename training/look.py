"""A look at the scans before they are trained on: one page, and sentences of advice.

The scans are loaded and split as the training would, what is in them is measured, and a step of
each phase is taken and thrown away, so that time and memory are those of this computer.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from napari_srgan.engine.devices import is_out_of_memory
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.intensity import measure, values_look_linear
from napari_srgan.image.kind import recognise
from napari_srgan.io.atomic import check_place, whole_file
from napari_srgan.io.inline import png_uri
from napari_srgan.io.open import open_stack
from napari_srgan.models.card import ALIKE, micrometres
from napari_srgan.tasks.restore import peak_memory_mb
from training.crops import Crops, loader
from training.data import Data, load
from training.hardware import check_installed, describe, memory_used, start
from training.likeness import ONE_PLACE, thumbnails
from training.log import duration
from training.pace import Forecast
from training.page import page
from training.presets import with_init
from training.recipe import Recipe
from training.scans import Scan, short_name, thinned
from training.session import assemble
from training.validation import validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from training.start import Request

_SIDE = 96  # px of a picture in the table
_FILES = 200  # that are looked into, evenly spread
_PAIRS = 8  # of scans that are alike, at most
_BINS = 64
_PLANES = 4  # that bicubic is measured on, a set
_FEW = 3  # volumes to train on; with fewer a network learns the instrument's persons by heart
_SMALL = 3.0  # million pixels, of two dozen small scans
_CLIPPED = 0.02  # of the pixels in the lightest bin
_EASY = 45.0  # dB that bicubic reaches where shrinking has lost next to nothing


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was found in a file.

    Attributes
    ----------
    name, volume, side : str
        side: "train" or "val".
    planes, height, width : int
    dtype : str
    pixel_size : tuple of float or None
        Along Y and X, micrometres.
    kind : str
        Of `image.kind.KINDS`.
    noise : float
        Standard deviation of the finest grain, % of the range.
    linear : bool
        Whether its values look linear in intensity.
    picture : str
        Its middle plane, small, as a ``data:`` address.
    """

    name: str
    volume: str
    side: str
    planes: int
    height: int
    width: int
    dtype: str
    pixel_size: tuple[float, float] | None
    kind: str
    noise: float
    linear: bool
    picture: str


@dataclass(frozen=True, slots=True)
class Alike:
    """Two scans on both sides of the split that may show one place."""

    train: str
    val: str
    correlation: float
    pictures: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """What the training would take here.

    Attributes
    ----------
    where : str
    seconds : float or None
        Of the whole training; None if a step does not fit into memory.
    pixel_step, adversarial_step : float
        Seconds a step.
    memory_gb : float
        At the most.
    without : str
        What is not in it, "" if nothing.
    """

    where: str
    seconds: float | None
    pixel_step: float
    adversarial_step: float
    memory_gb: float
    without: str


@dataclass(frozen=True, slots=True)
class Look:
    """All that the page shows."""

    summary: str
    recipe: Recipe
    files: tuple[FileFacts, ...]
    beyond: int
    histogram: tuple[float, ...]
    alike: tuple[Alike, ...]
    bicubic: dict[str, float]
    cost: Cost
    advice: tuple[str, ...]


def look(request: Request, place: Path | None) -> Look:
    """Look at the scans of a training that was asked for, and write the page.

    Parameters
    ----------
    request : Request
        As of a training; files that cannot be used are left out and named.
    place : Path, optional
        The HTML file, a new one; runs/look and the date and time by default.

    Raises
    ------
    InputError
        If there is nothing that could be trained on, or the page cannot be written.
    """
    check_installed()
    place = place or Path("runs") / f"look-{datetime.datetime.now():%Y%m%d-%H%M%S}.html"
    place.parent.mkdir(parents=True, exist_ok=True)
    check_place(place, False, (".html", ".htm"), "the page is HTML; let its name end in .html.")
    began: Path | None = None

    def settle(channels: int) -> Recipe:
        nonlocal began
        whole = replace(request.recipe, channels=channels)
        if whole.init:
            whole, began = with_init(whole, channels, request.by_hand)
        return whole

    recipe, data = load(replace(request.sources, skip_bad=True), request.recipe, settle)
    cost, bicubic = _cost(request, recipe, data, began)
    found, beyond = _facts(data, recipe)
    alike = tuple(_alike(data))
    histogram = _histogram(data)
    first = Look(data.summary, recipe, found, beyond, histogram, alike, bicubic, cost, ())
    seen = replace(first, advice=tuple(advice(first, data)))
    with whole_file(place, False) as partial:
        partial.write_text(render(seen), encoding="utf-8", newline="\n")
    request.told(
        {
            "event": "look",
            "text": "\n".join(
                [f"{data.summary}.", _cost_text(cost), *seen.advice, f"Page: {place}"]
            ),
            "page": str(place.absolute()),
            "summary": data.summary,
            "cost": _cost_text(cost),
            "advice": list(seen.advice),
            "seconds": cost.seconds,
            "memory_gb": cost.memory_gb,
        }
    )
    return seen


# --- what is in the files -----------------------------------------------------------------------


def _facts(data: Data, recipe: Recipe) -> tuple[tuple[FileFacts, ...], int]:
    """Look into the files of both sides; return what is in them, and how many are left out."""
    paths = [
        (side, volume, Path(path))
        for side, sets in data.split.items()
        for volumes in sets.values()
        for volume, members in volumes.items()
        for path in members
    ]
    step = max(-(-len(paths) // _FILES), 1)
    looked = paths[::step]
    return tuple(_file(*each, recipe) for each in looked), len(paths) - len(looked)


def _file(side: str, volume: str, path: Path, recipe: Recipe) -> FileFacts:
    stack = open_stack(path)
    indices = list(stack.plane_indices())
    index = indices[len(indices) // 2]
    plane = np.asarray(stack.read(index))
    unit = measure(stack, recipe.intensity, recipe.transform).to_unit(
        plane, stack.channel_of(index)
    )
    recognised = recognise(stack)
    return FileFacts(
        short_name(path),
        volume,
        side,
        len(indices),
        stack.height,
        stack.width,
        str(stack.dtype),
        micrometres(stack),
        recognised.kind,
        100 * grain(unit[..., :3].mean(-1) if unit.ndim == 3 else unit),
        recipe.transform == "none" and bool(values_look_linear(plane.ravel())),
        _picture(unit),
    )


def grain(image: NDArray[Any]) -> float:
    """Return the standard deviation of what is finest in an image (Y, X), as of white noise.

    Of the second differences along both axes, which smooth structure has little of; their median,
    which edges do not move.
    """
    d = image[1:-1, 1:-1]
    around = image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]
    corners = image[:-2, :-2] + image[:-2, 2:] + image[2:, :-2] + image[2:, 2:]
    differences = np.abs(4 * d - 2 * around + corners)
    # 6: the root of the sum of the kernel's squares; 0.6745: the median of |x| of a Gaussian.
    return float(np.median(differences)) / (6 * 0.6745)


def _picture(unit: NDArray[Any]) -> str:
    bytes_ = (255 * np.clip(unit[..., :3] if unit.ndim == 3 else unit, 0, 1)).astype(np.uint8)
    image = Image.fromarray(bytes_)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    return png_uri(image)


def _alike(data: Data) -> Iterator[Alike]:
    """Yield scans of both sides that seem to show one place, the most alike first."""
    train, val = ([s for scans in side for s in scans.scans] for side in (data.train, data.val))
    found = thumbnails(train) @ thumbnails(val).T
    for place in found.flatten().argsort(descending=True)[:_PAIRS].tolist():
        one, other = divmod(place, len(val))
        if found[one, other] < ONE_PLACE:
            return
        pictures = (_scan_picture(train[one]), _scan_picture(val[other]))
        yield Alike(train[one].name, val[other].name, float(found[one, other]), pictures)


def _scan_picture(scan: Scan) -> str:
    unit = scan.crop().permute(1, 2, 0).numpy()
    return _picture(unit[..., 0] if unit.shape[2] == 1 else unit)


def _histogram(data: Data) -> tuple[float, ...]:
    """Return the shares of the pixels in equal bins of the range that is trained in."""
    counts = torch.zeros(_BINS)
    for scans in data.train:
        for scan in thinned(scans, 50).scans:
            counts += torch.histc(scan.crop(), _BINS, 0, 1)
    return tuple((counts / counts.sum()).tolist())


# --- what it takes ------------------------------------------------------------------------------


def _cost(
    request: Request, recipe: Recipe, data: Data, began: Path | None
) -> tuple[Cost, dict[str, float]]:
    """Take a step of each phase, and measure what bicubic reaches, by set."""
    hardware = request.hardware
    fabric = start(replace(hardware, precision="float32") if recipe.init else hardware)
    content, without = _content(request, recipe)
    run = assemble(recipe, data, fabric, Path(), began, content)
    table, forecast = run.timetable, Forecast(run.timetable)
    few = [thinned(scans, _PLANES) for scans in data.val]
    since = time.monotonic()
    rows, _ = validate(run.players.generator, few, recipe, fabric.device)
    each = (time.monotonic() - since) / sum(len(scans.scans) for scans in few)
    forecast.validation_took(each * sum(len(scans.scans) for scans in data.val))
    bicubic = {row["set"]: float(row["psnr_bicubic"]) for row in rows}
    pixel = adversarial = 0.0
    seconds: float | None = None
    try:
        crops = loader(Crops(data.train, table), range(1, 3), workers=0, pin=False)
        for lr, hr in crops:
            since = time.monotonic()
            lr, hr = (t.to(fabric.device) for t in (lr, hr))
            if table.pretrain:
                run.players.pixel_step(lr, hr, 0.0)
                _wait(fabric)
                pixel = time.monotonic() - since
        if table.pretrain:
            forecast.step_would_take(1, hr.shape[-1], pixel)
        if table.adversarial:
            adversarial = run.players.rehearse(lr, hr)
            forecast.step_would_take(table.total, hr.shape[-1], adversarial)
        seconds = forecast.seconds_left(0)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    held = memory_used(fabric)
    memory = peak_memory_mb() / 1e3 if held is None else held[0]
    return Cost(describe(fabric), seconds, pixel, adversarial, memory, without), bicubic


def _content(request: Request, recipe: Recipe) -> tuple[torch.nn.Module | None, str]:
    """Load VGG19 if it is at hand; nothing is fetched for a look."""
    from napari_srgan.models.vgg import load_vgg

    if not recipe.needs_vgg:
        return None, ""
    try:
        before = recipe.before_activation
        weights = request.vgg_weights
        return load_vgg(recipe.content, weights, before_activation=before, download=False), ""
    except InputError:
        return None, "VGG19, which is downloaded when the training begins (548 MB)"


def _wait(fabric: Fabric) -> None:
    if fabric.device.type == "cuda":
        torch.cuda.synchronize(fabric.device)


def _cost_text(cost: Cost) -> str:
    if cost.seconds is None:
        return f"A step does not fit into the memory here ({cost.where})."
    without = f", not counting {cost.without}" if cost.without else ""
    return (
        f"The training would take {duration(cost.seconds)} and {cost.memory_gb:.1f} GB here "
        f"({cost.where}){without}."
    )


# --- what it means ------------------------------------------------------------------------------


def advice(seen: Look, data: Data) -> Iterator[str]:
    """Say what should be looked at before the training begins, the gravest first."""
    for doubt in data.warnings:
        yield f"{doubt[:1].upper()}{doubt[1:]}."
    recipe, count = seen.recipe, len(seen.files)
    raw = sum(file.kind == "raw-oct" for file in seen.files)
    if 2 * raw > count and not data.measured:
        yield (
            f"{raw} of {count} scans look like raw OCT frames with full speckle, which cannot be "
            "predicted: expect a gain near zero. Train on averages of repeated frames; or train a "
            "restoration, on pairs of raw frames and their averages (--paired)."
        )
    linear = sum(file.linear for file in seen.files)
    if 2 * linear > count:
        yield (
            "The values look linear in intensity, nearly all of them dark: --transform power:0.25 "
            "lets the network see the layers; use it when restoring, too."
        )
    volumes = {(file.side, file.volume) for file in seen.files}
    taught = sum(side == "train" for side, _ in volumes)
    pixels = sum(scans.pixels for scans in data.train) / 1e6
    if not recipe.init and (taught < _FEW or pixels < _SMALL):
        yield (
            f"{taught} volumes of {pixels:.1f} million pixels are few to train a network on from "
            "the start; --preset finetune begins with a bundled model and needs less."
        )
    small = min(min(file.height, file.width) for file in seen.files)
    if small < 2 * max(recipe.crop):
        yield (
            f"The smallest scan has {small} px a side, less than two crops of {max(recipe.crop)} "
            "px: crops will be much alike; --crop makes them smaller."
        )
    for name, psnr in seen.bicubic.items():
        if psnr > _EASY:
            yield (
                f"Bicubic enlargement reaches {psnr:.1f} dB on {name} by itself, so that little is "
                "lost by shrinking: these scans are smooth at the pixel, and a model has next to "
                "nothing to learn from them. Take sharper scans, or a larger --scale."
            )
    if seen.histogram[-1] > _CLIPPED:
        yield (
            f"{seen.histogram[-1]:.0%} of the pixels are at the light end of the range; if the "
            "scans are saturated there, nothing can be learned of it."
        )
    sizes = [file.pixel_size for file in seen.files if file.pixel_size is not None]
    axes = list(zip(*sizes, strict=True))
    if any(max(axis) > ALIKE * min(axis) for axis in axes):
        yield "Pixel sizes differ by more than a factor of 2; train a model for each of them."
    jpeg = sum(file.name.lower().endswith((".jpg", ".jpeg")) for file in seen.files)
    if 2 * jpeg > count:
        yield "Most scans are JPEG, whose block borders a network learns; take originals."
    if seen.cost.seconds is None:
        yield "A step does not fit into the memory; give a smaller --batch or --crop."


# --- the page -----------------------------------------------------------------------------------


def render(seen: Look) -> str:
    """Lay the page out; every text in it is escaped, and it needs no other file."""
    kinds = Counter(file.kind for file in seen.files)
    return page(
        "look.html",
        seen=seen,
        cost=_cost_text(seen.cost),
        scale=scale_text(seen.recipe.factors),
        kinds=", ".join(f"{count} {kind}" for kind, count in kinds.most_common()),
        noise=_span([file.noise for file in seen.files], "{:.1f}"),
        heights=_span([file.height for file in seen.files], "{}"),
        widths=_span([file.width for file in seen.files], "{}"),
        types=", ".join(sorted({file.dtype for file in seen.files})),
        sizes=_sizes(seen.files),
        sides=[
            (title, [file for file in seen.files if file.side == side])
            for side, title in (("val", "Validated on"), ("train", "Trained on"))
        ],
        bars=_bars(seen.histogram),
    )


def _span(values: Sequence[Any], shown: str) -> str:
    least, most = shown.format(min(values)), shown.format(max(values))
    return least if least == most else f"{least} to {most}"


def _sizes(found: Sequence[FileFacts]) -> str:
    known = [file.pixel_size for file in found if file.pixel_size is not None]
    if not known:
        return "not stated"
    spans = " x ".join(_span(axis, "{:.3g}") for axis in zip(*known, strict=True))
    less = f", stated by {len(known)} of {len(found)} files" if len(known) < len(found) else ""
    return f"{spans} \N{MICRO SIGN}m (Y x X){less}"


def _bars(shares: Sequence[float]) -> list[tuple[int, float]]:
    """Return the place and height of the bars of a histogram; high ones are drawn shorter."""
    most = max(shares) ** 0.5 or 1.0
    return [(i, 100 * share**0.5 / most) for i, share in enumerate(shares)]
