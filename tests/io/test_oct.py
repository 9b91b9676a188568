"""Files of OCT instruments: exact pixels, spacing, eye; damage is a sentence; nobody is named."""

import json
import pickle
import re
import shutil
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from oct_files import (
    E2E,
    NO_VALUE,
    PATIENT,
    b_scans,
    from_small_float,
    small_float,
    topcon,
    topcon_parts,
    write_bioptigen,
    write_heyex,
    write_optovue,
    write_thorlabs,
    write_vol,
    write_zeiss,
)
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition
from napari_srgan.image.kind import recognise
from napari_srgan.io.open import input_files, open_images, open_stack
from napari_srgan.models.kinds import choose


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def taken(stack):
    return Acquisition.of(stack.metadata)


def names(path):
    return [name for name, _ in open_images(path)]


def bytes_of(scans):
    return (scans * 255).astype(np.uint8)


def words_of(scans):
    return (scans * 65535).astype(np.uint16)


# --- Heidelberg .vol ----------------------------------------------------------------------------


def test_vol_is_read_as_it_is_stored():
    scans = b_scans()
    slo = write_vol("a.vol", scans)
    stack = open_stack("a.vol")
    assert (stack.axes, stack.dtype, stack.spacing_source) == ("ZYX", np.float32, "file")
    np.testing.assert_array_equal(stack.data[:], scans)
    np.testing.assert_allclose(stack.scale, (120.0, 3.872, 11.8))
    assert set(stack.units) == {"micrometer"}
    assert taken(stack) == Acquisition(
        laterality="OD",
        pattern="volume",
        lines=tuple((1.0, i / 8, 5.0, i / 8) for i in range(3)),
        linear=True,
        spacing=dict.fromkeys("ZYX", "file"),
    )
    fundus = open_stack("a.vol", series=1)
    np.testing.assert_array_equal(fundus.data[:], slo)
    np.testing.assert_allclose(fundus.scale, (11.6, 11.5))
    assert names("a.vol") == ["OCT", "SLO"]


def test_vol_says_the_same_as_eyepy_reads():
    reader = pytest.importorskip("eyepy.io.he.vol_reader")
    write_vol("a.vol", b_scans())
    theirs, ours = reader.HeVolReader("a.vol").parsed_file, open_stack("a.vol")
    np.testing.assert_array_equal(ours.data[:], [scan.data for scan in theirs.bscans])
    np.testing.assert_allclose(
        ours.scale, np.array([theirs.distance, theirs.scale_y, theirs.scale_x]) * 1000
    )
    np.testing.assert_array_equal(open_stack("a.vol", series=1).data[:], theirs.localizer)
    assert taken(ours).laterality == theirs.scan_position.strip("\0")


def test_pixels_without_a_value_are_nan():
    scans = b_scans()
    scans[1, :, :5] = NO_VALUE
    write_vol("a.vol", scans)
    read = open_stack("a.vol").data[:]
    assert np.isnan(read[1, :, :5]).all()
    assert np.isfinite(read).sum() == read.size - 5 * 40


@pytest.mark.parametrize(
    ("pattern", "count", "name", "sized"),
    [(1, 1, "line", "YX"), (2, 1, "circle", "YX"), (4, 3, "volume", "ZYX"), (5, 3, "radial", "YX")],
)
def test_only_a_volume_has_a_size_along_z(pattern, count, name, sized):
    write_vol("a.vol", b_scans(count), pattern, eye=b"OS", fundus=False)
    stack = open_stack("a.vol")
    assert stack.axes == ("ZYX" if count > 1 else "YX")
    assert (taken(stack).pattern, taken(stack).laterality) == (name, "OS")
    known = {a for a, unit in zip(stack.axes, stack.units, strict=True) if unit == "micrometer"}
    assert known == set(sized)
    assert names("a.vol") == [""]


def test_parts_are_read_alone_and_elsewhere():
    scans = b_scans(4)
    write_vol("a.vol", scans)
    stack = open_stack("a.vol")
    for key in (np.s_[2], np.s_[::2, 3:20:4, ::-1], np.s_[-1, 5, 6:], np.s_[3:0:-1, :, 2]):
        np.testing.assert_array_equal(stack.data[key], scans[key])
    there = pickle.loads(pickle.dumps(stack))
    np.testing.assert_array_equal(there.data[:], scans)
    write_vol("a.vol", scans[:2])
    with pytest.raises(InputError, match="has changed"):
        stack.data[0]


