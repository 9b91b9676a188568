"""A file is looked at while it is made: planes that are done are there, others are not."""

import numpy as np
import pytest

from napari_srgan.engine.plan import preflight
from napari_srgan.image.stack import Stack
from napari_srgan.io.sinks import FileSink
from napari_srgan.io.sinks.growth import GrowingSink, Growth
from napari_srgan.options import RestoreOptions

RNG = np.random.default_rng(2)

pytestmark = pytest.mark.usefixtures("tiny_models")


def spec_of(pixels, axes, model):
    return preflight(Stack(pixels, axes), RestoreOptions(model=model)).output


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy", "a.zarr"])
@pytest.mark.parametrize(
    ("shape", "axes", "model"),
    [((2, 3, 12, 16), "TZYX", "tiny-gray"), ((2, 12, 16, 3), "ZYXS", "tiny-rgb")],
    ids=["gray", "colours"],
)
def test_planes_that_are_done_can_be_read(tmp_path, name, shape, axes, model):
    if name.endswith(".zarr"):
        pytest.importorskip("zarr")
    spec = spec_of(np.zeros(shape, np.uint8), axes, model)
    growth = Growth()
    sink = GrowingSink(FileSink(tmp_path / name), growth)
    sink.open(spec)
    inner = tuple(n for a, n in zip(spec.axes, spec.shape, strict=True) if a in "YXS")
    plane = RNG.integers(0, 255, inner).astype(np.uint8)
    first = (0,) * len(spec.plane_axes)
    sink.write(first, 0, 0, plane)
    assert growth.plane(first) is None
    sink.plane_done(first)
    np.testing.assert_array_equal(growth.plane(first), plane)
    assert growth.plane((1, *first[1:])) is None
    for index in np.ndindex(*(n for a, n in zip(axes, shape, strict=True) if a not in "YXS")):
        if index != first:
            sink.write(index, 0, 0, plane)
            sink.plane_done(index)
    sink.commit()
    assert growth.plane(first) is None and (tmp_path / name).exists()


def test_a_picture_that_lies_in_memory_until_its_end_is_not_seen(tmp_path):
    growth = Growth()
    sink = GrowingSink(FileSink(tmp_path / "a.png"), growth)
    sink.open(spec_of(np.zeros((12, 16), np.uint8), "YX", "tiny-gray"))
    sink.write((), 0, 0, np.ones((48, 64), np.uint8))
    sink.plane_done(())
    assert growth.plane(()) is None
    sink.abort()
    assert not list(tmp_path.iterdir())
