"""The curtain in a real window: what is drawn on either side of the line, and what is left."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_srgan._gui.parts.curtain import BICUBIC, Curtain
from napari_srgan.errors import InputError
from napari_srgan.image.resampling import bicubic_enlarge

pytestmark = pytest.mark.napari_window
LEFT, BOTH, RIGHT = Qt.MouseButton.LeftButton, 90, 200
WAIT = 60_000


def canvas(viewer):
    return viewer.window._qt_viewer.canvas.native


def picture(viewer):
    """What the canvas draws, in one number a pixel."""
    for _ in range(3):
        QApplication.processEvents()
    return viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)


def flat(viewer, level, **arguments):
    """A layer that covers the canvas at any place looked at."""
    data = np.full((64, 64, 64), level, np.uint8)
    return viewer.add_image(data, contrast_limits=(0, 255), **arguments)


@pytest.fixture
def pair(viewer):
    left, right = flat(viewer, BOTH, name="before"), flat(viewer, RIGHT, name="after")
    viewer.scene.camera.zoom = 40
    return left, right


def edge(row):
    """Where along a row of the picture the right side begins."""
    assert set(row.tolist()) <= {BOTH, RIGHT}
    assert np.all(np.diff(row) >= 0)
    return int((row == BOTH).sum())


def test_the_line_stands_still_on_the_screen(viewer, pair):
    curtain = Curtain(viewer)
    curtain.open([pair[0]], [pair[1]])
    width = picture(viewer).shape[1]
    for position, move in (
        (0.5, lambda: None),
        (0.5, lambda: setattr(viewer.scene.camera, "zoom", 60)),
        (0.5, lambda: setattr(viewer.scene.camera, "center", (0, 30, 36))),
        (0.5, lambda: viewer.dims.set_current_step(0, 2)),
        (0.5, lambda: (viewer.dims.transpose(), setattr(viewer.scene.camera, "zoom", 40))),
        (0.25, lambda: curtain.move_to(0.25)),
        (0.0, lambda: curtain.move_to(-3)),
        (1.0, lambda: curtain.move_to(1)),
    ):
        move()
        row = picture(viewer)[100, :, 0]
        assert edge(row) == pytest.approx(position * width, abs=1)
    # A picture that is larger than the canvas is cut at the same part of its width.
    curtain.move_to(0.25)
    large = viewer.screenshot(canvas_only=True, flash=False, scale=2)[150, :, 0].astype(int)
    assert edge(large) == pytest.approx(0.25 * large.size, abs=2)


def test_a_layer_that_gets_other_graphics_is_cut_again(viewer, pair):
    """napari draws other dtypes with other nodes."""
    curtain = Curtain(viewer)
    curtain.open([pair[0]], [pair[1]])
    picture(viewer)
    node = viewer.window._qt_viewer.canvas.layer_to_visual[pair[1]].node
    pair[1].data = np.full((64, 64, 64), RIGHT, np.float32)
    viewer.dims.ndisplay = 3  # closes the curtain
    assert not curtain.is_open
    viewer.dims.ndisplay = 2
    curtain.open([pair[0]], [pair[1]])
    viewer.scene.camera.zoom = 40
    viewer.scene.camera.center = (0, 31, 31)
    row = picture(viewer)[100, :, 0]
    assert edge(row) == pytest.approx(row.size / 2, abs=1)
    curtain.close()
    assert node is not None


def test_images_drawn_in_tiles_are_cut(viewer, pair, monkeypatch):
    """An image that is larger than the graphics card's textures is many graphics."""
    from napari._vispy.layers.tiled_image import TiledImageNode

    visual = viewer.window._qt_viewer.canvas.layer_to_visual[pair[1]]
    tiled = TiledImageNode(np.zeros((64, 64), np.uint8), tile_size=24, texture_format="auto")
    monkeypatch.setattr(visual._layer_node, "get_node", lambda *_: tiled)
    pair[1].refresh()
    assert visual.node is tiled and len(tiled.adopted_children) == 9
    curtain = Curtain(viewer)
    curtain.open([pair[0]], [pair[1]])
    row = picture(viewer)[100, :, 0]
    middle = row.size // 2
    assert set(row[: middle - 1].tolist()) == {BOTH}
    assert BOTH not in row[middle + 1 :]
    curtain.close()
    assert BOTH not in picture(viewer)[100, :, 0]


