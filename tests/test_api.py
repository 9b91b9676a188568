"""The public API: one call, its defaults, and an import that costs nothing."""

import subprocess
import sys

import numpy as np
import pytest
import small_models
import tifffile

import napari_srgan
from napari_srgan.engine.record import Record
from napari_srgan.errors import InputError
from napari_srgan.synthetic.samples import sample_path


@pytest.fixture
def models(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(folder))
    small_models.save_both(folder)


def noise(shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def test_importing_the_package_loads_neither_torch_nor_napari():
    code = (
        "import sys, time; start = time.perf_counter(); import napari_srgan;"
        "seconds = time.perf_counter() - start;"
        "heavy = {'torch', 'napari', 'numpy', 'skimage', 'qtpy'} & set(sys.modules);"
        "assert not heavy, heavy; assert seconds < 0.2, seconds"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_pure_modules_do_not_load_torch():
    names = (
        "errors options image.stack image.geometry image.intensity image.sampling image.kind "
        "image.invalid io.open io.sinks models.card measure.table engine.tiles engine.record "
        "engine.progress trust.meter"
    )
    code = (
        "import sys, importlib;"
        f"[importlib.import_module('napari_srgan.' + n) for n in {names.split()}];"
        "assert 'torch' not in sys.modules and 'napari' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    for name in napari_srgan.__all__:
        assert getattr(napari_srgan, name) is not None and name in dir(napari_srgan)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        napari_srgan.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((9, 12), "YX"), ((2, 9, 12), "ZYX"), ((2, 3, 9, 12), "TZYX"), ((9, 12, 3), "YXS")],
)
def test_arrays_are_understood_by_their_shape(models, shape, axes):
    result = napari_srgan.upscale(noise(shape), model=f"tiny-{'rgb' if 'S' in axes else 'gray'}")
    assert result.axes == axes and result.data.dtype == np.uint8
    assert result.data.shape == tuple(
        n * 4 if a in "YX" else n for a, n in zip(axes, shape, strict=True)
    )


def test_auto_takes_the_model_that_fits(models):
    result = napari_srgan.upscale(noise((9, 10, 3)), device="cpu")
    assert result.metadata["napari_srgan"]["model"] == "srresnet-rgb"


def test_a_path_and_a_stack_give_what_the_array_gives(models, tmp_path):
    data = noise((3, 10, 11), np.uint16)
    np.save(tmp_path / "scan.npy", data)
    kwargs = {"model": "tiny-gray", "device": "cpu"}
    expected = napari_srgan.upscale(data, **kwargs).data
    for image in (tmp_path / "scan.npy", str(tmp_path / "scan.npy"), napari_srgan.Stack(data)):
        assert np.array_equal(napari_srgan.upscale(image, **kwargs).data, expected)
    assert np.array_equal(napari_srgan.upscale(data.tolist(), **kwargs).data.shape, expected.shape)


def test_settings_reach_the_work(models):
    seen = []
    result = napari_srgan.upscale(
        noise((2, 30, 40), np.uint16),
        model="tiny-gray",
        axes="CYX",
        device="cpu",
        precision="float32",
        tile=20,
        intensity="0:300",
        transform="power:0.5",
        progress=seen.append,
    )
    record = result.metadata["napari_srgan"]
    assert result.axes == "CYX" and record["tile"] == 20 and len(seen) == 8
    assert record["intensity_hi"] == [300.0, 300.0] and record["transform"] == "power:0.5"


def test_axes_that_contradict_a_stack_are_refused(models):
    with pytest.raises(InputError, match="contradicts"):
        napari_srgan.upscale(napari_srgan.Stack(noise((3, 9, 9))), axes="TYX")


def test_mistakes_are_one_sentence(models):
    for image in (noise((4, 4)), np.zeros((0, 9, 9)), noise((9, 9)) > 3, noise((9, 9)) * 1j):
        with pytest.raises(InputError) as caught:
            napari_srgan.upscale(image)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "settings"),
    [
        (noise((9, 9)), {"intensity": (0, 4095)}),
        (noise((9, 9)), {"intensity": None}),
        (noise((9, 9)), {"model": None}),
        ([[1, 2], [3]], {}),
    ],
)
def test_settings_of_a_wrong_type_are_mistakes_and_not_defects(models, image, settings):
    with pytest.raises(InputError):
        napari_srgan.upscale(image, **settings)


def test_the_kind_decides_what_auto_is():
    frame = tifffile.imread(sample_path("oct_frame_coarse_lr"))[3, :, :40]
    result = napari_srgan.upscale(frame, device="cpu")
    record = Record.of(result.metadata)
    assert (record.model, record.kind) == ("oct-restore", "raw-oct")
    by_hand = napari_srgan.upscale(frame, device="cpu", kind="em")
    assert Record.of(by_hand.metadata).model == "srresnet-gray"
    with pytest.raises(InputError, match="The kind of image 'x' is not known; give auto, raw-oct"):
        napari_srgan.upscale(frame, kind="x")


def test_gray_in_rgb_comes_out_gray():
    gray = tifffile.imread(sample_path("oct_volume_lr"))[3, :64, :40]
    result = napari_srgan.upscale(np.stack([gray] * 3, axis=-1), device="cpu")
    assert (result.axes, result.data.shape) == ("YX", (256, 160))
    np.testing.assert_array_equal(result.data, napari_srgan.upscale(gray, device="cpu").data)
