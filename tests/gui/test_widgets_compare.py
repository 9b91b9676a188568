"""Compare beside a viewer: the readout, the table, the whole stack, files and bad input."""

import csv
import math
import time

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_compare, open_super_resolve
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_srgan._gui.compare.panel import Compare

WAIT = 60_000


def settled(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.busy, timeout=WAIT)


def shown(panel, row, measure, where=None):
    return panel.table.cell(row, measure, where).text()


def ssim_of(first, second, span=255):
    """Wang's settings, by scikit-image itself."""
    return structural_similarity(
        first.astype(float),
        second.astype(float),
        data_range=span,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def tick(panel, layer):
    """Click on the box in front of a name, as a user does."""
    names = [panel.candidates.item(r).text() for r in range(panel.candidates.count())]
    item = panel.candidates.item(names.index(layer.name))
    at = panel.candidates.visualItemRect(item)
    where = QPoint(at.left() + 10, at.center().y())
    QTest.mouseClick(panel.candidates.viewport(), Qt.MouseButton.LeftButton, pos=where)


@pytest.fixture
def panel(viewer, qtbot):
    return open_compare(viewer, qtbot)


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (3, 12, 14)).astype(np.uint8)
    return np.repeat(np.repeat(smooth, 4, 1), 4, 2)


def three(viewer, truth):
    """Reference, two candidates of which the second is the better, and the LR input."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, truth.shape)
    bad = np.clip(truth + 20 * noise, 0, 255).astype(np.uint8)
    good = np.clip(truth + 5 * noise, 0, 255).astype(np.uint8)
    low = viewer.add_image(truth[:, ::4, ::4], name="low", scale=(1, 4, 4), translate=(0, 1.5, 1.5))
    return (
        viewer.add_image(truth, name="truth"),
        viewer.add_image(bad, name="bad"),
        viewer.add_image(good, name="good"),
        low,
    )


def choose(qtbot, panel, reference, candidates, low=None):
    panel.reference.choose(reference)
    settled(qtbot, panel)
    for layer in candidates:
        tick(panel, layer)
    if low is not None:
        panel.low.choose(low)
    settled(qtbot, panel)


def test_figures_follow_the_slider(viewer, panel, qtbot):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (3, 32, 32)).astype(np.uint8)
    other = truth.copy()
    other[2] //= 2
    reference = viewer.add_image(truth, name="truth")
    candidate = viewer.add_image(other, name="result")
    low = viewer.add_image(truth[:, ::4, ::4], name="low", scale=(1, 4, 4), translate=(0, 1.5, 1.5))
    viewer.dims.set_point(0, 0)
    choose(qtbot, panel, reference, [candidate], low)
    assert shown(panel, "result", "psnr") == "∞"
    assert shown(panel, "result", "ssim") == "1.0000"
    assert float(shown(panel, "bicubic", "psnr")) < 30
    assert "Z = 0" in panel.where.text()
    assert "data range 255" in panel.where.text()
    assert panel.message.text() == ""
    viewer.dims.set_point(0, 2)
    assert panel.table.cell("result", "ssim").stale, "old figures must turn grey at once"
    gray = panel.table.cell("result", "ssim").foreground()
    assert gray.style() != Qt.BrushStyle.NoBrush
    assert 100 < gray.color().lightness() < 180
    settled(qtbot, panel)
    assert not panel.table.cell("result", "ssim").stale
    assert panel.table.cell("result", "ssim").foreground().style() == Qt.BrushStyle.NoBrush
    psnr = peak_signal_noise_ratio(truth[2], other[2], data_range=255)
    assert shown(panel, "result", "psnr") == f"{psnr:.2f}"
    assert shown(panel, "result", "ssim") == f"{ssim_of(truth[2], other[2]):.4f}"


def test_every_measure_beside_an_independent_one(viewer, panel, qtbot):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4096, (2, 200, 190)).astype(np.uint16)
    other = np.clip(truth + rng.normal(0, 300, truth.shape), 0, 65535).astype(np.uint16)
    low, high = int(truth.min()), int(truth.max())
    for box in panel.measures.boxes.values():
        box.setChecked(True)
    viewer.dims.set_point(0, 0)
    choose(qtbot, panel, viewer.add_image(truth), [viewer.add_image(other, name="other")])
    viewer.dims.set_point(0, 1)
    settled(qtbot, panel)
    assert f"data range {high - low}" in panel.where.text(), "that of the whole stack"
    error = truth[1].astype(float) - other[1]
    for measure, value in (
        ("psnr", peak_signal_noise_ratio(truth[1], other[1], data_range=high - low)),
        ("ssim", ssim_of(truth[1], other[1], high - low)),
        ("mse", np.mean(error**2)),
        ("rmse", np.sqrt(np.mean(error**2))),
        ("mae", np.mean(np.abs(error))),
        ("pearson", np.corrcoef(truth[1].ravel(), other[1].ravel())[0, 1]),
    ):
        assert panel.table.cell("other", measure).value == pytest.approx(value, rel=1e-6), measure
    assert 0 < panel.table.cell("other", "ms_ssim").value < 1


def test_ssim_in_bands_is_ssim_of_the_whole(viewer, panel, qtbot):
    """More rows than a band, and not a multiple of it; a border is cut as well."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (333, 40)).astype(np.uint8)
    other = np.clip(truth + rng.normal(0, 40, truth.shape), 0, 255).astype(np.uint8)
    choose(qtbot, panel, viewer.add_image(truth), [viewer.add_image(other, name="other")])
    assert panel.table.cell("other", "ssim").value == pytest.approx(ssim_of(truth, other), abs=1e-9)
    panel.settings.border.setValue(7)
    qtbot.waitUntil(lambda: not panel.busy and "7 px" in panel.where.text(), timeout=WAIT)
    cut = np.s_[7:-7, 7:-7]
    wanted = ssim_of(truth[cut], other[cut])
    assert panel.table.cell("other", "ssim").value == pytest.approx(wanted, abs=1e-9)


