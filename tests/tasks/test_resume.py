"""Runs that were stopped go on, to the same bytes, or say why they cannot."""

import errno
import json
import os
import re
import shutil
from datetime import datetime

import numpy as np
import pytest
import small_models
import tifffile

from napari_srgan.cli import main
from napari_srgan.engine import record
from napari_srgan.engine.progress import drain
from napari_srgan.errors import InputError, OutputExists
from napari_srgan.image.stack import Stack
from napari_srgan.io import atomic
from napari_srgan.io.journal import Journal, unfinished
from napari_srgan.io.open import open_stack
from napari_srgan.io.sinks import file as sink_file
from napari_srgan.io.sinks import levels, tiff
from napari_srgan.options import FileOptions, RestoreOptions
from napari_srgan.tasks.restore import restore

NAMES = ("a.tif", "a.ome.tif", "a.npy", "a.zarr")
RESUME = FileOptions(resume=True)
PLANES = 6


@pytest.fixture(autouse=True)
def every_plane_is_marked(monkeypatch):
    monkeypatch.setattr(sink_file, "FLUSHED_EVERY", 0.0)


@pytest.fixture(autouse=True)
def all_runs_are_of_one_moment(monkeypatch):
    class Then(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(record, "datetime", Then)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_models.save(tmp_path_factory.mktemp("m"), "gray", 1, degradation="area")


def stack(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 4000, (PLANES, 24, 32)).astype(np.uint16)
    return Stack(pixels, "ZYX", "scan", metadata={"sample": "eye"})


def options(model, **changed):
    return RestoreOptions(**{"model": str(model), "device": "cpu", "tile": 16} | changed)


def bytes_of(path):
    """Return a file without OME's UUID, which is of every file its own; of a folder all files."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
    return re.sub(rb"urn:uuid:[0-9a-f-]{36}", b"UUID", path.read_bytes())


def stop(work, done):
    """Take steps of work until so many planes are done, and close it."""
    for step in work:
        if step.total and step.done * PLANES >= done * step.total:
            break
    work.close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("changed", [{}, {"back_project": True}])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path, model, name, changed):
    whole, cut = (tmp_path / which / name for which in ("whole", "cut"))
    for path in (whole, cut):
        path.parent.mkdir()
    asked = options(model, **changed)
    expected = drain(restore(stack(), asked, whole))
    for done in (2, 3, 4):
        stop(restore(stack(), asked, cut, files=RESUME), done)
        assert not cut.exists()
        assert len(unfinished(cut)[1].planes()) >= done - 1
    read = []
    again = stack()
    object.__setattr__(again, "data", Watched(again.data, read))
    made = drain(restore(again, asked, cut, files=RESUME))
    assert bytes_of(cut) == bytes_of(whole)
    assert names(cut.parent) == [name]
    assert made.record == expected.record


@pytest.mark.parametrize("name", ["a.ome.tif", "a.zarr"])
def test_levels_go_on_to_the_same_bytes(tmp_path, model, monkeypatch, name):
    monkeypatch.setattr(tiff, "LARGE_PLANE", 60)
    monkeypatch.setattr(levels, "COARSEST", 40)
    whole, cut = (tmp_path / which / name for which in ("whole", "cut"))
    for path in (whole, cut):
        path.parent.mkdir()
    made = drain(restore(stack(), options(model), whole))
    assert len(open_stack(whole).data.coarser) == 2
    stop(restore(stack(), options(model), cut, files=RESUME), 3)
    drain(restore(stack(), options(model), cut, files=RESUME))
    assert bytes_of(cut) == bytes_of(whole)
    np.testing.assert_array_equal(open_stack(cut).data, made.result.data)


class Watched:
    def __init__(self, data, read):
        self._data, self._read, self.shape, self.dtype = data, read, data.shape, data.dtype

    def __getitem__(self, key):
        self._read.append(key)
        return self._data[key]


def test_planes_that_are_done_are_not_made_again(tmp_path, model, monkeypatch):
    path, asked = tmp_path / "a.tif", options(model)
    stop(restore(stack(), asked, path, files=RESUME), 4)
    made = []
    enlarge = "napari_srgan.engine.run.enlarge_tile"
    from napari_srgan.engine.run import enlarge_tile

    monkeypatch.setattr(enlarge, lambda *given: made.append(0) or enlarge_tile(*given))
    first = [step for step in restore(stack(), asked, path, files=RESUME) if step.total][-1]
    assert len(made) <= 2 * 4 and first.done == first.total == PLANES * 4


def test_without_resume_a_stop_leaves_nothing(tmp_path, model):
    stop(restore(stack(), options(model), tmp_path / "a.tif"), 3)
    assert names(tmp_path) == []


def test_an_unfinished_output_is_never_replaced_silently(tmp_path, model):
    path, asked = tmp_path / "a.tif", options(model)
    stop(restore(stack(), asked, path, files=RESUME), 3)
    before = names(tmp_path)
    with pytest.raises(OutputExists, match=r"\d planes? done; --resume .*--overwrite"):
        drain(restore(stack(), asked, path))
    assert names(tmp_path) == before
    drain(restore(stack(), asked, path, overwrite=True))
    assert names(tmp_path) == ["a.tif"]


def test_other_settings_are_refused_by_name_and_nothing_is_lost(tmp_path, model):
    path = tmp_path / "a.tif"
    stop(restore(stack(), options(model), path, files=RESUME), 3)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    other = small_models.save(tmp_path / "..", "other", 1, features=5)
    for changed, said in [
        ({"model": str(other)}, r"model: gray \w{16} then, other \w{16} now\)"),
        ({"intensity": "0:100"}, r"intensity: auto, .* then, 0:100, 0 to 100 now\)"),
        ({"transform": "power:0.5"}, r"\(transform: none then, power:0.5 now\)"),
        ({"tile": 24}, r"\(tile: 16 px then, 24 px now\)"),
        ({"tile": 24, "transform": "log"}, r"transform: .*; tile: "),
    ]:
        with pytest.raises(InputError, match=said):
            drain(restore(stack(), options(**{"model": model} | changed), path, files=RESUME))
    with pytest.raises(InputError, match=r"\(input: ZYX 6 x 24 x 32 uint16 of pixels"):
        drain(restore(stack(1), options(model, intensity="auto"), path, files=RESUME))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_the_range_and_the_tile_of_the_first_run_hold(tmp_path, model, monkeypatch):
    path, asked = tmp_path / "a.tif", options(model, tile="auto")
    stop(restore(stack(), asked, path, files=RESUME), 2)
    monkeypatch.setattr("napari_srgan.engine.plan.auto_tile", lambda *_: 10)  # less memory now
    monkeypatch.setattr("napari_srgan.engine.plan.measure", lambda *_: 1 / 0)
    made = drain(restore(stack(), asked, path, files=RESUME))
    assert made.record.tile == 32


def test_a_disk_that_is_full_loses_nothing(tmp_path, model, monkeypatch):
    whole, path = tmp_path / "whole.tif", tmp_path / "a.tif"
    drain(restore(stack(), options(model), whole))
    write = sink_file.TiffContent.write

    def full(self, index, *rest):
        if index[0] == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, index, *rest)

    monkeypatch.setattr(sink_file.TiffContent, "write", full)
    with pytest.raises(InputError, match=r"the disk is full; .*\. What is done is kept: --resume"):
        drain(restore(stack(), options(model), path))
    monkeypatch.setattr(sink_file.TiffContent, "write", write)
    assert len(unfinished(path)[1].planes()) == 4
    drain(restore(stack(), options(model), path, files=RESUME))
    assert bytes_of(path) == bytes_of(whole)


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_kill_while_the_notes_are_written_spoils_nothing(tmp_path, model, monkeypatch, name):
    whole, path = tmp_path / f"whole.{name}", tmp_path / name
    drain(restore(stack(), options(model), whole))
    finish = sink_file.TiffContent.finish

    def half(self, notes):
        finish(self, notes)
        raise OSError(errno.EIO, "killed here")

    monkeypatch.setattr(sink_file.TiffContent, "finish", half)
    with pytest.raises(InputError):
        drain(restore(stack(), options(model), path))
    monkeypatch.setattr(sink_file.TiffContent, "finish", finish)
    drain(restore(stack(), options(model), path, files=RESUME))
    assert bytes_of(path).replace(name.encode(), b"") == bytes_of(whole).replace(
        f"whole.{name}".encode(), b""
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder, file: (folder / "run.json").write_text("{"), "does not say what it was"),
        (lambda folder, file: (folder / "layout.json").unlink(), "a.tif is damaged; start anew"),
        (lambda folder, file: file.write_bytes(b"short"), "a.tif is damaged; start anew"),
    ],
)
def test_a_damaged_unfinished_output_is_refused_in_a_sentence(tmp_path, model, damage, said):
    path = tmp_path / "a.tif"
    stop(restore(stack(), options(model), path, files=RESUME), 2)
    file, journal = unfinished(path)
    damage(journal.folder, file)
    with pytest.raises(InputError, match=said):
        drain(restore(stack(), options(model), path, files=RESUME))
    assert file.exists()


def test_a_mark_that_a_power_cut_spoilt_is_none(tmp_path, model):
    whole, path = tmp_path / "whole.npy", tmp_path / "a.npy"
    drain(restore(stack(), options(model), whole))
    stop(restore(stack(), options(model), path, files=RESUME), 4)
    journal = unfinished(path)[1]
    (journal.folder / "1.done").write_bytes(b"")
    (journal.folder / "2.done").write_text(json.dumps([[["x"], {}]]))
    assert {(0,), (3,)} <= set(journal.planes()) <= {(0,), (3,), (4,)}
    drain(restore(stack(), options(model), path, files=RESUME))
    assert bytes_of(path) == bytes_of(whole)


def test_marks_of_several_processes_are_all_there(tmp_path):
    (tmp_path / "j").mkdir()
    one, two = (Journal(tmp_path / "j", tmp_path / "a.zarr") for _ in range(2))
    one.mark({(0, 1): {"a": 0.1}, (0, 2): {}})
    two.mark({(1, 0): {"a": 1 / 3}})
    assert one.planes() == {(0, 1): {"a": 0.1}, (0, 2): {}, (1, 0): {"a": 1 / 3}}


def test_the_command_goes_on_and_says_what_is_kept(tmp_path, model, monkeypatch, capsys):
    source, path = tmp_path / "scan.tif", tmp_path / "a.tif"
    tifffile.imwrite(source, stack().data, imagej=True, metadata={"axes": "ZYX"})
    typed = ["upscale", str(source), str(path), "--model", str(model), "--device", "cpu"]
    from napari_srgan.engine.run import enlarge_tile

    seen = []

    def interrupted(*given):
        seen.append(0)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return enlarge_tile(*given)

    monkeypatch.setattr("napari_srgan.engine.run.enlarge_tile", interrupted)
    assert main([*typed, "--resume"]) == 130
    assert f"what is done of {path} is kept, and --resume goes on" in capsys.readouterr().err
    assert main(typed) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    os.utime(source, ns=(1, 1))
    assert main([*typed, "--resume"]) == 2
    assert "(input: ZYX 6 x 24 x 32 uint16, " in capsys.readouterr().err
    tifffile.imwrite(source, stack().data, imagej=True, metadata={"axes": "ZYX"})
    assert main([*typed, "--resume", "--overwrite"]) == 2  # it was written anew
    capsys.readouterr()
    assert main([*typed, "--overwrite"]) == 0
    assert open_stack(path).shape == (PLANES, 96, 128)


def test_without_locks_what_may_be_anothers_is_not_removed(tmp_path, model, monkeypatch):
    path = tmp_path / "a.tif"
    stop(restore(stack(), options(model), path, files=RESUME), 2)
    other = unfinished(path)[0]
    monkeypatch.setattr("napari_srgan.io.lock.FileLock._try", lambda self: True)
    drain(restore(stack(), options(model), path, overwrite=True))
    assert path.exists() and other.exists()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_a_store_is_replaced_brings_no_old_pixels_back(
    tmp_path, model, monkeypatch, when
):
    path, seen = tmp_path / "out" / "a.zarr", tmp_path / "seen"
    path.parent.mkdir()
    new = drain(restore(stack(), options(model), tmp_path / "new.zarr")).result.data[:]
    old = drain(restore(stack(1), options(model), path)).result.data[:]
    exchange = atomic._exchange

    def killed(*names):
        if when == "after" and not exchange(*names):
            pytest.skip("no two names change places here")
        shutil.copytree(path.parent, seen)  # what a kill would leave
        raise KeyboardInterrupt

    with monkeypatch.context() as then, pytest.raises(KeyboardInterrupt):
        then.setattr(atomic, "_exchange", killed)
        drain(restore(stack(), options(model), path, overwrite=True, files=RESUME))
    left = seen / "a.zarr"
    there = old if when == "before" else new
    np.testing.assert_array_equal(open_stack(left).data[:], there)
    drain(restore(stack(), options(model), left, overwrite=True, files=RESUME))
    np.testing.assert_array_equal(open_stack(left).data[:], new)
    assert names(seen) == ["a.zarr"]


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_removal_that_was_stopped_leaves_nothing_to_go_on_with(
    tmp_path, model, monkeypatch, name
):
    path = tmp_path / name
    stop(restore(stack(), options(model), path, files=RESUME), 4)
    left, _ = unfinished(path)
    remove = "rmtree" if left.is_dir() else "unlink"
    real = getattr(shutil if left.is_dir() else os, remove)

    def killed(what, **more):
        if str(what) == str(left):
            raise KeyboardInterrupt
        real(what, **more)

    with monkeypatch.context() as then, pytest.raises(KeyboardInterrupt):
        then.setattr(atomic.shutil if left.is_dir() else os, remove, killed)
        atomic.remove_leftover(left)
    assert left.exists() and unfinished(path) is None
    drain(restore(stack(), options(model), path, files=RESUME))
    assert names(tmp_path) == [name]


def test_what_has_half_a_journal_is_removed(tmp_path, model):
    path = tmp_path / "a.zarr"
    stop(restore(stack(), options(model), path, files=RESUME), 3)
    (unfinished(path)[1].folder / "run.json").unlink()
    drain(restore(stack(), options(model), path))
    assert names(tmp_path) == ["a.zarr"]
