"""Backends: equal to torch in float32, free of state, and absent without harm."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import small_models
import torch

import napari_srgan
from napari_srgan.engine import window
from napari_srgan.engine.backends import resolve_backend
from napari_srgan.engine.plan import plan
from napari_srgan.engine.progress import drain
from napari_srgan.engine.run import Upscaler
from napari_srgan.engine.window import WindowNetwork
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.models.catalogue import load_model
from napari_srgan.options import RestoreOptions

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return small_models.save(tmp_path_factory.mktemp("m"), "gray", 1, features=8)


def unit(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


# --- threads and processes -----------------------------------------------------------------------


def test_threads_get_the_same_bits_from_one_network(gray):
    network = WindowNetwork(load_model(gray).network, CPU, "float32", "torch")
    small_models.assert_threads_agree(network)


def test_threads_share_upscalers_while_some_runs_are_cancelled(gray, tmp_path):
    rgb = small_models.save(tmp_path, "rgb", 3, features=8)
    plans = [
        plan(
            Stack((unit(30 + k, 40, *samples) * 255).astype(np.uint8)),
            RestoreOptions(model=model, device="cpu", precision="float32", tile=16),
        )
        for k in range(4)
        for model, samples in ((gray, ()), (rgb, (3,)))
    ]
    shared = [Upscaler.of(planned) for planned in plans[:2]]
    expected = [drain(shared[k % 2].run(planned)).data for k, planned in enumerate(plans)]

    def work(thread):
        for k in range(8):
            i = (k + thread) % 8
            run = shared[i % 2].run(plans[i])
            if (k + thread // 2) % 3 == 0:
                next(run)
                run.close()
            elif not np.array_equal(drain(run).data, expected[i]):
                return i
        return None

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [None] * 8


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


def test_a_process_forked_while_a_network_is_built_does_not_wait_for_it(gray, monkeypatch):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    image = (unit(30, 30) * 255).astype(np.uint8)
    expected = restored(image, gray)
    real, parent = window.WindowNetwork, os.getpid()
    begun, go_on = threading.Event(), threading.Event()

    def slow(*how):
        if os.getpid() == parent:
            begun.set()
            go_on.wait(60)
        return real(*how)

    monkeypatch.setattr(window, "WindowNetwork", slow)
    monkeypatch.setattr(window, "_networks", {})
    thread = threading.Thread(target=restored, args=(image, gray))
    thread.start()
    try:
        assert begun.wait(30)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            result = pool.apply_async(restored, (image, gray)).get(timeout=30)
    finally:
        go_on.set()
        thread.join()
    assert np.array_equal(result, expected)


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


def test_openvino_in_a_process_of_its_own():
    """See there why; as many of its tests as there are must have run."""
    pytest.importorskip("openvino")
    alone = Path(__file__).with_name("openvino_alone.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, str(alone)], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0 and "34 passed" in done.stdout, done.stdout[-3000:]


def test_auto_is_torch_and_openvino_that_is_absent_is_a_sentence(gray, monkeypatch):
    assert resolve_backend("auto", CPU) == resolve_backend("torch", CPU) == "torch"
    with pytest.raises(InputError, match=r"napari-srgan\[cpu\]"):
        napari_srgan.upscale(np.zeros((9, 9), np.uint8), gray, backend="openvino")
