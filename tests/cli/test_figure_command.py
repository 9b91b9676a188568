"""`napari-srgan figure` and `napari-srgan movie`."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_srgan.cli import main


@pytest.fixture
def files(tmp_path):
    fine = np.random.default_rng(0).integers(0, 255, (3, 32, 48)).astype(np.uint8)
    for name, data in (("high", fine), ("low", fine[:, ::4, ::4])):
        tifffile.imwrite(tmp_path / f"{name}.tif", data, imagej=True, metadata={"axes": "ZYX"})
    return tmp_path


def typed(files, command, output, *more):
    high, low = str(files / "high.tif"), str(files / "low.tif")
    return main([command, high, "--low", low, "-o", str(files / output), *more])


def test_both_are_made(files, capsys):
    assert typed(files, "figure", "a.png", "--width", "60", "--panels", "bicubic,result") == 0
    assert Image.open(files / "a.png").width == 709
    assert "709 x" in capsys.readouterr().out
    assert typed(files, "figure", "a.svg", "--inset", "0:8,0:8", "--show", "1") == 0
    assert typed(files, "movie", "a.gif", "--width", "400", "--fps", "2") == 0
    assert Image.open(files / "a.gif").n_frames == 3
    assert "3 frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "output", "more", "said"),
    [
        ("figure", "a.png", ("--panels", "lr,high"), "'high' is none of lr, bicubic"),
        ("figure", "a.png", ("--inset", "5"), "not a region"),
        ("figure", "a.png", ("--show", "9"), "no slice 9"),
        ("figure", "a.bmp", (), "svg"),
        ("movie", "a.png", (), "gif"),
        ("movie", "a.gif", ("--fps", "0"), "not a number above 0"),
    ],
)
def test_mistakes_are_one_sentence(files, capsys, command, output, more, said):
    try:
        code = typed(files, command, output, *more)
    except SystemExit as end:
        code = end.code
    assert code == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not (files / output).exists()
