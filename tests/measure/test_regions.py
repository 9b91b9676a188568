"""CNR and ENL against worked figures and simulated speckle, and what their labels say."""

import math

import numpy as np
import pytest

from napari_srgan.errors import InputError
from napari_srgan.measure.regions import cnr, enl

LEFT = np.zeros((200, 200), bool)
LEFT[:, :100] = True
RIGHT = ~LEFT


def speckle(looks, means=(9.0, 3.0), seed=0):
    """Linear intensity of fully developed speckle, averaged over so many looks."""
    random = np.random.default_rng(seed)
    pattern = random.exponential(1.0, (looks, 200, 200)).mean(axis=0)
    return pattern * np.where(LEFT, *means)


def test_cnr_of_worked_figures():
    image = np.zeros((4, 4))
    image[:2] = [[9, 11, 9, 11], [11, 9, 11, 9]]  # mean 10, standard deviation 1
    image[2:] = [[1, 7, 1, 7], [7, 1, 7, 1]]  # mean 4, standard deviation 3
    top = np.arange(4)[:, None] < 2
    top = np.broadcast_to(top, (4, 4))
    found = cnr(image, top, ~top)
    assert found.value == pytest.approx(6 / math.sqrt((1 + 9) / 2))
    assert cnr(image, ~top, top).value == found.value  # the sign of the contrast is left out
    assert (found.scale, found.label) == ("linear", "CNR")
    assert enl(image, top).value == pytest.approx(100)
    assert enl(image, ~top).value == pytest.approx(16 / 9)


@pytest.mark.parametrize("looks", [1, 4, 16])
def test_enl_counts_the_looks_of_linear_speckle(looks):
    assert enl(speckle(looks), LEFT).value == pytest.approx(looks, rel=0.06)
    # (9 - 3) / sqrt((81 + 9) / 2 / looks)
    expected = 6 / math.sqrt(45 / looks)
    assert cnr(speckle(looks), LEFT, RIGHT).value == pytest.approx(expected, rel=0.06)


def test_logarithmic_values_are_labelled_or_made_linear():
    linear = speckle(4)
    # 50 dB on 0 to 255, with an offset as displays have it.
    stored = (10 * np.log10(linear) + 27) * 255 / 50
    as_is = enl(stored, LEFT, scale="log")
    assert (as_is.scale, as_is.transform, as_is.label) == ("log", "none", "ENL (log)")
    assert as_is.value > 30  # which counts no looks
    back = enl(stored, LEFT, scale="log", decibels=50 / 255)
    assert back.value == pytest.approx(enl(linear, LEFT).value)
    assert back.scale == "linear" and back.transform.startswith("10^(")
    assert back.label == "ENL (linear, from dB)"
    contrast = cnr(stored, LEFT, RIGHT, scale="log", decibels=50 / 255)
    assert contrast.value == pytest.approx(cnr(linear, LEFT, RIGHT).value)
    assert math.isfinite(enl(stored * 100, LEFT, scale="log", decibels=1.0).value)


def test_regions_without_variation():
    flat = np.where(LEFT, 8, 3).astype(np.uint8)
    assert cnr(flat, LEFT, RIGHT).value == math.inf
    assert cnr(np.full_like(flat, 5), LEFT, RIGHT).value is None
    assert enl(flat, LEFT).value == math.inf
    assert enl(np.zeros_like(flat), LEFT).value is None


def one_pixel():
    mask = np.zeros_like(LEFT)
    mask[3, 3] = True
    return mask


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a: enl(a, np.zeros_like(LEFT)), "holds 0 px"),
        (lambda a: cnr(a, LEFT, one_pixel()), "holds 1 px"),
        (lambda a: enl(a, LEFT[:-1]), r"shape \(199, 200\)"),
        (lambda a: enl(a, LEFT.astype(int)), "type int64"),
        (lambda a: enl(np.where(LEFT, np.nan, a), LEFT), "NaN"),
        (lambda a: enl(np.dstack([a] * 3), LEFT), "one gray plane"),
        (lambda a: enl(a, LEFT, scale="dB"), "linear or log"),
        (lambda a: enl(a, LEFT, decibels=0.2), "go with the scale log"),
        (lambda a: enl(a, LEFT, scale="log", decibels=-1), "above 0"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(call, said):
    with pytest.raises(InputError, match=said):
        call(speckle(1))


def test_nan_outside_of_a_region_does_not_matter():
    image = np.where(LEFT, speckle(4), np.nan)
    assert enl(image, LEFT).value == pytest.approx(4, rel=0.06)
