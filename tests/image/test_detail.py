"""Where in an image there is most to see."""

import numpy as np
import pytest

from napari_srgan.image.detail import busiest


def patch(shape, rows, cols, dtype=np.float32):
    plane = np.full(shape, 100, dtype)
    plane[rows, cols] = np.random.default_rng(0).integers(0, 200, plane[rows, cols].shape)
    return plane


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_the_patch_of_texture_is_found(dtype):
    plane = patch((160, 240), slice(24, 56), slice(176, 208), dtype)
    row, column = busiest(plane, (32, 32))
    assert (row, column) == (pytest.approx(39.5, abs=8), pytest.approx(191.5, abs=8))


def test_the_window_stays_within_the_plane():
    plane = patch((160, 160), slice(0, 16), slice(0, 16))
    row, column = busiest(plane, (96, 96))
    assert 47 <= row <= 64 and 47 <= column <= 64


def test_fine_structure_outweighs_one_bright_edge():
    plane = patch((160, 160), slice(16, 64), slice(16, 64))
    plane[:, 120:] = 60_000
    row, column = busiest(plane, (48, 48))
    assert row < 64 and column < 64


@pytest.mark.parametrize("shape", [(1, 1), (8, 300), (37, 41)])
def test_where_all_is_alike_the_middle_is_looked_at(shape):
    row, column = busiest(np.zeros(shape), (16, 16))
    assert abs(row - (shape[0] - 1) / 2) <= 8
    assert abs(column - (shape[1] - 1) / 2) <= 8


def test_missing_values_are_no_detail():
    plane = patch((80, 80), slice(56, 72), slice(56, 72))
    plane[:24, :24] = np.nan
    assert min(busiest(plane, (16, 16))) > 50
