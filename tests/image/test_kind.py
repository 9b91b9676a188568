"""What kind of image a stack is taken for: the bundled samples, and what is made to be hard."""

import pickle

import dask.array as da
import numpy as np
import pytest
import skimage.data
import tifffile

from napari_srgan.errors import InputError
from napari_srgan.image.kind import (
    KINDS,
    PLANES,
    gray_if_gray,
    known_kind,
    note_kind,
    recognise,
)
from napari_srgan.image.stack import Stack
from napari_srgan.io.formats import source
from napari_srgan.io.open import open_stack
from napari_srgan.synthetic.samples import SAMPLES, sample_path

RIGHT = {"oct_frame": "raw-oct", "oct_volume": "oct", "tissue_rgb": "brightfield"}


def pixels(name):
    return tifffile.imread(sample_path(name))


def kind(array, axes=None):
    return recognise(Stack(array, axes)).kind


def cells(random, ground=8.0, height=200.0, side=192):
    """Round bright cells on a flat dark ground, with the noise of a camera."""
    y, x = np.mgrid[:side, :side]
    image = np.full((side, side), float(ground))
    for cy, cx in random.uniform(0, side, (14, 2)):
        image += height / (1 + np.exp(np.hypot(y - cy, x - cx) - 9))
    return image + random.normal(0, 1.5, image.shape)


@pytest.mark.parametrize("sample", [s.name for s in SAMPLES])
def test_bundled_samples_are_what_they_are(sample):
    found = recognise(open_stack(sample_path(sample)))
    assert found.kind == RIGHT[next(start for start in RIGHT if sample.startswith(start))]
    assert found.kind in KINDS
    assert found.alike is None


def test_the_reason_holds_the_figures():
    found = recognise(Stack(pixels("oct_frame_hr")))
    y, x = found.figures.grain
    assert 0.2 < found.figures.relative < 0.35
    assert f"{found.figures.relative:.2f}" in found.reason
    assert f"{y:.1f} x {x:.1f} px" in found.reason
    assert recognise(Stack(pixels("oct_volume_hr"))).figures.relative < 0.1


def decibels(frame, span):
    """Turn a logarithmic display back into intensity; `span` is its range in dB."""
    return 10 ** (frame / 4095 * span / 10)


STORED = {
    "uint16": lambda frame: frame,
    "uint8": lambda frame: (frame >> 4).astype(np.uint8),
    "float": lambda frame: frame.astype(np.float32) / 4095,
    "signed": lambda frame: frame.astype(np.int32) - 2000,
    "linear": lambda frame: decibels(frame, 38).astype(np.float32),
    "amplitude": lambda frame: np.sqrt(decibels(frame, 38)).astype(np.float32),
    "linear in 16 bits": lambda frame: np.round(decibels(frame, 38) * 10).astype(np.uint16),
    "mirrored": lambda frame: frame[:, ::-1],
    "decimated": lambda frame: frame[:, ::2, ::2],
    "padded": lambda frame: np.where(np.arange(640) < 200, 0, frame).astype(np.uint16),
}


@pytest.mark.parametrize("how", STORED)
def test_a_raw_frame_is_raw_however_it_is_stored(how):
    assert kind(STORED[how](pixels("oct_frame_hr")), "ZYX") == "raw-oct"


@pytest.mark.parametrize("span", [30, 38, 50])
def test_averages_that_are_linear_in_intensity_are_no_raw_frames(span):
    volume = pixels("oct_volume_hr").astype(float)
    found = recognise(Stack(10 ** (volume / 255 * span / 10), "ZYX"))
    assert found.kind == "oct"
    assert not recognise(Stack(volume, "ZYX")).is_linear


def test_linear_data_are_told():
    assert recognise(Stack(decibels(pixels("oct_frame_hr"), 50), "ZYX")).is_linear
    assert not recognise(Stack(pixels("oct_frame_hr"), "ZYX")).is_linear


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_fluorescence(dtype):
    image = cells(np.random.default_rng(0)).clip(0, 255).astype(dtype)
    assert kind(image) == "fluorescence"


@pytest.mark.parametrize("photons", [3, 20])
def test_the_noise_of_few_photons_is_no_speckle(photons):
    random = np.random.default_rng(1)
    image = random.poisson(cells(random, ground=2).clip(0) / 200 * photons)
    assert kind(image.astype(np.uint16)) != "raw-oct"


