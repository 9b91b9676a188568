"""Crops: the same as those of the whole scan, the same for every start, and fairly drawn."""

import numpy as np
import pytest
import tifffile
import torch
from small_scans import picture

from napari_srgan.image.degradation import degradation
from training.augment import Augmentation, flipped, reach, warped
from training.crops import Crops, loader
from training.recipe import Recipe
from training.scans import Scan, ScanSet, decode, scans_of
from training.timetable import Timetable


def crops(sets, steps=100, **values):
    values = {"channels": 1, "crop": (32,), "batch": 8, "flips": "none", **values}
    return Crops(sets, Timetable(Recipe(**values), steps, 0))


def drawn(source, count):
    return [source[source.batch + i] for i in range(count)]


@pytest.fixture
def eye(scans):
    found = scans_of(decode(scans / "eye0.tif"), channels=1, min_side=32)
    return ScanSet("eyes", tuple(found))


@pytest.mark.parametrize("name", ["bicubic", "area"])
@pytest.mark.parametrize("flips", ["none", "lateral", "all"])
def test_lr_crops_are_those_of_the_whole_scan(eye, flips, name):
    """A crop degraded on its own would differ at its edges from a scan that was degraded whole."""
    whole = eye.scans[0].crop(slice(68), slice(88))[None]
    variants = [whole, whole.flip(3)]
    if flips == "all":
        variants += [v.flip(2) for v in variants]
        variants += [v.transpose(2, 3) for v in variants]
    found = 0
    for lr, hr in drawn(crops([eye], flips=flips, degradation=name), 160):
        for image in variants:
            windows = image[0, 0].unfold(0, 32, 4).unfold(1, 32, 4)
            at = (windows == hr[0]).all(-1).all(-1).nonzero()
            if len(at):
                y, x = at[0].tolist()
                low, _ = degradation(name)(image, (4, 4), np.random.default_rng(0))
                expected = low[0, :, y // 1 : y + 8, x : x + 8]
                torch.testing.assert_close(lr, expected, rtol=0, atol=1e-6)
                found += 1
    assert found >= 5


@pytest.mark.parametrize("name", ["decimate", "blur-noise"])
@pytest.mark.parametrize("flips", ["lateral", "all"])
def test_lr_and_hr_crops_show_the_same_place(name, flips):
    """On a ramp a value is a position; margins, phases, flips and shifts must all agree."""
    y, x = np.mgrid[:160, :160]
    ramp = ((100 + 2 * y + x) / 1000).astype(np.float32)
    scans = scan_set_of(ramp, 0.0, 1.0)
    source = crops(
        [scans],
        degradation=name,
        flips=flips,
        blur=(0.5, 0.5),
        speckle=(0.0, 0.0),
        noise=(0.0, 0.0),
    )
    for lr, hr in drawn(source, 60):
        seen = torch.nn.functional.avg_pool2d(hr, 4)
        torch.testing.assert_close(lr[:, 2:-2, 2:-2], seen[:, 2:-2, 2:-2], rtol=0, atol=2e-4)


def scan_set_of(image, low, high):
    from napari_srgan.image.intensity import Intensity
    from training.scans import ScanSet

    return ScanSet("x", (Scan(image, Intensity((low,), (high,), "auto", "none"), 0, "x"),))


def test_b_scans_are_never_turned_upside_down():
    ramp = np.repeat(np.arange(64, dtype=np.float32)[:, None], 64, axis=1) / 64
    for _, hr in drawn(crops([scan_set_of(ramp, 0.0, 1.0)], flips="auto"), 64):
        assert (hr.diff(dim=1) > 0).all()
        assert (hr.diff(dim=2) == 0).all()


def test_sets_are_drawn_equally_often_whatever_their_size(tmp_path):
    sets = []
    for value, count in ((50, 1), (200, 9)):
        files = []
        for i in range(count):
            image = np.full((40, 40), value, np.uint8)
            image[0, 0] += 1
            tifffile.imwrite(tmp_path / f"{value}-{i}.tif", image)
            files.append(decode(tmp_path / f"{value}-{i}.tif"))
        found = [scan for file in files for scan in scans_of(file, channels=1, min_side=32)]
        sets.append(ScanSet(str(value), tuple(found)))
    dark = sum(hr.mean() < 0.5 for _, hr in drawn(crops(sets, batch=400), 400))
    assert 150 < dark < 250


def test_a_crop_is_a_function_of_seed_step_and_place(eye):
    source = crops([eye], flips="lateral", degradation="blur-noise", rotation=3.0, contrast=0.2)
    again = crops([eye], flips="lateral", degradation="blur-noise", rotation=3.0, contrast=0.2)
    other = crops([eye], flips="lateral", degradation="blur-noise", rotation=3.0, seed=1)
    for number in (8, 9, 500):
        assert torch.equal(source[number][0], again[number][0])
        assert not torch.equal(source[number][0], other[number][0])
    assert not torch.equal(source[8][1], source[9][1])


def test_workers_and_processes_change_nothing(eye):
    source = crops([eye])
    alone = list(loader(source, range(3, 6), workers=0, pin=False))
    worked = list(loader(source, range(3, 6), workers=2, pin=False))
    halves = [
        list(loader(source, range(3, 6), workers=0, pin=False, rank=r, processes=2)) for r in (0, 1)
    ]
    for step in range(3):
        for i in range(2):
            assert torch.equal(alone[step][i], worked[step][i])
            joined = torch.cat([halves[0][step][i], halves[1][step][i]])
            assert torch.equal(alone[step][i], joined)


def test_measured_pairs_stay_together():
    high = np.random.default_rng(0).random((64, 72), dtype=np.float32)
    scan = scan_set_of(high, 0.0, 1.0).scans[0]
    low = high.reshape(16, 4, 18, 4).mean(axis=(1, 3))
    from dataclasses import replace

    from training.scans import ScanSet

    paired = ScanSet("x", (replace(scan, low=low),))
    for lr, hr in drawn(crops([paired], flips="all"), 40):
        torch.testing.assert_close(lr, torch.nn.functional.avg_pool2d(hr, 4))


def test_a_warp_of_nothing_is_the_image_itself():
    image = torch.rand(1, 50, 60)
    seen = warped(image, (20.5, 30.5), np.eye(3), 24)
    torch.testing.assert_close(seen, image[:, 9:33, 19:43], rtol=0, atol=1e-5)


@pytest.mark.parametrize("field", ["rotation", "affine", "homography"])
def test_warps_move_pixels_as_far_as_was_asked_for_and_no_farther(field):
    limit = {"rotation": 5.0, "affine": 0.1, "homography": 0.1}[field]
    warp = Augmentation(**{field: limit})
    random, half = np.random.default_rng(0), 50.0
    moved = []
    for _ in range(300):
        y, x, w = warp.warp(random, 100) @ np.array([half, half, 1.0])
        moved.append(np.hypot(y / w - half, x / w - half))
    # Of the distance between centre and corner: sin 5 degrees; both shares of a shear; the
    # perspective's two shares.
    most = np.hypot(half, half) * {"rotation": 0.0873, "affine": 0.2, "homography": 0.12}[field]
    assert 0.5 * most < max(moved) <= most * 1.01


def test_a_small_rotation_follows_the_structure():
    y, _ = np.mgrid[:200, :200]
    stripes = (0.5 + 0.4 * np.sin(y / 5)).astype(np.float32)
    source = crops([scan_set_of(stripes, 0.0, 1.0)], rotation=5.0)
    tilts = []
    for _, hr in drawn(source, 40):
        assert 0.05 < hr.min() < hr.max() < 0.95
        gy, gx = np.gradient(hr[0].numpy())
        tilts.append(np.degrees(np.arctan2((gx * gy).sum(), (gy * gy).sum())))
    assert max(np.abs(tilts)) < 5.2
    assert max(tilts) > 2
    assert min(tilts) < -2


def test_a_scan_no_larger_than_the_crop_can_be_warped():
    image = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    for lr, hr in drawn(crops([scan_set_of(image, 0.0, 1.0)], rotation=5.0, affine=0.1), 20):
        assert lr.shape == (1, 8, 8)
        assert torch.isfinite(hr).all()


def test_reach_covers_the_crop():
    assert reach(np.eye(3), 33) == 16


def test_jitter_changes_both_images_alike():
    flat = np.full((64, 64), 0.5, np.float32)
    source = crops([scan_set_of(flat, 0.0, 1.0)], contrast=0.2, brightness=0.1)
    levels = [(lr.mean().item(), hr.mean().item()) for lr, hr in drawn(source, 60)]
    assert all(abs(low - high) < 1e-5 for low, high in levels)
    assert max(high for _, high in levels) > 0.6
    assert all(0.3 <= high <= 0.7 for _, high in levels)


def test_flips_are_their_own_kind():
    image = torch.arange(6.0).view(1, 2, 3)
    assert torch.equal(flipped(image, (True, False, False))[0, 0], torch.tensor([2.0, 1.0, 0.0]))
    assert flipped(image, (False, False, True)).shape == (1, 3, 2)


def test_progressive_crops_have_the_size_of_their_step():
    source = crops([scan_set_of(picture(0, 128, 128) / 255, 0, 1)], steps=10, crop=(32, 64))
    sizes = [pair[1].shape[-1] for pair in (source[8 * s] for s in (1, 5, 6, 10))]
    assert sizes == [32, 32, 64, 64]
