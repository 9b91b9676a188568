"""Trust in the Super-resolve panel: its number, its maps and back-projection, as a user clicks."""

import dataclasses

import numpy as np
import pytest
import small_models
from panels import open_super_resolve

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from qtpy.QtCore import Qt

from napari_srgan._gui.layers import layer_axes
from napari_srgan.image.resampling import bicubic_shrink
from napari_srgan.models.catalogue import load_model, save_model
from napari_srgan.trust.calibration import NAME, Calibration, keep_calibrations
from napari_srgan.trust.consistency import LEGEND, consistency
from napari_srgan.trust.invention import invention
from napari_srgan.trust.operators import Operator
from napari_srgan.trust.scores import detail_score

WAIT = 120_000
BICUBIC = Operator("bicubic", (4, 4))


@pytest.fixture
def viewer(viewer, tmp_path, monkeypatch):
    base = load_model(small_models.save(tmp_path, "srresnet-tiny", 1))
    small_models.save(tmp_path, "tiny-rgb", 3)
    small_models.save(tmp_path, "srgan-tiny", 1, features=5, **small_models.PERCEPTUAL)
    card = dataclasses.replace(base.card, name="restore-tiny", degradation="measured")
    save_model(tmp_path / "restore-tiny.safetensors", base.network, card)
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    return viewer


