"""Figures: what stands where, in which pixels, and when a scale bar is drawn."""

import base64
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.image.stack import Stack
from napari_srgan.io.appearance import Appearance
from napari_srgan.options import FigureOptions
from napari_srgan.tasks.figure import Shown, figure, figure_files, scale_bar, write_figure
from napari_srgan.tasks.sheet import (
    Box,
    Outline,
    Picture,
    Words,
    raster,
    shortened,
    svg,
    text_width,
)
from napari_srgan.tasks.steps import drain

SVG = "{http://www.w3.org/2000/svg}"


def stack(data, size=None, **arguments):
    axes = "ZYX"[-data.ndim :]
    if size is not None:
        n = data.ndim - 2
        arguments |= {"scale": (1,) * n + size, "spacing_source": "file"}
        arguments |= {"units": ("pixel",) * n + ("micrometer",) * 2}
    return Stack(data, axes=axes, **arguments)


@pytest.fixture
def truth():
    """Flat, but for a patch of texture."""
    plane = np.full((3, 64, 96), 60, np.uint8)
    plane[:, 8:24, 64:88] = np.random.default_rng(0).integers(0, 255, (3, 16, 24))
    return plane


@pytest.fixture
def shown(truth):
    low = np.stack([bicubic_shrink(p, 4) for p in truth]).clip(0, 255).astype(np.uint8)
    return Shown(
        low=stack(low, (8.0, 4.0), name="low"),
        result=stack(
            truth // 2, (2.0, 1.0), name="result", metadata={"napari_srgan": {"model": "m"}}
        ),
        reference=stack(truth, (2.0, 1.0), name="truth"),
        limits=(0, 255),
    )


def pictures(sheet):
    return [item for item in sheet.items if isinstance(item, Picture)]


def words(sheet):
    return [item.text for item in sheet.items if isinstance(item, Words)]


def test_four_panels_and_an_inset_of_each(shown, truth):
    sheet = figure(shown, FigureOptions(show=2))
    assert sheet.width == round(180 / 25.4 * 300)
    low, bicubic, result, reference, *insets = pictures(sheet)
    assert np.array_equal(low.pixels, shown.low.data[2])
    wanted = np.clip(np.rint(bicubic_enlarge(shown.low.data[2], 4)), 0, 255)
    assert np.array_equal(bicubic.pixels, wanted.astype(np.uint8))
    assert np.array_equal(result.pixels, truth[2] // 2)
    assert np.array_equal(reference.pixels, truth[2])
    assert {p.box.width for p in (low, bicubic, result, reference)} == {low.box.width}
    assert low.box.height / low.box.width == pytest.approx(2 * 64 / 96, rel=0.01), "2 x 1 um pixels"
    # The inset is where the texture is, on whole LR pixels, the same in all.
    assert len(insets) == 4
    rows, cols = insets[3].pixels.shape
    assert insets[0].pixels.shape == (rows // 4, cols // 4)
    assert rows % 4 == cols % 4 == 0
    assert insets[3].pixels.std() > 20
    marks = [i.box for i in sheet.items if isinstance(i, Outline) and i.line]
    assert len(marks) == 8
    assert words(sheet)[-4:] == ["LR input", "bicubic", "m", "reference"]


def test_the_inset_that_is_asked_for(shown, truth):
    sheet = figure(shown, FigureOptions(inset="9:23,64:85", show=0))
    assert np.array_equal(pictures(sheet)[-1].pixels, truth[0, 8:24, 64:88]), "on LR pixels"
    assert len(pictures(figure(shown, FigureOptions(inset="none")))) == 4
    with pytest.raises(InputError, match="does not lie in the image of 64 x 96"):
        figure(shown, FigureOptions(inset="0:65,0:10"))


def test_a_scale_bar_only_where_the_size_is_known(shown, truth):
    assert any("µm" in text for text in words(figure(shown, FigureOptions())))
    bare = Shown(result=stack(truth, name="result"))
    assert not any("µm" in text for text in words(figure(bare, FigureOptions())))
    assumed = Stack(
        truth, axes="ZYX", units=("pixel", *["micrometer"] * 2), spacing_source="default"
    )
    assert not any("µm" in text for text in words(figure(Shown(result=assumed), FigureOptions())))


@pytest.mark.parametrize(("extent", "label"), [(96, "20 µm"), (1000, "200 µm"), (1.6, "0.5 µm")])
def test_the_bar_is_as_long_as_it_says(extent, label):
    box = Box(100, 50, 600, 300)
    _, bar, *texts = scale_bar(box, extent, "micrometer", 33)
    assert texts[-1].text == label
    assert bar.box.width == pytest.approx(float(label.split()[0]) / extent * 600, abs=1)
    half = text_width(label, 33) / 2
    assert texts[-1].x + half <= box.right and bar.box.right < box.right < 701


@pytest.mark.parametrize("panels", [("result",), ("bicubic", "reference")])
def test_any_subset(shown, panels):
    sheet = figure(shown, FigureOptions(panels=panels, inset="none"))
    assert len(pictures(sheet)) == len(panels)


def test_what_is_not_there_is_named(shown, truth):
    with pytest.raises(InputError, match="no 'reference' to show; what was given makes result"):
        figure(Shown(result=stack(truth)), FigureOptions(panels=("reference",)))
    with pytest.raises(InputError, match="no slice 3; they are numbered from 0 to 2"):
        figure(shown, FigureOptions(show=3))
    with pytest.raises(InputError, match="nothing to show"):
        Shown()
    with pytest.raises(InputError, match="other sizes"):
        Shown(result=stack(truth[:, ::2, ::2]), reference=stack(truth))
    with pytest.raises(InputError, match="do not fit 10 mm"):
        figure(shown, FigureOptions(width=10.0))


def test_all_panels_have_one_gray_scale(truth):
    data = truth.astype(np.uint16) * 100
    shown = Shown(result=stack(data), reference=stack(data + 1000))
    result, reference = pictures(figure(shown, FigureOptions(inset="none")))
    assert reference.pixels[40, 40] > result.pixels[40, 40]


def test_colours_stay(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (32, 40, 3)).astype(np.uint8)
    (picture,) = pictures(figure(Shown(result=Stack(rgb, axes="YXS")), FigureOptions(inset="none")))
    assert np.array_equal(picture.pixels, rgb)


def test_png_has_300_dpi_and_repeats_pixels(shown, truth, tmp_path):
    path = tmp_path / "a.png"
    sheet = drain(write_figure(shown, path, FigureOptions()))
    image = Image.open(path)
    assert image.size == (sheet.width, sheet.height)
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert image.mode == "RGB"
    inset = pictures(sheet)[-1]
    box = inset.box
    at = (box.x + box.width // 2, box.y + box.height // 2)
    rows, cols = inset.pixels.shape
    wanted = inset.pixels[int(rows / 2 + 0.5 / box.height), int(cols / 2 + 0.5 / box.width)]
    assert image.getpixel(at) == (wanted,) * 3


def test_svg_holds_the_pixels_and_the_words(shown, truth, tmp_path):
    path = tmp_path / "a.svg"
    drain(write_figure(shown, path, FigureOptions(inset="none", show=1)))
    root = ElementTree.parse(path).getroot()
    assert float(root.attrib["width"].removesuffix("mm")) == pytest.approx(180, abs=0.1)
    images = root.findall(f"{SVG}image")
    data = images[3].attrib["{http://www.w3.org/1999/xlink}href"].partition(",")[2]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), truth[1])
    texts = [t.text for t in root.findall(f"{SVG}text")]
    assert {"LR input", "bicubic", "m", "reference"} <= set(texts)


def test_a_hostile_name_is_text_and_fits():
    name = "<b>&\x00\x1b" + "x" * 300
    text = shortened(name, 33, 300)
    assert text.startswith("<b>&x") and "…" in text and text_width(text, 33) <= 300
    page = figure(Shown(result=Stack(np.zeros((16, 16), np.uint8))), FigureOptions(inset="none"))
    page = type(page)(page.width, page.height, (*page.items, Words(0, 30, text, 33)))
    assert ElementTree.fromstring(svg(page).encode())[-1].text == text
    assert raster(page).mode == "L"


def test_nan_is_named(truth):
    data = truth.astype(np.float32)
    data[1, 3, 3] = np.nan
    with pytest.raises(InputError, match="1 NaN"):
        figure(Shown(result=stack(data)), FigureOptions())


def test_files_are_spared(tmp_path, truth):
    path = tmp_path / "a.png"
    Image.fromarray(truth[0]).save(path)
    with pytest.raises(OutputExists):
        drain(figure_files(None, path, None, path, FigureOptions()))
    with pytest.raises(InputError, match="is an input"):
        drain(figure_files(None, path, None, path, FigureOptions(), overwrite=True))
    with pytest.raises(InputError, match="svg"):
        drain(figure_files(None, path, None, tmp_path / "b.jpg", FigureOptions()))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]


