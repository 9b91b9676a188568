"""Every option of a restoration, declared once: name, default, choices, help and check.

The command line, the form under Advanced, `api.upscale` and the checks follow from these fields, as
those of a training follow from `training.recipe.Recipe`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from napari_srgan.errors import InputError, did_you_mean
from napari_srgan.image.axes import MIN_SIDE
from napari_srgan.image.geometry import Factor
from napari_srgan.image.kind import KINDS

if TYPE_CHECKING:
    from napari_srgan.image.intensity import Intensity
    from napari_srgan.image.stack import Region

OpenRange = tuple[int | None, int | None]
"""A half-open range whose ends may be left to the image."""

PANELS = ("lr", "bicubic", "result", "reference")
MAP_KINDS = ("consistency", "invention", "spread", "trusted")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
BACKENDS = ("auto", "torch", "openvino")
LPIPS = ("off", "alex", "vgg")
_LPIPS_HELP = "also measure LPIPS, how different images look, by AlexNet (alex) or VGG16 (vgg)"
_LPIPS_WEIGHTS_HELP = (
    "torchvision's AlexNet or VGG16 for it, which alone asks for it too (default: torchvision's "
    "own, downloaded once)"
)


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    read: Callable[[str], Any] = str,
    metavar: str | tuple[str, ...] = "",
    noun: str = "",
    label: str = "",
    entries: tuple[tuple[str, Any], ...] = (),
    flag: str = "",
) -> Any:
    """Declare an option as the field of a dataclass.

    Parameters
    ----------
    default : object
        What is used where nothing is given; a bool makes it a switch.
    help : str
        What it does, in a line: the text of ``--help`` and of the tooltip.
    choices : tuple of str
        All values that it may have.
    read : callable
        Makes the value of typed text; raises ValueError with the reason.
    metavar : str or tuple of str
        What stands for the value in ``--help``; a tuple for as many values.
    noun : str
        What a sentence about a wrong choice calls it; its name without.
    label : str
        Before the field of a form; its name without.
    entries : tuple of (str, object)
        Texts and values that a form offers: `choices` as they are without; of a switch, the text
        beside the box.
    flag : str
        On the command line; ``--name`` without.
    """
    described = {"help": help, "choices": choices, "read": read, "metavar": metavar}
    named = {"noun": noun, "label": label, "entries": entries, "flag": flag}
    return field(default=default, metadata={**described, **named})


def read_tile(text: str) -> str | int:
    """Read ``auto`` or a number of pixels."""
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"'{text}' is neither auto nor a number of pixels above 0")
    return int(text)


def read_number(text: str) -> int:
    """Read the number of a slice, a channel, a series or a level."""
    if not text.isdecimal():
        raise ValueError(f"'{text}' is not a number from 0")
    return int(text)


def read_range(text: str) -> OpenRange:
    """Read A:B, both ends optional as in Python."""
    match = re.fullmatch(r"\s*(\d*):(\d*)\s*", text)
    if not match:
        raise ValueError(f"'{text}' is not a range like 10:20")
    start, stop = (int(end) if end else None for end in match.groups())
    return start, stop


def read_roi(text: str) -> dict[str, OpenRange]:
    """Read Y0:Y1,X0:X1."""
    parts = text.split(",")
    if len(parts) != 2:
        raise ValueError(f"'{text}' is not a region like 0:256,100:356 (Y,X)")
    return {"Y": read_range(parts[0]), "X": read_range(parts[1])}


_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
LEAST_MEMORY = 10**8
"""Bytes that `--memory` asks for at least: a tile of 16 px and the pixels around it."""


def read_memory(text: str) -> int:
    """Read an amount of memory like 2 GB, 500MB or 1.5GiB, in bytes."""
    match = re.fullmatch(r"\s*(\d+\.?\d*)\s*([A-Za-z]*)\s*", str(text))
    if match is None or match[2].lower() not in _BYTES:
        raise ValueError(f"'{text}' is not an amount of memory like 2GB or 500MB")
    amount = int(float(match[1]) * _BYTES[match[2].lower()])
    if amount < LEAST_MEMORY:
        raise ValueError(f"'{text}' is too little memory; give at least 100MB")
    return amount


def checked_tile(tile: int | str) -> int | None:
    """Return the side of a tile that is asked for, None for auto; InputError if it is neither."""
    if str(tile).strip().lower() == "auto":
        return None
    try:
        side = int(str(tile))
    except ValueError:
        side = 0
    if side < MIN_SIDE:
        raise InputError(
            f"The tile {tile!r} must be auto or a whole number of pixels, {MIN_SIDE} or more."
        )
    return side


def checked_outscale(given: Any) -> Factor | None:
    """Return the factor along Y and X that is asked for, None for auto.

    Parameters
    ----------
    given : str, number or pair of numbers
        "auto", one number for both, or two; a text holds two with a comma between them.

    Raises
    ------
    InputError
        If it is none of these, or a number is below 1.
    """
    parts = given.split(",") if isinstance(given, str) else given
    if [str(part).strip().lower() for part in _listed(parts)] == ["auto"]:
        return None
    try:
        numbers = [float(part) for part in _listed(parts)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (1, 2) or not all(1 <= n < math.inf for n in numbers):
        raise InputError(
            f"The outscale {given!r} must be auto, a number from 1 on, or two of them for Y and X "
            "like 1,4."
        )
    return numbers[0], numbers[-1]


def _listed(parts: Any) -> list[Any]:
    return list(parts) if isinstance(parts, (list, tuple)) else [parts]


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """How an image is restored, and which part of it.

    Attributes
    ----------
    model : str or Path
        "auto", a name of the catalogue, or a model file.
    device, precision : str
        See `engine.devices`.
    backend : str
        See `engine.backends`.
    tile : "auto" or int
        Side of a tile's interior in LR pixels; the halo is added. It changes time and memory,
        not the result.
    memory : str
        What the work may take beside the program and a result in memory, as ``1GB`` or ``500MB``.
        It changes tiles and time, not the result.
    intensity : str or Intensity
        A mode of `intensity.measure`, or a range that was measured before.
    transform : str
        none, log or power:P; auto: what the kind of image asks for where the data are linear.
    kind : str
        Of `KINDS`, or auto: what `image.kind.recognise` finds. It says what "auto" is for model and
        transform.
    nan : {"refuse", "fill"}
        What to do about NaN and infinities.
    back_project : bool
        Make the result reproduce the measured data; see `trust.back_projection`.
    anonymise : bool
        Keep the input's name and metadata out of the result.
    outscale : str, float or (float, float)
        How many times finer the result is, along Y and X: what the model makes is resized to it.
        "auto": as the model makes it.
    factor_axes : {"both", "lateral"}
        "lateral": only X becomes finer.
    region : mapping of axis letter to (start, stop), optional
        The part to restore, in pixels of the input; axes left out are whole.

    Raises
    ------
    InputError
        If a value is none that its option may have.
    """

    model: str | Path = option(
        "auto", "name or file of a model; auto is the one for the kind of image"
    )
    kind: str = option(
        "auto",
        "kind of image, which decides what auto is; auto: told from the pixels",
        choices=("auto", *KINDS),
        noun="kind of image",
    )
    device: str = option(
        "auto",
        "auto, cpu, cuda[:N] or mps; auto is the GPU if there is one",
        entries=(("auto", "auto"), ("cpu", "cpu")),
    )
    precision: str = option(
        "auto",
        "arithmetic of the network; auto: the fastest that stays close to float32",
        choices=PRECISIONS,
    )
    backend: str = option(
        "auto",
        "what computes the network: torch, or openvino on CPUs, which is on trial; auto is torch",
        choices=BACKENDS,
    )
    tile: int | str = option(
        "auto",
        "side of a tile in input pixels; it changes memory and speed, never the result",
        read=read_tile,
        metavar="PX",
        entries=(("auto", "auto"), *((f"{n} px", n) for n in (64, 128, 256, 512, 1024))),
    )
    memory: str = option(
        "1GB",
        "memory that the work may take beside the program and a result in memory, as 500MB or 4GB",
        metavar="SIZE",
    )
    intensity: str | Intensity = option(
        "auto",
        "auto, minmax, dtype, percentile:A,B or LO:HI; one range for all slices",
        metavar="RANGE",
    )
    transform: str = option(
        "auto",
        "none, log or power:P, applied before and inverted afterwards; auto: power:0.25 for OCT "
        "that is linear in intensity, else none",
        metavar="T",
    )
    nan: str = option(
        "refuse",
        "fill: restore around NaN and infinity and put them back",
        choices=("refuse", "fill"),
        noun="choice for NaN",
        label="NaN",
        entries=(("refuse", "refuse"), ("fill, then put back", "fill")),
    )
    back_project: bool = option(
        False,
        "make the result reproduce the measured data, for models of the degradations area "
        "(exactly) and bicubic",
        label="Back-project",
        entries=(("reproduce the data", True),),
    )
    anonymise: bool = option(
        False,
        "record no file name in the results, and say none on standard error",
        entries=(("hide the name", True),),
    )
    outscale: str | float | Factor = option(
        "auto",
        "how many times finer the result is, S or SY,SX: the model's result is resized to it, "
        "antialiased; auto: the model's own factor",
        metavar="S",
    )
    factor_axes: str = option(
        "both",
        "lateral: only X becomes finer, as the lateral axis of an OCT frame; by a model for that "
        "if there is one, else Y is shrunk again",
        choices=("both", "lateral"),
        noun="choice of axes",
        label="Enlarge",
        entries=(("Y and X", "both"), ("X only (lateral)", "lateral")),
    )
    region: Region | None = None

    def __post_init__(self) -> None:
        checked(self)
        checked_tile(self.tile)
        checked_outscale(self.outscale)
        self.memory_bytes  # noqa: B018 (it refuses what is none)

    @property
    def memory_bytes(self) -> int:
        """The memory in bytes; InputError if it is no amount."""
        try:
            return read_memory(self.memory)
        except ValueError as error:
            raise InputError(f"The memory {error}.") from None

    def unresized(self) -> Self:
        """Return the options of the model's own result, which is what can be measured."""
        return replace(self, outscale="auto", factor_axes="both")


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """Which part of a file is meant, as it is typed.

    Attributes
    ----------
    axes : str or None
        Letters of T C Z Y X S in the order of the file; None: from the file.
    series : int or None
        Number of one of several images in the file, from 0; None: the largest.
    level : int
        Of OME-Zarr the level that is taken: 0 is the image, the others are coarser.
    slices : (start, stop) or None
        Range along Z, or along T where there is no Z; an end that is None is the image's.
    roi : mapping of Y and X to (start, stop), or None
        None for the whole plane.
    """

    axes: str | None = option(
        None,
        "axes of the pixels in order, of TCZYXS (default: from each file)",
        read=str.upper,
        metavar="LETTERS",
    )
    series: int | None = option(
        None,
        "which of several images in a file, counted from 0 (default: the largest)",
        read=int,
        metavar="N",
    )
    level: int = option(
        0,
        "which level of an OME-Zarr image; 0 is the finest",
        read=read_number,
        metavar="N",
    )
    slices: OpenRange | None = option(
        None,
        "slices A to B-1, counted from 0, of Z or else of T",
        read=read_range,
        metavar="A:B",
    )
    roi: Mapping[str, OpenRange] | None = option(
        None,
        "a region, in input pixels from 0",
        read=read_roi,
        metavar="Y0:Y1,X0:X1",
    )


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How a result is written to a file.

    Attributes
    ----------
    ome_zarr : {"0.4", "0.5"}
        Version of OME-Zarr.
    resume : bool
        Go on with what a run that was stopped has left unfinished, if it has, and leave what is
        done where this one is stopped.

    Raises
    ------
    InputError
        If a value is none that its option may have.
    """

    ome_zarr: str = option(
        "0.4",
        "version of OME-Zarr that .zarr outputs have: 0.4, which most programs read, or 0.5, whose "
        "shards make a sixteenth of the files",
        choices=("0.4", "0.5"),
        noun="version of OME-Zarr",
    )
    resume: bool = option(
        False,
        "go on with an output that a run has left unfinished, and keep what is done when this one "
        "is stopped",
    )

    def __post_init__(self) -> None:
        checked(self)


def read_part(text: str) -> tuple[int, int]:
    """Read K/N, one of N equal parts, counted from 1."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"'{text}' is not a part like 3/16, counted from 1 to 16")
    return number, count


