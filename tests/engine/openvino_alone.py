"""OpenVINO: equal to torch in float32, and refused where it cannot serve.

`test_backends.test_openvino_in_a_process_of_its_own` runs this file, which pytest does not collect:
processes that had used OpenVINO and then started others came to grief, for reasons not known yet.
"""

import numpy as np
import pytest
import small_models
import torch

import napari_srgan
from napari_srgan.engine import backends
from napari_srgan.engine.backends import resolve_backend
from napari_srgan.engine.backends.torch import TorchNetwork
from napari_srgan.engine.progress import drain
from napari_srgan.engine.window import WindowNetwork
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.models.architectures import build
from napari_srgan.models.catalogue import load_model
from napari_srgan.options import RestoreOptions

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return small_models.save(tmp_path_factory.mktemp("m"), "gray", 1, features=8)


@pytest.fixture
def with_openvino(monkeypatch):
    """Let OpenVINO be there, in float32."""
    pytest.importorskip("openvino")
    monkeypatch.setattr(backends, "openvino_formats", lambda: ("float32",))


def unit(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


GENERATORS = [
    ("srresnet", {"channels": 1, "blocks": 2, "features": 8}),
    ("srresnet", {"channels": 3, "blocks": 1, "features": 8, "scale": 3}),
    ("srresnet", {"channels": 1, "blocks": 1, "features": 8, "scale": 8}),
    ("plain", {"channels": 3, "blocks": 2, "features": 8}),
    ("plain", {"channels": 1, "blocks": 1, "features": 8, "activation": "prelu"}),
    ("plain", {"channels": 3, "blocks": 1, "features": 8, "scale": 3, "lateral": True}),
    ("edsr", {"channels": 1, "blocks": 2, "features": 8, "residual_scale": 0.1}),
    ("rcan", {"channels": 3, "blocks": 1, "features": 32, "groups": 2}),
    ("rrdb", {"channels": 1, "blocks": 1, "features": 8, "growth": 4, "scale": 2}),
]


@pytest.mark.parametrize(("architecture", "parameters"), GENERATORS)
@pytest.mark.parametrize("shape", [(9, 11), (40, 33), (150, 20)])
def test_openvino_gives_what_torch_gives(architecture, parameters, shape):
    openvino = pytest.importorskip("napari_srgan.engine.backends.openvino")
    torch.manual_seed(0)
    network = build(architecture, parameters).eval()
    window = unit(*shape, *([3] if parameters["channels"] == 3 else []))
    expected = TorchNetwork(network, CPU)(window)
    got = openvino.OpenVINONetwork(network)(window)
    assert got.shape == expected.shape and got.dtype == np.float32
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(got, expected, atol=1e-5 * scale)
    # Emulated where the CPU has no bfloat16.
    low = openvino.OpenVINONetwork(network, "bfloat16")(window)
    assert not np.array_equal(low, got) and np.abs(low - expected).mean() < 0.02 * scale


def test_openvino_in_tiles_equals_the_whole(gray, with_openvino):
    image = (unit(70, 90) * 255).astype(np.uint8)
    whole = napari_srgan.upscale(image, gray, device="cpu", backend="openvino")
    tiled = napari_srgan.upscale(image, gray, device="cpu", backend="openvino", tile=24)
    assert whole.metadata["napari_srgan"]["backend"] == "openvino"
    assert np.abs(tiled.data.astype(int) - whole.data).max() <= 1
    exact = napari_srgan.upscale(image, gray, device="cpu", backend="torch")
    assert np.abs(exact.data.astype(int) - whole.data).max() <= 1


@pytest.mark.parametrize("ends", ["done", "closed", "small"])
def test_a_run_gives_the_memory_of_large_windows_back(gray, with_openvino, monkeypatch, ends):
    """OpenVINO keeps that of the largest window for as long as the network is there."""
    if ends != "small":
        monkeypatch.setattr("napari_srgan.engine.run._KEPT_MEMORY", 0)
    released, honest = [], WindowNetwork.release
    release = lambda network: released.append(network.backend) or honest(network)  # noqa: E731
    monkeypatch.setattr(WindowNetwork, "release", release)
    stack = Stack((unit(2, 20, 20) * 255).astype(np.uint8))
    steps = small_models.restore_stack(
        stack, RestoreOptions(model=gray, device="cpu", backend="openvino")
    )
    if ends == "closed":
        next(steps)
        steps.close()
    else:
        drain(steps)
    assert ("openvino" in released) == (ends != "small")


def test_openvino_rounds_to_the_nearest_bfloat16():
    """Its own conversion takes the wrong neighbour for a quarter of the values."""
    openvino = pytest.importorskip("openvino")
    from napari_srgan.engine.backends import openvino as backend

    given = backend.opset13.parameter([1, 1, -1, -1], np.float32)
    low = backend._as(given.output(0), backend.Type.bf16)
    model = openvino.Model([backend.opset13.convert(low, backend.Type.f32)], [given])
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    values = np.random.default_rng(0).normal(size=(1, 1, 64, 64)).astype(np.float32)
    got = compiled.create_infer_request().infer([values])[0]
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        np.testing.assert_array_equal(got, torch.from_numpy(values).bfloat16().float().numpy())
    else:  # computed in float32 there, so that only the splitting is left
        assert np.abs(got / values - 1).max() <= 2**-8


def test_openvino_is_refused_where_it_cannot_serve(monkeypatch, with_openvino):
    assert resolve_backend("openvino", CPU) == "openvino"
    with pytest.raises(InputError, match="no bfloat16 on this CPU"):
        resolve_backend("openvino", CPU, "bfloat16")
    with pytest.raises(InputError, match="not on cuda"):
        resolve_backend("openvino", torch.device("cuda:0"))
    monkeypatch.setattr(backends, "openvino_formats", lambda: ())
    with pytest.raises(InputError, match=r"napari-srgan\[cpu\]"):
        resolve_backend("openvino", CPU)


def test_threads_get_the_same_bits_from_one_network(gray):
    network = WindowNetwork(load_model(gray).network, CPU, "float32", "openvino")
    small_models.assert_threads_agree(network)
