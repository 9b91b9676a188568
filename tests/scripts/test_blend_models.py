"""The script that blends two models' weights."""

import copy
import dataclasses
import importlib.util
from pathlib import Path

import pytest
import small_models
import torch

from napari_srgan.models.catalogue import load_model, save_model

SCRIPT = Path(__file__).parents[2] / "scripts" / "blend_models.py"


@pytest.fixture(scope="module")
def blend():
    spec = importlib.util.spec_from_file_location("blend_models", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.blend


def test_every_weight_lies_between_the_two(blend, tmp_path):
    first = small_models.save(tmp_path, "first", 1)
    model = load_model(first)
    network = copy.deepcopy(model.network)
    network.load_state_dict({k: v + 1 for k, v in network.state_dict().items()})
    card = dataclasses.replace(model.card, name="second")
    second = save_model(tmp_path / "second.safetensors", network, card)
    blend(first, second, 0.75, tmp_path / "out.safetensors")
    made = load_model(tmp_path / "out.safetensors")
    assert made.card.name == "second"
    assert made.card.training["blend"] == {"with": "first", "share": 0.75}
    a, b = (load_model(p).network.state_dict() for p in (first, second))
    for key, weights in made.network.state_dict().items():
        share = 0.75 if weights.is_floating_point() else 1
        torch.testing.assert_close(
            weights.double(), (1 - share) * a[key].double() + share * b[key].double()
        )


def test_other_networks_and_shares_are_refused(blend, tmp_path):
    first = small_models.save(tmp_path, "first", 1)
    other = small_models.save(tmp_path, "other", 3)
    with pytest.raises(ValueError, match="different networks"):
        blend(first, other, 0.5, tmp_path / "out.safetensors")
    with pytest.raises(ValueError, match="within 0 and 1"):
        blend(first, first, 1.5, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()
