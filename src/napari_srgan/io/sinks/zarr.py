"""Writing OME-Zarr: a folder of compressed chunks with coarser levels, that any part is read from.

Version 0.4 (Zarr 2) has a file a chunk; 0.5 (Zarr 3) gathers chunks in shards, so that a large
result is not millions of files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.axes import canonical
from napari_srgan.image.units import is_length, is_time
from napari_srgan.io.appearance import appearance_of
from napari_srgan.io.atomic import flush_file
from napari_srgan.io.formats.zarr import UNFINISHED, read_result
from napari_srgan.io.notes import KEY
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.levels import PlaneLevels, level_sizes

if TYPE_CHECKING:
    import zarr

CHUNK = 512
"""Side of a chunk in pixels, of which each holds a part of one plane."""
SHARD = 4 * CHUNK
"""Side of a shard."""
LEVEL = 3
"""Of Zstandard within Blosc, by the figures of benchmarks/zarr_compression.py."""

_TYPES = {"T": "time", "C": "channel"}
_RGB = ("FF0000", "00FF00", "0000FF", "FFFFFF")


class ZarrContent:
    """The inside of an OME-Zarr folder; see `file.Content`.

    The coarsest level of a plane is written last, so that who reads an unfinished store sees which
    planes are done.

    Parameters
    ----------
    path, spec, name, notes, former
        As for `file.Content`.
    version : {"0.4", "0.5"}
        Of OME-Zarr.
    """

    def __init__(
        self,
        path: Path,
        spec: OutputSpec,
        name: str,
        notes: dict[str, Any],
        former: Path | None = None,
        version: str = "0.4",
    ) -> None:
        import zarr

        self._path, self._spec, self._version = path, spec, version
        self._axes = stored_axes(spec)
        sizes = dict(zip(spec.axes, spec.shape, strict=True))
        self._plane_shape = tuple(sizes[a] for a in "YXS" if a in sizes)
        self._sizes = level_sizes(*self._plane_shape[:2])
        self._planes: dict[tuple[int, ...], PlaneLevels] = {}
        self._unflushed: list[tuple[int, ...]] = []
        self._marks: dict[tuple[int, ...], npt.NDArray[Any]] = {}
        outer = [sizes["S" if a == "C" and "S" in sizes else a] for a in self._axes[:-2]]
        shapes = [(*outer, *yx) for yx in self._sizes]
        if former is not None:
            self._group, self._arrays = _opened(path, name, shapes, spec.dtype)
            return
        self._group = zarr.create_group(
            path, zarr_format=2 if version == "0.4" else 3, overwrite=True
        )
        self._tell(notes | {UNFINISHED: True})
        self._arrays = [self._array(i, shape) for i, shape in enumerate(shapes)]

    resumable: ClassVar[bool] = True

    @staticmethod
    def check(spec: OutputSpec, name: str) -> None:
        """Refuse what has no place in OME-Zarr, and everything where zarr is not installed."""
        try:
            import zarr  # noqa: F401
        except ImportError:
            raise InputError(
                f"{name}: writing OME-Zarr needs the package zarr, which is not installed here: "
                "pip install 'napari-srgan[zarr]'."
            ) from None
        sizes = dict(zip(spec.axes, spec.shape, strict=True))
        if "S" in sizes and "C" in sizes:
            raise InputError(
                f"{name}: OME-Zarr has one axis for channels and colours, and the output has both;"
                " write .tif."
            )

    @staticmethod
    def nbytes(spec: OutputSpec, name: str) -> int:
        """Count the bytes of the pixels, of which packing saves more than the levels add."""
        return spec.nbytes

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block; chunks that it completes are written."""
        if index not in self._planes:
            side = CHUNK if self._version == "0.4" else SHARD
            self._planes[index] = PlaneLevels(
                self._plane_shape, self._spec.dtype, side, partial(self._piece, index)
            )
        self._planes[index].add(y, x, block)

    def plane_done(self, index: tuple[int, ...]) -> None:
        """Write the coarsest level."""
        if not self._planes.pop(index).is_complete or index not in self._marks:
            raise RuntimeError(f"the plane at {index} has not got all its blocks")
        self._store(index, self._arrays[-1], 0, 0, self._marks.pop(index))
        self._unflushed.append(index)

    def flush(self) -> None:
        """Wait until all planes that are done are on the disk."""
        while self._unflushed:
            index = self._unflushed.pop()
            for folder in itertools.chain(*(self._folders(index, a) for a in self._arrays)):
                for chunk in filter(Path.is_file, folder.rglob("*")):
                    flush_file(chunk)

    def keep_frame(self, folder: Path) -> None:
        """Nothing is written anew at the end but the attributes."""

    def finish(self, notes: dict[str, Any]) -> None:
        """Write the final attributes, which say that the store is whole."""
        if self._planes:
            raise RuntimeError(f"the planes at {sorted(self._planes)} are not done")
        self.flush()
        self._tell(notes)

    def result(self, path: Path) -> npt.NDArray[Any]:
        """Return the pixels, which stay in their chunks until they are asked for."""
        return cast("npt.NDArray[Any]", read_result(path, self._spec.axes))

    def close(self) -> None:
        """Nothing is open."""

    def _array(self, level: int, shape: tuple[int, ...]) -> zarr.Array[Any]:
        sides = [min(CHUNK, n) for n in shape[-2:]]
        # A shard holds whole chunks.
        whole = (-(-n // side) * side for n, side in zip(shape[-2:], sides, strict=True))
        shard = [min(SHARD, n) for n in whole]
        ones = [1] * (len(shape) - 2)
        new = self._version == "0.5"
        return self._group.create_array(
            str(level),
            shape=shape,
            dtype=self._spec.dtype,
            chunks=(*ones, *sides),
            shards=(*ones, *shard) if new else None,
            compressors=_compressor(self._version, self._spec.dtype),
            fill_value=0,
            chunk_key_encoding={"name": "default" if new else "v2", "separator": "/"},
            dimension_names=tuple(self._axes.lower()) if new else None,
            # So a chunk that is not there is one that was lost.
            config={"write_empty_chunks": True},
        )

    def _piece(
        self, index: tuple[int, ...], level: int, y: int, x: int, piece: npt.NDArray[Any]
    ) -> None:
        if level == len(self._sizes) - 1:
            self._marks[index] = piece
        else:
            self._store(index, self._arrays[level], y, x, piece)

    def _store(
        self,
        index: tuple[int, ...],
        array: zarr.Array[Any],
        y: int,
        x: int,
        piece: npt.NDArray[Any],
    ) -> None:
        at = dict(zip(self._spec.plane_axes, index, strict=True))
        if piece.ndim == 3:
            piece = np.moveaxis(piece, -1, 0)
        key = (*(at.get(a, slice(None)) for a in self._axes[:-2]),)
        rows, cols = slice(y, y + piece.shape[-2]), slice(x, x + piece.shape[-1])
        array[(*key, rows, cols)] = piece

    def _folders(self, index: tuple[int, ...], array: zarr.Array[Any]) -> Iterator[Path]:
        """Give the folders that hold the chunks of a plane, one a colour."""
        at = dict(zip(self._spec.plane_axes, index, strict=True))
        samples = self._plane_shape[2] if len(self._plane_shape) == 3 else 0
        ranges = [
            range(samples) if samples and a == "C" else range(at[a], at[a] + 1)
            for a in self._axes[:-2]
        ]
        for outer in itertools.product(*ranges):
            key = array.metadata.encode_chunk_key((*outer, 0, 0))
            yield (self._path / array.path / key).parent.parent

    def _tell(self, notes: dict[str, Any]) -> None:
        """Write the attributes: what OME-Zarr has a place for, and our notes."""
        image: dict[str, Any] = {
            "multiscales": [multiscale(self._spec, self._version, len(self._sizes))],
            "omero": omero(self._spec, self._version),
        }
        said = image if self._version == "0.4" else {"ome": {"version": self._version, **image}}
        self._group.attrs.put({**said, KEY: notes})


def _opened(
    path: Path, name: str, shapes: list[tuple[int, ...]], dtype: np.dtype[Any]
) -> tuple[zarr.Group, list[zarr.Array[Any]]]:
    """Open an unfinished store to go on with it; InputError if it is damaged."""
    import zarr

    try:
        group = zarr.open_group(path, mode="r+")
        config = {"write_empty_chunks": True}
        arrays = [
            zarr.open_array(path / str(i), mode="r+", config=config) for i in range(len(shapes))
        ]
        if [a.shape for a in arrays] == shapes and all(a.dtype == dtype for a in arrays):
            return group, arrays
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"The unfinished {name} is damaged; start anew with --overwrite.")


def stored_axes(spec: OutputSpec) -> str:
    """Give the axes in the order that OME-Zarr asks for; colours become its channels."""
    return canonical(spec.axes.replace("S", "C"))


def multiscale(spec: OutputSpec, version: str, levels: int) -> dict[str, Any]:
    """Describe axes and levels, as OME-Zarr's ``multiscales`` does."""
    plain = spec.axes.replace("S", "")
    scale = dict(zip(plain, spec.scale, strict=True))
    translate = dict(zip(plain, spec.translate, strict=True))
    units = dict(zip(plain, spec.units, strict=True))
    if "S" in spec.axes:
        scale["C"], translate["C"], units["C"] = 1.0, 0.0, ""
    axes = stored_axes(spec)
    described = []
    for a in axes:
        unit = units[a]
        known = is_time(unit) if a == "T" else is_length(unit) and a in "ZYX"
        axis = {"name": a.lower(), "type": _TYPES.get(a, "space")}
        described.append(axis | ({"unit": unit} if known else {}))
    datasets = []
    for level in range(levels):
        factor = {a: 2**level if a in "YX" else 1 for a in axes}
        scales = [scale[a] * factor[a] for a in axes]
        shifts = [translate[a] + scale[a] * (factor[a] - 1) / 2 for a in axes]
        placed = [
            {"type": "scale", "scale": scales},
            {"type": "translation", "translation": shifts},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": placed})
    said: dict[str, Any] = {
        "name": spec.name,
        "axes": described,
        "datasets": datasets,
        "type": "mean",
        "metadata": {"description": "Each level is the mean of 2 x 2 pixels of Y and X."},
    }
    return said if version != "0.4" else {"version": version, **said}


def omero(spec: OutputSpec, version: str) -> dict[str, Any]:
    """Describe how the image is shown, as OME-Zarr's ``omero`` does."""
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    colour, count = "S" in sizes, sizes.get("S", sizes.get("C", 1))
    shown = appearance_of(spec.metadata)
    channels = shown.channels(count)
    dtype = spec.dtype
    ranges = list(zip(shown.ranges[::2], shown.ranges[1::2], strict=False))
    windows = ranges if len(ranges) == count and not colour else list(spec.window or ())
    if dtype.kind in "iu":
        limits = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    else:
        limits = (0.0, 1.0)
    usual_names = list("RGBA") if colour else [f"channel {i}" for i in range(count)]
    said = []
    for i, channel in enumerate(channels):
        low, high = windows[i] if i < len(windows) and not colour else limits
        ends = (min(limits[0], low), max(limits[1], high)) if dtype.kind in "iu" else (low, high)
        usual = _RGB[i] if colour else "FFFFFF"
        said.append(
            {
                "label": channel.name or (usual_names[i] if count > 1 else spec.name),
                "color": (channel.colour or usual).lstrip("#").upper(),
                "active": True,
                "coefficient": 1,
                "family": "linear",
                "inverted": False,
                "window": {"min": ends[0], "max": ends[1], "start": low, "end": high},
            }
        )
    coloured = colour or any(channel.colour for channel in channels)
    made: dict[str, Any] = {"channels": said}
    made["rdefs"] = {"defaultT": 0, "defaultZ": 0, "model": "color" if coloured else "greyscale"}
    return made if version != "0.4" else {"id": 1, "name": spec.name, "version": version, **made}


def _compressor(version: str, dtype: np.dtype[Any]) -> Any:
    if version == "0.4":
        from numcodecs import Blosc

        return Blosc("zstd", LEVEL, Blosc.SHUFFLE)
    from zarr.codecs import BloscCodec

    return BloscCodec(cname="zstd", clevel=LEVEL, shuffle="shuffle", typesize=dtype.itemsize)