def test_linear_b_scans_get_their_transform_and_are_never_taken_for_fluorescence():
    dark = b_scans(1, 64, 64) * 1e-3
    dark[0, 20:24] = 0.9
    write_vol("a.vol", dark, 1)
    stack = open_stack("a.vol")
    found = recognise(stack)
    assert found.kind in ("oct", "raw-oct")
    assert choose(stack, transform="auto").transform == "power:0.25"
    write_thorlabs("b.oct", 10 * np.log10(b_scans(1, 64, 64)))
    decibels = open_stack("b.oct")
    assert recognise(decibels).kind in ("oct", "raw-oct")
    assert choose(decibels, transform="auto").transform == "none"


# --- HEYEX XML ----------------------------------------------------------------------------------


def test_heyex_lists_its_pictures():
    scans = bytes_of(b_scans())
    path, slo = write_heyex(".", scans)
    stack = open_stack(path)
    np.testing.assert_array_equal(stack.data[:], scans)
    np.testing.assert_allclose(stack.scale, (120.0, 3.872, 11.8))
    found = taken(stack)
    assert (found.laterality, found.pattern, found.frames) == ("OS", "volume", (9, 9, 9))
    assert found.lines[2] == (1.0, 0.24, 5.0, 0.24)
    np.testing.assert_array_equal(open_stack(path, series=1).data[:], slo)
    assert {p.name for p in input_files(path)} == {
        path.name,
        "SLO.tif",
        "B0.tif",
        "B1.tif",
        "B2.tif",
    }
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)).data[1, 3:9], scans[1, 3:9])


def test_lines_that_do_not_lie_side_by_side_have_no_distance():
    path, _ = write_heyex(".", bytes_of(b_scans()))
    path.write_text(path.read_text().replace("<Y>0.240</Y>", "<Y>0.300</Y>"))
    assert open_stack(path).units == ("pixel", "micrometer", "micrometer")


def test_a_picture_that_is_missing_or_of_another_size_is_said():
    path, _ = write_heyex(".", bytes_of(b_scans()))
    tifffile.imwrite("B1.tif", np.zeros((40, 40), np.uint8))
    with pytest.raises(InputError, match=r"B1\.tif is 40 x 40 .* B0\.tif is 40 x 48"):
        open_stack(path)
    Path("B1.tif").unlink()
    with pytest.raises(InputError, match="lists a picture that is not beside it"):
        open_stack(path)


# --- Heidelberg .E2E ----------------------------------------------------------------------------


def test_e2e_volumes_are_offered_by_name():
    first, second = small_float(b_scans(3)), small_float(b_scans(2, seed=1))
    fundus = np.arange(192, dtype=np.uint8).reshape(12, 16)
    file = E2E()
    file.volume(7, second, eye=b"L")
    file.volume(5, first)
    file.fundus(5, fundus)
    file.write("a.E2E")
    assert names("a.E2E") == ["OCT 1 OD", "OCT 2 OS", "SLO"]
    with pytest.warns(UserWarning, match=r"holds 3 images \(0: OCT 1 OD, 1: OCT 2 OS, 2: SLO\)"):
        stack = open_stack("a.E2E")
    np.testing.assert_array_equal(stack.data[:], from_small_float(first))
    np.testing.assert_array_equal(open_stack("a.E2E", series=1).data[:], from_small_float(second))
    np.testing.assert_array_equal(open_stack("a.E2E", series=2).data[:], fundus)
    assert stack.units == ("pixel", "micrometer", "pixel")  # lines are in degrees
    assert stack.scale[1] == pytest.approx(3.872) and stack.scale[2] == stack.scale[1]
    found = taken(stack)
    assert found.spacing == {"Z": "unknown", "Y": "file", "X": "unknown"}
    assert (found.laterality, found.lines_unit, found.frames) == ("OD", "degree", (16,) * 3)
    assert found.lines[1] == pytest.approx((-7.5, 0.2, 7.5, 0.2))


def test_b_scans_of_an_e2e_stand_where_they_belong():
    stored = small_float(b_scans(3))
    file = E2E()
    file.volume(5, stored, places=[3, 0, 1], count=4)
    file.write("a.E2E")
    with pytest.warns(UserWarning, match="1 of 4 B-scans are not in the file"):
        read = open_stack("a.E2E").data[:]
    expected = from_small_float(stored)
    np.testing.assert_array_equal(read[[3, 0, 1]], expected)
    assert not read[2].any()


def test_values_of_an_e2e_grow_with_what_is_stored():
    """So they do in UOCTE and LibOctData; with the mantissa in reverse they would jump."""
    stored = np.arange(1024, 1024 + 60 * 1024, dtype="<u2").reshape(1, 240, 256)
    stored[0, 0, 0] = 0xFFFF
    file = E2E()
    file.volume(5, stored)
    file.write("a.E2E")
    read = open_stack("a.E2E").data[:]
    assert np.isnan(read[0, 0])
    assert (np.diff(read.ravel()[1:]) > 0).all()
    np.testing.assert_array_equal(read.ravel()[1:], from_small_float(stored).ravel()[1:])


