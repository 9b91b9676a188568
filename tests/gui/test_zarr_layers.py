"""OME-Zarr in napari: a layer of levels, where it belongs and as it is to be shown."""

import json

import numpy as np
import pytest

pytest.importorskip("napari")

import dask.array
from napari.layers import Image

from napari_srgan._gui.files import get_reader, read, write_image
from napari_srgan._gui.tags import role_of
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink

RNG = np.random.default_rng(4)


def pixels(shape, dtype="uint16"):
    return RNG.integers(0, 200, shape).astype(dtype)


def save_and_reopen(layer, path):
    data, meta, _ = layer.as_layer_data_tuple()
    assert write_image(str(path), data, meta) == [str(path)]
    ((data, meta, _kind),) = get_reader(str(path))(str(path))
    return Image(data, **meta)


GEOMETRIES = {
    "oct": {
        "scale": (123, 3.87 / 4, 11.6 / 4),
        "translate": (0, -0.375 * 3.87, -0.375 * 11.6),
        "units": ("um", "um", "um"),
        "axis_labels": ("z", "y", "x"),
    },
    "time": {"scale": (0.5, 2, 2), "units": ("s", "nm", "nm"), "axis_labels": ("t", "y", "x")},
    "uncalibrated": {"scale": (1, 0.25, 0.25), "translate": (0, -0.375, -0.375)},
    "rotated": {"rotate": 30, "scale": (2, 3, 4), "shear": [0.1, 0, 0.2]},
    "other order": {"axis_labels": ("x", "z", "y"), "scale": (1, 2, 3)},
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_saving_and_opening_gives_the_same_layer(tmp_path, geometry):
    layer = Image(pixels((3, 20, 30)), contrast_limits=(7, 150), **GEOMETRIES[geometry])
    again = save_and_reopen(layer, tmp_path / "scan.zarr")
    assert (again.name, again.rgb, again.multiscale) == ("scan", False, False)
    np.testing.assert_array_equal(again.data, layer.data)
    np.testing.assert_array_equal(again.scale, layer.scale)
    np.testing.assert_array_equal(again.translate, layer.translate)
    assert again.units == layer.units and again.contrast_limits == [7, 150]
    for point in RNG.random((5, 3)) * 10:
        np.testing.assert_allclose(again.data_to_world(point), layer.data_to_world(point))


def test_a_large_plane_is_a_layer_of_levels(tmp_path):
    data = pixels((2, 1200, 700))
    again = save_and_reopen(Image(data), tmp_path / "a.zarr")
    assert again.multiscale and [level.shape for level in again.data] == [
        (2, 1200, 700),
        (2, 600, 350),
        (2, 300, 175),
    ]
    assert isinstance(again.data[0], dask.array.Array)
    assert again.data[0].chunksize == (1, 512, 512)
    np.testing.assert_array_equal(again.data[0], data)
    tiff = save_and_reopen(again, tmp_path / "a.tif")
    np.testing.assert_array_equal(tiff.data, data)


@pytest.mark.parametrize("samples", [3, 4])
def test_colours_stay_colours(tmp_path, samples):
    layer = Image(pixels((2, 600, 40, samples), "uint8"), rgb=True, scale=(3, 0.5, 0.5))
    again = save_and_reopen(layer, tmp_path / "a.zarr")
    assert again.rgb and again.multiscale
    np.testing.assert_array_equal(again.data[0], layer.data)
    np.testing.assert_array_equal(again.scale, layer.scale)


def test_channels_of_others_are_layers_with_names_colours_and_contrast(tmp_path):
    path = tmp_path / "a.zarr"
    write_image(str(path), pixels((2, 600, 40)), {"axis_labels": ("c", "y", "x")})
    said = json.loads((path / ".zattrs").read_text())
    del said["napari_srgan"]
    for i, (label, colour) in enumerate([("DAPI", "0000FF"), ("GFP", "00FF00")]):
        channel = said["omero"]["channels"][i]
        channel |= {"label": label, "color": colour, "window": {"start": i, "end": 100}}
    (path / ".zattrs").write_text(json.dumps(said))
    made = [Image(data, **meta) for data, meta, _ in read(str(path))]
    assert [la.name for la in made] == ["a DAPI", "a GFP"]
    assert [la.contrast_limits for la in made] == [[0, 100], [1, 100]]
    assert [tuple(la.colormap.colors[-1][:3]) for la in made] == [(0, 0, 1), (0, 1, 0)]
    assert all(la.multiscale and la.ndim == 2 for la in made)


def test_an_unfinished_result_says_how_far_it_is(tmp_path):
    spec = OutputSpec(
        (4, 600, 40), "ZYX", np.dtype("u2"), (1,) * 3, (0,) * 3, ("pixel",) * 3, window=((0, 9),)
    )
    sink = FileSink(tmp_path / "a.zarr")
    sink.open(spec)
    sink.write((0,), 0, 0, pixels((600, 40)))
    sink.plane_done((0,))
    (partial,) = tmp_path.glob("*.partial")
    ((data, meta, _),) = get_reader(str(partial))(str(partial))
    sink.abort()
    assert meta["name"] == "a (unfinished: 1 of 4 slices)"
    assert meta["contrast_limits"] == (0, 9) and len(data) == 2


def test_a_result_is_a_result_again(tmp_path):
    provenance = {"model": "srgan-gray", "weights_sha256": "0" * 64, "input": "a.tif"}
    layer = Image(pixels((3, 20, 30)), metadata={"napari_srgan": provenance})
    again = save_and_reopen(layer, tmp_path / "a.zarr")
    assert again.metadata["napari_srgan"] == provenance
    assert role_of(again) == role_of(layer)


def test_other_folders_are_left_to_others(tmp_path):
    (tmp_path / "photos").mkdir()
    assert get_reader(str(tmp_path / "photos")) is None
    assert get_reader([str(tmp_path / "photos"), "a.tif"]) is None


def test_a_tiff_with_levels_is_a_layer_of_levels(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_srgan.io.sinks.tiff.LARGE_PLANE", 600)
    data = pixels((2, 700, 40))
    again = save_and_reopen(Image(data), tmp_path / "a.ome.tif")
    assert [level.shape for level in again.data] == [(2, 700, 40), (2, 350, 20)]
    np.testing.assert_array_equal(again.data[0], data)
