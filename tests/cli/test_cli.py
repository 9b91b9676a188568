"""The command line as it is typed: what comes out, what is written, and how it ends."""

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import small_models
import tifffile
from PIL import Image

import napari_srgan
from napari_srgan.cli import main
from napari_srgan.io.open import open_stack


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(folder))
    small_models.save_both(folder)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stack(tmp_path):
    """A 12-bit ZYX stack with spacing, as ImageJ writes it."""
    data = np.random.default_rng(0).integers(0, 4096, (5, 20, 24)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "scan.tif",
        data,
        imagej=True,
        resolution=(1 / 8.0, 1 / 4.0),
        metadata={"axes": "ZYX", "spacing": 100.0, "unit": "um"},
    )
    return data


def run(*arguments, model=small_models.GRAY):
    return main(["upscale", *map(str, arguments), "--model", model, "--device", "cpu"])


def process(*arguments, **options):
    command = [sys.executable, "-m", "napari_srgan.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_version_and_help(capsys):
    for option in ("--version", "--help"):
        with pytest.raises(SystemExit) as ended:
            main([option])
        assert ended.value.code == 0
    assert napari_srgan.__version__ in capsys.readouterr().out


@pytest.mark.parametrize("typed", [["--help"], ["upscale", "--help"], ["upscale", "--tile", "x"]])
def test_help_and_mistakes_are_answered_without_torch(typed):
    code = (
        "import sys\nfrom napari_srgan.cli import main\n"
        f"try: main({typed!r})\nexcept SystemExit: pass\n"
        "sys.exit(bool({'torch', 'napari', 'skimage'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "required: COMMAND"),
        (["enlarge"], "'enlarge'"),
        (["upscale", "a.tif"], "one input and one output, or --out-dir"),
        (["upscale", "a", "b", "c"], "--out-dir"),
        (["upscale", "a", "b", "--slices", "7"], "'7' is not a range like 10:20"),
        (["upscale", "a", "b", "--slices", "-3:"], "'-3:' is not a range like 10:20"),
        (["upscale", "a", "b", "--roi", "0:9"], "0:9"),
        (["upscale", "a", "b", "--roi", "-1:9,0:9"], "'-1:9' is not a range"),
        (["upscale", "a.tif", "."], ". is a folder; name a file in it"),
        (["upscale", "a", "b", "--tile", "0"], "neither auto nor a number"),
        (["upscale", "a", "b", "--precision", "int8"], "int8"),
        (["upscale", "a", "b", "--nan", "zero"], "zero"),
    ],
)
def test_a_mistake_in_the_arguments_is_one_sentence(typed, said, capsys):
    try:
        code = main(typed)
    except SystemExit as ended:
        code = ended.code
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "")
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_a_stack_comes_out_four_times_finer_with_its_spacing(stack, capsys):
    assert run("scan.tif", "out.tif") == 0
    result = open_stack("out.tif")
    assert (result.axes, result.shape, result.dtype) == ("ZYX", (5, 80, 96), np.uint16)
    assert result.scale == pytest.approx((100.0, 1.0, 2.0))
    shown = capsys.readouterr()
    assert "5 x 80 x 96" in shown.out
    assert shown.err == "", "no progress bar where standard error is no terminal"


def test_json_is_one_line_with_the_facts(stack, capsys):
    assert run("scan.tif", "out.tif", "--json") == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    told = json.loads(line)
    assert told["shape"] == [5, 80, 96]
    assert (told["dtype"], told["model"], told["factor"]) == ("uint16", small_models.GRAY, 4)
    assert told["scale"] == pytest.approx([100.0, 1.0, 2.0])
    assert (told["output"], told["input"]) == ("out.tif", "scan.tif")
    assert 0 < told["seconds"] < 300
    assert 20 < told["peak_memory_mb"] < 1e5


def test_slices_and_roi_give_the_part_of_the_whole_that_they_name(stack):
    assert run("scan.tif", "whole.npy") == 0
    assert run("scan.tif", "part.npy", "--slices", "1:3", "--roi", "2:,4:20") == 0
    part = np.load("part.npy")
    assert part.shape == (2, 72, 64)
    np.testing.assert_array_equal(part, np.load("whole.npy")[1:3, 8:, 16:80])


