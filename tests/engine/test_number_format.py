"""Sixteen bits: where they are used, what they keep, and that the machine does not decide it."""

import json

import numpy as np
import pytest
import small_models
import torch

from napari_srgan.engine import number_format
from napari_srgan.engine.backends.lowering import between_first_and_last, rounded_kernels
from napari_srgan.engine.backends.torch import TorchNetwork
from napari_srgan.engine.number_format import Harm, auto_precision, harm, trial_picture
from napari_srgan.engine.progress import drain
from napari_srgan.image.stack import Stack
from napari_srgan.models.architectures.rewrite import for_inference
from napari_srgan.models.catalogue import list_models, load_model
from napari_srgan.options import RestoreOptions

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(small_models.save(tmp_path_factory.mktemp("m"), "gray", 1))


@pytest.fixture
def sixteen_bits(monkeypatch):
    """Let every CPU have native bfloat16."""
    monkeypatch.setattr(number_format, "native_16_bits", lambda device: ("bfloat16",))
    monkeypatch.setattr(number_format, "_tried", {})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounded_kernels_keep_their_sums(dtype):
    weight = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    rounded = rounded_kernels(weight, dtype)
    assert torch.equal(rounded, rounded.to(dtype).float()), "the format holds them exactly"
    plain = weight.to(dtype).float()
    lost = (rounded - weight).sum((2, 3)).abs().mean()
    assert lost < (plain - weight).sum((2, 3)).abs().mean() / 10
    # No tap pays more for it than two roundings.
    steps = torch.finfo(dtype).eps * weight.abs().amax((2, 3), keepdim=True)
    assert ((rounded - weight).abs() <= steps).all()


def test_both_ends_of_a_network_stay_float32(model):
    form = for_inference(model.network)
    low = between_first_and_last(form)
    convolutions = [m for m in form.modules() if isinstance(m, torch.nn.Conv2d)]
    assert low == set(convolutions[1:-1]) and len(low) >= 3
    network = TorchNetwork(model.network, CPU, "bfloat16")
    formats = [m.weight.dtype for m in network._network.modules() if hasattr(m, "in_channels")]
    assert formats == [torch.float32, *[torch.bfloat16] * (len(formats) - 2), torch.float32]


def test_harm_is_counted_in_pixels_of_8_bits():
    exact = np.linspace(0.2, 0.8, 1000)
    off = exact.copy()
    off[:2] += 2 / 255  # two of a thousand by two levels
    off[5:] += 0.4 / 255
    found = Harm.between(off, exact)
    assert found.moved == 0.002 and found.largest == 2 and not found.allowed
    off[1] = exact[1]
    assert Harm.between(off, exact).allowed
    off[0] = exact[0] + 5 / 255
    assert not Harm.between(off, exact).allowed, "one pixel by five levels"
    assert not Harm(0.0, 1, psnr_lost=0.03).allowed
    assert not Harm.between(np.full(9, np.nan), np.zeros(9)).allowed


@pytest.mark.parametrize(("moved", "used"), [(0.0, "bfloat16"), (0.01, "float32")])
def test_auto_takes_16_bits_where_they_keep_the_rule(model, monkeypatch, sixteen_bits, moved, used):
    monkeypatch.setattr(Harm, "between", classmethod(lambda cls, low, exact: cls(moved, 1)))
    for dtype in (np.uint8, np.uint16, np.float32):
        image = (trial_picture() * 200).astype(dtype)
        options = RestoreOptions(model=model.path, device="cpu")
        record = drain(small_models.restore_stack(Stack(image), options)).metadata["napari_srgan"]
        assert (record["precision"], record["backend"]) == (used, "torch")


def test_a_model_is_tried_once_and_what_was_measured_counts_before(
    model, monkeypatch, sixteen_bits
):
    tried = []
    between = Harm.between
    monkeypatch.setattr(Harm, "between", lambda *pair: tried.append(1) or between(*pair))
    assert harm(model, CPU, "bfloat16", "torch") == harm(model, CPU, "bfloat16", "torch")
    assert len(tried) == 1
    stated = {model.sha256: {"torch bfloat16": Harm(0.5, 9)}}
    monkeypatch.setattr(number_format, "measured", lambda: stated)
    assert harm(model, CPU, "bfloat16", "torch") == Harm(0.5, 9) and len(tried) == 1
    assert auto_precision(model, CPU, "torch") == "float32"


def test_without_native_16_bits_auto_is_float32(model, monkeypatch):
    monkeypatch.setattr(number_format, "native_16_bits", lambda device: ())
    assert auto_precision(model, CPU, "torch") == "float32"


def test_what_is_stated_of_bundled_models_is_of_the_files_that_are_there():
    stated = json.loads((number_format.WEIGHTS / "harm.json").read_text(encoding="utf-8"))
    files = {info.card.name: load_model(info.path).sha256 for info in list_models() if info.bundled}
    assert {name: entry["sha256"] for name, entry in stated.items()} == files
