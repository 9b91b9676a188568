"""Writing TIFF: a file of the right flavour is laid out empty, and pixels can be put anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tifffile

from napari_srgan.errors import InputError
from napari_srgan.image.axes import canonical
from napari_srgan.image.units import PIXEL, convert, is_length, is_time, ome_symbol
from napari_srgan.io.appearance import appearance_of, listed
from napari_srgan.io.notes import KEY, NAMESPACE, notice, to_info, to_text
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.levels import level_sizes
from napari_srgan.io.sinks.raw import Layout, RawContent, with_its_frame

Flavour = Literal["imagej", "ome", "plain"]

CLASSIC_LIMIT = 2**32 - 2**25
"""Bytes of pixels that a classic TIFF holds for sure: its offsets have 32 bits, page headers need
some room too. Larger files become BigTIFF."""

_PAGE_HEADER = 400
"""A generous number of bytes for the tags of one page."""

_OME_DTYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")
_IMAGEJ_DTYPES = ("uint8", "uint16", "float32")
_ASCII_UNITS = {"micrometer": "um", "nanometer": "nm", "millimeter": "mm", "angstrom": "angstrom"}
_DESCRIPTION = 270

LARGE_PLANE = 4096
"""Pixels a side above which a plane of OME-TIFF gets coarser levels, and short strips: up to it
programs show a plane at once, and one without levels is what more of them read."""
_STRIP = 2**20
"""Bytes of such a strip, a row at least."""
_BESIDE_INFO = ("Labels", "Ranges", "LUTs")
"""What ImageJ keeps in the tag of its Info."""


class TiffContent(RawContent):
    """The inside of a TIFF file; see `file.Content`."""

    def __init__(
        self,
        path: Path,
        spec: OutputSpec,
        name: str,
        notes: dict[str, Any],
        former: Path | None = None,
    ) -> None:
        if former is None:
            layout = lay_out(path, spec, name, notes)
        else:
            layout = with_its_frame(path, spec, name, former)
        super().__init__(path, spec, layout)
        self._notes = notes

    @staticmethod
    def check(spec: OutputSpec, name: str) -> None:
        """Refuse a dtype that the kind of TIFF does not have."""
        choose_flavour(spec, name)

    @staticmethod
    def nbytes(spec: OutputSpec, name: str) -> int:
        """Count the bytes of all levels."""
        return _nbytes(spec, choose_flavour(spec, name)[0])

    def finish(self, notes: dict[str, Any]) -> None:
        """Close the file, with other notes if they have changed."""
        super().finish(notes)
        if notes != self._notes:
            rewrite_notes(self.path, self._notes, notes)


def choose_flavour(spec: OutputSpec, name: str) -> tuple[Flavour, bool]:
    """Choose what kind of TIFF an output becomes, and whether it must be BigTIFF.

    ImageJ's own kind wherever it can hold the image, since everything opens it; OME-TIFF where
    the name says ``.ome.tif`` or ImageJ's kind is too small; tifffile's plain kind for the few
    dtypes that neither has.

    Raises
    ------
    InputError
        If OME-TIFF is asked for by name but does not have the dtype.
    """
    pages = math.prod(n for a, n in zip(spec.axes, spec.shape, strict=True) if a not in "YXS")
    big = _nbytes(spec, "ome") + _PAGE_HEADER * pages > CLASSIC_LIMIT
    if name.lower().endswith((".ome.tif", ".ome.tiff")):
        if spec.dtype.name not in _OME_DTYPES:
            raise InputError(
                f"{name}: OME-TIFF cannot hold {spec.dtype.name}; name the output .tif or .npy."
            )
        return "ome", big
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    if "S" in sizes:  # ImageJ has no alpha, and no channels of colour images
        fits = spec.dtype.name == "uint8" and sizes["S"] == 3 and sizes.get("C", 1) == 1
    else:
        fits = spec.dtype.name in _IMAGEJ_DTYPES
    if fits and not big:
        return "imagej", False
    return ("ome" if spec.dtype.name in _OME_DTYPES else "plain"), big


def lay_out(path: Path, spec: OutputSpec, name: str, notes: dict[str, Any]) -> Layout:
    """Write a TIFF file whose pixels are all zero, and say where they lie.

    The file is sparse where the file system can do it; no pixel is held in memory.
    """
    flavour, big = choose_flavour(spec, name)
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    colour = "S" * ("S" in sizes)
    axes = {
        "imagej": "TZCYX" + colour,
        "ome": "TCZYX" + colour,
        "plain": canonical(spec.axes),
    }[flavour]
    shape = tuple(sizes.get(a, 1) for a in axes)
    describe = {"imagej": _imagej, "ome": _ome, "plain": _plain}[flavour]
    pixels: dict[str, Any] = {
        "dtype": spec.dtype,
        "photometric": "rgb" if colour else "minisblack",
        "planarconfig": "contig" if colour else None,
        "extrasamples": ("unassalpha",) if sizes.get("S") == 4 else None,
        "returnoffset": True,
    }
    levels = _levels(sizes, flavour)
    if levels:
        rows = _STRIP // (sizes["X"] * sizes.get("S", 1) * spec.dtype.itemsize)
        pixels["rowsperstrip"] = max(1, rows)
    with tifffile.TiffWriter(
        path, bigtiff=big, imagej=flavour == "imagej", ome=flavour == "ome"
    ) as tif:
        where = tif.write(
            None,
            shape=shape,
            software=NAMESPACE,
            iccprofile=appearance_of(spec.metadata).icc or None,
            subifds=len(levels) or None,
            **pixels,
            **describe(spec, axes, shape, notes),
        )
        coarser = []
        for height, width in levels:
            smaller = tuple(
                {"Y": height, "X": width}.get(a, n) for a, n in zip(axes, shape, strict=True)
            )
            lies = tif.write(None, shape=smaller, subfiletype=1, metadata=None, **pixels)
            coarser.append((lies, smaller))
    found = [Layout(_offset(lies), axes, smaller) for lies, smaller in coarser]
    return Layout(_offset(where), axes, shape, tuple(found))


def _levels(sizes: Mapping[str, int], flavour: Flavour) -> tuple[tuple[int, int], ...]:
    """List the sizes of the coarser levels that an output has."""
    large = flavour == "ome" and max(sizes["Y"], sizes["X"]) > LARGE_PLANE
    return level_sizes(sizes["Y"], sizes["X"])[1:] if large else ()


def _nbytes(spec: OutputSpec, flavour: Flavour) -> int:
    """Bytes of the pixels of all levels."""
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    plane = sizes["Y"] * sizes["X"]
    return sum(spec.nbytes // plane * y * x for y, x in _levels(sizes, flavour)) + spec.nbytes


def _offset(where: Any) -> int:
    if where is None:
        raise RuntimeError("tifffile did not lay the pixels out contiguously")
    return int(where[0])


def rewrite_notes(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Replace the notes in a file that `lay_out` wrote."""
    with tifffile.TiffFile(path, mode="r+") as tif:
        tags = tif.pages.first.tags
        if tif.is_imagej:
            known = tif.imagej_metadata or {}
            said = {
                k: v if k == "Ranges" else listed(v) for k, v in known.items() if k in _BESIDE_INFO
            }
            said["Info"] = to_info(new)
            encoded = tifffile.tifffile.imagej_metadata_tag(said, tif.byteorder)
            for code, dtype, _, value, _ in encoded:
                tags[code].overwrite(value, dtype=dtype)
            return
        text = str(tags[_DESCRIPTION].value)
        if tif.is_ome:
            text = text.replace(_annotation(old), _annotation(new))
        else:
            text = json.dumps({**json.loads(text), KEY: new})
        tags[_DESCRIPTION].overwrite(text.encode())


