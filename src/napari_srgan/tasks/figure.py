"""A figure: LR input, bicubic, result and reference beside each other, with one inset.

All show the same part, with one gray scale; several channels are merged in their colours. Pixels
are as long as wide as the data say. A scale bar is drawn only where the pixel size is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from napari_srgan.engine.record import Record
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.detail import busiest
from napari_srgan.image.geometry import Scale
from napari_srgan.image.stack import Stack
from napari_srgan.image.units import convert, is_length, ome_symbol
from napari_srgan.image.views import values_range
from napari_srgan.io.appearance import COLOURS, Appearance, appearance_of, channel_colours
from napari_srgan.io.atomic import check_place, whole_file
from napari_srgan.io.open import open_stack, spare_inputs
from napari_srgan.measure.grid import (
    index_in,
    matched,
    middle_plane,
    on_reference_grid,
    refuse_invalid_plane,
)
from napari_srgan.options import FigureOptions, read_roi
from napari_srgan.tasks.sheet import (
    DPI,
    Box,
    Outline,
    Picture,
    Sheet,
    Words,
    raster,
    shortened,
    svg,
    text_width,
)
from napari_srgan.tasks.steps import Progress, Work

FIGURES = (".png", ".svg")
_ENDINGS = f"figures are written as {' or '.join(FIGURES)}."
_MM = 25.4
_GAP = 16  # page pixels, about 1.4 mm at 300 dpi
_TEXT = 33  # 8 points
_LINE = 4
_MARK = "#ffd84d"
_INSET = 5  # the inset is one part in so many of the width
_PERCENTILES = (0.1, 99.9)


@dataclass(frozen=True)
class Look:
    """How a channel is drawn: the colour of its white, and the values that are black and white."""

    colour: tuple[int, ...]
    limits: tuple[float, float]


@dataclass(frozen=True)
class Shown:
    """The stacks that a figure or a movie shows.

    Attributes
    ----------
    low : Stack or None
        The LR input; bicubic is made of it.
    result, reference : Stack or None
        On one grid, a whole number of times finer than that of `low`.
    limits : (float, float) or None
        Values that become black and white; None: the 0.1 and 99.9 percentiles of the finest image
        in each plane shown, 0 and 255 for colours of 8 bits.
    channel : int or None
        The one channel that is shown; None: all, merged in their colours.
    looks : tuple of Look
        How each channel is drawn where they are merged; by default in the colours of the file, and
        between the same percentiles.
    captions : mapping of a panel's name to str
        What stands above it in the place of its usual label.

    Raises
    ------
    InputError
        If there is none, or their kinds, planes or sizes do not fit together.
    """

    low: Stack | None = None
    result: Stack | None = None
    reference: Stack | None = None
    limits: tuple[float, float] | None = None
    channel: int | None = None
    looks: tuple[Look, ...] = ()
    captions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fine = [s for s in (self.reference, self.result) if s is not None]
        for other in fine[1:]:
            if matched(fine[0], other) != (1, 1):
                raise InputError(
                    f"{fine[0].name} and {other.name} have other sizes; a figure shows a result "
                    "and a reference of the same size."
                )
        if self.low is not None and fine:
            matched(fine[0], self.low)
        if self.low is None and not fine:
            raise InputError("There is nothing to show; give a result, an LR input or a reference.")

    @property
    def finest(self) -> Stack:
        """The stack whose grid the page is laid out on."""
        found = self.reference or self.result or self.low
        assert found is not None
        return found

    @property
    def scale(self) -> Scale:
        """How many times finer that grid is than the LR input's."""
        return (1, 1) if self.low is None else matched(self.finest, self.low)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What there is to show, of `options.PANELS`."""
        there = {"result": self.result, "reference": self.reference}
        fine = tuple(name for name, stack in there.items() if stack is not None)
        low = () if self.low is None else ("lr", "bicubic") if fine else ("lr",)
        return (*low, *fine)

    def chosen(self, panels: tuple[str, ...] | None) -> tuple[str, ...]:
        """Give the panels that are asked for, all by default, in their order.

        Raises
        ------
        InputError
            If one of them is not there.
        """
        for name in panels or ():
            if name not in self.kinds:
                raise InputError(
                    f"There is no '{name}' to show; what was given makes {', '.join(self.kinds)}."
                )
        return tuple(name for name in self.kinds if panels is None or name in panels)

    def plane(self, show: int | None) -> tuple[int, ...]:
        """Find the plane of a slice number along `axis`; the middle one by default.

        Raises
        ------
        InputError
            If there is no such slice or channel.
        """
        index = list(middle_plane(self.finest))
        axis = self.axis
        if self.channel is not None:
            count = self.finest.sizes.get("C", 1)
            if not 0 <= self.channel < count:
                raise InputError(
                    f"There is no channel {self.channel}; {self.finest.name} has {count}, which "
                    "are numbered from 0."
                )
            if "C" in self.finest.plane_axes:
                index[self.finest.plane_axes.index("C")] = self.channel
        if show is not None:
            last = self.finest.sizes[axis] - 1 if axis else 0
            if not 0 <= show <= last:
                raise InputError(f"There is no slice {show}; they are numbered from 0 to {last}.")
            if axis:
                index[self.finest.plane_axes.index(axis)] = show
        return tuple(index)

    @property
    def axis(self) -> str | None:
        """The axis that slices are counted along: Z, else T, else C where it is not merged."""
        sizes, all_channels = self.finest.sizes, self.channel is None and not self.is_merged
        axes = "ZTC" if all_channels else "ZT"
        return next((a for a in axes if sizes.get(a, 1) > 1), None)

    @property
    def is_merged(self) -> bool:
        """Whether channels are merged in their colours; more than have colours are a spectrum."""
        return self.channel is None and 1 < self.finest.sizes.get("C", 1) <= len(COLOURS)

    def looks_at(self, index: tuple[int, ...]) -> tuple[Look, ...]:
        """Say how the channels are drawn that are merged; limits are those of this plane."""
        if self.looks:
            return self.looks
        stacks = [s for s in (self.finest, self.low) if s is not None]
        known = [found for s in stacks if (found := appearance_of(s.metadata))]
        planes = of_channels(self.finest, index)
        colours = channel_colours((*known, Appearance())[0].channels(len(planes)))
        return tuple(
            Look(
                ImageColor.getrgb(COLOURS.get(colour, colour)),
                self.limits or limits_of(self.finest, at),
            )
            for colour, at in zip(colours, planes, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Panel:
    """One image of a page: its label and its pixels, and how many of the finest one of them is."""

    label: str
    pixels: NDArray[np.uint8]
    scale: Scale


def panels_of(shown: Shown, kinds: Sequence[str], index: tuple[int, ...]) -> list[Panel]:
    """Read a plane of what is shown, in 8 bits and in one gray scale, or one for each channel.

    Raises
    ------
    InputError
        If a plane holds NaN or infinity.
    """
    base = shown.finest

    def read(stack: Stack, index: tuple[int, ...]) -> NDArray[Any]:
        at = index_in(stack, base, index)
        plane = stack.read(at)
        refuse_invalid_plane(plane, stack, at)
        return as_channels(plane, 3) if plane.ndim == 3 else plane

    stacks = {"lr": shown.low, "bicubic": shown.low, "result": shown.result}
    stacks["reference"] = shown.reference
    merged = shown.is_merged
    planes = of_channels(base, index) if merged else [index]
    looks = shown.looks_at(index) if merged else ()
    limits = [look.limits for look in looks] or [shown.limits or limits_of(base, index)]
    made = []
    for kind in kinds:
        stack = stacks[kind]
        assert stack is not None
        drawn = []
        for at, ends in zip(planes, limits, strict=True):
            plane = read(stack, at)
            if kind == "bicubic":
                plane, _ = on_reference_grid(plane, (base.height, base.width))
            drawn.append(_in_bytes(plane, ends))
        pixels = _merged(drawn, looks) if merged else drawn[0]
        label = shown.captions.get(kind) or _label(kind, stack)
        made.append(Panel(label, pixels, shown.scale if kind == "lr" else (1, 1)))
    return made


def figure(shown: Shown, options: FigureOptions, index: tuple[int, ...] | None = None) -> Sheet:
    """Lay a figure out.

    Parameters
    ----------
    shown : Shown
    options : FigureOptions
    index : tuple of int, optional
        The plane, over all axes of `shown.finest` but Y, X and S; by `options.show` without.

    Returns
    -------
    Sheet
        As wide as is asked for, at 300 dpi.

    Raises
    ------
    InputError
        If a panel, the slice or the inset is not there, or the figure is too narrow.
    """
    shown = replace(shown, channel=options.channel)
    base, kinds = shown.finest, shown.chosen(options.panels)
    panels = panels_of(shown, kinds, shown.plane(options.show) if index is None else index)
    width = round(options.width / _MM * DPI)
    sides, size = pixel_sides(base)
    side = (width - _GAP * (len(panels) - 1)) // len(panels)
    if side < 100:
        raise InputError(
            f"{len(panels)} panels do not fit {options.width:g} mm; make the figure wider."
        )
    inset = _inset(shown, options.inset, panels[-1], sides)
    pages = [Part((0, base.height), (0, base.width)), *([inset] if inset else [])]
    items: list[Any] = []
    top = _TEXT + _GAP
    for page in pages:
        height = page.height_for(side, sides)
        for number, panel in enumerate(panels):
            box = Box(number * (side + _GAP), top, side, height)
            items.append(Picture(box, page.of(panel)))
            if page is not inset and inset:
                items.append(Outline(inset.box_in(page, box), _MARK, _LINE))
            if page is inset:
                items.append(Outline(box, _MARK, _LINE))
        if size:
            first = Box(0, top, side, height)
            items += scale_bar(first, (page.cols[1] - page.cols[0]) * size[0], size[1], _TEXT)
        top += height + _GAP
    for number, panel in enumerate(panels):
        text = shortened(panel.label, _TEXT, side)
        items.append(Words(number * (side + _GAP) + side // 2, _TEXT, text, _TEXT, centred=True))
    return Sheet(width, top - _GAP, tuple(items))


def figure_files(
    low: Path | None,
    result: Path | None,
    reference: Path | None,
    output: Path,
    options: FigureOptions,
    overwrite: bool = False,
) -> Work[Sheet]:
    """Draw a figure of files; see `figure` and `write_figure`."""
    check_place(output, overwrite, FIGURES, _ENDINGS)
    spare_inputs([output], [low, result, reference])
    shown = shown_files(low, result, reference)
    return (yield from write_figure(shown, output, options, overwrite=overwrite))


def shown_files(low: Path | None, result: Path | None, reference: Path | None) -> Shown:
    """Open what is to be shown; nothing is read."""
    opened = [None if path is None else open_stack(path) for path in (low, result, reference)]
    return Shown(low=opened[0], result=opened[1], reference=opened[2])


def write_figure(
    shown: Shown,
    output: Path,
    options: FigureOptions,
    index: tuple[int, ...] | None = None,
    overwrite: bool = True,
) -> Work[Sheet]:
    """Draw a figure and write it.

    Parameters
    ----------
    shown, options, index
        As of `figure`.
    output : Path
        PNG or SVG by its ending.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    Sheet

    Raises
    ------
    InputError
        As of `figure`, and if the file has another ending, or is there.
    OSError
        If it cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in FIGURES:
        raise InputError(f"{output.name}: {_ENDINGS}")
    with whole_file(output, overwrite) as partial:
        yield Progress(0, 1, stage="Drawing")
        sheet = figure(shown, options, index)
        if suffix == ".svg":
            partial.write_text(svg(sheet), "utf-8")
        else:
            raster(sheet).save(partial, "PNG", dpi=(DPI, DPI))
    return sheet


