"""Workers of a dask cluster give what one run gives, also when one of them is lost."""

import os
import signal

import numpy as np
import pytest
import small_models
import tifffile

from napari_srgan.cli import main
from napari_srgan.errors import InputError
from napari_srgan.io.open import open_stack
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import restore
from napari_srgan.tasks.steps import drain
from napari_srgan.tasks.workers import restore_by_workers

distributed = pytest.importorskip("distributed")
pytest.importorskip("zarr")


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small_models.save(tmp_path, "gray", 1)
    pixels = np.random.default_rng(0).integers(0, 4000, (24, 24, 32)).astype(np.uint16)
    tifffile.imwrite("in.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    options = RestoreOptions(model=str(model), device="cpu", precision="float32", tile=16)
    return open_stack("in.tif"), options


def chunks(folder):
    """Return the chunks of a store; its attributes hold the time."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".zattrs")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_worker_that_is_killed_midway_changes_nothing(job, tmp_path):
    drain(restore(*job, tmp_path / "whole.zarr"))
    here = {"dashboard_address": None, "local_directory": str(tmp_path / "dask")}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **here) as them,
        distributed.Client(them) as client,
    ):
        first = next(iter(client.run(os.getpid).values()))
        work = restore_by_workers(*job, tmp_path / "a.zarr", scheduler=them.scheduler_address)
        told = []
        while True:
            try:
                told.append(next(work))
            except StopIteration as end:
                made = end.value
                break
            if first and 0 < told[-1].done < told[-1].total:
                os.kill(first, signal.SIGKILL)
                first = 0
    assert first == 0, "nothing was killed"
    assert max(step.done for step in told if step.total == 24) == 24
    assert chunks(tmp_path / "a.zarr") == chunks(tmp_path / "whole.zarr")
    assert made.record.consistency is not None
    assert sorted(p.name for p in tmp_path.glob("a.zarr*")) == ["a.zarr"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["a.tif", "--workers", "2"], "only a .zarr output can be filled by several jobs"),
        (["a.zarr", "--workers", "2", "--scheduler", "tcp://x:1"], "give one of them at a time"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_a_sentence(job, capsys, typed, said):
    command = ["upscale", "in.tif", *typed, "--model", "gray.safetensors", "--device", "cpu"]
    assert main(command) == 2
    assert said in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_said_so(job, tmp_path, monkeypatch):
    def refused(address, timeout):
        raise OSError(f"Timed out trying to connect to {address}")

    monkeypatch.setattr(distributed, "Client", refused)
    with pytest.raises(InputError, match=r"No dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        drain(restore_by_workers(*job, tmp_path / "a.zarr", scheduler="tcp://127.0.0.1:9"))
    assert not list(tmp_path.glob("a.zarr*"))