def test_the_lr_input_is_found_from_the_result(viewer, tiny_models, qtbot):
    small = np.random.default_rng(0).integers(0, 256, (2, 16, 16)).astype(np.uint8)
    low = viewer.add_image(small, name="low")
    work = open_super_resolve(viewer, qtbot)
    work.choose_layer(low)
    work.model.box.choose("tiny-gray")
    with qtbot.waitSignal(work.runner.ended, timeout=120_000):
        work.start()
    truth = np.repeat(np.repeat(small, 4, 1), 4, 2)
    reference = viewer.add_image(truth, scale=(1, 0.25, 0.25), translate=(0, -0.375, -0.375))
    panel = open_compare(viewer, qtbot)
    assert [la.name for la in panel.candidates.ticked()] == ["low [tiny-gray 4x]"]
    settled(qtbot, panel)
    assert panel.reference.value() is reference, "the one image of its size needs no choosing"
    assert panel.low.value() is low
    result = "low [tiny-gray 4x]"
    assert float(shown(panel, "bicubic", "psnr")) > float(shown(panel, result, "psnr"))
    assert panel.message.text() == ""


def test_a_result_made_later_is_ticked(viewer, panel, qtbot):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    first = viewer.add_image(pixels, name="first")
    made = viewer.add_image(pixels, name="made", metadata={"napari_srgan": {"model": "m"}})
    settled(qtbot, panel)
    assert panel.candidates.ticked() == [made]
    assert panel.reference.value() is first
    assert "LR input" in panel.message.text()
    # A tick that was taken away stays away, whatever is opened later.
    tick(panel, made)
    viewer.add_image(pixels, name="second")
    settled(qtbot, panel)
    assert panel.candidates.ticked() == []
    # Two that fit: the choice is the user's.
    panel.reference.setCurrentIndex(0)
    tick(panel, made)
    settled(qtbot, panel)
    assert panel.reference.value() is None