def test_slices_are_of_time_where_there_is_no_depth(stack):
    assert run("scan.tif", "whole.npy", "--axes", "tyx") == 0
    assert run("scan.tif", "part.npy", "--axes", "TYX", "--slices", ":1") == 0
    np.testing.assert_array_equal(np.load("part.npy"), np.load("whole.npy")[:1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--slices", "3:9"], "3:9"),
        (["--slices", "2:2"], "2:2"),
        (["--roi", "0:10,0:99"], "0:99"),
        (["--axes", "YX"], "axes"),
        (["--axes", "QYX"], "Q"),
        (["--intensity", "bright"], "bright"),
        (["--intensity", "9:9"], "9"),
        (["--transform", "sqrt"], "sqrt"),
    ],
)
def test_options_that_do_not_fit_the_image_are_refused(stack, tmp_path, options, said, capsys):
    assert run("scan.tif", "out.tif", *options) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("typed", [["--intensity", "-300:900"], ["--intensity=-300:900"]])
def test_a_range_may_begin_below_zero(stack, typed, capsys):
    np.save("signed.npy", stack.astype(np.int16) - 300)
    assert run("signed.npy", "out.tif", *typed) == 0
    record = open_stack("out.tif").metadata["napari_srgan"]
    assert (record["intensity_lo"], record["intensity_hi"]) == ([-300], [900])


def test_slices_of_a_single_plane_are_refused(capsys):
    np.save("plane.npy", np.eye(16, dtype=np.float32))
    assert run("plane.npy", "out.npy", "--slices", "0:1") == 2
    assert "no Z or T axis" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["a.ome.tif", "a.tiff", "a.npy", "a.png"])
def test_every_output_format_holds_the_same_pixels(target):
    image = np.random.default_rng(3).integers(0, 255, (17, 19)).astype(np.uint8)
    np.save("in.npy", image)
    assert run("in.npy", target) == 0
    assert run("in.npy", "reference.npy") == 0
    stack = open_stack(target)
    assert stack.axes == "YX"
    np.testing.assert_array_equal(stack.read(()), np.load("reference.npy"))


@pytest.mark.parametrize("source", ["in.png", "in.jpg"])
def test_pictures_are_read(source):
    image = np.random.default_rng(3).integers(0, 255, (17, 19, 3)).astype(np.uint8)
    Image.fromarray(image).save(source)
    assert run(source, "out.png", model=small_models.RGB) == 0
    assert Image.open("out.png").size == (76, 68)


