"""Outputs of commands: runs side by side, batches, signals, and what is shown of hostile names."""

import csv
import os
import re
import signal
import subprocess
import sys
import warnings
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import small_models
import tifffile

from napari_srgan.api import upscale
from napari_srgan.cli import main, terminal
from napari_srgan.image.stack import Stack
from napari_srgan.io.atomic import whole_file
from napari_srgan.io.open import open_stack
from napari_srgan.models.file import read_card

ROOT = Path(__file__).parents[2]
RED = "\x1b[31mred\x1b]0;title\x07"


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(folder))
    small_models.save_both(folder)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def image(seed=0, shape=(4, 12, 16)):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)


def write(name, seed=0):
    tifffile.imwrite(name, image(seed), imagej=True, metadata={"axes": "ZYX"})


def run(*typed, model=small_models.GRAY):
    return main(["upscale", *map(str, typed), "--model", str(model), "--device", "cpu"])


def names():
    return sorted(path.name for path in Path().iterdir())


@pytest.fixture
def no_pixel_is_read(monkeypatch):
    """Let whatever reads a pixel fail."""

    def fail(*_):
        raise AssertionError("pixels were read")

    monkeypatch.setattr(Stack, "read", fail)
    monkeypatch.setattr("napari_srgan.engine.plan.measure", fail)
    monkeypatch.setattr("napari_srgan.engine.plan.refuse_invalid", fail)


# --- runs side by side -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        ["upscale", "a.tif", "o.tif"],
        ["upscale", "a.tif", "o.npy", "--overwrite"],
        ["compare", "a.tif", "b.tif", "--csv", "o.csv"],
        ["compare", "a.tif", "b.tif", "--error-map", "."],
        ["evaluate", "a.tif", "--csv", "o.csv"],
        ["report", "a.tif", "-o", "o.html"],
        ["trust", "a.tif", "--out", "."],
    ],
)
def test_a_place_that_another_run_holds_is_refused_before_pixels_are_read(
    typed, capsys, no_pixel_is_read
):
    write("a.tif")
    write("b.tif", 1)
    output = next((name for name in typed if name.startswith("o.")), None)
    map_of = {"compare": "b_error.tif", "trust": "a_tiny-gray_consistency.tif"}
    with whole_file(Path(output or map_of[typed[0]])):
        before = names()
        model = ["--model", small_models.GRAY] if typed[0] != "compare" else []
        assert main([*typed, *model]) == 2
        told = capsys.readouterr()
        assert "is being written by another run; wait" in told.err and told.err.count("\n") == 1
        assert told.out == ""
        assert names() == before


def test_jobs_that_share_the_slices_of_a_file_have_outputs_of_their_own():
    write("a.tif")
    assert run("a.tif", "--out-dir", "o", "--slices", "0:2") == 0
    assert run("a.tif", "--out-dir", "o", "--slices", "2:") == 0
    assert run("a.tif", "--out-dir", "o", "--slices", "0:4", "--roi", "0:12,4:14") == 0
    assert run("a.tif", "--out-dir", "o", "--slices", "0:4") == 0
    found = {path.name: open_stack(path) for path in Path("o").glob("*.tif")}
    whole = found.pop("a_tiny-gray_4x.tif").data[:]
    parts = {"z0-2": np.s_[:2], "z2-4": np.s_[2:], "x4-14": np.s_[:, :, 16:56]}
    for part, where in parts.items():
        one = found.pop(f"a_tiny-gray_4x_{part}.tif").data[:]
        np.testing.assert_array_equal(one, whole[where])
    assert not found
    assert Path("o/summary.csv").read_text().count(",done,") == 4


