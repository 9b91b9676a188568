"""Strips and tiles of TIFF files: large ones are unpacked in bands, to the very pixels."""

import lzma
import os
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.io.formats import tiff_array, tiff_segments
from napari_srgan.io.open import open_stack


@pytest.fixture
def narrow(monkeypatch):
    """Bands of a few rows, so that small files have many."""
    monkeypatch.setattr(tiff_segments, "_BAND", 2000)


def agree(stack, pixels, seed=0):
    """Parts in any order are those of the pixels, and so is the whole."""
    rng = np.random.default_rng(seed)
    for _ in range(12):
        (top, bottom), (left, right) = (
            sorted(rng.choice(n + 1, 2, replace=False)) for n in (stack.height, stack.width)
        )
        part = stack.read((), slice(top, bottom), slice(left, right))
        np.testing.assert_array_equal(part, pixels[top:bottom, left:right])
    whole = stack.read(())
    assert whole.dtype == pixels.dtype
    np.testing.assert_array_equal(whole, pixels)


COLOURS = {"gray": (), "contig": (3,), "separate": (3,)}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("planar", COLOURS)
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("how", [{}, {"rowsperstrip": 50}, {"tile": (64, 32)}], ids=str)
def test_bands_of_packed_strips_and_tiles_are_what_tifffile_reads(
    tmp_path, narrow, order, planar, predictor, how
):
    colours = COLOURS[planar]
    for code in ("u1", "u2", "i2", "u4", "f4", "f8"):
        if colours and code not in ("u1", "u2", "f4"):
            continue
        rng = np.random.default_rng(1)
        pixels = (rng.random((120, 70, *colours)) * 200).astype(code)
        stored = np.moveaxis(pixels, -1, 0) if planar == "separate" else pixels
        path = tmp_path / f"{code}.tif"
        tifffile.imwrite(
            path,
            stored,
            byteorder=order,
            photometric="rgb" if colours else "minisblack",
            planarconfig=planar if colours else None,
            compression="zlib",
            predictor=predictor if np.dtype(code).kind != "f" else 1,
            metadata=None,
            **how,
        )
        axes = {"gray": "YX", "contig": "YXS", "separate": "SYX"}[planar]
        read = tifffile.imread(path)
        agree(open_stack(path, axes=axes), np.moveaxis(read, 0, -1) if axes == "SYX" else read)


def packed_floats(pixels):
    """Rows of floats as TIFF's predictor 3 wants them, of 1 or 3 samples a pixel."""
    rows, _, *colours = pixels.shape
    big = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">")))
    planes = np.moveaxis(big.view(np.uint8).reshape(rows, -1, pixels.dtype.itemsize), -1, 1)
    planes = planes.reshape(rows, -1, *(colours or [1]))
    return np.diff(planes, axis=1, prepend=np.uint8(0)).astype(np.uint8).tobytes()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", ["f2", "f4", "f8"])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_differences_of_floats_are_undone(tmp_path, narrow, order, code, colours):
    pixels = np.random.default_rng(2).normal(0, 1e3, (50, 40, *colours)).astype(code)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        iter([zlib.compress(packed_floats(pixels))]),
        shape=pixels.shape,
        dtype=pixels.dtype,
        byteorder=order,
        photometric="rgb" if colours else "minisblack",
        compression="zlib",
        rowsperstrip=50,
        metadata=None,
    )
    # tifffile writes predictor 3 only with imagecodecs, so the tag is added by its place
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["Software"].overwrite("")
        at = tif.pages[0].tags["Software"].offset
    entry = np.array([317, 3], f"{order}u2").tobytes() + np.array([1], f"{order}u4").tobytes()
    content = bytearray(path.read_bytes())
    content[at : at + 12] = entry + np.array([3, 0], f"{order}u2").tobytes()
    path.write_bytes(content)
    agree(open_stack(path), pixels)