def test_colours_and_channels_on_a_light_canvas(viewer):
    """RGB beside two channels that add up; those would be white if they were added to it."""
    viewer.theme = "light"
    before = viewer.add_image(np.full((64, 64, 3), (200, 40, 90), np.uint8))
    red, green = (
        viewer.add_image(
            np.full((64, 64), level, np.uint8),
            colormap=colour,
            blending="additive",
            contrast_limits=(0, 255),
        )
        for level, colour in ((120, "red"), (60, "green"))
    )
    viewer.scene.camera.zoom = 40
    curtain = Curtain(viewer)
    curtain.open([before], [green, red], ("colours", "channels"))
    row = picture(viewer)[100]
    assert np.allclose(row[10], (200, 40, 90), atol=1)
    assert np.allclose(row[-10], (120, 60, 0), atol=1)
    curtain.close()
    row = picture(viewer)[100]
    assert np.allclose(row[10], (255, 100, 90), atol=1), "as napari adds them"


def test_the_input_is_drawn_by_bicubic(viewer):
    """napari's catrom is the bicubic of this project: the screen shows what it computes."""
    low = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
    before = viewer.add_image(low, scale=(4, 4), translate=(1.5, 1.5), contrast_limits=(0, 255))
    after = viewer.add_image(np.zeros((160, 160), np.uint8))
    curtain = Curtain(viewer)
    curtain.open([before], [after], closer=True)
    curtain.move_to(1)
    assert before.interpolation2d == BICUBIC
    zoom = round(viewer.scene.camera.zoom)
    assert zoom == viewer.scene.camera.zoom >= 1
    odd = np.array(viewer.canvas.size) % 2
    viewer.scene.camera.center = (0, *(79.5 + odd / (2 * zoom)))  # pixels on pixels
    shown = picture(viewer)[..., 0]
    middle = np.array(shown.shape) // 2
    side = 80 // zoom * zoom
    cut = shown[middle[0] - side : middle[0] + side, middle[1] - side : middle[1] + side]
    wanted = np.clip(bicubic_enlarge(low, 4 * zoom), 0, 255)
    centre = np.array(wanted.shape) // 2
    wanted = wanted[centre[0] - side : centre[0] + side, centre[1] - side : centre[1] + side]
    assert np.abs(cut - wanted).max() <= 5, "the graphics card has the kernel in a table"
    curtain.close()
    assert before.interpolation2d == "nearest"


def test_an_interpolation_that_was_chosen_meanwhile_stays(viewer):
    before = viewer.add_image(np.zeros((8, 8)), scale=(4, 4), interpolation2d="linear")
    after = viewer.add_image(np.zeros((32, 32)))
    curtain = Curtain(viewer)
    curtain.open([before], [after])
    curtain.close()
    assert before.interpolation2d == "linear"
    curtain.open([before], [after])
    before.interpolation2d = "spline36"
    curtain.close()
    assert before.interpolation2d == "spline36"


def key(viewer, code, press=True, modifiers=Qt.KeyboardModifier.NoModifier):
    kind = QEvent.Type.KeyPress if press else QEvent.Type.KeyRelease
    QApplication.sendEvent(canvas(viewer), QKeyEvent(kind, code, modifiers))


def test_keys(viewer, pair):
    curtain = Curtain(viewer)
    pair[0].scale = (1, 4, 4)
    curtain.open([pair[0]], [pair[1]])
    shift = Qt.KeyboardModifier.ShiftModifier
    key(viewer, Qt.Key.Key_Left, modifiers=shift)
    assert curtain.position == pytest.approx(0.48)
    step = viewer.dims.current_step
    key(viewer, Qt.Key.Key_Right)
    assert curtain.position == pytest.approx(0.48), "without Shift it is napari's"
    assert viewer.dims.current_step != step
    key(viewer, Qt.Key.Key_H)
    assert np.allclose(picture(viewer)[100, :, 0], BOTH, atol=1)
    key(viewer, Qt.Key.Key_H, press=False)
    assert curtain.held == ""
    curtain.move_to(1)
    key(viewer, Qt.Key.Key_H)
    assert set(picture(viewer)[100, :, 0].tolist()) == {RIGHT}, "what is seen already is no flip"
    key(viewer, Qt.Key.Key_H, press=False)
    for smooth in (False, True):
        key(viewer, Qt.Key.Key_N)
        assert curtain.smooth is smooth
    key(viewer, Qt.Key.Key_Escape)
    assert not curtain.is_open


