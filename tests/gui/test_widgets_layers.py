"""What the panels know about layers, without a window: axes, regions, places, words."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Image, Shapes

from napari_srgan._gui.compare.planes import DataRange, SlicePixels, question_for
from napari_srgan._gui.compare.slice_figures import quick, slow
from napari_srgan._gui.layers import (
    View,
    in_layer_order,
    layer_arguments,
    layer_axes,
    layer_stack,
    placement,
    spacing_source,
    unique_name,
    view_of,
)
from napari_srgan._gui.sentences import size_text, spacing_text, time_text, view_note
from napari_srgan._gui.super_resolve.order import (
    UNTIMED_PREVIEW,
    Speeds,
    free_path,
    full_order,
    place_for,
    preview_orders,
    preview_pixels,
    restore_all,
)
from napari_srgan._gui.super_resolve.region_picker import preview_area, rectangle, region_for
from napari_srgan._gui.tags import made_from, role_of, role_tag
from napari_srgan.errors import InputError
from napari_srgan.options import FileOptions, RestoreOptions
from napari_srgan.tasks.restore import restore
from napari_srgan.tasks.steps import drain

SETTINGS = {"device": "auto", "tile": "auto"}


def corners(layer, region=None):
    """World positions of the outer corners of the pixels of a layer's region."""
    axes = layer_axes(layer).replace("S", "")
    ends = [(region or {}).get(a, (0, n)) for a, n in zip(axes, layer.data.shape, strict=False)]
    grid = np.array(np.meshgrid(*ends, indexing="ij")).reshape(len(axes), -1).T - 0.5
    return np.array([layer.data_to_world(c) for c in grid])


@pytest.mark.parametrize("seed", range(12))
def test_corners_of_the_result_coincide_with_those_of_the_region(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 5))
    shape = (*rng.integers(1, 4, n - 2), *rng.integers(8, 20, 2))
    affine = np.eye(n + 1)
    affine[:n, :n] += rng.normal(0, 0.3, (n, n))
    affine[:n, n] = rng.normal(0, 20, n)
    rotate = np.linalg.qr(rng.normal(size=(n, n)))[0]
    layer = Image(
        np.zeros(shape, np.uint8),
        scale=rng.uniform(0.1, 9, n),
        translate=rng.normal(0, 50, n),
        rotate=rotate,
        shear=rng.normal(0, 0.4, n * (n - 1) // 2),
        affine=affine,
    )
    region = {"Y": (2, 8), "X": (1, 7)} if seed % 2 else {}
    inside = {a: region.get(a, (0, size)) for a, size in zip("TZYX"[-n:], shape, strict=True)}
    made = [stop - start for start, stop in inside.values()]
    made[-2:] = [4 * made[-2], 4 * made[-1]]
    result = Image(np.zeros(made, np.uint8), **placement(layer, region, (4, 4)))
    np.testing.assert_allclose(corners(result), corners(layer, region), atol=1e-8)


def test_a_result_is_shown_as_its_input_and_forgets_the_session():
    layer = Image(
        np.zeros((3, 10, 10), np.uint16),
        name="a",
        scale=(9, 2, 3),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
        colormap="magma",
        contrast_limits=(5, 900),
        gamma=0.7,
        metadata={"spacing_source": "file"},
    )
    got = layer_arguments(layer, {"Z": (1, 2)}, (4, 4), "b", {"napari_srgan": {"model": "m"}})
    result = Image(np.zeros((1, 40, 40), np.uint16), **got)
    assert (result.colormap.name, result.gamma) == ("magma", 0.7)
    assert tuple(result.contrast_limits) == (5, 900)
    assert result.units == layer.units
    assert result.axis_labels == ("z", "y", "x")
    assert spacing_source(result) == "file"
    assert made_from(result).region == {"Z": (1, 2)}
    result.metadata.update(role_tag("preview"))
    assert role_of(result) == "preview"
    assert set(layer_stack(result).metadata) == {"napari_srgan", "spacing_source"}


@pytest.mark.parametrize(
    ("shape", "labels", "rgb", "axes"),
    [
        ((9, 9), None, False, "YX"),
        ((3, 9, 9), None, False, "ZYX"),
        ((2, 3, 9, 9), None, False, "TZYX"),
        ((9, 9, 3), None, True, "YXS"),
        ((3, 9, 9), ("c", "y", "x"), False, "CYX"),
        ((9, 9, 3), ("y", "x", "z"), False, "YXZ"),
        ((3, 9, 9), ("a", "b", "c"), False, "ZYX"),
    ],
)
def test_axes_of_a_layer(shape, labels, rgb, axes):
    layer = Image(np.zeros(shape, np.uint8), rgb=rgb, axis_labels=labels)
    assert layer_axes(layer) == axes


def test_the_finest_level_of_a_multiscale_layer_is_used():
    pyramid = [np.zeros((40, 60), np.uint8), np.zeros((20, 30), np.uint8)]
    assert layer_stack(Image(pyramid, multiscale=True)).shape == (40, 60)


def test_too_many_axes_and_small_images_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="under Super-resolve > Axes"):
        layer_stack(Image(np.zeros((1, 1, 1, 2, 9, 9), np.uint8)))
    with pytest.raises(InputError, match="at least 8 px"):
        layer_stack(Image(np.zeros((4, 40), np.uint8)))


