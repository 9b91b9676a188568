import itertools
import multiprocessing
import pickle
import re
from typing import ClassVar

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack, check_region
from napari_srgan.io.open import open_stack

SIZES = {"T": 2, "C": 3, "Z": 4, "Y": 9, "X": 11, "S": 3}


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((9, 11), "uint8", "YX"),
        ((5, 9, 11), "uint16", "ZYX"),
        ((2, 5, 9, 11), "float32", "TZYX"),
        ((9, 11, 3), "uint8", "YXS"),
        ((9, 11, 4), "uint8", "YXS"),
        ((5, 9, 11, 3), "uint8", "ZYXS"),
        ((2, 5, 9, 11, 4), "uint8", "TZYXS"),
        ((3, 9, 11), "uint8", "ZYX"),  # three slices are not a colour image
        ((2, 9, 8), "uint8", "ZYX"),
    ],
)
def test_axes_are_guessed(shape, dtype, axes):
    stack = Stack(np.zeros(shape, dtype))
    assert stack.axes == axes
    assert stack.is_rgb == ("S" in axes)


def test_a_short_last_axis_is_colour_only_in_uint8():
    with pytest.raises(InputError, match="at least 8 px"):
        Stack(np.zeros((9, 11, 3), np.uint16))


def test_defaults_and_properties():
    stack = Stack(np.zeros((2, 3, 9, 11), np.uint16), axes="tcyx")
    assert stack.axes == "TCYX"
    assert stack.scale == (1.0,) * 4
    assert stack.translate == (0.0,) * 4
    assert stack.units == ("pixel",) * 4
    assert stack.spacing_source == "unknown"
    assert (stack.height, stack.width, stack.samples, stack.n_channels) == (9, 11, 1, 3)
    assert (stack.plane_axes, stack.plane_shape) == ("TC", (2, 3))
    assert stack.nbytes == 2 * 3 * 9 * 11 * 2
    assert stack.channel_of((1, 2)) == 2
    assert Stack(np.zeros((9, 11))).channel_of(()) == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_read_gives_y_x_s_whatever_the_axis_order(data):
    extra = data.draw(st.lists(st.sampled_from("TCZS"), unique=True))
    axes = "".join(data.draw(st.permutations([*extra, "Y", "X"])))
    array = np.random.default_rng(0).integers(0, 999, [SIZES[a] for a in axes], dtype=np.uint16)
    stack = Stack(array, axes)
    y0, x0 = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 10))
    order = stack.plane_axes + "YX" + "S" * stack.is_rgb
    expected = np.einsum(f"{axes}->{order}", array)
    for index in stack.plane_indices():
        block = stack.read(index, slice(y0, None), slice(x0, None))
        np.testing.assert_array_equal(block, expected[index][y0:, x0:])


def test_read_asks_for_one_plane_and_gives_native_bytes():
    class Recorder:
        shape, dtype = (4, 9, 11), np.dtype(">u2")
        keys: ClassVar[list] = []

        def __getitem__(self, key):
            self.keys.append(key)
            return np.full((4, 9, 11), 7, self.dtype)[key]

    stack = Stack(Recorder(), "ZYX")
    assert Recorder.keys == []
    block = stack.read((2,), slice(1, 3))
    assert Recorder.keys == [(2, slice(1, 3), slice(None))]
    assert block.dtype.isnative
    assert (block == 7).all()
    assert stack.dtype == np.uint16


def test_dask_arrays_are_read():
    dask_array = pytest.importorskip("dask.array")
    array = np.arange(4 * 9 * 11, dtype=np.uint16).reshape(4, 9, 11)
    stack = Stack(dask_array.from_array(array, chunks=(1, 9, 11)))
    np.testing.assert_array_equal(stack.read((3,), slice(2, 5)), array[3, 2:5])


def test_planes_and_regions():
    stack = Stack(np.zeros((2, 4, 9, 11), np.float32), "TZYX")
    assert list(stack.plane_indices()) == list(itertools.product(range(2), range(4)))
    region = {"Z": (1, 3), "X": (2, 7)}
    assert list(stack.plane_indices(region)) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert check_region(stack, region) == {"T": (0, 2), "Z": (1, 3), "Y": (0, 9), "X": (2, 7)}
    assert list(Stack(np.zeros((9, 11))).plane_indices()) == [()]


@pytest.mark.parametrize(
    ("region", "says"),
    [
        ({"C": (0, 1)}, "no axis C"),
        ({"S": (0, 1)}, "no axis S"),
        ({"Z": (2, 2)}, "2:2 along Z is empty"),
        ({"Z": (-1, 2)}, "outside"),
        ({"Y": (0, 10)}, "which has Y from 0 to 9"),
        ({"Y": (0.5, 3)}, "whole numbers"),
        ({"Y": 3}, "whole numbers"),
    ],
)
def test_wrong_regions_are_refused(region, says):
    with pytest.raises(InputError, match=re.escape(says)):
        check_region(Stack(np.zeros((4, 9, 11))), region)


@pytest.mark.parametrize(
    ("dtype", "named"),
    [
        (bool, "bool"),
        (np.complex64, "complex64"),
        (object, "object"),
        ("U3", "str"),
        ("datetime64[s]", "datetime64"),
        (np.longdouble, np.dtype(np.longdouble).name),
    ],
)
def test_unsupported_dtypes_are_refused_by_name(dtype, named):
    if dtype is np.longdouble and np.dtype(dtype).itemsize == 8:
        pytest.skip("long double is float64 on this platform")
    with pytest.raises(InputError, match=f"bad.tif: {named}"):
        Stack(np.zeros((9, 11), dtype), name="bad.tif")


