"""The bundled samples: what the files say, that they fit together, and that a seed gives them."""

import shutil
import struct
from importlib import resources
from pkgutil import resolve_name

import numpy as np
import pytest
import tifffile

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.io.open import open_stack
from napari_srgan.measure.shift import estimated_shift
from napari_srgan.synthetic import samples as sample_data
from napari_srgan.synthetic.optics import Optics, display
from napari_srgan.synthetic.retina import backscatter
from napari_srgan.synthetic.samples import (
    FOVEAL_B_SCAN,
    SAMPLES,
    copy_to,
    make_samples,
    oct_volumes,
    sample_path,
)

NAMES = [entry.name for entry in SAMPLES]
PAIRS = [
    ("oct_volume_lr", "oct_volume_hr"),
    ("oct_volume_coarse_lr", "oct_volume_truth"),
    ("oct_frame_coarse_lr", "oct_frame_hr"),
    ("tissue_rgb_lr", "tissue_rgb_hr"),
]


def _pixels(name):
    return tifffile.imread(sample_path(name))


def _psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The foveal B-scan and the section, made again from the seed and written as samples are."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        only_one = {"b_scans": (FOVEAL_B_SCAN,)}
        patch.setattr(
            sample_data, "oct_volumes", lambda seed, progress: oct_volumes(seed, **only_one)
        )
        make_samples(folder)
    return folder


@pytest.fixture
def two_frames(monkeypatch):
    """Averaging costs most of the time and changes neither the truth nor the single frames."""
    monkeypatch.setattr(sample_data, "FRAMES", 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_gives_the_bundled_pixels(made, name):
    again, bundled = tifffile.imread(made / sample_path(name).name), _pixels(name)
    if name.startswith("oct"):
        again, bundled = np.squeeze(again), bundled[FOVEAL_B_SCAN]
    assert again.dtype == bundled.dtype
    assert again.shape == bundled.shape
    difference = np.abs(again.astype(int) - bundled.astype(int))
    if name in ("oct_volume_lr", "tissue_rgb_lr"):
        # torch shrinks in float32, in an order of its own: a tie may round the other way.
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 1e-3
    else:
        assert difference.max() == 0


def test_the_seed_gives_every_b_scan(two_frames):
    again = oct_volumes()
    for name in ("oct_volume_truth", "oct_frame_hr", "oct_frame_coarse_lr"):
        assert np.array_equal(again[name], _pixels(name))


def test_a_b_scan_can_be_made_alone_and_another_seed_gives_another(two_frames):
    both, alone = (oct_volumes(5, b_scans=k) for k in ((0, 4), (4,)))
    for name, image in alone.items():
        assert np.array_equal(image[0], both[name][1])
    other = oct_volumes(6, b_scans=(4,))
    assert np.mean(other["oct_volume_truth"] != alone["oct_volume_truth"]) > 0.3


def test_all_samples_together_stay_under_12_mb():
    assert sum(sample_path(name).stat().st_size for name in NAMES) < 12e6


@pytest.mark.parametrize("low,high", PAIRS)
def test_a_pair_covers_the_same_field_4x_apart(low, high):
    lr, hr = open_stack(sample_path(low)), open_stack(sample_path(high))
    assert hr.axes == lr.axes
    for letter, n in lr.sizes.items():
        assert hr.sizes[letter] == n * (4 if letter in "YX" else 1)
    assert lr.spacing_source == hr.spacing_source == "file"
    for k, letter in enumerate(lr.axes.replace("S", "")):
        factor = 4 if letter in "YX" else 1
        assert lr.units[k] == hr.units[k] == "micrometer"
        assert lr.scale[k] == pytest.approx(factor * hr.scale[k])
        # The outer corners coincide, as with a result of the upscaler.
        for side in (-0.5, lr.sizes[letter] - 0.5):
            far = side if side < 0 else hr.sizes[letter] - 0.5
            assert lr.translate[k] + side * lr.scale[k] == pytest.approx(
                hr.translate[k] + far * hr.scale[k]
            )


@pytest.mark.parametrize("name", ["oct_volume_hr", "oct_frame_hr"])
def test_the_spacing_is_that_of_the_instrument(name):
    stack = open_stack(sample_path(name))
    assert stack.axes == "ZYX"
    assert stack.scale == pytest.approx((123.0, 1.5, 2.25))


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("oct_frame")])
def test_plain_tiff_tags_hold_the_spacing_for_other_programs(name):
    entry = sample_data.sample(name)
    with tifffile.TiffFile(sample_path(name)) as tif:
        tags = tif.pages[0].tags
        x, y = (np.divide(*tags[key].value) for key in ("XResolution", "YResolution"))
        assert (1 / y, 1 / x) == pytest.approx(entry.spacing[-2:], rel=1e-6)
        assert tif.imagej_metadata["unit"] == "um"
        assert tif.series[0].axes == entry.axes
        if "Z" in entry.axes:
            assert tif.imagej_metadata["spacing"] == 123.0


