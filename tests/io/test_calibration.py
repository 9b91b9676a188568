"""What files of other programs say about their pixel size, and what is no pixel size."""

import json
import struct
import warnings

import numpy as np
import pytest
import tifffile

from napari_srgan.io.open import open_stack

RNG = np.random.default_rng(7)
NOTES = b'{"a": 1}\0'.ljust(12, b"\0")


def pixels(*shape):
    return RNG.integers(0, 200, shape).astype(np.uint8)


def of_imagej(path, **said):
    changed = {k: said.pop(k) for k in ("resolution", "resolutionunit") if k in said}
    tifffile.imwrite(
        path, pixels(3, 20, 30), imagej=True, metadata={"axes": "ZYX", **said},
        **{"resolution": (2, 2), **changed},
    )  # fmt: skip
    return open_stack(path)


def in_micrometres(stack):
    size = {"micrometer": 1, "millimeter": 1e3, "nanometer": 1e-3, "inch": 25400}
    return [s * size[u] for s, u in zip(stack.scale, stack.units, strict=True)]


def test_imagej_has_a_unit_for_each_axis(tmp_path):
    stack = of_imagej(tmp_path / "a.tif", unit="um", spacing=0.125, zunit="mm")
    assert in_micrometres(stack) == pytest.approx([125, 0.5, 0.5])
    stack = of_imagej(tmp_path / "b.tif", unit="mm", spacing=2.0, yunit="um", zunit="nm")
    assert in_micrometres(stack) == pytest.approx([0.002, 0.5, 500])


@pytest.mark.parametrize("tag", ["INCH", "CENTIMETER", "NONE"])
@pytest.mark.parametrize("unit", ["um", "inch", "mm"])
def test_the_unit_of_imagej_outrules_the_tag(tmp_path, tag, unit):
    stack = of_imagej(tmp_path / "a.tif", unit=unit, spacing=1.5, resolutionunit=tag)
    size = {"um": 1, "inch": 25400, "mm": 1000}[unit]
    assert in_micrometres(stack) == pytest.approx([1.5 * size, 0.5 * size, 0.5 * size])
    assert stack.spacing_source == "file"


def written_at(path, unit, per, software="Adobe Photoshop 25"):
    tifffile.imwrite(
        path, pixels(20, 30), metadata=None, resolution=(per, per), resolutionunit=unit,
        software=software,
    )  # fmt: skip
    return open_stack(path)


@pytest.mark.parametrize(
    ("unit", "per"),
    [("INCH", 50), ("INCH", 150), ("INCH", 200), ("INCH", 1200), ("CENTIMETER", 59.055),
     ("CENTIMETER", 78.7402), ("CENTIMETER", 59), ("CENTIMETER", 236.22)],
)  # fmt: skip
def test_resolutions_of_paper_are_no_pixel_size(tmp_path, unit, per):
    stack = written_at(tmp_path / "a.tif", unit, per)
    assert stack.spacing_source == "unknown" and stack.scale == (1, 1)


@pytest.mark.parametrize(
    ("unit", "per", "software"),
    [("INCH", 150, "ImageJ 1.54f"), ("INCH", 200, "LAS X 5.1"), ("INCH", 160.5, "x"),
     ("INCH", 49, "x"), ("INCH", 1300, "x"), ("CENTIMETER", 100, "x"), ("CENTIMETER", 200, "x")],
)  # fmt: skip
def test_others_are_and_so_are_those_of_programs_for_microscopes(tmp_path, unit, per, software):
    stack = written_at(tmp_path / "a.tif", unit, per, software)
    size = {"INCH": 25400, "CENTIMETER": 10000}[unit] / per
    assert stack.spacing_source == "file" and stack.scale == pytest.approx((size, size), rel=1e-5)


_IMAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0" Name="{name}"><Pixels ID="Pixels:0" DimensionOrder="XYZCT"'
    ' Type="uint8" SizeX="{width}" SizeY="20" SizeZ="1" SizeC="1" SizeT="1"><TiffData{of}/>'
    "</Pixels></Image></OME>"
)


@pytest.mark.parametrize(
    "said",
    [
        _IMAGE.format(name="GFP & DAPI", width=30, of=""),
        _IMAGE.format(name="a", width="thirty", of=""),
        _IMAGE.format(name="a", width=30, of=' PlaneCount="one"'),
        _IMAGE.format(name="a", width=30, of="").replace("</Pixels>", ""),
        _IMAGE.format(name="a", width=30, of="").replace("<Pixels", "<Voxels"),
    ],
)
def test_bad_ome_xml_does_not_keep_the_pixels_out(tmp_path, said):
    gray = pixels(20, 30)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, gray, metadata=None, description=said)
    with pytest.warns(UserWarning, match="without it") as told:
        stack = open_stack(path)
    assert len(told) == 1 and "\n" not in str(told[0].message)
    np.testing.assert_array_equal(np.asarray(stack.data[...]).squeeze(), gray)
    assert stack.spacing_source == "unknown"