@pytest.mark.parametrize(
    "dtype", [np.dtype(code) for code in np.typecodes["AllInteger"] + "efd"], ids=str
)
def test_supported_dtypes(dtype):
    stack = Stack(np.ones((9, 11), dtype))
    assert stack.read(()).dtype == dtype


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1])
def test_integers_without_exact_float_are_refused_when_seen(value):
    array = np.zeros((3, 9, 11), np.int64)
    array[1, 4, 4] = value
    stack = Stack(array, name="big.tif")
    stack.read((0,))
    with pytest.raises(InputError, match=r"big.tif: int64 values beyond 2\^53 at Z=1"):
        stack.read((1,))
    array[1, 4, 4] = 2**53
    stack.read((1,))


@pytest.mark.parametrize(
    ("shape", "axes", "says"),
    [
        ((0, 9, 11), None, "x.tif is empty: its axis Z"),
        ((9, 0), None, "x.tif is empty: its axis X"),
        ((7, 11), None, "7 x 11 px"),
        ((4, 9, 7), None, "at least 8 px"),
        ((9, 11), "QX", "unknown axis 'Q'"),
        ((9, 11, 2), "YXX", "twice"),
        ((9, 11), "ZYX", "'ZYX' are 3, but the image has 2"),
        ((9, 11), "ZX", "must include Y and X"),
        ((9, 11, 2), "YXS", "2 samples"),
        ((9,), None, "needs its axes named"),
        ((2, 2, 2, 9, 11), None, "needs its axes named"),
        ((), None, "needs its axes named"),
    ],
)
def test_images_that_cannot_be_upscaled_are_refused(shape, axes, says):
    with pytest.raises(InputError, match=re.escape(says)):
        Stack(np.zeros(shape, np.uint16), axes, name="x.tif")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": (1.0,)},
        {"scale": (1.0, float("nan"))},
        {"scale": (0.0, 1.0)},
        {"translate": (1.0, 2.0, 3.0)},
        {"units": ("pixel",)},
    ],
)
def test_wrong_geometry_is_refused(wrong):
    with pytest.raises(InputError):
        Stack(np.zeros((9, 11)), **wrong)


def test_scale_leaves_out_the_colour_axis():
    stack = Stack(np.zeros((9, 11, 3), np.uint8), scale=(2, 3), units=["micrometer"] * 2)
    assert stack.scale == (2.0, 3.0)
    assert stack.units == ("micrometer",) * 2


def test_what_is_no_array_is_refused():
    with pytest.raises(InputError, match="list is not an image"):
        Stack([[1, 2], [3, 4]])


def test_a_mask_is_not_lost_in_silence():
    data = np.ma.masked_greater(np.arange(100, dtype=np.float32).reshape(10, 10), 90)
    with pytest.raises(InputError, match="masked"):
        Stack(data)
    Stack(np.ma.array(data.filled(0)))  # nothing is masked


# --- to another process ---------------------------------------------------------------------------


def same(a, b):
    for what in ("axes", "name", "scale", "translate", "units", "dtype", "metadata"):
        assert getattr(a, what) == getattr(b, what)
    for index in a.plane_indices():
        np.testing.assert_array_equal(a.read(index), b.read(index))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 60000, (3, 60, 500), dtype=np.uint16)


def test_files_travel_by_path(tmp_path, pixels, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a path that is relative here would not be found elsewhere
    np.save("a.npy", pixels)
    tifffile.imwrite("a.tif", pixels, compression="zlib", photometric="minisblack")
    tifffile.imwrite("b.tif", pixels[0], photometric="minisblack")
    for stack in (
        open_stack("a.npy"),
        open_stack("a.tif"),
        open_stack("a.tif", axes="TXY"),
        open_stack("b.tif"),
        Stack(np.memmap("a.npy", "u2", "r", offset=128, shape=pixels.shape)[:, ::-2, 3:]),
    ):
        sent = pickle.dumps(stack)
        assert len(sent) < 2000
        monkeypatch.chdir("/")
        again = pickle.loads(sent)
        monkeypatch.chdir(tmp_path)
        same(again, stack)
        assert len(pickle.dumps(again)) < 2000


def test_arrays_in_memory_travel_with_their_pixels(pixels):
    stack = Stack(pixels, axes="CYX", scale=(1, 2, 3), metadata={"a": 1})
    same(pickle.loads(pickle.dumps(stack)), stack)


def test_what_is_changed_in_memory_only_travels_with_its_pixels(tmp_path, pixels):
    np.save(tmp_path / "a.npy", pixels)
    changed = np.load(tmp_path / "a.npy", mmap_mode="c")
    changed[1] = 7
    again = pickle.loads(pickle.dumps(Stack(changed)))
    assert (again.read((1,)) == 7).all()


@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_a_file_that_is_another_by_then_is_one_sentence(tmp_path, pixels, name):
    def write(array):
        if name == "a.npy":
            np.save(tmp_path / name, array)
        else:
            tifffile.imwrite(tmp_path / name, array, photometric="minisblack")

    write(pixels)
    sent = pickle.dumps(open_stack(tmp_path / name))
    (tmp_path / name).unlink()
    write(pixels[:, :30])
    with pytest.raises(InputError, match="changed since it was opened"):
        pickle.loads(sent)


def test_another_process_reads_the_same(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    stack = open_stack(tmp_path / "a.tif")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(Stack.read, (stack, (2,))), pixels[2])
