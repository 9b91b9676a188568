"""The pure step: what a network is shown, and what is added to its result."""

from dataclasses import replace

import numpy as np
import pytest

from napari_srgan.engine.restore import REACH, plan_plane, restore_plane
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.resampling import bicubic_enlarge

GROUND = np.random.default_rng(4).normal(100, 3, (40, 56)).astype(np.float32)


class Ringing:
    """A network that adds a thousandth of all that it sees to every pixel, and notes its range."""

    def __init__(self):
        self.seen = []

    def __call__(self, window):
        self.seen += [window.min(), window.max()]
        return window.repeat(4, 0).repeat(4, 1) + 1e-3 * window.sum(dtype=np.float32), False


def nearest(window):
    return window.repeat(4, 0).repeat(4, 1), False


def planned(tile=64):
    plan = plan_plane(40, 56, (4, 4), 4, tile)
    return replace(plan, intensity=Intensity((90.0,), (110.0,), "90:110"))


@pytest.mark.parametrize("hot", [65535, -65535])
def test_a_hot_pixel_has_no_effect_beyond_the_reach_of_bicubic(hot):
    plane = GROUND.copy()
    plane[20, 28] = hot
    network = Ringing()
    off = np.abs(
        restore_plane(plane, planned(), network) - restore_plane(GROUND, planned(), Ringing())
    )
    assert min(network.seen) >= REACH[0] and max(network.seen) <= REACH[1]
    y, x = np.mgrid[:160, :224]
    far = np.maximum(abs(y - 81.5), abs(x - 113.5)) >= 4 * 4
    assert off[far].max() < 1
    assert off[~far].max() > 10_000  # the pixel itself is still there


def test_what_lies_beyond_the_reach_is_added_by_bicubic():
    plane = GROUND.copy()
    plane[20, 28] = 65535
    unit = (plane - 90) / 20
    seen = unit.clip(*REACH)
    expected = nearest(seen)[0] + bicubic_enlarge(unit - seen, 4)
    found = restore_plane(plane, planned(), nearest)
    np.testing.assert_allclose(found, expected * 20 + 90, rtol=1e-4, atol=0.01)


def test_a_hot_pixel_at_the_seam_of_tiles_shows_none():
    plane = GROUND.copy()
    plane[19, 27] = 65535
    whole, tiled = (restore_plane(plane, planned(tile), nearest) for tile in (64, 20))
    np.testing.assert_allclose(tiled, whole, rtol=1e-5)


def test_within_the_reach_nothing_is_changed():
    plain = restore_plane(GROUND, planned(), nearest)
    np.testing.assert_allclose(plain, GROUND.repeat(4, 0).repeat(4, 1), rtol=1e-5)
