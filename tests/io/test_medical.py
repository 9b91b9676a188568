"""DICOM and NIfTI: exact voxels, where they lie, and what is written again; nobody is named."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_srgan import upscale
from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, without_names
from napari_srgan.io.appearance import appearance_of
from napari_srgan.io.open import input_files, open_images, open_stack
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")

PATIENT = "Roentgen^Wilhelmine"
OPT = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def voxels(shape, dtype="uint16", seed=0):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


# --- DICOM --------------------------------------------------------------------------------------


def dataset(frames, modality="OPT", photometric="MONOCHROME2", **elements):
    """Make a DICOM data set of pixels, with a patient."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = OPT if modality == "OPT" else CT
    made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID
    made.Modality, made.PatientName, made.PatientID = modality, PATIENT, "PAT-4711"
    made.SeriesInstanceUID = elements.pop("series", "1.2.3")
    colours = photometric == "RGB"
    made.SamplesPerPixel, made.PhotometricInterpretation = (3 if colours else 1), photometric
    if colours:
        made.PlanarConfiguration = 0
    made.Rows, made.Columns = frames.shape[-2 - colours], frames.shape[-1 - colours]
    if frames.ndim - colours == 3:
        made.NumberOfFrames = len(frames)
    made.BitsAllocated = made.BitsStored = frames.dtype.itemsize * 8
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, int(frames.dtype.kind == "i")
    made.PixelData = frames.tobytes()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def group(**sequences):
    """Make a functional group of sequences that hold one item each."""
    from pydicom.dataset import Dataset

    made = Dataset()
    for name, elements in sequences.items():
        item = Dataset()
        for key, value in elements.items():
            setattr(item, key, value)
        setattr(made, name, [item])
    return made


def opt(frames, **elements):
    measures = {"PixelSpacing": [0.0026, 0.0118], "SliceThickness": 0.12}
    lines = [
        group(
            OphthalmicFrameLocationSequence={
                "ReferenceCoordinates": [10.0 * i, 5.0, 10.0 * i, 90.0]
            }
        )
        for i in range(len(frames))
    ]
    made = dataset(frames, ImageLaterality="L", **elements)
    made.SharedFunctionalGroupsSequence = [group(PixelMeasuresSequence=measures)]
    made.PerFrameFunctionalGroupsSequence = lines
    return made


def save(made, path):
    made.save_as(path, enforce_file_format=True)


def test_opt_lies_in_its_groups():
    frames = voxels((3, 20, 24))
    save(opt(frames), "a.dcm")
    stack = open_stack("a.dcm")
    np.testing.assert_array_equal(stack.data[:], frames)
    np.testing.assert_array_equal(stack.data[1, 3:9, ::-2], frames[1, 3:9, ::-2])
    np.testing.assert_allclose(stack.scale, (120.0, 2.6, 11.8))
    taken = Acquisition.of(stack.metadata)
    assert (taken.modality, taken.laterality, taken.lines_unit) == ("oct", "OS", "pixel")
    assert taken.lines[2] == (5.0, 20.0, 90.0, 20.0)  # x before y
    # the thickness of a slice is not the distance of two
    assert taken.spacing == {"Z": "assumed", "Y": "file", "X": "file"}
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)).data[2], frames[2])


@pytest.mark.parametrize("syntax", ["RLELossless", "ExplicitVRBigEndian", "ImplicitVRLittleEndian"])
def test_ways_of_storing_give_the_same_pixels(syntax):
    frames = voxels((3, 20, 24))
    made = opt(frames)
    if syntax == "RLELossless":
        made.compress(pydicom.uid.RLELossless)
    else:
        made.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
        if "Big" in syntax:
            made.PixelData = frames.astype(">u2").tobytes()
            made["PixelData"].VR = "OW"
    save(made, "a.dcm")
    np.testing.assert_array_equal(open_stack("a.dcm").data[:], frames)