# --- parts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A part of a plane: rows and columns of the finest grid, half-open."""

    rows: tuple[int, int]
    cols: tuple[int, int]

    def of(self, panel: Panel) -> NDArray[np.uint8]:
        """Cut it out of a panel."""
        (y0, y1), (x0, x1) = self.rows, self.cols
        sy, sx = panel.scale
        return panel.pixels[y0 // sy : y1 // sy, x0 // sx : x1 // sx]

    def height_for(self, width: int, sides: tuple[float, float]) -> int:
        """Give the height on the page that belongs to a width."""
        high = (self.rows[1] - self.rows[0]) * sides[0]
        wide = (self.cols[1] - self.cols[0]) * sides[1]
        return max(1, round(width * high / wide))

    def box_in(self, whole: Part, box: Box) -> Box:
        """Find where on the page it lies, in a picture of another part."""
        tall, wide = whole.rows[1] - whole.rows[0], whole.cols[1] - whole.cols[0]
        y = [box.y + round((r - whole.rows[0]) * box.height / tall) for r in self.rows]
        x = [box.x + round((c - whole.cols[0]) * box.width / wide) for c in self.cols]
        return Box(x[0], y[0], x[1] - x[0], y[1] - y[0])


def _inset(shown: Shown, wanted: str, panel: Panel, sides: tuple[float, float]) -> Part | None:
    """Find the inset; its ends lie on LR pixels, or the panels would not show the same."""
    base, (sy, sx) = shown.finest, shown.scale
    if wanted == "none":
        return None
    if wanted != "auto":
        region = read_roi(wanted)
        ends = []
        for (lo, hi), n, step in zip(
            region.values(), (base.height, base.width), (sy, sx), strict=True
        ):
            first, last = lo or 0, n if hi is None else hi
            if not 0 <= first < last <= n:
                raise InputError(
                    f"The inset {wanted} does not lie in the image of {base.height} x {base.width} "
                    "px; it is given in pixels of the finest image."
                )
            ends.append((first // step * step, min(-(-last // step) * step, n)))
        return Part(ends[0], ends[1])
    cols = max(base.width // _INSET, 8)
    rows = min(max(round(cols * sides[1] / sides[0] * 0.75), 8), base.height)
    rows, cols = max(rows // sy, 1) * sy, max(cols // sx, 1) * sx
    if rows >= base.height and cols >= base.width:
        return None
    middle = busiest(as_channels(panel.pixels, 1), (rows, cols))
    starts = [
        int(np.clip(round(m + 0.5 - n / 2), 0, size - n)) // step * step
        for m, n, size, step in zip(
            middle, (rows, cols), (base.height, base.width), (sy, sx), strict=True
        )
    ]
    return Part((starts[0], starts[0] + rows), (starts[1], starts[1] + cols))


def pixel_sides(stack: Stack) -> tuple[tuple[float, float], tuple[float, str] | None]:
    """Give how long pixels are along Y and X.

    Returns
    -------
    sides : (float, float)
        Their ratio counts; 1 and 1 where the size is not known.
    size : (float, str) or None
        Along X, with its unit; None where a scale bar would not be true.
    """
    at = [stack.axes.replace("S", "").index(a) for a in "YX"]
    units = [stack.units[i] for i in at]
    known = stack.spacing_source in ("file", "user") and all(is_length(u) for u in units)
    if not known:
        return (1.0, 1.0), None
    tall = convert(abs(stack.scale[at[0]]), units[0], units[1])
    wide = abs(stack.scale[at[1]])
    assert tall is not None
    return (tall, wide), (wide, units[1])


def scale_bar(box: Box, extent: float, unit: str, text: int) -> list[Any]:
    """Draw a scale bar into the lower right corner of a picture.

    Parameters
    ----------
    box : Box
        Of the picture.
    extent : float
        Of the picture's width, in `unit`.
    unit : str
        As pint spells it.
    text : int
        Size of the font, page pixels.

    Returns
    -------
    list
        What is drawn; a bar of 1, 2 or 5 times a power of ten, at most a third of the width.
    """
    third = extent / 3
    power = 10.0 ** math.floor(math.log10(third))
    length = max(n * power for n in (1, 2, 5) if n * power <= third * (1 + 1e-9))
    long = round(box.width * length / extent)
    label = f"{length:g} {ome_symbol(unit)}"
    thick, room = max(text // 5, 2), text // 2
    bar = Box(box.right - room - long, box.bottom - room - thick, long, thick)
    under = Box(bar.x - 1, bar.y - 1, bar.width + 2, bar.height + 2)
    half = text_width(label, text) // 2 + 2
    middle, base = min(bar.x + long // 2, box.right - half), bar.y - text // 4
    shadow = [
        Words(middle + dx, base + dy, label, text, "#000000", centred=True)
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    white = Words(middle, base, label, text, "#ffffff", centred=True)
    return [Outline(under, "#000000"), Outline(bar, "#ffffff"), *shadow, white]


def _label(kind: str, stack: Stack) -> str:
    record = Record.of(stack.metadata)
    if kind == "result" and record is not None and record.model:
        return record.model
    return {"lr": "LR input"}.get(kind, kind)


def limits_of(stack: Stack, index: tuple[int, ...]) -> tuple[float, float]:
    """Give the values of a plane that become black and white; see `Shown`."""
    plane = stack.read(index)
    refuse_invalid_plane(plane, stack, index)
    if plane.ndim == 3 and plane.dtype == np.uint8:
        return 0.0, 255.0
    return values_range(plane, _PERCENTILES)


def of_channels(stack: Stack, index: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Give the planes of all channels at the place of one of them."""
    c = stack.plane_axes.index("C")
    return [(*index[:c], number, *index[c + 1 :]) for number in range(stack.sizes["C"])]


def _merged(channels: Sequence[NDArray[np.uint8]], looks: Sequence[Look]) -> NDArray[np.uint8]:
    """Add channels in their colours, as light."""
    total: NDArray[np.float64] = np.zeros((*channels[0].shape, 3))
    for plane, look in zip(channels, looks, strict=True):
        total += plane[..., None] * (np.asarray(look.colour) / 255)
    drawn: NDArray[np.uint8] = np.rint(np.clip(total, 0, 255)).astype(np.uint8)
    return drawn


def _in_bytes(plane: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = limits
    span = (high - low) or 1.0
    levels = (plane.astype(np.float64) - low) * (255 / span)
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