@dataclass(frozen=True, kw_only=True)
class ShareOptions:
    """What one of several jobs does with the store that they fill together.

    Attributes
    ----------
    prepare : bool
        Lay it out.
    slice_of : (int, int) or None
        Restore part K of N, counted from 1.
    finish : bool
        Put it in place when all planes are done.
    workers : int
        Do all of that by so many processes here; 0: by none.
    scheduler : str
        Do all of that by the workers of the dask cluster of this address; "": of none.

    Raises
    ------
    InputError
        If it is to do two of them at once.
    """

    prepare: bool = option(
        False,
        "lay out a .zarr output for several jobs, which then fill it with --slice-of K/N, or "
        "--slices A:B --resume",
    )
    slice_of: tuple[int, int] | None = option(
        None,
        "restore part K of N of the planes into an output that --prepare has laid out; K from 1",
        read=read_part,
        metavar="K/N",
    )
    finish: bool = option(
        False, "put an output that --prepare has laid out in place, when all its planes are done"
    )
    workers: int = option(
        0,
        "make a .zarr output by so many processes on this machine, with dask.distributed",
        read=read_number,
        metavar="N",
    )
    scheduler: str = option(
        "",
        "make a .zarr output by the workers of the dask cluster at this address, as tcp://host:8786",
        metavar="ADDRESS",
    )

    def __post_init__(self) -> None:
        given = (self.prepare, self.slice_of, self.finish, self.workers, self.scheduler)
        if sum(map(bool, given)) > 1:
            raise InputError(
                "--prepare, --slice-of, --finish, --workers and --scheduler do different things; "
                "give one of them at a time."
            )


