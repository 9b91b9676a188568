import numpy as np
import pytest
import tifffile

from napari_srgan.errors import InputError

pytest.importorskip("napari")

from napari.layers import Image

from napari_srgan._gui import files
from napari_srgan._gui.files import get_reader, write_image

RNG = np.random.default_rng(4)


def save_and_reopen(layer, path):
    data, meta, kind = layer.as_layer_data_tuple()
    assert kind == "image"
    assert write_image(str(path), data, meta) == [str(path)]
    ((data, meta, kind),) = get_reader(str(path))(str(path))
    assert kind == "image"
    return Image(data, **meta)


GEOMETRIES = {
    "oct": {
        "scale": (123, 3.87 / 4, 11.6 / 4),
        "translate": (0, -0.375 * 3.87, -0.375 * 11.6),
        "units": ("um", "um", "um"),
        "axis_labels": ("z", "y", "x"),
    },
    "time": {"scale": (0.5, 2, 2), "units": ("s", "nm", "nm"), "axis_labels": ("t", "y", "x")},
    "channels": {"axis_labels": ("c", "y", "x"), "units": ("pixel", "mm", "mm")},
    "uncalibrated": {"scale": (1, 0.25, 0.25), "translate": (0, -0.375, -0.375)},
    "rotated": {"rotate": 30, "scale": (2, 3, 4), "shear": [0.1, 0, 0.2]},
    "affine": {"affine": np.array([[2, 0, 0, 1], [0, 1, 0.5, 2], [0, 0, 3, 3], [0, 0, 0, 1.0]])},
    "other order": {"axis_labels": ("x", "z", "y"), "scale": (1, 2, 3)},
}


@pytest.mark.parametrize("ending", [".tif", ".tiff", ".ome.tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_saving_and_opening_gives_the_same_layer(tmp_path, ending, dtype, geometry):
    layer = Image(
        (RNG.random((3, 10, 12)) * 100).astype(dtype), name="scan", **GEOMETRIES[geometry]
    )
    again = save_and_reopen(layer, tmp_path / ("scan" + ending))
    assert again.name == "scan"
    assert again.data.dtype == dtype
    np.testing.assert_array_equal(again.data, layer.data)
    np.testing.assert_array_equal(again.scale, layer.scale)
    np.testing.assert_array_equal(again.translate, layer.translate)
    assert again.units == layer.units
    assert not again.rgb
    if "axis_labels" in GEOMETRIES[geometry]:
        assert again.axis_labels == layer.axis_labels
    for point in RNG.random((5, 3)) * 10:
        np.testing.assert_allclose(again.data_to_world(point), layer.data_to_world(point))


@pytest.mark.parametrize("shape", [(3, 20, 30), (4, 20, 30), (1, 20, 30), (20, 30)])
@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_a_short_stack_is_no_colour_image(tmp_path, shape, ending):
    layer = Image(RNG.integers(0, 255, shape, dtype=np.uint8), rgb=False)
    again = save_and_reopen(layer, tmp_path / ("a" + ending))
    assert not again.rgb
    np.testing.assert_array_equal(again.data, layer.data)


@pytest.mark.parametrize("shape", [(20, 30, 3), (2, 20, 30, 3), (20, 30, 4)])
@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_colours_stay_colours(tmp_path, shape, ending):
    n = len(shape) - 1
    layer = Image(RNG.integers(0, 255, shape, dtype=np.uint8), rgb=True, scale=[0.5] * n)
    again = save_and_reopen(layer, tmp_path / ("a" + ending))
    assert again.rgb
    np.testing.assert_array_equal(again.data, layer.data)
    np.testing.assert_array_equal(again.scale, layer.scale)


def test_provenance_survives_and_rubbish_does_not_hinder(tmp_path):
    provenance = {"model": "srgan-gray", "notice": "For research use.", "intensity_lo": [0.0]}
    layer = Image(
        np.zeros((3, 20, 30), np.uint8),
        metadata={"napari_srgan": provenance, "open file": object()},
    )
    again = save_and_reopen(layer, tmp_path / "a.tif")
    assert again.metadata["napari_srgan"] == provenance
    assert "open file" not in again.metadata
    third = save_and_reopen(again, tmp_path / "b.ome.tif")
    again.metadata.pop("appearance")  # OME-XML has no place for a range
    assert third.metadata == again.metadata


def test_spacing_source_is_told(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30), np.uint8), resolution=(72, 72))
    ((_, meta, _),) = get_reader(str(tmp_path / "a.tif"))(str(tmp_path / "a.tif"))
    assert meta["metadata"]["spacing_source"] == "unknown"
    assert meta["scale"] == (1.0, 1.0)


