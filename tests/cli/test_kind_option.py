"""The kind of image on the command line: what `auto` becomes, and why, in every command."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_srgan.cli import main
from napari_srgan.engine.record import Record
from napari_srgan.io.open import open_stack
from napari_srgan.synthetic.samples import sample_path


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """A raw frame, and a mean of frames as gray in RGB, LR and HR."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path / "none"))
    tifffile.imwrite("raw.tif", tifffile.imread(sample_path("oct_frame_coarse_lr"))[3, :, :40])
    for name, f in (("lr", 1), ("hr", 4)):
        mean = tifffile.imread(sample_path(f"oct_volume_{name}"))[3, : 64 * f, : 48 * f]
        Image.fromarray(np.stack([mean] * 3, axis=-1)).save(f"gray_{name}.png")


def run(*arguments):
    return main([*map(str, arguments), "--device", "cpu"])


def test_upscale_says_what_auto_is_and_why_and_records_it(capsys):
    assert run("upscale", "raw.tif", "out.tif", "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["model"], told["kind"]) == ("oct-restore", "raw-oct")
    assert "auto: oct-restore, because the image is fully developed speckle (contrast 0." in err
    record = Record.of(open_stack("out.tif").metadata)
    assert (record.model, record.kind) == ("oct-restore", "raw-oct")
    assert record.kind_reason.startswith("auto: oct-restore, because")


def test_a_kind_and_a_model_by_hand(capsys):
    assert run("upscale", "raw.tif", "a.tif", "--json", "--kind", "oct") == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["model"], json.loads(out)["kind"]) == ("srresnet-gray", "oct")
    assert "because the kind oct was chosen" in err
    assert run("upscale", "raw.tif", "b.tif", "--model", "srresnet-gray") == 0
    assert "srresnet-gray takes speckle for structure" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        run("upscale", "raw.tif", "c.tif", "--kind", "retina")
    assert ended.value.code == 2
    assert "raw-oct" in capsys.readouterr().err


def test_gray_in_rgb_comes_out_gray_and_every_command_takes_it(capsys):
    assert run("upscale", "gray_lr.png", "out.png") == 0
    assert "three colours hold one gray value" in capsys.readouterr().err
    with Image.open("out.png") as result:
        assert (result.mode, result.size) == ("L", (192, 256))
    # beside a reference that is stored as RGB, and the input
    assert main(["compare", "gray_hr.png", "out.png", "--low", "gray_lr.png"]) == 0
    assert run("trust", "gray_lr.png", "--out", "maps", "--maps", "consistency") == 0
    assert "three colours hold one gray value" in capsys.readouterr().err
    assert run("report", "gray_lr.png", "-o", "page.html", "--reference", "gray_hr.png") == 0


def test_a_batch_names_each_result_by_the_model_that_made_it(tmp_path):
    assert run("upscale", "raw.tif", "gray_lr.png", "--out-dir", "made") == 0
    made = {path.name for path in (tmp_path / "made").glob("*.tif")}
    assert made == {"raw_oct-restore_4x.tif", "gray_lr_srresnet-gray_4x.tif"}


def test_models_says_what_is_auto_and_fits_a_terminal(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    line = next(line for line in out.splitlines() if line.startswith("oct-restore "))
    assert line.endswith("raw OCT")
    assert main(["models", "--json"]) == 0
    cards = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    uses = {card["name"]: card["auto_for"] for card in cards}
    assert uses["srresnet-rgb"] == ["RGB"] and uses["srgan-gray"] == []