def read_kinds(text: str) -> tuple[str, ...]:
    """Read a list of trust maps."""
    kinds = tuple(dict.fromkeys(k.strip() for k in text.split(",") if k.strip()))
    if not kinds or not set(kinds) <= set(MAP_KINDS):
        raise ValueError(f"'{text}' is not a list of {', '.join(MAP_KINDS)}")
    return kinds


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """Which trust maps are made of a result.

    Attributes
    ----------
    maps : tuple of str, or None
        Of `MAP_KINDS`; None: all that fit the model.
    fidelity : str or Path or None
        Model that inventions are measured from; None: the one that belongs to the model.
    symmetries : {"auto", "lateral", "all"}
        Mirror images of the spread.

    Raises
    ------
    InputError
        If a value is none that its option may have.
    """

    maps: tuple[str, ...] | None = option(
        None,
        "some of consistency,invention,spread,trusted (default: consistency and spread, invention "
        "where the model has a fidelity model of its own degradation, and trusted where it is "
        "calibrated for the kind of image)",
        read=read_kinds,
        metavar="KINDS",
    )
    fidelity: str | Path | None = option(
        None,
        "model that inventions are measured from (default: the one that belongs to --model)",
        metavar="M",
    )
    symmetries: str = option(
        "auto",
        "mirror images of the spread: lateral, all eight, or auto: as in training",
        choices=("auto", "lateral", "all"),
    )

    def __post_init__(self) -> None:
        for kind in self.maps or ():
            if kind not in MAP_KINDS:
                raise InputError(f"There is no map '{kind}'; known are {', '.join(MAP_KINDS)}.")
        checked(self)


