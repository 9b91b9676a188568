"""What a notebook shows of a result."""

from __future__ import annotations

import base64
import io
import pickle
import re

import numpy as np
import pytest
from PIL import Image

import napari_srgan
from napari_srgan.engine.run import Result
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.data_array import stack_of

pytestmark = pytest.mark.usefixtures("tiny_models")


def _pictures(html: str) -> list[np.ndarray]:
    found = re.findall(r"base64,([^\"]+)\"", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def _noise(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "axes", "dtype"),
    [
        ((24, 32), "YX", np.uint8),
        ((3, 24, 32), "ZYX", np.uint16),
        ((24, 32, 3), "YXS", np.uint8),
        ((24, 2, 32), "YCX", np.float32),
    ],
)
def test_result_and_bicubic_stand_side_by_side(shape, axes, dtype):
    result = napari_srgan.upscale(
        _noise(shape, dtype), "tiny-rgb" if "S" in axes else "tiny-gray", axes
    )
    bicubic, made = _pictures(result._repr_html_())
    assert bicubic.shape == made.shape
    assert made.shape[:2] == (96, 128)
    assert bicubic.std() > 10


def test_the_part_that_is_shown_lies_within_the_region():
    image = _noise((4, 40, 40))
    whole = napari_srgan.upscale(image, "tiny-gray")
    part = napari_srgan.upscale(image, "tiny-gray", region={"Z": (2, 3), "Y": (8, 24)})
    of_whole = _pictures(whole._repr_html_())[0]  # the middle plane is the third
    assert np.abs(of_whole[32:96].astype(int) - _pictures(part._repr_html_())[0]).mean() < 3


def test_a_result_whose_file_is_gone_stands_alone(tmp_path):
    file = tmp_path / "<b>.npy"
    np.save(file, _noise((16, 16)))
    result = napari_srgan.upscale(file, "tiny-gray")
    file.unlink()
    assert len(_pictures(result._repr_html_())) in (1, 2)  # mapped files live on unlinked
    assert "For research use." in result._repr_html_()


def test_a_result_travels_with_what_made_it():
    result = pickle.loads(pickle.dumps(napari_srgan.upscale(_noise((16, 16)), "tiny-gray")))
    assert result.plan.scale == (4, 4)
    assert len(_pictures(result._repr_html_())) == 2


def test_the_part_with_most_detail_is_shown_past_nan():
    pixels = np.full((400, 700), 1, np.float32)
    pixels[:200, :300] = np.nan
    pixels[60:380, 350:670] = np.arange(320) % 2
    html = Result(pixels, "YX", (1, 1), (0, 0), {})._repr_html_()
    (shown,) = _pictures(html)
    assert shown.shape == (320, 320)
    assert (shown[:, 16:-16] == 255).mean() > 0.4


def test_a_data_array_keeps_its_place_both_ways():
    xarray = pytest.importorskip("xarray")
    z, y = 5.0 + 2.0 * np.arange(2), 0.5 * np.arange(16)
    image = xarray.DataArray(
        _noise((2, 16, 20)),
        {"z": ("z", z, {"units": "um"}), "y": ("y", y, {"units": "um"})},
        ("z", "y", "x"),
        "scan",
    )
    made = napari_srgan.upscale(image, "tiny-gray").to_xarray()
    assert made.dims == ("z", "y", "x")
    np.testing.assert_allclose(made.z, z)
    assert made.z.attrs["units"] == "micrometer"
    np.testing.assert_allclose(made.y[:4], np.array([-0.375, -0.125, 0.125, 0.375]) * 0.5)
    assert stack_of(made).axes == "ZYX"


def test_a_data_array_that_cannot_be_placed_is_refused_in_a_sentence():
    xarray = pytest.importorskip("xarray")
    with pytest.raises(InputError, match="along y are not evenly spaced"):
        stack_of(xarray.DataArray(_noise((8, 8)), {"y": [0, 1, 2, 3, 4, 5, 6, 9]}, ("y", "x")))
    with pytest.raises(InputError, match="dimensions a, x; say with letters"):
        stack_of(xarray.DataArray(_noise((8, 8)), dims=("a", "x")))
    assert stack_of(xarray.DataArray(_noise((8, 8)), dims=("a", "x")), "yx").axes == "YX"
    assert stack_of(xarray.DataArray(_noise((8, 9)), dims=("height", "width"))).axes == "YX"


def test_a_bar_and_warnings_come_with_progress_true(capfd):
    once = napari_srgan.upscale(_noise((16, 16)), "tiny-gray")
    with pytest.warns(UserWarning, match="already a super-resolved"):
        napari_srgan.upscale(Stack(once.data, metadata=once.metadata), "tiny-gray", progress=True)
    assert "SRGAN upscale: 100%" in capfd.readouterr().err
