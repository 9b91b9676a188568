"""OME-Zarr out and in: pixels, levels, places and looks, and what happens to a store in between."""

import itertools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import yaozarrs
import zarr
from numcodecs import LZ4, Blosc, GZip, Zlib, Zstd

from napari_srgan.errors import InputError, OutputBusy, OutputExists
from napari_srgan.image.stack import Stack
from napari_srgan.io import atomic
from napari_srgan.io.appearance import Appearance
from napari_srgan.io.open import image_name, open_stack
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink
from napari_srgan.io.sinks.levels import PlaneLevels, halved, level_sizes

RNG = np.random.default_rng(0)
VERSIONS = ["0.4", "0.5"]
PROVENANCE = {"napari_srgan": {"model": "srresnet-gray", "notice": "Not measured."}}
UNITS = {"T": "second", "C": "pixel"}


def pixels(shape, dtype="uint16"):
    return RNG.integers(0, 200, shape).astype(dtype)


def spec_of(array, axes, **changes):
    plain = axes.replace("S", "")
    described = {
        "shape": array.shape,
        "axes": axes,
        "dtype": array.dtype,
        "scale": tuple(0.9675 + i for i in range(len(plain))),
        "translate": tuple(-0.375 * 0.9675 * (i + 1) for i in range(len(plain))),
        "units": tuple(UNITS.get(a, "micrometer") for a in plain),
        "name": "scan [srresnet-gray 4x]",
        "metadata": PROVENANCE,
    }
    return OutputSpec(**(described | changes))


def put(path, array, axes, version="0.4", *, stop_after=None, overwrite=False, **changes):
    """Write a stack in blocks that lie across the chunks; give the sink if it is not to the end."""
    sink = FileSink(path, overwrite, ome_zarr=version)
    sink.open(spec_of(array, axes, **changes))
    stack = Stack(array, axes)
    for number, index in enumerate(stack.plane_indices()):
        if number == stop_after:
            return sink
        for y, x in itertools.product(range(0, stack.height, 300), range(0, stack.width, 700)):
            sink.write(index, y, x, stack.read(index, slice(y, y + 300), slice(x, x + 700)))
        sink.plane_done(index)
    return sink.commit()


def attributes(path):
    """What OME-Zarr states, of either version, and our own."""
    if (path / ".zattrs").exists():
        return json.loads((path / ".zattrs").read_text())
    said = json.loads((path / "zarr.json").read_text())["attributes"]
    return {**said, **said["ome"]}


# --- out and in again --------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YX", (20, 30), "uint8"),
        ("ZYX", (3, 600, 1100), "uint16"),
        ("TZYX", (2, 2, 40, 30), "float32"),
        ("ZCTXY", (2, 3, 2, 40, 50), "int16"),
        ("YXS", (700, 520, 3), "uint8"),
        ("ZSYX", (2, 4, 30, 20), "uint16"),
        ("CYX", (2, 30, 20), "float64"),
    ],
)
def test_what_is_written_is_read_again(tmp_path, version, axes, shape, dtype):
    array, path = pixels(shape, dtype), tmp_path / "a.zarr"
    result = put(path, array, axes, version)
    np.testing.assert_array_equal(result, array)
    stack = open_stack(path)
    spec = spec_of(array, axes)
    assert (stack.axes, stack.dtype, stack.name) == (axes, dtype, "a.zarr")
    assert (stack.scale, stack.translate, stack.units) == (spec.scale, spec.translate, spec.units)
    assert stack.spacing_source == "file" and stack.metadata["napari_srgan"]["notice"]
    np.testing.assert_array_equal(stack.data, array)
    again = pickle.loads(pickle.dumps(stack))
    np.testing.assert_array_equal(again.data[..., :20], array[..., :20])
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    yaozarrs.validate_zarr_store(str(path))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_package_zarr_reads_every_level(tmp_path, version):
    array = pixels((2, 1300, 1100))
    put(tmp_path / "a.zarr", array, "ZYX", version)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    expected = array
    for level in range(3):
        found = group[str(level)]
        np.testing.assert_array_equal(found[:], expected)
        assert found.chunks == (1, min(512, found.shape[1]), min(512, found.shape[2]))
        expected = np.stack([halved(plane) for plane in expected])
    if version == "0.5":
        assert group["0"].shards == (1, 1536, 1536)
        assert group["0"].metadata.dimension_names == ("z", "y", "x")


