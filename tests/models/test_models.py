import hashlib
import json
import pickle
import shutil
from dataclasses import replace

import pytest
import small_models
import torch
from safetensors.torch import save_file

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.models import catalogue as models
from napari_srgan.models import file
from napari_srgan.models.architectures.rrdb import RRDBNet
from napari_srgan.models.architectures.srresnet import SRResNet
from napari_srgan.models.card import card_rows
from napari_srgan.models.catalogue import (
    Card,
    add_model,
    list_models,
    load_model,
    look_at_model,
    model_for,
    read_card,
    save_model,
)


def card(name="mine", **changes):
    parameters = {"channels": 1, "blocks": 1, "features": 4, "scale": 4, "batch_norm": True}
    values = {
        "name": name,
        "architecture": "srresnet",
        "parameters": parameters,
        "channels": 1,
        "scale": (4, 4),
        "validation": ({"set": "here", "psnr": 30.0},),
    }
    return Card(**{**values, **changes})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture
def model_file(folder):
    network = SRResNet(1, 1, 4)
    return save_model(folder / "mine.safetensors", network, card()), network


def test_a_saved_model_comes_back_with_its_card_and_weights(model_file):
    path, network = model_file
    loaded = load_model("mine")
    assert loaded.card == card()
    assert loaded.path == path.resolve()
    x = torch.rand(1, 1, 9, 8)
    assert torch.equal(loaded.network(x), network.eval()(x))


def test_an_rrdb_model_comes_back_with_its_card_and_weights(folder):
    parameters = {"channels": 3, "blocks": 1, "features": 6, "growth": 3, "scale": 2}
    network = RRDBNet(**parameters)
    written = card("rrdb", architecture="rrdb", parameters=parameters, channels=3, scale=(2, 2))
    path = save_model(folder / "rrdb.safetensors", network, written)
    loaded = load_model(path)
    assert loaded.card == written and isinstance(loaded.network, RRDBNet)
    x = torch.rand(1, 3, 9, 8)
    assert torch.equal(loaded.network(x), network.eval()(x))


def test_half_precision_weights_compute_in_single(folder):
    save_model(folder / "half.safetensors", SRResNet(1, 1, 4).half(), card("half"))
    network = load_model("half").network
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_a_file_trained_anew_is_read_anew(model_file):
    path, _ = model_file
    before = load_model("mine").sha256
    save_model(path, SRResNet(1, 1, 4), card())
    assert load_model("mine").sha256 != before


def test_the_catalogue_lists_own_models_and_leaves_out_damaged_ones(model_file, folder):
    (folder / "broken.safetensors").write_bytes(b"nothing of the kind")
    names = [info.card.name for info in list_models()]
    assert "mine" in names
    assert "broken" not in names
    with pytest.raises(InputError, match="not a model file"):
        load_model("broken")


def test_an_own_file_cannot_take_over_a_bundled_name(folder):
    save_model(folder / "x.safetensors", SRResNet(1, 1, 4), card("srresnet-gray"))
    assert model_for("auto", rgb=False).bundled


def test_the_wrong_kind_of_image_is_refused_with_the_models_that_fit(model_file):
    with pytest.raises(InputError, match=r"RGB.*mine takes grayscale.*srresnet-rgb"):
        model_for("mine", rgb=True)
    assert model_for("auto", rgb=True).card.channels == 3


def test_an_unknown_name_lists_the_known(model_file):
    with pytest.raises(InputError, match=r"no model 'yours'.*mine"):
        load_model("yours")


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize("save", [lambda o, p: p.write_bytes(pickle.dumps(o)), torch.save])
def test_a_pickle_is_refused_and_not_run(folder, save):
    path = folder / "evil.safetensors"
    save(Evil(), path)
    with pytest.raises(InputError, match="pickle"):
        load_model(path)


@pytest.mark.parametrize("length", [0x1080, 0x4B50])
def test_a_header_whose_length_begins_like_a_pickle_is_read(model_file, length):
    path, _ = model_file
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].ljust(length)  # the format pads its header with spaces
    path.write_bytes(length.to_bytes(8, "little") + header + content[end:])
    assert path.read_bytes()[:2] in (b"\x80\x10", b"PK")
    assert load_model(path).card == card()


def test_damaged_files_are_refused_with_the_reason(model_file, folder):
    path, _ = model_file
    content = path.read_bytes()
    (folder / "cut.safetensors").write_bytes(content[:-100])
    with pytest.raises(InputError, match="damaged"):
        load_model(folder / "cut.safetensors")
    save_file({"a": torch.zeros(1)}, folder / "plain.safetensors")
    with pytest.raises(InputError, match="without a card"):
        load_model(folder / "plain.safetensors")
    save_model(folder / "other.safetensors", SRResNet(1, 2, 4), card("other"))
    with pytest.raises(InputError, match="damaged"):
        load_model("other")
    (folder / "empty.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="not a model file"):
        load_model(folder / "empty.safetensors")


def test_weights_that_are_not_finite_are_refused(folder):
    network = SRResNet(1, 1, 4)
    torch.nn.init.constant_(network.tail.weight, float("nan"))
    save_model(folder / "nan.safetensors", network, card("nan"))
    with pytest.raises(InputError, match="not finite"):
        load_model("nan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "swin"}, "newer"),
        ({"parameters": {"depth": 3}}, "no valid network"),
        ({"architecture": "rrdb"}, "no valid network"),
        ({"architecture": "rrdb", "parameters": {"blocks": 0}}, "no valid network"),
        ({"scale": (2, 2)}, "contradicts"),
    ],
)
def test_a_card_that_this_version_cannot_build_is_refused(folder, change, message):
    save_model(folder / "odd.safetensors", SRResNet(1, 1, 4), card("odd", **change))
    with pytest.raises(InputError, match=message):
        load_model("odd")


