"""Consistency, invention and spread: planted lies are found, and figures are what they say."""

import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
import small_models
import tifffile
from scipy.ndimage import gaussian_filter
from small_models import restore_stack

from napari_srgan import open_stack, upscale
from napari_srgan.cli import main
from napari_srgan.engine.progress import drain
from napari_srgan.engine.record import Record, methods_text
from napari_srgan.engine.restore import enlarge_tile
from napari_srgan.errors import InputError
from napari_srgan.image.degradation import BlurNoise
from napari_srgan.image.intensity import Intensity, to_dtype
from napari_srgan.image.invalid import fill
from napari_srgan.image.resampling import bicubic_shrink, shift_batch
from napari_srgan.image.stack import Stack
from napari_srgan.io import open as files
from napari_srgan.io.sinks import FileSink
from napari_srgan.models.catalogue import load_model, save_model
from napari_srgan.options import MapOptions, RestoreOptions
from napari_srgan.tasks.trust_maps import MapPlane, MapRequest, TrustMaps
from napari_srgan.trust.consistency import LEGEND, comparable, consistency, percent
from napari_srgan.trust.invention import fidelity_model, invention
from napari_srgan.trust.operators import Operator, operator_of
from napari_srgan.trust.shrinking import shrinking
from napari_srgan.trust.spread import Spread, Symmetry, symmetries

FACTOR = 4


def scene(height=240, width=320, seed=0):
    """Layers, a few edges and some grain, HR, 0..255."""
    rng = np.random.default_rng(seed)
    depth = np.linspace(0, 6, height)[:, None] + 0.5 * np.sin(np.linspace(0, 5, width))
    layers = 60 + 30 * np.sin(2 * depth) + 40 * (depth % 2 > 1)
    grain = gaussian_filter(rng.normal(0, 60, (height, width)), 2)
    return np.clip(layers + grain, 0, 255)


def blob(shape, at, sigma=5.0, height=60.0):
    y, x = np.indices(shape)
    return height * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * sigma**2))


def shrunk(image):
    return to_dtype(bicubic_shrink(image, FACTOR), np.uint8)


def restored(low):
    return np.asarray(upscale(low, device="cpu").data)


BICUBIC = Operator("bicubic", (FACTOR, FACTOR))
SPOT = (120, 160)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


def contrast(found, factor):
    """Strength of a map at the spot over that of its background."""
    y, x = (int(c / factor) for c in SPOT)
    near = max(1, round(5 / factor))
    far = np.ones(found.shape, bool)
    reach = round(48 / factor)
    far[y - reach : y + reach, x - reach : x + reach] = False
    return rms(found[y - near : y + near + 1, x - near : x + near + 1]) / rms(found[far])


# --- planted lies ----------------------------------------------------------------------------


def test_a_blob_that_is_not_in_the_data_is_marked_and_one_that_is_is_not():
    truth = scene()
    low = shrunk(truth)
    honest = restored(low)
    lie = to_dtype(honest + blob(truth.shape, SPOT), np.uint8)
    marked = contrast(consistency(low, lie, BICUBIC, 255).map, FACTOR)
    low_with = shrunk(np.clip(truth + blob(truth.shape, SPOT), 0, 255))
    unmarked = contrast(consistency(low_with, restored(low_with), BICUBIC, 255).map, FACTOR)
    assert marked >= 5
    assert marked > 50  # as measured: 140
    assert unmarked < 2  # as measured: 0.6


def test_a_fine_texture_that_consistency_cannot_see_shows_in_the_invention_map(models):
    low = shrunk(scene())
    fidelity = restored(low).astype(float)
    x = np.arange(fidelity.shape[1])
    stripes = np.cos(2 * np.pi * x / 4) * blob(fidelity.shape, SPOT, 10, 20)
    shrink = shrinking(BICUBIC, *low.shape)
    stripes -= shrink.up(shrink.down(stripes))  # what is left is invisible to the last digit
    lie = fidelity + stripes
    before, after = (consistency(low, image, BICUBIC, 255) for image in (fidelity, lie))
    assert np.abs(after.map - before.map).max() < 1e-4
    assert after.rmse_percent == pytest.approx(before.rmse_percent, abs=1e-9)
    # Between two results that differ elsewhere too, as those of two models do.
    grain = np.random.default_rng(1).normal(0, 1, fidelity.shape)
    found = invention(lie + grain, fidelity, BICUBIC, 255)
    assert contrast(found.map, 1) >= 5
    assert invention(fidelity, fidelity, BICUBIC, 255).rms_percent == 0


