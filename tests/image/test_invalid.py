import numpy as np
import pytest

from napari_srgan.errors import InputError
from napari_srgan.image.intensity import measure
from napari_srgan.image.invalid import fill, refuse_invalid
from napari_srgan.image.stack import Stack
from napari_srgan.image.valid import is_value

FLT_MAX = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("absurd", [FLT_MAX, -FLT_MAX, 9.96921e36, np.nan, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_that_stand_for_no_value_are_counted_and_refused(absurd, dtype):
    plane = np.random.default_rng(0).random((20, 30)).astype(dtype)
    plane[:, 26:] = absurd
    with pytest.raises(InputError, match=r"holds 80 NaN or infinite.*--nan fill"):
        refuse_invalid(Stack(plane))
    filled, mask = fill(plane)
    assert mask.sum() == 80
    np.testing.assert_array_equal(filled[:, 26:], plane[:, 25:26].repeat(4, axis=1))


@pytest.mark.parametrize("absurd", [FLT_MAX, np.nan])
@pytest.mark.parametrize("mode", ["auto", "minmax"])
def test_they_do_not_widen_the_intensity_range(absurd, mode):
    plane = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    plane[:, 26:] = absurd
    assert measure(Stack(plane), mode).hi[0] <= 1


def test_large_measurements_and_all_of_float16_are_values():
    assert is_value(np.array([1e25, -1e25], np.float32)).all()
    assert is_value(np.array([65504, -65504], np.float16)).all()
    assert is_value(np.array([2**63], np.uint64)).all()
