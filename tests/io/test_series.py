"""Files that hold several images: which is opened, that it is said, and how to open another."""

import pickle
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.io.open import open_stack

RNG = np.random.default_rng(9)
THREE = RNG.integers(0, 255, (3, 20, 30)).astype(np.uint8)


def three_images(folder, kind):
    path = folder / {"ome": "a.ome.tif", "plain": "a.tif", "png": "a.png"}[kind]
    if kind == "png":
        first, *others = map(Image.fromarray, THREE)
        first.save(path, save_all=True, append_images=others)
        return path
    with tifffile.TiffWriter(path, ome=kind == "ome") as tif:
        for i, plane in enumerate(THREE):
            tif.write(plane, metadata={"axes": "YX", "Name": f"Pos{i}"})
    return path


@pytest.mark.parametrize("kind", ["ome", "plain", "png"])
def test_each_image_can_be_opened_and_a_choice_that_nobody_made_is_said(tmp_path, kind):
    path = three_images(tmp_path, kind)
    with pytest.warns(UserWarning, match=r"holds 3 images, of which number 0.*--series") as told:
        stack = open_stack(path)
    assert len(told) == 1
    np.testing.assert_array_equal(stack.read(()), THREE[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(3):
            stack = pickle.loads(pickle.dumps(open_stack(path, series=i)))
            np.testing.assert_array_equal(stack.read(()), THREE[i])
    for wrong in (3, -1):
        with pytest.raises(InputError, match="number 0 to 2"):
            open_stack(path, series=wrong)


def test_the_largest_is_the_choice(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(THREE[0, :9, :9], metadata=None)
        tif.write(THREE[1], metadata=None)
    with pytest.warns(UserWarning, match="number 1 is opened"):
        stack = open_stack(tmp_path / "a.tif")
    np.testing.assert_array_equal(stack.read(()), THREE[1])


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.jpg"])
def test_a_file_with_one_image_says_nothing_and_has_no_other(tmp_path, name):
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, THREE[0])
    else:
        Image.fromarray(THREE[0]).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_stack(path, series=0)
        open_stack(path)
    with pytest.raises(InputError, match="one image"):
        open_stack(path, series=1)


def test_positions_of_micromanager_are_images(tmp_path):
    from test_calibration import write_micromanager

    planes = RNG.integers(0, 4000, (2, 2, 3, 20, 30)).astype(np.uint16)  # T P Z Y X
    path = tmp_path / "a.tif"
    write_micromanager(path, planes, 0.65, 2.5, 400.0, False)
    with pytest.warns(UserWarning, match="holds 2 images"):
        first = open_stack(path)
    second = open_stack(path, series=1)
    for i, stack in enumerate((first, second)):
        assert stack.axes == "TZYX"
        assert stack.scale == pytest.approx((400, 2.5, 0.65, 0.65))
        np.testing.assert_array_equal(np.asarray(stack.data[...]), planes[:, i])