def test_brightfield_in_gray():
    image = 240 - cells(np.random.default_rng(2), ground=0, height=120)
    assert kind(image.clip(0, 255).astype(np.uint8)) == "brightfield"


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_photographs_in_colour(name):
    assert kind(getattr(skimage.data, name)()) == "photograph"


@pytest.mark.parametrize("name", ["camera", "grass", "gravel", "brick", "coins", "page", "text"])
def test_photographs_and_textures_in_gray(name):
    assert kind(getattr(skimage.data, name)()) == "photograph"


def test_a_noisy_photograph_is_no_speckle():
    noise = np.random.default_rng(3).normal(0, 25, (512, 512))
    assert kind((skimage.data.camera() + noise).clip(0, 255).astype(np.uint8)) == "photograph"


# --- gray stored as RGB ---------------------------------------------------------------------------


def in_rgb(gray, axis=-1):
    return np.stack([gray] * 3, axis=axis)


def test_gray_in_rgb_is_told_and_its_kind_is_that_of_the_gray():
    frame = (pixels("oct_frame_hr")[3] >> 4).astype(np.uint8)
    found = recognise(Stack(in_rgb(frame), "YXS"))
    assert found.kind == "raw-oct"
    assert found.alike is not None
    assert recognise(Stack(frame, "YX")).alike is None


def test_nearly_gray_counts_and_a_tint_does_not():
    gray = skimage.data.camera()
    near = in_rgb(gray).astype(int)
    near[..., 0] += np.random.default_rng(0).integers(-1, 2, gray.shape)
    assert recognise(Stack(near.clip(0, 255).astype(np.uint8), "YXS")).alike is not None
    sepia = (in_rgb(gray) * (1, 0.94, 0.85)).astype(np.uint8)
    assert recognise(Stack(sepia, "YXS")).alike is None


@pytest.mark.parametrize("axes", ["YXS", "SYX", "YSX"])
def test_gray_is_taken_out_of_rgb_exactly_wherever_the_samples_stand(axes):
    gray = skimage.data.camera()[:80, :96].astype(np.uint16) * 257
    stack = gray_if_gray(Stack(in_rgb(gray, axes.index("S")), axes))
    assert (stack.axes, stack.samples, stack.dtype) == ("YX", 1, np.uint16)
    np.testing.assert_array_equal(stack.read(()), gray)
    np.testing.assert_array_equal(stack.read((), slice(3, 9), slice(2, 5)), gray[3:9, 2:5])


def test_gray_in_an_opaque_rgba_counts_and_a_transparent_one_does_not():
    gray = skimage.data.camera()[:64, :64]
    whole = np.dstack([in_rgb(gray), np.full_like(gray, 255)])
    assert recognise(Stack(whole, "YXS")).alike is not None
    np.testing.assert_array_equal(gray_if_gray(Stack(whole, "YXS")).read(()), gray)
    faded = np.dstack([in_rgb(gray), gray])
    assert gray_if_gray(Stack(faded, "YXS")).samples == 4


def test_colours_elsewhere_are_named_and_never_lost():
    volume = in_rgb(np.stack([skimage.data.camera()[:64, :64]] * 20))
    volume[0, 5, 5] = (255, 0, 0)
    gray = gray_if_gray(Stack(volume, "ZYXS", "scan"))
    assert gray.axes == "ZYX"
    gray.read((1,))
    with pytest.raises(InputError, match="scan is gray where it was looked at, but holds colours"):
        gray.read((0,))


def test_gray_in_rgb_of_a_file_can_be_sent_to_another_process(tmp_path):
    path = tmp_path / "gray.npy"
    np.save(path, in_rgb(skimage.data.camera()))
    gray = gray_if_gray(open_stack(path))
    arrived = pickle.loads(pickle.dumps(gray))
    assert len(pickle.dumps(gray)) < 10_000
    np.testing.assert_array_equal(arrived.read(()), skimage.data.camera())


