import json
import struct
import sys
import threading
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.image.units import convert, normalise_unit, ome_symbol
from napari_srgan.io.open import READABLE_SUFFIXES, image_name, open_stack

RNG = np.random.default_rng(1)


def pixels(shape, dtype="uint8"):
    return RNG.integers(0, 200, shape).astype(dtype)


def whole(stack):
    """All pixels through Stack.read, in the order plane axes, Y, X, S."""
    planes = [stack.read(index) for index in stack.plane_indices()]
    return np.reshape(planes, (*stack.plane_shape, *planes[0].shape))


# --- what files of other programs say -------------------------------------------------------


def test_imagej_hyperstack(tmp_path):
    data = pixels((2, 3, 4, 10, 12), "uint16")  # T Z C Y X
    tifffile.imwrite(
        tmp_path / "a.tif",
        data,
        imagej=True,
        resolution=(1 / 0.5, 1 / 0.25),
        metadata={"axes": "TZCYX", "unit": "um", "spacing": 2.0, "finterval": 0.1},
    )
    stack = open_stack(tmp_path / "a.tif")
    assert stack.axes == "TCZYX"
    assert stack.scale == pytest.approx((0.1, 1, 2, 0.25, 0.5))
    assert stack.units == ("second", "pixel", "micrometer", "micrometer", "micrometer")
    assert stack.spacing_source == "file"
    np.testing.assert_array_equal(whole(stack), data.transpose(0, 2, 1, 3, 4))


@pytest.mark.parametrize("unit", ["micron", "µm", "\\u00B5m", "um", "nm", "mm"])
def test_imagej_units_as_imagej_writes_them(tmp_path, unit):
    text = f"ImageJ=1.54f\nimages=1\nunit={unit}\n".encode("latin-1")
    tifffile.imwrite(
        tmp_path / "a.tif", pixels((9, 9)), description=text, metadata=None, resolution=(2, 2)
    )
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tif:
        tif.pages[0].tags[296].overwrite(1)
    stack = open_stack(tmp_path / "a.tif")
    assert stack.units == (normalise_unit(unit),) * 2
    assert stack.units != ("pixel",) * 2
    assert stack.scale == (0.5, 0.5)


def test_imagej_without_a_unit_keeps_the_aspect_and_claims_nothing(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", pixels((3, 9, 9)), imagej=True, metadata={"spacing": 3.0, "axes": "ZYX"}
    )
    stack = open_stack(tmp_path / "a.tif")
    assert stack.scale == (3.0, 1.0, 1.0)
    assert stack.units == ("pixel",) * 3
    assert stack.spacing_source == "unknown"


def test_ome_spacing_position_and_order(tmp_path):
    data = pixels((4, 2, 10, 12), "uint16")  # Z C Y X
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        data,
        metadata={
            "axes": "ZCYX",
            "PhysicalSizeX": 500.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.25,
            "PhysicalSizeZ": 0.002,
            "PhysicalSizeZUnit": "mm",
            "Plane": {"PositionX": [1.5] * 8, "PositionXUnit": ["µm"] * 8},
        },
    )
    stack = open_stack(tmp_path / "a.ome.tif")
    assert stack.axes == "CZYX"
    assert stack.scale == (1.0, 0.002, 0.25, 500.0)
    assert stack.units == ("pixel", "millimeter", "micrometer", "nanometer")
    assert stack.translate == pytest.approx((0, 0, 0, 1500.0))
    np.testing.assert_array_equal(whole(stack), data.transpose(1, 0, 2, 3))


@pytest.mark.parametrize(
    ("unit", "per", "scale"),
    [("CENTIMETER", 20000.0, 0.5), ("INCH", 25400.0, 1.0), ("CENTIMETER", 2500.0, 4.0)],
)
def test_resolution_tags_become_micrometres(tmp_path, unit, per, scale):
    tifffile.imwrite(tmp_path / "a.tif", pixels((9, 9)), resolution=(per, per), resolutionunit=unit)
    stack = open_stack(tmp_path / "a.tif")
    assert stack.scale == pytest.approx((scale, scale))
    assert stack.units == ("micrometer", "micrometer")
    assert stack.spacing_source == "file"