def test_a_folder_of_slices_is_in_the_order_of_their_positions():
    slices = voxels((4, 20, 24), "int16")
    Path("ct").mkdir()
    for i, z in enumerate((2.5, 0.0, 7.5, 5.0)):
        elements = {
            "ImagePositionPatient": [0.0, 0.0, z],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [0.5, 0.75],
            "SliceThickness": 5.0,  # overlapping slices
            "InstanceNumber": 9 - i,
            "RescaleSlope": 2,
            "RescaleIntercept": -1024,
        }
        save(dataset(slices[i], "CT", **elements), f"ct/IM{i}")
    (Path("ct") / "DICOMDIR.txt").write_text("not an image")
    stack = open_stack("ct")
    np.testing.assert_array_equal(stack.data[:], slices[[1, 0, 3, 2]])
    np.testing.assert_allclose(stack.scale, (2500.0, 500.0, 750.0))
    meant = appearance_of(stack.metadata).calibration
    assert (meant["c0"], meant["c1"], meant["vunit"]) == (-1024, 2, "HU")
    assert Acquisition.of(stack.metadata).modality is None
    assert {p.name for p in input_files(Path("ct"))} >= {"IM0", "IM3"}
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)).data[0], slices[1])


def test_series_of_a_folder_are_images_of_their_own():
    Path("two").mkdir()
    for i in range(4):
        place = {"ImagePositionPatient": [0, 0, i], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        made = dataset(voxels((20, 24), seed=i), "MR", series=f"1.{i // 2}", **place)
        save(made, f"two/{i}.dcm")
    assert [name for name, _ in open_images("two")] == ["image 1", "image 2"]
    np.testing.assert_array_equal(open_stack("two", series=1).data[1], voxels((20, 24), seed=3))


def test_slices_that_lie_unevenly_have_no_distance():
    Path("gap").mkdir()
    for i, z in enumerate((0.0, 1.0, 3.0)):
        place = {"ImagePositionPatient": [0, 0, z], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        made = dataset(voxels((20, 24), seed=i), "MR", PixelSpacing=[1, 1], **place)
        save(made, f"gap/{i}.dcm")
    with pytest.warns(UserWarning, match="do not lie evenly"):
        stack = open_stack("gap")
    assert stack.units == ("pixel", "micrometer", "micrometer")


def test_polarity_and_colours():
    frame = voxels((20, 24), "uint8")
    save(dataset(frame, "OP", "MONOCHROME1"), "white.dcm")
    np.testing.assert_array_equal(open_stack("white.dcm").data[:], 255 - frame)
    colours = voxels((20, 24, 3), "uint8")
    save(dataset(colours, "OP", "RGB"), "rgb.dcm")
    stack = open_stack("rgb.dcm")
    assert stack.axes == "YXS"
    np.testing.assert_array_equal(stack.data[:], colours)
    save(dataset(frame, "OP", "PALETTE COLOR"), "palette.dcm")
    with pytest.raises(InputError, match="has PALETTE COLOR colours"):
        open_stack("palette.dcm")


PLANE = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.5, 0.75]}


def write_series(folder, values, positions, modality="PT", **elements):
    """Write slices of one value each; an element that is a list has one entry a slice."""
    Path(folder).mkdir()
    for i, (value, z) in enumerate(zip(values, positions, strict=True)):
        own = {k: v[i] if isinstance(v, list) else v for k, v in elements.items()}
        place = {"ImagePositionPatient": [0, 0, z], "InstanceNumber": i + 1} | PLANE
        made = dataset(np.full((20, 24), value, np.uint16), modality, **place | own)
        save(made, f"{folder}/{i}.dcm")


def test_slices_of_meanings_of_their_own_are_read_in_what_they_mean():
    write_series(
        "pet", (120, 60, 40), (0, 2, 1), RescaleSlope=[1, 2, 3.5], RescaleIntercept=[0, 5, 0]
    )
    stack = open_stack("pet")
    assert (stack.dtype, appearance_of(stack.metadata).calibration) == (np.float32, None)
    np.testing.assert_array_equal(stack.data[:, 3, 4], [120, 140, 125])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)).data[1:, 0, 0], [140, 125])