def _imagej(
    spec: OutputSpec, axes: str, shape: tuple[int, ...], notes: dict[str, Any]
) -> dict[str, Any]:
    scale, translate, units = _by_letter(spec)
    unit = units["X"]
    said: dict[str, Any] = {"axes": axes, "Info": to_info(notes)}
    said |= appearance_of(spec.metadata).imagej(spec)
    if dict(zip(axes, shape, strict=True))["C"] > 1:
        said["mode"] = "composite"
    if unit != PIXEL or abs(scale["X"]) != 1 or abs(scale["Y"]) != 1:
        said["unit"] = _imagej_unit(unit)
    own = {a for a in "YZ" if a in scale and convert(1.0, units[a], unit) is None}
    for a in own:  # one is known and the other is not: neither is to have the other's unit
        said[f"{a.lower()}unit"] = _imagej_unit(units[a])
        said.setdefault("unit", PIXEL)
    if "Z" in scale and ("Z" not in own or is_length(units["Z"])):
        said["spacing"] = convert(abs(scale["Z"]), units["Z"], unit) or abs(scale["Z"])
        said.setdefault("unit", PIXEL)
    if "T" in scale and is_time(units["T"]):
        said["finterval"] = convert(abs(scale["T"]), units["T"], "second")
    for a in "XYZ":
        if translate.get(a):
            said[f"{a.lower()}origin"] = -translate[a] / abs(scale[a])
    shared = {a: convert(abs(scale[a]), units[a], unit) or abs(scale[a]) for a in "XY"}
    return {"resolution": (1 / shared["X"], 1 / shared["Y"]), "metadata": said}