@pytest.mark.parametrize(
    ("unit", "per"),
    [("INCH", 72), ("INCH", 96), ("INCH", 300), ("CENTIMETER", 28.35), ("CENTIMETER", 118.11),
     ("NONE", 1), ("NONE", 50)],
)  # fmt: skip
@pytest.mark.parametrize("metadata", [None, {"axes": "YX"}])
def test_printing_resolutions_count_as_unknown(tmp_path, unit, per, metadata):
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels((9, 9)),
        resolution=(per, per),
        resolutionunit=unit,
        metadata=metadata,
    )
    stack = open_stack(tmp_path / "a.tif")
    assert stack.scale == (1.0, 1.0)
    assert stack.units == ("pixel", "pixel")
    assert stack.spacing_source == "unknown"


def test_plain_pages_are_slices(tmp_path):
    data = pixels((5, 9, 11), "float32")
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane in data:
            tif.write(plane, metadata=None)
    stack = open_stack(tmp_path / "a.tif")
    assert stack.axes == "ZYX"
    np.testing.assert_array_equal(whole(stack), data)


def test_axes_of_length_1_are_kept(tmp_path):
    data = pixels((1, 3, 1, 9, 11))
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", metadata={"axes": "TCZYX"})
    stack = open_stack(tmp_path / "a.tif")
    assert stack.axes == "TCZYX"
    np.testing.assert_array_equal(whole(stack), data)


