"""Reading TIFF of any flavour (plain, ImageJ, OME, BigTIFF) as one lazy array with named axes.

Which of its images, what its axes are, where its pixels lie, and what else it says about them; the
bytes are read by `tiff_array`.
"""

from __future__ import annotations

import math
import os
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import tifffile

from napari_srgan.errors import InputError
from napari_srgan.image.axes import canonical
from napari_srgan.io.appearance import KEY as APPEARANCE
from napari_srgan.io.appearance import read_appearance
from napari_srgan.io.calibration import read_calibration
from napari_srgan.io.formats.image_file import ImageFile, placed_image
from napari_srgan.io.formats.source import Source, check_series
from napari_srgan.io.formats.tiff_array import Pages, TiffArray
from napari_srgan.io.formats.tiff_claims import (
    check_micromanager,
    check_ome,
    check_size,
    count_pages,
)
from napari_srgan.io.formats.tiff_colours import COLOURS, PALETTE, Meaning, photometric
from napari_srgan.io.formats.tiff_segments import PageLayout, check_decodable, listening
from napari_srgan.io.notes import read_notes, valid_layout

TIFF_SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff")

_DESCRIBED = ("is_ome", "is_imagej", "is_shaped", "is_mmstack", "is_ndtiff", "is_micromanager")
"""Kinds of files that tifffile makes series of by a text in them."""

_ORIENTATION, _TURNED = 274, range(2, 9)

_OF_MICROMANAGER = ("mmstack", "ndtiff", "micromanager")

_CUT_SHORT = ("invalid page offset", "invalid offset to page", "corrupted", "failed to reshape")
"""What tifffile logs, in one version or another, where the chain of pages ends too early."""


def open_tiff(path: Path, axes: str | None = None, series: int | None = None) -> ImageFile:
    """Open a TIFF file without reading its pixels.

    `series` is the number of one of several images, from 0: series, of which the positions of
    Micro-Manager are images of their own. By default the one with the most pixels is taken, and
    the first of equals, and a warning says so. Axes are presented in the order TCZYXS, or as they
    were when napari-srgan wrote the file. `axes` names them anew, in the order in which they are
    stored.

    Raises
    ------
    InputError
        If it is no TIFF file, is cut short, or holds what cannot be read.
    """
    source = Source.of(path)
    pages = count_pages(source)
    with listening() as complaints, source.open() as file:
        try:
            return _opened(source, file, pages, axes, series)
        except InputError:
            raise
        except Exception as e:  # tifffile meets damage with errors of every type
            if _is_defect(e):
                raise
            try:
                found = _opened(source, file, pages, axes, series, as_pages=True)
            except Exception:
                raise InputError(f"{path.name} is damaged or cut short: {_why(e)}.") from e
            warnings.warn(
                f"{path.name}: what it says about its image cannot be read ({_why(e)}), so its"
                " pages are opened without it.",
                stacklevel=2,
            )
            return found
        finally:
            if any(sign in c for c in complaints for sign in _CUT_SHORT):
                raise InputError(f"{path.name} is cut short: pages that it lists are not there.")


def _opened(
    source: Source,
    file: BinaryIO,
    pages: int,
    axes: str | None,
    number: int | None,
    *,
    as_pages: bool = False,
) -> ImageFile:
    """Open a file, perhaps as mere pages, without what programs say about them."""
    without: dict[str, Any] = dict.fromkeys(_DESCRIBED, False) if as_pages else {}
    file.seek(0)
    try:
        # Not by its path: of a link, tifffile would look for the set beside what it leads to.
        tif = tifffile.TiffFile(file, **without)
    except Exception as e:
        raise InputError(f"{source.name} is not a TIFF file, or it is damaged: {_why(e)}.") from e
    with tif:
        sources = [source]
        if tif.is_ome and tif.ome_metadata:
            sources += check_ome(tif.ome_metadata, source, pages, tif.pages.first.size)
        sources += check_micromanager(tif, source)
        return _from_series(tif, sources, axes, number)