def test_the_view_follows_the_slider_in_world_units():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((5, 20, 30), np.uint8), scale=(10, 1, 1), translate=(7, 0, 0))
    viewer.add_image(np.zeros((9, 20, 30), np.uint8), scale=(10, 1, 1))
    viewer.dims.set_point(0, 27)
    assert view_of(layer, viewer.dims).index == {"Z": 2}
    viewer.dims.set_point(0, 80)
    assert view_of(layer, viewer.dims).outside
    viewer.dims.set_point(0, 27)
    viewer.dims.order = (1, 0, 2)
    assert view_of(layer, viewer.dims).shown == "ZX"
    viewer.dims.ndisplay = 3
    assert not view_of(layer, viewer.dims).plain


def test_the_plane_is_named_when_the_canvas_does_not_show_it():
    sizes = {"Z": 30, "Y": 9, "X": 9}
    assert view_note(View({"Z": 12}, (0, 9), (0, 9), "YX"), sizes) == ""
    assert "Z = 12" in view_note(View({"Z": 12}, (0, 9), (0, 9), "ZYX"), sizes)
    assert "Z x X" in view_note(View({"Z": 12}, (0, 9), (0, 9), "ZX"), sizes)


def test_regions_of_the_choices():
    sizes, view = {"T": 2, "Z": 6, "Y": 9, "X": 9}, View({"T": 1, "Z": 4}, (0, 9), (0, 9), "YX")
    assert region_for(sizes, view, "all") == {}
    assert region_for(sizes, view, "view") == {"T": (1, 2), "Z": (4, 5)}
    assert region_for(sizes, view, "range", (2, 3)) == {"Z": (2, 4)}
    with pytest.raises(InputError, match="range along Z"):
        region_for(sizes, view, "range", (3, 2))


def test_a_rectangle_is_found_whatever_the_transforms():
    image = Image(np.zeros((4, 50, 80), np.uint8), scale=(1, 2, 3), translate=(0, 100, -30))
    drawn = np.array(
        [[100 + 2 * y, -30 + 3 * x] for y, x in ((10, 5), (10, 40), (30, 40), (30, 5))]
    )
    shapes = Shapes([drawn], shape_type="rectangle")
    assert rectangle(shapes, image) == ((10, 31), (5, 41))
    moved = Shapes([drawn / 2], shape_type="rectangle", scale=(2, 2))
    assert rectangle(moved, image) == ((10, 31), (5, 41))
    reaching_out = Shapes([drawn - 40], shape_type="rectangle")
    (y0, y1), (x0, x1) = rectangle(reaching_out, image)
    assert (y0, x0) == (0, 0)
    assert (y1, x1) == (11, 27)
    with pytest.raises(InputError, match="draw it larger"):
        rectangle(Shapes([drawn[0] + [[0, 0], [0, 9], [9, 9], [9, 0]]]), image)
    with pytest.raises(InputError, match="Nothing is drawn"):
        rectangle(Shapes(), image)


def test_a_preview_is_the_middle_of_a_large_view():
    view = View({}, (100, 500), (0, 200), "YX")
    (y0, y1), (x0, x1) = preview_area(view, 5000)
    assert (y1 - y0) * (x1 - x0) == pytest.approx(5000, rel=0.02)
    assert y0 + y1 == pytest.approx(600, abs=1)
    assert x0 + x1 == pytest.approx(200, abs=1)
    assert preview_area(view, 10**6) == ((100, 500), (0, 200))


