"""Presets as they are typed: kept, listed, used, and overruled by what is typed beside them."""

import json

import numpy as np
import pytest
import tifffile

from napari_srgan.cli import main
from napari_srgan.cli.presets import as_flags
from napari_srgan.tasks.presets import list_presets, save_preset


@pytest.fixture
def scan(tmp_path, tiny_models):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", pixels)
    return str(tmp_path / "scan.tif")


def summary(capsys, *words):
    assert main(["upscale", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_from_save_to_delete(capsys, tiny_models):
    flags = ["--model", "tiny-gray", "--tile", "96", "--back-project"]
    assert main(["presets", "save", "our OCT", *flags]) == 0
    assert main(["presets", "show", "our OCT"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == " ".join(flags)
    assert main(["presets"]) == 0
    assert " ".join(flags) in capsys.readouterr().out
    assert main(["presets", "--json"]) == 0
    wanted = {"model": "tiny-gray", "tile": "96", "back_project": True}
    assert json.loads(capsys.readouterr().out) == {"name": "our OCT", "options": wanted}
    assert main(["presets", "save", "our OCT", *flags]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["presets", "delete", "our OCT"]) == 0
    assert list_presets() == {}
    assert main(["presets", "delete", "our OCT"]) == 2


def test_what_is_typed_counts_more_than_the_preset(capsys, scan, tmp_path):
    save_preset("small", {"model": "tiny-gray", "tile": 8, "anonymise": True})
    first = summary(capsys, scan, str(tmp_path / "a.tif"), "--preset", "small")
    assert (first["model"], first["tile"]) == ("tiny-gray", 8)
    assert first["input"].startswith("scan-")
    typed = ("--model", "other-gray", "--tile", "auto", "--no-anonymise")
    second = summary(capsys, scan, str(tmp_path / "b.tif"), "--preset", "small", *typed)
    assert (second["model"], second["input"]) == ("other-gray", "scan.tif")
    assert second["tile"] > 8


def test_trust_and_report_take_presets_too(capsys, scan, tmp_path):
    save_preset("small", {"model": "tiny-gray", "back_project": True})
    out = str(tmp_path / "maps")
    assert main(["trust", scan, "--out", out, "--preset", "small", "--maps", "consistency"]) == 0
    assert "tiny-gray" in capsys.readouterr().out
    assert main(["report", scan, "-o", str(tmp_path / "p.html"), "--preset", "none"]) == 2
    assert "There is no preset 'none'" in capsys.readouterr().err


def test_a_preset_with_a_model_that_is_gone_is_refused_before_any_work(capsys, scan, tmp_path):
    save_preset("lab", {"model": "tiny-gray"})
    (tmp_path / "none").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path / "none"))
        assert main(["upscale", scan, str(tmp_path / "out.tif"), "--preset", "lab"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "The preset 'lab' cannot be used: There is no model 'tiny-gray'" in line
    assert not (tmp_path / "out.tif").exists()


def test_flags_are_what_one_would_type():
    typed = {"back_project": True, "anonymise": False, "intensity": "0:10", "model": "a b"}
    assert as_flags(typed) == "--back-project --no-anonymise --intensity 0:10 --model 'a b'"
