"""Folders as labs have them: sides by name, loose slices, pairs in any layout, bad files."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from small_scans import TINY, picture, write_scans

from napari_srgan.errors import InputError
from napari_srgan.tasks.evaluate import find_images
from training.data import Sources, load
from training.recipe import Recipe
from training.split import find_volumes
from training.train_oct import main


def asked(**values):
    recipe = Recipe(**{"crop": (32,), "content": "none", **values})
    return recipe, lambda channels: Recipe(**{**recipe.to_dict(), "channels": channels})


def loaded(*data, **sources):
    return load(Sources(tuple(data), **sources), *asked())[1]


def names(side):
    return [scan.name for scans in side for scan in scans.scans]


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image)


# Sides


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("Training", "validation")])
@pytest.mark.parametrize("above", ["", "dataset"])
def test_folders_for_training_and_validation_are_what_they_are_called(tmp_path, above, train, val):
    """Ten eyes and two; as a share of the volumes, validation would have been either."""
    root = tmp_path / "scans" / above
    for i in range(12):
        write(root / (train if i < 10 else val) / f"eye{i}" / "x.tif", picture(i))
    write(root / "test" / "eye12" / "x.tif", picture(12))
    data = loaded(tmp_path / "scans")
    assert names(data.train) == [f"eye{i}/x.tif" for i in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert names(data.val) == ["eye10/x.tif", "eye11/x.tif"]
    assert "eye10, eye11" in data.summary and not data.warnings
    (root / "test" / "eye12" / "x.tif").rename(root / "loose.tif")
    with pytest.raises(InputError, match="scans beside them such as loose"):
        loaded(tmp_path / "scans")


def test_more_to_validate_on_than_to_train_on_is_told(tmp_path):
    for i in range(3):
        write(tmp_path / ("val" if i else "train") / f"eye{i}.tif", picture(i))
    assert any("more to validate on" in w for w in loaded(tmp_path).warnings)


def test_the_split_is_recorded_and_said(tmp_path, capsys):
    scans = write_scans(tmp_path / "scans", 3)
    out = ["--out", str(tmp_path / "run"), *TINY, "--pretrain-steps", "1"]
    assert main(["--data", str(scans), *out]) == 0
    split = json.loads((tmp_path / "run/split.json").read_text())
    assert split["val"] == {"scans": {"eye1.tif": [str(scans / "eye1.tif")]}}
    assert set(split["train"]["scans"]) == {"eye0.tif", "eye2.tif"}
    assert "to validate on: eye1.tif" in capsys.readouterr().out


# Leaks


@pytest.mark.parametrize(
    "pattern",
    [
        "P{eye}_slice_{slice:03}.tif",
        "oct2_P{eye}_slice_{slice:03}_average.tif",
        "{letter}_{slice}.tif",
        "eye{eye}-{letter}{slice}.tif",
    ],
)
def test_slices_of_several_eyes_in_one_folder_stay_together(tmp_path, pattern):
    """With a gap in each series, too."""
    for eye, letter in enumerate(("anna", "bob", "carl")):
        for i in (0, 1, 3, 4):
            name = pattern.format(eye=eye, letter=letter, slice=i)
            write(tmp_path / name, picture(10 * eye + i))
    volumes = find_volumes(tmp_path)
    assert [len(v.files) for v in volumes] == [4, 4, 4]
    data = loaded(tmp_path)
    assert [len(s.scans) for s in (*data.train, *data.val)] == [8, 4]


@pytest.mark.parametrize("pattern", ["eye{}.tif", "IMG_0{}.tif", "scan-2024-{}.tif"])
def test_files_that_are_merely_numbered_are_volumes_of_their_own(tmp_path, pattern):
    for i in range(4):
        write(tmp_path / pattern.format(i), picture(i))
    assert [len(v.files) for v in find_volumes(tmp_path)] == [1] * 4


def test_neighbours_across_the_split_are_told(tmp_path):
    """One place, moved by a pixel and noisy, under names that give nothing away."""
    random = np.random.default_rng(0)
    for i, name in enumerate(("a", "b", "c", "d")):
        write(tmp_path / name / "x.tif", picture(i))
    assert not loaded(tmp_path).warnings
    again = np.roll(picture(0), 1, axis=1) + random.normal(0, 12, (70, 90))
    write(tmp_path / "c" / "x.tif", again.clip(0, 255).astype(np.uint8))
    (warning,) = loaded(tmp_path).warnings
    assert "a/x.tif, which is trained on, and c/x.tif" in warning and "correlation 0." in warning


# Which files


def test_patterns_choose_files_that_are_one_set(tmp_path):
    for i in range(4):
        write(tmp_path / f"eye{i}" / "average.tif", picture(i))
        write(tmp_path / f"eye{i}" / "frame.tif", picture(10 + i))
    wanted = {f"eye{i}/average.tif" for i in range(4)}
    for data in (
        loaded(tmp_path / "eye*/average.tif"),
        loaded(*sorted(tmp_path.glob("eye*/average.tif"))),  # as a shell expands it
        loaded(tmp_path, include=("average*",)),
        loaded(tmp_path, exclude=("eye*/frame.tif",)),
    ):
        assert len(data.train) == len(data.val) == 1
        assert {*names(data.train), *names(data.val)} == wanted
    with pytest.raises(InputError, match=r"Nothing fits the pattern .*mean\.tif"):
        loaded(tmp_path / "eye*/mean.tif")
    with pytest.raises(InputError, match="that --include and --exclude leave"):
        loaded(tmp_path, include=("mean*",))


# Pairs


def write_pairs(high, low, seeds, names="{}.tif", low_names=None):
    for seed in seeds:
        image = picture(seed, 128, 144)
        write(high / names.format(seed), image)
        write(low / (low_names or names).format(seed), image[::4, ::4])


@pytest.mark.parametrize("sides", [("high", "low"), ("HR", "LR"), ("high_res", "low_res")])
def test_pairs_in_any_layout_are_pairs(tmp_path, sides):
    high, low = sides
    write_pairs(tmp_path / "one" / high, tmp_path / "one" / low, range(4), "{}.tif", "{}x4.tif")
    for part, seeds in (("train", (0, 1)), ("val", (2,))):
        write_pairs(*(tmp_path / "two" / part / side for side in sides), seeds)
        write_pairs(*(tmp_path / "three" / side / part for side in sides), seeds, "{}_HR.tif")
    for name, counts in (("one", [3, 1]), ("two", [2, 1]), ("three", [2, 1])):
        with pytest.raises(InputError, match="--paired"):
            loaded(tmp_path / name)
        data = loaded(tmp_path / name, paired=True)
        assert [len(s.scans) for s in (*data.train, *data.val)] == counts
        assert all(s.low is not None for sets in (data.train, data.val) for s in sets[0].scans)
    write_pairs(tmp_path / "mine", tmp_path / "theirs", range(4))
    data = loaded(high=(tmp_path / "mine",), low=(tmp_path / "theirs",))
    assert data.measured and [len(s.scans) for s in (*data.train, *data.val)] == [3, 1]


def test_a_training_takes_two_folders_of_pairs_and_goes_on_with_them(tmp_path, capsys):
    write_pairs(tmp_path / "mine", tmp_path / "theirs", range(3))
    sides = ["--hr", str(tmp_path / "mine"), "--lr", str(tmp_path / "theirs")]
    out = ["--out", str(tmp_path / "run"), *TINY, "--pretrain-steps", "1"]
    assert main([*sides, *out]) == 0
    assert main(["--resume", str(tmp_path / "run")]) == 0
    assert main([*sides[:2], *out]) == 2
    assert "--hr DIR and --lr DIR together" in capsys.readouterr().err


@pytest.fixture
def pairs(tmp_path):
    for part, seeds in (("train", (0, 1, 2)), ("val", (3,))):
        write_pairs(tmp_path / part / "high", tmp_path / part / "low", seeds)
    return tmp_path


def blocks(seed):
    """Return a picture as coarse pixels would see it."""
    return picture(seed, 128, 144).reshape(32, 4, 36, 4).mean((1, 3))


@pytest.mark.parametrize(
    ("low", "message"),
    [
        (blocks(0) / 2, r"0\.(50|49) times as bright"),
        (blocks(0) + 60, "times as bright"),
        (np.roll(blocks(0), (2, -3), (0, 1)), "by 2 px along Y and -3 px along X"),
        (blocks(50), "do not show the same place"),
    ],
)
def test_bad_pairs_are_refused(pairs, low, message):
    write(pairs / "train/low/0.tif", low.clip(0, 255).astype(np.uint8))
    with pytest.raises(InputError, match=message) as error:
        loaded(pairs, paired=True)
    assert "train/low/0.tif" in str(error.value) and "--skip-bad" in str(error.value)


def test_good_pairs_may_be_noisy_and_a_fraction_of_a_pixel_apart(pairs):
    random = np.random.default_rng(0)
    noisy = picture(0, 128, 144)[3::4, 2::4] * 0.9 + random.normal(0, 40, (32, 36))
    write(pairs / "train/low/0.tif", noisy.clip(0, 255).astype(np.uint8))
    assert len(loaded(pairs, paired=True).train[0].scans) == 3


def test_swapped_files_are_named(tmp_path):
    """Eyes that are much alike, as retinas are: each alone would pass."""
    common = np.kron(picture(99, 64, 72), np.ones((4, 4), np.uint8)) / 2.0
    for part, seeds in (("train", (0, 1, 2)), ("val", (3,))):
        for seed in seeds:
            image = (common + picture(seed, 256, 288) / 2.5).astype(np.uint8)
            write(tmp_path / part / "high" / f"{seed}.tif", image)
            write(tmp_path / part / "low" / f"{seed}.tif", image[1::4, 1::4])
    assert len(loaded(tmp_path, paired=True).train[0].scans) == 3
    low = tmp_path / "train/low"
    (low / "0.tif").rename(low / "x.tif")
    (low / "1.tif").rename(low / "0.tif")
    (low / "x.tif").rename(low / "1.tif")
    with pytest.raises(InputError, match=r"low/0\.tif") as error:
        loaded(tmp_path, paired=True)
    assert "low/1.tif" in str(error.value) and "low/2.tif" not in str(error.value)


@pytest.mark.parametrize("ratio", [2, 8])
def test_another_ratio_is_named(pairs, ratio):
    write(pairs / "train/low/0.tif", picture(0, 128, 144)[::ratio, ::ratio])
    with pytest.raises(InputError, match=rf"the ratio is {ratio}: --scale {ratio}"):
        loaded(pairs, paired=True)


# Bad files


def test_all_bad_files_are_named_and_left_out_if_asked(tmp_path):
    scans = write_scans(tmp_path / "scans", 6)
    (scans / "eye1.tif").write_bytes(b"II*\0 no")
    tifffile.imwrite(scans / "eye2.tif", np.full((64, 64), 7, np.uint8))
    tifffile.imwrite(scans / "eye4.tif", picture(0, 20, 64))
    with pytest.raises(InputError) as error:
        loaded(scans)
    for name in ("eye1.tif", "eye2.tif", "eye4.tif", "3 files", "--skip-bad"):
        assert name in str(error.value)
    data = loaded(scans, skip_bad=True)
    assert {*names(data.train), *names(data.val)} == {f"scans/eye{i}.tif" for i in (0, 3, 5)}
    assert "3 files are left out" in data.warnings[0]


def test_files_of_gray_and_of_colour_are_told(tmp_path):
    scans = write_scans(tmp_path / "scans", 4)
    colour = np.stack([picture(seed) for seed in (7, 8, 9)], axis=-1)
    tifffile.imwrite(scans / "eye0.tif", colour, photometric="rgb")
    assert "1 of 4 files have colour" in loaded(scans).warnings[0]


def test_zarr_stores_are_scans(tmp_path):
    for i in range(3):
        store = tmp_path / "scans" / f"eye{i}.zarr"
        store.parent.mkdir(exist_ok=True)
        zarr.save_array(store, np.stack([picture(2 * i), picture(2 * i + 1)]), zarr_format=2)
    assert [v.files[0].name for v in find_volumes(tmp_path / "scans")] == [
        "eye0.zarr",
        "eye1.zarr",
        "eye2.zarr",
    ]
    data = loaded(tmp_path / "scans")
    assert [len(s.scans) for s in (*data.train, *data.val)] == [4, 2]
    stores = sorted((tmp_path / "scans").iterdir())
    assert [path for path, _ in find_images([tmp_path / "scans", stores[0]])] == [
        *stores,
        stores[0],
    ]