def test_preview_gets_smaller_with_more_models_and_larger_with_speed():
    assert preview_pixels(1e6, 1) > preview_pixels(1e6, 3) > 0
    assert preview_pixels(1e7, 1) > preview_pixels(1e6, 1)
    assert preview_pixels(None, 1) == UNTIMED_PREVIEW**2


def test_names_never_overwrite():
    assert unique_name("a", ["b"]) == "a"
    assert unique_name("a", ["a", "a [2]"]) == "a [3]"


def test_results_with_reordered_axes_come_back_in_the_layers_order():
    data = np.zeros((2, 8, 12))
    assert in_layer_order(data, "ZYX", "YXZ").shape == (8, 12, 2)
    with pytest.raises(ValueError, match="beside"):
        in_layer_order(data, "ZYX", "TYX")


def test_words_for_sizes_and_times():
    assert size_text(2_100_000) == "2.1 MB"
    assert time_text(0.2) == "under 1 s"
    assert time_text(4800) == "80 min"
    assert time_text(7320) == "2 h 2 min"
    assert spacing_text("ZYX", (1, 1, 1), ("pixel",) * 3, "unknown") == "unknown"
    assert spacing_text("ZYX", (120, 3.87, 11.6), ("micrometer",) * 3, "file").startswith(
        "120 x 3.87"
    )


def test_a_result_that_does_not_fit_goes_to_a_file():
    assert place_for(10, 100, "auto") == "memory"
    assert place_for(60, 100, "auto") == "file"
    assert place_for(60, 100, "memory") == "memory"


def test_the_order_says_what_comes_out(tiny_models, tmp_path, monkeypatch):
    layer = Image(np.zeros((6, 40, 50), np.uint16), name="eye")
    view = View({"Z": 3}, (0, 40), (0, 50), "YX")
    options = RestoreOptions(model="tiny-gray")
    stack = layer_stack(layer)
    sliced = full_order(layer, stack, view, replace(options, region={"Z": (3, 4)}))
    text = sliced.text(Speeds(), ["cpu"])
    assert "1 x 160 x 200 (Z x Y x X), uint16, 64 kB" in text
    assert "Z = 3" in text
    speeds = Speeds()
    order = full_order(layer, stack, view, options)
    # Without a measurement, no time is told.
    assert order.text(speeds, ["cpu"]).endswith("uint16, 384 kB.")
    speeds.note(order.speed_key(["cpu"]), 200)
    assert "about 60 s on the CPU" in order.text(speeds, ["cpu"])
    # Without torch, no time can be told: what a tile and its halo are is not known.
    assert order.text(speeds, []).endswith("uint16, 384 kB.")
    # Would not fit: a file is named, and why.
    monkeypatch.setattr("napari_srgan._gui.super_resolve.order.Path.home", lambda: tmp_path)
    monkeypatch.setattr(
        "napari_srgan._gui.super_resolve.order.psutil.virtual_memory",
        lambda: type("M", (), {"available": 1000})(),
    )
    moved = full_order(layer, stack, view, options)
    assert moved.path == tmp_path / "eye_tiny-gray_4x.tif"
    assert "would not fit in memory" in moved.text(speeds, ["cpu"])
    moved.path.write_bytes(b"")
    assert free_path(layer, order.ahead).name == "eye_tiny-gray_4x_2.tif"