def test_frames_of_meanings_of_their_own_are_read_in_what_they_mean():
    frames = voxels((3, 20, 24), "uint8")
    made = dataset(frames, "MR")
    made.PerFrameFunctionalGroupsSequence = [
        group(PixelValueTransformationSequence={"RescaleSlope": i + 1, "RescaleIntercept": -i})
        for i in range(3)
    ]
    save(made, "own.dcm")
    stack = open_stack("own.dcm")
    assert (stack.dtype, appearance_of(stack.metadata).calibration) == (np.float32, None)
    for i in range(3):
        np.testing.assert_array_equal(stack.data[i], frames[i] * float(i + 1) - i)
    for one in made.PerFrameFunctionalGroupsSequence:
        one.PixelValueTransformationSequence[0].RescaleSlope = 2
        one.PixelValueTransformationSequence[0].RescaleIntercept = 7
    save(made, "same.dcm")
    stack = open_stack("same.dcm")
    meant = appearance_of(stack.metadata).calibration
    assert (stack.dtype, meant["c0"], meant["c1"]) == (np.uint8, 7, 2)


def test_values_that_are_inverted_mean_what_they_did():
    frame = voxels((20, 24), "uint8")
    save(dataset(frame, "CR", "MONOCHROME1", RescaleSlope=2, RescaleIntercept=-10), "a.dcm")
    stack = open_stack("a.dcm")
    meant = appearance_of(stack.metadata).calibration
    read = stack.data[:].astype(float)
    np.testing.assert_array_equal(meant["c0"] + meant["c1"] * read, 2.0 * frame - 10)


@pytest.mark.parametrize("numbers", [(1, 2, 3, 4, 5, 6), (1, 3, 5, 2, 4, 6)])
def test_phases_at_the_same_positions_are_not_mixed(numbers):
    write_series("ph", range(6), [0, 1, 2] * 2, "MR", InstanceNumber=list(numbers))
    with pytest.warns(UserWarning, match="lie at one position") as warned:
        stack = open_stack("ph")
    assert not any("evenly" in str(w.message) for w in warned)
    np.testing.assert_array_equal(stack.data[:, 0, 0], range(6))
    assert stack.units == ("pixel", "micrometer", "micrometer")


@pytest.mark.parametrize("stated", [b"0,5\\0,5", b"0.5    ", b"Roent\\n"])
def test_a_pixel_spacing_that_is_none_keeps_no_pixels_out(stated):
    frame = voxels((20, 24), "uint8")
    save(dataset(frame, "MR", PixelSpacing=[0.5, 0.5]), "a.dcm")
    data = Path("a.dcm").read_bytes()
    Path("a.dcm").write_bytes(data.replace(b"0.5\\0.5", stated))
    if b"," in stated:
        stack = open_stack("a.dcm")
        assert stack.scale == (500.0, 500.0)
    else:
        with pytest.warns(UserWarning, match="pixel spacing in a way that is no number") as warned:
            stack = open_stack("a.dcm")
        assert "Roent" not in str(warned[0].message)
        assert stack.spacing_source == "unknown"
    np.testing.assert_array_equal(stack.data[:], frame)


def test_damage_is_a_sentence_that_names_nobody():
    save(opt(voxels((3, 20, 24))), "a.dcm")
    whole = Path("a.dcm").read_bytes()
    for share in (0.1, 0.4, 0.6, 0.999):
        Path("a.dcm").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError) as caught:
            np.asarray(open_stack("a.dcm").data[:])
        assert "a.dcm" in str(caught.value) and "Roentgen" not in str(caught.value)
    made = opt(voxels((3, 20, 24)))
    made.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    made.PixelData = pydicom.encaps.encapsulate([b"the maker's secret" * 4] * 3)
    made["PixelData"].is_undefined_length = True
    save(made, "a.dcm")
    with pytest.raises(InputError, match=r"cannot be decoded.*maker's secret"):
        open_stack("a.dcm")