# --- several channels -----------------------------------------------------------------------------


@pytest.fixture
def channels():
    """Two channels, each bright on its own half, as small and as large images."""
    large = np.zeros((2, 3, 32, 48), np.uint16)
    large[0, :, :, :24], large[1, :, :, 24:] = 1000, 50
    low = Stack(large[..., ::4, ::4], axes="CZYX", name="low")
    return Shown(low=low, result=Stack(large, axes="CZYX", name="result"))


def test_channels_are_merged_in_their_colours_each_in_its_own_range(channels):
    sheet = figure(channels, FigureOptions(inset="none", panels=("lr", "result")))
    for picture in pictures(sheet):
        pixels = picture.pixels
        assert pixels.shape[2] == 3
        assert (pixels[:, 0] == (255, 0, 255)).all(), "magenta, the first of two"
        assert (pixels[:, -1] == (0, 255, 0)).all(), "green, the dark one as bright as the other"


def test_colours_of_the_file_count_and_what_lies_on_each_other_adds_up(channels):
    data = np.full((2, 16, 16), 7, np.uint8)
    look = Appearance(colours=(0xFF0000FF - 2**32, 0x0000FFFF))
    stack = Stack(data, axes="CYX", name="s", metadata={"appearance": look})
    (picture,) = pictures(figure(Shown(result=stack, limits=(0, 7)), FigureOptions(inset="none")))
    assert (picture.pixels == (255, 0, 255)).all()


def test_one_channel_is_gray_and_a_spectrum_is_not_merged(channels):
    options = FigureOptions(inset="none", panels=("result",), channel=1, show=2)
    (picture,) = pictures(figure(channels, options))
    assert picture.pixels.ndim == 2 and picture.pixels[0, -1] == 255
    with pytest.raises(InputError, match="no channel 2"):
        figure(channels, FigureOptions(channel=2))
    spectrum = Shown(result=Stack(np.zeros((9, 16, 16), np.uint8), axes="CYX", name="s"))
    assert not spectrum.is_merged and spectrum.axis == "C"
    (picture,) = pictures(figure(spectrum, FigureOptions(inset="none")))
    assert picture.pixels.ndim == 2
