"""Corners of input and result must coincide in the world, under any transform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_srgan.image.geometry import (
    as_scale,
    origin_shift,
    placed_translate,
    plain_scale,
    scale_text,
    times_text,
    upscaled_placement,
)


def test_the_first_pixel_of_a_4x_image_starts_where_the_inputs_does():
    assert origin_shift(4) == -0.375
    assert origin_shift(1) == 0


def test_a_stack_is_placed_by_hand_worked_numbers():
    scale, translate = upscaled_placement("ZYX", (10.0, 2.0, 0.5), (100.0, 7.0, -1.0), (4, 4))
    assert scale == (10.0, 0.5, 0.125)
    assert translate == (100.0, 7.0 - 0.75, -1.0 - 0.1875)


def test_a_region_starts_at_its_first_pixel_and_s_has_no_place():
    scale, translate = upscaled_placement(
        "TYXS", (1.0, 2.0, 2.0), (0.0, 0.0, 0.0), (2, 2), {"T": (3, 4), "Y": (10, 20)}
    )
    assert scale == (1.0, 1.0, 1.0)
    assert translate == (3.0, 2 * (10 - 0.25), 2 * (0 - 0.25))


def test_a_scale_is_one_number_or_a_pair():
    assert as_scale(4) == as_scale([4, 4]) == (4, 4)
    assert [scale_text(s) for s in ((4, 4), (1, 4))] == ["4x", "1x4x"]
    assert [times_text(s) for s in ((4, 4), (1, 4))] == ["4", "1 and 4"]
    assert [as_scale(plain_scale(s)) for s in ((4, 4), (1, 4))] == [(4, 4), (1, 4)]
    for none in (0, 2.5, [4], [4, -4], "4x", True, None):
        with pytest.raises((ValueError, TypeError)):
            as_scale(none)


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        upscaled_placement("ZYX", (1.0, 1.0), (0.0, 0.0), (4, 4))


def edges(scale, translate, length):
    """World positions of the outer edges of the first and the last pixel along an axis."""
    return translate - scale / 2, translate + scale * (length - 0.5)


@given(
    st.floats(0.01, 100), st.floats(-1e3, 1e3), st.sampled_from([2, 3, 4, 8]),
    st.integers(0, 50), st.integers(8, 200),
)  # fmt: skip
def test_the_outer_edges_of_region_and_result_coincide(scale, translate, factor, start, length):
    whole_edges = edges(scale, translate + scale * start, length)
    (_, new_scale), (_, new_translate) = upscaled_placement(
        "YX", (1.0, scale), (0.0, translate), (1, factor), {"X": (start, start + length)}
    )
    assert edges(new_scale, new_translate, length * factor) == pytest.approx(whole_edges, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_corners_coincide_under_random_rotation_and_shear(seed):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.2, 5, 3)
    rotate = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    shear = np.eye(3) + np.triu(rng.normal(size=(3, 3)), 1)
    linear, translate = rotate @ shear @ np.diag(scale), rng.normal(size=3) * 100
    factors, offset = np.array([1, 4, 4]), rng.integers(0, 20, 3)
    shape = rng.integers(8, 40, 3)

    new_translate = placed_translate(linear, translate, offset, factors)
    new_linear = rotate @ shear @ np.diag(scale / factors)

    for corner in np.ndindex(2, 2, 2):
        before = offset - 0.5 + np.array(corner) * shape
        after = -0.5 + np.array(corner) * shape * factors
        np.testing.assert_allclose(
            new_linear @ after + new_translate, linear @ before + translate, atol=1e-9
        )
