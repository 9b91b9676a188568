"""Several jobs fill one store: together they give what one run gives, byte by byte."""

import errno
import json
import os
from datetime import datetime
from itertools import zip_longest

import numpy as np
import pytest
import small_models
import tifffile

from napari_srgan.cli import main
from napari_srgan.engine import record
from napari_srgan.io.journal import unfinished
from napari_srgan.io.open import open_stack
from napari_srgan.io.sinks.zarr import ZarrContent
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.cluster import Share, restore_share

pytest.importorskip("zarr")
SHAPE = (2, 7, 24, 32)


@pytest.fixture(autouse=True)
def all_runs_are_of_one_moment(monkeypatch):
    class Then(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(record, "datetime", Then)


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_models.save(tmp_path, "gray", 1)
    small_models.save(tmp_path, "other", 1, features=5)
    pixels = np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.uint16)
    pixels[:, 3] //= 3  # so that a share alone would find another range
    tifffile.imwrite("in.tif", pixels, imagej=True, metadata={"axes": "TZYX"})


def run(output, *more, source="in.tif", model="gray"):
    typed = ["upscale", source, output, "--model", f"{model}.safetensors", "--device", "cpu"]
    return main([*typed, "--tile", "16", "--precision", "float32", *more])


def files_of(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("a.zarr"))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    "shares",
    [
        [["--slice-of", f"{k}/3"] for k in (2, 3, 1)],
        [["--slices", "4:", "--resume"], ["--slices", ":4", "--resume"]],
        [["--slices", "2:5", "--resume"], ["--slice-of", "1/1"], ["--slice-of", "1/9"]],
    ],
)
def test_jobs_together_give_what_one_run_gives(tmp_path, capsys, version, shares):
    kind = ["--ome-zarr", version]
    assert run("whole.zarr", *kind) == 0
    assert run("a.zarr", "--prepare", *kind) == 0
    assert "a.zarr is prepared: 14 slices" in capsys.readouterr().out
    for share in shares:
        assert run("a.zarr", *share, *kind) == 0
        assert not (tmp_path / "a.zarr").exists()
    assert run("a.zarr", "--finish", *kind) == 0
    assert files_of(tmp_path / "a.zarr") == files_of(tmp_path / "whole.zarr")
    assert left(tmp_path) == ["a.zarr"]


def test_a_part_is_prepared_and_its_slices_keep_their_numbers(tmp_path):
    assert run("whole.zarr", "--slices", "2:6") == 0
    assert run("a.zarr", "--prepare", "--slices", "2:6") == 0
    assert run("a.zarr", "--slices", "2:4", "--resume") == 0
    assert run("a.zarr", "--slices", "4:6", "--resume") == 0
    assert run("a.zarr", "--finish") == 0
    assert files_of(tmp_path / "a.zarr") == files_of(tmp_path / "whole.zarr")


def test_what_is_missing_is_named_and_nothing_is_put_in_place(tmp_path, capsys):
    assert run("a.zarr", "--prepare") == 0
    assert run("a.zarr", "--slices", "1:", "--resume") == 0
    capsys.readouterr()
    before = files_of(tmp_path)
    assert run("a.zarr", "--finish") == 2
    said = capsys.readouterr().err
    assert "2 of its 14 slices are missing (T=0, Z=0 and 1 more); start their jobs again" in said
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--slice-of", "1/2", "--tile", "24"], "(tile: 16 px then, 24 px now)"),
        (["--slice-of", "1/2", "--intensity", "0:9"], "(intensity: auto, "),
        (["--slice-of", "1/2", "--ome-zarr", "0.5"], "(OME-Zarr: 0.4 then, 0.5 now)"),
        (["--slices", "90:", "--resume"], "None of the slices 90: is among those"),
        (["--slice-of", "1/2", "--overwrite"], "--overwrite has no meaning for one share"),
        (["--slice-of", "1/2", "--roi", "0:9,0:9"], "leave --roi out of the jobs that share it"),
        (["--slices", "1:2", "--resume", "--roi", "0:9,0:9"], "leave --roi out of the jobs"),
        (["--finish", "--roi", "0:9,0:9"], "and --slices and --roi out of --finish"),
        (["--finish", "--slices", "1:2"], "and --slices and --roi out of --finish"),
        (["--resume"], "was prepared for several jobs; --slices or --slice-of says"),
        (["--slice-of", "1/2", "--finish"], "give one of them at a time"),
        (["--slice-of", "1/2", "--out-dir", "o"], "take one input and one output, without"),
        ([], "is prepared for several jobs, with 0 planes done; --slice-of fills it"),
        (["--prepare"], "with 0 planes done; --slice-of fills it, --overwrite starts anew"),
    ],
)
def test_shares_that_do_not_fit_are_refused_in_a_sentence(tmp_path, capsys, typed, said):
    assert run("a.zarr", "--prepare") == 0
    capsys.readouterr()
    before = files_of(tmp_path)
    assert run("a.zarr", *typed) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert files_of(tmp_path) == before