def test_sort_copy_and_save(viewer, panel, qtbot, truth, tmp_path, monkeypatch):
    reference, bad, good, low = three(viewer, truth)
    choose(qtbot, panel, reference, [good, bad], low)

    def order():
        return [panel.table.item(r, 0).text() for r in range(panel.table.rowCount())]

    assert order() == ["good", "bad", "bicubic"]
    header = panel.table.horizontalHeader()

    def click_head(column):
        x = header.sectionViewportPosition(column) + header.sectionSize(column) // 2
        QTest.mouseClick(
            header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, header.height() // 2)
        )

    click_head(2)
    values = [panel.table.item(r, 2).value for r in range(3)]
    assert values == sorted(values, reverse=True), "the best PSNR first"
    assert order()[0] == "good"
    click_head(2)
    assert order()[-1] == "good"
    viewer.dims.set_point(0, 0)
    settled(qtbot, panel)
    assert order()[-1] == "good", "sorted still, after new figures"
    click_head(0)
    assert order() == ["bad", "bicubic", "good"]

    click(panel.copy)
    lines = [line.split("\t") for line in QApplication.clipboard().text().splitlines()]
    assert lines[0] == ["Candidate", "Slice", "PSNR", "SSIM"]
    assert [line[0] for line in lines[1:]] == ["bad", "bicubic", "good"]
    wanted = peak_signal_noise_ratio(truth[0], good.data[0], data_range=255)
    assert float(lines[3][2]) == pytest.approx(wanted, rel=1e-5)
    panel.table.selectRow(1)
    QTest.keyClick(panel.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QApplication.clipboard().text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("bicubic\tZ=0\t")

    path = tmp_path / "figures.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(path), ""))
    click(panel.save)
    with path.open(encoding="utf-8") as file:
        rows = {row["candidate"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"good", "bad", "bicubic"}
    assert float(rows["good"]["psnr"]) == pytest.approx(wanted, rel=1e-12)
    assert rows["good"]["data_range"] == "255.0"
    assert rows["good"]["reference"] == "truth"


def test_the_whole_stack(viewer, panel, qtbot, truth, tmp_path):
    reference, bad, good, low = three(viewer, truth)
    good.data = np.concatenate([truth[:1], good.data[1:]])  # slice 0 equals the reference
    choose(qtbot, panel, reference, [good, bad], low)
    click(panel.stack.button)
    qtbot.waitUntil(lambda: panel.stack.comparison is not None, timeout=WAIT)
    error = np.mean((truth.astype(float) - good.data) ** 2)
    assert panel.table.cell("good", "psnr", "all").value == pytest.approx(
        10 * math.log10(255**2 / error)
    )
    each = [peak_signal_noise_ratio(truth[z], good.data[z], data_range=255) for z in (1, 2)]
    assert panel.table.cell("good", "psnr_mean", "all").value == pytest.approx(np.mean(each))
    assert shown(panel, "good", "psnr_infinite", "all") == "1"
    assert shown(panel, "bicubic", "psnr_infinite", "all") == "0"
    assert panel.stack.plot.isVisible()
    curves = {curve.name: curve for curve in panel.stack.plot.curves}
    assert set(curves) == {"good", "bad", "bicubic"}
    assert curves["bicubic"].dashed
    assert not curves["bad"].dashed
    assert list(curves["bad"].x) == [0, 1, 2]
    psnr = peak_signal_noise_ratio(truth[1], bad.data[1], data_range=255)
    assert curves["bad"].y[1] == pytest.approx(psnr)

    # The slice in view is marked, and a click goes to another one.
    viewer.dims.set_point(0, 1)
    assert panel.stack.plot.marked == 1
    at = QPointF(panel.stack.plot.x_at(2.0), panel.stack.plot.height() / 3).toPoint()
    QTest.mouseClick(panel.stack.plot, Qt.MouseButton.LeftButton, pos=at)
    assert viewer.dims.point[0] == 2
    assert panel.stack.plot.marked == 2
    panel.stack.measure.choose("ssim")
    curves = {curve.name: curve for curve in panel.stack.plot.curves}
    assert curves["bad"].y[2] == pytest.approx(ssim_of(truth[2], bad.data[2]))

    panel.save_to(tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 + 3 * 3
    # Figures of other choices are not kept.
    tick(panel, bad)
    settled(qtbot, panel)
    assert panel.stack.comparison is None
    assert not panel.stack.plot.isVisible()


def test_figures_of_the_whole_stack_go_when_pixels_change(viewer, panel, qtbot, truth):
    reference, bad, good, low = three(viewer, truth)
    choose(qtbot, panel, reference, [good, bad], low)
    click(panel.stack.button)
    qtbot.waitUntil(lambda: panel.stack.comparison is not None, timeout=WAIT)
    settled(qtbot, panel)
    assert panel.stack.comparison is not None
    good.data = good.data // 2
    qtbot.waitUntil(lambda: panel.stack.comparison is None, timeout=WAIT)
    with pytest.raises(KeyError):
        panel.table.cell("good", "psnr", "all")


def test_the_whole_stack_can_be_cancelled(viewer, panel, qtbot):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (40, 200, 200)).astype(np.uint8)
    choose(qtbot, panel, viewer.add_image(data), [viewer.add_image(255 - data, name="other")])
    click(panel.stack.button)
    qtbot.waitUntil(lambda: panel.stack.runner.bar.value() >= 1, timeout=WAIT)
    click(panel.stack.runner.cancel_button)
    qtbot.waitUntil(lambda: not panel.stack.runner.running, timeout=WAIT)
    assert panel.stack.comparison is None
    assert "Cancelled" in panel.message.text()
    assert panel.stack.button.isEnabled()


def test_bicubic_of_a_result_of_a_region(viewer, panel, qtbot):
    """Enlarged whole and cut then: the part beside the cut is as in the whole image."""
    from napari_srgan.image.resampling import bicubic_enlarge

    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (2, 24, 24)).astype(np.uint8)
    low = viewer.add_image(small, name="low")
    large = np.stack([bicubic_enlarge(plane, 4) for plane in small])
    part = np.clip(np.rint(large), 0, 255).astype(np.uint8)[:, 16:80, 8:72]
    region = {"Z": (0, 2), "Y": (4, 20), "X": (2, 18)}
    made = viewer.add_image(
        part,
        name="result",
        metadata={
            "napari_srgan": {"model": "m"},
            "napari_srgan_input": {"id": str(low.unique_id), "region": region, "scale": (4, 4)},
        },
    )
    reference = viewer.add_image(part, name="truth")
    choose(qtbot, panel, reference, [])
    assert panel.candidates.ticked() == [made]
    assert panel.low.value() is low
    assert shown(panel, "bicubic", "psnr") == "∞"
    click(panel.stack.button)
    qtbot.waitUntil(lambda: panel.stack.comparison is not None, timeout=WAIT)
    assert shown(panel, "bicubic", "psnr_infinite", "all") == "2"


def test_colours_and_the_y_channel(viewer, panel, qtbot):
    from skimage.color import rgb2ycbcr

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    other = np.clip(truth + rng.normal(0, 20, truth.shape), 0, 255).astype(np.uint8)
    choose(qtbot, panel, viewer.add_image(truth), [viewer.add_image(other, name="other")])
    rgb = peak_signal_noise_ratio(truth, other, data_range=255)
    assert panel.table.cell("other", "psnr").value == pytest.approx(rgb)
    panel.settings.mode.choose("y")
    qtbot.waitUntil(lambda: not panel.busy and "Y channel" in panel.where.text(), timeout=WAIT)
    first, second = (rgb2ycbcr(a)[..., 0] for a in (truth, other))
    wanted = peak_signal_noise_ratio(first, second, data_range=255)
    assert panel.table.cell("other", "psnr").value == pytest.approx(wanted, abs=0.01)


def test_bad_input_is_answered_in_the_panel(viewer, panel, qtbot):
    assert "Choose a reference" in panel.message.text()
    truth = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)
    reference = viewer.add_image(truth, name="truth")
    other = viewer.add_image(truth[:, :15], name="cropped")
    choose(qtbot, panel, reference, [other])
    assert panel.message.is_error
    assert "32 x 32" in panel.message.text()
    assert shown(panel, "cropped", "psnr") == "–"
    # The others are measured all the same.
    holed = truth.copy()
    holed[1, 3, 4] = np.nan
    nan = viewer.add_image(holed, name="holed", contrast_limits=(0, 1))
    fine = viewer.add_image(truth, name="fine")
    settled(qtbot, panel)
    for layer in (other, nan, fine):
        tick(panel, layer)
    viewer.dims.set_point(0, 1)
    settled(qtbot, panel)
    assert "holed holds 1 NaN" in panel.message.text()
    assert "Z=1" in panel.message.text()
    assert shown(panel, "fine", "psnr") == "∞"
    viewer.dims.set_point(0, 0)
    settled(qtbot, panel)
    assert not panel.message.is_error
    assert shown(panel, "holed", "psnr") == "∞"
    click(panel.stack.button)
    qtbot.waitUntil(lambda: panel.message.is_error, timeout=WAIT)
    assert "holed" in panel.message.text()