def _from_series(
    tif: tifffile.TiffFile, sources: list[Source], axes: str | None, number: int | None
) -> ImageFile:
    name = sources[0].name
    if not tif.series:
        raise InputError(f"{name} holds no image.")
    images = _images(tif)
    largest = max(range(len(images)), key=lambda i: images[i][0].size)  # the first of equals
    number = check_series(name, number, len(images), largest)
    series, position = images[number]
    stored = _stored(series, position, sources, axes)
    letters = stored.letters
    notes = read_notes(tif)
    stated = read_calibration(tif, series, position or 0)
    # tifffile's own JSON description has no place for a calibration: the notes are all there is
    checked = stated if series.kind in ("ome", "imagej") else None
    noted = valid_layout(notes, letters, stored.shape, checked) if axes is None else None
    order = letters if axes is not None else str(noted["axes"]) if noted else canonical(letters)
    reopen = partial(_tiff_array, axes=axes, series=number)
    array = stored.array(order, reopen)
    coarser = _coarser(series, stored, axes)
    array.coarser = tuple(
        one.array(order, partial(reopen, level=level)) for level, one in enumerate(coarser, 1)
    )
    metadata = dict((notes or {}).get("metadata") or {})
    if shown := read_appearance(tif, series, position or 0):
        metadata[APPEARANCE] = shown
    return placed_image(array, order, stated, noted, metadata)


@dataclass(frozen=True)
class _Stored:
    """The pixels of a series or of a coarser level of one: their axes, and where they lie."""

    letters: str
    shape: tuple[int, ...]
    page_ndim: int
    sources: list[Source]
    pages: Pages
    layout: PageLayout
    meaning: Meaning

    def array(self, order: str, reopen: Callable[[Path], TiffArray]) -> TiffArray:
        """Make an array with the axes in this order."""
        letters, shape = self.letters, self.shape
        for axis in order:
            if axis not in letters:  # axes of length 1 that the format has no place for
                letters, shape = axis + letters, (1, *shape)
        return TiffArray(
            self.sources,
            self.pages,
            self.layout,
            tuple(letters.index(a) for a in order),
            shape,
            self.page_ndim,
            self.meaning,
            reopen,
        )


def _stored(
    series: tifffile.TiffPageSeries, position: int | None, sources: list[Source], axes: str | None
) -> _Stored:
    name, key = sources[0].name, series.keyframe
    if key.dtype is None:
        raise InputError(f"{name} has a pixel type that is not supported; convert it first.")
    check_decodable(key, name)
    if key.tags.valueof(_ORIENTATION) in _TURNED:
        warnings.warn(
            f"{name}: its orientation tag says that the image is to be turned or mirrored, which is"
            " not done.",
            stacklevel=2,
        )
    letters, shape, page_ndim = _stored_axes(series, name)
    layout = PageLayout.of(key)
    sources, pages = _located(series, layout, math.prod(shape[: len(shape) - page_ndim]), sources)
    if position is not None:
        letters, shape, pages = _at_position(position, letters, shape, page_ndim, pages)
    meaning = Meaning.of(layout, series.kind, name)
    if meaning.samples:
        letters, shape, page_ndim = letters + "S", (*shape, meaning.samples), page_ndim + 1
    if axes is not None:
        letters, shape, page_ndim = _renamed(axes.upper(), letters, shape, page_ndim, name)
    else:
        letters = _known_letters(letters, key, name)
    return _Stored(letters, shape, page_ndim, sources, pages, layout, meaning)


def _coarser(series: tifffile.TiffPageSeries, finest: _Stored, axes: str | None) -> list[_Stored]:
    """List the levels of a pyramid below the finest, as far as they are the same image."""
    found: list[_Stored] = []
    with suppress(Exception):  # a level that is damaged takes nothing from the finest
        for level in series.levels[1:]:
            one, above = _stored(level, None, finest.sources, axes), [finest, *found][-1]
            sizes = zip(finest.letters, above.shape, one.shape, strict=True)
            if one.letters != finest.letters or not all(
                small <= n if a in "YX" else small == n for a, n, small in sizes
            ):
                break
            found.append(one)
    return found