# --- what there is little to tell by --------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "axes", "reason"),
    [
        (np.zeros((8, 8), np.uint8), "YX", "too small"),
        (np.random.default_rng(0).random((500, 31)), "YX", "too small"),
        (np.zeros((8, 8, 3), np.uint8), "YXS", "too small"),
        (np.zeros((64, 64), np.uint16), "YX", "nothing in it varies"),
        (np.full((64, 64, 3), 7, np.uint8), "YXS", "nothing in it varies"),
        (np.full((64, 64), np.nan, np.float32), "YX", "nothing in it varies"),
        (np.full((64, 64, 3), np.inf, np.float32), "YXS", "nothing in it varies"),
    ],
)
def test_what_cannot_be_told_is_said(array, axes, reason):
    assert reason in recognise(Stack(array, axes)).reason


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint64])
def test_every_dtype_and_the_ends_of_the_largest(dtype):
    image = (np.random.default_rng(0).random((64, 64)) * 1000).astype(dtype)
    assert recognise(Stack(image)).figures is not None
    if np.dtype(dtype).kind == "f":
        image[::7] = np.finfo(dtype).max
        image[::5] = -np.finfo(dtype).max
        recognise(Stack(image))


def test_nan_are_left_out():
    frame = pixels("oct_frame_hr").astype(np.float32)
    frame[:, :, :150] = np.nan
    frame[:, 7, 300] = np.inf
    assert kind(frame, "ZYX") == "raw-oct"


# --- stacks ---


def test_of_a_long_lazy_stack_few_planes_are_read():
    read = []
    frame = pixels("oct_frame_hr")[3]

    def plane(block_id):
        read.append(block_id[0])
        return frame[None]

    stack = da.map_blocks(
        lambda block_info=None: plane(block_info[None]["chunk-location"]),
        chunks=((1,) * 1000, frame.shape[:1], frame.shape[1:]),
        dtype=frame.dtype,
        meta=np.empty((0, 0, 0), frame.dtype),
    )
    lazy = Stack(stack, "ZYX")
    assert recognise(lazy).kind == "raw-oct"
    assert len(set(read)) <= PLANES
    read.clear()
    recognise(lazy)
    assert read == []


def test_of_a_large_plane_only_the_middle_is_read(tmp_path, monkeypatch):
    path = tmp_path / "slide.npy"
    np.save(path, np.random.default_rng(0).integers(0, 255, (3000, 4000), np.uint8))
    sizes = []
    whole = source.FileArray.__getitem__

    def counted(array, key):
        block = whole(array, key)
        sizes.append(block.nbytes)
        return block

    monkeypatch.setattr(source.FileArray, "__getitem__", counted)
    recognise(open_stack(path))
    assert 0 < sum(sizes) < 500_000
    sizes.clear()
    recognise(open_stack(path))  # the same file, opened again
    assert sizes == []


def test_all_channels_are_looked_at_and_most_planes_count():
    cells_ = cells(np.random.default_rng(0)).clip(0, 255)
    camera = skimage.data.camera()[:192, :192]
    assert kind(np.stack([cells_, cells_, camera]).astype(np.uint8), "CYX") == "fluorescence"
    looked = np.zeros((9, 2, 64, 64), np.uint8)  # the first channel is empty
    looked[:, 1] = cells_[:64, :64]
    assert recognise(Stack(looked, "ZCYX")).figures is not None


def test_what_was_found_is_passed_on_to_the_same_pixels():
    frame = pixels("oct_frame_hr")
    first, second = Stack(frame, "ZYX"), Stack(frame, "ZYX")
    assert known_kind(first) is None
    found = recognise(first)
    assert known_kind(second) is None
    note_kind(second, found)
    assert known_kind(second) is found


@pytest.mark.parametrize(("frames", "kind"), [([], "oct"), ([1, 1], "raw-oct"), ([12, 9], "oct")])
def test_what_its_file_calls_b_scans_is_oct(frames, kind):
    """Flat dark ground, which would be fluorescence; only which kind of OCT is left to tell."""
    dark = np.zeros((2, 64, 64), np.float32)
    dark[:, 30:34, 20:44] = 1
    said = {"modality": "oct", "frames": frames, "linear": True}
    plain = recognise(Stack(dark))
    found = recognise(Stack(dark, metadata={"acquisition": said}))
    assert plain.kind not in ("oct", "raw-oct")
    assert (found.kind, found.is_linear) == (kind, True)
    assert "its file holds B-scans" in found.reason
    fundus = recognise(Stack(dark, metadata={"acquisition": {"modality": "enface"}}))
    assert fundus.kind == plain.kind
