"""Degradation operators: what they compute, and that their pixels lie where geometry says."""

import numpy as np
import pytest
import torch

from napari_srgan.errors import InputError
from napari_srgan.image.degradation import NAMES, BlurNoise, aligned_pair, degradation
from napari_srgan.image.resampling import shift_batch

CLEAN = {"blur": (1.0, 1.0), "speckle": (0.0, 0.0), "noise": (0.0, 0.0)}


def ramp(height, width, slope_y=0.004, slope_x=0.002):
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return (0.1 + slope_y * y + slope_x * x)[None, None]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [(4, 4), (2, 2), (8, 8), (1, 4), (4, 1)])
def test_target_and_lr_show_the_same_place_in_the_world(name, scale):
    """On a ramp a value is a position: LR pixel i is the mean of the HR target's pixels of i."""
    operator = degradation(name, **CLEAN)
    height, width = 24 * scale[0], 20 * scale[1]
    for seed in range(4):
        lr, target = aligned_pair(operator, ramp(height, width), scale, np.random.default_rng(seed))
        assert lr.shape == (1, 1, 24, 20)
        assert target.shape == (1, 1, height, width)
        seen = torch.nn.functional.avg_pool2d(target, scale)
        inner = (..., slice(4, -4), slice(4, -4))
        torch.testing.assert_close(lr[inner], seen[inner], rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["decimate", "blur-noise"])
def test_every_phase_is_drawn_and_a_seed_repeats(name):
    hr, operator = torch.rand(1, 1, 32, 32), degradation(name)
    drawn = {operator(hr, (4, 4), np.random.default_rng(seed))[1] for seed in range(200)}
    assert drawn == {(float(y), float(x)) for y in range(4) for x in range(4)}
    pairs = [aligned_pair(operator, hr, (4, 4), np.random.default_rng(7)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))


def test_decimation_keeps_pixels_as_they_are():
    hr = torch.rand(1, 2, 16, 16)
    lr, (y, x) = degradation("decimate")(hr, (4, 4), np.random.default_rng(0))
    assert torch.equal(lr, hr[..., int(y) :: 4, int(x) :: 4])


def test_area_is_the_mean():
    hr = torch.rand(1, 1, 8, 12)
    lr, _ = degradation("area")(hr, (4, 2), np.random.default_rng(0))
    torch.testing.assert_close(lr[0, 0, 1, 2], hr[0, 0, 4:8, 4:6].mean())


def test_noise_has_the_strength_that_was_asked_for():
    flat = torch.full((1, 1, 800, 800), 0.5)
    for ranges, expected in (
        ({"speckle": (0.1, 0.1)}, 0.05),
        ({"noise": (0.03, 0.03)}, 0.03),
    ):
        operator = degradation("blur-noise", **{**CLEAN, **ranges})
        lr, _ = operator(flat, (4, 4), np.random.default_rng(0))
        assert lr.std().item() == pytest.approx(expected, rel=0.03)
        assert lr.mean().item() == pytest.approx(0.5, rel=0.01)


def test_blur_has_the_width_that_was_asked_for():
    line = torch.zeros(1, 1, 64, 64)
    line[..., 32, :] = 1.0
    operator = BlurNoise((2.5, 2.5), (0, 0), (0, 0))
    lr, _ = operator(line, (1, 1), np.random.default_rng(0))
    profile = lr[0, 0, :, 32].double()
    at = torch.arange(64.0) - 32
    assert ((profile * at**2).sum() / profile.sum()).sqrt().item() == pytest.approx(2.5, rel=0.01)


@pytest.mark.parametrize("values", [(2, 1), (-1, 1), (1, 2, 3), (0, np.inf)])
def test_ranges_that_make_no_sense_are_refused(values):
    with pytest.raises(InputError, match="blur"):
        degradation("blur-noise", blur=values)


def test_an_unknown_operator_is_refused():
    with pytest.raises(InputError, match="known are bicubic"):
        degradation("magic")


@pytest.mark.parametrize("shift", [(0, 0), (1, -2), (5, 6), (-7, 0)])
def test_whole_shifts_are_exact(shift):
    image = torch.rand(2, 3, 20, 24)
    rows = (torch.arange(20) + shift[0]).clamp(0, 19)
    cols = (torch.arange(24) + shift[1]).clamp(0, 23)
    assert torch.equal(shift_batch(image, shift), image[:, :, rows][:, :, :, cols])


@pytest.mark.parametrize("shift", [0.5, -0.5, 1.5, -1.5, 3.5])
@pytest.mark.parametrize(("frequency", "passed"), [(0.3, 0.99), (0.5, 0.99), (0.75, 0.9)])
def test_half_a_pixel_keeps_detail(shift, frequency, passed):
    x = torch.arange(200.0)
    wave = torch.sin(torch.pi * frequency * x).expand(1, 1, 3, -1)
    moved = shift_batch(wave, (0, shift))[0, 0, 1, 20:-20]
    wanted = torch.sin(torch.pi * frequency * (x + shift))[20:-20]
    assert (moved @ wanted / (wanted @ wanted)).item() >= passed
