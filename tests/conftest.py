"""What all tests share: a screen for the window tests, and settings that are not the user's own.

The window tests need a screen. Under Linux without one, a private virtual screen (Xvfb) is
started for the session; without Xvfb they fail and say what to install. A skip would look
like success.
"""

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import count

import pytest

PACKAGES = (
    "xvfb libgl1 libegl1 libgl1-mesa-dri libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4 "
    "libxcb-keysyms1 libxcb-image0 libxcb-render-util0 libxcb-xinerama0 libxcb-shape0 libdbus-1-3"
)
NO_SCREEN = (
    "The window tests need a screen, and there is neither a DISPLAY nor Xvfb; on Debian or Ubuntu: "
    f"apt-get install {PACKAGES}  (or leave them out with -m 'not window')"
)

_settings = None
_numbers = count()
_screen = None
_frozen_for = None


def pytest_configure(config):
    """Move napari's settings to a folder of the session; napari reads the path when imported."""
    global _settings
    _settings = tempfile.TemporaryDirectory(prefix="napari-srgan-tests-")
    os.environ["NAPARI_CONFIG"] = os.path.join(_settings.name, "settings.yaml")  # noqa: PTH118


def pytest_unconfigure(config):
    """Take the virtual screen and the settings away again."""
    global _screen
    if _screen is not None:
        _screen.terminate()
        _screen.wait(timeout=10)
        _screen = None
    if _settings is not None:
        _settings.cleanup()


def pytest_collection_modifyitems(items):
    """Mark every test that opens a window or needs Qt, by its fixtures, and run those last.

    Mesa's software OpenGL loads LLVM, and triton, which torch.optim imports, brings its own:
    importing triton after a window was drawn ends the process with a segmentation fault. xdist
    keeps this order within each worker while it distributes by "load", its default.
    """
    for item in items:
        if {"make_napari_viewer", "qtbot", "qapp"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.window)
    items.sort(key=lambda item: item.get_closest_marker("window") is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """See that there is a screen before the first window test; Qt aborts the process otherwise."""
    if item.get_closest_marker("window") is None:
        return
    _freeze(item.path)
    if not sys.platform.startswith("linux"):
        return
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    if _start_screen() is None:
        pytest.fail(NO_SCREEN, pytrace=False)


def _freeze(path):
    """Take what is loaded out of the garbage collector's sight before each file's first window.

    napari collects garbage two or three times a viewer, and a look at all of torch, scipy and
    napari takes longer than most tests.
    """
    global _frozen_for
    if path != _frozen_for:
        gc.collect()
        gc.freeze()
        _frozen_for = path


def _start_screen():
    """Start Xvfb on a free display number and return it, or None without Xvfb."""
    global _screen
    program = shutil.which("Xvfb")
    if program is None:
        return None
    read, write = os.pipe()
    # Software OpenGL: a virtual screen has no graphics card behind it.
    os.environ["LIBGL_ALWAYS_SOFTWARE"] = "1"
    command = [program, "-displayfd", str(write), "-screen", "0", "1280x800x24", "-noreset"]
    _screen = subprocess.Popen(
        command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    if not number:
        pytest.fail("Xvfb did not start; run it by hand to see why.", pytrace=False)
    os.environ["DISPLAY"] = f":{number}"
    os.environ.pop("QT_QPA_PLATFORM", None)  # "offscreen" would give napari no OpenGL
    return _screen


@pytest.fixture(scope="session", autouse=True)
def cpu_without_bfloat16():
    """Let `auto` mean torch in float32 on every CPU, and yield the function that really looks.

    On a CPU with native bfloat16, or where OpenVINO is installed, tests would else take another
    path than elsewhere. Those of that path ask for it.
    """
    from napari_srgan.engine import backends, devices

    real = devices._cpu_has_bfloat16
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "_cpu_has_bfloat16", lambda: False)
        patch.setattr(backends, "openvino_formats", lambda: ())
        yield real


@pytest.fixture(autouse=True)
def no_presets(monkeypatch):
    """Let each test begin without presets and last choices, and away from the user's own."""
    number = next(_numbers)
    monkeypatch.setenv("NAPARI_SRGAN_PRESETS", os.path.join(_settings.name, f"{number}.json"))  # noqa: PTH118


@pytest.fixture(autouse=True)
def shown_as_at_first():
    """Leave no test with what another one chose in the panel: napari keeps it for the session."""
    yield
    if panel := sys.modules.get("napari_srgan._gui.super_resolve.panel"):
        for name in ("side_by_side", "before_after"):
            if not panel.wanted(name):
                panel.remember(name, True)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Make a folder of small models with random weights: they make noise, in the right place."""
    torch = pytest.importorskip("torch")
    from napari_srgan.models.architectures.srresnet import SRResNet
    from napari_srgan.models.catalogue import Card, save_model

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, channels in (
        ("tiny-gray", 1),
        ("other-gray", 1),
        ("tiny-rgb", 3),
    ):
        parameters = {"channels": channels, "blocks": 1, "features": 4, "scale": 4}
        card = Card(
            name=name,
            architecture="srresnet",
            parameters=parameters,
            channels=channels,
            scale=(4, 4),
            purpose=f"Random weights for tests ({name}).",
        )
        save_model(folder / f"{name}.safetensors", SRResNet(**parameters).eval(), card)
    return folder


@pytest.fixture
def tiny_models(model_folder, monkeypatch):
    """Let the catalogue find the small models."""
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(model_folder))
    return model_folder


@pytest.fixture
def viewer(request, qapp):
    """Make a viewer without a window; a test that is marked `napari_window` gets a shown one."""
    if request.node.get_closest_marker("napari_window"):
        return request.getfixturevalue("make_napari_viewer")(show=True)
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def scans(tmp_path):
    """Write a folder of four small scans to train on."""
    from small_scans import write_scans

    return write_scans(tmp_path / "scans")