def test_unknown_axes_get_free_letters(tmp_path):
    data = pixels((2, 3, 9, 11), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    assert open_stack(tmp_path / "a.tif").axes == "TZYX"
    tifffile.imwrite(tmp_path / "b.tif", data, photometric="minisblack", metadata={"axes": "PAYX"})
    assert open_stack(tmp_path / "b.tif").axes == "TZYX"
    np.testing.assert_array_equal(whole(open_stack(tmp_path / "b.tif")), data)


def test_too_many_unknown_axes_are_refused_until_named(tmp_path):
    data = pixels((2, 2, 2, 2, 9, 11), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    with pytest.raises(InputError, match="name them"):
        open_stack(tmp_path / "a.tif")


def test_axes_given_by_the_user_follow_the_storage_order(tmp_path):
    data = pixels((5, 9, 11), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "ZYX"})
    stack = open_stack(tmp_path / "a.tif", axes="tyx")
    assert stack.axes == "TYX"
    np.testing.assert_array_equal(whole(stack), data)
    with pytest.raises(InputError, match="stored as ZYX"):
        open_stack(tmp_path / "a.tif", axes="TZYX")


@pytest.mark.parametrize("shape", [(3, 9, 11), (4, 9, 11)])
def test_few_slices_are_not_colours(tmp_path, shape):
    tifffile.imwrite(tmp_path / "a.tif", pixels(shape), photometric="minisblack")
    assert open_stack(tmp_path / "a.tif").axes == "ZYX"
    tifffile.imwrite(tmp_path / "b.tif", pixels(shape), imagej=True, metadata={"axes": "ZYX"})
    assert open_stack(tmp_path / "b.tif").axes == "ZYX"


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_come_last_however_they_are_stored(tmp_path, planar, dtype):
    data = pixels((4, 9, 11, 3), dtype)
    stored = data if planar == "contig" else np.moveaxis(data, -1, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    stack = open_stack(tmp_path / "a.tif")
    assert (stack.axes, stack.samples) == ("ZYXS", 3)
    np.testing.assert_array_equal(whole(stack), data)
    np.testing.assert_array_equal(stack.read((2,), slice(3, 7), slice(5, 6)), data[2, 3:7, 5:6])


def test_rgba_and_samples_that_are_no_colours(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", pixels((9, 11, 4)), photometric="rgb", extrasamples=["unassalpha"]
    )
    assert open_stack(tmp_path / "a.tif").samples == 4
    data = pixels((9, 11, 5), "uint16")
    tifffile.imwrite(tmp_path / "b.tif", data, photometric="minisblack", planarconfig="contig")
    stack = open_stack(tmp_path / "b.tif")
    assert stack.axes == "CYX"
    np.testing.assert_array_equal(whole(stack), np.moveaxis(data, -1, 0))


def test_palette_and_white_is_zero(tmp_path):
    index = pixels((9, 11))
    table = RNG.integers(0, 2**16, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "p.tif", index, photometric="palette", colormap=table)
    stack = open_stack(tmp_path / "p.tif")
    assert stack.axes == "YXS"
    np.testing.assert_array_equal(stack.read(()), (table.T[index] >> 8).astype(np.uint8))
    tifffile.imwrite(tmp_path / "w.tif", index, photometric="miniswhite")
    np.testing.assert_array_equal(open_stack(tmp_path / "w.tif").read(()), 255 - index)


def test_cmyk_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels((9, 11, 4)), photometric="separated")
    with pytest.raises(InputError, match="CMYK"):
        open_stack(tmp_path / "a.tif")


def test_the_largest_series_is_taken_and_the_first_of_equals(tmp_path):
    small, first, second = pixels((9, 9)), pixels((4, 20, 20)), pixels((4, 20, 20), "uint16")
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for data in (small, first, second):
            tif.write(data, photometric="minisblack")
    np.testing.assert_array_equal(whole(open_stack(tmp_path / "a.tif")), first)


@pytest.mark.parametrize("kind", ["tiled", "zlib", "predictor", "strips", "bigendian", "bigtiff"])
def test_storage_makes_no_difference(tmp_path, kind):
    data = pixels((3, 40, 50), "uint16")
    how = {
        "tiled": {"tile": (16, 16)},
        "zlib": {"compression": "zlib"},
        "predictor": {"compression": "zlib", "predictor": 1},
        "strips": {"rowsperstrip": 7},
    }.get(kind, {})
    file = {"bigendian": {"byteorder": ">"}, "bigtiff": {"bigtiff": True}}.get(kind, {})
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", **how, **file)
    stack = open_stack(tmp_path / "a.tif")
    np.testing.assert_array_equal(whole(stack), data)
    np.testing.assert_array_equal(stack.read((1,), slice(11, 30), slice(7, 9)), data[1, 11:30, 7:9])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_lzw_is_read_without_extra_packages(tmp_path, dtype):
    planes = [pixels((20, 30), dtype) for _ in range(3)]
    images = [Image.fromarray(p) for p in planes]
    images[0].save(
        tmp_path / "a.tif", save_all=True, append_images=images[1:], compression="tiff_lzw"
    )
    np.testing.assert_array_equal(whole(open_stack(tmp_path / "a.tif")), planes)


def test_planes_that_an_ome_file_lacks_are_zero_and_told(tmp_path):
    data = pixels((3, 20, 30)) + 1
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, data, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path, mode="r+") as tif:
        text = tif.ome_metadata.replace('SizeZ="3"', 'SizeZ="5"')
        tif.pages[0].tags[270].overwrite(text.encode())
    with pytest.warns(UserWarning, match="2 of 5 planes are not in the file"):
        stack = open_stack(path)
    np.testing.assert_array_equal(whole(stack)[:3], data)
    assert not whole(stack)[3:].any()


# --- laziness and threads ---------------------------------------------------------------------