def test_dicom_says_nothing_of_the_patient():
    save(opt(voxels((3, 20, 24))), "a.dcm")
    for name, image in open_images("a.dcm"):
        assert "Roentgen" not in json.dumps([name, image.metadata])
        assert "PAT-4711" not in json.dumps([name, image.metadata])


@pytest.mark.parametrize(("name", "extra"), [("pydicom", "oct"), ("nibabel", "medical")])
def test_a_library_that_is_missing_is_one_sentence(monkeypatch, name, extra):
    save(opt(voxels((3, 20, 24))), "a.dcm")
    nibabel.save(nibabel.Nifti1Image(voxels((24, 20, 3)), np.eye(4)), "a.nii")
    for module in [m for m in sys.modules if m.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf'pip install "napari-srgan\[{extra}\]"'):
        open_stack("a.dcm" if name == "pydicom" else "a.nii")


# --- NIfTI --------------------------------------------------------------------------------------

AFFINE = np.array([[0, -0.5, 0, 10], [0.25, 0, 0, -20], [0, 0, 2.0, 30], [0, 0, 0, 1]])
"""x runs along the world's y, and y against its x."""


def write_nifti(path, data, affine=AFFINE, kind=nibabel.Nifti1Image, units="mm"):
    """Write data of axes x, y, z, t."""
    image = kind(data, affine)
    image.header.set_xyzt_units(units, "sec")
    nibabel.save(image, path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_nifti_has_x_first(name, kind, dtype):
    data = voxels((24, 20, 5), dtype)
    write_nifti(name, data, kind=kind)
    stack = open_stack(name)
    assert (stack.axes, stack.dtype) == ("ZYX", dtype)
    np.testing.assert_array_equal(stack.data[:], data.T)
    np.testing.assert_array_equal(stack.data[1:4, ::-1, 7], data.T[1:4, ::-1, 7])
    np.testing.assert_allclose(stack.scale, (2.0, 0.5, 0.25))
    assert (set(stack.units), stack.spacing_source) == ({"millimeter"}, "file")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)).data[2], data.T[2])


def test_nifti_of_two_and_four_axes_units_and_colours():
    flat = voxels((24, 20), "uint8")
    write_nifti("flat.nii", flat, units="micron")
    stack = open_stack("flat.nii")
    np.testing.assert_array_equal(stack.data[:], flat.T)
    assert stack.units == ("micrometer",) * 2
    film = voxels((24, 20, 3, 4))
    image = nibabel.Nifti1Image(film, AFFINE)
    image.header["pixdim"][4] = 1.5
    image.header.set_xyzt_units("mm", "msec")
    nibabel.save(image, "film.nii")
    stack = open_stack("film.nii")
    assert (stack.axes, stack.scale[0], stack.units[0]) == ("TZYX", 1.5, "millisecond")
    np.testing.assert_array_equal(stack.data[:], film.T)
    colours = np.zeros((24, 20, 2), [(c, "u1") for c in "RGB"])
    for i, c in enumerate("RGB"):
        colours[c] = voxels((24, 20, 2), "uint8", seed=i)
    nibabel.save(nibabel.Nifti1Image(colours, AFFINE), "rgb.nii")
    stack = open_stack("rgb.nii")
    assert (stack.axes, stack.shape) == ("ZYXS", (2, 20, 24, 3))
    np.testing.assert_array_equal(stack.data[..., 1], colours["G"].T)


def test_a_slope_is_a_calibration():
    image = nibabel.Nifti1Image(voxels((24, 20, 3), "int16"), AFFINE)
    image.header.set_slope_inter(2.0, -1024.0)
    nibabel.save(image, "a.nii")
    meant = appearance_of(open_stack("a.nii").metadata).calibration
    np.testing.assert_allclose([meant["c1"], meant["c0"]], [2.0, -1024.0])