def test_differences_of_floats_are_undone_as_libtiff_makes_them(tmp_path, narrow):
    pixels = np.random.default_rng(3).normal(0, 1e3, (90, 60)).astype(np.float32)
    how = {"compression": "tiff_adobe_deflate", "tiffinfo": {317: 3, 278: 90}}
    Image.fromarray(pixels).save(tmp_path / "a.tif", **how)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert (tif.pages[0].predictor, len(tif.pages[0].dataoffsets)) == (3, 1)
    agree(open_stack(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("rows", [90, 13])
@pytest.mark.parametrize("bands", [2000, 2**20])
def test_packbits_are_unpacked_as_libtiff_packs_them(tmp_path, monkeypatch, rows, bands):
    monkeypatch.setattr(tiff_segments, "_BAND", bands)
    monkeypatch.setattr(tiff_segments, "_PACKED", 200)
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (90, 600), np.uint8)
    pixels[:, 100:450] = rng.integers(0, 2, (90, 1), np.uint8)
    path = tmp_path / "a.tif"
    Image.fromarray(pixels).save(path, compression="packbits", tiffinfo={278: rows})
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        assert (page.compression, page.rowsperstrip) == (32773, rows)
        offset, count = page.dataoffsets[-1], page.databytecounts[-1]
    agree(open_stack(path), pixels)
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = b"\x80" * (count - 1) + b"\x05"  # no data, and a run of none
    path.write_bytes(content)
    with pytest.raises(InputError, match="ends too early"):
        open_stack(path).read(())


def test_packbits_take_no_more_memory_than_their_pixels(tmp_path):
    Image.fromarray(np.zeros((3000, 3000), np.uint8)).save(
        tmp_path / "a.tif", compression="packbits", tiffinfo={278: 3000}
    )
    stack = open_stack(tmp_path / "a.tif")
    tracemalloc.start()
    try:
        assert not stack.read((), slice(2000, 2010)).any()
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()


def in_one_strip(path, pixels):
    tifffile.imwrite(path, pixels, compression="zlib", rowsperstrip=len(pixels), metadata=None)


def test_a_part_of_a_page_in_one_strip_takes_no_memory_for_the_rest(tmp_path):
    path = tmp_path / "a.tif"
    in_one_strip(path, np.zeros((12000, 12000), np.uint8))
    tracemalloc.start()
    try:
        stack = open_stack(path)
        for row in (0, 11900, 5000):
            assert not stack.read((), slice(row, row + 64), slice(0, 64)).any()
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_bands_go_on_where_the_last_one_ended(tmp_path, narrow):
    """What was unpacked is destroyed behind the reader's back, so unpacking it again would fail."""
    pixels = np.random.default_rng(4).integers(0, 256, (400, 100), np.uint8)
    path = tmp_path / "a.tif"
    in_one_strip(path, pixels)
    with tifffile.TiffFile(path) as tif:
        (offset,), (count,) = tif.pages[0].dataoffsets, tif.pages[0].databytecounts
    content, then = path.read_bytes(), path.stat().st_mtime_ns
    stack = open_stack(path)

    def destroyed(start, stop):
        b = bytearray(content)
        b[offset + start : offset + stop] = b"\xff" * (stop - start)
        path.write_bytes(b)
        os.utime(path, ns=(then, then))

    np.testing.assert_array_equal(stack.read((), slice(0, 200)), pixels[:200])
    destroyed(0, count // 2 - 2000)
    np.testing.assert_array_equal(stack.read((), slice(200, 400)), pixels[200:])
    stack.data._kept = {}  # decoded bands; the places to go on from stay
    destroyed(0, count // 4)
    np.testing.assert_array_equal(stack.read((), slice(150, 240)), pixels[150:240])
    fresh = open_stack(path)
    with pytest.raises(InputError, match=r"a\.tif cannot be read"):
        fresh.read((), slice(150, 240))


def test_only_so_many_places_to_go_on_from_are_kept(tmp_path, narrow, monkeypatch):
    monkeypatch.setattr(tiff_array, "_MARKS", 3)
    pixels = np.random.default_rng(5).integers(0, 256, (400, 100), np.uint8)
    in_one_strip(tmp_path / "a.tif", pixels)
    stack = open_stack(tmp_path / "a.tif")
    agree(stack, pixels)
    assert len(stack.data._marks) == 3


def test_a_strip_that_ends_too_early_is_one_sentence_where_it_ends(tmp_path, narrow):
    pixels = np.random.default_rng(6).integers(0, 256, (400, 100), np.uint8)
    for name, data in {
        "ends.tif": zlib.compress(pixels[:200].tobytes()),
        "stops.tif": zlib.compress(pixels.tobytes())[:20000],
    }.items():
        path = tmp_path / name
        how = {"compression": "zlib", "rowsperstrip": 400, "metadata": None}
        tifffile.imwrite(path, iter([data]), shape=(400, 100), dtype="u1", **how)
        stack = open_stack(path)
        np.testing.assert_array_equal(stack.read((), slice(0, 160)), pixels[:160])
        with pytest.raises(InputError, match="ends too early"):
            stack.read((), slice(160, 400))


@pytest.mark.parametrize("compression", ["tiff_lzw", "lzma"])
def test_what_can_only_be_unpacked_at_once_is_refused_when_it_swells(tmp_path, compression):
    zeros = np.zeros((9000, 9000), np.uint8)
    path = tmp_path / "a.tif"
    if compression == "lzma":
        packed = iter([lzma.compress(zeros, preset=0)])
        how = {"compression": "lzma", "rowsperstrip": 9000, "metadata": None}
        tifffile.imwrite(path, packed, shape=zeros.shape, dtype="u1", **how)
    else:
        Image.fromarray(zeros).save(path, compression=compression, tiffinfo={278: 9000})
    with pytest.raises(InputError, match=r"a\.tif packs 81 MB of pixels into \d+ bytes"):
        open_stack(path).read((), slice(0, 9))