def _imagej_unit(unit: str) -> str:
    return _ASCII_UNITS.get(unit, unit if is_length(unit) else PIXEL)


def _ome(
    spec: OutputSpec, axes: str, shape: tuple[int, ...], notes: dict[str, Any]
) -> dict[str, Any]:
    scale, translate, units = _by_letter(spec)
    said: dict[str, Any] = {
        "axes": axes,
        # A file name that is not UTF-8 must not spoil the XML.
        "Name": spec.name.encode("utf-8", "backslashreplace").decode(),
        "MapAnnotation": {"Namespace": NAMESPACE, "notice": notice(notes), KEY: to_text(notes)},
    }
    said |= appearance_of(spec.metadata).ome(spec)
    planes = math.prod(n for a, n in zip(axes, shape, strict=True) if a not in "YXS")
    position: dict[str, Any] = {}
    for a in "XYZ":
        if a in scale:
            said[f"PhysicalSize{a}"] = abs(scale[a])
            said[f"PhysicalSize{a}Unit"] = ome_symbol(units[a])
            if translate[a]:
                position[f"Position{a}"] = [translate[a]] * planes
                position[f"Position{a}Unit"] = [ome_symbol(units[a])] * planes
    if position:
        said["Plane"] = position
    if "T" in scale and is_time(units["T"]):
        said["TimeIncrement"] = abs(scale["T"])
        said["TimeIncrementUnit"] = ome_symbol(units["T"])
    return {"metadata": said}


def _plain(
    spec: OutputSpec, axes: str, shape: tuple[int, ...], notes: dict[str, Any]
) -> dict[str, Any]:
    scale, _, units = _by_letter(spec)
    said: dict[str, Any] = {"metadata": {"axes": axes, "name": spec.name, KEY: notes}}
    widths = [convert(abs(scale[a]), units[a], "centimeter") for a in "XY"]
    if None not in widths:
        said["resolution"] = tuple(1 / w for w in widths if w)
        said["resolutionunit"] = "CENTIMETER"
    return said


def _by_letter(
    spec: OutputSpec,
) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    plain = spec.axes.replace("S", "")
    return (
        dict(zip(plain, spec.scale, strict=True)),
        dict(zip(plain, spec.translate, strict=True)),
        dict(zip(plain, spec.units, strict=True)),
    )


def _annotation(notes: dict[str, Any]) -> str:
    """Return the notes as they stand in OME-XML."""
    pairs = {"notice": notice(notes), KEY: to_text(notes)}
    escape = tifffile.OmeXml._escape
    return "".join(f'<M K="{escape(k)}">{escape(v)}</M>' for k, v in pairs.items())
