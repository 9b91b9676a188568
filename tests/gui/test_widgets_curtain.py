"""Looking and judging in Compare: curtain, grid, difference, maps, regions and the self-test."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_compare
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.measure.error_map import error_map
from napari_srgan.measure.frc import ring_correlation

WAIT = 120_000


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 200, (3, 64, 80)).astype(np.uint8)
    return truth, (truth + rng.integers(0, 50, truth.shape)).astype(np.uint8)


@pytest.fixture
def panel(viewer, pair, qtbot):
    truth, other = pair
    low = viewer.add_image(truth[:, ::4, ::4], name="low", scale=(1, 4, 4), translate=(0, 1.5, 1.5))
    reference = viewer.add_image(truth, name="truth")
    candidate = viewer.add_image(other, name="result", contrast_limits=(0, 90))
    made = open_compare(viewer, qtbot)
    viewer.dims.set_point(0, 1)
    made.reference.choose(reference)
    made.candidates.tick(candidate)
    made.low.choose(low)
    qtbot.waitUntil(lambda: made.slice.question is not None and not made.busy, timeout=WAIT)
    return made


# --- curtain ----------------------------------------------------------------------------------


@pytest.mark.napari_window
def test_the_curtain_shows_the_chosen_pair(viewer, panel):
    click(panel.views.draw)
    curtain = panel.views.curtain
    assert [la.name for la in (*curtain.left, *curtain.right)] == ["truth", "result"]
    assert [c.text() for c in curtain.captions] == ["truth", "result"]
    assert [la.name for la in viewer.layers if la.visible] == ["truth", "result"]
    assert viewer.layers["result"].contrast_limits == viewer.layers["truth"].contrast_limits
    click(panel.views.draw)
    assert not curtain.is_open
    assert all(layer.visible for layer in viewer.layers)


@pytest.mark.napari_window
def test_the_curtain_goes_with_its_layers(viewer, panel, pair, qtbot):
    asked = panel.slice.question
    click(panel.views.draw)
    qtbot.waitUntil(lambda: not panel.busy, timeout=WAIT)
    assert panel.slice.question is asked, "what is looked at changes no figure"
    viewer.layers.remove(viewer.layers["result"])
    assert not panel.views.curtain.is_open
    assert not panel.views.draw.isChecked()
    assert [layer.name for layer in viewer.layers if layer.visible] == ["low", "truth"]


@pytest.mark.napari_window
def test_the_curtain_of_bicubic(viewer, panel, pair):
    truth, _ = pair
    panel.views.right.setCurrentText("bicubic")
    click(panel.views.draw)
    large = np.clip(np.rint(bicubic_enlarge(truth[1, ::4, ::4], 4)), 0, 255)
    shown = viewer.layers["low [bicubic]"]
    assert np.array_equal(np.asarray(shown.data)[1], large.astype(np.uint8))
    assert panel.views.curtain.right == (shown,)
    click(panel.views.draw)
    click(panel.views.draw)
    assert sum("bicubic" in la.name for la in viewer.layers) == 1


def test_the_curtain_needs_a_window(viewer, panel):
    click(panel.views.draw)
    assert not panel.views.curtain.is_open
    assert not panel.views.draw.isChecked()
    assert panel.message.text() == "The curtain needs napari's window; this viewer has none."


# --- side by side and difference --------------------------------------------------------------


def test_side_by_side(viewer, panel, pair):
    other = viewer.add_image(pair[0], name="not chosen")
    click(panel.views.grid)
    assert viewer.canvas.grid.enabled
    assert not other.visible
    result, truth = viewer.layers["result"], viewer.layers["truth"]
    assert result.contrast_limits == truth.contrast_limits
    truth.contrast_limits = (10, 70)
    assert result.contrast_limits == [10, 70], "the contrast is linked"
    click(panel.views.grid)
    assert not viewer.canvas.grid.enabled
    assert other.visible


def test_difference(viewer, panel, pair, qtbot):
    truth, other = pair
    click(panel.views.difference)
    qtbot.waitUntil(lambda: "result - truth" in viewer.layers, timeout=WAIT)
    made = viewer.layers["result - truth"]
    wanted = other.astype(int) - truth
    assert made.dtype == np.float32
    assert np.array_equal(np.asarray(made.data), wanted)
    assert wanted.max() < 128 <= 255, "unsigned values would wrap round"
    low, high = made.contrast_limits
    assert low == -high
    assert high == pytest.approx(np.percentile(np.abs(wanted[1]), 99.9))
    colours = made.colormap.map([0.0, 0.5, 1.0])
    assert np.ptp(colours[1][:3]) < 0.02, "zero has no colour"
    assert colours[0][2] > colours[0][0], "blue: darker"
    assert colours[2][0] > colours[2][2], "red: brighter"
    assert np.array_equal(made.extent.world, viewer.layers["truth"].extent.world)
    # The other way round, of unsigned values: negative everywhere.
    panel.views.left.setCurrentText("result")
    panel.views.right.setCurrentText("truth")
    click(panel.views.difference)
    qtbot.waitUntil(lambda: "truth - result" in viewer.layers, timeout=WAIT)
    assert np.array_equal(np.asarray(viewer.layers["truth - result"].data), -wanted)


def test_what_cannot_be_looked_at_is_said(viewer, panel):
    panel.views.right.setCurrentText("truth")
    click(panel.views.draw)
    assert "two different layers" in panel.message.text()
    assert not panel.views.draw.isChecked()
    panel.views.right.setCurrentText("result")
    viewer.dims.ndisplay = 3
    click(panel.views.draw)
    assert "2D view" in panel.message.text()
    assert panel.message.is_error
    assert not panel.views.curtain.is_open


# --- maps -------------------------------------------------------------------------------------


def done(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.maps.runner.running, timeout=WAIT)


def test_error_map(viewer, panel, pair, qtbot):
    truth, other = pair
    click(panel.maps_fold.button)
    click(panel.maps.error)
    done(qtbot, panel)
    wanted = error_map(truth[1], other[1])
    made = viewer.layers["error map of result"]
    assert np.array_equal(np.asarray(made.data)[0], wanted.map)
    assert made.extent.world[0].tolist() == [1, 0, 0], "it lies at the slice that it is of"
    assert f"RSE {wanted.rse:.4g}, RSP {wanted.rsp:.4f}" in panel.maps.text.text()
    assert "error map of bicubic" in viewer.layers


def test_no_error_map_of_a_constant_reference(viewer, panel, pair, qtbot):
    viewer.layers["truth"].data = np.full_like(pair[0], 40)
    click(panel.maps_fold.button)
    click(panel.maps.error)
    done(qtbot, panel)
    qtbot.waitUntil(lambda: panel.message.is_error, timeout=WAIT)
    assert "truth is constant in this slice" in panel.message.text()
    assert not [layer for layer in viewer.layers if layer.name.startswith("error map")]


def test_fourier_rings_in_the_units_of_the_layer(viewer, panel, pair, qtbot):
    truth, other = pair
    for layer in (viewer.layers["truth"], viewer.layers["result"]):
        layer.units = ("micrometer",) * 3
        layer.scale = (1, 2, 3)
    click(panel.maps_fold.button)
    panel.maps.direction.choose("axial")
    click(panel.maps.rings)
    done(qtbot, panel)
    wanted = ring_correlation(
        truth[1], other[1], spacing=(2.0, 3.0), direction="axial", threshold=0.5
    )
    curve = next(c for c in panel.maps.plot.curves if c.name == "result")
    assert np.allclose(curve.x, wanted.frequency)
    assert np.allclose(curve.y, wanted.smoothed)
    assert panel.maps.plot.level == 0.5
    assert panel.maps.plot.isVisible()
    line = next(t for t in panel.maps.text.text().splitlines() if t.startswith("result"))
    if wanted.resolution is None:
        assert "no crossing" in line
    else:
        assert f"{wanted.resolution:.4g} µm" in line


def test_regions_drawn_as_shapes(viewer, panel, pair, qtbot):
    truth, _ = pair
    click(panel.maps_fold.button)
    click(panel.maps.regions)
    assert "Draw a region" in panel.message.text()
    # Drawn in a layer with other pixels: 2 world units each.
    corners = np.array([[5, 5], [5, 15], [15, 15], [15, 5]]) / 2
    shapes = viewer.add_shapes(scale=(2, 2), name="drawn")
    shapes.add_rectangles(corners)
    shapes.add_rectangles(corners + np.array([10, 20]))
    panel.maps.shapes.choose(shapes)
    click(panel.maps.regions)
    done(qtbot, panel)
    signal, ground = (truth[1, y : y + 11, x : x + 11].astype(float) for y, x in ((5, 5), (25, 45)))
    cnr = abs(signal.mean() - ground.mean()) / np.sqrt((signal.var() + ground.var()) / 2)
    first, second = signal.mean() ** 2 / signal.var(), ground.mean() ** 2 / ground.var()
    line = next(t for t in panel.maps.text.text().splitlines() if t.startswith("truth"))
    numbers = [float(part) for part in line.replace(",", " ").split() if part[0].isdigit()]
    assert numbers == pytest.approx([cnr, first, second], rel=2e-2)
    panel.maps.scale.choose("log")
    click(panel.maps.regions)
    done(qtbot, panel)
    assert "CNR (log)" in panel.maps.text.text()
    shapes.add_lines(corners[:2])
    click(panel.maps.regions)
    assert "no area" in panel.message.text()


# --- self-test --------------------------------------------------------------------------------


@pytest.fixture
def alone(viewer, tiny_models, qtbot):
    """One layer only, and the panel."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (3, 64, 80)).astype(np.uint8)
    layer = viewer.add_image(truth, name="truth", scale=(3, 2, 2), translate=(0, 10, 20))
    panel = open_compare(viewer, qtbot)
    panel.self_test.model.refresh()
    viewer.dims.set_point(0, 3)
    return panel, layer


