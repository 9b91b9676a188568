"""Reading Optovue's raw export: an .OCT file of floats, explained by the .txt file beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, Laterality
from napari_srgan.io.formats.oct_image import (
    MICROMETRES,
    OctImage,
    StoredPlanes,
    damage_of,
    number_of,
    numbered,
)
from napari_srgan.io.formats.source import Source

_LARGEST_TEXT = 2**22  # bytes
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")


@dataclass
class _Step:
    """A scan of the protocol: A-scans a B-scan, B-scans, and what both are apart, in mm."""

    length: int = 0
    count: int = 0
    size: float = 0.0
    interval: float = 0.0


@dataclass
class _Protocol:
    """What the .txt file says; sizes in mm."""

    steps: list[_Step]
    height: int = 0
    depth: float = 0.0
    eye: Laterality | None = None


def text_beside(path: Path) -> Path | None:
    """Find the .txt file of an .OCT file, in any case; None without."""
    wanted = f"{path.stem}.txt".lower()
    try:
        return next((p for p in path.parent.iterdir() if p.name.lower() == wanted), None)
    except OSError:
        return None


def read_optovue(path: Path) -> list[OctImage]:
    """Map the scans of an .OCT file, each a volume of its own.

    Pixel sizes are those that the protocol states of the scan; what it says of the video is about
    another image.

    Raises
    ------
    InputError
        If the .txt file is missing, or the sizes that it states are not those of the file.
    """
    source = Source.of(path)
    text = text_beside(path)
    if text is None:
        raise InputError(
            f"{path.name}: {path.stem}.txt, which says what it holds, is not beside it; export both"
            " from the Optovue."
        )
    with damage_of(text, "Optovue .txt"):
        protocol = _read(text)
    images: list[OctImage] = []
    at = 0
    for step in _stored(protocol, source):
        plane = step.length * protocol.height * 4
        data = StoredPlanes(
            source,
            [at + i * plane for i in range(step.count)],
            (protocol.height, step.length),
            "<f4",
            read_optovue,
            len(images),
            flat=step.count == 1,
            by_columns=True,
            upside_down=True,
        )
        at += step.count * plane
        spacing = {"Y": protocol.depth / protocol.height, "X": step.size / step.length}
        if step.count > 1:
            spacing["Z"] = step.interval
        images.append(
            OctImage(
                name="OCT",
                data=data,
                axes="ZYX"[-data.ndim :],
                spacing={axis: value * MICROMETRES for axis, value in spacing.items()},
                acquisition=Acquisition(laterality=protocol.eye, linear=False),
            )
        )
    return numbered(images)


def _stored(protocol: _Protocol, source: Source) -> list[_Step]:
    """Choose the steps that the file holds: all of them, or the only one that fits its size."""
    steps = [s for s in protocol.steps if s.length > 0 and s.count > 0]
    values = [s.length * s.count * protocol.height * 4 for s in steps]
    if steps and protocol.height > 0:
        if sum(values) == source.size:
            return steps
        if values.count(source.size) == 1:
            return [steps[values.index(source.size)]]
    raise InputError(
        f"{source.name} has {source.size} bytes, which are not the scans that its .txt file lists;"
        " one of the two is cut short or of another export."
    )


def _read(path: Path) -> _Protocol:
    with Source.of(path).open() as file:
        lines = file.read(_LARGEST_TEXT).decode("latin-1").splitlines()
    found = _Protocol([])
    blocks: dict[str, _Step] = {}
    step = _Step()
    for line in lines:
        if block := re.fullmatch(r"\s*\[(.*?)(?:\s+Detail)?\]\s*", line):
            step = blocks.setdefault(block[1], _Step())
            continue
        key, _, value = line.partition("=") if "=" in line else line.rpartition(" ")
        key, stated = key.strip().lower(), _NUMBER.search(value)
        if key == "eye scanned":
            found.eye = "OD" if "OD" in value else "OS" if "OS" in value else None
        elif stated is None or (number := number_of(stated[0])) is None:
            continue
        elif key.endswith("window height"):
            found.height = int(number)
        elif key == "scan depth":
            found.depth = number
        elif key.endswith("scan length"):
            if step.count:  # a list without headings
                step = _Step()
            step.length = int(number)
            if not any(step is known for known in found.steps):
                found.steps.append(step)
        elif key.endswith("scan usage"):
            step.count = int(number)
        elif key.endswith("scan size1"):
            step.size = number
        elif key.endswith("scan interval1"):
            step.interval = number
    return found
