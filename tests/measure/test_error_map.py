"""The error map: planted gain, offset, blur and artefact are found."""

import numpy as np
import pytest
from scipy.ndimage import fourier_gaussian, gaussian_filter

from napari_srgan.errors import InputError
from napari_srgan.measure.error_map import SIGMA_LIMIT, error_map


def scene(shape=(120, 150), seed=0):
    random = np.random.default_rng(seed)
    return 100 + 400 * gaussian_filter(random.normal(size=shape), 1.5)


def blurred(image, sigma):
    """Blur by a Gaussian in the Fourier plane, the image mirrored around."""
    margin = 48
    padded = np.pad(image, margin, mode="symmetric")
    smooth = np.fft.ifft2(fourier_gaussian(np.fft.fft2(padded), sigma)).real
    return smooth[margin:-margin, margin:-margin]


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.5, 5.0])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.3, 40.0), (2.5, -90.0)])
def test_a_blurred_scaled_and_offset_copy_is_explained(sigma, gain, offset):
    sharp = scene()
    found = error_map(gain * blurred(sharp, sigma) + offset, sharp)
    assert found.sigma == pytest.approx(sigma, abs=0.02)
    assert found.gain == pytest.approx(gain, rel=0.01)
    assert found.offset == pytest.approx(offset, abs=0.01 * 100 * gain)
    assert found.rse < 0.02 * gain * blurred(sharp, sigma).std()
    assert found.rsp > 0.999
    assert found.map.shape == sharp.shape and found.map.dtype == np.float32


def test_the_noise_of_the_reference_is_what_remains():
    sharp = scene()
    noise = np.random.default_rng(1).normal(0, 7, sharp.shape)
    found = error_map(blurred(sharp, 2) + noise, sharp)
    assert found.rse == pytest.approx(7, rel=0.03)
    assert found.sigma == pytest.approx(2, abs=0.1)
    assert found.rse == pytest.approx(np.sqrt(np.mean(found.map.astype(float) ** 2)), rel=1e-5)


def test_a_blob_that_the_reference_lacks_stands_out_and_one_that_it_has_does_not():
    sharp = scene()
    y, x = np.mgrid[:120, :150]
    blob = 200 * np.exp(-((y - 60) ** 2 + (x - 75) ** 2) / (2 * 4**2))
    reference = blurred(sharp, 2) + np.random.default_rng(2).normal(0, 3, sharp.shape)
    clean = error_map(reference, sharp)
    lied = error_map(reference, sharp + blob)
    told = error_map(reference + blurred(blob, 2), sharp + blob)
    assert lied.map[60, 75] > 10 * np.median(lied.map)
    assert told.map[58:63, 73:78].mean() < 3 * np.median(told.map)
    assert lied.rse > 2 * clean.rse and lied.rsp < clean.rsp
    assert told.rse == pytest.approx(clean.rse, rel=0.1)


def test_equal_inverted_constant_and_too_blurred_images():
    sharp = scene()
    same = error_map(sharp, sharp)
    assert (same.rse, same.sigma) == (pytest.approx(0, abs=1e-9), 0)
    assert same.rsp == pytest.approx(1)
    inverted = error_map(sharp, -sharp)
    assert inverted.gain == 0 and inverted.rsp == pytest.approx(-1, abs=0.05)
    assert inverted.rse == pytest.approx(sharp.std())
    constant = error_map(sharp, np.full_like(sharp, 0.1))
    assert (constant.gain, constant.rsp, constant.sigma) == (0, None, 0)
    assert constant.rse == pytest.approx(sharp.std())
    assert constant.offset == pytest.approx(sharp.mean())
    assert error_map(blurred(sharp, 24), sharp).sigma == SIGMA_LIMIT
    # A candidate that is less sharp than the reference is not sharpened.
    assert error_map(sharp, blurred(sharp, 2)).sigma < 0.1


def test_a_constant_reference_judges_no_candidate():
    # Gain 0 fits anything to it: an error of 0 would praise every invention alike.
    for candidate in (scene(), np.full((120, 150), 9.0)):
        flat = error_map(np.full((120, 150), 0.1), candidate)
        assert (flat.rse, flat.rsp, flat.gain, flat.sigma) == (None, None, 0, 0)
        assert flat.offset == 0.1
        assert flat.map.shape == (120, 150) and np.isnan(flat.map).all()
    gray = np.full((120, 150, 3), 7, np.uint8)
    assert error_map(gray, gray + scene((120, 150))[..., None]).rse is None


def test_integers_and_colours():
    sharp = np.clip(scene(), 0, 255).astype(np.uint8)
    found = error_map((sharp // 2).astype(np.uint16), np.stack([sharp] * 3, -1)[..., 0])
    assert found.gain == pytest.approx(0.5, abs=0.01)
    colours = np.stack([sharp, sharp, sharp], -1)
    assert error_map(colours, colours // 2 * 2).gain == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (scene((120, 149)), "different shapes"),
        (np.where(scene() > 150, np.nan, scene()), "NaN"),
    ],
)
def test_bad_input_is_a_sentence(candidate, said):
    with pytest.raises(InputError, match=said):
        error_map(scene(), candidate)