@pytest.mark.parametrize("version", VERSIONS)
def test_each_level_lies_where_the_image_lies(tmp_path, version):
    put(tmp_path / "a.zarr", pixels((2, 1300, 1100)), "ZYX", version)
    fine = open_stack(tmp_path / "a.zarr")
    for level in (1, 2):
        coarse, factor = open_stack(tmp_path / "a.zarr", level=level), 2**level
        assert coarse.scale == (fine.scale[0], fine.scale[1] * factor, fine.scale[2] * factor)
        for axis, own in ((1, fine.scale[1]), (2, fine.scale[2])):
            # The centre of its first pixel is that of the pixels it is the mean of.
            middle = fine.translate[axis] + own * (factor - 1) / 2
            assert coarse.translate[axis] == pytest.approx(middle, abs=1e-9)
    with pytest.raises(InputError, match="has no level 3; it has levels 0 to 2"):
        open_stack(tmp_path / "a.zarr", level=3)


def test_the_place_is_that_of_a_tiff(tmp_path):
    array = pixels((3, 20, 30))
    put(tmp_path / "a.zarr", array, "ZYX")
    sink = FileSink(tmp_path / "a.tif")
    sink.open(spec_of(array, "ZYX"))
    for z in range(3):
        sink.write((z,), 0, 0, array[z])
    sink.commit()
    one, other = open_stack(tmp_path / "a.zarr"), open_stack(tmp_path / "a.tif")
    np.testing.assert_allclose(one.scale, other.scale, rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.translate, other.translate, rtol=0, atol=1e-9)


def test_means_are_rounded_and_edges_kept():
    block = np.array([[0, 1, 9], [1, 1, 9], [4, 4, 250]], np.uint8)
    np.testing.assert_array_equal(halved(block), [[1, 9], [4, 250]])
    hot = np.full((4, 4), 65535, np.uint16)
    np.testing.assert_array_equal(halved(hot), hot[:2, :2])
    assert halved(np.full((2, 2), -3, np.int16))[0, 0] == -3
    holed = np.array([[np.nan, 1.0], [1.0, 1.0]], np.float32)
    assert np.isnan(halved(holed)).all() and halved(holed).dtype == np.float32


def test_levels_are_the_same_however_the_blocks_come():
    plane = pixels((1500, 1100))
    cuts = (
        [(0, 0, 1500, 1100)],
        [(y, x, 130, 170) for y in range(0, 1500, 130) for x in range(0, 1100, 170)],
    )
    found = []
    for blocks in cuts:
        levels = [np.zeros(size, plane.dtype) for size in level_sizes(1500, 1100)]
        RNG.shuffle(blocks)

        def write(level, y, x, piece, levels=levels):
            levels[level][y : y + piece.shape[0], x : x + piece.shape[1]] = piece

        made = PlaneLevels(plane.shape, plane.dtype, 512, write)
        for y, x, h, w in blocks:
            made.add(y, x, plane[y : y + h, x : x + w])
        assert made.is_complete
        found.append(levels)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [level.shape for level in found[0]] == [(1500, 1100), (750, 550), (375, 275)]


def test_units_that_are_unknown_are_left_out(tmp_path):
    put(tmp_path / "a.zarr", pixels((20, 30)), "YX", units=("pixel", "pixel"))
    assert all(
        "unit" not in axis for axis in attributes(tmp_path / "a.zarr")["multiscales"][0]["axes"]
    )
    assert open_stack(tmp_path / "a.zarr").spacing_source == "unknown"


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_shown_as_the_intensity_range_says(tmp_path, version):
    put(tmp_path / "a.zarr", pixels((2, 20, 30)), "CYX", version, window=((3, 90), (5, 1000)))
    channels = attributes(tmp_path / "a.zarr")["omero"]["channels"]
    assert [c["window"] for c in channels] == [
        {"min": 0, "max": 65535, "start": 3, "end": 90},
        {"min": 0, "max": 65535, "start": 5, "end": 1000},
    ]
    assert open_stack(tmp_path / "a.zarr").metadata["appearance"].ranges == (3, 90, 5, 1000)