def test_a_constant_reference_needs_a_range_by_hand(viewer, panel, qtbot):
    flat = np.full((32, 32), 7, np.uint16)
    choose(qtbot, panel, viewer.add_image(flat, name="flat"), [viewer.add_image(flat + 1)])
    assert panel.message.is_error
    assert "flat is constant" in panel.message.text()
    panel.settings.span.setText("nothing")
    panel.settings.span.editingFinished.emit()
    settled(qtbot, panel)
    assert "not a number above 0" in panel.message.text()
    panel.settings.span.setText("100")
    panel.settings.span.editingFinished.emit()
    settled(qtbot, panel)
    assert panel.table.item(0, 2).value == pytest.approx(40)
    assert "data range 100" in panel.where.text()


def test_new_pixels_are_measured(viewer, panel, qtbot):
    data = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    other = viewer.add_image(data, name="other")
    choose(qtbot, panel, viewer.add_image(data, name="truth"), [other])
    assert shown(panel, "other", "psnr") == "∞"
    other.data = 255 - data
    qtbot.waitUntil(lambda: not panel.busy and shown(panel, "other", "psnr") != "∞", timeout=WAIT)


def test_a_slow_measurement_does_not_block_the_slider(viewer, panel, qtbot, monkeypatch):
    from napari_srgan._gui.compare import slice_figures

    asked = []

    def slow(pixels, ranges):
        asked.append(pixels.question.reference.index)
        for _ in range(10):
            time.sleep(0.05)
            yield None
        yield from original(pixels, ranges)

    original = slice_figures.slow
    monkeypatch.setattr(slice_figures, "slow", slow)
    data = np.random.default_rng(0).integers(0, 256, (9, 32, 32)).astype(np.uint8)
    choose(qtbot, panel, viewer.add_image(data, name="a"), [viewer.add_image(data, name="b")])
    asked.clear()
    for z in (5, 6, 7, 8):
        viewer.dims.set_point(0, z)
    qtbot.waitUntil(lambda: not panel.table.cell("b", "psnr").stale, timeout=WAIT)
    assert panel.table.cell("b", "ssim").stale, "PSNR must not wait for SSIM"
    settled(qtbot, panel)
    assert asked[-1] == (8,)
    assert len(asked) <= 3, "positions that the slider only passed are not measured"
    assert not panel.table.cell("b", "ssim").stale
    assert "Z = 8" in panel.where.text()


