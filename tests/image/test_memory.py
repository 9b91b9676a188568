"""What was measured is not measured again, and little of a file is read for it."""

import numpy as np
import pytest
import tifffile

from napari_srgan.errors import InputError
from napari_srgan.image.intensity import looks_linear, measure
from napari_srgan.image.invalid import refuse_invalid
from napari_srgan.image.memory import remembered
from napari_srgan.image.sampling import sample
from napari_srgan.image.stack import Stack
from napari_srgan.io.formats import source
from napari_srgan.io.open import open_stack


@pytest.fixture
def blocks(monkeypatch):
    """Sizes of what is read of the files, in bytes."""
    sizes = []
    whole = source.FileArray.__getitem__

    def counted(array, key):
        block = whole(array, key)
        sizes.append(block.nbytes)
        return block

    monkeypatch.setattr(source.FileArray, "__getitem__", counted)
    return sizes


def test_a_file_that_is_opened_again_is_not_looked_through_again(tmp_path, blocks):
    path = tmp_path / "a.npy"
    np.save(path, np.linspace(0, 5, 30_000).reshape(3, 100, 100))
    first = measure(open_stack(path)), looks_linear(open_stack(path))
    refuse_invalid(open_stack(path), {"Z": (0, 2)})
    assert blocks
    blocks.clear()
    assert (measure(open_stack(path)), looks_linear(open_stack(path))) == first
    refuse_invalid(open_stack(path), {"Z": (0, 2)})
    assert blocks == []
    assert measure(open_stack(path), "minmax") == measure(Stack(np.load(path)), "minmax")
    assert blocks != []


def test_a_file_that_is_another_by_then_is(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.linspace(0, 5, 10_000).reshape(100, 100))
    before = measure(open_stack(path))
    np.save(path, np.linspace(0, 7, 11_000).reshape(100, 110))
    assert measure(open_stack(path)) == measure(Stack(np.load(path))) != before


def test_other_axes_of_the_same_file_are_measured_for_themselves(tmp_path):
    path = tmp_path / "a.npy"
    data = np.arange(2 * 20 * 20, dtype=np.float32).reshape(2, 20, 20)
    np.save(path, data)
    for axes in ("ZYX", "CYX", "ZYX"):
        assert measure(open_stack(path, axes)) == measure(Stack(data, axes))


def test_what_is_refused_is_refused_again(tmp_path):
    data = np.ones((20, 20))
    data[3, 4] = np.nan
    np.save(tmp_path / "a.npy", data)
    for _ in range(2):
        with pytest.raises(InputError, match="1 NaN"):
            refuse_invalid(open_stack(tmp_path / "a.npy"))


def test_only_so_much_is_kept(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 20)))
    stack = open_stack(tmp_path / "a.npy")
    found = [remembered(stack, ("n", i), lambda i=i: i) for i in range(2000)]
    assert found == list(range(2000))
    assert remembered(stack, ("n", 0), lambda: "again") == "again"
    assert remembered(stack, ("n", 1999), lambda: "again") == 1999


def test_a_sample_of_a_large_file_reads_little_of_it(tmp_path, blocks):
    shape = (40, 2000, 2000)  # 320 MB, sparse
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, shape=shape, dtype="uint16", photometric="minisblack")
    assert sample(open_stack(path), size=2**16).size >= 2**15
    assert sum(blocks) < 3e6


def test_the_range_of_a_file_is_that_of_its_pixels_in_memory(tmp_path):
    data = np.random.default_rng(0).gamma(2, 300, (6, 900, 1000)).astype(np.uint16)
    for name, how in {"plain.tif": {}, "strips.tif": {"compression": "zlib"}}.items():
        tifffile.imwrite(tmp_path / name, data, photometric="minisblack", **how)
        assert measure(open_stack(tmp_path / name)) == measure(Stack(data))
        assert looks_linear(open_stack(tmp_path / name)) == looks_linear(Stack(data))