def count_images(path: Path) -> int:
    """Count the images of a TIFF file that `open_tiff` can choose of; 1 where it tells why not."""
    with (
        suppress(Exception),
        listening(),
        Source.of(path).open() as file,
        tifffile.TiffFile(file) as tif,
    ):
        return max(1, len(_images(tif)))
    return 1


def _images(tif: tifffile.TiffFile) -> list[tuple[tifffile.TiffPageSeries, int | None]]:
    """List the images of a file: each series, and each position of a series that has several."""
    images: list[tuple[tifffile.TiffPageSeries, int | None]] = []
    for series in tif.series:
        if series.kind.startswith("lsm") and series.keyframe.is_reduced:
            continue  # thumbnails of the planes
        axis = _position_axis(series.axes) if series.kind in _OF_MICROMANAGER else ""
        if axis:
            images += [(series, i) for i in range(series.shape[series.axes.index(axis)])]
        else:
            images.append((series, None))
    return images


def _position_axis(axes: str) -> str:
    """Give the letter by which tifffile, in one version or another, calls positions."""
    return next((a for a in "RP" if a in axes), "")


def _at_position(
    position: int, letters: str, shape: tuple[int, ...], page_ndim: int, pages: Pages
) -> tuple[str, tuple[int, ...], Pages]:
    """Leave the pages of one position, and the axes without it."""
    frames, at = shape[: len(shape) - page_ndim], letters.index(_position_axis(letters))
    chosen = np.arange(math.prod(frames)).reshape(frames).take(position, axis=at).ravel()
    kept = Pages(*(getattr(pages, f.name)[chosen] for f in fields(pages)))
    return letters[:at] + letters[at + 1 :], shape[:at] + shape[at + 1 :], kept


def _tiff_array(path: Path, axes: str | None, series: int, level: int = 0) -> TiffArray:
    finest = cast("TiffArray", open_tiff(path, axes, series).data)
    return cast("TiffArray", (finest, *finest.coarser)[level])


def _stored_axes(series: tifffile.TiffPageSeries, name: str) -> tuple[str, tuple[int, ...], int]:
    """Axes as stored without a lone sample, and how many of them lie within a page."""
    page = tuple(
        n
        for a, n in zip(series.keyframe.axes, series.keyframe.shape, strict=True)
        if not (a == "S" and n == 1)
    )
    pairs = [
        (a, n) for a, n in zip(series.axes, series.shape, strict=True) if not (a == "S" and n == 1)
    ]
    letters, shape = "".join(a for a, _ in pairs), tuple(n for _, n in pairs)
    frames = shape[: len(shape) - len(page)]
    whole = math.prod(frames) == len(series) or series.is_truncated
    if shape[len(frames) :] == page and whole:
        return letters, shape, len(page)
    raise InputError(f"{name} stores its pages in a way that is not supported; save it anew.")


def _renamed(
    axes: str, letters: str, shape: tuple[int, ...], page_ndim: int, name: str
) -> tuple[str, tuple[int, ...], int]:
    """Give the stored axes other names; axes of length 1 need none."""
    if len(axes) == len(letters):
        return axes, shape, page_ndim
    kept = [i for i, n in enumerate(shape) if n != 1]
    if len(axes) != len(kept):
        raise InputError(
            f"{name}: the axes {axes!r} are {len(axes)}, but the file has {len(letters)},"
            f" stored as {letters} with lengths {shape}."
        )
    in_page = sum(i >= len(shape) - page_ndim for i in kept)
    return axes, tuple(shape[i] for i in kept), in_page


def _known_letters(letters: str, key: tifffile.TiffPage, name: str) -> str:
    """Give axes that have no known letter (a plain page sequence, say) a free one of Z, T, C."""
    found = list(letters)
    if "S" in found and photometric(key) not in (*COLOURS, PALETTE):
        found[found.index("S")] = "?"  # samples that are no colours
        free = [a for a in "CZT" if a not in found]
    else:
        free = [a for a in "ZTC" if a not in found]
    for i in reversed(range(len(found))):
        if found[i] not in "TCZYXS" or found.index(found[i]) != i:
            if not free:
                raise InputError(
                    f"{name} has the axes {letters}, of which not all are known; name them with"
                    " letters of TCZYXS, in the order in which they are stored."
                )
            found[i] = free.pop(0)
    return "".join(found)


