"""`calibrate`, the trust masks that come of it, and a promise that is checked, not assumed."""

import json
import re

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import gaussian_filter
from small_models import save, save_lateral

from napari_srgan.cli import main
from napari_srgan.errors import InputError
from napari_srgan.image.resampling import bicubic_shrink
from napari_srgan.io.open import open_stack
from napari_srgan.models.architectures.srresnet import SRResNet
from napari_srgan.models.catalogue import Card, save_model
from napari_srgan.options import CalibrateOptions
from napari_srgan.tasks.calibrate import calibrate
from napari_srgan.tasks.steps import drain
from napari_srgan.trust.calibration import NAME, read_calibrations
from napari_srgan.trust.conformal import mask_of
from napari_srgan.trust.scores import detail_score

MODEL = "smooth"
PHOTO = ["--model", MODEL, "--kind", "photograph", "--device", "cpu"]


def scene(seed, noise=0.0):
    """Smooth ground, one half of it with texture that 4x shrinking loses; uint8, 96 x 96 px."""
    random = np.random.default_rng(seed)
    ground, texture, strength = (
        gaussian_filter(random.normal(size=(96, 96)), sigma) for sigma in (12, 1.2, 10)
    )
    half = gaussian_filter(1.0 * (strength > np.median(strength)), 2)
    image = 0.5 + 0.4 * (ground - ground.mean()) / np.ptp(ground)
    image += 0.15 * half * texture / texture.std() + noise * random.normal(size=image.shape)
    return (255 * image.clip(0, 1)).round().astype(np.uint8)


def shrunk(image):
    return bicubic_shrink(image.astype(np.float32), 4).round().astype(np.uint8)


def write(folder, seeds, **changed):
    folder.mkdir()
    for seed in seeds:
        image = scene(seed, **changed)
        tifffile.imwrite(folder / f"{seed}.tif", image, photometric="minisblack")
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A model that does what bicubic does, sixteen images like each other, and four more."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(folder))
    parameters = {"channels": 1, "blocks": 1, "features": 8, "scale": 4}
    network = SRResNet(**parameters).eval()
    network.interpolate()
    card = Card(
        name=MODEL,
        architecture="srresnet",
        parameters=parameters,
        channels=1,
        scale=(4, 4),
        training={"flips": "lateral"},
    )
    save_model(folder / f"{MODEL}.safetensors", network, card)
    write(tmp_path / "hr", range(16))
    write(tmp_path / "new", range(100, 108))
    return tmp_path


def calibrated(*more):
    return main(["calibrate", "hr", *PHOTO, *map(str, more)])


def test_the_promise_is_kept_on_new_images_and_known_to_be_broken_by_others(place, capsys):
    assert calibrated("--check", "new", "--json") == 0
    kept, checked = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(kept["shares_by_score"]) == {"detail", "consistency", "spread", "invention"}
    assert kept["images"] == 12, "a quarter chose the score"
    assert 0.1 < kept["share"] < 0.95
    assert kept["left_out"]["risk"] <= 0.1
    assert not checked["broken"] and checked["risk"] <= 0.1 and checked["share"] > 0.1
    # Noise that the calibration had not: the model cannot know it, and the check says so.
    write(place / "noisy", range(200, 208), noise=0.08)
    assert main(["calibrate", "--check", "noisy", *PHOTO]) == 2
    said = capsys.readouterr()
    assert "The promise does not hold for these images" in said.err
    assert "promised were at most 10 %" in said.err
    assert int(re.search(r"(\d) of them unlike", said.out)[1]) >= 4
    # A calibration on images like these holds for these: nothing else was wrong.
    write(place / "more", range(300, 316), noise=0.08)
    assert main(["calibrate", "more", "--check", "noisy", *PHOTO, "--tolerance", "25"]) == 0