def test_names_and_colours_of_channels_come_back(tmp_path):
    shown = Appearance(names=("DAPI", "GFP"), colours=(0x0000FFFF, 0x00FF00FF))
    put(
        tmp_path / "a.zarr",
        pixels((2, 20, 30)),
        "CYX",
        metadata={**PROVENANCE, "appearance": shown},
    )
    found = open_stack(tmp_path / "a.zarr").metadata["appearance"]
    assert found.names == shown.names
    colours = [[c.colour for c in said.channels(2)] for said in (found, shown)]
    assert colours[0] == colours[1]


def test_channels_and_colours_at_once_are_refused(tmp_path):
    with pytest.raises(InputError, match="one axis for channels and colours"):
        FileSink(tmp_path / "a.zarr").open(spec_of(pixels((2, 20, 30, 3), "uint8"), "CYXS"))
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"pip install 'napari-srgan\[zarr\]'"):
        FileSink(tmp_path / "a.zarr").reserve(spec_of(pixels((20, 30)), "YX"))


# --- what is there stays whole -----------------------------------------------------------------


def test_an_older_store_is_there_until_the_new_one_is_whole(tmp_path, monkeypatch):
    old, new, path = pixels((2, 20, 30)), pixels((2, 20, 30)), tmp_path / "a.zarr"
    put(path, old, "ZYX")
    with pytest.raises(OutputExists, match="already there"):
        put(path, new, "ZYX")
    for atomically in (True, False):
        if not atomically:
            monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
            old, new = new, old
        sink = put(path, new, "ZYX", overwrite=True, stop_after=1)
        np.testing.assert_array_equal(open_stack(path).data, old)
        with pytest.raises(OutputBusy):
            FileSink(path, overwrite=True).reserve(spec_of(new, "ZYX"))
        sink.abort()
        np.testing.assert_array_equal(open_stack(path).data, old)
        put(path, new, "ZYX", overwrite=True)
        np.testing.assert_array_equal(open_stack(path).data, new)
        assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_store_that_was_moved_aside_by_a_kill_is_put_back(tmp_path):
    array = pixels((2, 20, 30))
    put(tmp_path / "a.zarr", array, "ZYX")
    (tmp_path / "a.zarr").rename(tmp_path / "a.zarr.0123abcd.replaced")
    with pytest.raises(OutputExists):
        FileSink(tmp_path / "a.zarr").reserve(spec_of(array, "ZYX"))
    np.testing.assert_array_equal(open_stack(tmp_path / "a.zarr").data, array)


def test_only_a_store_is_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.tex").write_text("years of work")
    (tmp_path / "b.zarr").write_text("a file")
    for name, says in (("a.zarr", "folder of another kind"), ("b.zarr", "is a file")):
        with pytest.raises(InputError, match=says):
            FileSink(tmp_path / name, overwrite=True).reserve(spec_of(pixels((20, 30)), "YX"))
    assert (tmp_path / "a.zarr" / "thesis.tex").read_text() == "years of work"