def _located(
    series: tifffile.TiffPageSeries, layout: PageLayout, n_pages: int, sources: list[Source]
) -> tuple[list[Source], Pages]:
    """Say where the pixels lie; refuse a file that ends before they do."""
    key, name = series.keyframe, sources[0].name
    if series.dataoffset and not series.is_multifile:  # one block for all pages
        end = series.dataoffset + n_pages * key.nbytes
        if end > sources[0].size:
            raise _cut_short(sources[0], end)
        offsets = series.dataoffset + key.nbytes * np.arange(n_pages, dtype=np.int64)
        zeros = np.broadcast_to(np.intp(0), n_pages)
        counts = np.broadcast_to(np.int64(key.nbytes), (n_pages, 1))
        whole = np.broadcast_to(np.True_, n_pages)
        return sources, Pages(zeros, offsets[:, np.newaxis], counts, whole)
    stored = list(series)
    if len(stored) != n_pages:
        raise InputError(f"{name} has {len(stored)} pages, but {n_pages} are needed.")
    missing = sum(page is None for page in stored)
    if missing:  # an acquisition that was stopped, in OME-TIFF
        warnings.warn(
            f"{name}: {missing} of {n_pages} planes are not in the file and read as 0.",
            stacklevel=2,
        )
    known = {os.path.realpath(s.path): i for i, s in enumerate(sources)}
    there = [(i, page) for i, page in enumerate(stored) if page is not None]
    places = [_place(page, layout, name) for _, page in there]
    in_one_piece = np.zeros(n_pages, bool)
    in_file = np.full(n_pages, -1, np.intp)
    width = max(len(at) for at, _, _ in places)
    where = np.zeros((2, n_pages, width), np.int64)
    for (i, page), (at, lengths, one) in zip(there, places, strict=True):
        in_file[i] = known[os.path.realpath(page.parent.filehandle.path)]
        in_one_piece[i] = one
        where[:, i, : len(at)] = at, lengths
    where[1, where[0] <= 0] = 0  # what has no place is not there
    for i, source in enumerate(sources):
        offsets, counts = where[:, in_file == i]
        if offsets.size and (counts > source.size - offsets)[counts > 0].any():
            raise _cut_short(source, int((offsets.astype(np.float64) + counts).max()))
    bytes_there = min(int(where[1].sum()), sum(s.size for s in sources))
    check_size(sources[0], key.compression, len(places) * key.nbytes, bytes_there)
    return sources, Pages(in_file, where[0], where[1], in_one_piece)


def _place(
    page: tifffile.TiffPage | tifffile.TiffFrame, layout: PageLayout, name: str
) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """Offsets and lengths of a page's strips or tiles, and whether they are one piece."""
    key = layout.key
    offsets, counts = page.dataoffsets, page.databytecounts
    follows = all(a + n == b for a, n, b in zip(offsets, counts, offsets[1:], strict=False))
    if offsets and offsets[0] > 0 and key.is_final and follows:
        return offsets[:1], (key.nbytes,), True
    needed = math.prod(layout.grid)
    if min(len(offsets), len(counts)) < needed:
        raise InputError(
            f"{name} is damaged: a page has {len(offsets)} of {needed} strips or tiles."
        )
    return offsets[:needed], counts[:needed], False


def _cut_short(source: Source, end: int) -> InputError:
    return InputError(
        f"{source.name} is cut short: it should have {end} bytes or more, but has {source.size}."
    )


def _is_defect(error: Exception) -> bool:
    """Whether this package asked tifffile for what it does not have, as after a change of its API.

    No damage does that. Any other error may come of it: values are then missing or of any type.
    """
    if not isinstance(error, AttributeError):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    asked_here = str(frame.f_globals["__name__"]).startswith("napari_srgan.")
    return asked_here and type(error.obj).__module__.partition(".")[0] == "tifffile"


def _why(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).rstrip(".").splitlines()[0]
