import math
import pickle
import sys
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from napari_srgan.errors import InputError
from napari_srgan.models.vgg import (
    LAYERS,
    VGGFeatures,
    layers_needed,
    load_vgg,
    reach,
    read_vgg,
    vgg_distance,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDES = {"vgg22": 2, "vgg34": 4, "vgg44": 8, "vgg54": 16}
# Modules of torchvision's `features` up to the layer's convolution, counted by hand.
UP_TO = {"vgg22": 8, "vgg34": 17, "vgg44": 26, "vgg54": 35}


def random_state(layer):
    torch.manual_seed(0)
    return VGGFeatures(layer).state_dict()


@pytest.fixture(scope="module")
def shallow(tmp_path_factory):
    """A file that reaches conv3_4."""
    path = tmp_path_factory.mktemp("vgg") / "part.pth"
    torch.save(random_state("vgg34"), path)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of torch.hub, and a network that is down."""

    def down(*args, **kwargs):
        raise URLError("no network here")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    monkeypatch.setattr("torch.hub.urlopen", down)
    return tmp_path / "hub" / "checkpoints"


# --- the network -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    vgg = pytest.importorskip("torchvision.models.vgg")
    torch.manual_seed(0)
    return vgg.make_layers(vgg.cfgs["E"], batch_norm=False).eval().requires_grad_(False)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("before_activation", [True, False])
def test_features_are_those_of_torchvision(reference, layer, channels, before_activation):
    features = VGGFeatures(layer, before_activation)
    weights = reference.state_dict(prefix="features.")
    features.load_state_dict({key: weights[key] for key in features.state_dict()})
    images = torch.rand(2, channels, 35, 48)
    rgb = images.repeat(1, 3 // channels, 1, 1)
    normal = torch.stack([(rgb[:, c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)
    expected = reference[: UP_TO[layer] + (not before_activation)](normal)
    assert (expected.min() < 0) == before_activation
    torch.testing.assert_close(features(images), expected, rtol=1e-5, atol=1e-7)


def test_the_map_before_the_activation_is_not_overwritten():
    features = VGGFeatures("vgg22", before_activation=True)
    images = torch.rand(1, 3, 20, 20)
    first = features(images)
    kept = first.clone()
    assert torch.equal(features(images), kept) and torch.equal(first, kept)
    assert kept.min() < 0


def test_gradients_reach_the_image_and_no_weight():
    features = VGGFeatures("vgg34").train().requires_grad_(False)
    assert not any(module.training for module in features.modules())
    images = torch.rand(1, 1, 16, 16, requires_grad=True)
    features(images).square().mean().backward()
    assert images.grad.abs().max() > 0
    assert all(p.grad is None and not p.requires_grad for p in features.parameters())


def test_a_training_that_it_is_part_of_leaves_it_frozen_and_in_eval_mode():
    whole = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), VGGFeatures("vgg22")).train()
    assert whole[0].training and not whole[1].training
    assert [p.shape for p in whole.parameters() if p.requires_grad] == [(1, 1, 1, 1), (1,)]


@pytest.mark.parametrize(("layer", "side"), SIDES.items())
def test_the_smallest_images(layer, side):
    features = VGGFeatures(layer)
    assert features.smallest_side == side
    assert features(torch.rand(1, 1, side, 2 * side - 1)).shape[2:] == (1, 1)
    with pytest.raises(ValueError, match=f"{layer} needs images of {side} px"):
        features(torch.rand(1, 1, side - 1, 50))


def test_what_is_no_layer_or_no_image_is_refused():
    with pytest.raises(ValueError, match="vgg22, vgg34, vgg44, vgg54"):
        VGGFeatures("vgg55")
    for shape in ((1, 2, 20, 20), (3, 20, 20)):
        with pytest.raises(ValueError, match="1 or 3"):
            VGGFeatures("vgg22")(torch.rand(shape))


def test_the_distance_is_the_mean_squared_difference_of_the_maps():
    features = VGGFeatures("vgg22")
    first, second = torch.rand(2, 1, 3, 12, 12)
    assert vgg_distance(features, first, first) == 0
    expected = (features(first) - features(second)).square().mean()
    assert math.isclose(vgg_distance(features, first, second), float(expected), rel_tol=1e-6)


# --- files -----------------------------------------------------------------------------------


def test_the_keys_that_a_layer_needs_are_those_of_its_state_dict():
    for layer in LAYERS:
        keys = [key for pair in layers_needed(layer).values() for key in pair]
        assert keys == list(VGGFeatures(layer).state_dict())
        assert list(layers_needed(layer))[-1] == f"conv{layer[3]}_{layer[4]}"


@pytest.mark.parametrize("layer", ["vgg22", "vgg34"])
def test_a_part_of_the_weights_serves_the_layers_that_it_reaches(shallow, layer):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    features = load_vgg(layer, shallow, before_activation=True)
    assert torch.equal(torch.rand(1), expected), "the random numbers of a training are its own"
    assert features.before_activation and features.layer == layer
    given = torch.load(shallow)
    assert all(torch.equal(v, given[k]) for k, v in features.state_dict().items())
    assert not any(p.requires_grad for p in features.parameters())
    assert reach(read_vgg(shallow)) == ("vgg22", "vgg34")


def test_a_layer_beyond_the_weights_is_refused_with_what_they_reach(shallow, tmp_path):
    with pytest.raises(InputError, match=r"conv3_4, but vgg54 needs conv5_4: .*--content vgg34 or"):
        load_vgg("vgg54", shallow)
    state = torch.load(shallow)
    torch.save({k: v for k, v in state.items() if ".0." in k}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"only conv1_1, but vgg22 needs conv2_2: give the full"):
        load_vgg("vgg22", tmp_path / "x.pth")


def test_nested_half_and_safetensors_weights_and_those_of_a_classifier_are_taken(tmp_path):
    state = {k: v.half() for k, v in random_state("vgg22").items()}
    full = {**state, "classifier.6.bias": torch.zeros(1000)}
    torch.save({"state_dict": full, "epoch": 3}, tmp_path / "a.pth")
    save_file(full, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        found = load_vgg("vgg22", tmp_path / name).state_dict()
        assert all(torch.equal(v, state[k].float()) for k, v in found.items())


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_files_that_are_not_weights_are_refused_and_not_run(tmp_path):
    path = tmp_path / "x.pth"
    with pytest.raises(InputError, match=r"no file .*x\.pth.*--vgg-weights"):
        load_vgg("vgg22", path)
    for content in (pickle.dumps(Evil()), b"", b"nothing of the kind", b"PK\x03\x04"):
        path.write_bytes(content)
        (tmp_path / "x.safetensors").write_bytes(content)
        for name in ("x.pth", "x.safetensors"):
            with pytest.raises(InputError, match="cannot be read as weights"):
                load_vgg("vgg22", tmp_path / name)
    torch.save({"features.0.weight": torch.zeros(1), "more": Evil()}, path)
    with pytest.raises(InputError, match="could run code"):
        load_vgg("vgg22", path)


def nothing(state):
    state.clear()


def a_tensor_missing(state):
    del state["features.2.bias"]


def another_shape(state):
    state["features.2.weight"] = torch.zeros(64, 32, 3, 3)


def a_word(state):
    state["features.2.weight"] = "zeros"


def whole_numbers(state):
    state["features.2.weight"] = state["features.2.weight"].int()


def not_a_number(state):
    state["features.7.bias"][3] = math.nan


def of_vgg16(state):
    state["features.17.weight"] = torch.zeros(512, 256, 3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nothing, "no weights of VGG19"),
        (a_tensor_missing, "only conv1_1"),
        (another_shape, r"features\.2\.weight is \(64, 32, 3, 3\), not \(64, 64, 3, 3\)"),
        (a_word, "not VGG19"),
        (whole_numbers, "not finite"),
        (not_a_number, r"features\.7\.bias are not finite"),
        (of_vgg16, "another network"),
    ],
)
def test_weights_that_cannot_be_right_are_refused(tmp_path, change, message):
    state = random_state("vgg22")
    change(state)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match=message):
        load_vgg("vgg22", tmp_path / "x.pth")
    torch.save([1, 2], tmp_path / "x.pth")
    with pytest.raises(InputError, match="no weights of VGG19"):
        load_vgg("vgg22", tmp_path / "x.pth")


# --- torchvision's own -----------------------------------------------------------------------


def test_without_a_network_a_sentence_says_what_to_do(cache):
    pytest.importorskip("torchvision")
    wanted = r"no network here.*--vgg-weights FILE.*--content none.*once where there is a network"
    with pytest.raises(InputError, match=wanted):
        load_vgg("vgg54")
    with pytest.raises(InputError, match="not been downloaded yet"):
        load_vgg("vgg54", download=False)


def test_without_torchvision_a_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(InputError, match=r"torchvision.*not installed.*--vgg-weights FILE"):
        load_vgg("vgg54")


@pytest.mark.parametrize("download", [True, False])
def test_the_cache_is_used_and_a_damaged_one_refused(cache, shallow, download):
    models = pytest.importorskip("torchvision.models")
    cached = cache / models.VGG19_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(shallow.read_bytes())
    found = load_vgg("vgg34", download=download).state_dict()
    assert all(torch.equal(v, found[k]) for k, v in torch.load(shallow).items())
    cached.write_bytes(shallow.read_bytes()[:1000])
    with pytest.raises(InputError, match=rf"{cached.name} cannot be read"):
        load_vgg("vgg34", download=download)