def test_a_row_of_a_large_file_costs_a_row(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", shape=(300, 1000, 1000), dtype="uint16")  # 600 MB, sparse
    tracemalloc.start()
    stack = open_stack(tmp_path / "a.tif")
    stack.read((299,), slice(10, 20), slice(0, 100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3e6


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_lazy_array_indexes_like_numpy(tmp_path, data):
    shape = (2, 3, 9, 11)
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    path = tmp_path / "i.tif"
    if not path.exists():
        tifffile.imwrite(path, array, imagej=True, metadata={"axes": "TZYX"})
    lazy = open_stack(path).data
    key = []
    for n in shape:
        bound = st.none() | st.integers(-n - 2, n + 2)
        step = st.sampled_from([None, 1, 2, -1, -3])
        key.append(data.draw(st.integers(-n, n - 1) | st.builds(slice, bound, bound, step)))
    key = tuple(key[: data.draw(st.integers(0, 4))])
    np.testing.assert_array_equal(lazy[key], array[key])
    np.testing.assert_array_equal(lazy[..., 0], array[..., 0])


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}], ids=["rows", "pages"])
def test_many_threads_read_the_same_file(tmp_path, how):
    data = pixels((20, 40, 50), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", **how)
    stack = open_stack(tmp_path / "a.tif")
    wrong = []

    def work(seed):
        for z in np.random.default_rng(seed).integers(0, 20, 150):
            if not np.array_equal(stack.read((z,), slice(3, 30)), data[z, 3:30]):
                wrong.append(z)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change between any two steps
    try:
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


# --- pictures and npy -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "axes", "dtype"),
    [("L", "YX", "uint8"), ("RGB", "YXS", "uint8"), ("RGBA", "YXS", "uint8"),
     ("I;16", "YX", "uint16")],
)  # fmt: skip
def test_png(tmp_path, mode, axes, dtype):
    shape = (10, 12, len(mode)) if axes == "YXS" else (10, 12)
    data = RNG.integers(0, 250 if dtype == "uint8" else 65000, shape).astype(dtype)
    Image.fromarray(data).save(tmp_path / "a.png")
    stack = open_stack(tmp_path / "a.png")
    assert stack.axes == axes
    assert stack.dtype == dtype
    np.testing.assert_array_equal(stack.read(()), data)


def test_palette_png_becomes_rgb_and_gray_with_alpha_rgba(tmp_path):
    colours = Image.fromarray(pixels((10, 12, 3))).quantize(8)
    colours.save(tmp_path / "p.png")
    np.testing.assert_array_equal(
        open_stack(tmp_path / "p.png").read(()), np.asarray(colours.convert("RGB"))
    )
    gray = pixels((10, 12, 2))
    Image.fromarray(gray, "LA").save(tmp_path / "la.png")
    read = open_stack(tmp_path / "la.png").read(())
    np.testing.assert_array_equal(read[..., [0, 1, 2, 3]], gray[..., [0, 0, 0, 1]])


def test_jpeg_is_turned_as_its_exif_says(tmp_path):
    image = Image.fromarray(np.repeat(np.arange(10, 250, 10, dtype=np.uint8)[:, None], 10, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    stack = open_stack(tmp_path / "a.jpg")
    assert (stack.height, stack.width) == (10, 24)


def test_pictures_that_would_lose_values_are_refused(tmp_path):
    Image.new("1", (10, 10)).save(tmp_path / "one.png")
    with pytest.raises(InputError, match="1-bit"):
        open_stack(tmp_path / "one.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "rgb.png")
    deep = bytearray((tmp_path / "rgb.png").read_bytes())
    deep[24] = 16
    deep[29:33] = struct.pack(">I", zlib.crc32(deep[12:29]))
    (tmp_path / "deep.png").write_bytes(deep)
    with pytest.raises(InputError, match="16-bit colour"):
        open_stack(tmp_path / "deep.png")
    Image.new("CMYK", (10, 10)).save(tmp_path / "c.jpg")
    with pytest.raises(InputError, match="CMYK"):
        open_stack(tmp_path / "c.jpg")


def test_npy_takes_axes(tmp_path):
    data = pixels((2, 9, 11), "int16")
    np.save(tmp_path / "a.npy", data)
    stack = open_stack(tmp_path / "a.npy", axes="TYX")
    assert stack.axes == "TYX"
    np.testing.assert_array_equal(whole(stack), data)


# --- bad input --------------------------------------------------------------------------------


def test_what_is_not_there_or_no_image_is_one_sentence(tmp_path):
    (tmp_path / "text.tif").write_text("patient list")
    (tmp_path / "text.png").write_text("patient list")
    (tmp_path / "text.npy").write_text("patient list")
    (tmp_path / "zero.tif").touch()
    (tmp_path / "scan.xyz").write_text("x")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros(100))
    np.save(tmp_path / "cut.npy", np.zeros((20, 30)))
    Image.fromarray(pixels((200, 300))).save(tmp_path / "cut.jpg")
    Image.fromarray(pixels((200, 300))).save(tmp_path / "cut.png")
    for path in tmp_path.glob("cut.*"):
        path.write_bytes(path.read_bytes()[:-1000])
    expected = {
        "missing.tif": "does not exist",
        "text.tif": "not a TIFF file",
        "text.png": "not an image",
        "text.npy": "not an .npy file",
        "zero.tif": "is empty",
        "scan.xyz": "not of a format",
        "objects.npy": "object arrays",
        "cut.npy": "cut short",
        "cut.jpg": "cannot be read",
        "cut.png": "cannot be read",
        "flat.npy": "needs its axes named",
        "": "cannot be read",  # a folder, whose pictures would be slices
    }
    for name, says in expected.items():
        with pytest.raises(InputError, match=says) as caught:
            open_stack(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.zeros((3, 9, 11), np.complex64), "complex64"),
        (np.zeros((9, 11), bool), "bool"),
        (np.zeros((3, 5, 11), np.uint8), "at least 8 px"),
    ],
)
def test_tiff_that_cannot_be_upscaled_is_refused(tmp_path, data, says):
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    with pytest.raises(InputError, match=says):
        open_stack(tmp_path / "a.tif")