@pytest.mark.parametrize("with_ome", [False, True])
def test_micromanager_states_z_step_and_interval(tmp_path, with_ome):
    planes = RNG.integers(0, 4000, (2, 3, 20, 30)).astype(np.uint16)  # T Z Y X
    path = tmp_path / "a.tif"
    write_micromanager(path, planes, 0.65, 2.5, 400.0, with_ome)
    stack = open_stack(path)
    assert stack.axes == "TZYX"
    assert stack.units == ("millisecond", "micrometer", "micrometer", "micrometer")
    assert stack.scale == pytest.approx((400, 2.5, 0.65, 0.65))
    np.testing.assert_array_equal(np.asarray(stack.data[...]), planes)


def write_micromanager(path, planes, pixel, step, interval, with_ome):
    """Write planes (T[, P], Z, Y, X) as Micro-Manager does, with its index and summary."""
    planes = planes if planes.ndim == 5 else planes[:, None]
    frames, positions, slices, height, width = planes.shape
    summary = {
        "MicroManagerVersion": "2.0.0", "Channels": 1, "Slices": slices, "Frames": frames,
        "Positions": positions, "SlicesFirst": True, "TimeFirst": positions > 1,
        "PixelSize_um": pixel,
        "z-step_um": step, "Interval_ms": interval, "Width": width, "Height": height,
        "Prefix": "a",
    }  # fmt: skip
    text = json.dumps(summary).encode()
    text += b" " * (-len(text) % 4)
    said = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="{width}"'
        f' SizeY="{height}" SizeZ="{slices}" SizeC="1" SizeT="{frames}" PhysicalSizeX="{pixel}"'
        f' PhysicalSizeY="{pixel}" PhysicalSizeZ="{step}" TimeIncrement="{interval}"'
        ' TimeIncrementUnit="ms"><TiffData/></Pixels></Image></OME>'
    ).encode() + b"\0"
    said += bytes(-len(said) % 4)
    head = bytearray(40) + text
    places, body = [], bytearray(head)
    flat = planes.reshape(-1, height, width)
    for i, plane in enumerate(flat):
        places.append(len(body))
        own = said if with_ome and not i else b""
        n = 13 + bool(own)
        pixels_at = len(body) + 2 + 12 * n + 4
        notes_at = pixels_at + plane.nbytes
        end = notes_at + len(NOTES) + len(own)
        tags = [
            (254, 4, 1, 0),
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
        ]
        tags += [(262, 3, 1, 1), *([(270, 2, len(own), notes_at + len(NOTES))] if own else [])]
        tags += [(273, 4, 1, pixels_at), (274, 3, 1, 1), (277, 3, 1, 1), (278, 4, 1, height)]
        tags += [(279, 4, 1, plane.nbytes), (284, 3, 1, 1), (51123, 2, len(NOTES), notes_at)]
        body += struct.pack("<H", n) + b"".join(struct.pack("<HHII", *t) for t in tags)
        body += struct.pack("<I", end if i < len(flat) - 1 else 0) + plane.tobytes()
        body += NOTES + own
    where = np.ndindex(frames, positions, slices)
    index = [(0, z, t, p, at) for (t, p, z), at in zip(where, places, strict=True)]
    body[:8] = b"II*\0" + struct.pack("<I", places[0])
    body[8:40] = struct.pack(
        "<8I", 54773648, len(body), 483765892, 0, 99384722, 0, 2355492, len(text)
    )
    body += struct.pack("<II", 3453623, len(index)) + np.array(index, "<u4").tobytes()
    path.write_bytes(body)


def test_the_voxel_size_of_an_lsm_is_in_metres(tmp_path):
    fields = [(n, t if t[0] == "S" else "<" + t) for n, t in tifffile.TIFF.CZ_LSMINFO]
    said = np.zeros((), np.dtype(fields))
    for name, value in {
        "MagicNumber": 67127628, "StructureSize": said.nbytes, "DimensionX": 20, "DimensionY": 16,
        "DimensionZ": 3, "DimensionChannels": 1, "DimensionTime": 1, "DataType": 1,
        "VoxelSizeX": 2e-7, "VoxelSizeY": 3e-7, "VoxelSizeZ": 1e-6,
    }.items():  # fmt: skip
        said[name] = value
    pixels = np.random.default_rng(0).integers(0, 255, (3, 16, 20)).astype(np.uint8)
    path = tmp_path / "a.lsm"
    with tifffile.TiffWriter(path) as tif:
        for i, plane in enumerate(pixels):
            tags = [(34412, 1, said.nbytes, said.tobytes(), True)] if i == 0 else []
            tif.write(plane, metadata=None, extratags=tags, subfiletype=0)
            tif.write(plane[:8, :8], metadata=None, subfiletype=1)  # a thumbnail
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the thumbnails are no image of their own
        stack = open_stack(path)
    np.testing.assert_array_equal(np.asarray(stack.data[:]).reshape(pixels.shape), pixels)
    known = dict(zip(stack.axes, zip(stack.scale, stack.units, strict=True), strict=True))
    for axis, size in (("X", 0.2), ("Y", 0.3), ("Z", 1.0)):
        assert known[axis] == (pytest.approx(size), "micrometer")


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_an_orientation_that_is_not_applied_is_said(tmp_path, orientation, recwarn):
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 20), np.uint8), extratags=tags)
    assert open_stack(tmp_path / "a.tif").shape == (16, 20)
    told = [str(w.message) for w in recwarn if "orientation tag" in str(w.message)]
    assert len(told) == (orientation != 1)
