"""Models for other programs: ONNX Runtime computes what torch does, and a package is complete."""

import hashlib
import io
import json
import sys
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
import small_models
import torch

from napari_srgan.cli import main
from napari_srgan.errors import InputError
from napari_srgan.models.architectures import build
from napari_srgan.models.card import Card
from napari_srgan.models.catalogue import load_model, save_model
from napari_srgan.tasks import export as task
from napari_srgan.tasks.export import export
from napari_srgan.tasks.steps import drain


def saved(folder, architecture, channels=1, **sizes):
    parameters = {"channels": channels, "blocks": 1, "features": 8, **sizes}
    torch.manual_seed(0)
    network = build(architecture, parameters).eval()
    card = Card(
        name=architecture,
        architecture=architecture,
        parameters=parameters,
        channels=channels,
        scale=network.scale,
        purpose="tests",
    )
    return save_model(folder / f"{architecture}.safetensors", network, card)


@pytest.mark.parametrize(
    ("architecture", "sizes"),
    [
        ("srresnet", {"batch_norm": True, "channels": 3}),
        ("plain", {"lateral": True, "scale": 3}),
        ("rcan", {"groups": 1, "features": 16, "scale": 2}),
    ],
)
def test_onnx_runtime_computes_what_torch_does_for_images_of_any_size(
    tmp_path, architecture, sizes
):
    path = saved(tmp_path, architecture, **sizes)
    made = drain(export(path, tmp_path / "m.onnx"))
    assert made.path == tmp_path / "m.onnx" and made.nbytes == made.path.stat().st_size
    session = onnxruntime.InferenceSession(made.path)
    network = load_model(path).network
    for n, y, x in ((1, 11, 30), (3, 24, 9)):
        lr = np.random.default_rng(0).random((n, network.channels, y, x), np.float32)
        (sr,) = session.run(None, {"lr": lr})
        with torch.no_grad():
            expected = network(torch.from_numpy(lr)).numpy()
        np.testing.assert_allclose(sr, expected, atol=1e-4)
    about = {p.key: p.value for p in onnx.load(made.path).metadata_props}
    assert Card.from_json(about["napari_srgan"]).name == architecture
    assert about["weights_sha256"] == load_model(path).sha256
    assert float(about["largest_difference_to_torch"]) == pytest.approx(made.difference, rel=0.06)


def test_a_package_says_what_the_zoo_wants_to_know(tmp_path):
    path = saved(tmp_path, "plain", 3, lateral=True)
    drain(export(path, tmp_path / "m.zip", licence="CC0-1.0"))
    with zipfile.ZipFile(tmp_path / "m.zip") as package:
        files = {name: package.read(name) for name in package.namelist()}
    about = json.loads(files["rdf.yaml"])
    (given,), (made,) = about["inputs"], about["outputs"]
    assert about["license"] == "CC0-1.0" and about["documentation"] in files
    for part in (given["test_tensor"], made["test_tensor"], about["weights"]["onnx"]):
        assert hashlib.sha256(files[part["source"]]).hexdigest() == part["sha256"]
    # By its reference, the size of an output axis is that of the input over the output's scale.
    halo = load_model(path).network.halo
    assert [(a["scale"], a["halo"]) for a in made["axes"][2:]] == [(1, halo), (1 / 4, 4 * halo)]
    lr, sr = (np.load(io.BytesIO(files[t["test_tensor"]["source"]])) for t in (given, made))
    assert lr.shape[:2] == (1, 3) and sr.shape == (1, 3, lr.shape[2], 4 * lr.shape[3])
    assert min(lr.shape[2:]) >= given["axes"][2]["size"]["min"] > 2 * halo
    how = given["preprocessing"][0]["kwargs"]
    low, high = np.percentile(lr, [how["min_percentile"], how["max_percentile"]])
    unit = ((lr - low) / (high - low + how["eps"])).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(files["weights.onnx"]).run(None, {"lr": unit})
    np.testing.assert_array_equal(sr, expected)


def test_the_command_writes_it_and_says_how_near_it_is(tmp_path, capsys):
    path = small_models.save(tmp_path, "tiny", 1)
    assert main(["export", str(path), str(tmp_path / "m.onnx")]) == 0
    assert "ONNX Runtime differs from torch by" in capsys.readouterr().out
    assert main(["export", str(path), str(tmp_path / "m.onnx")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", str(path), str(tmp_path / "m.zip")]) == 2
    assert "--licence" in capsys.readouterr().err
    assert main(["export", str(path), str(tmp_path / "m.pt")]) == 2
    assert ".onnx" in capsys.readouterr().err
    assert not (tmp_path / "m.zip").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(tmp_path, monkeypatch, package):
    path = small_models.save(tmp_path, "tiny", 1)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"{package}, .*napari-srgan\[export\]"):
        drain(export(path, tmp_path / "m.onnx"))


def test_what_differs_from_torch_is_not_written(tmp_path, monkeypatch):
    path = small_models.save(tmp_path, "tiny", 1)
    monkeypatch.setattr(task, "_by_onnx", lambda _, lr: np.repeat(lr, 4, 2).repeat(4, 3))
    with pytest.raises(InputError, match="difference"):
        drain(export(path, tmp_path / "m.onnx"))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_closing_it_leaves_nothing(tmp_path):
    path = small_models.save(tmp_path, "tiny", 1)
    steps = export(path, tmp_path / "m.onnx")
    next(steps)
    steps.close()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