def _flavours(folder):
    data = pixels((4, 20, 30), "uint16")
    tifffile.imwrite(folder / "imagej.tif", data, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "ome.ome.tif", data, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "shaped.tif", data, photometric="minisblack")
    tifffile.imwrite(folder / "zlib.tif", data, photometric="minisblack", compression="zlib")
    tifffile.imwrite(folder / "big.tif", data, photometric="minisblack", bigtiff=True)
    with tifffile.TiffWriter(folder / "pages.tif") as tif:
        for plane in data:
            tif.write(plane, metadata=None)
    return data


def test_a_truncated_tiff_is_always_refused_and_never_wrong(tmp_path, caplog):
    data = _flavours(tmp_path)
    for path in sorted(tmp_path.glob("*.tif")):
        content = path.read_bytes()
        needed = open_stack(path)
        np.testing.assert_array_equal(whole(needed), data)
        for keep in np.linspace(0, len(content) - 1, 25).astype(int):
            cut = path.with_name("cut-" + path.name)
            cut.write_bytes(content[:keep])
            try:
                read = whole(open_stack(cut))
            except InputError as e:
                assert cut.name in str(e)
                assert "\n" not in str(e)
            else:  # only what lies behind the pixels was cut off
                np.testing.assert_array_equal(read, data, err_msg=f"{path.name} cut at {keep}")
            cut.unlink()
    assert caplog.records == []


@pytest.mark.filterwarnings("ignore")  # Pillow has its own words for the damage
def test_random_damage_never_escapes_as_another_error(tmp_path):
    _flavours(tmp_path)
    rng = np.random.default_rng(5)
    for path in sorted(tmp_path.glob("*.tif")):
        content = bytearray(path.read_bytes())
        for _ in range(15):
            broken = bytearray(content)
            for at in rng.integers(0, 400, 6):
                broken[at] = rng.integers(0, 256)
            cut = path.with_name("x.tif")
            cut.write_bytes(broken)
            try:
                stack = open_stack(cut)
                if stack.nbytes < 1e6:
                    whole(stack)
            except InputError:
                pass