@pytest.mark.parametrize("name", ["oct_frame_hr", "oct_frame_coarse_lr"])
def test_frames_use_12_of_16_bits(name):
    image = _pixels(name)
    assert image.dtype == np.uint16
    assert 4000 < image.max() <= 4095
    assert len(np.unique(image)) > 2000


@pytest.mark.parametrize("low,high", [PAIRS[0], PAIRS[3]])
def test_an_lr_sample_is_its_hr_sample_shrunk(low, high):
    lr, hr = _pixels(low), _pixels(high)
    planes = zip(lr, hr, strict=True) if low.startswith("oct") else [(lr, hr)]
    for small, large in planes:
        assert np.abs(bicubic_shrink(large, 4).clip(0, 255) - small).max() < 0.51


def test_the_coarse_instrument_is_the_harder_task():
    truth, k = _pixels("oct_volume_truth"), 3
    bicubic = {
        name: _psnr(bicubic_enlarge(_pixels(name)[k], 4), truth[k])
        for name in ("oct_volume_lr", "oct_volume_coarse_lr")
    }
    assert 24 < bicubic["oct_volume_coarse_lr"] < bicubic["oct_volume_lr"] - 5
    # Averaging leaves room above bicubic: HR is nearer to the truth than the enlarged LR is.
    assert _psnr(_pixels("oct_volume_hr")[k], truth[k]) > bicubic["oct_volume_lr"] + 1


@pytest.mark.parametrize("against", ["oct_volume_truth", "oct_volume_hr"])
def test_the_coarse_volume_lies_in_place_and_only_its_logarithm_looks_higher(against):
    def linear(grey):
        lo, hi = sample_data.DISPLAY
        return 10 ** ((lo + grey / 255 * (hi - lo)) / 10)

    shown, seen = [], []
    for fine, coarse in zip(_pixels(against), _pixels("oct_volume_coarse_lr"), strict=True):
        shown.append(estimated_shift(fine, bicubic_enlarge(coarse, 4))[0])
        seen.append(estimated_shift(linear(fine), bicubic_enlarge(linear(coarse), 4))[0])
    # Half an HR pixel is what a wrong pixel rule would give (4 i + 1 or 4 i + 2).
    assert abs(np.mean(seen)) < 0.15 and np.abs(seen).max() < 0.3
    assert min(shown) > -1.2 and max(shown) < -0.7  # as docs/sample-data.md says


def test_a_mirrored_eye_looks_shifted_the_other_way():
    tissue, lr = sample_data.GRID.padded(24), sample_data.GRID.coarser(sample_data.FACTOR)
    eye = backscatter(tissue, 0.0, np.random.default_rng(1))
    instruments = [
        Optics(sample_data.HIGH, tissue, sample_data.GRID),
        Optics(sample_data.LOW, tissue, lr),
    ]
    shifts = []
    for s in (eye, eye[::-1]):
        fine, coarse = (
            display(instrument.mean_intensity(s) + sample_data.NOISE, *sample_data.DISPLAY)
            for instrument in instruments
        )
        shifts.append(estimated_shift(fine, bicubic_enlarge(coarse, 4))[0])
    # The grids would shift both eyes the same way.
    assert shifts[0] < -0.7
    assert sum(shifts) == pytest.approx(0, abs=0.05)