def test_a_card_from_a_later_version_is_read(tmp_path):
    values = json.loads(card().to_json()) | {"something_new": 1}
    assert Card.from_json(json.dumps(values)) == card()


@pytest.mark.parametrize("info", [i for i in list_models() if i.bundled], ids=lambda i: i.card.name)
def test_bundled_models_load_and_claim_to_be_of_use(info):
    card = load_model(info.card.name).card
    assert card.trained_on
    assert card.limits
    assert card.validation
    for entry in card.validation:
        if card.name.startswith("srresnet"):
            assert entry["psnr"] > entry["psnr_bicubic"]
            assert entry["ssim"] > entry["ssim_bicubic"]
        elif card.name.startswith("srgan") and "vgg22" in entry:
            # Sharper than what is true on average, which costs PSNR.
            assert entry["detail_db"] > entry["detail_db_bicubic"]
            assert entry["vgg22"] < entry["vgg22_bicubic"]


def test_reading_a_card_reads_no_weights(model_file):
    path, _ = model_file
    assert read_card(path) == card()
    assert models.user_folder() == path.parent


def test_a_card_is_read_once_as_long_as_its_file_stays_as_it_is(tmp_path, monkeypatch):
    path = small_models.save(tmp_path, "one", 1)
    read, header = [], file._read_header
    monkeypatch.setattr(file, "_read_header", lambda p: read.append(p) or header(p))
    assert read_card(path).purpose == read_card(path).purpose == "tests" and len(read) == 1
    network = load_model(path).network
    save_model(path, network, replace(read_card(path), purpose="other"))
    assert read_card(path).purpose == "other"
    path.write_bytes(b"{}")
    for _ in range(2):
        with pytest.raises(InputError, match="not a model file"):
            read_card(path)


def test_a_card_says_for_people_what_it_states(folder):
    figures = {"set": "nuclei", "psnr": 30.516, "psnr_bicubic": 29.25, "ssim": 0.9, "images": 3}
    written = card(
        purpose="nuclei",
        trained_on=("own scans (CC0)", "charts"),
        validation=(figures, {"set": "others", "psnr": None}),
        pixel_size=(0.5, 0.25),
        limits="none is known",
    )
    rows = dict(card_rows(written))
    assert rows["For"] == "nuclei" and rows["Limits"] == "none is known"
    assert rows["Trained on"] == "own scans (CC0)\ncharts"
    assert rows["Measured"] == "nuclei: PSNR 30.52 dB (bicubic 29.25), SSIM 0.900"
    assert (rows["Images"], rows["Scale"]) == ("gray", "4x")
    assert rows["Pixel size"] == "0.5 x 0.25 µm (Y x X)"
    wide = card(pixel_range=((0.5, 2.0), (0.25, 0.25)))
    assert models.Card.from_json(wide.to_json()) == wide
    assert dict(card_rows(wide))["Pixel size"].startswith("0.5 to 2 µm (Y), 0.25 to 0.25 µm (X)")
    bare = dict(card_rows(card(validation=())))
    assert "not stated" in bare["Trained on"] and "no figures" in bare["Measured"]
    assert "Limits" not in bare and "Pixel size" not in bare


def test_a_file_that_is_listed_already_is_left_as_it_is(folder, model_file):
    path, network = model_file
    (folder / "download").mkdir()
    same = folder / "download" / "other name.safetensors"
    same.write_bytes(path.read_bytes())
    before = path.stat().st_mtime_ns
    new = look_at_model(same)
    assert new.same and new.known.path == path
    assert new.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert add_model(same).path == path
    assert path.stat().st_mtime_ns == before
    bundled = models.find_model("srfast-gray")
    assert add_model(bundled.path) == bundled
    save_model(same, network, card(limits="trained anew"))
    assert look_at_model(same).known.path == path and not look_at_model(same).same
    with pytest.raises(OutputExists):
        add_model(same)
    assert add_model(same, overwrite=True).card.limits == "trained anew"


def test_a_file_that_changes_while_it_is_added_is_not_added(folder, monkeypatch):
    (folder / "run").mkdir()
    path = save_model(folder / "run" / "mine.safetensors", SRResNet(1, 1, 4), card())
    copy = shutil.copyfile

    def changed(source, target):
        copy(source, target)
        target.write_bytes(target.read_bytes() + b"\0")

    monkeypatch.setattr(shutil, "copyfile", changed)
    with pytest.raises(InputError, match="has changed while"):
        add_model(path)
    assert not (folder / "mine.safetensors").exists()


def test_a_mistyped_model_is_asked_about(folder):
    with pytest.raises(InputError, match=r"did you mean srgan-gray\?"):
        models.find_model("srgan-grey")