def read_pixels(text: str) -> int:
    """Read a number of pixels."""
    if not text.isdecimal():
        raise ValueError(f"'{text}' is not a number of pixels from 0")
    return int(text)


def read_above_zero(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"'{text}' is not a number above 0")
    return value


def read_threshold(text: str) -> Fraction:
    """Read a number between 0 and 1, such as 1/7."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value < 1:
        raise ValueError(f"'{text}' is not a number between 0 and 1, as 1/7")
    return value


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """How images are compared with a reference.

    Attributes
    ----------
    mode : {"rgb", "y"}
        See `measure.planes.Settings`.
    border : int
        Pixels of the reference.
    data_range : float or None
        None: by the reference.
    frc : bool
        Whether Fourier ring correlation is wanted.
    frc_threshold : Fraction or None
        Where the resolution is read; None: 1/2.
    lpips : {"off", "alex", "vgg"}
    lpips_weights : Path or None
        See `models.lpips.wanted_lpips`.

    Raises
    ------
    InputError
        If a value is none that its option may have, or a threshold is given for rings that are
        not wanted.
    """

    mode: Literal["rgb", "y"] = option(
        "rgb",
        "rgb: all samples of a colour image alike; y: MATLAB's Y channel, as published tables, for "
        "8-bit RGB images",
        choices=("rgb", "y"),
    )
    border: int = option(0, "reference pixels left out on each side", read=read_pixels, metavar="N")
    data_range: float | None = option(
        None,
        "data range that PSNR and SSIM refer to (default: 255 for uint8, else the stored range of "
        "the whole reference)",
        read=read_above_zero,
        metavar="X",
        flag="--range",
    )
    frc: bool = option(False, "Fourier ring correlation with the reference in the middle slice")
    frc_threshold: Fraction | None = option(
        None,
        "with --frc: 1/2 against a reference, 1/7 for two independent acquisitions (default: 1/2)",
        read=read_threshold,
        metavar="T",
    )
    lpips: str = option("off", _LPIPS_HELP, choices=LPIPS)
    lpips_weights: Path | None = option(None, _LPIPS_WEIGHTS_HELP, read=Path, metavar="FILE")

    def __post_init__(self) -> None:
        checked(self)
        if self.frc_threshold is not None and not self.frc:
            raise InputError("--frc-threshold needs --frc beside it; add that or leave this out.")

    @property
    def rings(self) -> float | None:
        """The threshold of the rings, None if they are not wanted."""
        return float(self.frc_threshold or Fraction(1, 2)) if self.frc else None


def read_panels(text: str) -> tuple[str, ...]:
    """Read what a figure shows, separated by commas."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in PANELS:
            raise ValueError(f"'{name}' is none of {', '.join(PANELS)}")
    return names


