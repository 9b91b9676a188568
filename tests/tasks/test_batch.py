"""Batches that go on where they stopped, and folders that are watched: what is taken, and when."""

import csv
import os
import shutil
from itertools import count

import numpy as np
import pytest
import tifffile

from napari_srgan.errors import InputError
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks import batch as batch_module
from napari_srgan.tasks.batch import BatchOrder, FileBegun, files_in, run_batch, watch
from napari_srgan.tasks.restore import LOOKING, FileOutcome
from napari_srgan.tasks.steps import Progress

OPTIONS = RestoreOptions(model="tiny-gray", device="cpu", kind="photograph")

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def order(tmp_path):
    return BatchOrder(folder=tmp_path / "out", options=OPTIONS, skip=True)


def write(path, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 20)).astype(np.uint8)
    tifffile.imwrite(path, pixels)
    return str(path)


def outcomes(steps):
    return [step for step in steps if isinstance(step, FileOutcome)]


def states(found):
    return ["done" if o.summary else "failed" if o.error else "left" for o in found]


def rows(order):
    with (order.folder / "summary.csv").open(newline="") as stream:
        return [(row["input"], row["status"]) for row in csv.DictReader(stream)]


# --- batches --------------------------------------------------------------------------------------


def test_a_batch_goes_on_where_it_stopped(folder, order):
    sources = [write(folder / f"s{n}.tif", n) for n in range(3)]
    steps = run_batch(sources, order, str)
    for step in steps:
        if isinstance(step, Progress) and step.stage.startswith("s1.tif"):
            steps.close()  # cancelled in the second
    assert rows(order) == [("s0.tif", "done")]
    first = order.folder / "s0_tiny-gray_4x.tif"
    before = first.stat().st_mtime_ns
    assert sorted(p.name for p in order.folder.iterdir() if not p.name.startswith(".")) == [
        first.name,
        "summary.csv",
    ]
    found = outcomes(run_batch(sources, order, str))
    assert states(found) == ["left", "done", "done"]
    assert found[0].left == "s0_tiny-gray_4x.tif is there"
    assert first.stat().st_mtime_ns == before
    assert rows(order) == [(f"s{n}.tif", "done") for n in range(3)]


def test_steps_name_the_file_that_they_are_of(folder, order):
    sources = [write(folder / f"s{n}.tif", n) for n in range(2)]
    stages = [s.stage for s in run_batch(sources, order, str) if isinstance(s, Progress)]
    assert stages[:2] == [LOOKING, LOOKING]
    assert all(stage.startswith(("s0.tif", "s1.tif")) for stage in stages[2:])


def test_an_error_is_a_sentence_a_row_and_no_end(folder, order):
    (folder / "a.tif").write_bytes(b"II*\0 no image")
    good = write(folder / "b.tif")
    found = outcomes(run_batch([str(folder / "a.tif"), good], order, lambda e: f"said: {e}"))
    assert states(found) == ["failed", "done"]
    assert found[0].said.startswith("said: ")
    assert rows(order) == [("a.tif", "failed"), ("b.tif", "done")]


def test_what_a_batch_has_made_is_no_input_of_the_next(folder, order):
    source = write(folder / "a.tif")
    outcomes(run_batch([source], order, str))
    result = order.folder / "a_tiny-gray_4x.tif"
    (found,) = outcomes(run_batch([str(result)], order, str))
    assert found.left == "it is a result itself"


def test_files_of_a_folder_in_natural_order(folder):
    for name in ("s10.tif", "s2.TIF", ".s1.tif", "s3.txt", "t1.npy", "s1.tif.partial"):
        (folder / name).touch()
    (folder / "sub").mkdir()
    assert [p.name for p in files_in(folder)] == ["s2.TIF", "s10.tif", "t1.npy"]
    assert [p.name for p in files_in(folder, "S*.tif")] == ["s2.TIF", "s10.tif"]


def test_results_are_not_written_over_inputs(folder):
    order = BatchOrder(folder=folder, options=OPTIONS, overwrite=True)
    with pytest.raises(InputError, match="another folder"):
        next(watch(folder, "*", order, str))


# --- watching -------------------------------------------------------------------------------------