def test_eyepy_finds_the_same_parts_in_an_e2e():
    reader = pytest.importorskip("eyepy.io.he.e2e_reader")
    stored = small_float(b_scans(2))
    file = E2E()
    file.volume(5, stored)
    file.write("a.E2E", per_directory=50)
    with reader.HeE2eReader("a.E2E") as theirs:
        (series,) = theirs.series
        assert chr(int(series.laterality())) == "R"
        for place, scan in zip((0, 2), stored, strict=True):
            part = series.slices[place]
            assert part.get_bscan().shape == scan.shape
            assert part.get_meta()["scale_y"] == pytest.approx(0.003872)


# --- others -------------------------------------------------------------------------------------


def test_thorlabs_intensity_is_read():
    decibels = 10 * np.log10(b_scans()).astype(np.float32)
    write_thorlabs("a.oct", decibels)
    stack = open_stack("a.oct")
    np.testing.assert_array_equal(stack.data[:], decibels)
    np.testing.assert_allclose(stack.scale, (20.0, 2.0, 10.0))
    assert stack.spacing_source == "file"
    write_thorlabs("b.oct", decibels[:1])
    assert (open_stack("b.oct").axes, open_stack("b.oct").shape) == ("YX", (40, 48))
    write_thorlabs("c.oct", decibels, spectra_only=True)
    with pytest.raises(InputError, match="no intensity, only spectra"):
        open_stack("c.oct")


def test_zeiss_is_turned_and_its_eye_is_a_word_of_its_name():
    scans = bytes_of(b_scans())
    name = "ODonnell_Macular Cube 48x3_1-2-2020_9-10-11_OS_sn1_cube_z.img"
    write_zeiss(name, scans)
    stack = open_stack(name)
    np.testing.assert_array_equal(stack.data[:], scans)
    assert taken(stack).laterality == "OS"
    assert (stack.spacing_source, set(stack.units)) == ("unknown", {"pixel"})
    write_zeiss("ODonnell 48x3.img", scans)
    assert taken(open_stack("ODonnell 48x3.img")).laterality is None
    with Path("cube.img").open("wb") as file:
        file.truncate(200 * 200 * 1024)
    assert open_stack("cube.img").shape == (200, 1024, 200)
    write_zeiss("other.img", scans)
    with pytest.raises(InputError, match=r"none of Zeiss' cubes; keep the name"):
        open_stack("other.img")


def test_optovue_volumes_are_of_their_own():
    volumes = [b_scans(3), b_scans(2, seed=1)]
    write_optovue("a.OCT", volumes, sizes_mm=(6.0, 4.8))
    assert names("a.OCT") == ["OCT 1 OD", "OCT 2 OD"]
    for i, volume in enumerate(volumes):
        stack = open_stack("a.OCT", series=i)
        np.testing.assert_array_equal(stack.data[:], volume)
        # not the 12.5 mm of the video, which is another image
        np.testing.assert_allclose(stack.scale, (50.0, 50.0, (125.0, 100.0)[i]))
    assert taken(stack).laterality == "OD"
    assert {p.name for p in input_files(Path("a.OCT"))} == {"a.OCT", "a.txt"}
    Path("a.OCT").write_bytes(Path("a.OCT").read_bytes()[:-4])
    with pytest.raises(InputError, match=r"not the scans that its \.txt file lists"):
        open_stack("a.OCT")
    Path("a.txt").unlink()
    with pytest.raises(InputError, match=r"a\.txt, which says what it holds, is not beside it"):
        open_stack("a.OCT")


def test_an_optovue_file_may_hold_one_of_the_listed_scans():
    volumes = [b_scans(3), b_scans(1, seed=1)]
    write_optovue("a.OCT", volumes)
    data = Path("a.OCT").read_bytes()
    Path("a.OCT").write_bytes(data[: volumes[0].nbytes])
    np.testing.assert_array_equal(open_stack("a.OCT").data[:], volumes[0])


def test_bioptigen_is_as_long_as_it_says():
    scans = words_of(b_scans())
    write_bioptigen("a.OCT", scans)
    stack = open_stack("a.OCT")
    np.testing.assert_array_equal(stack.data[:], scans)
    assert (stack.spacing_source, taken(stack).pattern) == ("unknown", "volume")
    write_bioptigen("b.OCT", scans, said=4)
    with pytest.raises(InputError, match="no whole Bioptigen"):
        open_stack("b.OCT")