def test_a_store_that_appears_meanwhile_is_not_lost_nor_is_the_result(tmp_path):
    array, path = pixels((2, 20, 30)), tmp_path / "a.zarr"
    sink = put(path, array, "ZYX", stop_after=1)
    path.mkdir()
    (path / "theirs").touch()
    sink.write((1,), 0, 0, array[1])
    sink.plane_done((1,))
    with pytest.raises(OutputExists, match="waits beside it"):
        sink.commit()
    (kept,) = (p for p in tmp_path.iterdir() if p != path)
    np.testing.assert_array_equal(open_stack(kept).data, array)
    assert (path / "theirs").exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unfinished_store_opens_and_says_how_far_it_is(tmp_path, version):
    array = pixels((5, 600, 30))
    sink = put(tmp_path / "a.zarr", array, "ZYX", version, stop_after=3)
    (partial,) = tmp_path.glob("a.zarr.*.partial")
    with pytest.warns(UserWarning, match="is not finished: 3 of 5 slices are done"):
        stack = open_stack(partial)
    np.testing.assert_array_equal(stack.data[:3], array[:3])
    assert not stack.data[3:].any() and image_name(partial) == "a"
    yaozarrs.validate_zarr_store(str(partial))
    sink.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_kill_leaves_the_old_store_whole(tmp_path):
    path, old = tmp_path / "a.zarr", pixels((2, 20, 30))
    put(path, old, "ZYX")
    script = textwrap.dedent(f"""
        import os, signal, numpy as np
        from napari_srgan.io.output import OutputSpec
        from napari_srgan.io.sinks import FileSink
        s = FileSink({str(path)!r}, overwrite=True)
        s.open(OutputSpec((9, 200, 300), "ZYX", np.dtype("u2"), (1,)*3, (0,)*3, ("pixel",)*3))
        for z in range(5):
            s.write((z,), 0, 0, np.full((200, 300), z, "u2"))
            s.plane_done((z,))
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    np.testing.assert_array_equal(open_stack(path).data, old)
    put(path, old, "ZYX", overwrite=True)  # and removes what the kill has left
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_full_disk_is_a_sentence_and_leaves_the_old_store(tmp_path, monkeypatch):
    path, array = tmp_path / "a.zarr", pixels((2, 20, 30))
    put(path, array, "ZYX")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    sink = put(path, array, "ZYX", overwrite=True, stop_after=1)
    monkeypatch.setattr("zarr.storage._local._put", full)
    sink.write((1,), 0, 0, array[1])
    with pytest.raises(InputError, match="the disk is full"):
        sink.plane_done((1,))
    monkeypatch.undo()
    np.testing.assert_array_equal(open_stack(path).data, array)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


# --- stores of others ---------------------------------------------------------------------------


def foreign(path, array, axes="zyx", *, zarr_format=2, attributes=None, **how):
    """A store as another program writes it, of one level."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    how = {"chunks": tuple(max(1, n // 2) for n in array.shape)} | how
    group.create_array("s0", shape=array.shape, dtype=array.dtype, **how)[...] = array
    kinds = {"t": "time", "c": "channel"}
    named = [{"name": a, "type": kinds.get(a, "space")} for a in axes]
    scale = {"type": "scale", "scale": [float(i + 2) for i in range(array.ndim)]}
    data = [{"path": "s0", "coordinateTransformations": [scale]}]
    said = {"multiscales": [{"axes": named, "datasets": data, **(attributes or {})}]}
    group.attrs.update(said if zarr_format == 2 else {"ome": {"version": "0.5", **said}})
    return path


@pytest.mark.parametrize(
    "how",
    [
        {"compressors": None},
        {"compressors": Zlib(1)},
        {"compressors": GZip(1)},
        {"compressors": Zstd(1)},
        {"compressors": LZ4()},
        {"compressors": Blosc("lz4", 5, Blosc.BITSHUFFLE), "order": "F"},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
        {"zarr_format": 3},
        {"zarr_format": 3, "compressors": [zarr.codecs.GzipCodec()]},
        {"zarr_format": 3, "compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
        {"zarr_format": 3, "filters": [zarr.codecs.TransposeCodec(order=(2, 0, 1))]},
        {"zarr_format": 3, "serializer": zarr.codecs.BytesCodec(endian="big")},
        {"zarr_format": 3, "chunks": (2, 5, 4), "shards": (4, 10, 12)},
        {"zarr_format": 3, "chunk_key_encoding": {"name": "v2", "separator": "."}},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float32"])
def test_the_codecs_of_others_are_read(tmp_path, how, dtype):
    array = pixels((5, 21, 33), dtype)
    path = foreign(tmp_path / "a.zarr", array, **how)
    stack = open_stack(path)
    np.testing.assert_array_equal(stack.data, array)
    np.testing.assert_array_equal(stack.data[3, 7:20:3, 30:2:-4], array[3, 7:20:3, 30:2:-4])
    assert stack.axes == "ZYX" and stack.scale == (2, 3, 4) and not stack.data[2:2].size


def test_units_and_transformations_for_all_levels_are_heeded(tmp_path):
    axes = [{"name": a, "type": "space", "unit": "nanometer"} for a in "yx"]
    whole = [
        {"type": "scale", "scale": [10.0, 10.0]},
        {"type": "translation", "translation": [5.0, 0.0]},
    ]
    more = {"axes": axes, "coordinateTransformations": whole}
    stack = open_stack(foreign(tmp_path / "a.zarr", pixels((20, 30)), "yx", attributes=more))
    assert stack.scale == (20, 30) and stack.translate == (5, 0)
    assert stack.units == ("nanometer", "nanometer") and stack.spacing_source == "file"


@pytest.mark.parametrize(
    ("axes", "shape"), [(["z", "y", "x"], (4, 20, 30)), (None, (1, 1, 2, 20, 30))]
)
def test_older_versions_name_axes_by_text_or_not_at_all(tmp_path, axes, shape):
    path = foreign(tmp_path / "a.zarr", pixels(shape), "tczyx"[-len(shape) :])
    said = attributes(path)
    said["multiscales"][0]["axes"] = axes
    (path / ".zattrs").write_text(json.dumps(said))
    assert open_stack(path).axes == "TCZYX"[-len(shape) :]


def test_the_fields_of_a_plate_are_images(tmp_path):
    root = tmp_path / "a.zarr"
    plate = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    zarr.open_group(root, mode="w", zarr_format=2).attrs["plate"] = plate
    for i, well in enumerate(("A/1", "B/2")):
        images = {"images": [{"path": "0"}]}
        zarr.open_group(root / well, mode="w", zarr_format=2).attrs["well"] = images
        foreign(root / well / "0", pixels((20, 30 + i)), "yx")
    assert open_stack(root, series=1).width == 31


def test_axes_of_unknown_names_can_be_named(tmp_path):
    path = foreign(tmp_path / "a.zarr", pixels((4, 20, 30)), "ayx")
    with pytest.raises(InputError, match=r"axes a, y, x, of which not all are known.*--axes"):
        open_stack(path)
    assert open_stack(path, axes="TYX").axes == "TYX"


def test_plain_arrays_are_images(tmp_path):
    array = pixels((4, 20, 30))
    zarr.save_array(tmp_path / "a.zarr", array, zarr_format=3)
    assert open_stack(tmp_path / "a.zarr").axes == "ZYX"
    named = zarr.create_array(
        tmp_path / "b.zarr", shape=array.shape, dtype="u2", dimension_names=("time", "y", "x")
    )
    named[...] = array
    assert open_stack(tmp_path / "b.zarr").axes == "TYX"
    zarr.save(str(tmp_path / "c.zarr"), scan=array, other=array[:2])
    with pytest.warns(UserWarning, match="holds 2 images"):
        open_stack(tmp_path / "c.zarr")
    assert open_stack(tmp_path / "c.zarr", series=1).shape == (4, 20, 30)


def test_of_several_images_one_is_chosen_and_labels_are_none(tmp_path):
    root = tmp_path / "a.zarr"
    zarr.open_group(root, mode="w", zarr_format=2).attrs.update({"bioformats2raw.layout": 3})
    for i in range(3):
        foreign(root / str(i), pixels((20, 30 + i)), "yx")
    foreign(root / "0" / "labels" / "cells", pixels((20, 30)), "yx")
    with pytest.warns(UserWarning, match="holds 3 images"):
        assert open_stack(root).width == 30
    assert open_stack(root, series=2).width == 32
    assert open_stack(root / "1").width == 31
    with pytest.raises(InputError, match="no image number 3"):
        open_stack(root, series=3)


def test_a_chunk_that_was_never_written_reads_as_the_fill_value(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("s", shape=(20, 30), chunks=(10, 30), dtype="f4", fill_value=np.nan)[:10] = 7
    data = np.asarray(open_stack(tmp_path / "a.zarr").data)
    assert (data[:10] == 7).all() and np.isnan(data[10:]).all()


# --- hostile and damaged stores -------------------------------------------------------------------


def chunk_of(path):
    return max(f for f in (path / "0").rglob("*") if f.is_file() and f.name.isdigit())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lost_and_a_damaged_chunk_are_one_sentence(tmp_path, version):
    array, path = pixels((3, 520, 30)), tmp_path / "a.zarr"
    put(path, array, "ZYX", version)
    chunk = chunk_of(path)
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a.zarr: the chunk 0/.* is damaged: "):
        np.asarray(open_stack(path).data)
    chunk.unlink()
    with pytest.raises(InputError, match=r"a.zarr: the chunk 0/.* is missing, so a part"):
        np.asarray(open_stack(path).data)
    np.testing.assert_array_equal(open_stack(path).data[0], array[0])


@pytest.mark.parametrize("given", ["a.zarr", "./a.zarr", "../here/a.zarr"])
def test_a_lost_chunk_of_a_store_by_a_relative_path_is_one_sentence(tmp_path, monkeypatch, given):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    put(Path(given), pixels((3, 52, 30)), "ZYX")
    chunk_of(Path(given)).unlink()
    with pytest.raises(InputError, match=r"^a\.zarr: the chunk 0/2/0/0 is missing, so a part"):
        np.asarray(open_stack(given).data)


def claim(path, **changes):
    metadata = path / "s0" / ".zarray"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shape": [10**9, 10**9, 10**9]}, "claims to hold 1000000000 slices"),
        ({"shape": [4, 10**7, 10**7]}, "would have to be in memory at once"),
        ({"chunks": [1, 10**6, 10**6]}, "would have to be in memory at once|more bytes"),
        ({"shape": [4, 8000, 8000], "chunks": [1, 1, 1]}, "64000000 of them"),
        ({"shape": [-4, 20, 30]}, "shape must be a whole number"),
        ({"shape": "long"}, "shape must be a list"),
        ({"chunks": [0, 20, 30]}, "chunks must be a whole number"),
        ({"chunks": [1, 20]}, "has 3 axes, and its chunks 2"),
        ({"dtype": "|O"}, "pixels are of the type"),
        ({"dtype": [["r", "|u1"]]}, "dtype must be text"),
        ({"filters": [{"id": "pickle"}]}, "has filters"),
        ({"compressor": {"id": "pickle"}}, "packed with pickle, which is not read"),
        ({"compressor": 3}, "must be an object"),
    ],
    ids=str,
)
def test_claims_are_refused(tmp_path, changes, says):
    path = foreign(tmp_path / "a.zarr", pixels((4, 20, 30)))
    claim(path, **changes)
    with pytest.raises(InputError, match=says):
        open_stack(path).read((0,))


@pytest.mark.parametrize("compressor", [Zstd(19), Zlib(9), LZ4(), Blosc("zstd", 9)], ids=str)
def test_a_chunk_is_unpacked_no_further_than_it_has_place_for(tmp_path, compressor):
    import tracemalloc

    path = foreign(
        tmp_path / "a.zarr", pixels((4, 20, 30)), compressors=compressor, chunks=(4, 20, 30)
    )
    (path / "s0" / "0.0.0").write_bytes(compressor.encode(bytes(2**28)))
    tracemalloc.start()
    with pytest.raises(InputError, match="is damaged"):
        open_stack(path).read((0,))
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"datasets": [{"path": "../../etc"}]}, "lies outside of it"),
        ({"datasets": [{"path": "nowhere"}]}, "the level nowhere, which it lists, is not there"),
        ({"coordinateTransformations": [{"type": "scale", "scale": [1.0]}]}, "must have 3 items"),
        ({"datasets": []}, None),
    ],
    ids=str,
)
def test_metadata_that_mislead_are_refused(tmp_path, changes, says):
    path = foreign(tmp_path / "a.zarr", pixels((4, 20, 30)), attributes=changes)
    if says is None:  # nothing is left of the image but its plain array
        assert open_stack(path).shape == (4, 20, 30)
        return
    with pytest.raises(InputError, match=says):
        open_stack(path)