def tested(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.self_test.runner.running, timeout=WAIT)
    qtbot.waitUntil(lambda: not panel.busy, timeout=WAIT)


def test_self_test_of_the_slice_in_view(viewer, alone, qtbot):
    from skimage.metrics import peak_signal_noise_ratio

    from napari_srgan import upscale
    from napari_srgan.image.resampling import bicubic_shrink

    panel, layer = alone
    click(panel.self_test_fold.button)
    panel.self_test.model.box.choose("tiny-gray")
    click(panel.self_test.button)
    tested(qtbot, panel)
    assert panel.heading.text().startswith("Optimistic: same degradation as in training")
    assert panel.reference.value() is layer
    low, made = panel.low.value(), panel.candidates.ticked()[0]
    small = np.clip(np.rint(bicubic_shrink(layer.data[1], 4)), 0, 255).astype(np.uint8)
    assert np.array_equal(np.asarray(low.data)[0], small)
    # The corners of all three coincide.
    for other in (low, made):
        half = np.asarray(other.scale) / 2
        box = np.asarray(other.extent.world) + np.array([-half, half])
        assert np.allclose(box[:, 1:], [[9, 19], [137, 179]])
        assert np.allclose(other.extent.world[:, 0], 3)
    wanted = peak_signal_noise_ratio(
        layer.data[1], upscale(small, model="tiny-gray").data, data_range=255
    )
    assert panel.table.cell(made.name, "psnr").value == pytest.approx(wanted, abs=1e-6)
    large = np.clip(np.rint(bicubic_enlarge(small, 4)), 0, 255)
    bicubic = peak_signal_noise_ratio(layer.data[1].astype(float), large, data_range=255)
    assert panel.table.cell("bicubic", "psnr").value == pytest.approx(bicubic)

    # The consistency of that result, from the same panel.
    from napari_srgan.models.catalogue import find_model
    from napari_srgan.trust.consistency import consistency
    from napari_srgan.trust.operators import operator_of

    click(panel.maps_fold.button)
    click(panel.maps.consistency)
    done(qtbot, panel)
    operator = operator_of(find_model("tiny-gray").card)
    found = consistency(small, np.asarray(made.data)[0], operator, 255.0)
    layer = viewer.layers[f"consistency of {made.name}"]
    assert np.allclose(np.asarray(layer.data)[0], found.map, atol=1e-4)
    assert "it does not mean true" in panel.maps.text.text()


