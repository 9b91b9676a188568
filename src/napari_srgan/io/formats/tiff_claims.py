"""What a TIFF file claims, held against what is there before tifffile believes it.

tifffile follows a chain of pages wherever it leads, makes a list of as many planes as OME-XML or an
index names, and opens any file that they name.
"""

from __future__ import annotations

import glob
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_srgan.errors import InputError
from napari_srgan.io.formats.source import Source

MOST_MISSING = 2**16
"""Planes that an OME-TIFF may name beyond those there are, as a stopped acquisition does."""

_GROWTH = {1: 1100, 5: 2800, 8: 1100, 32946: 1100}
"""How many bytes a byte can stand for: in deflate, LZW, and uncompressed files with gaps."""
_MOST_GROWTH = 2**16

_AT_ONCE, _DENSE = 2**26, 200
"""Bytes that may be unpacked at once whatever they come from; and how many from one byte beyond."""

_HEADERS = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}


def count_pages(source: Source) -> int:
    """Walk the chain of pages.

    Returns
    -------
    int
        How many pages there are before the chain ends or leaves the file; 0 if it is no TIFF file.

    Raises
    ------
    InputError
        If the chain leads back to where it was, or its pages share their bytes.
    """
    with source.open() as file:
        head = file.read(16)
        if head[:4] not in _HEADERS:
            return 0
        order, big = _HEADERS[head[:4]]
        count, entry, link = (
            (struct.Struct(order + "Q"), 20, struct.Struct(order + "Q"))
            if big
            else (struct.Struct(order + "H"), 12, struct.Struct(order + "I"))
        )
        visited: set[int] = set()
        taken = 0
        try:
            (at,) = link.unpack_from(head, 8 if big else 4)
            while 0 < at < source.size:
                if at in visited:
                    raise InputError(f"{source.name} is damaged: its list of pages is a circle.")
                visited.add(at)
                file.seek(at)
                (tags,) = count.unpack(file.read(count.size))
                taken += count.size + tags * entry + link.size
                if taken > source.size:
                    raise InputError(
                        f"{source.name} is damaged: its list of pages is longer than the file."
                    )
                file.seek(at + count.size + tags * entry)
                (at,) = link.unpack(file.read(link.size))
        except struct.error:  # it ends too early, which tifffile says
            pass
        return len(visited)