@pytest.mark.parametrize("name", [b"@IMG_SCAN_03", b"@IMG_MOT_COMP_03"])
def test_topcon_scans_are_read(name):
    scans = words_of(b_scans())
    Path("a.fds").write_bytes(topcon(topcon_parts(scans, name)))
    stack = open_stack("a.fds")
    np.testing.assert_array_equal(stack.data[:], scans)
    np.testing.assert_allclose(stack.scale, (2000.0, 2.6, 125.0))
    assert (taken(stack).laterality, taken(stack).pattern) == ("OS", "volume")
    Path("star.fds").write_bytes(topcon(topcon_parts(scans, name, mode=3, eye=0)))
    assert open_stack("star.fds").units == ("pixel", "micrometer", "micrometer")


def test_topcon_scans_of_a_pattern_that_is_not_known_have_no_distance():
    Path("a.fda").write_bytes(topcon(topcon_parts(words_of(b_scans()), mode=9)))
    stack = open_stack("a.fda")
    assert (taken(stack).pattern, stack.units) == (None, ("pixel", "micrometer", "micrometer"))
    assert taken(stack).spacing["Z"] == "unknown"


def test_topcon_packed_scans_and_fundus():
    scans = bytes_of(b_scans(2))
    parts = topcon_parts(scans)
    del parts[b"@IMG_SCAN_03"]
    packed = [packed_as("JPEG2000", scan) for scan in scans]
    head = struct.pack("<B6I", 2, 0, 0, 48, 40, 2, 0)
    parts[b"@IMG_JPEG"] = head + b"".join(struct.pack("<i", len(p)) + p for p in packed)
    blue_first = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)
    parts[b"@IMG_OBS"] = struct.pack("<4IBI", 16, 12, 24, 1, 0, 576) + blue_first.tobytes()
    Path("a.fda").write_bytes(topcon(parts))
    stack = open_stack("a.fda")
    np.testing.assert_array_equal(stack.data[:], scans)
    np.testing.assert_array_equal(stack.data[1, 3:9, ::5], scans[1, 3:9, ::5])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)).data[0], scans[0])
    fundus = open_stack("a.fda", series=1)
    assert (fundus.axes, names("a.fda")) == ("YXS", ["OCT", "fundus"])
    np.testing.assert_array_equal(fundus.data[:], blue_first[..., ::-1])
    del parts[b"@IMG_JPEG"]
    Path("b.fda").write_bytes(topcon(parts))
    with pytest.raises(InputError, match="no B-scans that are read; export them"):
        open_stack("b.fda")


def packed_as(kind, image):
    import io

    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


# --- numbers as some write them --------------------------------------------------------------


def thorlabs_with(depth, scans):
    """Write a Thorlabs file whose depth is stated as it is given here."""
    write_thorlabs("whole.oct", scans)
    with zipfile.ZipFile("whole.oct") as whole, zipfile.ZipFile("a.oct", "w") as made:
        for name in whole.namelist():
            data = whole.read(name)
            if name == "Header.xml":
                data = re.sub(rb'RangeZ="[^"]*"', f'RangeZ="{depth}"'.encode(), data)
            made.writestr(name, data)
    return Path("a.oct")


def test_a_decimal_comma_is_read():
    scans = b_scans()
    assert open_stack(thorlabs_with("0,08", scans)).scale == pytest.approx((20.0, 2.0, 10.0))
    path, _ = write_heyex(".", bytes_of(scans))
    path.write_text(path.read_text().replace("0.003872", "0,003872").replace("<Y>0.", "<Y>0,"))
    assert open_stack(path).scale == pytest.approx((120.0, 3.872, 11.8))
    write_optovue("b.OCT", [scans], depth_mm="2,5")
    assert open_stack("b.OCT").scale[1] == pytest.approx(2500 / 40)


def test_what_is_no_number_keeps_no_pixels_out_and_is_not_quoted():
    scans = bytes_of(b_scans())
    with pytest.warns(UserWarning, match="the pixel size along Y in a way") as warned:
        stack = open_stack(thorlabs_with("Roentgen", scans))
    np.testing.assert_array_equal(stack.data[:], scans)
    assert stack.units == ("micrometer", "pixel", "micrometer")
    path, _ = write_heyex(".", scans)
    whole = path.read_text()
    path.write_text(whole.replace("<ScaleX>0.0118<", "<ScaleX>Roentgen<"))
    with pytest.warns(UserWarning, match="the pixel size along X in a way") as also:
        assert open_stack(path).units == ("micrometer", "micrometer", "pixel")
    assert not any("Roentgen" in str(w.message) for w in [*warned, *also])
    path.write_text(whole.replace("<Y>0.120</Y>", "<Y></Y>"))
    with pytest.warns(UserWarning, match="where some of its B-scans lie"):
        assert open_stack(path).units == ("pixel", "micrometer", "micrometer")
    path.write_text(whole.replace("<NumAve>9<", "<NumAve>n/a<"))
    stack = open_stack(path)
    assert taken(stack).frames == ()
    np.testing.assert_array_equal(stack.data[:], scans)