def test_what_the_measurement_sees_is_no_invention():
    low = shrunk(scene())
    fidelity = restored(low).astype(float)
    shrink = shrinking(BICUBIC, *low.shape)
    seen = shrink.up(np.random.default_rng(2).normal(0, 9, low.shape))
    found = invention(fidelity + seen, fidelity, BICUBIC, 255)
    assert found.rms_percent < 1e-10
    assert found.map.max() < 1e-5


def test_the_invention_of_a_known_texture_is_its_rms():
    fidelity = np.zeros((160, 160))
    stripes = 10 * np.cos(np.pi / 2 * np.arange(160))[None, :] * np.ones((160, 1))
    found = invention(fidelity + stripes, fidelity, Operator("area", (4, 4)), 200)
    expected = 100 * rms(stripes) / 200
    assert found.rms_percent == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(found.map[40:-40, 40:-40], expected, rtol=0.01)


# --- operators -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bicubic", "area", "decimate"])
@pytest.mark.parametrize("scale", [(2, 2), (3, 3), (4, 4), (1, 4), (3, 2)])
def test_an_operator_and_its_inverse_are_those_of_dense_algebra(name, scale):
    import torch

    rng = np.random.default_rng(3)
    high = rng.random((9 * scale[0], 13 * scale[1]))
    shrink = shrinking(Operator(name, scale), 9, 13)
    low = shrink.down(high)
    if name == "bicubic":
        expected = bicubic_shrink(high, scale)
    elif name == "area":
        expected = high.reshape(9, scale[0], 13, scale[1]).mean(axis=(1, 3))
    else:
        half = (scale[0] - 1) / 2, (scale[1] - 1) / 2
        moved = shift_batch(torch.from_numpy(high)[None, None], half)
        expected = moved[0, 0, :: scale[0], :: scale[1]].numpy()
    np.testing.assert_allclose(low, expected, atol=1e-6)
    dense = np.kron(shrink.rows.matrix.toarray(), shrink.cols.matrix.toarray())
    inverse = np.linalg.pinv(dense)
    np.testing.assert_allclose(shrink.up(low).ravel(), inverse @ low.ravel(), atol=1e-10)


def test_the_operator_of_a_denoiser_blurs_by_the_middle_of_what_it_was_trained_on(models):
    card = load_model(models / "gray.safetensors").card
    card = dataclasses.replace(card, degradation="blur-noise", training={"blur": [1.0, 2.0]})
    operator = operator_of(card)
    assert (operator.sigma, operator.kind, operator.definite) == (1.5, "removed signal", False)
    high = gaussian_filter(np.random.default_rng(0).random((160, 160)), 3)
    low, _ = _optics(high, 1.5)
    down = shrinking(operator, 40, 40).down(high)
    # Training's phase of 1 px lies half a pixel from the centre that the rule wants.
    assert rms(down - low) < 0.15 * high.std()


