"""The grid: what is in view stays in view, and nothing flashes by."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari_srgan._gui.parts.grid import turn_grid, view_kept


@pytest.fixture
def scan(viewer):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400)).astype(np.uint8)
    return viewer.add_image(pixels, name="scan")


@pytest.mark.napari_window
def test_the_first_picture_of_new_cells_is_the_one_that_stays(viewer, scan, qtbot):
    viewer.add_image(scan.data, name="result")
    qtbot.wait(50)

    def settled():
        first = viewer.screenshot(canvas_only=True, flash=False)
        qtbot.wait(50)
        viewer.screenshot(canvas_only=True, flash=False)
        last = viewer.screenshot(canvas_only=True, flash=False)
        np.testing.assert_array_equal(first, last)

    turn_grid(viewer, True, scan)
    settled()
    with view_kept(viewer, scan):
        viewer.add_image(scan.data, name="second result")
    settled()


def test_the_way_back_leads_to_where_it_began(viewer, scan):
    viewer.add_image(scan.data, name="result")
    viewer.canvas.size = (600, 800)
    scan.corner_pixels = np.array([[100, 100], [130, 140]])  # zoomed in
    camera = viewer.scene.camera
    camera.zoom, camera.center = 20, (0, 115, 120)
    for _ in range(3):
        turn_grid(viewer, True, scan)
        assert camera.zoom == 10
        turn_grid(viewer, False, scan)
        assert camera.zoom == 20
    assert camera.center == (0, 115, 120)


def test_who_sees_the_whole_image_sees_it_whole_with_any_number_of_cells(viewer, scan):
    viewer.canvas.size = (600, 800)
    scan.corner_pixels = np.array([[0, 0], [300, 400]])
    viewer.canvas.grid.enabled = True
    for number in range(6):
        with view_kept(viewer, scan):
            viewer.add_image(scan.data, name=str(number))
        cell = viewer.canvas.viewbox_size(viewer.layers)
        zoom = viewer.scene.camera.zoom
        assert 300 * zoom <= cell[0] and 400 * zoom <= cell[1]
        assert 300 * zoom > 0.9 * cell[0] or 400 * zoom > 0.9 * cell[1]
