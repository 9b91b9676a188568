"""The consistency of a run: the same finding in whatever order, and by however many, it is seen."""

import numpy as np
import pytest

from napari_srgan.engine.tiles import plan_tiles
from napari_srgan.image.intensity import Intensity
from napari_srgan.trust.consistency import consistency
from napari_srgan.trust.meter import Meter
from napari_srgan.trust.operators import Operator
from napari_srgan.trust.shrinking import shrinking

PLANES, HEIGHT, WIDTH, SCALE = 3, 30, 41, 4
RANGE = Intensity((0.0,), (1.0,), "0:1")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    low = rng.random((PLANES, HEIGHT, WIDTH), np.float32)
    return low, rng.random((PLANES, SCALE * HEIGHT, SCALE * WIDTH), np.float32)


def measured(operator, images, seen):
    """Return a meter that saw tiles of planes, in that order."""
    low, high = images
    meter = Meter(operator, RANGE, shrinking(operator, HEIGHT, WIDTH))
    for plane, tile in seen:
        meter.begin((plane,))
        y, x = slice(tile.y0, tile.y1), slice(tile.x0, tile.x1)
        inside = tile.crop((SCALE, SCALE))
        read = high[plane, SCALE * tile.ry0 : SCALE * tile.ry1, SCALE * tile.rx0 : SCALE * tile.rx1]
        meter.see(tile, low[plane, y, x], read[inside])
    return meter


@pytest.mark.parametrize("name", ["bicubic", "area", "decimate"])
def test_any_order_and_any_number_of_meters_find_the_same(images, name):
    operator = Operator(name, (SCALE, SCALE))
    tiles = plan_tiles(HEIGHT, WIDTH, 12, 2)
    todo = [(plane, tile) for plane in range(PLANES) for tile in tiles]
    expected = measured(operator, images, todo).finding()
    whole = [consistency(low, high, operator, 1) for low, high in zip(*images, strict=True)]
    rmse = 100 * np.sqrt(np.mean([f.map.astype(float) ** 2 for f in whole]))
    assert expected.rmse_percent == pytest.approx(rmse, rel=1e-5)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(todo))
        shuffled = [todo[i] for i in order]
        assert measured(operator, images, shuffled).finding() == expected
        # Tiles of one plane may be seen by either of two.
        first = measured(operator, images, shuffled[::2])
        first.merge(measured(operator, images, shuffled[1::2]))
        assert first.finding() == expected


def test_planes_that_were_ended_are_added(images):
    operator = Operator("bicubic", (SCALE, SCALE))
    tiles = plan_tiles(HEIGHT, WIDTH, 12, 2)
    expected = measured(operator, images, [(p, t) for p in range(PLANES) for t in tiles]).finding()
    last, *others = (measured(operator, images, [(p, t) for t in tiles]) for p in (2, 0, 1))
    for meter in (last, *others):
        meter.end()
    for meter in others:
        last.merge(meter)
    assert last.finding() == expected