def test_what_tifffile_no_longer_has_is_not_blamed_on_the_file(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", pixels((3, 9, 11)), photometric="minisblack")
    monkeypatch.delattr(tifffile.TiffPageSeries, "axes")
    with pytest.raises(AttributeError, match="axes"):
        open_stack(tmp_path / "a.tif")


# --- small things -----------------------------------------------------------------------------


def test_units():
    assert normalise_unit("µm") == normalise_unit("μm") == normalise_unit("Micron") == "micrometer"
    assert normalise_unit("MM") == "millimeter"
    assert normalise_unit(None) == normalise_unit("reference frame") == "pixel"
    assert convert(2, "millimeter", "micrometer") == pytest.approx(2000)
    assert convert(2, "pixel", "micrometer") is None
    assert convert(2, "second", "micrometer") is None
    assert ome_symbol("micrometer") == "µm"
    pint = pytest.importorskip("pint")
    for name in ("angstrom", "nanometer", "micrometer", "millimeter", "inch", "second", "pixel"):
        assert str(pint.UnitRegistry()(name).units) == name
        assert normalise_unit(ome_symbol(name)) == name


def test_names():
    assert image_name("x/scan.ome.tif") == "scan"
    assert image_name("scan.1.TIF") == "scan.1"
    assert set(READABLE_SUFFIXES) >= {".tif", ".ome.tif", ".png", ".jpg", ".npy"}


def test_notes_kept_by_another_program_do_not_outrule_its_changes(tmp_path):
    from napari_srgan.io.output import OutputSpec
    from napari_srgan.io.sinks import FileSink

    um = ("micrometer",) * 3
    spec = OutputSpec(
        (4, 20, 30), "ZYX", np.dtype("uint16"), (3.0, 0.5, 0.25), (0.0, -0.1875, -0.1), um,
        metadata={"napari_srgan": {"model": "m"}},
    )  # fmt: skip
    sink = FileSink(tmp_path / "a.tif")
    sink.open(spec)
    sink.commit()
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        info = tif.imagej_metadata["Info"]
    same = {"resolution": (4.0, 2.0), "spacing": 3.0, "yorigin": 0.375, "xorigin": 0.4}
    for shape, change, scale, translate in [
        ((4, 20, 30), {}, spec.scale, spec.translate),  # nothing: the notes hold
        ((4, 10, 30), {}, spec.scale, (0, -0.1875, -0.1)),  # cropped at the end
        ((4, 20, 30), {"resolution": (1.0, 1.0)}, (3, 1, 1), (0, -0.375, -0.4)),  # recalibrated
        ((4, 20, 30), {"xorigin": -3.0}, spec.scale, (0, -0.1875, 0.75)),  # moved
        ((4, 20, 30), {"unit": "mm"}, spec.scale, (0, -0.1875, -0.1)),
    ]:
        said = {"axes": "ZYX", "unit": "um", "Info": info} | same | change
        resolution = said.pop("resolution")
        tifffile.imwrite(
            tmp_path / "b.tif",
            np.zeros(shape, np.uint16),
            imagej=True,
            resolution=resolution,
            metadata=said,
        )
        stack = open_stack(tmp_path / "b.tif")
        assert stack.shape == shape
        assert stack.scale == pytest.approx(scale)
        assert stack.translate == pytest.approx(translate)
        assert set(stack.units) == {"millimeter" if said["unit"] == "mm" else "micrometer"}
        assert stack.metadata == {"napari_srgan": {"model": "m"}}  # still a result
    tifffile.imwrite(
        tmp_path / "b.tif",
        np.zeros((4, 20, 30), np.uint16),
        imagej=True,
        resolution=(4.0, 2.0),
        metadata={"axes": "TYX", "unit": "um", "Info": info, "yorigin": 0.375, "xorigin": 0.4},
    )
    assert open_stack(tmp_path / "b.tif").axes == "TYX"  # slices made to time points


def test_foreign_json_under_our_key_is_harmless(tmp_path):
    for notes in ["text", 5, [1], {"layout": 3}, {"layout": {"axes": "ZYX"}}, {"metadata": None}]:
        tifffile.imwrite(
            tmp_path / "a.tif",
            pixels((3, 9, 11)),
            imagej=True,
            metadata={"axes": "ZYX", "Info": "napari_srgan = " + json.dumps(notes)},
        )
        assert open_stack(tmp_path / "a.tif").axes == "ZYX"


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_strip_at_the_header_was_never_written(tmp_path, order, compression):
    """The header is no pixels, which tifffile takes it for where nothing is compressed."""
    path = tmp_path / "a.tif"
    image = pixels((32, 24)) + 1
    tifffile.imwrite(path, image, rowsperstrip=16, byteorder=order, compression=compression)
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages[0].tags["StripOffsets"]
        at, kind = tag.valueoffset, {3: "H", 4: "I", 16: "Q"}[int(tag.dtype)]
    data = bytearray(path.read_bytes())
    struct.pack_into(order + kind, data, at, 0)
    path.write_bytes(data)
    found = open_stack(path).data[:]
    assert not found[:16].any()
    np.testing.assert_array_equal(found[16:], image[16:])
