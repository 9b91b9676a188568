"""Every row of the table of bad input, through the command line.

Refused input ends with exit code 2 and one sentence on standard error, and writes nothing.
"""

import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
import small_models
import tifffile
import torch
from PIL import Image

from napari_srgan.cli import main
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.models import catalogue as models


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(folder))
    small_models.save_both(folder)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def image(shape=(3, 20, 24), dtype=np.float32):
    values = np.random.default_rng(0).random(shape) * (1 if np.dtype(dtype).kind == "f" else 200)
    return values.astype(dtype)


def run(source, *options, target="out.tif", model=small_models.GRAY, device="cpu"):
    return main(["upscale", source, target, "--model", model, "--device", device, *options])


@pytest.fixture
def refused(workplace, capsys):
    """Check that a run is refused as it should be, and give the sentence."""

    def check(*arguments, **options):
        before = {path: path.read_bytes() for path in workplace.iterdir() if path.is_file()}
        code = run(*arguments, **options)
        shown = capsys.readouterr()
        assert code == 2, shown
        assert shown.out == ""
        assert shown.err.startswith("napari-srgan: ")
        assert shown.err.count("\n") == 1, shown.err
        assert "defect" not in shown.err and "Traceback" not in shown.err
        after = {path: path.read_bytes() for path in workplace.iterdir() if path.is_file()}
        assert after == before, "nothing is written"
        return shown.err

    return check


# --- file that is not an image, truncated TIFF, missing file -----------------------------------


@pytest.mark.parametrize("name", ["scan.tif", "scan.png", "scan.jpg", "scan.npy", "scan.ome.tif"])
def test_a_file_that_is_no_image(name, workplace, refused):
    (workplace / name).write_bytes(b"Dear colleague, please find attached the volume.\n" * 20)
    assert name in refused(name)


def test_a_file_of_another_format(workplace, refused):
    (workplace / "scan.fds").write_bytes(b"FOCT" + bytes(200))
    assert "scan.fds" in refused("scan.fds")


@pytest.mark.parametrize("name", ["scan.tif", "scan.npy", "scan.png"])
def test_an_empty_file(name, workplace, refused):
    (workplace / name).write_bytes(b"")
    assert name in refused(name)