def test_jobs_that_take_the_images_of_a_file_have_outputs_of_their_own():
    images = np.random.default_rng(0).integers(0, 255, (2, 12, 14)).astype(np.uint8)
    with tifffile.TiffWriter("two.ome.tif", ome=True) as tif:
        for plane in images:
            tif.write(plane, metadata={"axes": "YX"})
    for number in range(2):
        assert run("two.ome.tif", "--out-dir", "o", "--series", str(number)) == 0
        name = f"o/two_tiny-gray_4x_series{number}.ome.tif"
        np.testing.assert_array_equal(
            open_stack(name).data[:], upscale(images[number], "tiny-gray").data
        )
    assert run("two.ome.tif", "--out-dir", "o", "--series", "1") == 2  # it is there


def test_rows_of_batches_side_by_side_are_all_in_the_table():
    script = (
        "import sys; from napari_srgan.tasks.batch import Summary; from pathlib import Path\n"
        "table = Summary(Path('summary.csv'), anew=False)\n"
        "for i in range(50): table.add({'input': sys.argv[1] * 300 + str(i), 'status': 'done'})\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, letter]) for letter in "ab"]
    assert [child.wait(60) for child in both] == [0, 0]
    with Path("summary.csv").open(newline="") as stream:
        rows = [row["input"] for row in csv.DictReader(stream)]
    assert sorted(rows) == sorted(letter * 300 + str(i) for letter in "ab" for i in range(50))
    assert names() == ["summary.csv"]


def test_a_row_that_the_disk_does_not_take_whole_is_not_there_at_all(monkeypatch):
    from napari_srgan.tasks.batch import Summary

    table = Summary(Path("summary.csv"), anew=False)
    table.add({"input": "a"})
    before = Path("summary.csv").read_bytes()
    real, calls = os.write, []

    def half(descriptor, row):
        calls.append(row)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, row[:5])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        table.add({"input": "b"})
    assert Path("summary.csv").read_bytes() == before


# --- batches spare their inputs ----------------------------------------------------------------


def test_a_batch_does_not_write_over_an_input_that_comes_later(capsys):
    write("x.tif")
    write("x_tiny-gray_4x.tif", 1)
    before = Path("x_tiny-gray_4x.tif").read_bytes()
    assert run("x.tif", "x_tiny-gray_4x.tif", "--out-dir", ".", "--overwrite") == 2
    assert "x_tiny-gray_4x.tif is an input; name another output" in capsys.readouterr().err
    assert Path("x_tiny-gray_4x.tif").read_bytes() == before
    np.testing.assert_array_equal(open_stack("x_tiny-gray_4x.tif").data[:], image(1))
    assert open_stack("x_tiny-gray_4x_tiny-gray_4x.tif").shape == (4, 48, 64)


def test_a_batch_and_a_single_run_spare_all_files_of_a_set(capsys):
    """The second plane lies in the file that the result would be called as."""
    second = "a_tiny-gray_4x.ome.tif"
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" Type="uint8" DimensionOrder="XYZCT" SizeX="16" SizeY="12" SizeZ="2"'
        ' SizeC="1" SizeT="1"><TiffData FirstZ="0" PlaneCount="1">'
        '<UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData>'
        f'<TiffData FirstZ="1" PlaneCount="1"><UUID FileName="{second}">urn:uuid:2</UUID>'
        "</TiffData></Pixels></Image></OME>"
    )
    for seed, name in enumerate(("a.ome.tif", second)):
        tifffile.imwrite(name, image(seed)[0], description=xml, ome=False)
    before = Path(second).read_bytes()
    assert run("a.ome.tif", "--out-dir", ".", "--overwrite") == 2
    assert run("a.ome.tif", second, "--overwrite") == 2
    assert capsys.readouterr().err.count("is an input") == 2
    assert Path(second).read_bytes() == before


