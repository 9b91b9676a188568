"""What a file says of how its values are shown goes into the result."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from napari_srgan.io.open import open_stack
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink

RNG = np.random.default_rng(15)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def enlarged(stack, path):
    """Write a result of a stack as a run does, with late notes, and four times each pixel."""
    factors = [4 if a in "YX" else 1 for a in stack.axes]
    data = np.asarray(stack.data[...])
    for axis, factor in enumerate(factors):
        data = data.repeat(factor, axis)
    spec = OutputSpec(
        data.shape, stack.axes, stack.dtype, stack.scale, stack.translate, stack.units,
        metadata=stack.metadata,
    )  # fmt: skip
    sink = FileSink(path)
    sink.open(spec)
    for index in stack.plane_indices():
        where = dict(zip(stack.plane_axes, index, strict=True))
        sink.write(index, 0, 0, data[tuple(where.get(a, slice(None)) for a in stack.axes)])
    sink.commit({"napari_srgan": {"model": "m"}})
    return path


@pytest.mark.parametrize("source", ["a.tif", "a.png", "a.jpg"])
@pytest.mark.parametrize("target", ["b.tif", "b.ome.tif", "b.png"])
def test_the_profile_of_colours_is_kept(tmp_path, source, target):
    pixels = RNG.integers(0, 255, (16, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / source, icc_profile=PROFILE)
    path = enlarged(open_stack(tmp_path / source), tmp_path / target)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_without_any_nothing_is_added(tmp_path, name):
    tifffile.imwrite(tmp_path / name, np.zeros((16, 20), np.uint8), metadata=None)
    stack = open_stack(tmp_path / name)
    assert not stack.metadata
    with tifffile.TiffFile(enlarged(stack, tmp_path / "b.tif")) as tif:
        assert 34675 not in tif.pages[0].tags and "Labels" not in tif.imagej_metadata


def channels(path):
    said = tifffile.xml2dict(tifffile.TiffFile(path).ome_metadata)["OME"]["Image"]["Pixels"]
    return said["Channel"]


def test_names_and_colours_of_channels_are_kept(tmp_path):
    path = tmp_path / "a.ome.tif"
    said = {"Name": ["DAPI", "GFP & more"], "Color": [65535, -16711681]}
    pixels = RNG.integers(0, 255, (2, 16, 20)).astype(np.uint8)
    tifffile.imwrite(path, pixels, metadata={"axes": "CYX", "Channel": said})
    stack = open_stack(path)
    found = channels(enlarged(stack, tmp_path / "b.ome.tif"))
    assert [c["Name"] for c in found] == said["Name"]
    assert [c["Color"] for c in found] == said["Color"]
    with tifffile.TiffFile(enlarged(stack, tmp_path / "b.tif")) as tif:  # its place is the label
        assert tif.imagej_metadata["Labels"] == said["Name"]


def test_what_imagej_says_is_kept(tmp_path):
    path = tmp_path / "a.tif"
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.stack([ramp, ramp * 0, ramp * 0]), np.stack([ramp * 0, ramp, ramp // 2])]
    said = {
        "axes": "ZCYX", "mode": "composite", "Labels": [f"p{i}" for i in range(6)],
        "Ranges": (10.0, 200.0, 5.0, 90.0), "LUTs": tables,
        "cf": 0, "c0": -32768, "c1": 1, "vunit": "Gray Value",
    }  # fmt: skip
    pixels = RNG.integers(0, 60000, (3, 2, 16, 20)).astype(np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, metadata=said)
    written = enlarged(open_stack(path), tmp_path / "b.tif")
    with tifffile.TiffFile(written) as tif:
        found = tif.imagej_metadata
    for key in ("mode", "Labels", "Ranges", "cf", "c0", "c1", "vunit"):
        assert found[key] == said[key], key
    np.testing.assert_array_equal(found["LUTs"], tables)
    assert open_stack(written).metadata["napari_srgan"] == {"model": "m"}


def test_labels_of_pages_that_are_not_in_the_result_are_left_out(tmp_path):
    path = tmp_path / "a.tif"
    pixels = RNG.integers(0, 255, (3, 16, 20)).astype(np.uint8)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "ZYX", "Labels": list("abc")})
    stack = open_stack(path)
    part = OutputSpec((2, 16, 20), "ZYX", stack.dtype, *(getattr(stack, k) for k in (
        "scale", "translate", "units")), metadata=stack.metadata)  # fmt: skip
    sink = FileSink(tmp_path / "b.tif")
    sink.open(part)
    sink.commit()
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert "Labels" not in tif.imagej_metadata


@pytest.mark.parametrize("color", ["red", "", "1" * 400])
def test_a_bad_colour_keeps_no_pixels_out(tmp_path, color):
    path = tmp_path / "a.ome.tif"
    pixels = RNG.integers(0, 255, (2, 16, 20)).astype(np.uint8)
    tifffile.imwrite(path, pixels, metadata={"axes": "CYX", "Channel": {"Color": [1, 2]}})
    with tifffile.TiffFile(path) as tif:
        xml = tif.ome_metadata
    tifffile.imwrite(
        path, pixels, metadata=None, photometric="minisblack",
        description=xml.replace('Color="1"', f'Color="{color}"'),
    )  # fmt: skip
    stack = open_stack(path)
    np.testing.assert_array_equal(np.asarray(stack.data[...]), pixels)
    enlarged(stack, tmp_path / "b.ome.tif")