def check_ome(xml: str, source: Source, pages: int, pixels: int) -> list[Source]:
    """Hold OME-XML against the file that it is in.

    Parameters
    ----------
    xml : str
    source : Source
        The file.
    pages : int
        How many pages it has.
    pixels : int
        Values in the first of them.

    Returns
    -------
    list of Source
        The other files of the series that are there.

    Raises
    ------
    InputError
        If it names a file in another folder, or far more planes than there are.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:  # tifffile then reads the pages without it
        return []
    siblings = [
        Source.of(path)
        for name in sorted(_file_names(root, source))
        if (path := _beside(source.path, name)).is_file()
    ]
    there = pages + sum(count_pages(s) for s in siblings)
    listed = 0
    for image in _named(root, "Pixels"):
        sizes = [int(image.attrib.get(f"Size{axis}", 1)) for axis in "XYZCT"]
        _check_planes(source, math.prod(sizes) // max(1, pixels), there)
        for data in _named(image, "TiffData"):
            count = data.attrib.get("PlaneCount") or data.attrib.get("NumPlanes")
            listed += int(count or (1 if "IFD" in data.attrib else there))
            _check_planes(source, listed, 2 * there)  # a plane may be in two images
    for annotation in root.iter():
        if "Along" in annotation.tag and "Start" in annotation.attrib:
            start, end, step = (
                float(annotation.attrib.get(k, 1)) for k in ("Start", "End", "Step")
            )
            steps = (end - start) / step if step else math.inf
            _check_planes(source, steps, there)
    return siblings


def check_micromanager(tif: tifffile.TiffFile, source: Source) -> list[Source]:
    """Hold the indices of a Micro-Manager file, in it or beside it, against what they index.

    Returns
    -------
    list of Source
        The other files of the series.

    Raises
    ------
    InputError
        If they name a file in another folder, or far more planes than they list.
    """
    siblings = [Source.of(p) for p in sorted(micromanager_files(tif, source.path) - {source.path})]
    if tif.is_mmstack:
        settings = tif.micromanager_metadata or {}
        index, summary = settings["IndexMap"], settings["Summary"]
        lengths = [
            max(int(last) + 1, int(summary.get(key, 1)))
            for last, key in zip(
                index[:, :4].max(axis=0), ("Channels", "Slices", "Frames", "Positions"), strict=True
            )
        ]
        there = len(index) + sum(_count_indexed(s.path) for s in siblings)
        _check_planes(source, math.prod(lengths), there)
    elif tif.is_ndtiff:
        listed: dict[str, set[Any]] = {}
        n = 0
        for axes, _, *_ in tifffile.read_ndtiff_index(source.path.parent / "NDTiff.index"):
            n += 1
            for axis, place in axes.items():
                listed.setdefault(axis, set()).add(place)
        spans = [
            max(places) - min(places) + 1
            if all(isinstance(p, int) for p in places)
            else len(places)
            for places in listed.values()
        ]
        _check_planes(source, math.prod(spans), n)
    return siblings


def micromanager_files(tif: tifffile.TiffFile, path: Path) -> set[Path]:
    """List the files that tifffile takes for parts of one series of Micro-Manager, if it is any.

    Raises
    ------
    InputError
        If an index names a file in another folder.
    """
    if tif.is_ndtiff:
        index = tifffile.read_ndtiff_index(path.parent / "NDTiff.index")
        return {_beside(path, name) for _, name, *_ in index}
    before, mark, _ = path.name.partition("_MMStack")
    if not (tif.is_mmstack and mark):
        return set()
    prefix = (tif.micromanager_metadata or {})["Summary"].get("Prefix", before)
    if not path.name.startswith(prefix):
        return set()
    return set(path.parent.glob(f"{glob.escape(prefix)}_MMStack*.tif"))


def _count_indexed(path: Path) -> int:
    with path.open("rb") as file:
        return len(tifffile.read_micromanager_metadata(file, {"IndexMap"}).get("IndexMap", ()))


def check_size(source: Source, compression: int, claimed: int, stored: int) -> None:
    """Refuse more pixels than the stored bytes can hold.

    Parameters
    ----------
    source : Source
    compression : int
        As TIFF numbers them.
    claimed, stored : int
        Bytes of pixels, and of what they are decoded from.
    """
    if claimed > _GROWTH.get(compression, _MOST_GROWTH) * stored:
        raise InputError(
            f"{source.name} claims {claimed / 1e6:.0f} MB of pixels, which the"
            f" {stored} bytes that it has for them cannot hold; it is damaged."
        )


def check_at_once(source: Source, unpacked: int, stored: int) -> None:
    """Refuse a large strip, tile or page that little is stored of and that is unpacked at once.

    Parameters
    ----------
    source : Source
    unpacked, stored : int
        Its bytes.
    """
    if unpacked > max(_AT_ONCE, _DENSE * stored):
        raise InputError(
            f"{source.name} packs {unpacked / 1e6:.0f} MB of pixels into {stored} bytes that can"
            " only be unpacked at once; save it in tiles or short strips, or with deflate (zlib)"
            " compression."
        )


def _check_planes(source: Source, named: float, there: int) -> None:
    if not named <= there + MOST_MISSING:
        raise InputError(
            f"{source.name} names {named:.0f} planes, far more than there are; save it anew with"
            " those that it has."
        )


def _file_names(root: ElementTree.Element, source: Source) -> set[str]:
    """Names of the other files that tifffile would open."""
    own = root.attrib.get("UUID")
    return {
        name
        for element in _named(root, "UUID")
        if (name := element.attrib.get("FileName", "")).lower() != source.name.lower()
        and name
        and (own is None or element.text != own)
    }


def _beside(source: Path, name: str) -> Path:
    if re.search(r"[/\\:\0]", name) or name in (".", ".."):
        raise InputError(
            f"{source.name} names planes in {name!r}, but only files beside it are opened; put all"
            " files of the series into one folder and save it there anew."
        )
    path = source.with_name(name)
    if path.exists() and not path.is_file():
        raise InputError(f"{source.name} names planes in {name!r}, which is no file.")
    return path


def _named(root: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    return (e for e in root.iter() if e.tag.endswith(tag))
