"""Channels: the names and colours that a TIFF file states, in OME-XML or for ImageJ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

_LONGEST = 80  # letters of a name
_WHITE = -1  # OME's colour where none was chosen


@dataclass(frozen=True, slots=True)
class Channel:
    """What a file states of a channel.

    Attributes
    ----------
    name : str
        Empty if it has none.
    colour : str or None
        As "#rrggbb"; None if none was chosen.
    """

    name: str = ""
    colour: str | None = None


def read_channels(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, count: int
) -> tuple[Channel, ...]:
    """Read what is stated of so many channels of a series; what is missing stays empty."""
    found: list[Channel] = []
    if series.kind == "ome" and tif.ome_metadata:
        found = _from_ome(tif.ome_metadata, tif.series.index(series))
    elif series.kind == "imagej":
        found = _from_imagej(tif.imagej_metadata or {})
    return tuple((found + [Channel()] * count)[:count])


def _from_ome(xml: str, image: int) -> list[Channel]:
    images = [e for e in ElementTree.fromstring(xml) if _tag(e) == "Image"]
    pixels = [e for e in images[image] if _tag(e) == "Pixels"] if image < len(images) else []
    stated = [e for e in pixels[0] if _tag(e) == "Channel"] if pixels else []
    return [Channel(_name(e.get("Name")), _ome_colour(e.get("Color"))) for e in stated]


def _ome_colour(text: str | None) -> str | None:
    """Take red, green and blue of a signed number of 32 bits; the last 8 are alpha."""
    if text is None or not re.fullmatch(r"\s*-?\d{1,11}\s*", text) or int(text) == _WHITE:
        return None
    return f"#{(int(text) & 0xFFFFFFFF) >> 8:06x}"


def _from_imagej(notes: dict[str, Any]) -> list[Channel]:
    """Take the brightest colour of each lookup table; gray ones are none that were chosen."""
    found = []
    tables = notes.get("LUTs")
    for table in tables if isinstance(tables, list) else []:
        brightest = np.asarray(table)
        if brightest.shape != (3, 256):
            return []
        red, green, blue = (int(v) for v in brightest[:, -1])
        found.append(
            Channel("", None if red == green == blue else f"#{red:02x}{green:02x}{blue:02x}")
        )
    return found


def _name(text: str | None) -> str:
    return "".join(c for c in (text or "") if c.isprintable()).strip()[:_LONGEST]


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
