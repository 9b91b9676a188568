import os

import numpy as np
import pytest
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack

RAMP = np.add.outer(np.arange(10), np.arange(14)).astype(np.uint8) * 4


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_transparent_colour_of_a_png_is_kept(tmp_path, mode):
    pixels = RAMP if mode == "L" else np.dstack([RAMP, RAMP // 2, 255 - RAMP])
    colour = pixels[4, 5].tolist()
    Image.fromarray(pixels).save(
        tmp_path / "a.png", transparency=colour if mode == "L" else tuple(colour)
    )
    stack = open_stack(tmp_path / "a.png")
    assert stack.axes == "YXS" and stack.samples == 4
    found = stack.read(())
    same = pixels == colour if mode == "L" else (pixels == colour).all(axis=2)
    np.testing.assert_array_equal(found[..., 3], np.where(same, 0, 255))
    np.testing.assert_array_equal(found[..., 0], pixels if mode == "L" else pixels[..., 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_of_any_depth_is_turned_as_its_exif_says(tmp_path, dtype, orientation):
    pixels = RAMP.astype(dtype) * (1 if dtype == "uint8" else 250)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    turned = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.T,
        6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).T, 8: np.rot90(pixels),
    }  # fmt: skip
    np.testing.assert_array_equal(open_stack(tmp_path / "a.png").read(()), turned[orientation])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="pipe"):
        open_stack(tmp_path / name)


def test_colours_that_look_like_slices_are_told_how_to_name_them():
    with pytest.raises(InputError, match="axes='YXS'"):
        Stack(np.zeros((40, 48, 3), np.uint16))
    with pytest.raises(InputError, match="axes='ZYXS'"):
        Stack(np.zeros((5, 40, 48, 4), np.float32))
    with pytest.raises(InputError) as told:
        Stack(np.zeros((40, 5), np.uint16))
    assert "YXS" not in str(told.value)
