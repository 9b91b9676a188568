"""Reading DICOM by pydicom: OCT (OPT), multi-frame images, and folders of slices.

Of the hundreds of elements only those are read that say what the pixels are and where they lie.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, Laterality, Line, Modality
from napari_srgan.io.appearance import Appearance
from napari_srgan.io.extras import imported
from napari_srgan.io.formats.oct_image import MICROMETRES, OctImage, damage_of, numbered
from napari_srgan.io.formats.plane_files import PlaneFiles
from napari_srgan.io.formats.source import FileArray, Source

_EXTRA = "oct"
_MODALITIES: dict[str, Modality] = {"OPT": "oct", "OP": "enface"}
_EYES: dict[str, Laterality] = {"R": "OD", "L": "OS"}
_SHOWN = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_EVEN = 0.02
"""By how much of their distance slices may be off, and still lie evenly."""
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


class _Frames(FileArray):
    """The frames of a file, decoded when they are asked for.

    `order` is that in which they follow each other, if it is not that of the file; `dtype` is
    known where another slice of the series was decoded.
    """

    def __init__(
        self,
        source: Source,
        header: Any,
        order: Sequence[int] | None = None,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        count = int(header.get("NumberOfFrames") or 1)
        rows, columns, samples = (
            int(header.get(name) or 1) for name in ("Rows", "Columns", "SamplesPerPixel")
        )
        self._frame_shape = (rows, columns) if samples == 1 else (rows, columns, samples)
        self._order = range(count) if order is None else order
        self._white: int | None = None
        """What a stored value and its meaning add up to, where 0 is white."""
        if header.get("PhotometricInterpretation") == "MONOCHROME1":
            signed = int(header.get("PixelRepresentation") or 0)
            self._white = -1 if signed else 2 ** int(header.BitsStored) - 1
        kind = self._decoded(source, 0).dtype if dtype is None else dtype
        shape = self._frame_shape if count == 1 else (count, *self._frame_shape)
        super().__init__([source], shape, kind, partial(_array_of, number=0))

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        inner = ranges[-len(self._frame_shape) :]
        frames = ranges[0] if len(inner) < len(ranges) else range(1)
        out = np.empty([len(frames), *map(len, inner)], self.dtype)
        for into, i in zip(out, frames, strict=True):
            frame = self._decoded(self.sources[0], self._order[i])
            if frame.dtype != self.dtype:
                raise InputError(f"{self.name} has other values than the slices before it.")
            into[...] = frame[np.ix_(*inner)]
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
        order, step = _in_order([frame.get("position") for frame in frames], frames[0])
    data = _Frames(Source.of(path), header, order)
    if order is not None:
        frames = [frames[i] for i in order]
    return _image(path, header, data, frames, step)


def _stacked(folder: Path, slices: list[tuple[Path, Any]], number: int) -> OctImage:
    """Put the files of a series behind each other, in the order of their positions."""
    if len(slices) == 1:
        return _single(slices[0][0])
    for path, header in slices:
        _check_shown(path, header)
    with damage_of(folder, "DICOM"):
        frames = [_frame(header, 0) for _, header in slices]
        order, step = _in_order([frame.get("position") for frame in frames], frames[0])
        if order is None:
            order = sorted(
                range(len(slices)), key=lambda i: int(slices[i][1].get("InstanceNumber") or 0)
            )
    slices, frames = [slices[i] for i in order], [frames[i] for i in order]
    kind = _Frames(Source.of(slices[0][0]), slices[0][1]).dtype
    arrays = [(path, _Frames(Source.of(path), header, None, kind)) for path, header in slices]
    data = PlaneFiles(Source.of(folder), arrays, partial(_array_of, number=number), number)
    return _image(folder, slices[0][1], data, frames, step)


def _check_shown(path: Path, header: Any) -> None:
    meaning = str(header.get("PhotometricInterpretation"))
    if meaning not in _SHOWN:
        raise InputError(f"{path.name} has {meaning} colours; convert it to RGB or gray first.")


def _frame(header: Any, index: int) -> dict[str, Any]:
    """Gather where a frame lies: from its own group, from the shared one, from the top."""
    found: dict[str, Any] = {}
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    groups = [*shared[:1], *own[index : index + 1]]
    places = [header]
    for group in groups:
        for name in _GROUPS:
            places += list(group.get(name) or [])[:1]
    for place in places:
        for key, name in _ELEMENTS.items():
            if (value := place.get(name)) not in (None, ""):
                found[key] = value
    if "line" in found:
        row0, column0, row1, column1 = map(float, found["line"])
        found["line"] = (column0, row0, column1, row1)
    for key in ("spacing", "position", "orientation"):
        if key in found:
            found[key] = [float(v) for v in found[key]]
    return found


_GROUPS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "OphthalmicFrameLocationSequence",
    "FrameAnatomySequence",
)
_ELEMENTS = {
    "spacing": "PixelSpacing",
    "step": "SpacingBetweenSlices",
    "thickness": "SliceThickness",
    "position": "ImagePositionPatient",
    "orientation": "ImageOrientationPatient",
    "line": "ReferenceCoordinates",
    "eye": "FrameLaterality",
}


def _in_order(
    positions: Sequence[list[float] | None], first: dict[str, Any]
) -> tuple[list[int] | None, float]:
    """Order slices along the normal of their planes; give their distance, 0 where it varies.

    Without a position for each there is no order to find.
    """
    known = [p for p in positions if p is not None and len(p) == 3]
    axes = first.get("orientation") or []
    if len(known) < 2 or len(known) < len(positions) or len(axes) != 6:
        return None, 0.0
    normal = np.cross(axes[:3], axes[3:])
    along = np.asarray(known) @ normal
    order = [int(i) for i in np.argsort(along, kind="stable")]
    steps = np.diff(along[order])
    step = float(np.median(steps))
    even = step > 0 and float(np.abs(steps - step).max()) <= _EVEN * step
    return order, step if even else 0.0


def _image(
    path: Path, header: Any, data: FileArray, frames: Sequence[dict[str, Any]], step: float
) -> OctImage:
    first = frames[0]
    plain = len(data.shape) - (int(header.get("SamplesPerPixel") or 1) > 1)
    axes = "ZYX"[-plain:] + "S" * (len(data.shape) - plain)
    spacing, assumed = {}, ""
    with damage_of(path, "DICOM"):
        if "spacing" in first:
            rows, columns = first["spacing"]
            spacing = {"Y": rows * MICROMETRES, "X": columns * MICROMETRES}
        if plain == 3 and step:
            spacing["Z"] = step * MICROMETRES
        elif plain == 3 and all("position" not in frame for frame in frames):
            stated = first.get("step", first.get("thickness"))
            assumed = "" if "step" in first or stated is None else "Z"
            spacing["Z"] = float(stated or 0) * MICROMETRES
        lines = [frame["line"] for frame in frames if "line" in frame]
        eye = header.get("ImageLaterality") or header.get("Laterality") or first.get("eye")
        calibration = _calibration(header)
    if plain == 3 and "Z" not in spacing:
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
        appearance=Appearance(calibration=calibration),
    )


def _calibration(header: Any) -> dict[str, Any] | None:
    """Say what values mean, as ImageJ does: a straight line."""
    slope = float(header.get("RescaleSlope") or 1)
    intercept = float(header.get("RescaleIntercept") or 0)
    if (slope, intercept) == (1, 0) or not (math.isfinite(slope) and math.isfinite(intercept)):
        return None
    unit = "HU" if header.get("Modality") == "CT" else "gray value"
    return {"cf": 0, "c0": intercept, "c1": slope, "vunit": unit}


def _array_of(path: Path, number: int) -> FileArray:
    return cast("FileArray", read_dicom(path)[number].data)
