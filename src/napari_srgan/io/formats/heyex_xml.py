"""Reading HEYEX's XML export: a list of images with positions, and a picture file for each."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, Laterality, Line, Pattern
from napari_srgan.io.formats.oct_image import (
    MICROMETRES,
    OctImage,
    array_of,
    damage_of,
    number_of,
    numbered,
    spacing_of,
    warn_unread,
)
from napari_srgan.io.formats.pictures import PICTURE_SUFFIXES, decode
from napari_srgan.io.formats.plane_files import PlaneFiles
from napari_srgan.io.formats.source import FileArray, Source
from napari_srgan.io.formats.tiff import open_tiff

_LARGEST = 2**28  # bytes; the layers of thousands of B-scans fit in
_CONTEXT = "OphthalmicAcquisitionContext"
_ROUNDING = 0.0011  # mm; positions have three digits
_EVEN = 0.02
"""By how much of their distance B-scans of a volume may be out of line: positions are rounded."""
_EYES: dict[str, Laterality] = {"R": "OD", "OD": "OD", "L": "OS", "OS": "OS"}
_PATTERNS: dict[str, Pattern] = {
    "volume": "volume",
    "line": "line",
    "circle": "circle",
    "radial": "radial",
    "star": "radial",
}


def is_heyex(head: bytes) -> bool:
    """Say whether a file that begins so is such a list."""
    return re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<HEDX", head) is not None


def read_heyex(path: Path) -> list[OctImage]:
    """List the scans of an XML export, and the images of the fundus that belong to them.

    B-scans keep the order of the list. Their distance along Z is a pixel size where they lie side
    by side, evenly.

    Raises
    ------
    InputError
        If the list is damaged, or a picture is not beside it or cannot be read.
    """
    source = Source.of(path)
    if source.size > _LARGEST:
        raise InputError(f"{path.name} is too large for a list of images ({source.size} bytes).")
    with damage_of(path, "HEYEX XML"), source.open() as file:
        root = ElementTree.parse(file).getroot()
        scans: list[OctImage] = []
        others: list[OctImage] = []
        for series in root.iter("Series"):
            b_scans = _of_type(series, "OCT")
            if b_scans:
                scans.append(_scan(path, source, series, b_scans, len(scans)))
            others += [_fundus(path, series, image) for image in _of_type(series, "LOCALIZER")]
    if not scans and not others:
        raise InputError(f"{path.name} lists no images.")
    return numbered(scans) + numbered(others)


def _of_type(series: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [e for e in series.iter("Image") if e.findtext("ImageType/Type") == kind]


def _scan(
    path: Path,
    source: Source,
    series: ElementTree.Element,
    images: list[ElementTree.Element],
    number: int,
) -> OctImage:
    files = [_picture(path, image) for image in images]
    opened = [_opened(file) for file in files]
    axes = opened[0][1]
    data = opened[0][0]
    if len(images) > 1:
        planes = [(file, array) for file, (array, _) in zip(files, opened, strict=True)]
        data = PlaneFiles(
            source, planes, partial(array_of, reader=read_heyex, number=number), number
        )
    along = _PATTERNS.get(str(series.findtext("Type")).strip().lower())
    lines = [_line(image) for image in images]
    known = tuple(line for line in lines if line is not None)
    if 0 < len(known) < len(images):
        warn_unread(path, ["where some of its B-scans lie"])
    averaged = [number_of(_text(image, "NumAve")) for image in images]
    frames = tuple(int(n) for n in averaged if n is not None)
    spacing = _spacing(path, images[0])
    if along in (None, "volume") and len(known) == len(images):
        spacing["Z"] = _distance(known) * MICROMETRES
    return OctImage(
        name="OCT",
        data=data,
        axes="Z" * (len(images) > 1) + axes,
        spacing=spacing,
        acquisition=Acquisition(
            laterality=_eye(series, images[0]),
            pattern=along,
            lines=known if len(known) == len(images) else (),
            frames=frames if len(frames) == len(images) else (),
        ),
    )


def _fundus(path: Path, series: ElementTree.Element, image: ElementTree.Element) -> OctImage:
    array, axes = _opened(_picture(path, image))
    taken = Acquisition(modality="enface", laterality=_eye(series, image))
    spacing = _spacing(path, image)
    return OctImage(name="SLO", data=array, axes=axes, spacing=spacing, acquisition=taken)


def _picture(path: Path, image: ElementTree.Element) -> Path:
    """Find a picture by the last part of its name, beside the list."""
    name = re.split(r"[\\/]", str(image.findtext("ImageData/ExamURL")))[-1]
    if not name or not (file := path.with_name(name)).is_file():
        raise InputError(
            f"{path.name} lists a picture that is not beside it; keep the files of an export in"
            " one folder."
        )
    return file


def _opened(file: Path) -> tuple[FileArray, str]:
    if file.suffix.lower() in PICTURE_SUFFIXES:
        array, axes, _, _ = decode(file)
        return cast("FileArray", array), axes
    found = open_tiff(file)
    return cast("FileArray", found.data), found.axes


def _eye(series: ElementTree.Element, image: ElementTree.Element) -> Laterality | None:
    said = image.findtext("Laterality") or series.findtext("Laterality")
    return _EYES.get(str(said).strip())


def _spacing(path: Path, image: ElementTree.Element) -> dict[str, float]:
    said = spacing_of(path, {axis: _text(image, f"Scale{axis}") for axis in "YX"})
    return {axis: value * MICROMETRES for axis, value in said.items()}


def _line(image: ElementTree.Element) -> Line | None:
    x0, y0, x1, y1 = (
        number_of(_text(image, f"{end}/Coord/{axis}")) for end in ("Start", "End") for axis in "XY"
    )
    return None if x0 is None or y0 is None or x1 is None or y1 is None else (x0, y0, x1, y1)


def _text(image: ElementTree.Element, name: str) -> str | None:
    return image.findtext(f"{_CONTEXT}/{name}")


def _distance(lines: tuple[Line, ...]) -> float:
    """Say how far apart lines are that lie side by side, evenly; 0 if they do not."""
    if len(lines) < 2:
        return 0.0
    first, last, count = lines[0], lines[-1], len(lines) - 1
    step = [(b - a) / count for a, b in zip(first, last, strict=True)]
    length = math.hypot(step[0], step[1])
    out_of_line = max(
        abs(value - (start + i * by))
        for i, line in enumerate(lines)
        for value, start, by in zip(line, first, step, strict=True)
    )
    parallel = math.hypot(step[0] - step[2], step[1] - step[3]) <= _EVEN * length
    return length if parallel and out_of_line <= max(_EVEN * length, _ROUNDING) else 0.0
