import errno
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import micromanager_files
import numpy as np
import pytest
import tifffile

from napari_srgan.errors import InputError, OutputBusy, OutputExists
from napari_srgan.io.atomic import WholeFile, check_place, remove_unfinished, whole_file
from napari_srgan.io.lock import FileLock, Taken
from napari_srgan.io.open import Spared, spare_inputs
from napari_srgan.io.sinks import check_output, check_outputs_in


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


# --- runs side by side -------------------------------------------------------------------------


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
    (tmp_path / "a.csv.00000000.partial").symlink_to(victim)
    (tmp_path / "a.csv.partial").symlink_to(victim)
    with whole_file(tmp_path / "a.csv") as partial:  # it was removed as a leftover
        partial.write_text("new")
    assert victim.read_text() == "precious"
    monkeypatch.setattr("napari_srgan.io.atomic._remove_leftovers", lambda target: None)
    (tmp_path / "b.csv.00000000.partial").symlink_to(victim)
    with pytest.raises(FileExistsError), whole_file(tmp_path / "b.csv") as partial:
        partial.write_text("new")
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / ".a.csv.lock").symlink_to(tmp_path / "made")
    (tmp_path / ".b.csv.lock").mkdir()
    for name in ("a.csv", "b.csv"):
        says = rf"\.{name}\.lock is a link or a folder, .*; remove it"
        with pytest.raises(InputError, match=says), whole_file(tmp_path / name):
            pass
    assert names(tmp_path) == [".a.csv.lock", ".b.csv.lock"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_of_two_runs_into_one_file_the_later_is_refused_before_its_work(tmp_path, overwrite):
    target = tmp_path / "a.csv"
    with whole_file(target, overwrite) as partial:
        with (
            pytest.raises(OutputBusy, match=r"a\.csv is being written by another run; wait"),
            whole_file(target, overwrite),
        ):
            pytest.fail("a second run was let in")
        partial.write_text("first")
    assert target.read_text() == "first"
    assert names(tmp_path) == ["a.csv"]
    with whole_file(target) as partial:
        partial.write_text("second")
    assert target.read_text() == "second"


def test_a_file_that_appeared_is_not_replaced_and_the_result_is_kept(tmp_path):
    target = tmp_path / "a.csv"
    with pytest.raises(OutputExists, match="has appeared while") as told:  # noqa: SIM117
        with whole_file(target, overwrite=False) as partial:
            partial.write_text("ours")
            target.write_text("theirs")
    kept = next(path for path in tmp_path.iterdir() if path != target)
    assert f"waits beside it as {kept.name}." in str(told.value)
    assert (kept.read_text(), target.read_text()) == ("ours", "theirs")
    assert kept.suffix == ".csv"
    with whole_file(target) as partial:  # a later run does not take it for a leftover
        partial.write_text("later")
    assert kept.read_text() == "ours"


def test_a_file_that_was_replaced_meanwhile_is_not_replaced_again(tmp_path):
    """Overwriting is asked of what is there, not of what another program makes of it."""
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(OutputExists, match="has changed while"), whole_file(target) as partial:
        partial.write_text("ours")
        (tmp_path / "b").write_text("theirs")
        (tmp_path / "b").replace(target)
    assert target.read_text() == "theirs"


def test_without_hard_links_nothing_is_replaced_either(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with whole_file(tmp_path / "a.csv", overwrite=False) as partial:
        partial.write_text("ours")
    assert (tmp_path / "a.csv").read_text() == "ours"
    with pytest.raises(OutputExists), whole_file(tmp_path / "b.csv") as partial:
        (tmp_path / "b.csv").write_text("theirs")
    assert (tmp_path / "b.csv").read_text() == "theirs"


def test_without_locks_two_runs_are_not_mixed_and_the_later_is_refused(tmp_path, monkeypatch):
    def unknown(descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("napari_srgan.io.lock._lock", unknown)
    first, second = WholeFile(tmp_path / "a.csv", True), WholeFile(tmp_path / "a.csv", True)
    for file, text in ((first, "first"), (second, "second")):
        file.hold()
        file.create().write_text(text)
    first.commit()
    with pytest.raises(OutputExists, match="has appeared"):
        second.commit()
    first.close()
    second.close()
    assert (tmp_path / "a.csv").read_text() == "first"


def test_what_a_killed_run_left_goes_with_the_next_run_and_nothing_else_does(tmp_path):
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from napari_srgan.io.atomic import whole_file
        with whole_file(Path(sys.argv[1])) as partial:
            partial.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    """)
    target = tmp_path / "a.csv"
    subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    left = names(tmp_path)
    assert len(left) == 2 and left[0] == ".a.csv.lock" and left[1].endswith(".partial")
    (tmp_path / "a.csv.0123abcd.partial").mkdir()  # as a report makes for a large result
    (tmp_path / "a.csv.0123abcd.partial" / "result.npy").touch()
    others = ["a.csv.mine.partial", "aXcsv.01234567.partial", "b.csv.01234567.partial"]
    for name in others:
        (tmp_path / name).touch()
    with whole_file(target) as partial:
        partial.write_text("new")
    assert names(tmp_path) == sorted(["a.csv", *others])


def test_what_another_run_writes_is_no_leftover(tmp_path):
    with whole_file(tmp_path / "a.csv") as first:
        with pytest.raises(OutputBusy), whole_file(tmp_path / "a.csv"):
            pass
        assert first.exists()
        with whole_file(tmp_path / "a.csv.old") as other:
            other.write_text("other")
        assert first.exists()


def test_a_process_that_ends_at_once_removes_what_it_began(tmp_path):
    file = WholeFile(tmp_path / "a.csv")
    file.hold()
    file.create()
    remove_unfinished()
    assert names(tmp_path) == []
    file.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
def test_a_forked_process_removes_nothing_of_its_parent(tmp_path):
    with whole_file(tmp_path / "a.csv") as partial:
        child = os.fork()
        if not child:
            remove_unfinished()
            os._exit(0)
        os.waitpid(child, 0)
        assert partial.exists()


LONG = {"ascii": "a" * 251 + ".tif", "umlauts": "ö" * 125 + "b.tif"}
"""Of 255 bytes, which is all that a disk takes."""


@pytest.mark.parametrize("name", LONG.values(), ids=LONG.keys())
def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path, name):
    target = tmp_path / name
    with whole_file(target) as partial:
        partial.write_text("first")
        with pytest.raises(OutputBusy), whole_file(target):
            pytest.fail("a second run was let in")
    killed = WholeFile(target)
    killed.create()
    other = WholeFile(target.with_name("a" * 250 + "x.tif"))  # begins in the same way
    other.create()
    with pytest.raises(OutputExists) as told, whole_file(target) as partial:
        partial.write_text("ours")
        target.unlink()
        target.write_text("theirs")
    (kept,) = tmp_path.glob("????????-*.tif")
    assert kept.read_text() == "ours" and str(told.value).endswith(f"as {kept.name}.")
    assert names(tmp_path) == sorted([kept.name, name, other.path.name])


def test_a_name_that_is_too_long_is_one_sentence(tmp_path):
    target = tmp_path / ("a" * 300 + ".tif")
    with pytest.raises(InputError, match="too long a name for its disk"), whole_file(target):
        pytest.fail("it was taken")
    with pytest.raises(InputError, match="too long a name for its disk"):
        check_output(target, overwrite=False)
    assert names(tmp_path) == []


def test_a_lock_is_waited_for(tmp_path):
    first, second = FileLock(tmp_path / "a"), FileLock(tmp_path / "a")
    first.acquire()
    with pytest.raises(Taken):
        second.acquire(0.05)
    first.release()
    second.acquire()
    assert second.is_certain and not first.is_certain
    second.release()
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="a file that is open cannot be removed on Windows")
def test_a_lock_whose_file_was_removed_and_made_anew_is_not_held_twice(tmp_path):
    """Who opened the file of a lock that was let go since must not take it for the lock."""
    first, second = FileLock(tmp_path / "a"), FileLock(tmp_path / "a")
    first.acquire()
    opened = second._open()
    first.release()
    third = FileLock(tmp_path / "a")
    third.acquire()
    second._open = lambda: opened
    assert not second._try()
    third.release()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputError, match="is a pipe or a device"):
        check_place(tmp_path / "a.csv", overwrite=True)
    with pytest.raises(InputError, match="is a pipe or a device"):
        check_output(tmp_path / "a.tif", overwrite=True)


def test_a_folder_that_takes_no_file_is_refused_before_any_work(tmp_path, monkeypatch):
    real = os.open

    def forbid(path, flags, *mode):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", forbid)
    with pytest.raises(PermissionError) as told, whole_file(tmp_path / "a.csv"):
        pytest.fail("work was begun")
    assert told.value.filename == str(tmp_path / "a.csv")


def test_a_lock_that_only_its_owner_may_open_blocks_nobody(tmp_path, monkeypatch):
    """As the one that a killed run of another user left in a shared folder."""
    (tmp_path / ".a.csv.lock").touch()
    real = os.open

    def forbid(path, flags, *mode):
        if str(path).endswith(".lock"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", forbid)
    with whole_file(tmp_path / "a.csv") as partial:
        partial.write_text("new")
    assert (tmp_path / "a.csv").read_text() == "new"


def test_all_that_is_written_goes_through_the_one_writer():
    """By the calls that write: who makes one hands `whole_file` or `FileSink` the result."""
    writes = r"\.write_(?:bytes|text)\(|open\([^)\n]*[\"'][rwax]b?[+]?[\"']|imwrite\(|copyfile\("
    writes += r"|\.save\(|savefig\(|TiffWriter\(|NamedTemporaryFile\("
    others = {
        "io/sinks/": "the insides of a FileSink",
        "io/tables.py": "is handed a whole file, and adds rows",
        "io/journal.py": "its own small files, of which each is renamed when it is whole",
        "io/open.py": "reads",
        "models/file.py": "reads, and writes whole",
        "tasks/steps.py": "a log, in the folder for such",
        "io/inline.py": "into memory",
        "report/curves.py": "into memory",
        "training/pictures.py": "into memory",
        "training/tune.py": "into memory",
        "training/comparison.py": "into memory",
        "training/loop.py": "a checkpoint",
        "_gui/train/process.py": "what the command says, line by line",
    }
    root = Path(__file__).parents[2]
    for path in [*(root / "src").rglob("*.py"), *(root / "training").rglob("*.py")]:
        name, text = path.relative_to(root).as_posix(), path.read_text("utf-8")
        lines = [m for m in re.findall(writes, text) if not re.search(r"[\"']rb?[\"']", m)]
        if lines and not any(known in name for known in others):
            assert "whole_file(" in text, f"{name}: {lines}"


# --- sets of files -----------------------------------------------------------------------------


@pytest.mark.parametrize("says", ['FileName="{}"', "FileName = '{}'"])
def test_the_files_of_an_ome_set_are_spared(tmp_path, says):
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" Type="uint8" DimensionOrder="XYZCT" SizeX="9" SizeY="9" SizeZ="2"'
        ' SizeC="1" SizeT="1">'
        '<TiffData FirstZ="0"><UUID ' + says.format("a.ome.tif") + ">urn:uuid:1</UUID></TiffData>"
        '<TiffData FirstZ="1"><UUID '
        + says.format("b&amp;c.ome.tif")
        + ">urn:uuid:2</UUID></TiffData>"
        "</Pixels></Image></OME>"
    )
    for name in ("a.ome.tif", "b&c.ome.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((9, 9), np.uint8), description=xml, ome=False)
    spared = Spared([tmp_path / "a.ome.tif"])
    with pytest.raises(InputError, match="is an input; name another output"):
        spared.check(tmp_path / "b&c.ome.tif")
    spared.check(tmp_path / "c.ome.tif")


@pytest.mark.parametrize("kind", micromanager_files.WRITERS)
def test_the_files_of_a_micromanager_set_are_spared(tmp_path, kind):
    planes = np.zeros((5, 9, 8), np.uint16)
    first, *others = micromanager_files.WRITERS[kind](tmp_path, planes, 2)
    tifffile.imwrite(tmp_path / "other.tif", planes)
    spared = Spared([first])
    assert len(others) == 2
    for other in others:
        with pytest.raises(InputError, match="is an input; name another output"):
            spared.check(other)
    spared.check(tmp_path / "other.tif")