def test_the_mask_beside_a_result_is_what_the_score_says(place, capsys):
    assert calibrated("--score", "detail") == 0
    (kept,) = read_calibrations(place / "models" / NAME)
    low = shrunk(scene(50))
    tifffile.imwrite("low.tif", np.stack([low, low[::-1]]), metadata={"axes": "ZYX"})
    command = ["upscale", "low.tif", "high.tif", *PHOTO, "--trust-mask"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert kept.sentence in told and "of the pixels are trusted" in told
    mask, result = open_stack("high_trusted.tif"), open_stack("high.tif")
    assert mask.shape == result.shape
    for z in range(2):
        expected = mask_of(detail_score(result.read((z,)), 255), kept.threshold)
        np.testing.assert_array_equal(mask.read((z,)), expected)
    noted = mask.metadata["trust_map"]
    assert kept.sentence in noted["legend"]
    shares = [100 * mask.read((z,)).mean() for z in range(2)]
    np.testing.assert_allclose(noted["trusted_percent"], shares, rtol=1e-6)
    assert main(command) == 2, "the result is there already"
    assert main(["trust", "low.tif", "--out", "maps", *PHOTO]) == 0
    made = open_stack(f"maps/low_{MODEL}_trusted.tif")
    np.testing.assert_array_equal(made.read((1,)), mask.read((1,)))


def test_a_report_has_the_mask_its_share_and_the_promise(place, capsys):
    assert calibrated("--score", "detail") == 0
    (kept,) = read_calibrations(place / "models" / NAME)
    tifffile.imwrite("low.tif", shrunk(scene(50)))
    capsys.readouterr()
    assert main(["report", "low.tif", "-o", "r.html", *PHOTO, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert 10 < told["trusted_percent"] < 90
    assert told["promise"] == kept.sentence
    page = (place / "r.html").read_text()
    assert f"{told['trusted_percent']:.1f} % of the pixels in the image" in page
    assert page.count(kept.sentence) >= 2, "in the summary and below the picture"
    assert main(["report", "low.tif", "-o", "em.html", *PHOTO, "--kind", "em"]) == 0
    assert "Trusted" not in (place / "em.html").read_text()


def test_a_batch_has_a_mask_beside_each_result_and_tells_of_those_it_cannot_make(place, capsys):
    assert calibrated("--score", "detail") == 0
    for name in ("a", "b"):
        tifffile.imwrite(f"{name}.tif", shrunk(scene(50)))
    command = ["upscale", "a.tif", "b.tif", "--out-dir", "out", *PHOTO, "--trust-mask"]
    assert main(command) == 0
    masks = sorted((place / "out").glob("*_trusted.tif"))
    assert [m.name[0] for m in masks] == ["a", "b"]
    assert "of the pixels are trusted" in capsys.readouterr().out
    assert main([*command, "--kind", "em", "--overwrite"]) == 2
    assert "has no calibration" in capsys.readouterr().err
    assert main(["upscale", "a.tif", "c.tif", *PHOTO, "--trust-mask", "--outscale", "2"]) == 2
    assert "of the model's own result" in capsys.readouterr().err


def test_an_image_unlike_those_of_the_calibration_is_named_so(place, capsys):
    assert calibrated("--score", "detail") == 0
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (24, 24)).astype(np.uint8)
    for name, image in (("like", shrunk(scene(51))), ("noise", noise)):
        tifffile.imwrite(f"{name}.tif", image)
        assert main(["upscale", f"{name}.tif", f"{name}-4x.tif", *PHOTO, "--trust-mask"]) == 0
        told = capsys.readouterr().out
        assert ("its guarantee does not hold here" in told) == (name == "noise")
    legend = open_stack("noise-4x_trusted.tif").metadata["trust_map"]["legend"]
    assert "not like those" in legend


@pytest.mark.parametrize(
    ("score", "usual", "other", "named"),
    [
        (
            "invention",
            ["--fidelity", "srresnet-gray"],
            ["--fidelity", "srfast-gray"],
            "srfast-gray",
        ),
        ("spread", ["--symmetries", "lateral"], ["--symmetries", "all"], "'all'"),
        ("detail", ["--fidelity", "srfast-gray"], ["--transform", "log"], "without a transform"),
    ],
)
def test_a_score_that_is_made_otherwise_than_in_the_calibration_has_no_guarantee(
    place, capsys, score, usual, other, named
):
    assert calibrated("--score", score, "--tolerance", "100") == 0
    (kept,) = read_calibrations(place / "models" / NAME)
    tifffile.imwrite("low.tif", shrunk(scene(51)))
    for more, holds in ((usual, True), (other, False)):
        command = ["trust", "low.tif", "--out", "maps", *PHOTO, "--maps", "trusted", "--overwrite"]
        assert main([*command, *more]) == 0
        legend = open_stack(f"maps/low_{MODEL}_trusted.tif").metadata["trust_map"]["legend"]
        assert (legend == kept.sentence) == holds, legend
        assert (named in legend and "does not hold" in legend) != holds


def test_the_mask_of_a_back_projected_result_has_no_guarantee(place, capsys):
    assert calibrated("--score", "detail") == 0
    tifffile.imwrite("low.tif", shrunk(scene(51)))
    command = ["upscale", "low.tif", "high.tif", *PHOTO, "--trust-mask", "--back-project"]
    capsys.readouterr()
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "not back-projected" in told and "In images like" not in told


def test_a_model_without_a_calibration_says_how_to_make_one_before_any_work(place, capsys):
    tifffile.imwrite("low.tif", shrunk(scene(1)))
    command = ["upscale", "low.tif", "high.tif", *PHOTO, "--trust-mask"]
    assert main(command) == 2
    assert f"napari-srgan calibrate HR_FOLDER --model {MODEL}" in capsys.readouterr().err
    assert not (place / "high.tif").exists()
    assert calibrated() == 0
    assert main(["upscale", "low.tif", "o.tif", *PHOTO, "--kind", "em", "--trust-mask"]) == 2
    assert "it has one for photograph" in capsys.readouterr().err
    # Trained anew, it has none.
    save(place / "models", MODEL, 1)
    assert main(command) == 2
    assert "has no calibration" in capsys.readouterr().err


def test_images_that_belong_together_count_once(place):
    for seed in range(20):
        (place / "eyes" / f"eye{seed // 2}").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(place / "eyes" / f"eye{seed // 2}" / f"{seed}.tif", scene(seed))
    options = CalibrateOptions(model=MODEL, score="detail", by_folder=True, device="cpu")
    assert drain(calibrate([place / "eyes"], options)).calibration.images == 10
    options = CalibrateOptions(model=MODEL, score="detail", by_folder=True, alpha=0.05)
    with pytest.raises(InputError, match=r"10 images are too few for alpha 0\.05, which needs 19"):
        drain(calibrate([place / "eyes"], options))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--alpha", "0.01"], "12 images are too few for alpha 0.01, which needs 99 beside"),
        (["--tolerance", "0.001", "--score", "spread"], "No pixels of these 16 images can be"),
        (["--model", "auto"], "Name the model"),
        (["--model", "oct-restore"], "measured pairs"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_a_sentence(place, capsys, more, said):
    assert calibrated(*more) == 2
    assert said in capsys.readouterr().err
    assert not (place / "models" / NAME).exists()


@pytest.mark.parametrize(
    ("more", "uses"),
    [
        (["--score", "detail", "--check", "hr"], "both to calibrate and to check"),
        (["--choose-on", "hr/3.tif"], "both to choose the score and to calibrate"),
        (["--choose-on", "new", "--check", "new/10[34].tif"], "to choose the score and to check"),
        (["--score", "detail", "--check", "copies"], "(the same as "),
    ],
)
def test_an_image_is_used_for_one_thing_only(place, capsys, more, uses):
    write(place / "copies", [3])
    assert calibrated(*more) == 2
    said = capsys.readouterr().err
    assert uses in said and ".tif" in said
    assert not (place / "models" / NAME).exists()


def test_the_images_that_the_score_is_chosen_on_may_be_named_by_a_pattern(place, capsys):
    assert calibrated("--choose-on", "new/10[0-3].tif", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 16


def test_a_damaged_file_of_calibrations_is_named_and_left(place, capsys):
    path = place / "models" / NAME
    path.write_text('[{"model": 3}]')
    assert calibrated("--score", "detail") == 2
    assert "cannot be used" in capsys.readouterr().err
    assert path.read_text() == '[{"model": 3}]'


def test_a_model_is_calibrated_anew_in_the_place_of_before_and_beside_other_kinds(place):
    assert calibrated("--score", "detail") == 0
    assert calibrated("--score", "consistency") == 0
    assert main(["calibrate", "hr", *PHOTO, "--kind", "em", "--score", "detail"]) == 0
    kept = read_calibrations(place / "models" / NAME)
    assert [(c.kind, c.score) for c in kept] == [("em", "detail"), ("photograph", "consistency")]


def test_a_model_that_makes_one_axis_finer_is_calibrated_too(place, capsys):
    save_lateral(place / "models", "lateral", 4, degradation="decimate")
    for_all = ["--kind", "oct", "--device", "cpu", "--tolerance", "1000"]
    assert main(["calibrate", "hr", "--model", "lateral", *for_all]) == 0
    assert "100.0 % of the pixels of 12 images" in capsys.readouterr().out
    tifffile.imwrite("low.tif", scene(50)[:, ::4], photometric="minisblack")
    named = ["--model", "lateral", "--kind", "oct", "--device", "cpu"]
    assert main(["upscale", "low.tif", "high.tif", *named, "--trust-mask"]) == 0
    assert open_stack("high_trusted.tif").shape == (96, 96)


def test_nothing_is_drawn_by_chance(place, capsys):
    torch.manual_seed(1)
    assert calibrated("--json") == 0
    first = capsys.readouterr().out
    torch.manual_seed(2)
    assert calibrated("--json") == 0
    assert capsys.readouterr().out == first
