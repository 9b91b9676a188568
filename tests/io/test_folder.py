"""A folder of slices is a stack; names of all alphabets, pipes and read-only folders."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_srgan.cli import main
from napari_srgan.errors import InputError
from napari_srgan.io.open import input_files, open_stack

RNG = np.random.default_rng(6)


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def slices(count, *shape):
    return RNG.integers(0, 255, (count, *shape)).astype(np.uint8)


def write_slices(data, names, folder="slices"):
    Path(folder).mkdir()
    for plane, name in zip(data, names, strict=True):
        path = Path(folder) / name
        if path.suffix.lower() in (".tif", ".tiff"):
            tifffile.imwrite(path, plane, resolution=(1e4, 2e4), resolutionunit="CENTIMETER")
        else:
            Image.fromarray(plane).save(path)
    (Path(folder) / "notes.txt").write_text("taken on Monday")


@pytest.mark.parametrize(
    "names", [["s1.png", "s2.png", "s10.png"], ["a1.TIF", "a9.TIF", "a11.TIF"]]
)
def test_slices_stand_in_natural_order(names):
    data = slices(3, 16, 20)
    write_slices(data, names)
    with pytest.warns(
        UserWarning, match=f"3 files are taken for slices, .* {names[0]} to {names[2]}"
    ):
        stack = open_stack("slices")
    assert stack.axes == "ZYX"
    np.testing.assert_array_equal(stack.data[:], data)
    np.testing.assert_array_equal(stack.data[1:, ::-1, 5], data[1:, ::-1, 5])
    assert {p.name for p in input_files(Path("slices"))} >= set(names)
    there = pickle.loads(pickle.dumps(stack))
    np.testing.assert_array_equal(there.data[2], data[2])
    if names[0].endswith("TIF"):
        assert stack.scale == (1.0, 0.5, 1.0) and stack.units[0] == "pixel"


def test_slices_in_colour():
    data = slices(2, 16, 20, 3)
    write_slices(data, ["1.png", "2.png"])
    with pytest.warns(UserWarning, match="taken for slices"):
        stack = open_stack("slices")
    assert stack.axes == "ZYXS"
    np.testing.assert_array_equal(stack.data[:], data)


def test_files_that_make_no_stack_are_refused():
    write_slices(slices(2, 16, 20), ["1.png", "2.png"])
    Image.fromarray(slices(1, 16, 21)[0]).save("slices/3.png")
    with pytest.raises(InputError, match=r"3\.png is 16 x 21 .* 1\.png is 16 x 20"):
        open_stack("slices")
    tifffile.imwrite("slices/0.tif", slices(2, 16, 20))
    with pytest.raises(InputError, match=r"0\.tif is a stack itself \(ZYX\)"):
        open_stack("slices")
    Path("empty").mkdir()
    with pytest.raises(InputError, match="empty is a folder; give an image file in it"):
        open_stack("empty")


def test_a_folder_is_a_stack_or_each_of_its_images(capsys):
    data = slices(3, 16, 20)
    write_slices(data, ["1.png", "2.png", "10.png"])
    assert main(["upscale", "slices", "out.tif", "--device", "cpu"]) == 0
    assert open_stack("out.tif").shape == (3, 64, 80)
    assert "taken for slices" in capsys.readouterr().err
    many = ["upscale", "slices", "--each", "--out-dir", "out", "--device", "cpu"]
    assert main(many) == 0
    assert len(list(Path("out").glob("*.tif"))) == 3
    assert main(["upscale", "slices", "one.tif", "--each"]) == 2
    assert "--out-dir" in capsys.readouterr().err


def test_names_of_all_alphabets():
    name = "Münze – 網膜 №3.TIFF"
    data = slices(2, 16, 20)
    tifffile.imwrite(name, data)
    np.testing.assert_array_equal(open_stack(name).data[:], data)
    assert main(["upscale", "Münze*.TIFF", "--out-dir", "aus", "--device", "cpu"]) == 0
    (made,) = Path("aus").glob("*.tif")
    assert made.name.startswith("Münze – 網膜 №3_")
    assert open_stack(made).shape == (2, 64, 80)


def test_a_folder_that_cannot_be_written_to_is_said(capsys):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tifffile.imwrite("a.tif", slices(1, 16, 20)[0])
    Path("locked").mkdir(mode=0o500)
    assert main(["upscale", "a.tif", "locked/b.tif", "--device", "cpu"]) == 2
    assert "locked" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_is_refused_and_does_not_hang():
    os.mkfifo("pipe.tif")
    with pytest.raises(InputError, match="device, pipe or socket"):
        open_stack("pipe.tif")
    write_slices(slices(2, 16, 20), ["1.png", "2.png"])
    shutil.move("pipe.tif", "slices/3.tif")  # which is passed over
    with pytest.warns(UserWarning, match="its 2 files"):
        open_stack("slices")