def _optics(high, sigma):
    import torch

    operator = BlurNoise(blur=(sigma, sigma), speckle=(0, 0), noise=(0, 0))
    tensor = torch.from_numpy(high)[None, None].float()
    random = np.random.default_rng(0)
    while True:
        low, offset = operator(tensor, (4, 4), random)
        if offset == (1.0, 1.0):
            return low[0, 0].numpy(), offset


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Write a gray and an RGB model, and gray ones of every degradation."""
    folder = tmp_path_factory.mktemp("models")
    base = load_model(small_models.save(folder, "gray", 1))
    small_models.save(folder, "rgb", 3)
    for name in ("area", "decimate", "blur-noise", "measured", "unheard-of"):
        card = dataclasses.replace(base.card, name=name, degradation=name)
        save_model(folder / f"{name}.safetensors", base.network, card)
    # A perceptual model: the fidelity model's weights, changed a little.
    import torch

    torch.manual_seed(7)
    network = load_model(small_models.save(folder, "srgan-tiny", 1)).network
    changed = {k: v + 0.02 * torch.randn_like(v.float()) for k, v in network.state_dict().items()}
    other = type(network)(**base.card.parameters)
    other.load_state_dict(changed)
    card = dataclasses.replace(base.card, name="srgan-tiny", **small_models.PERCEPTUAL)
    save_model(folder / "srgan-tiny.safetensors", other.eval(), card)
    small_models.save(folder, "srresnet-tiny", 1)
    return folder


@pytest.fixture
def run(models):
    """Run a stack through a model of that name."""

    def call(stack, model, sink=None, **options):
        asked = RestoreOptions(model=models / f"{model}.safetensors", device="cpu", **options)
        return drain(restore_stack(stack, asked, sink))

    return call


def noise(*shape, dtype=np.uint8, seed=0):
    top = 255 if dtype == np.uint8 else 4095
    return (np.random.default_rng(seed).random(shape) * top).astype(dtype)


# --- the figure of a run ---------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gray", "area", "decimate", "blur-noise", "measured"])
@pytest.mark.parametrize("region", [None, {"Z": (1, 2), "Y": (6, 40), "X": (0, 37)}])
def test_the_figure_of_a_run_is_that_of_its_maps_whatever_the_tiles(models, run, model, region):
    data = noise(2, 40, 52, dtype=np.float32)
    data[1, 20, 3] = np.nan
    stack = Stack(data, "ZYX")
    record = {}
    for tile in (64, 11):
        result = run(stack, model, tile=tile, region=region, nan="fill")
        record[tile] = result.metadata["napari_srgan"]["consistency"]
    assert record[64]["rmse_percent"] == pytest.approx(record[11]["rmse_percent"], rel=1e-5)
    y, x = (slice(*(region or {}).get(a, (0, n))) for a, n in (("Y", 40), ("X", 52)))
    cuts = (y.start > 0, y.stop < 40, x.start > 0, x.stop < 52)
    z = slice(*(region or {}).get("Z", (0, 2)))
    operator = operator_of(load_model(models / f"{model}.safetensors").card)
    facts = result.metadata["napari_srgan"]
    span = facts["intensity_hi"][0] - facts["intensity_lo"][0]
    values = []
    for low, high in zip(data[z, y, x], result.data, strict=True):
        found = consistency(low, fill(high)[0], operator, span, cuts)
        bad = int(np.isnan(found.map).sum())
        nan_here = np.isnan(low).any()
        assert (bad > 0) == (nan_here or (any(cuts) and max(operator.reach) > 0))
        values.append(found.map[np.isfinite(found.map)])
    expected = 100 * rms(np.concatenate(values)) / span
    assert record[11]["rmse_percent"] == pytest.approx(expected, rel=1e-5)


def test_a_split_tile_does_not_change_the_figure(run, monkeypatch):
    stack = Stack(noise(60, 70), "YX")
    whole = run(stack, "gray", tile=32)

    def short_of_memory(tile, *others):
        if max(tile.y1 - tile.y0, tile.x1 - tile.x0) > 16:
            raise MemoryError
        return enlarge_tile(tile, *others)

    monkeypatch.setattr("napari_srgan.engine.run.enlarge_tile", short_of_memory)
    split = run(stack, "gray", tile=32)
    np.testing.assert_array_equal(split.data, whole.data)
    figures = [Record.of(result.metadata).consistency.rmse_percent for result in (whole, split)]
    assert figures[0] == figures[1]


def test_the_figure_of_colours_and_channels_is_over_all_samples(run):
    data = noise(24, 32, 4)
    result = run(Stack(data, "YXS"), "rgb")
    found = consistency(data[..., :3], result.data[..., :3], BICUBIC, 255)
    record = result.metadata["napari_srgan"]["consistency"]
    assert record["rmse_percent"] == pytest.approx(found.rmse_percent, rel=1e-5)
    assert found.map.shape == (24, 32)
    low = data[..., :3].astype(float) - shrinking(BICUBIC, 24, 32).down(result.data[..., :3])
    assert np.abs(found.map).max() == pytest.approx(np.abs(low).max(), rel=1e-6)
    two = np.stack([noise(24, 32, dtype=np.uint16), noise(24, 32, dtype=np.uint16) // 16])
    record = run(Stack(two, "CYX"), "gray").metadata["napari_srgan"]
    parts = []
    for channel in range(2):
        high = run(Stack(two, "CYX"), "gray").data[channel]
        span = record["intensity_hi"][channel] - record["intensity_lo"][channel]
        parts.append(consistency(two[channel], high, BICUBIC, span).rmse_percent)
    assert record["consistency"]["rmse_percent"] == pytest.approx(rms(parts), rel=1e-5)


def test_with_a_transform_the_figure_is_of_the_transformed_values(run):
    data = (noise(40, 40, dtype=np.float32) ** 2).astype(np.float32)
    result = run(Stack(data, "YX"), "gray", transform="power:0.5")
    record = result.metadata["napari_srgan"]
    intensity = Intensity(
        tuple(record["intensity_lo"]), tuple(record["intensity_hi"]), "auto", "power:0.5"
    )
    low, span = comparable(data, intensity)
    high, _ = comparable(result.data, intensity)
    found = consistency(low, high, BICUBIC, span)
    assert span == 100
    assert record["consistency"]["rmse_percent"] == pytest.approx(found.rmse_percent, rel=1e-4)


def test_the_record_names_what_was_measured_in_memory_and_on_disk(run, tmp_path):
    stack = Stack(noise(2, 16, 16), "ZYX", name="eye.tif")
    run(stack, "gray", sink=FileSink(tmp_path / "out.tif"))
    record = Record.of(open_stack(tmp_path / "out.tif").metadata)
    assert record.consistency.kind == "consistency"
    assert record.consistency.legend == LEGEND
    assert record.back_projection is None
    text = f"root mean square of {record.consistency.rmse_percent:.2g} %"
    assert text in methods_text(record)
    assert record.sentence.endswith(LEGEND)
    measured = Record.of(run(stack, "measured").metadata)
    assert measured.consistency.kind == "removed signal"
    assert measured.sentence.startswith("Removed signal: RMSE ")
    unknown = Record.of(run(stack, "unheard-of").metadata)
    assert unknown.consistency is None
    assert unknown.sentence == ""
    assert "root mean square" not in methods_text(unknown)


def test_a_region_too_small_for_the_kernel_has_no_figure(run):
    stack = Stack(noise(30, 30), "YX")
    result = run(stack, "gray", region={"Y": (10, 13), "X": (10, 13)})
    record = Record.of(result.metadata)
    assert record.consistency.rmse_percent is None
    assert record.sentence == ""


@pytest.mark.parametrize("value, text", [(0.4321, "0.43 %"), (12.34, "12.3 %"), (0.0, "0 %")])
def test_percent_keeps_the_digits_that_say_something(value, text):
    assert percent(value) == text


# --- mistakes --------------------------------------------------------------------------------


def test_mistakes_are_sentences(models):
    low, high = np.zeros((8, 8)), np.zeros((32, 32))
    with pytest.raises(InputError, match="do not belong together"):
        consistency(low, high[:28], BICUBIC, 1)
    with pytest.raises(InputError, match="above zero"):
        consistency(low, high, BICUBIC, 0)
    with pytest.raises(InputError, match="cannot see is not known"):
        invention(high, high, Operator("measured", (4, 4)), 1)
    with pytest.raises(InputError, match="cannot be compared for what was added"):
        invention(high, high[:28], BICUBIC, 1)
    with pytest.raises(InputError, match="not known; give auto"):
        symmetries(load_model(models / "gray.safetensors").card, "diagonal")


def test_the_fidelity_model_of_a_pair_and_of_any_other(models, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(models))
    card = load_model(models / "srgan-tiny.safetensors").card
    assert fidelity_model(card).card.name == "srresnet-tiny"
    other = dataclasses.replace(card, training={"init": "the model of another computer"})
    assert fidelity_model(other).card.name == "srresnet-gray"
    small_models.save(models, "fidelity-2x", 1, scale=2)
    assert fidelity_model(dataclasses.replace(other, scale=(2, 2))).card.name == "fidelity-2x"
    with pytest.raises(InputError, match="is the fidelity model itself"):
        fidelity_model(dataclasses.replace(card, name="srresnet-gray"))


# --- spread ----------------------------------------------------------------------------------


@pytest.mark.parametrize("flips, wanted, n", [
    ("lateral", "auto", 2), ("all", "auto", 8), ("none", "auto", 2), ("lateral", "all", 8),
    ("all", "lateral", 2),
])  # fmt: skip
def test_symmetries_follow_the_training_unless_asked_otherwise(models, flips, wanted, n):
    card = load_model(models / "gray.safetensors").card
    card = dataclasses.replace(card, training={"flips": flips})
    assert len(set(symmetries(card, wanted))) == n
    assert len(symmetries(dataclasses.replace(card, channels=3, training={}))) == 8


@pytest.mark.parametrize(
    "member", [Symmetry(t, y, x) for t in (0, 1) for y in (0, 1) for x in (0, 1)]
)
def test_a_region_is_found_again_in_the_mirrored_plane(member):
    plane = np.arange(6 * 9).reshape(6, 9)
    region = member.region((1, 4), (2, 9), 6, 9)
    turned = member.of(plane)[slice(*region["Y"]), slice(*region["X"])]
    np.testing.assert_array_equal(member.undo(turned), plane[1:4, 2:9])


def planes_of(request):
    maps = TrustMaps(request)
    return maps, [step for step in maps.planes() if isinstance(step, MapPlane)]


def test_infinities_that_were_put_back_have_no_spread_and_bring_no_warning():
    """In a thread of the window a warning of numpy becomes a notification."""
    spread, plane = Spread(), np.array([[1.0, np.inf, np.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spread.add(plane)
        spread.add(plane + 2)
        found = spread.map(1.0)
    assert found[0, 0] == pytest.approx(100 * math.sqrt(2))
    assert np.isnan(found[0, 1:]).all()


def test_the_spread_is_the_deviation_of_results_of_mirrored_inputs(models, run):
    data = noise(3, 24, 36, dtype=np.uint16)
    stack = Stack(data, "ZYX")
    region = {"Z": (1, 2), "Y": (3, 20), "X": (5, 36)}
    restore = RestoreOptions(model=models / "gray.safetensors", device="cpu", region=region)
    spread = MapOptions(maps=("spread",))
    maps, (plane,) = planes_of(MapRequest(stack=stack, restore=restore, options=spread))
    floats = data[1].astype(np.float32)
    intensity = maps.intensity
    crop = slice(12, 80), slice(20, 144)
    one = run(Stack(floats, "YX"), "gray", intensity=intensity).data
    two = run(Stack(floats[:, ::-1].copy(), "YX"), "gray", intensity=intensity).data[:, ::-1]
    span = intensity.hi[0] - intensity.lo[0]
    expected = 100 * np.std([one, two], axis=0, ddof=1)[crop] / span
    np.testing.assert_allclose(plane.values, expected, rtol=1e-3, atol=1e-4)
    assert plane.percent == pytest.approx(rms(expected), rel=1e-4)
    assert "equivariance spread, not truth" in maps.notes("spread").legend


def test_maps_of_a_given_result_and_of_one_made_anew_are_the_same(models, run):
    data = noise(3, 40, 36)
    stack = Stack(data, "ZYX")
    region = {"Z": (1, 3), "Y": (2, 30), "X": (0, 30)}
    restore = RestoreOptions(model=models / "srgan-tiny.safetensors", device="cpu", region=region)
    fidelity = models / "srresnet-tiny.safetensors"
    options = MapOptions(maps=("consistency", "invention"), fidelity=fidelity)
    base = MapRequest(stack=stack, restore=restore, options=options)
    _, made = planes_of(base)
    whole = Stack(run(stack, "srgan-tiny").data, "ZYX")
    other = Stack(run(stack, "srresnet-tiny", region={"Y": (2, 30)}).data, "ZYX")
    given = dataclasses.replace(base, result=whole, fidelity=other, fidelity_region={"Y": (2, 30)})
    _, read = planes_of(given)
    assert [p.kind for p in made] == ["consistency", "invention"] * 2
    for first, second in zip(made, read, strict=True):
        assert first.index == second.index
        np.testing.assert_allclose(first.values, second.values, atol=1e-5)
    assert made[1].percent > 0


# --- the command -----------------------------------------------------------------------------


def test_the_command_writes_placed_maps_and_prints_a_table(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(models))
    source = tmp_path / "eye.tif"
    _write(source, noise(3, 32, 40, dtype=np.uint16), (5.0, 2.0, 3.0))
    out = tmp_path / "maps"
    command = ["trust", str(source), "--model", "srgan-tiny", "--out", str(out)]
    command += ["--slices", "1:3", "--device", "cpu"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    for word in ("consistency", "invention", "spread", LEGEND, "srgan-tiny and srresnet-tiny"):
        assert word in printed
    shapes = {"consistency": (2, 32, 40), "invention": (2, 128, 160), "spread": (2, 128, 160)}
    for kind, shape in shapes.items():
        stack = open_stack(out / f"eye_srgan-tiny_{kind}_z1-3.tif")
        assert stack.shape == shape
        assert stack.dtype == np.float32
        grown = 1 if kind == "consistency" else 4
        np.testing.assert_allclose(stack.scale, (5, 2 / grown, 3 / grown), rtol=1e-5)
        noted = stack.metadata["trust_map"]
        assert noted["result"]["model"] == "srgan-tiny"
        assert len(noted["rms_percent"]) == 2
        assert noted["legend"] in printed
    found = open_stack(out / "eye_srgan-tiny_consistency_z1-3.tif").read((1,))
    assert main([*command, "--overwrite", "--json", "--maps", "consistency"]) == 0
    row = json.loads(capsys.readouterr().out)
    span = _span(out / "eye_srgan-tiny_consistency_z1-3.tif")
    assert row["per_slice"][1] == pytest.approx(100 * rms(found) / span, rel=1e-5)
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def _span(path):
    record = open_stack(path).metadata["trust_map"]["result"]
    return record["intensity_hi"][0] - record["intensity_lo"][0]


def _write(path, data, scale):
    from napari_srgan.io.output import OutputSpec

    spec = OutputSpec(data.shape, "ZYX", data.dtype, scale, (0.0,) * 3, ("micrometer",) * 3)
    sink = FileSink(path)
    sink.open(spec)
    for k, plane in enumerate(data):
        sink.write((k,), 0, 0, plane)
    sink.commit()


def test_the_command_refuses_in_sentences_and_leaves_nothing(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(models))
    source, out = tmp_path / "eye.tif", tmp_path / "maps"
    tifffile.imwrite(source, noise(16, 16))
    for model, kind, said in (
        ("measured", "invention", "cannot see is not known"),
        ("unheard-of", "consistency", "is not known, so its results cannot be compared"),
        ("auto", "invention", "is the fidelity model itself"),
    ):
        command = ["trust", str(source), "--out", str(out), "--model", model, "--maps", kind]
        assert main(command) == 2
        assert said in capsys.readouterr().err
        assert not list(out.glob("*"))
    with pytest.raises(SystemExit):
        main(["trust", str(source), "--out", str(out), "--maps", "nonsense"])


def test_anonymous_maps_hide_the_name(models, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(models))
    source, out = tmp_path / "Jane_Roe.tif", tmp_path / "maps"
    tifffile.imwrite(source, noise(16, 16))
    command = ["trust", str(source), "--out", str(out), "--model", "gray", "--anonymise"]
    assert main([*command, "--maps", "consistency"]) == 0
    (path,) = out.iterdir()
    assert path.name.startswith("scan-")
    assert "jane" not in json.dumps(files.open_stack(path).metadata).lower()


@pytest.mark.parametrize("degradation", ["measured", "blur-noise", "area"])
def test_by_default_there_are_the_maps_that_fit_the_model(
    models, tmp_path, monkeypatch, degradation
):
    """No invention where it is not known what was measured, or no other model undoes the same."""
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    base = load_model(models / "gray.safetensors")
    card = dataclasses.replace(base.card, name="own", degradation=degradation)
    save_model(tmp_path / "own.safetensors", base.network, card)
    source, out = tmp_path / "low.tif", tmp_path / "maps"
    tifffile.imwrite(source, np.random.default_rng(0).integers(0, 256, (24, 32)).astype(np.uint8))
    command = [
        "trust",
        str(source),
        "--out",
        str(out),
        "--model",
        str(tmp_path / "own.safetensors"),
    ]
    assert main(command) == 0
    assert sorted(p.stem.split("_")[-1] for p in out.iterdir()) == ["consistency", "spread"]
    assert main([*command, "--overwrite", "--maps", "invention"]) == 2
