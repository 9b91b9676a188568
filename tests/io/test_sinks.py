import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import namedtuple

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_srgan.errors import InputError, OutputBusy, OutputExists
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import READABLE_SUFFIXES, open_stack
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import WRITABLE_SUFFIXES, FileSink, MemorySink, tiff
from napari_srgan.io.sinks.levels import halved

SENTENCE = "Super-resolved image: <fine> detail is estimated & not measured."
PROVENANCE = {"napari_srgan": {"model": "srresnet-gray", "notice": SENTENCE, "tile": 64}}


def spec_of(array, axes, **changes):
    n = len(axes.replace("S", ""))
    units = {"T": "second", "C": "pixel"}
    described = {
        "shape": array.shape,
        "axes": axes,
        "dtype": array.dtype,
        "scale": tuple(0.9675 + i for i in range(n)),
        "translate": tuple(-0.375 * 0.9675 * (i + 1) for i in range(n)),
        "units": tuple(units.get(a, "micrometer") for a in axes if a != "S"),
        "name": "scan [srresnet-gray 4x]",
        "metadata": PROVENANCE,
    }
    return OutputSpec(**(described | changes))


def blocks_of(stack, rng):
    """The planes of a stack in blocks of random sizes, in random order."""
    blocks = []
    for index in stack.plane_indices():
        cut_y, cut_x = rng.integers(1, stack.height), rng.integers(1, stack.width)
        for rows in (slice(0, cut_y), slice(cut_y, None)):
            for cols in (slice(0, cut_x), slice(cut_x, None)):
                blocks.append((index, rows.start, cols.start, stack.read(index, rows, cols)))
    rng.shuffle(blocks)
    return blocks


def put(sink, array, axes, metadata=None, **changes):
    sink.open(spec_of(array, axes, **changes))
    for block in blocks_of(Stack(array, axes), np.random.default_rng(3)):
        sink.write(*block)
    return sink.commit(metadata)


def pixels(shape, dtype="uint16"):
    return np.random.default_rng(0).integers(0, 120, shape).astype(dtype)


DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64"]
OME_ONLY = ["uint8", "uint16", "int16", "uint32", "float32", "float64"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_what_is_written_is_read_again(tmp_path, data):
    ending = data.draw(st.sampled_from([".tif", ".ome.tif", ".npy"]))
    dtype = data.draw(st.sampled_from(OME_ONLY if ending == ".ome.tif" else DTYPES))
    sizes = {a: data.draw(st.integers(1, 3)) for a in "TCZ"}
    sizes |= {"Y": data.draw(st.integers(8, 13)), "X": data.draw(st.integers(8, 13)), "S": 0}
    extra = data.draw(st.lists(st.sampled_from("TCZ"), unique=True))
    if ending == ".npy":  # it holds no axes, so only what can be guessed
        axes = {0: "YX", 1: "ZYX"}.get(len(extra), "TZYX")
    else:
        colour = data.draw(st.sampled_from([0, 0, 3, 4]))
        sizes["S"] = colour
        axes = "".join(data.draw(st.permutations([*extra, "Y", "X", *("S" * bool(colour))])))
    array = pixels([sizes[a] for a in axes], dtype)
    path = tmp_path / ("a" + ending)
    result = put(FileSink(path, overwrite=True), array, axes)
    np.testing.assert_array_equal(result, array)
    assert result.dtype == dtype
    stack = open_stack(path)
    assert stack.axes == axes
    assert stack.dtype == dtype
    np.testing.assert_array_equal(np.asarray(stack.data[...]), array)
    if ending != ".npy":
        spec = spec_of(array, axes)
        assert stack.scale == spec.scale
        assert stack.translate == spec.translate
        assert stack.units == spec.units
        assert stack.spacing_source == "file"
        assert stack.metadata == PROVENANCE
        assert tifffile.imread(path).size == array.size
    assert sorted(p.name for p in tmp_path.iterdir() if "partial" in p.name) == []


@pytest.mark.parametrize(
    ("name", "axes", "shape", "dtype", "flavour"),
    [
        ("a.tif", "ZYX", (3, 20, 30), "uint8", "imagej"),
        ("a.tiff", "TZYX", (2, 3, 20, 30), "uint16", "imagej"),
        ("a.tif", "YX", (20, 30), "float32", "imagej"),
        ("a.tif", "ZYXS", (2, 20, 30, 3), "uint8", "imagej"),
        ("a.tif", "YXS", (20, 30, 4), "uint8", "ome"),
        ("a.tif", "YXS", (20, 30, 3), "uint16", "ome"),
        ("a.tif", "CYXS", (2, 20, 30, 3), "uint8", "ome"),
        ("a.tif", "ZYX", (3, 20, 30), "int16", "ome"),
        ("a.ome.tif", "ZYX", (3, 20, 30), "uint8", "ome"),
        ("a.OME.TIFF", "TCZYX", (2, 3, 4, 20, 30), "float64", "ome"),
        ("a.tif", "ZYX", (3, 20, 30), "float16", "plain"),
    ],
)
def test_flavours_as_other_programs_see_them(tmp_path, name, axes, shape, dtype, flavour):
    array = pixels(shape, dtype)
    put(FileSink(tmp_path / name), array, axes)
    with tifffile.TiffFile(tmp_path / name) as tif:
        assert tif.is_imagej == (flavour == "imagej")
        assert tif.is_ome == (flavour == "ome")
        assert not tif.is_bigtiff
        assert len(tif.pages) == np.prod(
            [n for a, n in zip(axes, shape, strict=True) if a in "TCZ"]
        )
        series = tif.series[0]
        kept = "".join(a for a in series.axes)
        assert set(kept) == set(axes)
        seen = series.asarray().transpose([kept.index(a) for a in axes])
        np.testing.assert_array_equal(seen, array)
        y, x = (0.9675 + axes.index(a) for a in "YX")
        if flavour == "imagej":
            meta = tif.imagej_metadata
            assert meta["unit"] == "um"
            assert tif.pages[0].get_resolution() == pytest.approx((1 / x, 1 / y))
            assert meta.get("slices", 1) == dict(zip(axes, shape, strict=True)).get("Z", 1)
            assert SENTENCE in meta["Info"]
            assert meta["xorigin"] == pytest.approx(0.375 * 0.9675 * (axes.index("X") + 1) / x)
            if "Z" in axes:
                assert meta["spacing"] == 0.9675 + axes.index("Z")
        if flavour == "ome":
            assert f'PhysicalSizeX="{x}" PhysicalSizeXUnit="µm"' in tif.ome_metadata
            assert "&lt;fine&gt; detail" in tif.ome_metadata


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("dtype", ["uint16", "float16"])
def test_late_metadata_replaces_the_early_one(tmp_path, name, dtype):
    if "ome" in name and dtype == "float16":
        pytest.skip("OME-TIFF has no float16")
    array = pixels((3, 20, 30), dtype)
    late = {"napari_srgan": {"model": "srgan-gray", "notice": SENTENCE, "long": "é" * 5000}}
    put(FileSink(tmp_path / name), array, "ZYX", metadata=late)
    stack = open_stack(tmp_path / name)
    assert stack.metadata == late
    assert stack.translate == spec_of(array, "ZYX").translate
    np.testing.assert_array_equal(np.asarray(stack.data), array)
    with tifffile.TiffFile(tmp_path / name) as tif:
        text = tif.ome_metadata or str(tif.imagej_metadata) or ""
        assert "srresnet" not in text.replace("scan [srresnet-gray 4x]", "")


def test_metadata_that_json_cannot_hold_is_left_out(tmp_path):
    metadata = {"napari_srgan": {"lo": np.float32(0.5), "bad": object(), "nan": float("nan")}}
    put(FileSink(tmp_path / "a.tif"), pixels((20, 30)), "YX", metadata=metadata)
    read = open_stack(tmp_path / "a.tif").metadata["napari_srgan"]
    assert read == {"lo": 0.5, "nan": "nan"}


@pytest.mark.parametrize(
    "units",
    [("micrometer", "nanometer", "nanometer"), ("pixel", "micrometer", "micrometer"),
     ("pixel", "pixel", "pixel"), ("parsec", "parsec", "parsec"),
     ("millimeter", "micrometer", "inch")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("scale", [(7.0, 0.25, 0.25), (1.0, 1.0, 1.0), (3.0, -2.0, 1 / 3)])
def test_mixed_and_strange_units_come_back(tmp_path, units, name, scale):
    array = pixels((3, 20, 30))
    put(FileSink(tmp_path / name), array, "ZYX", units=units, scale=scale)
    stack = open_stack(tmp_path / name)
    assert stack.scale == scale
    assert stack.units == units
    assert stack.translate == spec_of(array, "ZYX").translate


@pytest.mark.parametrize("axes", ["YX", "ZCYX", "XSYZ", "YXS"])
def test_memory_sink(axes):
    sizes = {"Z": 2, "C": 3, "Y": 20, "X": 30, "S": 3}
    array = pixels([sizes[a] for a in axes])
    np.testing.assert_array_equal(put(MemorySink(), array, axes), array)


def test_memory_that_is_not_there_is_one_sentence():
    with pytest.raises(InputError, match=r"needs 1e\+06 TB of memory.*write it to a file"):
        MemorySink().open(
            OutputSpec(
                (10**9, 10**6, 1000), "ZYX", np.dtype("u1"), (1,) * 3, (0,) * 3, ("pixel",) * 3
            )
        )


@pytest.mark.parametrize(
    "units",
    [
        ("pixel", "micrometer", "pixel"),  # .E2E: lines are in degrees
        ("pixel", "pixel", "micrometer"),
        ("micrometer", "pixel", "pixel"),
        ("pixel", "micrometer", "micrometer"),
    ],
)
def test_imagej_is_told_the_unit_of_each_axis(tmp_path, units):
    array = pixels((3, 20, 30))
    scale = tuple(
        1.0 if u == "pixel" and a == "Z" else 0.75 for a, u in zip("ZYX", units, strict=True)
    )
    none = (0.0,) * 3
    put(FileSink(tmp_path / "a.tif"), array, "ZYX", units=units, scale=scale, translate=none)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        said = tif.imagej_metadata
    spelled = tuple("um" if u == "micrometer" else u for u in units)
    told = tuple(said.get(key, said["unit"]) for key in ("zunit", "yunit", "unit"))
    assert told == spelled
    stack = open_stack(tmp_path / "a.tif")
    assert (stack.scale, stack.units) == (pytest.approx(scale), units)


def test_png_keeps_values_and_notes(tmp_path):
    for name, axes, shape, dtype in [
        ("gray.png", "ZYX", (1, 20, 30), "uint16"),
        ("rgb.png", "YXS", (20, 30, 3), "uint8"),
        ("rgba.png", "YXS", (20, 30, 4), "uint8"),
    ]:
        array = pixels(shape, dtype)
        np.testing.assert_array_equal(put(FileSink(tmp_path / name), array, axes), array)
        stack = open_stack(tmp_path / name)
        np.testing.assert_array_equal(np.asarray(stack.data), array)
        assert stack.metadata == PROVENANCE
        assert stack.translate == spec_of(array, axes).translate
        with Image.open(tmp_path / name) as image:
            assert image.text["Comment"] == SENTENCE


@pytest.mark.parametrize(
    ("name", "axes", "dtype", "says"),
    [
        ("a.png", "ZYX", "uint8", "one plane"),
        ("a.png", "YX", "float32", "not as float32"),
        ("a.png", "YXS", "uint16", "colour as uint8"),
        ("a.ome.tif", "YX", "int64", "OME-TIFF cannot hold int64"),
        ("a.jpg", "YX", "uint8", "outputs are written as"),
        ("a", "YX", "uint8", "outputs are written as"),
        ("no/such/a.tif", "YX", "uint8", "does not exist"),
    ],
)
def test_outputs_that_no_format_holds_are_refused_at_open(tmp_path, name, axes, dtype, says):
    shape = {"Z": 3, "Y": 20, "X": 30, "S": 3}
    array = pixels([shape[a] for a in axes], dtype)
    with pytest.raises(InputError, match=says):
        FileSink(tmp_path / name).open(spec_of(array, axes))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_output(tmp_path):
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        FileSink(tmp_path / "a.tif", overwrite=True).open(spec_of(pixels((20, 30)), "YX"))


# --- what is there stays whole -----------------------------------------------------------------


def test_an_existing_output_needs_overwrite(tmp_path):
    old, new = pixels((20, 30)), pixels((20, 30)) + 7
    path = tmp_path / "a.tif"
    put(FileSink(path), old, "YX")
    with pytest.raises(OutputExists, match="already there"):
        FileSink(path).open(spec_of(new, "YX"))
    sink = FileSink(path, overwrite=True)
    sink.open(spec_of(new, "YX"))
    sink.write((), 0, 0, new)
    np.testing.assert_array_equal(tifffile.imread(path), old)  # until commit
    sink.commit()
    np.testing.assert_array_equal(tifffile.imread(path), new)


def test_an_output_that_appears_meanwhile_is_not_lost_nor_is_the_result(tmp_path):
    path = tmp_path / "a.tif"
    sink = FileSink(path)
    sink.open(spec_of(pixels((20, 30)), "YX"))
    sink.write((), 0, 0, pixels((20, 30)))
    path.write_text("somebody else's")
    with pytest.raises(OutputExists, match=r"waits beside it as \w+-a\.tif\."):
        sink.commit()
    sink.abort()
    assert path.read_text() == "somebody else's"
    (kept,) = (p for p in tmp_path.iterdir() if p != path)
    np.testing.assert_array_equal(open_stack(kept).data, pixels((20, 30)))


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy", "a.png"])
def test_abort_removes_what_was_begun_and_nothing_else(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    sink = FileSink(path, overwrite=True)
    sink.abort()  # before open: nothing to do
    sink.open(spec_of(pixels((20, 30)), "YX"))
    sink.write((), 0, 0, pixels((5, 5)))
    assert len(list(tmp_path.glob(f"{name}.*.partial"))) == 1
    sink.abort()
    sink.abort()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert path.read_text() == "old"


def test_an_error_while_the_file_is_laid_out_leaves_nothing(tmp_path, monkeypatch):
    def stop(path, *_):
        path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(tiff, "lay_out", stop)
    sink = FileSink(tmp_path / "a.tif")
    with pytest.raises(KeyboardInterrupt):
        sink.open(spec_of(pixels((20, 30)), "YX"))
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_stale_partial_file_is_no_obstacle(tmp_path):
    (tmp_path / "a.tif.0123abcd.partial").write_bytes(b"left by a kill" * 1000)
    (tmp_path / ".a.tif.lock").touch()
    np.testing.assert_array_equal(
        put(FileSink(tmp_path / "a.tif"), pixels((20, 30)), "YX"), pixels((20, 30))
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


class FullDisk:
    """Stands in for a file on a disk that is full."""

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    sink = FileSink(path, overwrite=True)
    array = pixels((3, 20, 30))
    sink.open(spec_of(array, "ZYX"))
    sink.write((0,), 0, 0, array[0])
    sink._content._file = FullDisk(sink._content._file)
    with pytest.raises(InputError, match=r"cannot be written: the disk is full; free some space"):
        sink.write((1,), 0, 0, array[1])
    sink.abort()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert path.read_text() == "old"


def test_a_disk_that_is_full_at_the_end_leaves_the_old_file(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.tif"
    path.write_text("old")
    sink = FileSink(path, overwrite=True)
    sink.open(spec_of(pixels((20, 30)), "YX"))
    sink.write((), 0, 0, pixels((20, 30)))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full"):
        sink.commit()
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_text() == "old"


def test_too_little_disk_is_said_before_any_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    says = r"will take 2.4 MB, and 16.8 MB must stay free .*, which is 18.2 MB more than is free"
    with pytest.raises(InputError, match=says):
        FileSink(tmp_path / "a.tif").reserve(spec_of(np.zeros((1200, 1000), np.uint16), "YX"))
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_held_from_when_it_is_reserved(tmp_path):
    spec = spec_of(pixels((20, 30)), "YX")
    first, second = FileSink(tmp_path / "a.tif"), FileSink(tmp_path / "a.tif")
    first.reserve(spec)
    with pytest.raises(OutputBusy, match="being written by another run"):
        second.reserve(spec)
    second.abort()
    first.open(spec)
    first.write((), 0, 0, pixels((20, 30)))
    np.testing.assert_array_equal(first.commit(), pixels((20, 30)))
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_kill_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "a.tif"
    put(FileSink(path), pixels((20, 30)), "YX")
    script = textwrap.dedent(f"""
        import os, signal, numpy as np
        from napari_srgan.io.output import OutputSpec
        from napari_srgan.io.sinks import FileSink
        s = FileSink({str(path)!r}, overwrite=True)
        s.open(OutputSpec((9, 200, 300), "ZYX", np.dtype("u2"), (1,)*3, (0,)*3, ("pixel",)*3))
        for z in range(5):
            s.write((z,), 0, 0, np.full((200, 300), z, "u2"))
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    np.testing.assert_array_equal(tifffile.imread(path), pixels((20, 30)))
    assert open_stack(path).metadata == PROVENANCE


# --- size ---------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="needs the resource module")
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy"])
def test_memory_stays_bounded_by_a_block(tmp_path, name):
    script = textwrap.dedent(f"""
        import resource, sys, numpy as np
        from napari_srgan.io.output import OutputSpec
        from napari_srgan.io.sinks import FileSink
        def peak():
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return rss / 1024 if sys.platform != "darwin" else rss / 2**20
        def write(name, planes):
            s = FileSink({str(tmp_path)!r} + "/" + name)
            s.open(OutputSpec((planes, 1000, 1000), "ZYX", np.dtype("u2"), (1,)*3, (0,)*3,
                              ("pixel",)*3))
            block = np.ones((250, 500), "u2")
            for z in range(planes):
                for y in range(0, 1000, 250):
                    for x in (0, 500):
                        s.write((z,), y, x, block)
            s.commit({{"napari_srgan": {{"x": 1}}}})
        write("small-{name}", 2)
        before = peak()
        write({name!r}, 50)
        print(peak() - before)
    """)
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(out.stdout) < 8  # MB, for a file of 100 MB


def test_what_does_not_fit_a_classic_tiff_becomes_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "CLASSIC_LIMIT", 10_000)
    array = pixels((9, 30, 40))
    for name in ("a.tif", "a.ome.tif"):
        put(FileSink(tmp_path / name), array, "ZYX")
        with tifffile.TiffFile(tmp_path / name) as tif:
            assert tif.is_bigtiff
            assert tif.is_ome
        stack = open_stack(tmp_path / name)
        np.testing.assert_array_equal(np.asarray(stack.data), array)
        assert stack.metadata == PROVENANCE


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files")
def test_more_than_four_gigabytes(tmp_path):
    if shutil.disk_usage(tmp_path).free < 6e9:
        pytest.skip("needs 6 GB of free disk")
    sink = FileSink(tmp_path / "a.tif")
    shape = (1100, 2000, 2000)
    sink.open(OutputSpec(shape, "ZYX", np.dtype("u1"), (1,) * 3, (0,) * 3, ("pixel",) * 3))
    sink.write((1099,), 1990, 1990, np.full((10, 10), 7, np.uint8))
    result = sink.commit()
    assert result.shape == shape
    stack = open_stack(tmp_path / "a.tif")
    corner = stack.read((1099,), slice(1980, 2000), slice(1980, 2000))
    assert corner.sum() == 700
    assert (corner[10:, 10:] == 7).all()


def test_blocks_outside_of_the_image_are_an_error(tmp_path):
    sink = FileSink(tmp_path / "a.tif")
    sink.open(spec_of(pixels((3, 20, 30)), "ZYX"))
    for y, x in [(15, 0), (0, 25), (-1, 0)]:
        with pytest.raises(IndexError):
            sink.write((0,), y, x, np.zeros((10, 10), np.uint16))
    sink.abort()


def test_every_ending_that_is_written_is_read():
    assert set(WRITABLE_SUFFIXES) <= set(READABLE_SUFFIXES)


# --- levels of large planes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("ZYX", (3, 1300, 90), "uint16"),
        ("YXS", (300, 1100, 3), "uint8"),
        ("TCXY", (2, 2, 700, 50), "float32"),
    ],
)
def test_a_large_plane_has_levels_that_tifffile_reads(tmp_path, monkeypatch, axes, shape, dtype):
    monkeypatch.setattr(tiff, "LARGE_PLANE", 600)
    monkeypatch.setattr(tiff, "_STRIP", 2**12)
    array, path = pixels(shape, dtype), tmp_path / "a.ome.tif"
    result = put(FileSink(path), array, axes, {"napari_srgan": {"notice": "long " * 500}})
    assert tifffile.memmap(path).size == array.size
    np.testing.assert_array_equal(result, array)
    stack = open_stack(path)
    np.testing.assert_array_equal(stack.data, array)
    expected = [array]
    inner = [axes.index(a) for a in "YX"]
    while max(expected[-1].shape[i] for i in inner) > 512:
        last = Stack(expected[-1], axes)
        planes = [halved(last.read(index)) for index in last.plane_indices()]
        order = [a for a in axes if a in "YXS"]
        planes = [p.transpose([list("YXS").index(a) for a in order]) for p in planes]
        expected.append(np.stack(planes).reshape(*last.plane_shape, *planes[0].shape))
    with tifffile.TiffFile(path) as tif:
        (series,) = tif.series
        assert len(series.levels) == len(expected) > 1
        assert all(level.keyframe.rowsperstrip < 100 for level in series.levels)
        order = [series.axes.index(a) for a in axes]
        for level, one in zip(series.levels, expected, strict=True):
            np.testing.assert_array_equal(level.asarray().transpose(order), one)
    for level, one in zip(stack.data.coarser, expected[1:], strict=True):
        np.testing.assert_array_equal(level, one)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(level)), one)


def test_a_plane_that_is_shown_at_once_has_no_levels(tmp_path):
    put(FileSink(tmp_path / "a.ome.tif"), pixels((2, 600, 30)), "ZYX")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert len(tif.series[0].levels) == 1 and len(tif.pages.first.dataoffsets) == 1


def test_room_is_asked_for_the_levels_too(tmp_path):
    spec = spec_of(np.broadcast_to(np.uint8(0), (6000, 6000)), "YX")
    assert tiff.TiffContent.nbytes(spec, "a.ome.tif") == pytest.approx(6000**2 * 4 / 3, rel=0.01)
    assert tiff.TiffContent.nbytes(spec, "a.tif") == 6000**2
