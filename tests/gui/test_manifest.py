"""The manifest: valid, importable, and what it promises is where a user looks for it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import napari_srgan

pytest.importorskip("npe2")
pytest.importorskip("napari")

import npe2
from PIL import Image
from qtpy.QtCore import Qt
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

MANIFEST = Path(napari_srgan.__file__).parent / "napari.yaml"


def test_npe2_validates_it():
    for name in (str(MANIFEST), "napari-srgan"):
        done = subprocess.run(
            [sys.executable, "-m", "npe2", "validate", name], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "valid" in done.stdout


def test_every_command_can_be_imported():
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    commands = {command.id for command in manifest.contributions.commands}
    used = [w.command for w in manifest.contributions.widgets]
    used += [s.command for s in manifest.contributions.sample_data]
    assert set(used) <= commands


def test_the_root_file_is_a_link_to_the_packaged_one():
    root = MANIFEST.parents[2] / "napari.yaml"
    if not root.exists():
        pytest.skip("not a checkout")
    assert root.is_symlink()
    assert root.resolve() == MANIFEST.resolve()


def menu_texts(menu):
    """Titles in a menu and its submenus, as "menu > submenu > item"."""
    from app_model.backends.qt import QModelMenu

    found = []
    for action in menu.actions():
        title = action.text().replace("&", "")
        inner = action.menu()
        if isinstance(inner, QModelMenu):
            inner.aboutToShow.emit()
        found.append(title)
        if inner is not None:
            found += [f"{title} > {t}" for t in menu_texts(inner)]
    return found


def find_action(menu, *titles):
    head, *rest = titles
    for action in menu.actions():
        if action.text().replace("&", "").startswith(head):
            return find_action(action.menu(), *rest) if rest else action
    raise AssertionError(f"no {head!r} among {[a.text() for a in menu.actions()]}")


def test_the_menus_hold_both_widgets_the_filter_and_the_samples(make_napari_viewer):
    viewer = make_napari_viewer()
    window = viewer.window
    plugins = menu_texts(window.plugins_menu)
    assert any(t.startswith("SRGAN upscale > Super-resolve") for t in plugins)
    assert any(t.startswith("SRGAN upscale > Compare") for t in plugins)
    layers = menu_texts(window.layers_menu)
    for wanted in (
        "Filter > Super-resolve 4x",
        "Measure > Compare with a reference",
        "Measure > Profile along a line",
        "Visualize > Trust maps of a result",
    ):
        assert any(t.startswith(wanted) for t in layers), wanted
    samples = menu_texts(window.file_menu)
    assert any("Open Sample > SRGAN upscale > OCT volume LR" in t for t in samples)


def test_the_plugins_menu_opens_the_panels(make_napari_viewer, tiny_models, qtbot):
    """How long that takes is measured by benchmarks/window.py, not by a test."""
    viewer = make_napari_viewer(show=True)
    for title, name in (("Super-resolve", "SuperResolve"), ("Compare", "Compare")):
        find_action(viewer.window.plugins_menu, "SRGAN upscale", title).trigger()
        full = f"{title} (SRGAN upscale)"
        panel = viewer.window.dock_widgets[full]
        qtbot.waitUntil(panel.isVisible)
        assert type(panel).__name__ == name


def test_the_filter_works_on_the_active_layer(make_napari_viewer, tiny_models, qtbot):
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).integers(0, 256, (2, 16, 16)).astype(np.uint8))
    viewer.layers.selection.active = viewer.layers[0]
    find_action(viewer.window.layers_menu, "Filter", "Super-resolve 4x").trigger()
    panel = viewer.window.dock_widgets["Super-resolve (SRGAN upscale)"]
    qtbot.waitUntil(lambda: len(viewer.layers) == 2 and not panel.runner.running, timeout=120_000)
    assert viewer.layers[1].data.shape == (2, 64, 64)
    assert viewer.layers[1].name == "Image [srresnet-gray 4x]"
    # The same dock as from the Plugins menu: one panel, not two.
    find_action(viewer.window.plugins_menu, "SRGAN upscale", "Super-resolve")
    assert len(viewer.window.dock_widgets) == 1


def test_the_filter_without_an_image_says_so(make_napari_viewer):
    from napari.utils.notifications import notification_manager

    from napari_srgan._gui.docks import super_resolve_active_layer

    viewer = make_napari_viewer()
    super_resolve_active_layer(viewer)
    assert "Select an image layer first" in notification_manager.records[-1].message
    assert not viewer.window.dock_widgets


@pytest.mark.parametrize("key", ["oct_volume_lr", "tissue_rgb_lr"])
def test_samples_open_with_their_axes_and_spacing(viewer, key):
    (layer,) = viewer.open_sample("napari-srgan", key)
    assert layer.axis_labels == (("y", "x") if layer.rgb else ("z", "y", "x"))
    assert all(str(u) == "micrometer" for u in layer.units)
    assert not np.allclose(layer.scale, 0)


def test_from_the_sample_over_the_menus_to_the_number_in_the_table(make_napari_viewer, qtbot):
    """The way of a first user, with the bundled model; the numbers are counted again by others."""
    viewer = make_napari_viewer()
    (low,) = viewer.open_sample("napari-srgan", "oct_volume_lr")
    find_action(viewer.window.plugins_menu, "SRGAN upscale", "Super-resolve").trigger()
    work = viewer.window.dock_widgets["Super-resolve (SRGAN upscale)"]
    assert work.layer.value() is low
    with qtbot.waitSignal(work.runner.ended, timeout=120_000):
        qtbot.mouseClick(work.run, Qt.MouseButton.LeftButton)
    made = viewer.layers["oct_volume_lr [srresnet-gray 4x]"]
    (truth,) = viewer.open_sample("napari-srgan", "oct_volume_hr")
    find_action(viewer.window.plugins_menu, "SRGAN upscale", "Compare").trigger()
    compare = viewer.window.dock_widgets["Compare (SRGAN upscale)"]
    qtbot.waitUntil(lambda: compare.reference.value() is truth and not compare.busy, timeout=60_000)
    viewer.dims.set_current_step(0, 5)
    qtbot.waitUntil(lambda: compare.where.text().startswith("Slice Z = 5"), timeout=60_000)
    qtbot.waitUntil(lambda: not compare.busy, timeout=60_000)

    # In floating point: Pillow rounds 8-bit images between the two axes.
    bicubic = Image.fromarray(low.data[5].astype(np.float32)).resize((640, 416), 3)
    bicubic = np.rint(np.asarray(bicubic)).clip(0, 255).astype(np.uint8)
    wanted = truth.data[5]
    for name, plane in ((made.name, made.data[5]), ("bicubic", bicubic)):
        shown = compare.table.cell(name, "psnr", "Z=5").text()
        assert float(shown) == pytest.approx(
            peak_signal_noise_ratio(wanted, plane, data_range=255), abs=0.01
        )
        ssim = structural_similarity(
            wanted.astype(float), plane.astype(float), data_range=255, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False,
        )  # fmt: skip
        shown = compare.table.cell(name, "ssim", "Z=5").text()
        assert float(shown) == pytest.approx(ssim, abs=1e-3)
    gain = compare.table.cell(made.name, "psnr").value - compare.table.cell("bicubic", "psnr").value
    assert gain > 1.5
