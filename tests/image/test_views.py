import pickle
import threading

import numpy as np
import pytest

from napari_srgan.image.stack import Stack
from napari_srgan.image.views import MovedArray, PlaneArray, cropped, enlarged, without_first


def test_lazy_arrays_read_what_numpy_reads():
    data = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    planes = PlaneArray(
        data.shape, data.dtype, "TYXZ", lambda index: data[index[0], :, :, index[1]]
    )
    part = without_first(data, 2, 1)
    for key in (
        np.s_[...],
        np.s_[1],
        np.s_[0, :, 1, 2],
        np.s_[:, 1:3, ::-1, ::2],
        np.s_[-1, ..., -1],
        np.s_[:, :, 1:3],
        np.s_[0, 2:2],
    ):
        assert np.array_equal(planes[key], data[key]), key
        assert np.array_equal(part[key], data[:, :, 1:][key]), key
    with pytest.raises(IndexError):
        planes[2]
    assert np.array_equal(np.asarray(planes), data)


def test_behind_a_frame_only_what_is_there_is_read():
    data = np.arange(12).reshape(3, 4)
    framed = MovedArray(data, (5, 4), (-2, 0))
    np.testing.assert_array_equal(framed[2:, 1:], data[:, 1:])
    np.testing.assert_array_equal(framed[4:1:-1], data[::-1])
    assert framed[2, 3] == data[0, 3]
    assert framed[0:0].shape == (0, 4)
    for key in (0, 1, np.s_[1:3], np.s_[...]):
        with pytest.raises(IndexError):
            framed[key]


def test_views_of_a_memory_map_travel_by_path(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.integers(0, 255, (3, 400, 500), np.uint8))
    stack = Stack(np.load(tmp_path / "a.npy", mmap_mode="r"))
    part = cropped(stack, (30, 61), (40, 72))
    large = enlarged(part, {"Y": (3, 20), "X": (5, 25)}, (4, 4))
    large.read((0,))  # what is kept of the last plane stays here
    for view in (part, large):
        sent = pickle.dumps(view)
        assert len(sent) < 3000
        np.testing.assert_array_equal(pickle.loads(sent).read((1,)), view.read((1,)))


def test_a_region_is_enlarged_as_the_whole_is():
    stack = Stack(np.random.default_rng(0).integers(0, 255, (60, 70), np.uint8))
    whole = enlarged(stack, {"Y": (0, 60), "X": (0, 70)}, (4, 4)).read(())
    part = enlarged(stack, {"Y": (13, 40), "X": (1, 30)}, (4, 4)).read(())
    np.testing.assert_array_equal(part, whole[52:160, 4:120])


def test_a_plane_that_takes_long_keeps_nobody_from_another():
    """Nor a process that is forked meanwhile, in which what was held would never be let go."""
    begun, go_on = threading.Event(), threading.Event()

    def plane(index):
        if index == (0,):
            begun.set()
            assert go_on.wait(30)
        return np.full((2, 2), index[0])

    planes = PlaneArray((2, 2, 2), np.uint8, "ZYX", plane)
    slow = threading.Thread(target=lambda: planes[0], daemon=True)
    slow.start()
    assert begun.wait(30)
    quick = threading.Thread(target=lambda: planes[1], daemon=True)
    quick.start()
    quick.join(30)
    waited = quick.is_alive()
    go_on.set()
    slow.join(30)
    assert not waited
    assert planes[0].max() == 0 and planes[1].min() == 1
