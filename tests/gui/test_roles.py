"""What each layer is taken for: what is offered as an image, and which result is acted on."""

import math

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.layers import Image
from panels import open_compare, open_super_resolve
from qtpy.QtWidgets import QApplication

from napari_srgan._gui.compare.views import bicubic_layer
from napari_srgan._gui.docks import super_resolve_active_layer
from napari_srgan._gui.files import read, write_image
from napari_srgan._gui.super_resolve.panel import ONLY_RESULTS
from napari_srgan._gui.tags import role_of, role_tag

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    return open_super_resolve(viewer, qtbot)


@pytest.fixture
def scan(viewer):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 32)).astype(np.uint8)
    return viewer.add_image(pixels, name="scan", axis_labels=("z", "y", "x"))


def run(qtbot, panel, start=None, model="tiny-gray"):
    """Run, and return the new layers from bottom to top."""
    panel.model.box.choose(model)
    panel.refresh()
    before = list(panel.viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        (start or panel.start)()
    return [layer for layer in panel.viewer.layers if layer not in before]


def offered(picker):
    return [picker.itemText(i) for i in range(picker.count())]


def test_only_inputs_are_offered_whatever_is_made_and_selected(viewer, panel, scan, qtbot):
    (result,) = run(qtbot, panel)
    (preview,) = run(qtbot, panel, panel.start_preview)
    (trust,) = run(qtbot, panel, lambda: panel.trust.start("consistency"))
    compare = open_compare(viewer, qtbot)
    truth = viewer.add_image(result.data + 1, name="truth")
    compare.reference.choose(truth)
    compare.candidates.tick(preview, False)
    compare.low.choose(scan)
    compare.refresh()
    with qtbot.waitSignal(compare.maps.runner.ended, timeout=WAIT):
        compare.maps.map_errors()
    with qtbot.waitSignal(compare.views.runner.ended, timeout=WAIT):
        compare.views.subtract()
    bicubic = bicubic_layer(viewer, compare.request())
    roles = {layer.name: role_of(layer) for layer in viewer.layers}
    assert roles.pop(result.name) == "result" and roles.pop(preview.name) == "preview"
    assert roles.pop(bicubic.name) == "view"
    assert roles.pop("scan") == roles.pop("truth") == "input"
    assert set(roles.values()) == {"map"} and len(roles) >= 4 and trust.name in roles
    panel.layer.choose(scan)
    for layer in viewer.layers:
        viewer.layers.selection.active = layer
        assert panel.layer.value() in (scan, truth)
        assert panel.result.value() in (result, preview)
    assert offered(panel.layer) == ["truth", "scan"]


def test_results_are_offered_on_request(viewer, panel, scan, qtbot):
    (result,) = run(qtbot, panel)
    assert offered(panel.layer) == ["scan"]
    panel.advanced.results.setChecked(True)
    assert offered(panel.layer) == [result.name, "scan"]
    panel.advanced.results.setChecked(False)
    viewer.layers.remove(scan)
    panel.refresh()
    assert panel.summary.text() == ONLY_RESULTS and not panel.run.isEnabled()
    assert panel.choose_layer(result)  # asked for by name
    (again,) = run(qtbot, panel)
    assert again.data.shape == (2, 384, 512)
    assert role_of(again) == "result"


def test_a_role_outlives_the_session_but_not_the_map(tmp_path):
    pixels = np.zeros((16, 16), np.uint8)
    made = {
        "map": role_tag("map"),
        "preview": role_tag("preview") | {"napari_srgan": {"model": "m"}},
    }
    found = {}
    for name, metadata in made.items():
        path = str(tmp_path / f"{name}.tif")
        write_image(path, pixels, {"name": name, "metadata": metadata})
        ((data, attributes, _),) = read(path)
        found[name] = role_of(Image(data, metadata=attributes["metadata"]))
    assert found == {"map": "map", "preview": "result"}  # it was saved: it is no passing look


@pytest.mark.napari_window
def test_the_menu_entry_names_a_map_instead_of_restoring_it(viewer, panel, scan, qtbot):
    viewer.add_image(np.zeros((24, 32)), name="difference", metadata=role_tag("map"))
    super_resolve_active_layer(viewer)
    assert "difference" in panel.message.text() and panel.message.is_error
    assert not panel.runner.running


def test_after_a_preview_of_several_models_all_act_on_the_result_that_is_named(
    viewer, panel, scan, qtbot, tmp_path
):
    panel.preview.refresh()
    for action in panel.preview.list.actions():
        action.setChecked(action.text() in ("tiny-gray", "other-gray"))
    made = run(qtbot, panel, panel.start_preview)
    assert len(made) == 2
    assert panel.result.value() is viewer.layers.selection.active is made[-1]
    for number, layer in enumerate(reversed(made)):
        assert panel.result.choose(layer)
        panel.exports.methods.click()
        model = layer.metadata["napari_srgan"]["model"]
        assert model in layer.name and model in QApplication.clipboard().text()
        assert layer.name in panel.report.button.toolTip()
        path = tmp_path / f"{number}.tif"
        panel.exports.save_to(path)
        qtbot.waitUntil(lambda p=path: f"Saved {p.name}" in panel.message.text(), timeout=WAIT)
        ((data, _, _),) = read(str(path))
        np.testing.assert_array_equal(data, layer.data)
        (trust,) = run(qtbot, panel, lambda: panel.trust.start("spread"))
        assert layer.name in trust.name and layer.name in panel.message.text()


def test_the_report_of_compare_is_of_the_result_that_is_named(viewer, panel, scan, qtbot):
    (first,) = run(qtbot, panel)
    (second,) = run(qtbot, panel, model="other-gray")
    compare = open_compare(viewer, qtbot)
    compare.refresh()
    assert offered(compare.reported) == [second.name, first.name]
    assert compare.reported.choose(first)
    assert first.name in compare.report.button.toolTip()
    compare.candidates.tick(first, False)
    compare.refresh()
    assert offered(compare.reported) == [second.name]
    assert second.name in compare.report.button.toolTip()


def test_the_newest_result_and_map_lie_above_the_older_ones(viewer, panel, scan, qtbot):
    other = viewer.add_image(np.zeros((5, 5), np.uint8), name="other")
    panel.choose_layer(scan)
    (first,) = run(qtbot, panel)
    (trust,) = run(qtbot, panel, lambda: panel.trust.start("spread"))
    panel.trust.overlay.let_stay()
    (second,) = run(qtbot, panel, model="other-gray")
    panel.result.choose(first)
    (late,) = run(qtbot, panel, lambda: panel.trust.start("spread"))
    assert list(viewer.layers) == [scan, first, trust, second, late, other]


def test_a_sentence_goes_when_what_it_speaks_of_goes(viewer, panel, scan, qtbot):
    (result,) = run(qtbot, panel)
    assert panel.message.text().startswith("Done in")
    panel.refresh()
    assert panel.message.text().startswith("Done in")
    viewer.layers.remove(result)
    panel.refresh()
    assert panel.message.text() == ""
    run(qtbot, panel)
    assert panel.message.text().startswith("Done in")
    viewer.add_image(np.zeros((24, 32), np.uint8), name="another")
    panel.refresh()
    assert panel.layer.value().name == "another" and panel.message.text() == ""


def test_a_result_of_one_slice_leaves_no_black_cell_on_the_others(viewer, panel, scan, qtbot):
    panel.region.slices.choose("view")
    viewer.dims.set_current_step(0, 1)
    (result,) = run(qtbot, panel)
    assert result.data.shape[0] == 1 and viewer.canvas.grid.enabled

    def cells():
        return math.prod(viewer.canvas.grid.actual_shape(viewer.layers))

    assert cells() == 2
    zoom = viewer.scene.camera.zoom
    viewer.dims.set_current_step(0, 0)
    assert cells() == 1 and scan.visible
    viewer.dims.set_current_step(0, 1)
    assert cells() == 2 and result.visible
    assert viewer.scene.camera.zoom == zoom
    viewer.dims.set_current_step(0, 0)
    viewer.canvas.grid.enabled = False  # what is hidden comes back
    assert result.visible
