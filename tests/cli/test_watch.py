"""`upscale --watch` and `--skip-existing`: a line a file, and Ctrl-C leaves nothing half-made."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from napari_srgan.cli import main

OPTIONS = ["--model", "tiny-gray", "--device", "cpu", "--kind", "photograph"]

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.tif")
    return tmp_path / "in"


def write(path, shape=(16, 20)):
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    tifffile.imwrite(path, pixels)


def test_a_batch_goes_on_on_request(scans, capsys):
    assert main(["upscale", "in/a.tif", "--out-dir", "out", *OPTIONS]) == 0
    both = ["upscale", "in/*.tif", "--out-dir", "out", *OPTIONS]
    assert main(both) == 2
    assert "--overwrite" in capsys.readouterr().err
    (scans.parent / "out" / "b_tiny-gray_4x.tif").unlink()
    assert main([*both, "--skip-existing"]) == 0
    out = capsys.readouterr().out
    assert "a.tif is left: a_tiny-gray_4x.tif is there\n" in out
    assert "1 of 2 files done, 1 left; see out" in out
    assert main([*both, "--skip-existing", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["input"] for line in lines] == ["a.tif", "b.tif"]
    assert all("is there" in line["left"] for line in lines)


def test_what_belongs_together_is_asked_for(scans, capsys):
    for words, told in (
        (["--watch", "in"], "need --out-dir"),
        (["in/a.tif", "out.tif", "--skip-existing"], "need --out-dir"),
        (["in/a.tif", "--watch", "in", "--out-dir", "out"], "leave the other paths out"),
        (["--out-dir", "out"], "Give the files"),
        (["--watch", "none", "--out-dir", "out"], "none is no folder"),
    ):
        assert main(["upscale", *words]) == 2
        assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="there a signal ends the process at once")
def test_watching_tells_a_line_a_file_and_ends_by_ctrl_c(scans, tmp_path):
    (scans / "bad.tif").write_bytes(b"II*\0 no image")
    words = ["upscale", "--watch", "in", "--out-dir", "out", *OPTIONS]
    child = subprocess.Popen(
        [sys.executable, "-m", "napari_srgan.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Whoever runs the tests in the background may have it ignored, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        wait_for(child, tmp_path / "out" / "b_tiny-gray_4x.tif")
        write(scans / "late.tif", (64, 64))
        lines = [child.stdout.readline() for _ in range(3)]
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 130
    lines = "".join([*lines, out]).splitlines()
    assert [line.split(":")[0].rsplit("/", 1)[-1] for line in lines[:3]] == [
        f"{name}_tiny-gray_4x.tif" for name in ("a", "b", "late")
    ]
    assert lines[3].startswith("3 of 4 files done; see ") and len(lines) == 4
    told = err.splitlines()
    assert told[0].endswith("Watching in for *; Ctrl-C ends it.")
    assert "bad.tif" in told[1]
    assert told[-1].endswith("Stopped; nothing half-made was left.") and len(told) == 3
    left = sorted(p.name for p in (tmp_path / "out").iterdir() if not p.name.endswith(".lock"))
    assert left == [*(f"{n}_tiny-gray_4x.tif" for n in ("a", "b", "late")), "summary.csv"]


def wait_for(child, path):
    deadline = time.monotonic() + 100
    while not path.exists():
        assert child.poll() is None and time.monotonic() < deadline, child.communicate()
        time.sleep(0.05)
