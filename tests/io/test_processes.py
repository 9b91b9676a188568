"""One open file read by many threads and processes: the same bytes as read by one, always."""

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import tifffile

from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack

PLANES = 40


@pytest.fixture(params=["rows", "strips", "npy"])
def opened(request, tmp_path):
    """A stack from a file, of which planes were read already, and its pixels."""
    data = np.random.default_rng(0).integers(0, 60000, (PLANES, 60, 70)).astype(np.uint16)
    path = tmp_path / "a.tif"
    how = {"strips": {"rowsperstrip": 7}}.get(request.param)
    if request.param == "npy":
        path = tmp_path / "a.npy"
        np.save(path, data)
    elif how is None:
        tifffile.imwrite(path, data, photometric="minisblack")
    else:
        tifffile.imwrite(path, data, photometric="minisblack", compression="zlib", **how)
    stack = open_stack(path)
    stack.read((3,))
    return stack, data


def wrong(stack, data, seed):
    """Read parts at random; count those that are not what they should be."""
    rng = np.random.default_rng(seed)
    return sum(
        not np.array_equal(stack.read((z,), slice(y, y + 20)), data[z, y : y + 20])
        for z, y in zip(rng.integers(0, PLANES, 200), rng.integers(0, 40, 200), strict=True)
    )


def test_eight_threads(opened):
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(partial(wrong, *opened), range(8))) == [0] * 8


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_of_four_processes(opened, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    stack, data = opened
    with multiprocessing.get_context(method).Pool(4) as pool:
        # the stack is sent to each, and pickled by its path
        assert pool.map(partial(wrong, stack, data), range(8)) == [0] * 8


_inherited = {}


def _of_the_parent(seed):
    return wrong(*_inherited["opened"], seed)


def test_forked_processes_share_no_position_in_the_file(opened):
    """They use the very object of their parent, which reads at the same time."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no fork here")
    _inherited["opened"] = opened
    with multiprocessing.get_context("fork").Pool(4) as pool:
        elsewhere = pool.map_async(_of_the_parent, range(8))
        assert sum(wrong(*opened, seed) for seed in range(100, 104)) == 0
        assert elsewhere.get() == [0] * 8


@pytest.mark.parametrize("opened", ["strips"], indirect=True)
def test_dask_reads_the_same_in_other_processes(opened):
    dask_array = pytest.importorskip("dask.array")  # it comes with napari
    stack, data = opened
    lazy = dask_array.from_array(stack.data, chunks=(1, -1, -1), name=False, meta=data[:0])
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        read = lazy.compute(scheduler="processes", pool=pool)
    np.testing.assert_array_equal(read, data)


@pytest.mark.parametrize("opened", ["strips"], indirect=True)
def test_a_dask_cluster_reads_the_same(opened, tmp_path):
    """Where dask.distributed is installed, which this package does not need."""
    distributed = pytest.importorskip("distributed")
    dask_array = pytest.importorskip("dask.array")
    stack, data = opened
    lazy = dask_array.from_array(stack.data, chunks=(3, 25, -1), name=False, meta=data[:0])
    here = {"dashboard_address": None, "local_directory": str(tmp_path / "dask")}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, processes=True, **here) as them,
        distributed.Client(them) as client,
    ):
        read = client.compute(lazy, sync=True)
        parts = client.map(partial(wrong, stack, data), range(8), pure=False)
        assert client.gather(parts) == [0] * 8
    assert read.dtype == data.dtype
    np.testing.assert_array_equal(read, data)


def test_stacks_from_files_are_sent_without_their_pixels(opened):
    stack, data = opened
    sent = pickle.dumps(stack)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert isinstance(again, Stack)
    np.testing.assert_array_equal(again.read((7,)), data[7])
