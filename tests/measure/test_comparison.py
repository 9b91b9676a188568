"""Stacks against a reference: pooled figures, data range, grids that differ, and bad input."""

import math

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import fourier_shift, gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.measure.comparison import (
    BICUBIC,
    MEASURES,
    Settings,
    compare,
    measure_plane,
    on_reference_grid,
    reference_range,
    rows,
)
from napari_srgan.measure.shift import estimated_shift


def scene(shape, seed=0, top=255):
    """Smooth structures and some grain, from 0 to `top`."""
    random = np.random.default_rng(seed)
    image = gaussian_filter(random.normal(size=shape), (0,) * (len(shape) - 2) + (3, 3))
    image += 0.02 * random.normal(size=shape)
    return (image - image.min()) / np.ptp(image) * top


def finish(steps):
    """Run a comparison to its end: what it yielded, and what it gave."""
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


def compared(reference, candidates, **options):
    stacks = {name: Stack(a, name=name) for name, a in candidates.items()}
    return finish(compare(Stack(reference, name="truth"), stacks, **options))[1]


# The figures.


def test_the_psnr_of_a_stack_is_that_of_the_pooled_error():
    truth = scene((4, 40, 50)).astype(np.uint8)
    other = truth.copy()
    other[0] = np.clip(truth[0].astype(int) + 1, 0, 255)
    other[2] = scene((40, 50), 5)
    found = compared(truth, {"other": other})
    whole = found.stack["other"]
    assert whole.psnr == pytest.approx(peak_signal_noise_ratio(truth, other, data_range=255))
    single = [peak_signal_noise_ratio(truth[k], other[k], data_range=255) for k in (0, 2)]
    assert whole.mean_psnr == pytest.approx(np.mean(single))
    assert whole.psnr < whole.mean_psnr - 5  # so that one cannot stand for the other
    assert whole.infinite == 2 and whole.planes == 4
    difference = truth.astype(float) - other
    assert whole.figures["mse"] == pytest.approx(np.mean(difference**2))
    assert whole.figures["rmse"] == pytest.approx(math.sqrt(np.mean(difference**2)))
    assert whole.figures["mae"] == pytest.approx(np.mean(np.abs(difference)))
    expected = [
        structural_similarity(
            truth[k],
            other[k],
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for k in range(4)
    ]
    assert whole.figures["ssim"] == pytest.approx(np.mean(expected))
    assert [p.figures["ssim"] for p in found.planes] == pytest.approx(expected)
    assert [p.figures["psnr"] for p in found.planes][1::2] == [math.inf, math.inf]


def test_identical_stacks_are_infinitely_alike_constant_ones_too():
    truth = np.stack([np.full((20, 20), 9, np.uint8), scene((20, 20)).astype(np.uint8)])
    found = compared(truth, {"same": truth.copy()})
    whole = found.stack["same"]
    assert whole.psnr == math.inf and whole.mean_psnr is None and whole.infinite == 2
    assert whole.figures["mse"] == 0 and whole.figures["ssim"] == pytest.approx(1)
    # Nothing varies together in the constant slice, so the mean is over the other.
    assert [p.figures["pearson"] for p in found.planes] == [None, pytest.approx(1)]
    assert whole.figures["pearson"] == pytest.approx(1)
    assert any("Pearson" in note and "in 1 of 2 figures" in note for note in found.notes)


def test_the_range_is_that_of_the_whole_reference_whatever_is_compared():
    truth = scene((3, 24, 30), top=900).astype(np.uint16) + 100
    truth[2] *= 3
    span = int(truth.max()) - int(truth.min())
    assert reference_range(Stack(truth)) == span
    assert reference_range(Stack((truth / 16).astype(np.uint8))) == 255
    other = truth + 5
    whole = compared(truth, {"other": other})
    part = compared(truth, {"other": other}, region={"Z": (0, 1)})
    assert whole.data_range == part.data_range == span
    assert len(part.planes) == 1
    assert part.stack["other"].psnr == pytest.approx(20 * math.log10(span / 5))
    by_hand = compared(truth, {"other": other}, data_range=65535)
    assert by_hand.stack["other"].psnr == pytest.approx(20 * math.log10(65535 / 5))


def test_alpha_counts_neither_in_the_range_nor_in_the_figures():
    colours = scene((40, 40, 3), top=1).astype(np.float32)
    truth = np.dstack([colours, np.full((40, 40), 9, np.float32)])
    other = np.dstack([colours, np.zeros((40, 40), np.float32)])
    assert reference_range(Stack(truth, "YXS")) == pytest.approx(np.ptp(colours))
    assert measure_plane(truth, other, 1.0, Settings())["psnr"] == math.inf


def test_mode_y_is_that_of_the_published_tables():
    truth, other = (scene((60, 70, 3), seed).astype(np.uint8) for seed in (1, 2))
    luma = [16 + (a / 255.0) @ np.array([65.481, 128.553, 24.966]) for a in (truth, other)]
    expected = peak_signal_noise_ratio(*(a[4:-4, 4:-4] for a in luma), data_range=255)
    found = measure_plane(truth, other, 255, Settings(mode="y", border=4))
    assert found["psnr"] == pytest.approx(expected, abs=1e-9)
    assert abs(found["psnr"] - measure_plane(truth, other, 255, Settings(border=4))["psnr"]) > 0.5
    gray = truth[..., 0], other[..., 0]
    assert measure_plane(*gray, 255, Settings(mode="y")) == measure_plane(*gray, 255, Settings())


def test_the_border_is_cut_on_every_side():
    truth = scene((40, 44)).astype(np.uint8)
    other = truth.copy()
    other[:3] ^= 255
    other[-3:] ^= 255
    other[:, :3] ^= 255
    other[:, -3:] ^= 255
    assert measure_plane(truth, other, 255, Settings(border=3))["psnr"] == math.inf
    assert measure_plane(truth, other, 255, Settings(border=2))["psnr"] < 30


def test_small_images_have_no_ms_ssim_and_tiny_ones_no_ssim():
    truth = scene((12, 200, 200)).astype(np.uint8)
    found = compared(truth[0], {"other": truth[1]})
    assert tuple(found.planes[0].figures) == MEASURES
    assert None not in found.planes[0].figures.values()
    found = compared(truth[0, :30, :30], {"other": truth[1, :30, :30]})
    assert found.planes[0].figures["ms_ssim"] is None
    assert found.stack["other"].figures["ms_ssim"] is None
    assert any("176 px" in note and "everywhere" in note for note in found.notes)
    tiny = measure_plane(truth[0, :9, :9], truth[1, :9, :9], 255, Settings())
    assert tiny["ssim"] is None and tiny["mse"] > 0


# Grids that differ.


def test_a_smaller_candidate_is_enlarged_as_pillow_does_and_said_to_be():
    truth = scene((2, 64, 80)).astype(np.uint8)
    low = np.stack([np.asarray(Image.fromarray(p).resize((20, 16), 3)) for p in truth])
    large = np.stack([np.asarray(Image.fromarray(p).resize((80, 64), 3)) for p in low])
    found = compared(truth, {"small": low}, low=Stack(low, name="scan"))
    expected = peak_signal_noise_ratio(truth, large, data_range=255)
    for name in ("small", BICUBIC):
        assert found.stack[name].scale == (4, 4)
        # Pillow calculates with integers: single pixels are rounded to the other side.
        assert found.stack[name].psnr == pytest.approx(expected, abs=0.02)
    assert any("small was enlarged 4x by bicubic" in note for note in found.notes)
    assert any("bicubic is scan, which was enlarged 4x" in note for note in found.notes)
    plane, scale = on_reference_grid(low[0], (64, 80))
    assert scale == (4, 4) and plane.dtype == np.uint8
    assert np.abs(plane.astype(int) - large[0]).max() <= 1
    same, scale = on_reference_grid(low[0], (16, 20))
    assert scale == (1, 1) and np.array_equal(same, low[0])


def test_axes_of_length_one_need_not_be_there():
    truth = scene((3, 30, 30)).astype(np.uint8)
    stacks = {"other": Stack(truth[:, None] // 2, "ZCYX", "other")}
    found = finish(compare(Stack(truth[None], "TZYX", "truth"), stacks))[1]
    assert [p.index for p in found.planes] == [(0, 0), (0, 1), (0, 2)]
    expected = peak_signal_noise_ratio(truth, truth // 2, data_range=255)
    assert found.stack["other"].psnr == pytest.approx(expected)


@pytest.mark.parametrize("planted", [(0.4, 0.0), (0.4, -0.3), (-1.7, 2.6), (0.0, 0.0)])
def test_a_planted_shift_is_found_with_its_sign(planted):
    truth = scene((96, 128))
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(truth), planted)).real
    noisy = moved + np.random.default_rng(1).normal(0, 5, moved.shape)
    assert estimated_shift(truth, moved) == pytest.approx(planted, abs=0.05)
    assert estimated_shift(truth, noisy) == pytest.approx(planted, abs=0.1)
    found = compared(truth, {"moved": moved})
    assert found.stack["moved"].shift == pytest.approx(planted, abs=0.05)
    warned = any(note.startswith("Warning: moved") for note in found.notes)
    assert warned == (max(map(abs, planted)) > 0.25)


def test_a_blur_or_a_gain_is_no_shift_and_a_constant_has_none():
    truth = scene((80, 90))
    assert estimated_shift(truth, gaussian_filter(truth, 2)) == pytest.approx((0, 0), abs=0.05)
    assert estimated_shift(truth, 3 * truth + 9) == pytest.approx((0, 0), abs=0.01)
    assert all(map(math.isnan, estimated_shift(truth, np.full_like(truth, 3.0))))


# How the work is done.


class Counting:
    """A stack that tells how much of it was read at once."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.largest = self.reads = 0

    def __getitem__(self, key):
        part = self.array[key]
        self.largest, self.reads = max(self.largest, part.size), self.reads + 1
        return part


def test_stacks_are_read_plane_by_plane_and_closing_stops_it():
    truth = scene((5, 32, 40), top=999).astype(np.uint16)
    lazy = [Counting(truth), Counting(truth // 2)]
    steps = compare(Stack(lazy[0], "ZYX"), {"half": Stack(lazy[1], "ZYX")})
    assert next(steps).index == (0,)
    assert lazy[1].reads == 1
    assert [step.index[0] for step in steps] == [1, 2, 3, 4]
    assert max(a.largest for a in lazy) == 32 * 40
    again = compare(Stack(lazy[0], "ZYX"), {"half": Stack(lazy[1], "ZYX")})
    next(again)
    again.close()
    assert lazy[1].reads == 5 + 1


def test_rows_hold_every_plane_and_every_stack():
    truth = scene((2, 32, 40)).astype(np.uint8)
    low = truth[:, ::2, ::2]
    settings = Settings(measures=("mae", "psnr"), border=2)
    found = compared(truth, {"a": truth.copy()}, low=Stack(low, name="scan"), settings=settings)
    laid = rows(found)
    assert [(r["candidate"], r["slice"]) for r in laid] == [
        ("a", "all"),
        ("bicubic", "all"),
        ("a", "Z=0"),
        ("bicubic", "Z=0"),
        ("a", "Z=1"),
        ("bicubic", "Z=1"),
    ]
    assert laid[0]["psnr"] == math.inf and laid[0]["psnr_infinite"] == 2
    assert laid[1]["enlarged"] == 2 and laid[2]["Z"] == 0
    assert {(r["data_range"], r["mode"], r["border"]) for r in laid} == {(255.0, "rgb", 2)}
    assert laid[3]["mae"] == found.planes[1].figures["mae"] and "ssim" not in laid[3]


# Bad input.


def stack_of(array, name, axes=None):
    return Stack(np.asarray(array), axes, name)


GRAY = scene((3, 24, 32)).astype(np.uint8)
FLOAT = GRAY.astype(np.float32)
HOLE = np.where(np.arange(3)[:, None, None] == 1, np.nan, FLOAT)


@pytest.mark.parametrize(
    ("reference", "other", "options", "said"),
    [
        (GRAY, GRAY[:, :-1], {}, r"truth is 24 x 32 px and other 23 x 32 px"),
        (GRAY, GRAY.repeat(2, 1).repeat(2, 2), {}, r"truth is 24 x 32 px and other 48 x 64"),
        (GRAY, GRAY[:, ::2, :9], {}, r"12 x 9 px.*whole number"),
        (GRAY, GRAY[:2], {}, r"truth has slices Z=3 and other slices Z=2"),
        (GRAY, GRAY[0], {}, r"truth has slices Z=3 and other one slice"),
        (GRAY, np.stack([GRAY[0]] * 3, -1), {}, r"truth is gray and other RGB"),
        (FLOAT, HOLE, {}, r"other holds 768 NaN or infinite values in slice Z=1"),
        (HOLE, FLOAT, {}, r"truth holds 768 NaN or infinite values in slice Z=1"),
        (HOLE, FLOAT, {"data_range": 255}, r"truth holds 768 NaN .* in slice Z=1"),
        (np.full_like(FLOAT, 2.5), FLOAT, {}, r"truth is constant \(2.5 everywhere\).*--range"),
        (FLOAT, FLOAT, {"data_range": 0}, r"above 0, and it is 0"),
        (GRAY, GRAY, {"settings": Settings(border=12)}, r"Nothing is left .* border of 12"),
        (GRAY, GRAY, {"low": stack_of(GRAY, "scan")}, r"scan is as large as truth"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence_that_names_both(reference, other, options, said):
    with pytest.raises(InputError, match=said) as caught:
        finish(
            compare(stack_of(reference, "truth"), {"other": stack_of(other, "other")}, **options)
        )
    assert "\n" not in str(caught.value)


def test_other_mistakes():
    with pytest.raises(InputError, match="nothing to compare"):
        next(compare(stack_of(GRAY, "truth"), {}))
    both = {"bicubic": stack_of(GRAY, "b")}
    with pytest.raises(InputError, match="named 'bicubic'"):
        next(compare(stack_of(GRAY, "truth"), both, low=stack_of(GRAY[:, ::2, ::2], "scan")))
    colours = scene((20, 20, 3), top=999).astype(np.uint16)
    with pytest.raises(InputError, match=r"8-bit RGB images.*uint16"):
        measure_plane(colours, colours, 999, Settings(mode="y"))
    with pytest.raises(InputError, match="24 x 32 px and the other 10 x 32"):
        on_reference_grid(np.zeros((10, 32)), (24, 32))
    for wrong in ({"mode": "lab"}, {"border": -1}, {"measures": ()}, {"measures": ("psnr", "x")}):
        with pytest.raises(InputError):
            Settings(**wrong)


def test_another_type_is_told_of():
    found = compared(GRAY, {"other": FLOAT})
    assert found.stack["other"].psnr == math.inf
    assert any("other is of the type float32 and truth of the type uint8" in n for n in found.notes)