# --- all of them --------------------------------------------------------------------------------


def write_all(folder):
    """Write a file of each format, and give their paths."""
    scans = b_scans()
    folder = Path(folder)
    write_vol(folder / "a.vol", scans)
    xml, _ = write_heyex(folder, bytes_of(scans))
    e2e = E2E()
    e2e.volume(5, small_float(scans))
    e2e.write(folder / "a.e2e")
    write_thorlabs(folder / "thorlabs.oct", scans)
    write_zeiss(folder / "a_48x3.img", bytes_of(scans))
    write_optovue(folder / "optovue.OCT", [scans])
    write_bioptigen(folder / "bioptigen.OCT", words_of(scans))
    (folder / "a.fds").write_bytes(topcon(topcon_parts(words_of(scans))))
    named = (
        "a.vol",
        "a.e2e",
        "thorlabs.oct",
        "a_48x3.img",
        "optovue.OCT",
        "bioptigen.OCT",
        "a.fds",
    )
    return [xml, *(folder / name for name in named)]


def test_a_format_is_known_by_its_content():
    for path in write_all("."):
        if path.suffix == ".img" or path.name == "optovue.OCT":
            continue  # bytes that only the name, or the file beside, explains
        expected = np.asarray(open_stack(path).data[:])
        other = path.with_name(f"{path.stem}_renamed.bin")
        shutil.copy(path, other)
        np.testing.assert_array_equal(open_stack(other).data[:], expected)
    tifffile.imwrite("b.tif", np.zeros((8, 9), np.uint8))
    Path("b.tif").rename("b.vol")
    assert open_stack("b.vol").shape == (8, 9)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
def test_a_cut_file_is_one_sentence(share):
    for path in write_all("."):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share) | 1])
        with pytest.raises(InputError) as caught:
            open_stack(path)
        said = str(caught.value)
        assert path.name in said and said.endswith(".") and "\n" not in said
        assert not any(name in said for name in PATIENT)


def test_a_damaged_file_is_one_sentence_or_read():
    rng = np.random.default_rng(0)
    for path in write_all("."):
        data = bytearray(path.read_bytes())
        for _ in range(40):
            broken = data.copy()
            for at in rng.integers(0, min(len(data), 3000), 12):
                broken[at] = rng.integers(256)
            path.write_bytes(broken)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    np.asarray(open_stack(path).data[0])
            except InputError as error:
                assert not any(name in str(error) for name in PATIENT)


def test_what_a_file_claims_is_not_believed():
    write_vol("a.vol", b_scans())
    data = bytearray(Path("a.vol").read_bytes())
    struct.pack_into("<3I", data, 12, 2**31, 2**31, 2**31)
    Path("a.vol").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.vol is damaged or cut short"):
        open_stack("a.vol")


def test_nobody_is_named():
    for path in write_all("."):
        for name, image in open_images(path):
            said = json.dumps([name, image.metadata, image.axes, image.units])
            assert not any(who in said for who in PATIENT), path.name


def test_axes_and_numbers_that_a_file_lacks_are_refused():
    write_vol("a.vol", b_scans())
    with pytest.raises(InputError, match=r"number 0 to 1 \(0: OCT, 1: SLO\)"):
        open_stack("a.vol", series=2)
    with pytest.raises(InputError, match="names its axes itself"):
        open_stack("a.vol", axes="TYX")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.czi", "Fiji"),
        ("a.lif", "OME-TIFF"),
        ("a.mat", r"\.npy"),
        ("a.sdb", "HEYEX"),
        ("a.q", "these are"),
    ],
)
def test_other_formats_are_told_the_way(name, says):
    Path(name).write_bytes(b"something else")
    with pytest.raises(InputError, match=says):
        open_stack(name)


def test_parts_that_an_anonymised_e2e_has_emptied_are_passed_over():
    stored = small_float(b_scans(2))
    file = E2E()
    file.volume(5, stored)
    file.add(11, b"", 6)
    file.add(10004, b"", 6, 0, 1)
    file.write("a.E2E")
    np.testing.assert_array_equal(open_stack("a.E2E").data[:], from_small_float(stored))
