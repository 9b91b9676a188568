"""What a kind of image stands for, and what `auto` becomes by it."""

import numpy as np
import pytest
import skimage.data
import small_models
import tifffile
from PIL import Image

from napari_srgan.engine.plan import plan, preflight
from napari_srgan.errors import InputError
from napari_srgan.image.kind import KINDS, recognise
from napari_srgan.image.stack import Stack
from napari_srgan.models.catalogue import FIDELITY, find_model, list_models
from napari_srgan.models.kinds import KINDS_OF_IMAGE, choose, models_by_use
from napari_srgan.options import RestoreOptions
from napari_srgan.synthetic.samples import sample_path

GRAY, RGB = FIDELITY[1], FIDELITY[3]


@pytest.fixture
def raw():
    """A raw frame that was looked at."""
    return looked_at(tifffile.imread(sample_path("oct_frame_coarse_lr")))


def looked_at(pixels, axes=None):
    stack = Stack(pixels, axes)
    recognise(stack)
    return stack


def test_the_table_holds_every_kind_with_models_that_are_there():
    assert tuple(kind.name for kind in KINDS_OF_IMAGE) == KINDS
    for kind in KINDS_OF_IMAGE:
        for name, channels in ((kind.gray, 1), (kind.rgb, 3)):
            info = find_model(name)
            assert info.bundled and info.card.channels == channels
        with Image.open(kind.thumbnail) as picture:
            assert picture.size == (40, 40)
    assert {GRAY, RGB, "oct-restore"} <= set(models_by_use())


def test_auto_is_the_model_of_the_kind(raw):
    choice = choose(raw)
    assert (choice.model.card.name, choice.kind) == ("oct-restore", "raw-oct")
    assert choice.why.startswith("auto: oct-restore, because the image is fully developed speckle")
    assert choice.warnings == ()
    mean = looked_at(tifffile.imread(sample_path("oct_volume_lr")))
    assert choose(mean).model.card.name == GRAY
    assert choose(looked_at(skimage.data.astronaut())).model.card.name == RGB


def test_what_was_not_looked_at_is_an_ordinary_image_and_nothing_is_read(monkeypatch):
    stack = Stack(tifffile.imread(sample_path("oct_frame_coarse_lr")))
    monkeypatch.setattr(Stack, "read", lambda *_: pytest.fail("pixels were read"))
    choice = preflight(stack, RestoreOptions()).choice
    assert (choice.model.card.name, choice.kind, choice.why) == (GRAY, "", "")


def test_a_kind_by_hand_counts_more_than_what_is_seen(raw):
    choice = choose(raw, kind="oct")
    assert (choice.model.card.name, choice.kind) == (GRAY, "oct")
    assert "the kind oct was chosen" in choice.why
    smooth = looked_at(np.tile(np.arange(64, dtype=np.uint8), (64, 1)))
    assert choose(smooth, kind="raw-oct").model.card.name == "oct-restore"


def test_the_fidelity_model_by_hand_on_speckle_warns(raw):
    (warning,) = choose(raw, GRAY).warnings
    assert warning.startswith(f"{GRAY} takes speckle for structure")
    assert "oct-restore" in warning
    assert choose(raw, "srgan-gray").warnings
    assert choose(raw, "oct-restore").warnings == ()
    assert choose(raw, GRAY, kind="fluorescence").warnings == ()  # a person says that it is not
    assert warning in plan(raw, RestoreOptions(model=GRAY, device="cpu")).warnings
    mean = looked_at(tifffile.imread(sample_path("oct_volume_lr")))
    assert choose(mean, GRAY).warnings == ()


def test_gray_in_rgb_gets_a_gray_model_and_a_gray_result(raw):
    colours = looked_at(np.stack([raw.data[3]] * 3, axis=-1), "YXS")
    choice = choose(colours)
    assert (choice.model.card.name, choice.stack.axes) == ("oct-restore", "YX")
    assert "three colours hold one gray value" in choice.why
    ahead = preflight(colours, RestoreOptions())
    assert (ahead.output.axes, ahead.output.shape) == ("YX", (416, 640))
    # a gray model by hand as well; a model for RGB keeps the three
    assert choose(colours, GRAY).stack.axes == "YX"
    assert "three colours hold one gray value" in choose(colours, GRAY).why
    assert choose(colours, RGB).stack is colours
    with pytest.raises(InputError, match="RGB"):
        choose(looked_at(skimage.data.astronaut()), GRAY)


def test_linear_oct_is_bent_and_other_data_are_not(raw):
    linear = looked_at((10 ** (raw.data / 4095 * 3.8)).astype(np.float32), "ZYX")
    choice = choose(linear, transform="auto")
    assert (choice.model.card.name, choice.transform) == ("oct-restore", "power:0.25")
    assert "power:0.25, because the data are linear" in choice.why
    assert choose(linear, transform="none").transform == "none"
    assert choose(linear, kind="fluorescence", transform="auto").transform == "none"
    assert choose(raw, transform="auto").transform == "none"
    planned = plan(linear, RestoreOptions(device="cpu"))
    assert planned.intensity.transform == "power:0.25"
    assert not any("looks linear" in warning for warning in planned.warnings)


def test_a_model_is_auto_where_the_table_says_so_and_nowhere_else(tmp_path, monkeypatch):
    """A new bundled model, even one that sorts before the others, changes nothing by itself."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for info in list_models():
        (folder / info.path.name).symlink_to(info.path)
    small_models.save(folder, "a-fast-gray", 1)
    monkeypatch.setattr("napari_srgan.models.catalogue.WEIGHTS", folder)
    gray = looked_at(skimage.data.camera())
    assert choose(gray).model.card.name == GRAY