def read_inset(text: str) -> str:
    """Read auto, none or Y0:Y1,X0:X1."""
    if text not in ("auto", "none"):
        read_roi(text)
    return text


_CHANNEL_HELP = "one channel, from 0 (default: all of them, merged in their colours)"
_PANELS_HELP = "what is shown, of lr, bicubic, result and reference (default: all that is given)"


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """What a figure shows.

    Attributes
    ----------
    panels : tuple of str or None
        Of `PANELS`; None: all that there is.
    inset : str
        "auto", "none", or Y0:Y1,X0:X1 in pixels of the finest image.
    show : int or None
        The slice along Z or T, or C where channels are not merged; None: the middle one.
    channel : int or None
        One channel; None: all, merged in their colours.
    width : float
        Millimetres.
    """

    panels: tuple[str, ...] | None = option(None, _PANELS_HELP, read=read_panels, metavar="A,B")
    inset: str = option(
        "auto",
        "the part that is enlarged below: auto (most detail), none, or pixels of the result",
        read=read_inset,
        metavar="Y0:Y1,X0:X1",
    )
    show: int | None = option(
        None,
        "the slice, of Z, T or C (default: the middle one)",
        read=read_number,
        metavar="N",
    )
    channel: int | None = option(None, _CHANNEL_HELP, read=read_number, metavar="N")
    width: float = option(180.0, "mm at 300 dpi", read=read_above_zero, metavar="MM")