@pytest.mark.napari_window
def test_a_closed_panel_lets_go(viewer, qtbot):
    data = np.zeros((3, 64, 64), np.uint8)
    panel = Compare(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Compare (SRGAN upscale)")
    viewer.add_image(data)
    before = len(viewer.dims.events.current_step.callbacks)
    viewer.window.remove_dock_widget(dock)
    assert len(viewer.dims.events.current_step.callbacks) < before
    viewer.dims.set_point(0, 2)
    assert not panel.busy


def test_gray_stored_as_rgb_is_compared_with_gray_as_gray(viewer, panel, qtbot):
    """The command took such a pair, and the panel refused it."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.repeat(rng.integers(0, 256, (2, 32, 40)), 4, 1), 4, 2).astype(np.uint8)
    result = np.clip(truth + rng.normal(0, 9, truth.shape), 0, 255).astype(np.uint8)
    stored = viewer.add_image(np.stack([truth] * 3, -1), rgb=True, name="stored as RGB")
    made = viewer.add_image(result, name="result")
    low = viewer.add_image(np.stack([truth[:, ::4, ::4]] * 3, -1), rgb=True, name="low")
    choose(qtbot, panel, stored, [made], low)
    assert not panel.message.is_error
    psnr = peak_signal_noise_ratio(truth[0], result[0], data_range=255)
    assert panel.table.cell("result", "psnr").value == pytest.approx(psnr)
    assert panel.table.cell("bicubic", "psnr").value is not None
    with qtbot.waitSignal(panel.stack.runner.ended, timeout=WAIT):
        click(panel.stack.button)
    whole = panel.table.cell("result", "psnr", "all").value
    assert whole == pytest.approx(peak_signal_noise_ratio(truth, result, data_range=255))
    with qtbot.waitSignal(panel.views.runner.ended, timeout=WAIT):
        click(panel.views.difference)
    difference = next(la for la in viewer.layers if " - " in la.name)
    np.testing.assert_array_equal(np.asarray(difference.data), result - truth.astype(np.float32))


def test_colours_beside_gray_are_refused_in_a_sentence(viewer, panel, qtbot):
    rng = np.random.default_rng(0)
    colours = viewer.add_image(rng.integers(0, 256, (32, 40, 3)).astype(np.uint8), rgb=True)
    gray = viewer.add_image(rng.integers(0, 256, (32, 40)).astype(np.uint8), name="gray")
    choose(qtbot, panel, colours, [gray])
    assert panel.message.is_error and "choose two images of the same kind" in panel.message.text()
