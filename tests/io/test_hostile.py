"""Files that claim more than they hold, name others, change while they are read, or are damaged."""

import io
import itertools
import lzma
import random
import struct
import tracemalloc
import zlib

import micromanager_files
import numpy as np
import psutil
import pytest
import small_models
import tifffile
from PIL import Image, PngImagePlugin

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.formats import tiff, tiff_claims
from napari_srgan.io.open import open_stack
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import restore_file

PIXELS = np.random.default_rng(0).integers(0, 4000, (3, 24, 20)).astype(np.uint16)
MEMORY = 100e6
"""What a refusal may take; the claims below are for a gigabyte or more."""


def refused(path, says):
    """The file is refused in a sentence that says so, and little memory is taken for it."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=says) as caught:
            stack = open_stack(path)
            stack.read((0,) * len(stack.plane_axes))
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


# --- claims -----------------------------------------------------------------------------------


def write_tiff(path, side, packed, compression, strips=1, pages=1, last=0):
    """Write a TIFF by hand, every strip of which is the same bytes."""
    body = bytearray(b"II*\0\0\0\0\0" + packed)
    offsets = len(body)
    body += struct.pack(f"<{strips}I", *[8] * strips)
    counts = len(body)
    body += struct.pack(f"<{strips}I", *[len(packed)] * strips)
    tags = [(256, side), (257, side), (258, 8), (259, compression), (262, 1)]
    tags = [(*t[:1], 4, 1, t[1]) for t in tags]
    tags += [(273, 4, strips, offsets if strips > 1 else 8), (277, 4, 1, 1)]
    tags += [(278, 4, 1, -(-side // strips))]
    tags += [(279, 4, strips, counts if strips > 1 else len(packed))]
    first = len(body)
    struct.pack_into("<I", body, 4, first)
    for page in range(pages):
        following = len(body) + 2 + 12 * len(tags) + 4 if page < pages - 1 else last and first
        body += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
        body += struct.pack("<I", following)
    path.write_bytes(body)


@pytest.mark.parametrize(
    ("packed", "compression", "strips"),
    [
        (zlib.compress(bytes(2**24), 9), 8, 1),
        (zlib.compress(bytes(2**16), 9), 8, 5000),
        (lzma.compress(bytes(2**16)), 34925, 1),
        (bytes(2000), 1, 1),
    ],
    ids=["deflate", "one strip for all", "lzma", "plain"],
)
def test_a_tiff_that_claims_more_pixels_than_its_bytes_hold_is_refused(
    tmp_path, packed, compression, strips
):
    write_tiff(tmp_path / "bomb.tif", 60000, packed, compression, strips)
    refused(tmp_path / "bomb.tif", "cannot hold|cut short")


@pytest.mark.parametrize("compression", [8, 34925])
def test_no_more_is_unpacked_than_a_strip_has_place_for(tmp_path, compression):
    content = bytes(150 * 2**20)
    packed = zlib.compress(content, 1) if compression == 8 else lzma.compress(content, preset=0)
    write_tiff(tmp_path / "bomb.tif", 600, packed, compression)
    del content
    tracemalloc.start()
    plane = open_stack(tmp_path / "bomb.tif").read(())
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()
    assert plane.shape == (600, 600)


@pytest.mark.parametrize("pages", [1, 3, 150])
def test_pages_in_a_circle_end(tmp_path, pages):
    write_tiff(tmp_path / "circle.tif", 24, bytes(576), 1, pages=pages, last=1)
    refused(tmp_path / "circle.tif", "circle")


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ('SizeZ="3"', 'SizeZ="1000000000"'),
        ('SizeX="20"', 'SizeX="20000000000000"'),
        ('PlaneCount="3"', 'PlaneCount="1000000000"'),
        (
            "</OME>",
            "<StructuredAnnotations><XMLAnnotation ID='a' Namespace='x/modulo'><Value><Modulo>"
            "<ModuloAlongT Type='phase' Start='0' End='1e12'/></Modulo></Value></XMLAnnotation>"
            "</StructuredAnnotations></OME>",
        ),
    ],
    ids=["planes", "pixels", "listed", "modulo"],
)
def test_an_ome_tiff_that_names_far_more_planes_than_there_are_is_refused(tmp_path, of, to):
    write_ome(tmp_path / "few.ome.tif", of, to)
    refused(tmp_path / "few.ome.tif", "far more than there are")


def write_ome(path, of, to):
    tifffile.imwrite(path, PIXELS, metadata={"axes": "ZYX"}, photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        text = tif.ome_metadata
    assert of in text
    tifffile.imwrite(
        path, PIXELS, description=text.replace(of, to), metadata=None, photometric="minisblack"
    )


def write_png(path, side, content):
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(content, 1)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c))
            for kind, c in chunks
        )
    )


def test_a_png_that_claims_more_than_its_bytes_hold_is_refused(tmp_path):
    write_png(tmp_path / "a.png", 60000, bytes(1000))
    refused(tmp_path / "a.png", "cannot hold")


def test_a_png_that_is_larger_than_memory_says_what_helps(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", 8000, bytes(8000 * 8001))
    free = psutil.virtual_memory()._replace(available=100_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    refused(tmp_path / "a.png", "save it as TIFF in tiles or short strips")


def test_a_large_picture_is_not_refused_for_being_large(tmp_path, monkeypatch):
    Image.fromarray(PIXELS[0].astype(np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow's own limit, 90 million pixels
    plane = open_stack(tmp_path / "a.png").read(())
    np.testing.assert_array_equal(plane, PIXELS[0].astype(np.uint8))


def test_only_the_tiles_and_strips_of_a_region_are_read(tmp_path):
    """All others are damaged, so that reading them would be refused."""
    plane = np.random.default_rng(1).integers(0, 4000, (256, 256)).astype(np.uint16)
    for name, how in {
        "tiles.tif": {"tile": (32, 32)},
        "packed.tif": {"tile": (32, 32), "compression": "zlib"},
        "strips.tif": {"rowsperstrip": 16, "compression": "zlib", "predictor": True},
        "lzma.tif": {"rowsperstrip": 16, "compression": "lzma"},
    }.items():
        path = tmp_path / name
        tifffile.imwrite(path, plane, **how)
        np.testing.assert_array_equal(open_stack(path).read(()), plane)
        with tifffile.TiffFile(path) as tif:
            page = tif.pages[0]
            places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        content = bytearray(path.read_bytes())
        kept = {i for i in range(len(places)) if _touches(i, len(places), 40, 70)}
        for i, (offset, count) in enumerate(places):
            if i not in kept:
                content[offset : offset + count] = b"\xff" * count
        path.write_bytes(content)
        part = open_stack(path).read((), slice(40, 70), slice(40, 70))
        np.testing.assert_array_equal(part, plane[40:70, 40:70], err_msg=name)


def _touches(i, n, low, high):
    """Whether strip or tile i of the 256 x 256 px above has pixels of low:high."""
    if n == 16:
        return 16 * i < high and 16 * (i + 1) > low
    return all(32 * k < high and 32 * (k + 1) > low for k in divmod(i, 8))


# --- other files ------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["../private/x.tif", "{}/private/x.tif", "..\\x.tif", "C:x.tif"])
def test_no_file_of_another_folder_is_opened(tmp_path, where):
    (tmp_path / "private").mkdir()
    (tmp_path / "here").mkdir()
    tifffile.imwrite(tmp_path / "private" / "x.tif", PIXELS[0])
    name = where.format(tmp_path)
    path = tmp_path / "here" / "a.ome.tif"
    uuid = f'<UUID FileName="{name}">urn:uuid:22222222-2222-2222-2222-222222222222</UUID>'
    write_ome(path, "</Pixels>", f'<TiffData IFD="0" PlaneCount="3">{uuid}</TiffData></Pixels>')
    refused(path, "only files beside it are opened")


def write_ome_set(folder):
    """Write each plane of PIXELS into a file of its own."""
    uuids = [f"urn:uuid:{str(i) * 8}-1111-1111-1111-111111111111" for i in range(3)]
    listed = "".join(
        f'<TiffData FirstZ="{i}" IFD="0" PlaneCount="1"><UUID FileName="{i}.ome.tif">{u}</UUID>'
        "</TiffData>"
        for i, u in enumerate(uuids)
    )
    for i, plane in enumerate(PIXELS):
        text = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuids[i]}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16"'
            ' SizeX="20" SizeY="24" SizeC="1" SizeZ="3" SizeT="1">'
            f"{listed}</Pixels></Image></OME>"
        )
        tifffile.imwrite(folder / f"{i}.ome.tif", plane, description=text, metadata=None)


def test_a_series_in_several_files_of_one_folder_is_read(tmp_path):
    write_ome_set(tmp_path)
    stack = open_stack(tmp_path / "1.ome.tif")
    np.testing.assert_array_equal(stack.data[...], PIXELS)
    assert [s.name for s in stack.data.sources] == ["1.ome.tif", "0.ome.tif", "2.ome.tif"]
    tifffile.imwrite(tmp_path / "2.ome.tif", PIXELS[0], metadata=None, bigtiff=True)
    with pytest.raises(InputError, match=r"2\.ome\.tif has changed since it was opened"):
        stack.read((2,))


@pytest.mark.parametrize("kind", micromanager_files.WRITERS)
def test_a_set_of_micromanager_is_read_however_many_files_it_has(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(tiff_claims, "MOST_MISSING", 0)
    planes = np.random.default_rng(8).integers(0, 60000, (7, 24, 20)).astype(np.uint16)
    paths = micromanager_files.WRITERS[kind](tmp_path, planes, 2)
    stack = open_stack(paths[1])
    np.testing.assert_array_equal(stack.data[...], planes)
    assert {s.path for s in stack.data.sources} == set(paths)
    paths[-1].write_bytes(paths[-1].read_bytes() + b" ")
    with pytest.raises(InputError, match=f"{paths[-1].name} has changed since it was opened"):
        stack.read((6,))


def test_a_file_of_a_set_that_is_replaced_while_the_set_is_opened_is_refused(tmp_path, monkeypatch):
    planes = np.random.default_rng(9).integers(0, 60000, (4, 24, 20)).astype(np.uint16)
    (tmp_path / "new").mkdir()
    (tmp_path / "set").mkdir()
    paths = micromanager_files.write_stack(tmp_path / "set", planes, 2)
    other, _ = micromanager_files.write_stack(tmp_path / "new", planes[::-1], 2)[::-1]
    located = tiff._located

    def late(*what):  # tifffile has read where the pixels lie
        other.replace(paths[1])
        return located(*what)

    monkeypatch.setattr(tiff, "_located", late)
    stack = open_stack(paths[0])
    np.testing.assert_array_equal(stack.read((1,)), planes[1])
    with pytest.raises(InputError, match="has changed since it was opened"):
        stack.read((3,))


def test_a_path_through_a_link_and_back_is_followed_as_the_system_does(tmp_path):
    for name, planes in (("a", PIXELS[:2]), ("b", PIXELS[::-1])):
        (tmp_path / name / "in").mkdir(parents=True)
        tifffile.imwrite(tmp_path / name / "x.tif", planes, photometric="minisblack")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "in")
    stack = open_stack(tmp_path / "a" / "link" / ".." / "x.tif")
    np.testing.assert_array_equal(stack.data[...], PIXELS[::-1])
    assert len(stack.data.sources) == 1


def test_a_set_of_links_is_read_beside_the_links(tmp_path):
    """As git-annex keeps it: the files lie in folders of their own, under other names."""
    planes = np.random.default_rng(10).integers(0, 60000, (5, 24, 20)).astype(np.uint16)
    for i, path in enumerate(micromanager_files.write_stack(tmp_path, planes, 2)):
        (tmp_path / f"object {i}").mkdir()
        path.symlink_to(path.rename(tmp_path / f"object {i}" / "key"))
    stack = open_stack(path)
    np.testing.assert_array_equal(stack.data[...], planes)
    write_ome_set(tmp_path)
    for i in range(3):
        path = tmp_path / f"{i}.ome.tif"
        path.symlink_to(path.rename(tmp_path / f"object {i}" / "other key"))
    stack = open_stack(path)
    np.testing.assert_array_equal(stack.data[...], PIXELS)
    assert len(stack.data.sources) == 3


def test_a_picture_that_is_another_kind_of_file_starts_no_program(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n")
    refused(tmp_path / "a.png", "neither PNG nor JPEG")


def test_a_name_with_a_null_character_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="null character"):
        open_stack(f"{tmp_path}/a\0b.tif")


# --- files that change ------------------------------------------------------------------------


def write(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        tifffile.imwrite(path, array, photometric="minisblack", compression=path.stem or None)


@pytest.mark.parametrize("name", ["a.npy", "zlib.tif"])
@pytest.mark.parametrize("how", ["cut", "rewritten", "replaced"])
def test_a_file_that_changed_since_it_was_opened_is_one_sentence(tmp_path, name, how):
    path = tmp_path / name
    big = np.random.default_rng(2).integers(0, 60000, (9, 200, 200)).astype(np.uint16)
    write(path, big)
    stack = open_stack(path)
    stack.read((0,))
    if how == "cut":
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
    elif how == "rewritten":
        write(path, big[::-1])
    else:
        other = tmp_path / ("b.npy" if name == "a.npy" else "lzma.tif")
        write(other, big[:8])
        other.replace(path)
    for z in (0, 8):
        with pytest.raises(InputError, match="has changed since it was opened"):
            stack.read((z,))


def test_a_memory_map_of_a_file_that_was_cut_short_is_not_touched(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((9, 200, 200)))
    stack = Stack(np.load(tmp_path / "a.npy", mmap_mode="r"))
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(InputError, match="has changed since it was opened"):
        stack.read((8,))


def test_a_source_that_is_rewritten_during_the_work_ends_it_and_leaves_no_result(tmp_path):
    model = small_models.save(tmp_path, "gray", 1)
    data = np.random.default_rng(3).integers(0, 60000, (40, 30, 30)).astype(np.uint16)
    source, target = tmp_path / "zlib.tif", tmp_path / "out" / "out.tif"
    target.parent.mkdir()
    write(source, data)
    work = restore_file(source, target, RestoreOptions(model=model, device="cpu"))
    next(work)
    write(source, data[::-1])
    with pytest.raises(InputError, match="has changed since it was opened"):
        for _ in work:
            pass
    assert list(target.parent.iterdir()) == []


# --- damage -----------------------------------------------------------------------------------

NUMBERS = (0, 1, 2, 7, 8, 16, 32, 255, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def _flipped(content, rng):
    """Damage a few bytes near the start, where the headers are, or anywhere."""
    b = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(min(len(b), rng.choice((300, len(b)))))
        how = rng.randrange(4)
        if how == 0:
            b[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            b[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(NUMBERS))
        elif how == 2:
            del b[at : at + rng.randrange(1, 20)]
        else:
            b[at:at] = bytes(rng.choice((0, 40, 91, 255)) for _ in range(rng.randrange(1, 20)))
        if not b:
            break
    return bytes(b)


def _seeds():
    gray = PIXELS[0].astype(np.uint8)

    def tiff(data, **how):
        out = io.BytesIO()
        tifffile.imwrite(out, data, **how)
        return ".ome.tif" if how.get("ome") else ".tif", out.getvalue()

    def picture(kind, image, **how):
        out = io.BytesIO()
        image.save(out, kind, **how)
        return "." + kind.lower(), out.getvalue()

    def npy(data):
        out = io.BytesIO()
        np.save(out, data)
        return ".npy", out.getvalue()

    notes = PngImagePlugin.PngInfo()
    notes.add_text("napari_srgan", '{"layout": {"axes": "YX", "shape": [24, 20]}, "metadata": {}}')
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        tiff(PIXELS, imagej=True, metadata={"axes": "ZYX", "spacing": 1.5, "unit": "um"}),
        tiff(PIXELS, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.3}),
        tiff(PIXELS, photometric="minisblack", compression="zlib", predictor=True, rowsperstrip=5),
        tiff(np.tile(gray, (3, 3)), tile=(16, 16), compression="lzma"),
        tiff(PIXELS, bigtiff=True, byteorder=">", photometric="minisblack"),
        picture("PNG", Image.fromarray(gray), pnginfo=notes),
        picture("PNG", Image.fromarray(gray).convert("P")),
        picture("JPEG", Image.fromarray(gray), exif=exif),
        npy(PIXELS),
        npy(np.asfortranarray(PIXELS.astype(np.float32))),
    ]


@pytest.mark.filterwarnings("ignore")  # tifffile and Pillow have their own words for damage
def test_damage_is_a_sentence_or_does_no_harm(tmp_path):
    rng = random.Random(7)
    seeds = _seeds()
    for ending, content in itertools.islice(itertools.cycle(seeds), 60 * len(seeds)):
        path = tmp_path / f"a{ending}"
        path.write_bytes(_flipped(content, rng))
        try:
            stack = open_stack(path)
            if stack.nbytes < 1e7:
                for index in stack.plane_indices():
                    stack.read(index)
        except InputError as e:
            assert "\n" not in str(e)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<u2', 'fortran_order': False, 'shape': (3, 24, 20",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1e400, 24, 20)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (3, -24, -20)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (True, 24, 20)}",
        "{'descr': {}, 'fortran_order': False, 'shape': (3, 24, 20)}",
        "{'descr': '<u2', 'fortran_order': 5, 'shape': 3}",
        "(" * 3000,
        "{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999999999999, 24, 20)}",
    ],
)
def test_any_damage_to_the_header_of_an_npy_file_is_one_sentence(tmp_path, header):
    text = (header + "\n").encode()
    (tmp_path / "a.npy").write_bytes(
        b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + bytes(5000)
    )
    refused(tmp_path / "a.npy", "is not an .npy file, or it is damaged|cut short|void")


@pytest.mark.filterwarnings("ignore")  # Pillow has its own words for damage
def test_damaged_exif_is_one_sentence(tmp_path):
    for head in (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\xff\xff\xff\xff", b"Exif\0\0II*\0"):
        Image.fromarray(PIXELS[0].astype(np.uint8)).save(tmp_path / "a.jpg", exif=head)
        try:
            open_stack(tmp_path / "a.jpg")
        except InputError as e:
            assert "a.jpg cannot be read" in str(e)


def test_pixels_in_the_header_of_the_file_are_refused(tmp_path):
    write_tiff(tmp_path / "a.tif", 24, bytes(576), 1)
    content = (tmp_path / "a.tif").read_bytes()
    entry = struct.pack("<HHI", 273, 4, 1)
    at = content.index(entry) + len(entry)
    (tmp_path / "a.tif").write_bytes(content[:at] + bytes(4) + content[at + 4 :])
    refused(tmp_path / "a.tif", "cannot hold")
