"""What an image file says of how its values are shown, which its result is to say as well.

It lies in the fields of the format and nowhere else, so that other programs may change it: it is no
part of the notes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import tifffile

from napari_srgan.io.output import OutputSpec

KEY = "appearance"
"""Where the metadata of a stack and of an output hold it."""

_ICC = 34675
_CALIBRATION = ("cf", "c0", "c1", "c2", "c3", "c4", "vunit")
"""ImageJ's function from stored values to those that are meant, its coefficients and its unit."""


_LONGEST = 80  # letters of a channel's name
_WHITE = -1  # OME's colour where none was chosen
_ROUNDING = 1.5  # of 255


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """How a channel is shown; what is not said is "" or None.

    Attributes
    ----------
    name : str
    colour : str or None
        "#rrggbb" of its brightest values; None for gray as well.
    limits : (float, float) or None
        Values between which it is shown.
    table : ndarray, shape (256, 3), uint8, or None
        Lookup table, where it is not the straight way from black to the colour.
    """

    name: str = ""
    colour: str | None = None
    limits: tuple[float, float] | None = None
    table: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Appearance:
    """How an image is shown.

    Attributes
    ----------
    icc : bytes
        Profile of its colours.
    names : tuple of str
        Of its channels; "" for one without a name.
    colours : tuple of int or None
        Of its channels, as OME-XML numbers them: red, green, blue and alpha in a signed number of
        32 bits; None for one of which no colour was chosen.
    labels : tuple of str
        Of its pages, in the order T Z C.
    ranges : tuple of float
        Lower and upper end of what is shown of each channel.
    tables : tuple of ndarray, shape (3, 256), uint8
        Lookup table of each channel.
    calibration : mapping
        ImageJ's, by its own keys.
    """

    icc: bytes = b""
    names: tuple[str, ...] = ()
    colours: tuple[int | None, ...] = ()
    labels: tuple[str, ...] = ()
    ranges: tuple[float, ...] = ()
    tables: tuple[npt.NDArray[np.uint8], ...] = ()
    calibration: Mapping[str, Any] | None = None

    def __bool__(self) -> bool:
        return any(self.__dict__.values())

    def channels(self, count: int) -> tuple[Channel, ...]:
        """Give of so many channels how each is shown; what is missing stays empty."""
        tables = self.tables if len(self.tables) == count else ()
        chosen = [None if c is None else f"#{(c & 0xFFFFFFFF) >> 8:06x}" for c in self.colours]
        chosen = chosen or [_brightest(table) for table in tables]
        limits = self.ranges if len(self.ranges) == 2 * count else ()
        return tuple(
            Channel(
                _shown(self.names[i]) if i < len(self.names) else "",
                chosen[i] if i < len(chosen) else None,
                _limits(*limits[2 * i : 2 * i + 2]) if limits else None,
                np.ascontiguousarray(tables[i].T) if tables and _is_bent(tables[i]) else None,
            )
            for i in range(count)
        )

    def channel(self, number: int) -> Appearance:
        """Return what is said of one channel alone."""
        return replace(
            self,
            names=self.names[number : number + 1],
            colours=self.colours[number : number + 1],
            labels=(),
            ranges=self.ranges[2 * number : 2 * number + 2],
            tables=self.tables[number : number + 1],
        )

    def imagej(self, spec: OutputSpec) -> dict[str, Any]:
        """Say it as tifffile takes it for ImageJ, as far as it fits an output."""
        sizes = dict(zip(spec.axes, spec.shape, strict=True))
        channels = sizes.get("C", 1)
        pages = math.prod(sizes.get(a, 1) for a in "TZC")
        said: dict[str, Any] = dict(self.calibration or {})
        if len(self.labels) == pages:
            said["Labels"] = list(self.labels)
        elif self.names and len(self.names) == channels:
            said["Labels"] = list(self.names) * (pages // channels)
        if "S" not in sizes:
            if len(self.ranges) == 2 * channels:
                said["Ranges"] = self.ranges
                if channels == 1:  # where ImageJ looks for that of a single one
                    said["min"], said["max"] = self.ranges
            if len(self.tables) == channels:
                said["LUTs"] = list(self.tables)
        return said

    def ome(self, spec: OutputSpec) -> dict[str, Any]:
        """Say it as tifffile takes it for OME-XML, as far as it fits an output."""
        channels = dict(zip(spec.axes, spec.shape, strict=True)).get("C", 1)
        said: dict[str, Any] = {}
        if self.names and len(self.names) == channels:
            said["Name"] = list(self.names)
        if len(self.colours) == channels and None not in self.colours:
            said["Color"] = list(self.colours)
        return {"Channel": said} if said else {}


COLOURS = {
    "cyan": "#00ffff",
    "yellow": "#ffff00",
    "magenta": "#ff00ff",
    "red": "#ff0000",
    "green": "#00ff00",
    "blue": "#0000ff",
}
"""Colours of channels for which none was chosen, by the names that napari has for them."""


def channel_colours(channels: tuple[Channel, ...]) -> tuple[str, ...]:
    """Give each channel a colour: its own, or a name of `COLOURS` where some have none."""
    chosen = [channel.colour for channel in channels]
    if None not in chosen and len(set(chosen)) == len(chosen):
        return tuple(map(str, chosen))
    usual = ("magenta", "green") if len(channels) == 2 else tuple(COLOURS)
    return tuple(usual[i % len(usual)] for i in range(len(channels)))


def appearance_of(metadata: Mapping[str, Any]) -> Appearance:
    """Give what metadata say about it; nothing if they do not."""
    found = metadata.get(KEY)
    return found if isinstance(found, Appearance) else Appearance()


def read_appearance(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, position: int = 0
) -> Appearance:
    """Read what a TIFF file says of one of its series."""
    profile = series.keyframe.tags.valueof(_ICC)
    found: dict[str, Any] = {"icc": profile if isinstance(profile, bytes) else b""}
    if series.kind == "imagej":
        said = tif.imagej_metadata or {}
        single = (said["min"], said["max"]) if {"min", "max"} <= set(said) else ()
        found |= {
            "labels": tuple(map(str, listed(said.get("Labels")))),
            "ranges": tuple(map(float, said.get("Ranges") or single)),
            "tables": tuple(t for t in listed(said.get("LUTs")) if np.shape(t) == (3, 256)),
            "calibration": {k: said[k] for k in _CALIBRATION if k in said},
        }
    elif tif.ome_metadata:
        number = tif.series.index(series) if series.kind == "ome" else position
        images = [e for e in ElementTree.fromstring(tif.ome_metadata) if _tag(e) == "Image"]
        channels = [e for e in images[number].iter() if _tag(e) == "Channel"]
        names = tuple(e.get("Name", "") for e in channels)
        colours = tuple(_number(e.get("Color")) for e in channels)
        found["names"] = names if any(names) else ()
        found["colours"] = () if set(colours) == {None} else colours
    return Appearance(**found)


def listed(value: Any) -> list[Any]:
    """Give back the list that tifffile makes a lone item of."""
    return [] if value is None else value if isinstance(value, list) else [value]


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"\s*-?\d{1,11}\s*", text) or int(text) == _WHITE:
        return None
    return int(text)


def _limits(low: float, high: float) -> tuple[float, float] | None:
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def _is_bent(table: npt.NDArray[np.uint8]) -> bool:
    """Whether a lookup table is another way than the straight one from black to its last colour."""
    straight = np.arange(256) / 255 * np.asarray(table, float)[:, -1:]
    return bool(np.abs(straight - table).max() > _ROUNDING)


def _brightest(table: npt.NDArray[np.uint8]) -> str | None:
    """Take the brightest colour of a lookup table; a gray one is none that was chosen."""
    red, green, blue = (int(v) for v in np.asarray(table)[:, -1])
    return None if red == green == blue else f"#{red:02x}{green:02x}{blue:02x}"


def _shown(name: str) -> str:
    return "".join(c for c in name if c.isprintable()).strip()[:_LONGEST]