def test_a_store_of_another_model_is_refused_by_name(tmp_path, capsys):
    assert run("a.zarr", "--prepare") == 0
    assert run("a.zarr", "--slice-of", "1/2", model="other") == 2
    said = capsys.readouterr().err
    assert "(model: gray " in said and "--overwrite" not in said


def test_jobs_of_other_arithmetic_are_refused_by_the_first(tmp_path, capsys):
    assert run("a.zarr", "--prepare") == 0
    assert run("a.zarr", "--slice-of", "1/2", "--precision", "float32") == 0
    capsys.readouterr()
    assert run("a.zarr", "--slice-of", "2/2", "--precision", "bfloat16") == 2
    assert "(precision: float32 then, bfloat16 now)" in capsys.readouterr().err
    assert run("a.zarr", "--slice-of", "2/2", "--precision", "float32") == 0
    assert run("a.zarr", "--finish") == 0


@pytest.mark.parametrize("typed", [["--slice-of", "1/2"], ["--finish"]])
def test_what_was_not_prepared_is_said_so(capsys, typed):
    assert run("a.zarr", *typed) == 2
    assert "a.zarr is not prepared for several jobs; --prepare" in capsys.readouterr().err
    assert run("a.zarr") == 0
    assert run("a.zarr", "--slice-of", "1/2") == 2
    assert "a.zarr is there and whole" in capsys.readouterr().err


def test_a_share_says_how_far_the_store_is_and_what_comes_next(capsys):
    assert run("a.zarr", "--prepare") == 0
    capsys.readouterr()
    assert run("a.zarr", "--slice-of", "1/2") == 0
    said = capsys.readouterr().out
    assert said == "a.zarr: 7 of 14 slices are done; when all are, --finish puts it in place.\n"
    assert run("a.zarr", "--slice-of", "2/2", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["slices_done"] == said["slices"] == 14
    assert run("a.zarr", "--slices", "0:1", "--resume") == 0
    assert "14 of 14 slices are done; now --finish puts it" in capsys.readouterr().out


def test_slices_of_a_store_that_is_whole_or_was_not_prepared(capsys):
    late = ["--slices", "1:3", "--resume"]
    assert run("a.zarr", *late) == 0
    said = capsys.readouterr().err
    assert "not prepared for several jobs, so it will hold these slices only; for several" in said
    assert open_stack("a.zarr").shape == (2, 2, 96, 128)
    assert run("a.zarr", *late) == 2
    said = capsys.readouterr().err
    assert "a.zarr is there and whole; no share of it is missing" in said
    assert run("a.zarr", *late, "--overwrite") == 0


def test_only_a_zarr_output_is_prepared(capsys):
    assert run("a.tif", "--prepare") == 2
    assert "a.tif: only a .zarr output can be filled by several jobs" in capsys.readouterr().err


def test_a_share_that_was_stopped_is_made_again_where_it_stopped(tmp_path, monkeypatch, capsys):
    assert run("whole.zarr") == 0
    assert run("a.zarr", "--prepare") == 0
    write = ZarrContent.write

    def refused(self, index, *rest):
        if index == (0, 5):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, index, *rest)

    monkeypatch.setattr(ZarrContent, "write", refused)
    assert run("a.zarr", "--slice-of", "1/1") == 2
    assert "the disk is full" in capsys.readouterr().err
    assert len(unfinished(tmp_path / "a.zarr")[1].planes()) == 5
    monkeypatch.setattr(ZarrContent, "write", write)
    assert run("a.zarr", "--slice-of", "1/1") == 0
    assert run("a.zarr", "--finish") == 0
    assert files_of(tmp_path / "a.zarr") == files_of(tmp_path / "whole.zarr")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of Unix")
def test_a_store_that_may_not_be_written_is_one_sentence(tmp_path, monkeypatch, capsys):
    assert run("a.zarr", "--prepare") == 0

    def refused(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(ZarrContent, "write", refused)  # root may write anything
    capsys.readouterr()
    assert run("a.zarr", "--slice-of", "1/2") == 2
    said = capsys.readouterr().err
    assert "a.zarr cannot be written: Permission denied. What is done is kept" in said


def test_two_jobs_at_once_equal_one_run(tmp_path):
    """Step by step in turns; scripts/stress_outputs.py has them in processes of their own."""
    assert run("whole.zarr") == 0
    assert run("a.zarr", "--prepare") == 0
    options = RestoreOptions(model="gray.safetensors", device="cpu", precision="float32", tile=16)
    stack, path = open_stack("in.tif"), tmp_path / "a.zarr"
    jobs = [restore_share(stack, options, path, Share(part=(k, 2))) for k in (1, 2)]
    told = list(zip_longest(*jobs))
    assert all(step is not None for step in told[len(told) // 2]), "they were at work together"
    assert run("a.zarr", "--finish") == 0
    assert files_of(path) == files_of(tmp_path / "whole.zarr")
    assert open_stack("a.zarr").shape == (2, 7, 96, 128)