def test_self_test_of_a_stack_by_another_operator(viewer, alone, qtbot):
    panel, layer = alone
    panel.self_test.model.box.choose("tiny-gray")
    panel.self_test.operator.choose("area")
    panel.self_test.slices.choose("all")
    panel.self_test.start()
    tested(qtbot, panel)
    assert "degraded by area" in panel.heading.text()
    assert "Optimistic" not in panel.heading.text()
    low = np.asarray(panel.low.value().data)
    means = layer.data.reshape(3, 16, 4, 20, 4).mean((2, 4))
    assert np.abs(low - means).max() <= 0.5 + 1e-3
    assert panel.reference.value() is layer


def test_self_test_that_moves_the_target_compares_with_it(viewer, alone, qtbot):
    """Decimation samples off the centre: what should come out is the shifted original."""
    panel, layer = alone
    panel.self_test.model.box.choose("tiny-gray")
    panel.self_test.operator.choose("decimate")
    panel.self_test.start()
    tested(qtbot, panel)
    assert panel.reference.value().name == "truth [target]"
    low = np.asarray(panel.low.value().data)[0]
    sampled = [layer.data[1, y::4, x::4] for y in range(4) for x in range(4)]
    assert any(np.array_equal(low, one) for one in sampled)


def test_self_test_says_what_is_wrong(viewer, tiny_models, qtbot):
    panel = open_compare(viewer, qtbot)
    panel.self_test.start()
    assert "Choose the image to test" in panel.message.text()
    viewer.add_image(np.zeros((20, 20), np.uint8), name="tiny")
    panel.self_test.start()
    qtbot.waitUntil(lambda: not panel.self_test.runner.running, timeout=WAIT)
    assert panel.message.is_error
    assert "32 x 32 px are the least" in panel.message.text()
    assert len(viewer.layers) == 1