@pytest.fixture
def panel(viewer, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    panel.advanced.options["device"].value = "cpu"
    return panel


def image(*shape, dtype=np.uint8, seed=0):
    top = 255 if dtype == np.uint8 else 4095
    return np.random.default_rng(seed).integers(0, top + 1, shape).astype(dtype)


def press(qtbot, panel, button):
    """Press a button that starts work, wait for its end, return the new layers."""
    panel.refresh()  # the choices are followed after a moment
    before = set(panel.viewer.layers)
    assert button.isEnabled()
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    return [layer for layer in panel.viewer.layers if layer not in before]


def restore(qtbot, panel, layer, model="srgan-tiny"):
    assert panel.choose_layer(layer)
    assert panel.model.box.choose(model)
    (made,) = press(qtbot, panel, panel.run)
    return made


def corners(layer):
    axes = layer_axes(layer).replace("S", "")
    ends = [(0, n) for _, n in zip(axes, layer.data.shape, strict=False)]
    grid = np.array(np.meshgrid(*ends, indexing="ij")).reshape(len(axes), -1).T - 0.5
    return np.array([layer.data_to_world(c) for c in grid])


def test_the_number_is_shown_after_a_run_and_is_right(viewer, panel, qtbot):
    data = image(20, 24)
    made = restore(qtbot, panel, viewer.add_image(data, name="eye"))
    expected = (
        100 * np.sqrt(np.mean((data - bicubic_shrink(made.data, 4).astype(float)) ** 2)) / 255
    )
    record = made.metadata["napari_srgan"]["consistency"]
    assert record["rmse_percent"] == pytest.approx(expected, rel=1e-5)
    text = panel.message.text()
    assert f"Consistency: RMSE {expected:.3g} % of the intensity range" in text
    assert LEGEND in text
    assert panel.trust.isVisibleTo(panel)


def test_the_consistency_map_lies_on_the_input(viewer, panel, qtbot):
    data = image(3, 20, 24, dtype=np.uint16)
    rng = np.random.default_rng(0)
    layer = viewer.add_image(
        data,
        name="eye",
        scale=(9, 2, 3),
        rotate=tuple(rng.uniform(-90, 90, 3)),
        translate=(1, 2, 3),
        units=("um",) * 3,
    )
    made = restore(qtbot, panel, layer)
    assert panel.trust.scope.choose(True)
    (found,) = press(qtbot, panel, panel.trust.buttons["consistency"])
    assert found.name == "consistency (stored values) of eye [srgan-tiny 4x]"
    assert viewer.layers.index(found) == viewer.layers.index(made) + 1
    record = made.metadata["napari_srgan"]
    span = record["intensity_hi"][0] - record["intensity_lo"][0]
    for z in range(3):
        expected = consistency(data[z], made.data[z], BICUBIC, span)
        np.testing.assert_allclose(found.data[z], expected.map, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(corners(found), corners(layer))
    assert found.units == layer.units
    low, high = found.contrast_limits
    assert low == -high and high >= 0.01 * span
    noted = found.metadata["trust_map"]
    assert noted["legend"] == LEGEND and noted["result"] == record
    assert panel.message.text().startswith(f"Consistency of {made.name}: RMS ")
    assert LEGEND in panel.message.text()
    # A map is neither taken for the image to restore nor for a result.
    assert panel.layer.value() is layer
    viewer.layers.selection.active = found
    assert panel.layer.value() is layer
    assert panel.exports.layer is made


def test_the_invention_map_runs_the_fidelity_model_only_if_it_must(viewer, panel, qtbot):
    data = image(2, 20, 24)
    layer = viewer.add_image(data, name="eye")
    made = restore(qtbot, panel, layer)
    viewer.dims.set_point(0, 1)
    (first,) = press(qtbot, panel, panel.trust.buttons["invention"])
    assert first.data.shape == (1, 80, 96)
    fidelity = restore(qtbot, panel, layer, "srresnet-tiny")
    viewer.layers.selection.active = made
    assert panel.exports.layer is made
    seen = []
    panel.runner.stepped.connect(lambda step: seen.append(step.total))
    (second,) = press(qtbot, panel, panel.trust.buttons["invention"])
    assert max(seen) == 1  # one step for the plane, no tile of the fidelity model
    expected = invention(made.data[1], fidelity.data[1], BICUBIC, 255)
    for found in (first, second):
        np.testing.assert_allclose(found.data[0], expected.map, atol=1e-4)
        np.testing.assert_allclose(corners(found)[0], corners(made)[0] + [1, 0, 0])
    assert first.contrast_limits[0] == 0
    assert "srgan-tiny adds to srresnet-tiny" in panel.message.text()


def test_the_spread_map_of_a_region_lies_on_its_result(viewer, panel, qtbot):
    layer = viewer.add_image(image(40, 50), name="s", scale=(2, 3))
    drawn = viewer.add_shapes(
        [[[20, 15], [20, 72], [58, 72], [58, 15]]], shape_type="rectangle", scale=(1, 1)
    )
    assert panel.choose_layer(layer)
    assert panel.region.area.choose(drawn)
    made = restore(qtbot, panel, layer)
    assert made.data.shape != (160, 200)
    (found,) = press(qtbot, panel, panel.trust.buttons["spread"])
    assert found.data.shape == made.data.shape
    np.testing.assert_allclose(corners(found), corners(made))
    assert found.data.max() > 0
    assert "equivariance spread, not truth" in panel.message.text()


def test_rgb_results_have_maps(viewer, panel, qtbot):
    layer = viewer.add_image(image(16, 20, 3), name="tissue", rgb=True)
    made = restore(qtbot, panel, layer, "tiny-rgb")
    (found,) = press(qtbot, panel, panel.trust.buttons["consistency"])
    assert found.data.shape == (16, 20) and not found.rgb
    np.testing.assert_allclose(corners(found), corners(layer))
    (found,) = press(qtbot, panel, panel.trust.buttons["spread"])
    assert found.data.shape == made.data.shape[:2]


def test_of_a_denoiser_it_is_removed_signal(viewer, panel, qtbot):
    restore(qtbot, panel, viewer.add_image(image(20, 24), name="raw"), "restore-tiny")
    assert "Removed signal: RMSE" in panel.message.text()
    assert LEGEND not in panel.message.text()
    assert panel.trust.buttons["consistency"].text() == "Removed signal"
    (found,) = press(qtbot, panel, panel.trust.buttons["consistency"])
    assert found.name == "removed signal (stored values) of raw [restore-tiny 4x]"
    assert "result. It holds" in panel.message.text()
    assert panel.message.text().startswith("Removed signal of raw [restore-tiny 4x]: RMS")
    panel.trust.start("invention")
    assert "cannot see is not known" in panel.message.text() and panel.message.is_error


def test_back_projection_is_off_by_default_and_can_be_chosen(viewer, panel, qtbot):
    data = image(20, 24) // 4 + 90
    layer = viewer.add_image(data, name="eye")
    plain = restore(qtbot, panel, layer)
    assert plain.metadata["napari_srgan"]["back_projection"] is None
    panel.fold.button.setChecked(True)
    panel.advanced.options["back_project"].value = True
    made = restore(qtbot, panel, layer)
    assert np.abs(bicubic_shrink(made.data, 4) - data.astype(float)).max() <= 0.5
    records = [x.metadata["napari_srgan"] for x in (plain, made)]
    assert records[1]["consistency"]["rmse_percent"] == records[0]["consistency"]["rmse_percent"]
    assert "after back-projection" in panel.message.text()
    assert "before" in panel.message.text()
    # A model that it does not fit is refused before the button is pressed.
    assert panel.model.box.choose("restore-tiny")
    panel.refresh()
    assert "cannot be back-projected" in panel.summary.text()
    panel.set_defaults()
    assert not panel.advanced.options["back_project"].value


def test_a_map_can_be_cancelled_and_what_is_missing_is_said(viewer, panel, qtbot):
    layer = viewer.add_image(image(4, 40, 40), name="s")
    made = restore(qtbot, panel, layer)
    panel.trust.scope.choose(True)
    before = list(viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(panel.trust.buttons["spread"], Qt.MouseButton.LeftButton)
        assert not panel.run.isEnabled() and not panel.trust.buttons["spread"].isEnabled()
        panel.runner.cancel()
    assert panel.message.text() == "Cancelled; nothing was kept."
    assert list(viewer.layers) == before
    assert panel.run.isEnabled() and panel.trust.buttons["spread"].isEnabled()
    made.data = made.data[:, :-4]
    panel.trust.start("consistency")
    assert "does not have the size" in panel.message.text()
    viewer.layers.remove(layer)
    viewer.layers.selection.active = made
    panel.trust.start("consistency")
    assert "is not open" in panel.message.text()


def test_the_report_of_a_result_is_written_by_the_panels_worker(viewer, panel, qtbot, tmp_path):
    source = viewer.add_image(image(40, 48), name="slice")
    assert panel.report.isHidden()
    restore(qtbot, panel, source)
    panel.refresh()
    assert not panel.report.isHidden()
    panel.report.report_to(tmp_path / "page.html")
    assert panel.report.running and not panel.run.isEnabled()
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        pass
    assert panel.message.text() == f"Wrote {tmp_path / 'page.html'}."
    assert panel.run.isEnabled() and not panel.report.running
    assert "srgan-tiny" in (tmp_path / "page.html").read_text("utf-8")


def test_invention_is_offered_only_where_it_can_be_made(viewer, panel, qtbot):
    layer = viewer.add_image(image(20, 24), name="eye")
    button = panel.trust.buttons["invention"]
    for model, offered in (
        ("srgan-tiny", True),  # there is srresnet-tiny, of its channels, scale and degradation
        ("restore-tiny", False),  # what its measurement cannot see is not known
    ):
        made = restore(qtbot, panel, layer, model)
        assert panel.result.value() is made
        assert button.isVisibleTo(panel) == offered
    record = dict(made.metadata["napari_srgan"]) | {"model": "gone"}
    viewer.add_image(made.data, name="other", metadata={"napari_srgan": record})
    panel.result.choose(viewer.layers["other"])
    assert not button.isVisibleTo(panel)


def test_trusted_pixels_are_shown_where_the_model_is_calibrated(viewer, panel, qtbot, tmp_path):
    made = restore(qtbot, panel, viewer.add_image(image(2, 20, 24), name="eye"))
    trusted = panel.trust.buttons["trusted"]
    assert not trusted.isVisibleTo(panel), "nothing is calibrated"
    model = load_model("srgan-tiny")
    score = detail_score(made.data[0], 255)
    known = Calibration(
        model="srgan-tiny",
        sha256=model.sha256,
        kind=made.metadata["napari_srgan"]["kind"],
        score="detail",
        threshold=float(np.median(score)),
        alpha=0.1,
        tolerance=5.0,
        images=20,
        share=0.5,
        typical=((0.01, 100.0),) * 3,
        degradation="bicubic",
    )
    keep_calibrations(tmp_path / NAME, [known])
    panel.trust.show_layer(made)
    assert trusted.isVisibleTo(panel)
    viewer.dims.set_current_step(0, 0)
    (layer,) = press(qtbot, panel, trusted)
    np.testing.assert_array_equal(layer.data[0], score <= known.threshold)
    assert tuple(layer.contrast_limits) == (0, 1)
    text = panel.message.text()
    assert "50.0 % of the pixels" in text and known.sentence in text
    assert known.sentence in layer.metadata["trust_map"]["legend"]
    far = dataclasses.replace(known, typical=((0.01, 0.02),) * 3)
    keep_calibrations(tmp_path / NAME, [far])
    qtbot.mouseClick(trusted, Qt.MouseButton.LeftButton)  # up, and down again
    press(qtbot, panel, trusted)
    assert "its guarantee does not hold here" in panel.message.text()
