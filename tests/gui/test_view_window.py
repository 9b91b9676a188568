"""The command line's window: images at one place, in step with each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_srgan.cli.demo import demo_images, demo_text
from napari_srgan.engine.run import Result
from napari_srgan.image.stack import Stack
from napari_srgan.synthetic.samples import sample
from napari_srgan.tasks.demo import Demo, MethodFigures


@pytest.fixture
def demo():
    rng = np.random.default_rng(0)
    low, high = sample("oct_volume_lr"), sample("oct_volume_hr")
    stacks = [
        Stack(
            rng.integers(0, 255, (4, 10 * factor, 12 * factor)).astype(np.uint8),
            "ZYX",
            entry.name,
            scale=entry.spacing,
            translate=entry.translate,
            units=("micrometer",) * 3,
        )
        for entry, factor in ((low, 1), (high, 4))
    ]
    truth = stacks[1]
    result = Result(
        data=truth.data,
        axes="ZYX",
        scale=truth.scale,
        translate=truth.translate,
        metadata={},
    )
    methods = (MethodFigures("bicubic", 1, 1),) * 2
    return Demo(*stacks, result, "srresnet-gray", methods, Path("a"), Path("b"), 1.0)


def test_three_stacks_side_by_side_in_the_same_coordinates(viewer, demo):
    from napari_srgan._gui.view_window import fill

    fill(viewer, demo_images(demo))
    names = [layer.name for layer in viewer.layers]
    assert names == ["input", "result [srresnet-gray 4x]", "truth"]
    assert viewer.canvas.grid.enabled
    assert viewer.dims.current_step[0] == 2
    for layer in viewer.layers:
        # The outer edges of the corner pixels, half a pixel beyond their centres.
        edges = layer.data_to_world(np.array([1, -0.5, -0.5]))
        np.testing.assert_allclose(edges, viewer.layers[0].data_to_world([1, -0.5, -0.5]))
        far = np.array(layer.data.shape) - 0.5
        far[0] = 1
        whole = np.array([1, 9.5, 11.5])
        np.testing.assert_allclose(layer.data_to_world(far), viewer.layers[0].data_to_world(whole))
    viewer.layers[0].contrast_limits = (10, 90)
    assert tuple(viewer.layers["truth"].contrast_limits) == (10, 90)


def test_text_names_the_model_and_both_figures(demo):
    methods = MethodFigures("bicubic", 33.54, 0.848), MethodFigures("srresnet-gray", 34.1, 0.861)
    lines = demo_text(replace(demo, methods=methods)).splitlines()
    assert any(line.split() == ["bicubic", "33.54", "0.8480"] for line in lines)
    assert any(line.split() == ["srresnet-gray", "34.10", "0.8610"] for line in lines)


@pytest.mark.parametrize(("width", "shape"), [(30, (1, 2)), (90, (2, 1))])
def test_wide_images_stand_one_above_the_other(viewer, width, shape):
    from napari_srgan._gui.files import layers_of
    from napari_srgan._gui.view_window import fill

    pixels = np.random.default_rng(0).integers(0, 255, (5, 30, width)).astype(np.uint8)
    images = [layers_of(Stack(pixels, scale=(9, 2, 2)), name)[0] for name in "ab"]
    fill(viewer, images)
    assert viewer.canvas.grid.enabled
    assert tuple(viewer.canvas.grid.shape) == shape
    assert [layer.name for layer in viewer.layers] == ["a", "b"]
    assert viewer.dims.current_step[0] == 2


def test_a_single_image_needs_no_grid(viewer):
    from napari_srgan._gui.files import layers_of
    from napari_srgan._gui.view_window import fill

    fill(viewer, layers_of(Stack(np.zeros((9, 9), np.uint8)), "a"))
    assert not viewer.canvas.grid.enabled
