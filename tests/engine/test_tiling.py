"""The tile plan: interiors cover the region once, windows hold the halo or end at the border."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_srgan.engine.tiles import plan_tiles, split


@st.composite
def regions(draw):
    height, width = draw(st.integers(8, 90)), draw(st.integers(8, 90))
    y0, x0 = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    y1, x1 = draw(st.integers(y0 + 1, height)), draw(st.integers(x0 + 1, width))
    return height, width, (y0, y1), (x0, x1)


@given(regions(), st.integers(1, 40), st.integers(0, 45))
def test_interiors_cover_the_region_exactly_once_and_windows_hold_the_halo(region, side, halo):
    height, width, rows, cols = region
    covered = np.zeros((height, width), int)
    for t in plan_tiles(height, width, side, halo, rows, cols):
        covered[t.y0 : t.y1, t.x0 : t.x1] += 1
        assert max(t.y1 - t.y0, t.x1 - t.x0) <= side
        assert t.ry0 == max(0, t.y0 - halo) and t.ry1 == min(height, t.y1 + halo)
        assert t.rx0 == max(0, t.x0 - halo) and t.rx1 == min(width, t.x1 + halo)
    expected = np.zeros_like(covered)
    expected[slice(*rows), slice(*cols)] = 1
    assert np.array_equal(covered, expected)


@given(regions(), st.integers(1, 40), st.integers(0, 10), st.sampled_from([(4, 4), (1, 3)]))
def test_the_crop_of_an_enlarged_window_is_the_enlarged_interior(region, side, halo, scale):
    height, width, rows, cols = region
    plane = np.arange(height * width).reshape(height, width)
    for t in plan_tiles(height, width, side, halo, rows, cols):
        big = plane[t.ry0 : t.ry1, t.rx0 : t.rx1].repeat(scale[0], 0).repeat(scale[1], 1)
        inside = plane[t.y0 : t.y1, t.x0 : t.x1].repeat(scale[0], 0).repeat(scale[1], 1)
        assert np.array_equal(big[t.crop(scale)], inside)


def test_a_plane_that_fits_is_one_tile_without_a_halo():
    (tile,) = plan_tiles(100, 60, 100, 40)
    assert tile.read_shape == (100, 60) and tile.read_pixels == 6000


def test_tiles_are_even_so_that_no_sliver_pays_for_a_halo():
    sides = [t.x1 - t.x0 for t in plan_tiles(10, 101, 50, 4)]
    assert sides == [33, 34, 34]


def test_splitting_a_tile_keeps_its_pixels():
    tile = plan_tiles(100, 100, 40, 10, (20, 90), (0, 77))[1]
    parts = split(tile, 100, 100, 10, 12)
    assert sum((p.y1 - p.y0) * (p.x1 - p.x0) for p in parts) == (
        (tile.y1 - tile.y0) * (tile.x1 - tile.x0)
    )
    assert all(p.y1 - p.y0 <= 12 and tile.y0 <= p.y0 < p.y1 <= tile.y1 for p in parts)


@pytest.mark.parametrize("rows", [(5, 5), (-1, 4), (3, 11)])
def test_a_region_outside_the_plane_is_a_defect(rows):
    with pytest.raises(ValueError, match="does not lie within"):
        plan_tiles(10, 10, 8, 2, rows)
