"""Finding, splitting and reading scans, and measured pairs."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from small_scans import picture

from napari_srgan.errors import InputError
from training.data import Sources, load
from training.recipe import Recipe
from training.scans import ScanSet, channels_of, decode, scans_of, thinned
from training.split import Volume, find_volumes, split


def gray(path, **how):
    return ScanSet("x", tuple(scans_of(decode(path), **{"channels": 1, "min_side": 32, **how})))


def asked(**values):
    recipe = Recipe(**{"crop": (32,), "content": "none", **values})
    return recipe, lambda channels: Recipe(**{**recipe.to_dict(), "channels": channels})


@pytest.mark.parametrize("count", [2, 3, 10, 37])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
def test_a_split_keeps_every_volume_on_one_side(count, fraction):
    volumes = [Volume(f"{i:03}", (Path(f"{i:03}.tif"),)) for i in range(count)]
    train, val = split(volumes, fraction)
    assert sorted([*train, *val], key=lambda v: v.name) == volumes
    assert train
    assert val


def test_the_slices_of_a_folder_stay_together(tmp_path):
    for n, eye in enumerate(("eye1", "eye2", "eye3")):
        (tmp_path / eye).mkdir()
        for i in range(3):
            tifffile.imwrite(tmp_path / eye / f"{i}.tif", picture(10 * n + i))
    tifffile.imwrite(tmp_path / "alone.tif", picture(99))
    (tmp_path / ".hidden.tif").write_bytes(b"")
    volumes = find_volumes(tmp_path)
    assert [(v.name, len(v.files)) for v in volumes] == [
        ("alone.tif", 1),
        ("eye1", 3),
        ("eye2", 3),
        ("eye3", 3),
    ]
    recipe, settle = asked(val_fraction=0.25)
    _, data = load(Sources((tmp_path,)), recipe, settle)
    sides = [{s.name for x in part for s in x.scans} for part in (data.train, data.val)]
    assert sum(len(x.scans) for x in (*data.train, *data.val)) == 10
    assert len(data.val[0].scans) in (1, 3)
    assert sides[1]


def test_all_below_a_folder_stays_together_and_what_is_no_scan_is_passed_over(tmp_path):
    places = ("eye0/visit0", "eye0/visit1", "eye1/visit0", ".ipynb_checkpoints", "runs/first")
    for i, place in enumerate(places):
        folder = tmp_path / "data" / place
        folder.mkdir(parents=True)
        tifffile.imwrite(folder / "x.tif", picture(i))
    for name in ("recipe.json", "run.json"):
        (tmp_path / "data/runs/first" / name).write_text("{}")
    (tmp_path / "data/eye2").symlink_to(tmp_path / "data/eye1", target_is_directory=True)
    found = {v.name: len(v.files) for v in find_volumes(tmp_path / "data")}
    assert found == {"eye0": 2, "eye1": 1, "eye2": 1}
    # A folder that holds all there is groups nothing.
    assert {v.name for v in find_volumes(tmp_path)} == {"eye0", "eye1", "eye2"}


def test_files_named_one_by_one_are_a_set_together(scans):
    recipe, settle = asked(val_fraction=0.25)
    _, data = load(Sources(tuple(sorted(scans.glob("*.tif")))), recipe, settle)
    assert [len(s.scans) for s in (*data.train, *data.val)] == [3, 1]


def test_equal_pixels_on_both_sides_are_refused(tmp_path):
    for folder, names in (("a", "xy"), ("b", "zw")):
        (tmp_path / folder).mkdir()
        for i, name in enumerate(names):
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", picture(i))
    recipe, settle = asked()
    with pytest.raises(InputError, match="same pixels") as error:
        load(Sources((tmp_path / "a",), (tmp_path / "b",)), recipe, settle)
    assert "a/x.tif" in str(error.value) or "a/y.tif" in str(error.value)


@pytest.mark.parametrize("name", ["slice{:03}", "slice_{:03}_average", "P0_slice_{}"])
def test_slices_that_lie_loose_are_told(tmp_path, name):
    """Whether or not some are missing; but not scans that are numbered as they came."""
    for i in range(8):
        tifffile.imwrite(tmp_path / f"{name.format(i)}.tif", picture(i))
    recipe, settle = asked()
    assert "slices of one volume" in load(Sources((tmp_path,)), recipe, settle)[1].warnings[0]
    (tmp_path / f"{name.format(3)}.tif").rename(tmp_path / f"{name.format(9)}.tif")
    assert "slices of one" in load(Sources((tmp_path,)), recipe, settle)[1].warnings[0]
    (tmp_path / f"{name.format(4)}.tif").rename(tmp_path / f"{name.format(70)}.tif")
    assert not load(Sources((tmp_path,)), recipe, settle)[1].warnings


def test_scans_that_are_constant_within_the_range_are_refused_before_a_step(scans):
    recipe, settle = asked(intensity="1000:2000")
    with pytest.raises(InputError, match="constant within"):
        load(Sources((scans,)), recipe, settle)


def test_a_stack_gives_all_its_planes_with_one_range(tmp_path):
    stack = np.stack([picture(0), picture(1) // 4]).astype(np.uint16) * 16
    tifffile.imwrite(tmp_path / "s.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    scans = gray(tmp_path / "s.tif").scans
    assert len(scans) == 2
    assert scans[0].pixels.dtype == np.uint16
    assert scans[0].crop().max() > 0.99
    assert scans[1].crop().max() < 0.4


def test_linear_scans_are_read_through_the_transform(tmp_path):
    linear = (picture(0) / 255.0).astype(np.float32) ** 4
    tifffile.imwrite(tmp_path / "l.tif", linear)
    seen = gray(tmp_path / "l.tif", intensity="0:1", transform="power:0.25").scans[0].crop()
    np.testing.assert_allclose(seen[0], picture(0) / 255.0, atol=1e-3)


def test_colour_is_turned_to_gray_and_gray_cannot_teach_colour(tmp_path):
    colour = np.zeros((40, 40, 3), np.uint8)
    colour[..., 1] = picture(0, 40, 40)
    tifffile.imwrite(tmp_path / "c.tif", colour, photometric="rgb")
    scan = gray(tmp_path / "c.tif").scans[0]
    np.testing.assert_allclose(scan.pixels, colour[..., 1] * 0.587, atol=0.51)
    tifffile.imwrite(tmp_path / "g.tif", picture(0, 40, 40))
    with pytest.raises(InputError, match="grayscale"):
        gray(tmp_path / "g.tif", channels=3)


def test_channels_are_those_of_the_scans(tmp_path):
    colour = np.stack([picture(i, 40, 40) for i in range(3)], axis=-1)
    exported = np.repeat(picture(0, 40, 40)[..., None], 3, axis=2)  # gray, saved as RGB
    for name, image in (("colour", colour), ("exported", exported)):
        tifffile.imwrite(tmp_path / f"{name}.tif", image, photometric="rgb")
    files = {name: decode(tmp_path / f"{name}.tif") for name in ("colour", "exported")}
    assert channels_of([files["colour"]]) == 3
    assert channels_of([files["exported"]]) == 1
    assert channels_of(list(files.values())) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("flat.tif", np.full((64, 64), 7, np.uint8), "constant"),
        ("small.tif", picture(0, 20, 64), "smaller"),
        ("holes.tif", np.where(picture(0) > 200, np.nan, 1).astype(np.float32), "NaN"),
    ],
)
def test_scans_that_cannot_teach_are_named(tmp_path, name, content, message):
    tifffile.imwrite(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as error:
        gray(tmp_path / name)
    assert name in str(error.value)


def test_scans_that_do_not_fit_into_memory_are_named(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "large.tif", picture(0))
    monkeypatch.setattr(
        "training.scans.psutil.virtual_memory", lambda: type("Memory", (), {"available": 1000})
    )
    with pytest.raises(InputError, match=r"large\.tif takes"):
        decode(tmp_path / "large.tif")


def test_a_set_is_thinned_evenly(tmp_path):
    stack = np.stack([picture(i) for i in range(10)])
    tifffile.imwrite(tmp_path / "s.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    scans = gray(tmp_path / "s.tif")
    kept = [scans.scans.index(s) for s in thinned(scans, 3).scans]
    assert kept == [1, 5, 8]
    assert thinned(scans, 0) is thinned(scans, 99) is scans


@pytest.fixture
def pairs(tmp_path):
    for part, seeds in (("train", (0, 1)), ("val", (2,))):
        for side in ("high", "low"):
            (tmp_path / "pairs" / part / side).mkdir(parents=True)
        for seed in seeds:
            high = picture(seed, 64, 72)
            tifffile.imwrite(tmp_path / f"pairs/{part}/high/{seed}.tif", high)
            tifffile.imwrite(tmp_path / f"pairs/{part}/low/{seed}.tif", high[::4, ::4])
    return tmp_path / "pairs"


def test_pairs_are_matched_by_name(pairs):
    recipe, settle = asked()
    recipe, data = load(Sources((pairs,), paired=True), recipe, settle)
    assert recipe.channels == 1
    assert [len(s.scans) for s in (*data.train, *data.val)] == [2, 1]
    for scan in data.train[0].scans:
        np.testing.assert_array_equal(scan.low, scan.pixels[::4, ::4])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: (p / "train/low/0.tif").unlink(), "no partner"),
        (lambda p: tifffile.imwrite(p / "train/low/0.tif", picture(0, 16, 17)), "belong"),
        (lambda p: tifffile.imwrite(p / "val/low/2.tif", np.ones((16, 18), np.uint8)), "constant"),
        (
            lambda p: tifffile.imwrite(
                p / "train/low/1.tif", picture(1, 64, 72)[::4, ::4].astype(np.uint16)
            ),
            "one intensity scale",
        ),
        (
            lambda p: tifffile.imwrite(p / "train/high/1.png.tif", picture(1, 64, 72)),
            "no partner",
        ),
    ],
)
def test_pairs_that_do_not_fit_are_named(pairs, spoil, message):
    spoil(pairs)
    recipe, settle = asked()
    with pytest.raises(InputError, match=message):
        load(Sources((pairs,), paired=True), recipe, settle)


def test_pairs_of_other_gain_are_refused(tmp_path):
    for part, seeds in (("train", (0, 1)), ("val", (2,))):
        for seed in seeds:
            high = picture(seed, 64, 72).astype(np.uint16) * 200
            for side, image in (("high", high), ("low", high[::4, ::4] // 2)):
                folder = tmp_path / part / side
                folder.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(folder / f"{seed}.tif", image)
    recipe, settle = asked()
    with pytest.raises(InputError, match="gain or offset differs"):
        load(Sources((tmp_path,), paired=True), recipe, settle)
    recipe, settle = asked(degradation="area")
    with pytest.raises(InputError, match="own degradation"):
        load(Sources((tmp_path,), paired=True), recipe, settle)


def test_the_digest_tells_whether_the_scans_are_the_same(scans):
    recipe, settle = asked()
    first = load(Sources((scans,)), recipe, settle)[1].digest
    assert load(Sources((scans,)), recipe, settle)[1].digest == first
    changed = picture(0)
    changed[0, 0] ^= 1
    tifffile.imwrite(scans / "eye0.tif", changed)
    assert load(Sources((scans,)), recipe, settle)[1].digest != first


@pytest.mark.parametrize(
    ("sizes", "expected", "span"),
    [
        ([(1.0, 2.0), (1.5, 2.0), (1.0, 2.0)], (4.0, 8.0), ((4.0, 6.0), (8.0, 8.0))),
        ([(1.0, 2.0), (1.0, 2.0), None], None, ((4.0, 4.0), (8.0, 8.0))),
        ([(1.0, 2.0), (2.5, 2.0), (1.0, 2.0)], None, ((4.0, 10.0), (8.0, 8.0))),
        ([None, None, None], None, None),
    ],
)
def test_the_pixel_size_of_a_training_is_that_of_its_lr_images(tmp_path, sizes, expected, span):
    for i, size in enumerate(sizes):
        how = {} if size is None else {
            "resolution": (1 / size[1], 1 / size[0]),
            "metadata": {"unit": "um"},
        }  # fmt: skip
        tifffile.imwrite(tmp_path / f"{i}.tif", picture(i), imagej=True, **how)
    (tmp_path / "val").mkdir()
    tifffile.imwrite(tmp_path / "val" / "eye.tif", picture(9))
    recipe, settle = asked()
    files = tuple(tmp_path / f"{i}.tif" for i in range(len(sizes)))
    data = load(Sources(files, (tmp_path / "val",)), recipe, settle)[1]
    assert data.pixel_size == (expected if expected is None else pytest.approx(expected))
    assert (data.pixel_range is None) == (span is None)
    for found, wanted in zip(data.pixel_range or (), span or (), strict=True):
        assert found == pytest.approx(wanted)


def test_files_of_instruments_are_scans(tmp_path):
    from oct_files import b_scans, write_vol, write_zeiss

    scans = b_scans(2)
    write_vol(tmp_path / "a.vol", scans)
    write_zeiss(tmp_path / "b_48x2.img", (scans * 255).astype(np.uint8))
    (tmp_path / "export.xml").write_text("<HEDX/>")  # lists pictures that are scans themselves
    found = [path.name for volume in find_volumes(tmp_path) for path in volume.files]
    assert sorted(found) == ["a.vol", "b_48x2.img"]
    planes = decode(tmp_path / "a.vol").planes
    np.testing.assert_array_equal([planes[i,] for i in range(2)], scans)