def test_an_unfinished_file_is_gone_on_with_and_it_is_said(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_srgan.io.sinks.file.FLUSHED_EVERY", 0.0)
    pixels = np.random.default_rng(0).integers(0, 200, (5, 16, 20)).astype(np.uint8)
    layer, path = Image(pixels, name="eye"), tmp_path / "out.tif"
    view = View({"Z": 3}, (0, 16), (0, 20), "YX")
    options = RestoreOptions(model="tiny-gray", device="cpu")
    ordered = partial(full_order, layer, layer_stack(layer), view, options, "file", path)
    work = restore(layer_stack(layer), options, path, files=FileOptions(resume=True))
    while next(work).done < 3:
        pass
    work.close()
    done = ordered().done
    assert done in (2, 3)
    assert f"has made {done} of its 5 slices; it is gone on with" in ordered().text(Speeds(), [])
    assert ordered(overwrite=True).done is None
    (made,) = drain(restore_all([ordered()]))
    expected = drain(restore(layer_stack(layer), options))
    np.testing.assert_array_equal(made.result.data, expected.result.data)
    assert [p.name for p in tmp_path.iterdir()] == ["out.tif"]


def test_previews_of_a_gray_layer_refuse_an_rgb_model(tiny_models):
    layer = Image(np.zeros((40, 50), np.uint8), name="eye")
    view = View({}, (0, 40), (0, 50), "YX")
    with pytest.raises(InputError, match="tiny-gray"):
        preview_orders(layer, layer_stack(layer), view, ["tiny-rgb"], SETTINGS, Speeds(), ["cpu"])


def test_comparison_measures_what_is_in_view():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 256, (3, 32, 32)).astype(np.uint8)
    viewer = ViewerModel()
    reference = viewer.add_image(truth, scale=(5, 1, 1))
    other = truth.copy()
    other[1] = np.clip(other[1] + 10.0, 0, 255).astype(np.uint8)
    candidate = viewer.add_image(other, scale=(5, 1, 1))
    low = viewer.add_image(truth[:, ::4, ::4], scale=(5, 4, 4))
    ranges = DataRange()
    viewer.dims.set_point(0, 0)
    same = answers(question_for(reference, [candidate], None, viewer.dims), ranges)
    assert same[candidate.name].figures == {"psnr": np.inf, "ssim": pytest.approx(1)}
    assert same[candidate.name].data_range == 255
    viewer.dims.set_point(0, 5)
    found = answers(question_for(reference, [candidate], low, viewer.dims), ranges)
    error = np.mean((truth[1].astype(float) - other[1]) ** 2)
    psnr = found[candidate.name].figures["psnr"]
    assert psnr == pytest.approx(10 * np.log10(255**2 / error))
    assert 0 < found["bicubic"].figures["psnr"] < psnr


def test_comparison_names_what_does_not_fit():
    viewer = ViewerModel()
    reference = viewer.add_image(np.zeros((32, 32), np.uint8))
    small = viewer.add_image(np.zeros((15, 32), np.uint8))
    odd = viewer.add_image(np.zeros((9, 9), np.uint8))
    twin = viewer.add_image(np.zeros((32, 32), np.uint8), translate=(3, 0))
    errors = question_for(reference, [small], None, viewer.dims).errors
    assert f"{reference.name} is 32 x 32 px and {small.name} 15 x 32 px" in errors[small.name]
    question = question_for(reference, [twin], odd, viewer.dims)
    assert "same place" in question.notes[0]
    assert "whole number of times" in answers(question, DataRange())["bicubic"].error


def answers(question, ranges):
    """All that is found, the figures of each candidate put together."""
    pixels, found = SlicePixels(question), {}
    for one in (*quick(pixels, ranges, list(question.candidates)), *slow(pixels, ranges)):
        if one is not None:
            known = found[one.candidate].figures if one.candidate in found else {}
            found[one.candidate] = replace(one, figures={**known, **one.figures})
    return found


def test_the_first_click_has_nothing_heavy_left_to_import():
    """An import in the GUI thread blocks it: numpy's and torch's neighbours for 0.2 s together."""
    code = """
import sys
from napari_srgan._gui import runner
from napari_srgan._gui.super_resolve.panel import load_torch
list(load_torch())
before = set(sys.modules)
import numpy as np
from napari_srgan.engine.progress import drain
from napari_srgan.image.stack import Stack
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import restore
drain(restore(Stack(np.random.rand(1, 20, 20).astype(np.float32)), RestoreOptions()))
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) < 15, done.stdout
    assert not [name for name in done.stdout.split() if name.startswith("napari_srgan")]


def test_a_layer_that_is_on_its_way_out_of_the_viewer_is_not_in_view():
    """The viewer has lost an axis and not yet its unit: closing it ended in an error of numpy."""
    layer = Image(np.zeros((3, 8, 9), np.uint8), name="s")
    dims = SimpleNamespace(ndim=2, displayed=(0, 1), point=(7.0, 8.0), units=layer.units)
    with pytest.raises(InputError, match="no longer in the viewer"):
        view_of(layer, dims)