@pytest.mark.parametrize("kind", ["plain", "imagej", "ome", "bigtiff"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_tiff(kind, kept, workplace, refused):
    options = {} if kind == "plain" else {kind: True}
    tifffile.imwrite("scan.tif", image((6, 40, 50), np.uint16), **options)
    whole = (workplace / "scan.tif").read_bytes()
    (workplace / "scan.tif").write_bytes(whole[: int(len(whole) * kept)])
    assert "scan.tif" in refused("scan.tif")


def test_a_truncated_array(workplace, refused):
    np.save("scan.npy", image())
    whole = (workplace / "scan.npy").read_bytes()
    (workplace / "scan.npy").write_bytes(whole[: len(whole) // 2])
    assert "scan.npy" in refused("scan.npy")


def test_a_truncated_picture(workplace, refused):
    Image.fromarray(image((64, 64), np.uint8)).save("scan.png")
    whole = (workplace / "scan.png").read_bytes()
    (workplace / "scan.png").write_bytes(whole[: len(whole) // 2])
    assert "scan.png" in refused("scan.png")


def test_a_missing_file_and_a_folder(workplace, refused):
    assert "missing.tif" in refused("missing.tif")
    (workplace / "folder.tif").mkdir()
    assert "folder" in refused("folder.tif")


# --- empty array, zero-size axis, fewer than 8 px on a side ------------------------------------


@pytest.mark.parametrize("shape", [(0,), (0, 20, 24), (3, 0, 24), (7, 24), (3, 24, 7), (24,)])
def test_too_small_or_empty(shape, refused):
    np.save("scan.npy", np.zeros(shape, np.float32))
    refused("scan.npy")


def test_eight_pixels_are_enough(workplace):
    np.save("scan.npy", image((8, 8)))
    assert run("scan.npy") == 0
    assert tifffile.imread("out.tif").shape == (32, 32)


# --- NaN and infinity --------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_is_refused_with_slice_and_count_and_filled_on_request(bad, refused):
    data = image()
    data[1, 4, 5:8] = bad
    np.save("scan.npy", data)
    sentence = refused("scan.npy")
    assert "3" in sentence and "1" in sentence and "fill" in sentence
    assert run("scan.npy", "--nan", "fill") == 0
    restored = tifffile.imread("out.tif")
    assert np.isfinite(restored[[0, 2]]).all()
    holes = ~np.isfinite(restored[1])
    assert holes[16:20, 20:32].all() and holes.sum() == 4 * 12


# --- RGBA, and models that do not fit ----------------------------------------------------------


def test_alpha_is_enlarged_bicubically_and_colour_by_the_model(workplace):
    rgba = image((20, 24, 4), np.uint8)
    Image.fromarray(rgba).save("scan.png")
    Image.fromarray(rgba[..., :3]).save("colour.png")
    assert run("scan.png", target="out.png", model=small_models.RGB) == 0
    assert run("colour.png", target="colour_4x.png", model=small_models.RGB) == 0
    result = np.asarray(Image.open("out.png"))
    expected = np.clip(np.rint(bicubic_enlarge(rgba[..., 3], 4)), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(result[..., 3], expected)
    np.testing.assert_array_equal(result[..., :3], np.asarray(Image.open("colour_4x.png")))


def test_rgb_with_a_gray_model_and_the_reverse(refused):
    Image.fromarray(image((20, 24, 3), np.uint8)).save("rgb.png")
    Image.fromarray(image((20, 24), np.uint8)).save("gray.png")
    assert small_models.RGB in refused("rgb.png", model=small_models.GRAY)
    assert small_models.GRAY in refused("gray.png", model=small_models.RGB)


# --- constant images ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 77])
def test_a_constant_image_comes_back_constant(dtype, value):
    np.save("scan.npy", np.full((2, 20, 24), value, dtype))
    assert run("scan.npy", target="out.npy") == 0
    result = np.load("out.npy")
    assert result.dtype == dtype
    assert result.shape == (2, 80, 96)
    assert (result == value).all()


# --- dtypes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (image().astype(np.complex64), "complex64"),
        (image() > 0.5, "bool"),
        (image().astype("S4"), "bytes"),
        (np.full((3, 20, 24), 2**60, np.int64), "2^53"),
        (np.full((3, 20, 24), 2**63, np.uint64), "2^53"),
        (np.zeros((20, 24), "datetime64[s]"), "datetime64"),
    ],
)
def test_dtypes_that_would_be_silently_wrong_are_refused_by_name(array, named, refused):
    np.save("scan.npy", array)
    assert named in refused("scan.npy")


def test_an_array_of_objects_is_refused_without_being_unpickled(workplace, refused):
    class Trap:
        def __reduce__(self):
            return open, (str(workplace / "trapped"), "w")

    np.save("scan.npy", np.array([[Trap()] * 9] * 9, dtype=object), allow_pickle=True)
    assert "scan.npy" in refused("scan.npy")
    assert not (workplace / "trapped").exists()


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
)
def test_real_numbers_keep_their_type(dtype):
    np.save("scan.npy", image((12, 12), dtype) + np.dtype(dtype).type(1))
    assert run("scan.npy", target="out.npy") == 0
    result = np.load("out.npy")
    assert (result.dtype, result.shape) == (np.dtype(dtype), (48, 48))
    assert np.isfinite(result).all()


# --- model files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "empty", "text", "pickle", "torch", "no card"]
)
def test_model_files_that_are_damaged_or_foreign(damage, tmp_path, refused):
    np.save("scan.npy", image())
    path = tmp_path / "other.safetensors"
    good = small_models.save(tmp_path, "other", 1).read_bytes()
    trap = tmp_path / "trapped"

    class Trap:
        def __reduce__(self):
            return open, (str(trap), "w")

    if damage == "cut":
        path.write_bytes(good[:-100])
    elif damage == "flipped":
        path.write_bytes(good[:20] + bytes(40) + good[60:])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("weights")
    elif damage == "pickle":
        path.write_bytes(pickle.dumps(Trap()))
    elif damage == "torch":
        torch.save({"weights": Trap()}, path)
    else:
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(3)}, path)
    assert "other" in refused("scan.npy", model=str(path))
    assert not trap.exists(), "nothing in a model file is executed"


def test_a_model_that_is_not_there(refused):
    np.save("scan.npy", image())
    sentence = refused("scan.npy", model="srgan-violet")
    assert "srgan-violet" in sentence and small_models.GRAY in sentence


def test_slices_with_nan_are_counted_in_words_that_fit(refused):
    scan = image((4, 20, 24))
    scan[1, 0, 0] = scan[2, 0, 0] = np.nan
    np.save("scan.npy", scan)
    assert "in slice Z=1 and 1 more slice;" in refused("scan.npy")


# --- outputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["out.tif", "out.ome.tif", "out.png", "out.npy"])
def test_an_existing_output_is_kept_unless_overwriting_is_asked_for(target, workplace, refused):
    np.save("scan.npy", image((16, 16), np.uint8))
    (workplace / target).write_bytes(b"precious")
    assert "--overwrite" in refused("scan.npy", target=target)
    assert run("scan.npy", "--overwrite", target=target) == 0
    assert (workplace / target).read_bytes() != b"precious"


@pytest.mark.parametrize("target", ["out.jpg", "out.czi", "out", "out.bmp"])
def test_an_output_format_that_cannot_be_written_is_refused_by_name(target, refused):
    np.save("scan.npy", image())
    sentence = refused("scan.npy", target=target)
    assert target in sentence and ".tif" in sentence


def test_a_stack_does_not_fit_into_a_png(refused):
    np.save("scan.npy", image((3, 20, 24), np.uint8))
    assert "png" in refused("scan.npy", target="out.png").lower()


def test_the_input_is_never_replaced_by_its_result(workplace, refused):
    np.save("scan.npy", image())
    assert "is an input" in refused("scan.npy", "--overwrite", target="scan.npy")
    (workplace / "link.npy").symlink_to("scan.npy")
    assert "is an input" in refused("scan.npy", "--overwrite", target="link.npy")


def test_an_output_folder_that_is_not_there(workplace, refused):
    np.save("scan.npy", image())
    assert "nowhere" in refused("scan.npy", target="nowhere/out.tif")


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits of POSIX")
@pytest.mark.parametrize("target", ["out.tif", "out.ome.tif", "out.npy"])
def test_a_full_disk_leaves_the_old_file_whole(target, workplace, capsys):
    np.save("scan.npy", image((10, 64, 64)))
    (workplace / target).write_bytes(b"precious")
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        code = run("scan.npy", "--overwrite", target=target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    shown = capsys.readouterr()
    assert code == 2, shown
    assert shown.err.count("\n") == 1 and "defect" not in shown.err, shown.err
    assert target in shown.err
    assert (workplace / target).read_bytes() == b"precious"
    assert sorted(p.name for p in workplace.iterdir()) == sorted(["scan.npy", target])


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_kill_leaves_the_old_file_whole(tmp_path, workplace):
    small_models.save(tmp_path / "models", "slow", 1, blocks=8, features=32)
    np.save("scan.npy", image((40, 128, 128)))
    (workplace / "out.tif").write_bytes(b"precious")
    typed = ["upscale", "scan.npy", "out.tif", "--model", "slow", "--tile", "32", "--overwrite"]
    child = subprocess.Popen([sys.executable, "-m", "napari_srgan.cli", *typed])
    deadline = time.monotonic() + 60
    while len(list(workplace.iterdir())) == 2:  # until the partial file is there
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    child.kill()
    child.wait()
    assert (workplace / "out.tif").read_bytes() == b"precious"
    # What the killed run left does not stand in the way of the next, nor does it stay.
    np.save("scan.npy", image())
    assert run("scan.npy", "--overwrite") == 0
    assert sorted(path.name for path in workplace.iterdir()) == ["out.tif", "scan.npy"]


# --- models ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    [
        '{"name": ["x"], "architecture": "srresnet", "parameters": {}, "channels": 1, "scale": 4}',
        '{"name": "\\u001b", "architecture": "x", "parameters": {}, "channels": 1, "scale": 4}',
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_a_bad_model_in_the_folder_is_named_and_disables_nothing(card, tmp_path, capsys):
    (tmp_path / "models" / "bad.safetensors").write_bytes(small_models.with_card(card))
    np.save("scan.npy", image())
    assert run("scan.npy") == 0
    assert capsys.readouterr().err == ""
    for options in ([], ["--json"]):
        assert main(["models", *options]) == 0
        shown = capsys.readouterr()
        assert small_models.GRAY in shown.out and "bad.safe" not in shown.out
        assert shown.err.startswith("napari-srgan: bad.safetensors ")
        assert shown.err.count("\n") == 1 and "\x1b" not in shown.err + shown.out
    assert run("scan.npy", model="bad", target="other.tif") == 2
    assert "bad.safetensors" in capsys.readouterr().err


def test_a_null_byte_on_the_command_line_is_a_mistake_in_a_sentence(capsys):
    np.save("scan.npy", image())
    for typed in (
        ["upscale", "sc\0an.npy", "out.tif"],
        ["upscale", "scan.npy", "out\0.tif"],
        ["upscale", "scan.npy", "out.tif", "--model", "a\0b"],
        ["models", "add", "a\0b"],
    ):
        with pytest.raises(SystemExit) as end:
            main(typed)
        said = capsys.readouterr().err
        assert end.value.code == 2
        assert "null byte" in said and said.count("\n") == 1


# --- devices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda:97", "tpu", "cpu:x"])
def test_a_device_that_is_absent_is_refused_with_those_present(device, refused):
    np.save("scan.npy", image())
    sentence = refused("scan.npy", device=device)
    assert device in sentence and "cpu" in sentence.replace(device, "")


def test_memory_that_runs_out_means_smaller_tiles_and_the_same_result(monkeypatch, capsys):
    from napari_srgan.engine.window import WindowNetwork

    np.save("scan.npy", image((2, 96, 128)))
    assert run("scan.npy", target="whole.npy") == 0
    capsys.readouterr()
    enlarge = WindowNetwork.__call__

    def enlarge_on_a_small_device(self, unit):
        if max(unit.shape[:2]) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return enlarge(self, unit)

    monkeypatch.setattr(WindowNetwork, "__call__", enlarge_on_a_small_device)
    assert run("scan.npy", target="tiled.npy") == 0
    said = capsys.readouterr().err
    assert "smaller" in said or "tiles of" in said
    assert "Traceback" not in said
    np.testing.assert_allclose(np.load("tiled.npy"), np.load("whole.npy"), atol=1e-6)


def test_memory_that_never_suffices_is_one_sentence(monkeypatch, refused):
    from napari_srgan.engine.window import WindowNetwork

    def fail(self, unit):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(WindowNetwork, "__call__", fail)
    np.save("scan.npy", image((24, 24)))
    assert "memory" in refused("scan.npy")


def test_a_result_that_is_upscaled_again_warns(capsys):
    np.save("scan.npy", image((16, 16)))
    assert run("scan.npy") == 0
    assert capsys.readouterr().err == ""
    assert run("out.tif", target="again.tif") == 0
    warned = capsys.readouterr().err
    assert small_models.GRAY in warned and warned.count("\n") == 1


def test_the_fixtures_models_are_models():
    assert {small_models.GRAY, small_models.RGB} <= {m.card.name for m in models.list_models()}
