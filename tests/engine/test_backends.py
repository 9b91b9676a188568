"""Backends: equal to torch in float32, free of state, and absent without harm."""

import logging
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

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
    """Let `auto` find OpenVINO, in float32."""
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
    whole = napari_srgan.upscale(image, gray, device="cpu")
    tiled = napari_srgan.upscale(image, gray, device="cpu", tile=24)
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
    steps = small_models.restore_stack(stack, RestoreOptions(model=gray, device="cpu"))
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


@pytest.mark.parametrize("broken", ["absent", "build"])
def test_without_openvino_torch_gives_the_same_and_the_log_says_so(
    gray, monkeypatch, with_openvino, caplog, broken
):
    image = (unit(20, 30) * 255).astype(np.uint8)
    expected = napari_srgan.upscale(image, gray, device="cpu", backend="torch").data
    if broken == "absent":
        monkeypatch.setattr(backends, "openvino_formats", lambda: ())
    else:
        import napari_srgan.engine.window as window

        def fail(backend, *args):
            if backend == "openvino":
                raise RuntimeError("no such layer")
            return backends.build(backend, *args)

        monkeypatch.setattr(window, "build", fail)
        monkeypatch.setattr(window, "_networks", {})
    with caplog.at_level(logging.DEBUG, "napari_srgan"):
        result = napari_srgan.upscale(image, gray, device="cpu")
    assert np.array_equal(result.data, expected)
    assert result.metadata["napari_srgan"]["backend"] == "torch"
    assert sum("Torch instead of OpenVINO" in line for line in caplog.messages) == 1
    with pytest.raises(InputError, match="OpenVINO"):
        napari_srgan.upscale(image, gray, device="cpu", backend="openvino")


def test_openvino_is_refused_where_it_cannot_serve(monkeypatch, with_openvino):
    assert resolve_backend("auto", CPU) == "openvino"
    assert resolve_backend("auto", CPU, "bfloat16") == "torch"
    assert resolve_backend("auto", torch.device("cuda:0")) == "torch"
    with pytest.raises(InputError, match="no bfloat16 on this CPU"):
        resolve_backend("openvino", CPU, "bfloat16")
    with pytest.raises(InputError, match="not on cuda"):
        resolve_backend("openvino", torch.device("cuda:0"))
    monkeypatch.setattr(backends, "openvino_formats", lambda: ())
    with pytest.raises(InputError, match=r"napari-srgan\[cpu\]"):
        resolve_backend("openvino", CPU)


# --- threads and processes -----------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_threads_get_the_same_bits_from_one_network(gray, backend):
    """Windows below the frame and above it at once: each has its own border of zeros."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    network = WindowNetwork(load_model(gray).network, CPU, "float32", backend)
    windows = [unit(8 + 3 * k, 50 - 3 * k) for k in range(12)]
    expected = [network(window)[0] for window in windows]
    start = threading.Barrier(8)

    def work(thread):
        start.wait()
        return [network(windows[(k + thread) % 12])[0] for k in range(12)]

    with ThreadPoolExecutor(8) as pool:
        for thread, results in enumerate(pool.map(work, range(8))):
            for k, result in enumerate(results):
                assert np.array_equal(result, expected[(k + thread) % 12])


def restored(image, model):
    return napari_srgan.upscale(
        image, model, device="cpu", precision="float32", backend="torch"
    ).data


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_give_the_same_bits_after_the_network_was_used(gray, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    images = [(unit(40, 40 + k) * 255).astype(np.uint8) for k in range(4)]
    expected = [restored(image, gray) for image in images]  # so that torch has its threads
    with ProcessPoolExecutor(4, multiprocessing.get_context(method)) as pool:
        for result, wanted in zip(pool.map(restored, images, [gray] * 4), expected, strict=True):
            assert np.array_equal(result, wanted)


def backend_of(image, model):
    return napari_srgan.upscale(image, model, device="cpu").metadata["napari_srgan"]["backend"]


def test_a_forked_process_does_not_wait_for_the_threads_of_openvino(gray, with_openvino):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    image = (unit(20, 20) * 255).astype(np.uint8)
    assert backend_of(image, gray) == "openvino"
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert pool.submit(backend_of, image, gray).result(60) == "torch"


def test_openvino_tells_nobody_that_it_is_used(tmp_path):
    pytest.importorskip("openvino")
    # In continuous integration, which these variables show, it would tell nobody anyway.
    ours = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "SYSTEMROOT")}
    code = """
import sys, urllib.request
urllib.request.urlopen = lambda *_, **__: sys.exit("something was sent")
import napari_srgan.engine.backends.openvino
print(sorted(m for m in sys.modules if m.startswith("openvino_telemetry.")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=ours | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.glob("[iI]ntel*")), "no number of the user is made"