def test_what_is_no_store_is_said(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(InputError, match="is no Zarr store"):
        open_stack(tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(InputError, match="holds no image"):
        open_stack(tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / ".zattrs").write_text("{" * 10_000)
    with pytest.raises(InputError, match=r"\.zattrs is damaged"):
        open_stack(tmp_path / "a.zarr")
    path = foreign(tmp_path / "b.zarr", pixels((4, 20, 30)))
    for chunk in (path / "s0").glob("[0-9]*"):
        shutil.rmtree(chunk) if chunk.is_dir() else chunk.unlink()
    with pytest.raises(InputError, match="none of the pixels"):
        open_stack(path)


def test_a_store_that_changes_while_it_is_read_is_refused(tmp_path):
    path = foreign(tmp_path / "a.zarr", pixels((4, 20, 30)))
    stack = open_stack(path)
    claim(path, shape=[4, 20, 20])
    with pytest.raises(InputError, match="has changed since it was opened"):
        stack.read((0,))


def test_other_formats_have_one_level(tmp_path):
    np.save(tmp_path / "a.npy", pixels((20, 30)))
    with pytest.raises(InputError, match="level 0 only"):
        open_stack(tmp_path / "a.npy", level=1)


def test_an_input_is_not_written_over(tmp_path):
    from napari_srgan.io.open import spare_inputs

    put(tmp_path / "a.zarr", pixels((20, 30)), "YX")
    link = tmp_path / "b.zarr"
    link.symlink_to(tmp_path / "a.zarr")
    for target in (tmp_path / "a.zarr", link, Path(os.path.relpath(tmp_path / "a.zarr"))):
        with pytest.raises(InputError, match="is an input"):
            spare_inputs([target], [tmp_path / "a.zarr"])