@pytest.mark.parametrize("how", ["link", "case"])
def test_a_batch_does_not_write_over_its_own_results(capsys, how):
    """They have two names, but on some disks, or by a link, these are of one file."""
    other = "B.tif" if how == "link" else "A.tif"
    first, second = "a_tiny-gray_4x.tif", other.replace(".tif", "_tiny-gray_4x.tif")
    Path("in").mkdir()
    write("in/a.tif")
    if how == "case" and Path("in/A.tif").exists():
        Path("in2").mkdir()
        other = "../in2/A.tif"
    write(f"in/{other}", seed=1)
    Path("out").mkdir()
    if how == "link":
        Path("out", second).symlink_to(first)
    else:
        write(f"out/{first}")
        if not Path("out", second).exists():
            pytest.skip("this disk tells names by their case")
    assert run("in/a.tif", f"in/{other}", "--out-dir", "out", "--overwrite") == 2
    assert "is the file of another result of this batch" in capsys.readouterr().err
    assert tifffile.imread(Path("out", first)).shape == (4, 48, 64)


# --- before pixels are read --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["upscale", "trust", "report"])
def test_a_disk_that_is_too_small_is_said_before_pixels_are_read(
    command, monkeypatch, capsys, no_pixel_is_read
):
    import shutil

    write("a.tif")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    monkeypatch.setattr("napari_srgan.tasks.report.gather.IN_MEMORY", 1000)
    target = {"upscale": ["o.tif"], "trust": ["--out", "maps"], "report": ["-o", "o.html"]}
    assert main([command, "a.tif", *target[command], "--model", small_models.GRAY]) == 2
    assert "more than is free there; choose another disk" in capsys.readouterr().err
    assert names() == ["a.tif"]


def test_a_sentence_about_the_disk_does_not_contradict_itself(monkeypatch, capsys):
    import shutil

    write("a.tif")
    usage = namedtuple("usage", "total used free")
    free = 12 * 16 * 4 * 16 + 16 * 2**20 - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - free, free))
    assert run("a.tif", "o.tif") == 2
    said = "will take 12.3 kB, and 16.8 MB must stay free for other programs, which is 1 bytes more"
    assert said in capsys.readouterr().err


def test_a_format_that_cannot_hold_the_output_is_said_before_pixels_are_read(
    capsys, no_pixel_is_read
):
    write("a.tif")
    assert run("a.tif", "o.png") == 2
    assert "a PNG holds one plane" in capsys.readouterr().err