@dataclass(frozen=True, kw_only=True)
class MovieOptions:
    """What a movie through the slices shows.

    Attributes
    ----------
    panels : tuple of str or None
        Of `PANELS`; None: all that there is.
    channel : int or None
        One channel; None: all, merged in their colours.
    fps : float
        Slices a second.
    width : int
        Pixels.
    """

    panels: tuple[str, ...] | None = option(None, _PANELS_HELP, read=read_panels, metavar="A,B")
    channel: int | None = option(None, _CHANNEL_HELP, read=read_number, metavar="N")
    fps: float = option(8.0, "slices a second", read=read_above_zero, metavar="N")
    width: int = option(1280, "pixels", read=read_pixels, metavar="PX")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How a model is measured on high-resolution images; None is what model or protocol ask for.

    Attributes
    ----------
    model, device : str
        As for a restoration.
    protocol : {"data", "paper"}
    degradation : str or None
        A name of `degradation.NAMES`.
    blur, speckle, noise : sequence of two float, or None
        Ranges of `degradation.BlurNoise`.
    intensity, transform : str or None
    vgg_weights : Path or None
    lpips : {"off", "alex", "vgg"}
    lpips_weights : Path or None
        See `models.lpips.wanted_lpips`.

    Raises
    ------
    InputError
        If a value is none that its option may have.
    """

    model: str = option("auto", "name or file of a model")
    protocol: str = option(
        "data",
        "data: all pixels in the range of --intensity; paper: as published tables, with MATLAB's "
        "bicubic and Y channel, 8-bit rounding and a border left out",
        choices=("data", "paper"),
    )
    degradation: str | None = option(
        None,
        "bicubic, area, decimate or blur-noise (default: what the model was trained on)",
        metavar="D",
    )
    blur: Sequence[float] | None = option(
        None,
        "standard deviation of the PSF of blur-noise, HR pixels, drawn between two values "
        "(default: what the model was trained on)",
        read=float,
        metavar=("LO", "HI"),
    )
    speckle: Sequence[float] | None = option(
        None,
        "contrast of the speckle of blur-noise, drawn between two values (default: what the model "
        "was trained on)",
        read=float,
        metavar=("LO", "HI"),
    )
    noise: Sequence[float] | None = option(
        None,
        "standard deviation of the noise of blur-noise, of range 1, drawn between two values "
        "(default: what the model was trained on)",
        read=float,
        metavar=("LO", "HI"),
    )
    intensity: str | None = option(
        None,
        "auto, minmax, dtype, percentile:A,B or LO:HI, which becomes range 1 (default: auto)",
        metavar="RANGE",
    )
    transform: str | None = option(
        None, "none, log or power:P, before that (default: none)", metavar="T"
    )
    device: str = option("auto", "auto, cpu, cuda[:N] or mps; auto is the GPU if there is one")
    vgg_weights: Path | None = option(
        None,
        "also measure distances of VGG19's features, by these weights (torchvision's)",
        read=Path,
        metavar="FILE",
    )
    lpips: str = option("off", _LPIPS_HELP, choices=LPIPS)
    lpips_weights: Path | None = option(None, _LPIPS_WEIGHTS_HELP, read=Path, metavar="FILE")

    def __post_init__(self) -> None:
        checked(self)

    @property
    def ranges(self) -> dict[str, Sequence[float]]:
        """The ranges that are given."""
        given = {"blur": self.blur, "speckle": self.speckle, "noise": self.noise}
        return {key: value for key, value in given.items() if value is not None}


def read_alpha(text: str) -> float:
    """Read a number between 0 and 1."""
    return float(read_threshold(text))


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """What the trust masks of a model are to promise, and how it is calibrated.

    Attributes
    ----------
    model : str or Path
        A name of the catalogue, or a model file.
    alpha : float
    tolerance : float
        % of the range.
    kind : str
        Of `KINDS`, or auto.
    score : str
        Of `trust.scores.SCORES`, or auto.
    by_folder : bool
    device : str

    Raises
    ------
    InputError
        If a value is none that its option may have.
    """

    model: str | Path = option("auto", "name or file of the model")
    alpha: float = option(
        0.1,
        "expected share of the trusted pixels that are off by more than the tolerance, at most",
        read=read_alpha,
        metavar="A",
    )
    tolerance: float = option(
        5.0,
        "error above which a pixel is off, in % of the intensity range",
        read=read_above_zero,
        metavar="T",
    )
    kind: str = option(
        "auto",
        "kind of image that the calibration is for; auto: what most of the images are taken for",
        choices=("auto", *KINDS),
        noun="kind of image",
    )
    score: str = option(
        "auto",
        "score that pixels are trusted by; auto: of those that there are for the model, the one "
        "that trusts most, told on a quarter of the images, which no threshold is chosen on",
        choices=("auto", "detail", "consistency", "invention", "spread"),
    )
    by_folder: bool = option(
        False,
        "all images of a folder count as one: a volume, an eye, a specimen; else each file is one",
    )
    device: str = option("auto", "auto, cpu, cuda[:N] or mps; auto is the GPU if there is one")

    def __post_init__(self) -> None:
        checked(self)


def declared(cls: type) -> list[Field[Any]]:
    """Return the fields of a dataclass that were declared as options, in their order."""
    return [f for f in fields(cls) if "help" in f.metadata]


def chosen_values(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a dataclass's options that are not as they are where nobody chose."""
    known = {f.name: f.default for f in declared(cls)}
    return {name: value for name, value in values.items() if known.get(name, value) != value}