def test_the_mouse_drags_the_line_and_holds_the_captions(viewer, pair, qtbot):
    curtain = Curtain(viewer)
    curtain.open([pair[0]], [pair[1]], ("before", "after"))
    handle, centre = curtain.handle, tuple(viewer.scene.camera.center)
    y = handle.height() // 2
    QTest.mousePress(handle, LEFT, pos=QPoint(handle.width() // 2, y))
    for x in (200, 150):
        QTest.mouseMove(handle, handle.mapFrom(canvas(viewer), QPoint(x, y)))
        qtbot.wait(20)
    QTest.mouseRelease(handle, LEFT, pos=QPoint(handle.width() // 2, y))
    assert curtain.position == pytest.approx(150 / canvas(viewer).width(), abs=0.005)
    assert tuple(viewer.scene.camera.center) == centre, "the picture must not be dragged along"
    assert edge(picture(viewer)[100, :, 0]) == pytest.approx(150, abs=3)
    before, after = curtain.captions
    assert (before.text(), after.text()) == ("before", "after")
    for caption, level in ((before, BOTH), (after, RIGHT)):
        QTest.mousePress(caption, LEFT)
        assert set(picture(viewer)[100, :, 0].tolist()) == {level}
        QTest.mouseRelease(caption, LEFT)
    assert edge(picture(viewer)[100, :, 0]) == pytest.approx(150, abs=3)
    QTest.mouseDClick(handle, LEFT)
    assert curtain.position == 0.5
    QTest.mouseClick(curtain.shut, LEFT)
    assert not curtain.is_open


def test_captions_fit_a_narrow_canvas(viewer, pair):
    curtain = Curtain(viewer)
    curtain.open([pair[0]], [pair[1]], ("a name that is long " * 4, "another one & more " * 4))
    canvas(viewer).resize(320, 300)
    placed = [w.geometry() for w in (*curtain.captions, curtain.shut)]
    assert all(g.left() >= 0 and g.right() < 320 for g in placed)
    assert not placed[0].intersects(placed[1]) and not placed[1].intersects(placed[2])


def test_a_short_caption_leaves_its_room_to_the_other(viewer, pair):
    curtain = Curtain(viewer)
    name = "Result: a model with a name of some length"
    curtain.open([pair[0]], [pair[1]], ("Input", name))
    canvas(viewer).resize(560, 300)
    assert curtain.captions[1].text() == name


def state(viewer):
    """All that a curtain could leave behind."""
    graphics = viewer.window._qt_viewer.canvas
    return {
        "layers": [
            (la.name, la.visible, la.name_overlay.visible, getattr(la, "interpolation2d", ""))
            for la in viewer.layers
        ],
        "grid": viewer.canvas.grid.enabled,
        "overlays": list(viewer.canvas.overlays) + list(viewer.scene.overlays),
        "children": len(canvas(viewer).findChildren(QWidget)),
        "keys": dict(viewer.keymap),
        "mouse": (list(viewer.mouse_drag_callbacks), list(viewer.mouse_move_callbacks)),
        "draw": len(graphics._scene_canvas.events.draw.callbacks),
        "events": [
            sum(isinstance(c, tuple) and isinstance(c[0](), Curtain) for c in e.callbacks)
            for e in (
                viewer.layers.events.removed,
                viewer.dims.events.ndisplay,
                viewer.canvas.grid.events.enabled,
            )
        ],
        "filters": [
            len(v.node._vshare.filters)
            for la, v in graphics.layer_to_visual.items()
            if hasattr(la, "interpolation2d")
        ],
        "lowest": [v.first_visible for v in graphics.layer_to_visual.values()],
    }


def test_nothing_is_left(viewer, pair, qtbot):
    low, high = pair
    low.scale = (1, 4, 4)
    other = flat(viewer, 20, name="other", visible=True)
    hidden = flat(viewer, 30, name="hidden", visible=False)
    shapes = viewer.add_shapes([np.array([[0, 0], [9, 9]])], shape_type="line")
    viewer.canvas.grid.enabled = True
    other.name_overlay.visible = True
    picture(viewer)
    first = state(viewer)
    curtain = Curtain(viewer)
    for end in (curtain.close, lambda: key(viewer, Qt.Key.Key_Escape)):
        curtain.open([low], [high], closer=True)
        picture(viewer)
        assert state(viewer)["events"] == [1, 1, 1], "what is looked for is found while it is open"
        assert not other.visible and shapes.visible and not viewer.canvas.grid.enabled
        curtain.set_smooth(False)
        curtain.flip()
        picture(viewer)
        end()
        assert not curtain.is_open
        qtbot.wait(50)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        picture(viewer)
        assert state(viewer) == first
    curtain.open([low], [high])
    viewer.layers.remove(high)
    assert not curtain.is_open and other.visible and not hidden.visible


def test_a_second_curtain_takes_the_place_of_the_first(viewer, pair):
    one, two = Curtain(viewer), Curtain(viewer)
    one.open([pair[0]], [pair[1]])
    two.open([pair[1]], [pair[0]])
    assert not one.is_open and two.is_open
    row = picture(viewer)[100, :, 0]
    assert row[10] == RIGHT and row[-10] == BOTH


def test_a_canvas_that_is_built_differently_is_told_of(viewer, pair, monkeypatch):
    before = [la.visible for la in viewer.layers]
    with monkeypatch.context() as other, pytest.raises(InputError, match="not work with napari"):
        other.delattr(viewer.window._qt_viewer.canvas, "layer_to_visual")
        Curtain(viewer).open([pair[0]], [pair[1]])
    assert [la.visible for la in viewer.layers] == before


def test_it_opens_where_most_is_to_be_seen(viewer):
    """Of what was in view, a pixel of the result a pixel of the canvas."""
    rng = np.random.default_rng(0)
    plane = np.full((2000, 3000), 100, np.uint8)
    for rows, cols in ((slice(1200, 1500), slice(2300, 2600)), (slice(0, 90), slice(0, 90))):
        plane[rows, cols] = rng.integers(0, 255, plane[rows, cols].shape)
    size = (2.0, 2.0)
    low = viewer.add_image(plane[::4, ::4], scale=(8, 8), translate=(3, 3))
    result = viewer.add_image(plane, scale=size)
    viewer.fit_to_view()
    picture(viewer)
    curtain = Curtain(viewer)
    curtain.open([low], [result], closer=True)
    assert viewer.scene.camera.zoom == pytest.approx(1 / size[0])
    seen = np.asarray(viewer.scene.camera.center)[-2:] / size
    assert abs(seen[0] - 1350) < 400 and abs(seen[1] - 2450) < 400


# --- after a run ------------------------------------------------------------------------------


@pytest.fixture
def panel(viewer, tiny_models, qtbot):
    made = open_super_resolve(viewer, qtbot)
    yield made
    made.before_after.setChecked(True)


def run(qtbot, panel, button):
    panel.model.box.choose("tiny-gray")
    panel.advanced.options["device"].value = "cpu"
    panel.refresh()
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(button, LEFT)


def test_it_opens_after_every_run_unless_turned_off(viewer, panel, qtbot):
    from napari_srgan._gui.super_resolve.panel import wanted

    data = np.random.default_rng(0).integers(0, 255, (2, 24, 40)).astype(np.uint8)
    layer = viewer.add_image(data, name="scan")
    run(qtbot, panel, panel.run)
    curtain = panel.curtain
    assert curtain.left == (layer,)
    assert [la.name for la in curtain.right] == ["scan [tiny-gray 4x]"]
    assert [c.text() for c in curtain.captions] == ["Input", "Result: tiny-gray"]
    panel.layer.choose(layer)
    run(qtbot, panel, panel.run)
    assert [la.name for la in curtain.right] == ["scan [tiny-gray 4x] [2]"]
    panel.before_after.setChecked(False)
    assert not curtain.is_open and wanted("before_after") is False
    assert viewer.canvas.grid.enabled, "the grid was wanted too"
    panel.layer.choose(layer)
    run(qtbot, panel, panel.run)
    assert not curtain.is_open


def test_live_takes_its_place(viewer, panel, qtbot):
    data = np.random.default_rng(0).integers(0, 255, (40, 64)).astype(np.uint8)
    viewer.add_image(data, name="scan")
    run(qtbot, panel, panel.run)
    assert panel.curtain.is_open
    qtbot.mouseClick(panel.live.button, LEFT)
    assert not panel.curtain.is_open and not viewer.canvas.grid.enabled
    qtbot.mouseClick(panel.live.button, LEFT)
    assert viewer.canvas.grid.enabled, "as before"


def test_a_preview_does_not_move_the_camera(viewer, panel, qtbot):
    data = np.random.default_rng(0).integers(0, 255, (40, 64)).astype(np.uint8)
    viewer.add_image(data, name="scan")
    picture(viewer)
    panel.grid.setChecked(False)
    camera = viewer.scene.camera
    try:
        before = (camera.zoom, tuple(camera.center))
        run(qtbot, panel, panel.preview.button)
        assert panel.curtain.is_open
        assert (camera.zoom, tuple(camera.center)) == before
    finally:
        panel.grid.setChecked(True)
