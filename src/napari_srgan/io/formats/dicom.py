"""Reading DICOM by pydicom: OCT (OPT), multi-frame images, and folders of slices.

Of the hundreds of elements only those are read that say what the pixels are and where they lie.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, Laterality, Line, Modality
from napari_srgan.io.appearance import Appearance
from napari_srgan.io.extras import imported
from napari_srgan.io.formats.oct_image import (
    MICROMETRES,
    OctImage,
    array_of,
    damage_of,
    number_of,
    numbered,
    warn_unread,
)
from napari_srgan.io.formats.plane_files import PlaneFiles
from napari_srgan.io.formats.source import FileArray, Source

_EXTRA = "oct"
_MODALITIES: dict[str, Modality] = {"OPT": "oct", "OP": "enface"}
_EYES: dict[str, Laterality] = {"R": "OD", "L": "OS"}
_SHOWN = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_EVEN = 0.02
"""By how much of their distance slices may be off, and still lie evenly."""
_SAME = 1e-5  # mm; slices that are less apart lie at one position
_DEFERRED = 2**16  # bytes; longer elements are none of those that are read


def is_dicom(head: bytes) -> bool:
    """Say whether a file begins as one of DICOM does."""
    return head[128:132] == b"DICM"


def read_dicom(path: Path) -> list[OctImage]:
    """List the images of a DICOM file, or of a folder of them: the series, each in order.

    Raises
    ------
    InputError
        If pydicom is missing, or a file is damaged or cannot be decoded.
    """
    if not path.is_dir():
        return [_single(path)]
    files = dicom_files(path)
    series: dict[str, list[tuple[Path, Any]]] = defaultdict(list)
    for file in files:
        header = _header(file)
        if "Rows" in header:
            series[str(header.get("SeriesInstanceUID"))].append((file, header))
    if not series:
        raise InputError(f"{path.name} holds no DICOM images.")
    return numbered([_stacked(path, slices, i) for i, slices in enumerate(series.values())])


def dicom_files(folder: Path) -> list[Path]:
    """List the DICOM files of a folder, told by their content."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_file():
            try:
                with path.open("rb") as file:
                    if is_dicom(file.read(132)):
                        found.append(path)
            except OSError as e:
                raise InputError(f"{path} cannot be opened: {e.strerror}.") from e
    return found


class _Meaning(NamedTuple):
    """What values stand for: a straight line, by default for themselves."""

    intercept: float = 0.0
    slope: float = 1.0

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self.intercept + self.slope * values.astype(np.float64)


class _Order(NamedTuple):
    """In which order slices lie, None if it is not known; their distance, 0 where it varies."""

    order: list[int] | None = None
    step: float = 0.0
    repeats: bool = False
    """Whether several lie at one position."""


