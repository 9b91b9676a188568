"""The script that makes the sets of the bundled models: what it splits must not leak."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from skimage.io import imsave

from napari_srgan.image.resampling import bicubic_enlarge

SCRIPT = Path(__file__).parents[2] / "scripts" / "lay_out_scans.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("lay_out_scans", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lay_out_scans"] = module
    spec.loader.exec_module(module)
    return module


def field(seed, shape=(200, 240)):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    scaled = (noise - noise.min()) / (noise.max() - noise.min())
    return (255 * scaled).astype(np.uint8)


def test_tiles_of_one_field_are_one_group_wherever_they_touch(script, tmp_path):
    one, other = field(1), field(2)
    tiles = {
        "d": one[:100, :120],
        "a": one[:100, 120:],
        "c": one[100:, 120:],
        "b": other[:100, :120],
        "e": field(3, (90, 120)),  # another size
    }
    for name, tile in tiles.items():
        imsave(tmp_path / f"{name}.png", tile)
    groups = script.abutting(sorted(tmp_path.glob("*.png")))
    assert sorted([p.stem for p in group] for group in groups) == [["a", "c", "d"], ["b"], ["e"]]


def test_whole_groups_are_kept_the_last_by_name(script):
    groups = [[Path(n) for n in names] for names in ("ae", "b", "cf", "d")]
    train, val = script.split_groups(groups, 3)
    assert sorted(map(str, val)) == ["c", "d", "f"]
    assert sorted(map(str, train)) == ["a", "b", "e"]


@pytest.mark.parametrize("way", ["decimated", "shrunk"])
def test_pairs_lie_at_one_place(script, tmp_path, way):
    """Without noise, enlarging LR gives HR: a wrong shift of half a pixel would show."""
    eye = tmp_path / "eye01"
    eye.mkdir()
    smooth = (200 * gaussian_filter(field(4) / 255.0, 10)).astype(np.uint8)
    for name in ("average.tif", "single_frame_registered.tif"):
        tifffile.imwrite(eye / name, smooth)
    script.restore_pairs(eye, tmp_path / "out", "train")
    lows = sorted((tmp_path / "out" / way / "train" / "low").iterdir())
    assert len(lows) == 16
    for path in lows:
        low = tifffile.imread(path).astype(float)
        high = tifffile.imread(tmp_path / "out" / way / "train" / "high" / path.name).astype(float)
        enlarged = bicubic_enlarge(low, 4)

        def error(down, across, high=high, enlarged=enlarged):
            moved = np.roll(high, (down, across), (0, 1))
            return float(np.square(enlarged - moved)[16:-16, 16:-16].mean())

        for moved in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            assert error(0, 0) < 0.5 * error(*moved)


def test_an_average_takes_over_gain_and_offset_of_its_frame(script):
    average = gaussian_filter(field(5) / 255.0, 4).astype(np.float32)
    speckle = np.random.default_rng(0).gamma(4, 1 / 4, average.shape)
    raw = ((0.7 * average + 0.1) * speckle).astype(np.float32)
    assert np.abs(script.fitted(average, raw) - (0.7 * average + 0.1)).max() < 0.02


def test_charts_are_mostly_flat_and_the_same_every_time(script):
    first, second = dict(script.charts(3, 6)), dict(script.charts(3, 6))
    assert len(first) == 6
    assert all((first[name] == second[name]).all() for name in first)
    assert all(0 <= image.min() <= image.max() <= 1 for image in first.values())
    white = [(image > 0.999).all(axis=2).mean() for image in list(first.values())[::3]]
    assert min(white) > 0.3