def test_auto_picks_the_model_by_the_channels(capsys):
    Image.fromarray(np.full((12, 12, 3), 90, np.uint8)).save("rgb.png")
    Image.fromarray(np.full((12, 12), 90, np.uint8)).save("gray.png")
    for source in ("rgb.png", "gray.png"):
        assert main(["upscale", source, "out.tif", "--overwrite", "--json"]) == 0
    told = [json.loads(line)["model"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["srresnet-rgb", "srresnet-gray"]


def test_anonymise_leaves_no_trace_of_the_name(stack, tmp_path, capsys):
    (tmp_path / "scan.tif").rename(tmp_path / "Doe_Jane.tif")
    (tmp_path / "out").mkdir()
    assert run("Doe_Jane.tif", "out/a.tif", "--anonymise", "--json") == 0
    typed = ("Doe_Jane.tif", "Doe_John.tif", "--out-dir", "out", "--anonymise", "--json")
    assert run(*typed) == 2, "the second is missing"
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert any(re.fullmatch(r"scan-[0-9a-f]+_tiny-gray_4x\.tif", name) for name in made)
    for path in (tmp_path / "out").iterdir():
        assert b"Doe" not in path.read_bytes() and "Doe" not in path.name
    assert "Doe" not in capsys.readouterr().out


def test_a_batch_goes_on_after_an_error_and_sums_up(stack, tmp_path, capsys):
    (tmp_path / "broken.tif").write_bytes(b"no image")
    np.save("plane.npy", np.random.default_rng(1).random((16, 16), np.float32))
    assert run("scan.tif", "broken.tif", "missing.tif", "plane.npy", "--out-dir", "out/of") == 2
    out = tmp_path / "out" / "of"
    rows = list(csv.DictReader((out / "summary.csv").open()))
    assert [row["status"] for row in rows] == ["done", "failed", "failed", "done"]
    assert [row["input"] for row in rows] == ["scan.tif", "broken.tif", "missing.tif", "plane.npy"]
    assert rows[0]["shape"] == "5 x 80 x 96"
    assert "broken.tif" in rows[1]["error"] and rows[1]["output"] == ""
    assert sorted(p.name for p in out.iterdir()) == [
        "plane_tiny-gray_4x.tif",
        "scan_tiny-gray_4x.tif",
        "summary.csv",
    ]
    shown = capsys.readouterr()
    assert "2 of 4 files" in shown.out
    assert shown.err.count("\n") == 2


def test_a_batch_in_parts_has_one_summary(stack, tmp_path):
    assert run("scan.tif", "--out-dir", "out") == 0
    assert run("scan.tif", "--out-dir", "out") == 2
    assert run("scan.tif", "--out-dir", "out", "--slices", "0:1") == 0
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").open()))
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert "--overwrite" in rows[1]["error"]
    assert run("scan.tif", "--out-dir", "out", "--overwrite") == 0


def test_a_table_that_is_not_ours_is_left_alone(stack, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_text("patient,eye\n1,L\n")
    assert run("scan.tif", "--out-dir", "out") == 2
    assert "summary.csv" in capsys.readouterr().err
    assert (tmp_path / "out" / "summary.csv").read_text() == "patient,eye\n1,L\n"


def test_a_table_in_another_encoding_is_left_alone_too(stack, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_bytes("Größe;1\n".encode("latin-1"))
    assert run("scan.tif", "--out-dir", "out") == 2
    assert "not a summary of this program" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="file names are any bytes on Linux only")
def test_names_that_are_not_utf_8(stack, tmp_path):
    name = os.fsdecode(b"gr\xf6\xdfe.tif")
    (tmp_path / "scan.tif").rename(tmp_path / name)
    assert run(name, "out.ome.tif", "--slices", "0:1") == 0
    assert run(name, "missing" + name, "--out-dir", "out", "--slices", "0:1") == 2
    assert len((tmp_path / "out" / "summary.csv").read_text().splitlines()) == 3


def test_two_inputs_of_one_name_do_not_overwrite_each_other(stack, tmp_path, capsys):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "scan.tif").write_bytes((tmp_path / "scan.tif").read_bytes())
    assert run("scan.tif", "b/scan.tif", "--out-dir", "out", "--overwrite") == 2
    assert "same name" in capsys.readouterr().err


def test_json_of_a_batch_is_a_line_per_file(stack, capsys):
    assert run("scan.tif", "missing.tif", "--out-dir", "out", "--json") == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["output"].endswith("scan_tiny-gray_4x.tif")
    assert "missing.tif" in lines[1]["error"]


def test_a_trained_model_is_added_to_the_list(tmp_path, capsys):
    trained = small_models.save(tmp_path / "run", "mine", 1)
    assert main(["models", "add", str(trained)]) == 0
    assert "mine" in capsys.readouterr().out
    trained.unlink()
    np.save("scan.npy", np.random.default_rng(0).random((16, 16), np.float32))
    assert run("scan.npy", "out.tif", model="mine") == 0


def test_a_model_is_not_replaced_by_accident(tmp_path, capsys):
    trained = small_models.save(tmp_path / "run", "mine", 1)
    assert main(["models", "add", str(trained)]) == 0
    before = (tmp_path / "models/mine.safetensors").read_bytes()
    small_models.save(tmp_path / "run", "mine", 1, blocks=2)
    assert main(["models", "add", str(trained)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "models/mine.safetensors").read_bytes() == before
    assert main(["models", "add", str(trained), "--overwrite"]) == 0
    assert (tmp_path / "models/mine.safetensors").read_bytes() != before


def test_the_card_is_shown_before_a_model_is_added_and_on_request(tmp_path, capsys):
    trained = small_models.save(tmp_path / "run", "mine", 1, trained_on=("own scans (CC0)",))
    assert main(["models", "show", str(trained)]) == 0
    shown = capsys.readouterr().out
    assert "own scans (CC0)" in shown and "30.50 dB (bicubic 29.25)" in shown
    assert hashlib.sha256(trained.read_bytes()).hexdigest() in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert main(["models", "add", str(trained)]) == 0
    assert capsys.readouterr().out.startswith(shown)
    assert main(["models", "show", "mine"]) == 0
    assert capsys.readouterr().out == shown
    assert main(["models", "add", str(trained)]) == 0
    assert "was listed already" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["srresnet-gray", "../mine", "a/b", ""])
def test_names_that_a_model_cannot_have(tmp_path, capsys, name):
    before = sorted((tmp_path / "models").iterdir())
    trained = small_models.save(tmp_path / "run", name, 1, file="generator.safetensors")
    assert main(["models", "add", str(trained)]) == 2
    assert "name" in capsys.readouterr().err
    assert sorted((tmp_path / "models").iterdir()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["models", "run"]


def test_only_a_whole_model_is_added(tmp_path, capsys):
    trained = small_models.save(tmp_path / "run", "mine", 1)
    trained.write_bytes(trained.read_bytes()[:-40])
    assert main(["models", "add", str(trained)]) == 2
    assert "damaged" in capsys.readouterr().err
    assert main(["models", "add", "absent.safetensors"]) == 2
    assert not (tmp_path / "models/mine.safetensors").exists()


def test_models_are_listed_with_their_gain(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("tiny-rgb"))
    assert re.search(r"RGB +4x +\+1\.25 dB +[0-9,]+$", row)
    assert "tiny-rgb: tests" in text.splitlines()
    assert main(["models", "--json"]) == 0
    cards = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"tiny-gray", "tiny-rgb"} <= {card["name"] for card in cards}


def test_sample_data_is_copied_once(tmp_path, capsys):
    assert main(["sample-data", "samples"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written and all(os.path.getsize(path) > 1000 for path in written)  # noqa: PTH202
    assert open_stack(tmp_path / written[0]).spacing_source == "file"
    assert main(["sample-data", "samples"]) == 2
    assert main(["sample-data", "samples", "--overwrite"]) == 0


def test_demo_prints_the_table_and_writes_the_picture(tmp_path, capsys):
    assert main(["demo", "--out", "shown", "--model", small_models.GRAY, "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    rows = dict(re.findall(r"^(\S+) +(-?\d+\.\d+ +-?\d\.\d+)$", text, re.MULTILINE))
    assert set(rows) == {"bicubic", small_models.GRAY}
    assert float(rows["bicubic"].split()[0]) > 30, "bicubic is aligned with the truth"
    picture = Image.open(tmp_path / "shown" / "oct_volume_4x.png")
    assert np.asarray(picture).std() > 10
    result = open_stack(tmp_path / "shown" / "oct_volume_4x.tif")
    assert result.metadata["napari_srgan"]["model"] == small_models.GRAY


def test_demo_takes_no_picture_of_a_window_that_is_not_asked_for(capsys, tmp_path):
    assert main(["demo", "--screenshot", str(tmp_path / "w.png")]) == 2
    assert "--screenshot is of the --window" in capsys.readouterr().err


def test_demo_in_json(capsys):
    assert main(["demo", "--json", "--model", small_models.GRAY]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in told["measured"]] == ["bicubic", small_models.GRAY]


def test_a_window_is_refused_before_work_where_napari_is_absent(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "napari", None)
    assert main(["demo", "--window"]) == 2
    assert "napari-srgan[gui]" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("words", [["view", "in.tif"], ["upscale", "in.tif", "out.tif", "--view"]])
def test_a_window_is_refused_before_work_where_there_is_no_screen(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main(words) == 2
    assert "needs a screen" in capsys.readouterr().err


def test_what_cannot_be_viewed_is_told_before_a_window_opens(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DISPLAY", ":0")
    assert main(["view", str(tmp_path / "none.tif")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_output_to_a_pipe_that_closes_is_no_error():
    child = process("models")
    child.stdout.close()
    assert child.wait(60) == 0
    assert child.stderr.read() == ""
    child.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("sent", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_stopping_leaves_nothing_half_made(tmp_path, sent, code):
    small_models.save(tmp_path / "models", "slow", 1, blocks=8, features=32)
    np.save("big.npy", np.random.default_rng(0).random((40, 128, 128), np.float32))
    (tmp_path / "out.tif").write_bytes(b"the old file")
    before = sorted(path.name for path in tmp_path.iterdir())
    child = process(
        *("upscale", "big.npy", "out.tif", "--model", "slow", "--tile", "32", "--overwrite"),
        # A shell makes its background jobs ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(getattr(signal, sent), signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while sorted(path.name for path in tmp_path.iterdir()) == before:
        assert child.poll() is None and time.monotonic() < deadline, child.communicate()
        time.sleep(0.02)
    time.sleep(0.5)
    child.send_signal(getattr(signal, sent))
    out, err = child.communicate(timeout=30)
    assert child.returncode == code, err
    assert err == "napari-srgan: Stopped; nothing half-made was left.\n"
    assert out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "out.tif").read_bytes() == b"the old file"


@pytest.mark.parametrize(("own", "used"), [(None, "passive"), ("active", "active")])
def test_threads_wait_without_spinning_unless_the_user_wants_them_to(own, used):
    env = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    env |= {"OMP_WAIT_POLICY": own} if own else {}
    code = (
        "import atexit, os, sys; from napari_srgan.cli import main; assert 'torch' not in"
        " sys.modules; atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'])); main()"
    )
    command = [sys.executable, "-c", code, "--version"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.stdout.split()[-1] == used