# --- signals -----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("lost", [True, False])
def test_a_second_ctrl_c_ends_quietly_and_leaves_nothing(lost):
    """Also where the first was lost, as in a destructor or in code that cannot be stopped."""
    script = f"""
import signal, sys, time
from pathlib import Path
from napari_srgan.cli import main, models
from napari_srgan.io.atomic import whole_file
def work(arguments):
    with whole_file(Path("o.csv")) as partial:
        try:
            print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            print("first", flush=True)
            time.sleep(30)  # what a person who presses again takes for hanging
            {"pass" if lost else "raise"}
models.run = work
sys.exit(main(["models"]))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script.replace('main(["models"])', "main()"), "models"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in ("ready", "first"):
        assert child.stdout.readline().strip() == line
        child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (130, "", "")
    assert names() == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_hangup_that_is_ignored_stays_ignored():
    """As under nohup."""
    script = (
        "import os, signal, sys; from napari_srgan.cli import main, models\n"
        "models.run = lambda arguments: os.kill(os.getpid(), signal.SIGHUP) or 0\n"
        "sys.exit(main(['models']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        check=False,
    )
    assert done.returncode == 0


# --- what is shown -----------------------------------------------------------------------------


def test_only_the_terminal_file_prints():
    """So that nothing is printed that was not made fit for it."""
    folders = (ROOT / "src" / "napari_srgan" / "cli", ROOT / "training")
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        if path.name != "terminal.py":
            wrong = re.findall(r"\bprint\(|std(?:out|err)\.write", path.read_text("utf-8"))
            assert not wrong, path


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not have")
def test_escapes_in_names_are_shown_and_not_obeyed(workplace, tmp_path, capsys):
    write(f"{RED}.tif")
    assert main(["upscale", f"{RED}.tif", "no.jpg"]) == 2
    assert main(["upscale", f"{RED}.tif", f"{RED}.npy"]) == 0
    assert main(["compare", f"{RED}.tif", f"{RED}.tif"]) == 0
    assert main(["upscale", f"{RED}.missing\n.tif", "a.tif"]) == 2
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert r"\x1b[31mred\x1b]0;title\x07" in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_escapes_in_cards_are_shown_and_not_obeyed(tmp_path, capsys):
    path = small_models.save(tmp_path / "models", "plain", 1)
    card = replace(read_card(path), purpose=f"{RED}\nfake line")
    weights = safetensors.torch.load_file(path)
    path.write_bytes(safetensors.torch.save(weights, {"napari_srgan": card.to_json()}))
    assert main(["models"]) == 0
    told = capsys.readouterr()
    assert r"\x1b[31mred" in told.err, "it says which model is left out, and why"
    for text in (told.out, told.err):
        assert "\x1b" not in text and "\nfake line" not in text


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_obeys_nothing(progress, capsys, monkeypatch):
    from napari_srgan.engine.progress import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = terminal.Bar("tile", RED)
    stage = RED if progress else ""
    bar.show(Progress(1, 2, stage=stage, note=RED))
    bar.close()
    assert RED[:5] not in capsys.readouterr().err


def test_a_warning_is_one_sentence(monkeypatch, capsys):
    """As of a file with planes that are missing, and not where in the program it came up."""

    def work(arguments):
        warnings.warn(f"{RED}.tif: 2 planes are missing.", stacklevel=1)
        return 0

    monkeypatch.setattr("napari_srgan.cli.models.run", work)
    assert main(["models"]) == 0
    said = r"\x1b[31mred\x1b]0;title\x07.tif: 2 planes are missing."
    assert capsys.readouterr().err == f"napari-srgan: {said}\n"


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_cells_of_a_table_are_no_formulas(text):
    from napari_srgan.io.tables import csv_file, plain

    with csv_file(Path("t.csv"), overwrite=False) as put:
        put([{"name": text, "names": [text, "b"], "psnr": -0.5, "gain": "-0.5", "rest": "a=b"}])
    with Path("t.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert row["name"] == f"'{text}" and row["names"] == f"'{text} b"
    assert (row["psnr"], row["gain"], row["rest"]) == ("-0.5", "-0.5", "a=b")
    assert plain(row["name"]) == text


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not have")
def test_names_of_files_are_no_formulas_in_the_tables_of_commands(capsys):
    name = "=cmd|' .tif"
    write(name)
    write("b.tif", 1)
    assert run(name, "--out-dir", "o") == 0
    assert main(["compare", "b.tif", name, "--csv", "c.csv"]) == 0
    assert main(["evaluate", name, "--csv", "e.csv", "--model", small_models.GRAY]) == 2
    for table in ("o/summary.csv", "c.csv", "e.csv"):
        with Path(table).open(newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert f"'{name}" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


# --- privacy -----------------------------------------------------------------------------------


def test_anonymise_hides_names_in_all_that_is_said(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    Path("Doe").mkdir()
    write("Doe/Doe_Jane.tif")
    Path("Doe/Doe_Broken.tif").write_bytes(b"no image")
    single = {"upscale": ["o.tif"], "trust": ["--out", "m"], "report": ["-o", "o.html"]}
    for command, name in [(c, n) for c in single for n in ("Jane", "Broken", "Missing")]:
        typed = [command, f"Doe/Doe_{name}.tif", *single[command], "--anonymise", "--overwrite"]
        code = main([*typed, "--model", small_models.GRAY])
        told = capsys.readouterr()
        assert code == (0 if name == "Jane" else 2), told
        assert "Doe" not in told.out + told.err
        assert name == "Jane" or re.search(r"scan-[0-9a-f]{12}", told.err)
    typed = [f"Doe/Doe_{name}.tif" for name in ("Jane", "Broken", "Missing")]
    assert run(*typed, "--out-dir", "out", "--anonymise") == 2
    told = capsys.readouterr()
    assert "Doe" not in told.out + told.err
    assert "Doe" not in Path("out/summary.csv").read_text()
    assert run(*typed, "--out-dir", "out2") == 2
    assert "Doe_Broken" in capsys.readouterr().err, "only where it is asked for"


@pytest.mark.parametrize("name", ["Doe  Jane", "Doe\u00a0Jane", "Doe\nJane", "Doe\t Jane "])
def test_anonymise_hides_names_whatever_their_blanks_are(name, capsys):
    for file in (Path(f"{name}.npy"), Path(f"{name}.tif"), Path(f"{name}-missing.tif")):
        if "missing" not in file.name:
            file.write_bytes(b"no image")
        for typed in ([file, "o.tif"], [file, file, "--out-dir", "o", "--overwrite"]):
            assert run(*typed, "--anonymise") == 2
            assert "Doe" not in capsys.readouterr().err
    assert "Doe" not in Path("o/summary.csv").read_text()


def test_what_tifffile_thinks_of_a_damaged_file_is_not_shown(caplog):
    """It calls the file by its name, on standard error, beside the one sentence."""
    Path("Doe.tif").write_bytes(b"II*\0" + b"\xff" * 20)
    assert run("Doe.tif", "o.tif", "--anonymise") == 2
    assert not [r for r in caplog.records if r.name == "tifffile"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
@pytest.mark.parametrize(
    "command", [["upscale", "p.tif", "o.tif"], ["report", "p.tif", "-o", "r.html"]]
)
def test_a_pipe_is_refused_and_not_waited_for(command):
    os.mkfifo("p.tif")
    ended = subprocess.run(
        [sys.executable, "-m", "napari_srgan.cli", *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "p.tif is no file but a device, pipe or socket" in ended.stderr


def test_anonymise_hides_what_a_former_result_calls_its_model(tmp_path, capsys):
    write("a.tif")
    path = small_models.save(tmp_path / "models", "Doe-eye", 1)
    assert run("a.tif", "b.tif", model=path) == 0
    for typed in (["upscale", "b.tif", "c.tif"], ["report", "b.tif", "-o", "c.html"]):
        assert main([*typed, "--model", small_models.GRAY, "--anonymise"]) == 0
    told = capsys.readouterr()
    assert "already a super-resolved result" in told.err and "Doe" not in told.err
    assert "Doe" not in Path("c.html").read_text("utf-8")
    assert b"Doe" not in Path("c.tif").read_bytes()
    assert run("b.tif", "d.tif") == 0
    assert "result of Doe-eye" in capsys.readouterr().err


def test_a_secret_that_was_not_written_whole_is_no_secret(monkeypatch, tmp_path):
    """A kill while it was made for the first time would have left labels that change."""
    from napari_srgan.engine import record

    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_, **__: str(tmp_path / "data"))
    script = (
        "import sys, platformdirs; platformdirs.user_data_dir = lambda *_, **__: sys.argv[1]\n"
        "from napari_srgan.engine.record import input_label; print(input_label('a', True))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    labels = {child.communicate(timeout=60)[0] for child in children}
    assert len(labels) == 1, "however many begin at once"
    record._user_key.cache_clear()
    assert record.input_label("a", True) == labels.pop().strip()
    record._user_key.cache_clear()
    files = [path.name for path in (tmp_path / "data").iterdir()]
    assert files == ["label-key"]
    assert (tmp_path / "data" / "label-key").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_stopping_waits_for_the_end_of_an_import(tmp_path):
    """Torch's loading is in C++, which ends the process at an exception."""
    (tmp_path / "loads_slowly.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "try:\n    time.sleep(0.3)\n"
        "except KeyboardInterrupt:\n    os._exit(9)\n"
    )
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from napari_srgan.cli import main, models\n"
        "def run(arguments):\n    import loads_slowly\n    time.sleep(20)\n"
        "models.run = run\n"
        "sys.exit(main(['models']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == "napari-srgan: Stopped; nothing half-made was left.\n"