def as_typed(values: Mapping[str, Any]) -> dict[str, str | bool]:
    """Write options as they are typed: text, and True or False for a switch."""
    return {name: v if isinstance(v, bool) else _text(v) for name, v in values.items()}


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def from_typed(cls: type, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Read options of a dataclass that were written by `as_typed`.

    Raises
    ------
    ValueError
        If there is no option of that name, or the text is none of its values.
    """
    options, values = {f.name: f for f in declared(cls)}, {}
    for name, text in typed.items():
        if name not in options:
            raise ValueError(f"there is no option {name!r}{did_you_mean(name, options)}")
        is_switch = isinstance(options[name].default, bool)
        if not isinstance(text, bool if is_switch else str):
            wanted = "true or false" if is_switch else "text"
            raise ValueError(f"its {name} must be {wanted}, not {text!r}")
        values[name] = text if is_switch else options[name].metadata["read"](text)
    return values


def checked(options: Any) -> None:
    """Hold a dataclass of options to their choices, spelt as declared; InputError if one is none.

    Parameters
    ----------
    options : dataclass
        With fields of `option`; a frozen one is corrected in place while it is being made.
    """
    for f in declared(type(options)):
        choices = f.metadata["choices"]
        if not choices:
            continue
        value = str(getattr(options, f.name)).strip().lower()
        if value not in choices:
            noun = f.metadata["noun"] or f.name.replace("_", " ")
            raise InputError(
                f"The {noun} {getattr(options, f.name)!r} is not known; give {', '.join(choices)}."
            )
        object.__setattr__(options, f.name, value)
