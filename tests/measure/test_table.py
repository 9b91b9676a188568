"""The table of measures: what is written for people, what is better, what is not defined."""

import math

import numpy as np
import pytest

from napari_srgan.measure.table import MEASURES, PLANE_MEASURES, Pair, take


def test_the_order_and_the_heads_of_tables():
    assert PLANE_MEASURES == ("psnr", "ssim", "ms_ssim", "mse", "rmse", "mae", "pearson")
    assert [m.name for m in MEASURES.values() if m.evaluated and m.take] == [
        "psnr", "ssim", "ms_ssim", "mse", "mae",
    ]  # fmt: skip
    heads = {name: MEASURES[name].heading for name in ("psnr", "ssim", "psnr_mean", "vgg22")}
    assert list(heads.values()) == [
        "PSNR (dB)", "SSIM", "PSNR, mean of slices (dB)", "VGG22 distance",
    ]  # fmt: skip
    assert all(m.tip and m.label for m in MEASURES.values())


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("psnr", 31.006, "31.01"),
        ("psnr", math.inf, "∞"),
        ("ssim", 0.98765, "0.9877"),
        ("ssim", None, "–"),
        ("pearson", math.nan, "–"),
        ("mse", 0.00123456, "0.001235"),
        ("mse", 5.0, "5.000"),
        ("mse", 1234.4, "1234"),
        ("psnr_infinite", 2.0, "2"),
        ("vgg22", 0.12345, "0.1235"),
        ("vgg22", 12345.6, "12346"),
    ],
)
def test_figures_are_written_with_the_digits_that_they_are_read_with(name, value, text):
    assert MEASURES[name].text(value) == text


def test_each_face_has_its_words_for_what_is_no_number():
    psnr = MEASURES["psnr"]
    assert psnr.text(math.inf, infinite="identical") == "identical"
    assert psnr.text(None, missing="-") == "-"
    assert psnr.difference(31.5, 30.25) == "+1.25"
    assert psnr.difference(math.inf, 30.0, missing="-") == "-"
    assert MEASURES["ssim"].difference(0.9, 0.95) == "-0.0500"
    assert MEASURES["mse"].difference(0.5, 0.25) == "+0.2500"


def test_the_best_is_the_highest_or_the_lowest_and_none_of_equal_ones():
    assert MEASURES["psnr"].best([30.0, math.inf, None]) == math.inf
    assert MEASURES["mae"].best([3.0, 1.0, math.nan]) == 1.0
    assert MEASURES["rsp"].best([0.5, 0.5]) is None


def test_planes_are_pooled_over_their_pixels_or_their_means():
    first, second = (np.full((12, 12), v, float) for v in (3, 1))
    pairs = [Pair(np.zeros((12, 12)), image, 10.0) for image in (first, second)]
    whole = Pair(np.zeros((24, 12)), np.concatenate([first, second]), 10.0)
    for name in ("psnr", "mse", "rmse", "mae"):
        pooled = MEASURES[name].of_stack([MEASURES[name].of(pair) for pair in pairs], 10.0)
        assert pooled == pytest.approx(MEASURES[name].of(whole)), name
    assert MEASURES["ssim"].of_stack([None, 0.5], 10.0) == 0.5
    assert MEASURES["ssim"].of_stack([None, None], 10.0) is None


def test_what_is_not_defined_is_none():
    small = np.arange(100.0).reshape(10, 10)
    taken = take(PLANE_MEASURES, Pair(small, np.zeros_like(small), 99.0))
    assert [name for name, value in taken.items() if value is None] == [
        "ssim", "ms_ssim", "pearson",
    ]  # fmt: skip
    assert all(MEASURES[name].undefined for name in ("ssim", "ms_ssim", "pearson"))