class Watched:
    """A watched folder, one look after the other."""

    def __init__(self, folder, order, pattern="*"):
        self.steps = watch(folder, pattern, order, str, poll=0)

    def look(self):
        """Look once; returns what has become of files, and what was said."""
        found, notes = [], []
        for step in self.steps:
            if isinstance(step, FileOutcome):
                found.append(step)
            elif not isinstance(step, FileBegun) and step.note and not step.total:
                notes.append(step.note)
            if isinstance(step, Progress) and step.stage == "Waiting for files":
                break
        return found, notes


def test_a_file_is_taken_once_it_is_the_same_in_two_looks(folder, order):
    write(folder / "there.tif")
    watched = Watched(folder, order)
    assert watched.look() == ([], [])
    found, _ = watched.look()
    assert [o.label for o in found] == ["there.tif"] and states(found) == ["done"]
    whole = (order.folder.parent / "whole.tif", folder / "slow.tif")
    content = open(write(whole[0]), "rb").read()  # noqa: PTH123, SIM115
    for end in (100, 200, len(content)):
        whole[1].write_bytes(content[:end])
        assert watched.look() == ([], [])
    assert states(watched.look()[0]) == ["done"]
    assert watched.look() == ([], [])


def test_a_file_that_is_renamed_into_the_folder_is_taken_and_its_former_name_is_not(folder, order):
    watched = Watched(folder, order)
    write(order.folder.parent / "a.tif")
    shutil.copy(order.folder.parent / "a.tif", folder / "a.tif.part")
    for _ in range(3):
        assert watched.look() == ([], [])
    os.replace(folder / "a.tif.part", folder / "a.tif")  # noqa: PTH105
    assert watched.look() == ([], [])
    assert states(watched.look()[0]) == ["done"]


def test_results_in_the_same_folder_are_no_inputs(folder):
    order = BatchOrder(folder=folder, options=OPTIONS)
    write(folder / "a.tif")
    watched = Watched(folder, order)
    watched.look()
    assert states(watched.look()[0]) == ["done"]
    told = [o.left for _ in range(3) for o in watched.look()[0]]
    assert set(told) <= {"it is a result itself"}
    assert len(list(folder.glob("*_4x*"))) == 1


def test_a_failure_does_not_end_it_and_a_file_that_changes_is_taken_again(folder, order):
    (folder / "a.tif").write_bytes(b"II*\0 half")
    watched = Watched(folder, order)
    watched.look()
    assert states(watched.look()[0]) == ["failed"]
    assert watched.look() == ([], [])  # and is not tried for ever
    write(folder / "a.tif")
    watched.look()
    assert states(watched.look()[0]) == ["done"]
    assert rows(order) == [("a.tif", "failed"), ("a.tif", "done")]


def test_what_was_done_before_is_left_when_it_starts_anew(folder, order):
    write(folder / "a.tif")
    watched = Watched(folder, order)
    watched.look(), watched.look()
    watched.steps.close()
    again = Watched(folder, order)
    again.look()
    (left,) = again.look()[0]
    assert left.left == "a_tiny-gray_4x.tif is there"


def test_a_folder_that_is_gone_for_a_while_is_waited_for(folder, order):
    watched = Watched(folder, order)
    watched.look()
    os.rename(folder, folder.parent / "unplugged")  # noqa: PTH104
    (note,) = watched.look()[1]
    assert "cannot be read" in note
    assert watched.look() == ([], [])  # said once
    os.rename(folder.parent / "unplugged", folder)  # noqa: PTH104
    write(folder / "a.tif")
    assert "there again" in watched.look()[1][0]
    assert states(watched.look()[0]) == ["done"]


def test_results_that_cannot_be_written_are_said_and_watching_goes_on(folder, order, monkeypatch):
    write(folder / "a.tif")
    watched = Watched(folder, order)
    watched.look()
    real, calls = batch_module.add_row, count()

    def full(*row):
        if next(calls) == 0:
            raise OSError(28, "No space left on device")
        real(*row)

    monkeypatch.setattr(batch_module, "add_row", full)
    assert "No space left" in watched.look()[1][0]
    write(folder / "b.tif")
    watched.look()
    assert states(watched.look()[0]) == ["done"]


def test_only_what_matches_is_taken(folder, order):
    for name in ("a_oct.tif", "b.tif"):
        write(folder / name)
    watched = Watched(folder, order, "*_oct.*")
    watched.look()
    assert [o.label for o in watched.look()[0]] == ["a_oct.tif"]


def test_a_folder_that_is_none_is_refused(folder, order):
    with pytest.raises(InputError, match="is no folder"):
        next(watch(folder / "none", "*", order, str))