def test_a_result_in_nifti_lies_where_its_input_does():
    """The corners of both coincide in the world, rotation included; notes and values go along."""
    data = voxels((24, 20, 5), "uint16")
    write_nifti("a.nii", data)
    stack = open_stack("a.nii")
    result = upscale(stack, "srresnet-gray", device="cpu", region={"Z": (1, 3), "X": (4, 20)})
    plan = result.plan
    sink = FileSink(Path("out.nii"))
    sink.open(plan.output)
    for index in range(2):
        sink.write((index,), 0, 0, np.ascontiguousarray(result.data[index]))
    sink.commit(result.metadata)
    back = nibabel.load("out.nii")
    np.testing.assert_array_equal(np.asarray(back.dataobj), result.data.T)
    assert back.header.get_xyzt_units()[0] == "mm"
    first = back.affine @ [-0.5, -0.5, 0, 1]
    last = back.affine @ [63.5, 79.5, 1, 1]
    np.testing.assert_allclose(first, AFFINE @ [3.5, -0.5, 1, 1], atol=1e-5)
    np.testing.assert_allclose(last, AFFINE @ [19.5, 19.5, 2, 1], atol=1e-5)
    again = open_stack("out.nii")
    assert again.metadata["napari_srgan"]["model"] == "srresnet-gray"
    np.testing.assert_allclose(again.scale, result.scale)


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YX", (9, 12), "uint8"),
        ("ZYX", (3, 9, 12), "float32"),
        ("TCZYX", (2, 3, 4, 9, 12), "int16"),
        ("ZYXS", (3, 9, 12, 3), "uint8"),
        ("CYX", (2, 9, 12), "uint16"),
        ("YX", (8, 40000), "uint8"),
    ],
)
def test_nifti_is_read_as_it_was_written(axes, shape, dtype):
    data = voxels(shape, dtype)
    n = len(axes.replace("S", ""))
    spec = OutputSpec(
        shape, axes, np.dtype(dtype), (0.5,) * n, (3.0,) * n, ("micrometer",) * n, "made"
    )
    sink = FileSink(Path("a.nii"))
    sink.open(spec)
    inner = sum(a in "YXS" for a in axes)
    for index in np.ndindex(shape[: len(shape) - inner]):
        sink.write(index, 0, 0, np.ascontiguousarray(data[index]))
    sink.commit()
    stack = open_stack("a.nii")
    kept = [a for a in stack.axes if stack.sizes[a] > 1 or a in axes]
    assert "".join(kept) == "".join(sorted(axes, key="CTZYXS".index))
    stored = data.transpose([axes.index(a) for a in kept])
    np.testing.assert_array_equal(np.squeeze(stack.data[:]), np.squeeze(stored))
    back = nibabel.load("a.nii")
    assert back.affine[0, 0] == pytest.approx(0.0005) and back.affine[0, 3] == pytest.approx(0.003)


def test_a_cut_nifti_is_one_sentence():
    for name in ("a.nii", "a.nii.gz"):
        write_nifti(name, voxels((24, 20, 5)))
        whole = Path(name).read_bytes()
        for share in (0.05, 0.5, 0.99):
            Path(name).write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(InputError, match=r"cut short|damaged"):
                np.asarray(open_stack(name).data[:])


def test_what_names_nobody_is_kept_where_a_name_is_hidden():
    given = {
        "acquisition": {"laterality": "OD", "lines": [[0, 1, 2, 3], [4, 5, 6, 7]]},
        "orientation": [[1, 0, 0, 5]] * 3,
        "patient": "Roentgen",
    }
    kept = without_names(given, (1, 2))
    assert set(kept) == {"acquisition", "orientation"}
    assert kept["acquisition"]["lines"] == [[4.0, 5.0, 6.0, 7.0]]
    for wrong in ({"laterality": "Roentgen"}, {"name": "Roentgen"}, {"lines": [["a"]]}, "Roentgen"):
        assert without_names({"acquisition": wrong}) == {}
    assert without_names({"orientation": [["Roentgen"] * 4] * 3}) == {}