def test_the_truth_has_less_speckle_than_the_average_and_that_less_than_a_frame():
    vitreous = np.s_[:, 2:14, 150:350]  # 8 x 12 x 200 px above the fovea: nothing but noise
    truth, mean = (_pixels(f"oct_volume_{n}")[vitreous].astype(float) for n in ("truth", "hr"))
    frame = _pixels("oct_frame_hr")[vitreous] * (255 / 4095)
    assert truth.std() < 0.3
    assert 2 < mean.std() < 5
    assert frame.std() > 20


def test_the_samples_are_found_inside_a_wheel(tmp_path, monkeypatch):
    shutil.copytree(sample_path("oct_volume_lr").parent, tmp_path / "sample_data")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    assert sample_path("oct_volume_lr") == tmp_path / "sample_data" / "oct_volume_lr.tif"


def test_a_missing_sample_is_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"'cat'; choose one of oct_volume_lr, "):
        sample_path("cat")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path / "a" / "b")
    with pytest.raises(InputError, match=r"oct_volume_lr\.tif is missing"):
        sample_path("oct_volume_lr")


def test_copies_replace_nothing_unasked(tmp_path):
    folder = tmp_path / "new" / "samples"
    assert [path.name for path in copy_to(folder)] == [entry.file for entry in SAMPLES]
    (folder / "tissue_rgb_hr.tif").write_bytes(b"mine")
    for again in (copy_to, make_samples):
        with pytest.raises(OutputExists, match="exists already"):
            again(folder)
    assert (folder / "tissue_rgb_hr.tif").read_bytes() == b"mine"
    copy_to(folder, overwrite=True)
    assert np.array_equal(tifffile.imread(folder / "tissue_rgb_hr.tif"), _pixels("tissue_rgb_hr"))


def test_the_samples_can_be_copied_over_themselves():
    folder = sample_path("oct_volume_lr").parent
    before = sample_path("oct_volume_lr").read_bytes()
    copy_to(folder, overwrite=True)
    assert sample_path("oct_volume_lr").read_bytes() == before


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "here").touch()
    with pytest.raises(InputError, match="is not a folder"):
        make_samples(tmp_path / "here")


@pytest.fixture(scope="module")
def offered():
    """The samples of the manifest, by name, and where each one's function is."""
    from npe2 import PluginManifest

    contributions = PluginManifest.from_distribution("napari-srgan").contributions
    functions = {c.id: c.python_name for c in contributions.commands}
    return {s.key: (s.display_name, functions[s.command]) for s in contributions.sample_data}


def test_the_manifest_offers_every_sample(offered):
    titles = {name: title for name, (title, _) in offered.items()}
    assert titles == {entry.name: entry.title for entry in SAMPLES}


@pytest.mark.parametrize("name", NAMES)
def test_napari_gets_every_sample_with_its_place(offered, name):
    ((data, attributes, kind),) = resolve_name(offered[name][1])()
    entry = sample_data.sample(name)
    assert kind == "image"
    assert np.array_equal(data, _pixels(name))
    assert attributes["rgb"] == (entry.axes[-1] == "S")
    assert attributes["scale"] == pytest.approx(entry.spacing)
    assert attributes["translate"] == pytest.approx(entry.translate)
    assert len(attributes["axis_labels"]) == len(attributes["scale"])


def test_no_sample_is_big_endian_or_needs_a_codec():
    for name in NAMES:
        header = sample_path(name).read_bytes()[:4]
        assert struct.unpack("<2sH", header) == (b"II", 42)
        with tifffile.TiffFile(sample_path(name)) as tif:
            assert tif.pages[0].compression in (1, 8)  # none or deflate
