"""What the samples of a TIFF mean, however they are stored."""

import itertools
import struct
import time

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.io.open import open_stack

RNG = np.random.default_rng(17)
HEIGHT, WIDTH = 20, 28

_SAMPLES = {"gray": 1, "white": 1, "rgb": 3, "ycbcr": 3}
_PHOTOMETRIC = {"gray": 1, "white": 0, "rgb": 2, "ycbcr": 6}


def tag_patched(path, code, value):
    """Overwrite the value of a short tag of every page."""
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        order = tif.byteorder
        places = [page.tags[code].valueoffset for page in tif.pages if code in page.tags]
    for at in places:
        struct.pack_into(order + "H", content, at, value)
    path.write_bytes(content)


def tag_dropped(path, code):
    """Take a tag out of the first page of a little-endian TIFF."""
    content = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", content, 4)
    (n,) = struct.unpack_from("<H", content, at)
    entries = [bytes(content[at + 2 + 12 * i : at + 14 + 12 * i]) for i in range(n)]
    kept = [e for e in entries if struct.unpack_from("<H", e)[0] != code]
    assert len(kept) == n - 1
    following = bytes(content[at + 2 + 12 * n : at + 6 + 12 * n])
    content[at : at + 6 + 12 * n] = (
        struct.pack("<H", n - 1) + b"".join(kept) + following + bytes(12)
    )
    path.write_bytes(content)


def write(path, samples, photometric, *, planar, alpha, orientation, compression, predictor=None):
    """Write samples (Y, X[, S]), which say `photometric`, as they are."""
    stored = np.moveaxis(samples, -1, 0) if planar and samples.ndim == 3 else samples
    extra = [("unassalpha", "assocalpha")[alpha - 1]] if alpha else None
    many = samples.ndim == 3
    tifffile.imwrite(
        path,
        stored,
        photometric="rgb" if photometric in ("rgb", "ycbcr") else "minisblack",
        planarconfig=("separate" if planar else "contig") if many else None,
        extrasamples=extra,
        compression=compression,
        predictor=predictor,
        rowsperstrip=7,
        metadata=None,
        extratags=[
            (274, "H", 1, orientation, True),
            *([(530, "H", 2, (1, 1), True)] if photometric == "ycbcr" else []),
        ],
    )
    tag_patched(path, 262, _PHOTOMETRIC[photometric])


def presented(path):
    stack = open_stack(path)
    return stack.axes, np.asarray(stack.data[...]), stack


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("photometric", _PHOTOMETRIC)
def test_pixels_mean_the_same_however_they_are_compressed(tmp_path, compression, photometric):
    deep = ["uint8"] if photometric == "ycbcr" else ["uint8", "uint16", "int16", "float32"]
    for planar, alpha, orientation, dtype in itertools.product(
        (False, True), (0, 1, 2), (1, 3, 6), deep
    ):
        n = _SAMPLES[photometric] + bool(alpha)
        shape = (HEIGHT, WIDTH) if n == 1 else (HEIGHT, WIDTH, n)
        samples = RNG.integers(0, 101, shape).astype(dtype)
        found = []
        for how in (None, compression):
            path = tmp_path / "a.tif"
            write(
                path, samples, photometric, planar=planar, alpha=alpha, orientation=orientation,
                compression=how,
            )  # fmt: skip
            found.append(presented(path)[:2])
        (axes, plain), (same_axes, packed) = found
        assert axes == same_axes
        np.testing.assert_array_equal(packed, plain, err_msg=f"{planar} {alpha} {dtype}")
        top = {"uint8": 255, "uint16": 65535}.get(dtype)
        if photometric in ("gray", "rgb") and alpha != 2:  # and these are the right ones
            last = plain if axes in ("YX", "YXS") else np.moveaxis(plain, 0, -1)
            np.testing.assert_array_equal(last, samples)
        elif photometric == "white" and n == 1 and top:
            np.testing.assert_array_equal(plain, top - samples)


