import errno
import os

import pytest

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.io.atomic import check_place, spare_inputs, whole_file
from napari_srgan.io.sinks import check_outputs_in


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_at_the_end_and_replaces_the_old_one(tmp_path):
    target = tmp_path / "a.csv"
    target.write_text("old")
    with whole_file(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
        assert partial.parent == tmp_path
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(error), whole_file(target) as partial:
        partial.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.csv"]


def test_a_disk_that_says_late_that_it_is_full_leaves_the_old_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), whole_file(tmp_path / "a.csv") as partial:
        partial.write_text("new")
    assert names(tmp_path) == []


def test_places_are_refused(tmp_path):
    there = tmp_path / "a.csv"
    there.write_text("old")
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        check_place(tmp_path, overwrite=True)
    with pytest.raises(InputError, match="does not exist; make it first"):
        check_place(tmp_path / "no" / "a.csv", overwrite=True)
    with pytest.raises(InputError, match=r"a\.csv: end it in \.html"):
        check_place(there, True, (".html",), "end it in .html.")
    with pytest.raises(OutputExists, match="exists already; --overwrite replaces it"):
        check_place(there, overwrite=False)
    check_place(there, overwrite=True)
    check_place(tmp_path / "b.HTML", False, (".html",))


def test_folders_of_outputs_are_refused(tmp_path):
    file = tmp_path / "a.tif"
    file.touch()
    with pytest.raises(InputError, match="is a file: --out needs a folder"):
        check_outputs_in(file, [], True, "--out")
    with pytest.raises(OutputExists, match="exists already; --overwrite replaces it"):
        check_outputs_in(tmp_path, [tmp_path / "b.tif", file], False, "--out")
    check_outputs_in(tmp_path / "new", [tmp_path / "new" / "a.tif"], False, "--out")


def test_inputs_are_not_written_over(tmp_path):
    file = tmp_path / "a.tif"
    file.touch()
    (tmp_path / "link.tif").symlink_to(file)
    with pytest.raises(InputError, match="is an input; name another output"):
        spare_inputs([None, tmp_path / "link.tif"], [None, file])
    spare_inputs([None, tmp_path / "b.tif"], [file, tmp_path / "gone.tif"])
