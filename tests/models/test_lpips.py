"""LPIPS: torchmetrics' figures on the same weights, and weights that cannot be had."""

import pytest
import torch

from napari_srgan.errors import InputError
from napari_srgan.measure.protocols import score
from napari_srgan.models.lpips import LPIPS, NETWORKS, load_lpips, network_of

TORCHVISION = {"alex": "alexnet", "vgg": "vgg16"}


@pytest.fixture(scope="module", params=NETWORKS)
def reference(request):
    """torchmetrics' LPIPS of a network with weights from chance, and a file of those."""
    pytest.importorskip("torchvision")
    from torchmetrics.functional.image.lpips import _LPIPS

    torch.manual_seed(0)
    return request.param, _LPIPS(pretrained=True, pnet_rand=True, net=request.param)


def trunk_state(theirs):
    """Its weights under torchvision's keys; torchmetrics' slices keep the numbers of modules."""
    state = {k.split(".", 1)[1]: v for k, v in theirs.net.state_dict().items()}
    return {f"features.{k}": v for k, v in state.items()}


def test_it_is_what_torchmetrics_measures(reference, tmp_path):
    network, theirs = reference
    torch.save(trunk_state(theirs), tmp_path / "trunk.pth")
    own = load_lpips(network, tmp_path / "trunk.pth")
    first, second = torch.rand(2, 2, 3, 64, 51)
    expected = theirs(first, second, normalize=True).flatten()
    found = (own(first) - own(second)).square().mean(1)
    assert torch.allclose(found, expected, rtol=1e-4)
    assert expected.min() > 1e-4
    gray = torch.rand(1, 1, 64, 64)
    assert torch.equal(own(gray), own(gray.expand(-1, 3, -1, -1)))


def test_the_smallest_image_is_measured_and_none_smaller():
    for network in NETWORKS:
        own = LPIPS(network)
        side = own.smallest_side
        assert torch.isfinite(own(torch.rand(1, 3, side, side))).all()
        with pytest.raises(RuntimeError):
            own(torch.rand(1, 3, side - 1, side - 1))


def test_a_score_has_it_beside_the_other_figures():
    own = LPIPS("alex")
    hr = torch.rand(64, 64).numpy()
    found = score(hr, hr, hr * 0.5, features=[own])
    assert found.model["lpips_alex"] == 0
    assert found.bicubic["lpips_alex"] > 0


def test_a_file_says_which_network_it_is_of(reference, tmp_path):
    network, theirs = reference
    torch.save(trunk_state(theirs), tmp_path / "x.pth")
    assert network_of(tmp_path / "x.pth") == network
    other = next(n for n in NETWORKS if n != network)
    with pytest.raises(InputError, match="another network than"):
        load_lpips(other, tmp_path / "x.pth")
    state = trunk_state(theirs)
    state.popitem()
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x\.pth ends before features\.\d+\.bias, which LPIPS"):
        load_lpips(network, tmp_path / "x.pth")


def test_without_a_network_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("torchvision")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    with pytest.raises(InputError, match=r"AlexNet's weights have not .*--lpips-weights FILE"):
        load_lpips("alex", download=False)