@pytest.mark.parametrize("bits", [2, 4, 12])
@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_few_bits_are_whole_numbers_and_their_top_is_white(tmp_path, bits, white, compression):
    gray = RNG.integers(0, 2**bits, (HEIGHT, WIDTH)).astype("uint8" if bits < 8 else "uint16")
    single = (gray[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(single.reshape(HEIGHT, -1).astype(np.uint8), axis=1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rows, compression=compression, predictor=False, metadata=None)
    for code, value in ((256, WIDTH), (258, bits), (262, int(not white))):
        tag_patched(path, code, value)
    np.testing.assert_array_equal(presented(path)[1], 2**bits - 1 - gray if white else gray)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_libtiff_has_packed_is_read(tmp_path, compression, mode):
    ramp = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)).astype(np.uint8) * 3
    image = Image.fromarray(ramp if mode == "L" else np.dstack([ramp, ramp // 2, 200 - ramp]))
    path = tmp_path / "a.tif"
    image.save(path, compression=compression)
    with Image.open(path) as kept:
        expected = np.asarray(kept)
    off = np.abs(presented(path)[1].astype(int) - expected)
    assert off.max() <= (3 if compression == "jpeg" else 0)  # decoders round differently


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "float32"])
def test_min_is_white_is_a_negative_in_every_dtype(tmp_path, dtype):
    path = tmp_path / "a.tif"
    gray = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(dtype)
    tifffile.imwrite(path, gray, metadata=None)
    black = presented(path)[1]
    tag_patched(path, 262, 0)
    white = presented(path)[1]
    assert white.dtype == black.dtype
    unequal = black[:, 1:] != black[:, :-1]
    rises = (black[:, 1:] > black[:, :-1])[unequal]
    np.testing.assert_array_equal((white[:, 1:] < white[:, :-1])[unequal], rises)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_without_a_word_black_is_zero(tmp_path, compression):
    path = tmp_path / "a.tif"
    gray = RNG.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    tifffile.imwrite(path, gray, metadata=None, compression=compression)
    tag_dropped(path, 262)
    np.testing.assert_array_equal(presented(path)[1], gray)


@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("top", [255, 65535])
def test_a_palette_of_8_bits_has_its_colours(tmp_path, compression, top):
    index = RNG.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    ramp = np.arange(256)
    eight = np.stack([ramp, ramp // 2, 255 - ramp]).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, index, photometric="palette", colormap=eight * (top // 255), compression=compression,
        metadata=None,
    )  # fmt: skip
    axes, found, _ = presented(path)
    assert axes == "YXS"
    np.testing.assert_array_equal(found, eight.T[index])


def test_a_palette_of_two_colours_is_read(tmp_path):
    index = RNG.integers(0, 2, (HEIGHT, WIDTH)).astype(bool)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, index, metadata=None)
    colours = np.array([[10, 200], [20, 100], [30, 0]], np.uint16)
    tifffile.imwrite(
        path, index, metadata=None, extratags=[(320, "H", 6, tuple(colours.ravel() * 257), True)]
    )
    tag_patched(path, 262, 3)
    np.testing.assert_array_equal(presented(path)[1], colours.T[index.astype(int)])


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_associated_alpha_is_taken_out_of_the_colours(tmp_path, planar, dtype):
    top = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    colours = RNG.random((HEIGHT, WIDTH, 3)) * top
    opacity = np.linspace(0.2, 1, WIDTH)[None, :, None].repeat(HEIGHT, 0)
    opacity[0] = 0
    both = np.concatenate([colours * opacity, opacity * top], axis=2)
    both = (both if dtype == "float32" else np.rint(both)).astype(dtype)
    path = tmp_path / "a.tif"
    write(path, both, "rgb", planar=planar, alpha=2, orientation=1, compression=None)
    _, found, stack = presented(path)
    step = 1e-5 if dtype == "float32" else 6  # of rounded colours and opacities, 5 times as far
    assert np.abs(found[1:, :, :3].astype(float) - colours[1:]).max() <= step
    np.testing.assert_array_equal(found[..., 3], both[..., 3])
    assert not found[0, :, :3].any()
    part = stack.data[3:9, 4:8, 1] if stack.axes == "YXS" else None
    np.testing.assert_array_equal(part, found[3:9, 4:8, 1])


def test_one_of_three_colours_is_no_alpha_whatever_is_said(tmp_path):
    path, colours = tmp_path / "a.tif", RNG.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    tifffile.imwrite(path, colours, photometric="rgb", resolutionunit=1)
    with tifffile.TiffFile(path) as tif:
        entry = tif.pages[0].tags[296].offset
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, entry, 338)  # its value, 1, says that there is associated alpha
    path.write_bytes(data)
    np.testing.assert_array_equal(presented(path)[1], colours)


def test_ycbcr_without_jpeg_is_converted(tmp_path):
    ramp = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)).astype(np.uint8) * 5
    rgb = np.dstack([ramp, ramp // 2, 240 - ramp])
    ycbcr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    path = tmp_path / "a.tif"
    for planar, compression in itertools.product((False, True), (None, "lzw")):
        write(path, ycbcr, "ycbcr", planar=planar, alpha=0, orientation=1, compression=compression)
        axes, found, _ = presented(path)
        assert axes == "YXS"
        assert np.abs(found.astype(int) - rgb).max() <= 3
    tag_dropped(path, 530)  # then every second row and column has no colour of its own
    with pytest.raises(InputError, match="YCbCr"):
        open_stack(path)


@pytest.mark.parametrize(
    ("photometric", "says"),
    [(4, "mask"), (5, "CMYK"), (8, "CIELab"), (9, "ICCLab"), (10, "ITULab"), (32803, "mosaic"),
     (32845, "LogLuv"), (999, "unknown")],
)  # fmt: skip
def test_other_colours_are_refused_by_name(tmp_path, photometric, says):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((9, 11, 3), np.uint8), photometric="rgb", metadata=None)
    tag_patched(path, 262, photometric)
    with pytest.raises(InputError, match=f"{says}.*convert it"):
        open_stack(path)


def test_a_strip_of_jpeg_that_claims_more_than_its_place_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    gray = np.zeros((64, 64), np.uint8)
    tifffile.imwrite(path, gray, compression="jpeg", metadata=None, rowsperstrip=64)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        at = content.index(b"\xff\xc0", tif.pages[0].dataoffsets[0])
    content[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(InputError, match="claims more pixels"):
        open_stack(path).read(())


def test_reading_a_long_packed_stack_takes_time_in_proportion(tmp_path):
    """It took the square: 400 pages of LZW 4 to 7 s on the machine where these now take 0.5 s."""
    planes = np.arange(1000, dtype=np.uint16)[:, None, None].repeat(16, 1).repeat(16, 2)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for plane in planes:
            tif.write(plane, compression="lzw", metadata=None)
    start = time.monotonic()
    np.testing.assert_array_equal(presented(path)[1], planes)
    assert time.monotonic() - start < 15