def test_large_files_stay_on_disk(tmp_path, monkeypatch):
    dask_array = pytest.importorskip("dask.array")
    data = RNG.integers(0, 999, (2, 3, 20, 30)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "TZYX"})
    path = str(tmp_path / "a.tif")
    assert isinstance(get_reader(path)(path)[0][0], np.ndarray)
    monkeypatch.setattr(files, "SHARE_OF_MEMORY", 0)
    ((lazy, meta, _),) = get_reader(path)(path)
    assert isinstance(lazy, dask_array.Array)
    assert lazy.chunks == ((1, 1), (1, 1, 1), (20,), (30,))
    np.testing.assert_array_equal(lazy[1, 2, 3:9].compute(), data[1, 2, 3:9])
    np.testing.assert_array_equal(lazy.compute(), data)
    again = save_and_reopen(Image(lazy, **meta), tmp_path / "b.tif")
    np.testing.assert_array_equal(np.asarray(again.data), data)


def test_dask_layers_and_the_finest_level_of_a_pyramid_are_written(tmp_path):
    dask_array = pytest.importorskip("dask.array")
    data = RNG.integers(0, 999, (3, 40, 60)).astype(np.uint16)
    levels = [dask_array.from_array(data), dask_array.from_array(data[:, ::2, ::2])]
    again = save_and_reopen(Image(levels, multiscale=True), tmp_path / "a.tif")
    np.testing.assert_array_equal(again.data, data)


def test_images_too_small_to_upscale_still_open(tmp_path):
    layer = Image(np.arange(12, dtype=np.uint16).reshape(3, 4))
    np.testing.assert_array_equal(save_and_reopen(layer, tmp_path / "a.tif").data, layer.data)


def test_which_paths_are_taken(tmp_path):
    assert get_reader("a.tif") is not None
    assert get_reader("a.OME.TIFF") is not None
    assert get_reader(["a.tif", "b.tif"]) is not None
    assert get_reader("a.png") is None
    assert get_reader(["a.tif", "b.png"]) is None
    assert get_reader([]) is None
    (tmp_path / "folder.tif").mkdir()
    assert get_reader(str(tmp_path / "folder.tif")) is None


def test_several_paths_give_several_layers(tmp_path):
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((9, 9), np.uint8))
    paths = [str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]
    assert [meta["name"] for _, meta, _ in get_reader(paths)(paths)] == ["a", "b"]


def test_what_cannot_be_read_or_written_is_one_sentence(tmp_path):
    (tmp_path / "text.tif").write_text("no image")
    path = str(tmp_path / "text.tif")
    with pytest.raises(InputError, match="not a TIFF file"):
        get_reader(path)(path)
    for data, says in [
        (np.zeros((9, 9), bool), "bool"),
        (np.zeros((9, 9), np.complex64), "complex64"),
        (np.zeros((2, 2, 2, 9, 9), np.uint8), "5 axes"),
        (np.zeros((0, 9, 9), np.uint8), "empty"),
    ]:
        with pytest.raises(InputError, match=says):
            write_image(str(tmp_path / "a.tif"), data, {"name": "layer"})
    assert not (tmp_path / "a.tif").exists()


def test_a_failure_while_writing_leaves_the_old_file(tmp_path):
    class Broken:
        shape, dtype = (3, 20, 30), np.dtype("uint8")

        def __getitem__(self, key):
            raise RuntimeError("lost connection")

    path = tmp_path / "a.tif"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="lost connection"):
        write_image(str(path), Broken(), {"name": "layer"})
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_text() == "old"