class _Frames(FileArray):
    """The frames of a file, decoded when they are asked for.

    `order` is that in which they follow each other, if it is not that of the file; `stored` is
    their dtype, known where another slice of the series was decoded. With `meanings`, one a frame
    in that order, values are those that are meant.
    """

    def __init__(
        self,
        source: Source,
        header: Any,
        order: Sequence[int] | None = None,
        stored: np.dtype[Any] | None = None,
        meanings: Sequence[_Meaning] | None = None,
    ) -> None:
        count = int(header.get("NumberOfFrames") or 1)
        rows, columns, samples = (
            int(header.get(name) or 1) for name in ("Rows", "Columns", "SamplesPerPixel")
        )
        self._frame_shape = (rows, columns) if samples == 1 else (rows, columns, samples)
        self._order = range(count) if order is None else order
        self._white = _white(header)
        self._meanings = meanings
        self._stored = self._decoded(source, 0).dtype if stored is None else stored
        shape = self._frame_shape if count == 1 else (count, *self._frame_shape)
        dtype = self._stored if meanings is None else np.float32
        super().__init__([source], shape, dtype, partial(array_of, reader=read_dicom, number=0))

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        inner = ranges[-len(self._frame_shape) :]
        frames = ranges[0] if len(inner) < len(ranges) else range(1)
        out = np.empty([len(frames), *map(len, inner)], self.dtype)
        for into, i in zip(out, frames, strict=True):
            frame = self._decoded(self.sources[0], self._order[i])
            if frame.dtype != self._stored:
                raise InputError(f"{self.name} has other values than the slices before it.")
            part = frame[np.ix_(*inner)]
            into[...] = part if self._meanings is None else self._meanings[i].of(part)
        return out if len(inner) < len(ranges) else out[0]

    def _decoded(self, source: Source, index: int) -> npt.NDArray[Any]:
        pixels = imported("pydicom.pixels", _EXTRA, source.name)
        with quiet(), source.open() as file:
            try:
                frame: npt.NDArray[Any] = pixels.pixel_array(file, index=index)
            except MemoryError:
                raise
            except Exception:
                raise InputError(
                    f"{source.name}: its pixels cannot be decoded; they are damaged, or compressed"
                    " in a way that pydicom does not read here or that is the maker's secret. Save"
                    " them uncompressed."
                ) from None
        if frame.shape != self._frame_shape:
            raise InputError(f"{source.name} is damaged: a frame is of another size.")
        return frame if self._white is None else (self._white - frame).astype(frame.dtype)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings and its log back: they quote what elements hold."""
    log = logging.getLogger("pydicom")
    silent, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = silent


def _header(path: Path) -> Any:
    """Read all but the pixels, and refuse what is not shown."""
    pydicom = imported("pydicom", _EXTRA, path.name)
    with quiet(), damage_of(path, "DICOM"), Source.of(path).open() as file:
        return pydicom.dcmread(file, stop_before_pixels=True, defer_size=_DEFERRED)


def _single(path: Path) -> OctImage:
    header = _header(path)
    if "Rows" not in header:
        raise InputError(f"{path.name} holds no image, but something else in DICOM.")
    _check_shown(path, header)
    with damage_of(path, "DICOM"):
        frames = [_frame(header, i) for i in range(int(header.get("NumberOfFrames") or 1))]
        places = _in_order(frames)
        if places.order is not None:
            frames = [frames[i] for i in places.order]
        meanings = _meanings([header] * len(frames), frames)
    own = meanings if len(set(meanings)) > 1 else None
    data = _Frames(Source.of(path), header, places.order, meanings=own)
    return _image(path, header, data, frames, places, meanings)


def _stacked(folder: Path, slices: list[tuple[Path, Any]], number: int) -> OctImage:
    """Put the files of a series behind each other, in the order of their positions."""
    if len(slices) == 1:
        return _single(slices[0][0])
    for path, header in slices:
        _check_shown(path, header)
    with damage_of(folder, "DICOM"):
        slices = sorted(slices, key=lambda s: number_of(_stated(s[1], "InstanceNumber")) or 0)
        frames = [_frame(header, 0) for _, header in slices]
        places = _in_order(frames)
        if places.order is not None:
            slices = [slices[i] for i in places.order]
            frames = [frames[i] for i in places.order]
        meanings = _meanings([header for _, header in slices], frames)
    kind = _Frames(Source.of(slices[0][0]), slices[0][1]).dtype
    own = len(set(meanings)) > 1
    arrays = [
        (path, _Frames(Source.of(path), header, None, kind, [meaning] if own else None))
        for (path, header), meaning in zip(slices, meanings, strict=True)
    ]
    reopen = partial(array_of, reader=read_dicom, number=number)
    data = PlaneFiles(Source.of(folder), arrays, reopen, number)
    return _image(folder, slices[0][1], data, frames, places, meanings)


def _check_shown(path: Path, header: Any) -> None:
    meaning = str(header.get("PhotometricInterpretation"))
    if meaning not in _SHOWN:
        raise InputError(f"{path.name} has {meaning} colours; convert it to RGB or gray first.")


def _stated(place: Any, name: str) -> Any:
    """Return what an element holds, as text where it is not what its kind should be."""
    try:
        return place.get(name)
    except Exception:
        with quiet():
            return place.get_item(name).value.decode("ascii", "replace").split("\\")


def _frame(header: Any, index: int) -> dict[str, Any]:
    """Gather what is said of a frame: in its own group, in the shared one, at the top.

    Under "unread" are the words for what is there, but not as numbers.
    """
    found: dict[str, Any] = {}
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    groups = [*shared[:1], *own[index : index + 1]]
    places = [header]
    for group in groups:
        for name in _GROUPS:
            places += list(group.get(name) or [])[:1]
    for place in places:
        for key, (name, _, _) in _ELEMENTS.items():
            if (value := _stated(place, name)) not in (None, ""):
                found[key] = value
        found["eye"] = place.get("FrameLaterality") or found.get("eye")
    unread = []
    for key, (_, count, words) in _ELEMENTS.items():
        if key in found:
            value = found.pop(key)
            several = isinstance(value, Sequence) and not isinstance(value, str)
            numbers = [number_of(v) for v in (value if several else [value])]
            if len(numbers) != count or None in numbers:
                unread.append(words)
            else:
                found[key] = numbers if count > 1 else numbers[0]
    if "line" in found:
        row0, column0, row1, column1 = found["line"]
        found["line"] = (column0, row0, column1, row1)
    return found | {"unread": unread}


_GROUPS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "OphthalmicFrameLocationSequence",
    "FrameAnatomySequence",
    "PixelValueTransformationSequence",
)
_MEANING = "the meaning of its values"
_ELEMENTS = {
    "spacing": ("PixelSpacing", 2, "its pixel spacing"),
    "step": ("SpacingBetweenSlices", 1, "the distance of its slices"),
    "thickness": ("SliceThickness", 1, "the thickness of its slices"),
    "position": ("ImagePositionPatient", 3, "the position of its slices"),
    "orientation": ("ImageOrientationPatient", 6, "the orientation of its slices"),
    "line": ("ReferenceCoordinates", 4, "the lines of its B-scans"),
    "slope": ("RescaleSlope", 1, _MEANING),
    "intercept": ("RescaleIntercept", 1, _MEANING),
}
"""The name of each element, how many numbers it holds, and words for it."""


def _in_order(frames: Sequence[dict[str, Any]]) -> _Order:
    """Order slices along the normal of their planes.

    Of those at one position the first of each come first, then the second ones: phases, echoes.
    Without a position for each there is no order to find.
    """
    positions = [frame["position"] for frame in frames if "position" in frame]
    axes = frames[0].get("orientation")
    if len(positions) < 2 or len(positions) < len(frames) or axes is None:
        return _Order()
    along = np.asarray(positions) @ np.cross(axes[:3], axes[3:])
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    if (steps < _SAME).any():
        place = np.empty(len(order), int)
        place[order] = np.concatenate([[0], np.cumsum(steps >= _SAME)])
        seen: Counter[int] = Counter()
        turn = []
        for at in place:
            turn.append(seen[at])
            seen[at] += 1
        return _Order([int(i) for i in np.lexsort((place, np.array(turn)))], repeats=True)
    step = float(np.median(steps))
    even = float(np.abs(steps - step).max()) <= _EVEN * step
    return _Order([int(i) for i in order], step if even else 0.0)


def _white(header: Any) -> int | None:
    """Say what a stored value and the one that is read add up to, where 0 is white."""
    if header.get("PhotometricInterpretation") != "MONOCHROME1":
        return None
    return -1 if int(header.get("PixelRepresentation") or 0) else 2 ** int(header.BitsStored) - 1


def _meanings(headers: Sequence[Any], frames: Sequence[dict[str, Any]]) -> list[_Meaning]:
    """Say of each frame what the values that are read stand for.

    They stand for themselves where nothing else is said, or of one of them in no number.
    """
    stated = [_Meaning(f.get("intercept", 0.0), f.get("slope") or 1.0) for f in frames]
    unread = any(_MEANING in frame["unread"] for frame in frames)
    if unread or set(stated) == {_Meaning()}:
        return [_Meaning()] * len(frames)
    whites = [_white(header) for header in headers]
    return [
        m if white is None else _Meaning(m.intercept + m.slope * white, -m.slope)
        for m, white in zip(stated, whites, strict=True)
    ]


def _image(
    path: Path,
    header: Any,
    data: FileArray,
    frames: Sequence[dict[str, Any]],
    places: _Order,
    meanings: Sequence[_Meaning],
) -> OctImage:
    first = frames[0]
    plain = len(data.shape) - (int(header.get("SamplesPerPixel") or 1) > 1)
    axes = "ZYX"[-plain:] + "S" * (len(data.shape) - plain)
    spacing, assumed = {}, ""
    with damage_of(path, "DICOM"):
        if "spacing" in first:
            rows, columns = first["spacing"]
            spacing = {"Y": rows * MICROMETRES, "X": columns * MICROMETRES}
        if plain == 3 and places.step:
            spacing["Z"] = places.step * MICROMETRES
        elif plain == 3 and all("position" not in frame for frame in frames):
            stated = first.get("step", first.get("thickness"))
            assumed = "" if "step" in first or stated is None else "Z"
            spacing["Z"] = (stated or 0.0) * MICROMETRES
        lines = [frame["line"] for frame in frames if "line" in frame]
        eye = header.get("ImageLaterality") or header.get("Laterality") or first.get("eye")
    warn_unread(path, list(dict.fromkeys(words for frame in frames for words in frame["unread"])))
    if places.repeats:
        warnings.warn(
            f"{path.name}: several of its slices lie at one position, as those of phases or echoes"
            " do; they follow each other phase by phase, and their distance counts as unknown.",
            stacklevel=2,
        )
    elif plain == 3 and "Z" not in spacing:
        warnings.warn(
            f"{path.name}: its slices do not lie evenly, so their distance counts as unknown.",
            stacklevel=2,
        )
    return OctImage(
        name={"OPT": "OCT", "OP": "fundus"}.get(str(header.get("Modality")), "image"),
        data=data,
        axes=axes,
        spacing=spacing,
        assumed=assumed,
        acquisition=Acquisition(
            modality=_MODALITIES.get(str(header.get("Modality"))),
            laterality=_EYES.get(str(eye)),
            lines=cast("tuple[Line, ...]", tuple(lines)) if len(lines) == len(frames) else (),
            lines_unit="pixel",
        ),
        appearance=Appearance(calibration=_calibration(header, meanings)),
    )


def _calibration(header: Any, meanings: Sequence[_Meaning]) -> dict[str, Any] | None:
    """Say what values mean, as ImageJ does: a straight line, if it is one for all of them."""
    if len(set(meanings)) > 1 or meanings[0] == _Meaning():
        return None
    unit = "HU" if header.get("Modality") == "CT" else "gray value"
    return {"cf": 0, "c0": meanings[0].intercept, "c1": meanings[0].slope, "vunit": unit}
