"""The first look at a long run: what the canvas shows comes first, as it will be in the result."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve

from napari_srgan._gui.super_resolve import first_look
from napari_srgan._gui.tags import role_of

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def scan(viewer):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 300, 320)).astype(np.uint8)
    return viewer.add_image(pixels, name="scan")


@pytest.fixture
def panel(viewer, scan, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    panel.show()  # it waits for the devices
    panel.model.box.choose("tiny-gray")
    panel.advanced.options["device"].value = "cpu"
    panel.advanced.options["tile"].value = 64
    qtbot.waitUntil(lambda: bool(panel._devices) and not panel._timing.running, timeout=WAIT)
    panel.refresh()
    return panel


def slow(panel, pixels_a_second):
    """Let the machine be as slow as this; what was measured is not asked."""
    panel._speeds.of = lambda key: pixels_a_second


def run(qtbot, panel, start):
    """Start, and return what layers there were when each step of the work was told of."""
    seen = []
    panel.runner.stepped.connect(lambda _step: seen.append(list(panel.viewer.layers)))
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        start()
    return seen


def test_what_is_in_view_comes_first_and_goes_with_the_result(viewer, panel, scan, qtbot):
    slow(panel, 10_000)
    pixels = {}

    def keep(_step):
        if panel.first_look.layer is not None:
            pixels["first"] = np.asarray(panel.first_look.layer.data), panel.first_look.layer

    panel.runner.stepped.connect(keep)
    seen = run(qtbot, panel, panel.start)
    data, first = pixels["first"]
    with_it = [layers for layers in seen if first in layers]
    assert len(with_it) > len(seen) / 2  # for the better part of the run
    assert role_of(first) == "view" and first not in viewer.layers
    assert panel.first_look.layer is None
    result = panel.result.value()
    assert list(viewer.layers) == [scan, result]
    # The same pixels, at the same place.
    at = np.asarray(result.world_to_data(first.data_to_world((0, 0, 0)))).round().astype(int)
    part = result.data[at[0], at[1] : at[1] + data.shape[1], at[2] : at[2] + data.shape[2]]
    np.testing.assert_array_equal(part, data[0])


@pytest.mark.parametrize("why", ["quick", "another slice", "cancelled"])
def test_nothing_is_left_of_it_and_a_quick_run_has_none(viewer, panel, scan, qtbot, why):
    slow(panel, 1e9 if why == "quick" else 10_000)
    if why == "another slice":
        panel.region.slices.choose("range")
        panel.region.first.setValue(0)
        panel.region.last.setValue(0)
        viewer.dims.set_current_step(0, 1)
        panel.refresh()
    if why == "cancelled":
        panel.runner.stepped.connect(lambda _s: panel.first_look.layer and panel.runner.cancel())
    seen = run(qtbot, panel, panel.start)
    looked = any(role_of(layer) == "view" for layers in seen for layer in layers)
    assert looked == (why == "cancelled")
    assert not any(role_of(layer) == "view" for layer in viewer.layers)


def test_it_is_done_within_its_time(viewer, panel, scan, qtbot):
    slow(panel, 30_000)
    panel.advanced.options["tile"].value = "auto"
    for model in ("tiny-gray", "srresnet-gray"):
        panel.model.box.choose(model)
        panel.refresh()
        (order,) = panel._full_orders(scan)
        part = first_look.first_order(order, panel._speeds, panel._devices)
        assert part.model == {"srresnet-gray": "srfast-gray"}.get(model, model)
        assert part.seconds(panel._speeds, panel._devices) <= 1.2 * first_look.SECONDS