def test_channels_of_others_are_layers_with_their_names_and_colours(tmp_path):
    data = RNG.integers(0, 255, (2, 3, 20, 30), dtype=np.uint8)
    about = {"axes": "CZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    named = {"Name": ["DAPI", "GFP\t"], "Color": [65535, -16776961]}  # blue and red
    path = str(tmp_path / "a.ome.tif")
    tifffile.imwrite(path, data, metadata={**about, "Channel": named}, photometric="minisblack")
    made = get_reader(path)(path)
    assert [meta["name"] for _, meta, _ in made] == ["a DAPI", "a GFP"]
    layers = [Image(pixels, **meta) for pixels, meta, _ in made]
    for number, (layer, colour) in enumerate(zip(layers, ([0, 0, 1], [1, 0, 0]), strict=True)):
        np.testing.assert_array_equal(layer.data, data[number])
        np.testing.assert_array_equal(layer.colormap.colors[-1][:3], colour)
        assert layer.axis_labels == ("z", "y", "x") and layer.scale[1] == 0.5
    assert [layer.blending for layer in layers] == ["translucent_no_depth", "additive"]


def test_channels_without_names_and_colours_get_them(tmp_path):
    data = RNG.integers(0, 255, (3, 2, 20, 30), dtype=np.uint8)
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZCYX"})
    made = get_reader(path)(path)
    assert [meta["name"] for _, meta, _ in made] == ["a channel 0", "a channel 1"]
    assert [meta["colormap"] for _, meta, _ in made] == ["magenta", "green"]
    for number, (pixels, _, _) in enumerate(made):
        np.testing.assert_array_equal(pixels, data[:, number])


def test_imagej_colours_are_taken_and_spectra_stay_one_layer(tmp_path):
    ramp, none = np.arange(256, dtype=np.uint8), np.zeros(256, np.uint8)
    tables = [np.stack([none, ramp, none]), np.stack([ramp, none, ramp])]
    data = RNG.integers(0, 255, (2, 20, 30), dtype=np.uint8)
    path = str(tmp_path / "a.tif")
    about = {"axes": "CYX", "mode": "composite", "LUTs": tables}
    tifffile.imwrite(path, data, imagej=True, metadata=about)
    assert [m["colormap"] for _, m, _ in get_reader(path)(path)] == ["#00ff00", "#ff00ff"]
    many = np.zeros((40, 20, 30), np.uint8)
    tifffile.imwrite(path, many, imagej=True, metadata={"axes": "CYX"})
    ((pixels, _, _),) = get_reader(path)(path)
    assert pixels.shape == many.shape


def test_each_of_several_images_in_a_file_is_a_layer(tmp_path):
    planes = np.random.default_rng(9).integers(0, 255, (3, 20, 30)).astype(np.uint8)
    path = tmp_path / "scan.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        for i, plane in enumerate(planes):
            tif.write(plane, metadata={"axes": "YX", "Name": f"Pos{i}"})
    layers = get_reader(str(path))(str(path))
    assert [meta["name"] for _, meta, _ in layers] == ["scan 0", "scan 1", "scan 2"]
    for (data, _, _), plane in zip(layers, planes, strict=True):
        np.testing.assert_array_equal(np.asarray(data), plane)


def colours_of(layer):
    return (layer.colormap.map(np.linspace(0, 1, 256))[:, :3] * 255).round().astype(int)


def opened(path):
    return [Image(data, **meta) for data, meta, _ in get_reader(str(path))(str(path))]


RAMP = np.arange(256, dtype=np.uint8)
FIRE = np.stack([np.minimum(RAMP.astype(int) * 3, 255), RAMP, RAMP // 3]).astype(np.uint8)
GREEN = np.stack([RAMP * 0, RAMP, RAMP * 0])


def test_a_layer_is_shown_as_its_file_says(tmp_path):
    """Range and lookup table of a single image, and of each channel."""
    pixels = (RNG.random((16, 20)) * 1000).astype(np.uint16)
    said = {"axes": "YX", "min": 100.0, "max": 700.0, "LUTs": [FIRE]}
    tifffile.imwrite(tmp_path / "one.tif", pixels, imagej=True, metadata=said)
    (layer,) = opened(tmp_path / "one.tif")
    assert layer.contrast_limits == [100, 700]
    np.testing.assert_allclose(colours_of(layer), FIRE.T, atol=1)
    said = {"axes": "CYX", "mode": "composite", "LUTs": [GREEN, FIRE]}
    said["Ranges"] = (5.0, 90.0, 10.0, 200.0)
    tifffile.imwrite(tmp_path / "two.tif", np.stack([pixels] * 2), imagej=True, metadata=said)
    green, fire = opened(tmp_path / "two.tif")
    assert (green.contrast_limits, fire.contrast_limits) == ([5, 90], [10, 200])
    np.testing.assert_allclose(colours_of(green), GREEN.T, atol=1)
    np.testing.assert_allclose(colours_of(fire), FIRE.T, atol=1)


def test_ranges_and_tables_that_make_no_sense_are_left_out(tmp_path):
    pixels = (RNG.random((16, 20)) * 1000).astype(np.uint16)
    said = {"axes": "YX", "min": 700.0, "max": 700.0}
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata=said)
    (layer,) = opened(tmp_path / "a.tif")
    assert layer.contrast_limits == [pixels.min(), pixels.max()] and layer.colormap.name == "gray"


def test_a_layer_that_is_saved_looks_the_same_again_and_in_imagej(tmp_path):
    layer = Image((RNG.random((3, 10, 12)) * 100).astype(np.uint16), name="scan")
    layer.contrast_limits, layer.colormap = (20, 60), "magma"
    again = save_and_reopen(layer, tmp_path / "scan.tif")
    assert again.contrast_limits == [20, 60]
    np.testing.assert_allclose(colours_of(again), colours_of(layer), atol=2)
    with tifffile.TiffFile(tmp_path / "scan.tif") as tif:
        said = tif.imagej_metadata
    assert (said["min"], said["max"]) == (20, 60) and np.shape(said["LUTs"]) == (3, 256)


def test_a_calibration_of_values_goes_through_a_layer(tmp_path):
    said = {"axes": "YX", "cf": 0, "c0": -32768, "c1": 1, "vunit": "HU"}
    pixels = (RNG.random((16, 20)) * 1000).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata=said)
    (layer,) = opened(tmp_path / "a.tif")
    data, meta, _ = layer.as_layer_data_tuple()
    write_image(str(tmp_path / "b.tif"), data, meta)
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        found = tif.imagej_metadata
    assert {k: found[k] for k in ("cf", "c0", "c1", "vunit")} == {
        k: said[k] for k in said if k != "axes"
    }


# --- OCT ----------------------------------------------------------------------------------------


def test_a_vol_becomes_a_layer_of_b_scans_and_one_of_the_fundus(tmp_path):
    from oct_files import PATIENT, b_scans, write_vol

    path = tmp_path / "Roentgen_Wilhelmine.vol"
    scans = b_scans()
    slo = write_vol(path, scans)
    oct_layer, fundus = opened(path)
    np.testing.assert_array_equal(oct_layer.data, scans)
    np.testing.assert_array_equal(fundus.data, slo)
    np.testing.assert_allclose(oct_layer.scale, (120.0, 3.872, 11.8))
    assert {str(u) for u in oct_layer.units} == {"micrometer"}
    assert oct_layer.gamma == 0.25 and fundus.gamma == 1  # linear data would be black
    assert oct_layer.visible and not fundus.visible
    assert oct_layer.name.endswith(" OCT") and fundus.name.endswith(" SLO")
    for layer in (oct_layer, fundus):
        assert not any(who in f"{layer.name} {layer.metadata}" for who in PATIENT)
    write_image(str(tmp_path / "b.tif"), oct_layer.data, oct_layer.as_layer_data_tuple()[1])
    assert not any(who.encode() in (tmp_path / "b.tif").read_bytes() for who in PATIENT)
    (again,) = opened(tmp_path / "b.tif")
    assert again.metadata["acquisition"]["lines"] == oct_layer.metadata["acquisition"]["lines"]


def test_only_folders_and_lists_of_ours_are_read(tmp_path):
    from oct_files import b_scans, write_heyex

    assert get_reader(str(tmp_path)) is None
    (tmp_path / "other.xml").write_text("<svg/>")
    assert get_reader(str(tmp_path / "other.xml")) is None
    path, _ = write_heyex(tmp_path, (b_scans() * 255).astype(np.uint8))
    assert [layer.data.shape for layer in opened(path)] == [(3, 40, 48), (12, 16)]


def test_the_manifest_names_what_is_read():
    import npe2

    from napari_srgan._gui.files import LAYER_SUFFIXES

    manifest = npe2.PluginManifest.from_file(files.__file__.replace("_gui/files.py", "napari.yaml"))
    (reader,) = manifest.contributions.readers
    named = {pattern.removeprefix("*") for pattern in reader.filename_patterns}
    assert named - {".xml"} == {s for s in LAYER_SUFFIXES if not s.startswith(".ome")}
