"""`report` as it is typed, and its page: numbers, pictures, escaping, and nothing from outside."""

import base64
import html
import io
import json
import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from small_models import GRAY, PERCEPTUAL, RGB, restore_stack, save, save_both

from napari_srgan.api import upscale
from napari_srgan.cli import main
from napari_srgan.engine.progress import drain
from napari_srgan.engine.record import Record
from napari_srgan.errors import InputError
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.image.stack import Stack
from napari_srgan.models import catalogue as models
from napari_srgan.models.architectures.srresnet import SRResNet
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.report import gather as gathering
from napari_srgan.tasks.report.gather import gather
from napari_srgan.tasks.report.page import page
from napari_srgan.tasks.report.pictures import BYTES, LARGEST_SIDE, busiest, central_part
from napari_srgan.tasks.report.prepare import ReportRequest

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """The parts of a page that tests look at."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text("utf-8") if hasattr(path, "read_text") else path
        self.tags, self.addresses, self.open, self.texts = [], [], [], []
        self.figures, self.tables, self._figure, self._table = {}, {}, None, None
        self.feed(self.source)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.addresses += [v for k, v in attributes if k in ("src", "href", "xlink:href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)
        if "data-picture" in found:
            self._figure = found["data-picture"]
        if tag == "img" and self._figure:
            self.figures.setdefault(self._figure, []).append(found["src"])
        if tag == "table":
            self._table = self.tables.setdefault(found.get("id", len(self.tables)), [])
        if tag == "tr" and self._table is not None:
            self._table.append([])
        if tag in ("td", "th") and self._table is not None:
            self._table[-1].append(["", found.get("data-value")])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self._table = None if tag == "table" else self._table
        self._figure = None if tag == "figure" else self._figure

    def handle_data(self, data):
        self.texts.append(data)
        if self._table and self._table[-1] and self.open[-1] in ("td", "th"):
            self._table[-1][-1][0] += data

    @property
    def text(self):
        hidden = re.sub(r"<(style)>.*?</\1>|<[^>]*>", " ", self.source, flags=re.DOTALL)
        return " ".join(html.unescape(hidden).split())

    def image(self, name, number=0):
        """The pixels of a picture as they are seen; RGB for maps, which have a palette."""
        data = self.figures[name][number].partition("base64,")[2]
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        return np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)

    def rows(self, table):
        return {row[0][0]: row[1:] for row in self.tables[table]}


def run(*arguments):
    return main(["report", *map(str, arguments), "--device", "cpu"])


def scene(*shape, seed=0, rgb=False):
    random = np.random.default_rng(seed)
    last = (0,) if rgb else ()
    sigma = (*(0,) * (len(shape) - 2 - rgb), 3, 3, *last)
    image = gaussian_filter(random.normal(size=shape), sigma) + 0.02 * random.normal(size=shape)
    return (255 * (image - image.min()) / np.ptp(image)).astype(np.uint8)


def shrunk(stack):
    half = stack.reshape(-1, *stack.shape[-2:])
    planes = [
        np.asarray(Image.fromarray(p).resize((p.shape[1] // 4, p.shape[0] // 4), 3)) for p in half
    ]
    return np.stack(planes).reshape(*stack.shape[:-2], *planes[0].shape)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three slices as reference and as input, and small models; the reference has a pixel size."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models"
    folder.mkdir()
    save_both(folder)
    for name, degradation in (
        ("srgan-tiny", "bicubic"),
        ("srresnet-tiny", "bicubic"),
        ("restore-tiny", "measured"),
        ("odd-tiny", "unheard-of"),
    ):
        parameters = {"channels": 1, "blocks": 1, "features": 4, "scale": 4}
        card = models.Card(
            name=name,
            architecture="srresnet",
            parameters=parameters,
            channels=1,
            scale=(4, 4),
            degradation=degradation,
            limits="Not <good> for anything.",
            **PERCEPTUAL if name == "srgan-tiny" else {},
        )
        models.save_model(folder / f"{name}.safetensors", SRResNet(**parameters).eval(), card)
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(folder))
    truth = scene(3, 96, 128)
    low = shrunk(truth)
    for name, data, spacing in (("truth", truth, (1.5, 2.5)), ("low", low, (6.0, 10.0))):
        tifffile.imwrite(
            f"{name}.tif",
            data,
            imagej=True,
            resolution=(1 / spacing[1], 1 / spacing[0]),
            metadata={"axes": "ZYX", "unit": "um", "spacing": 120.0},
        )
    return {"truth": truth, "low": low, "folder": tmp_path}


def test_the_numbers_are_those_of_an_independent_computation(files):
    assert run("low.tif", "--reference", "truth.tif", "--model", GRAY, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    made = upscale(files["low"], GRAY, axes="ZYX", device="cpu").data
    both = {
        "bicubic": np.stack(
            [np.clip(np.rint(bicubic_enlarge(p, 4)), 0, 255).astype(np.uint8) for p in files["low"]]
        ),
        GRAY: made,
    }
    truth = files["truth"]

    def ssim(a, b):
        how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        return structural_similarity(a, b, data_range=255, **how)

    heads = [cell[0] for cell in seen.tables["stack"][0]]
    assert heads[1:3] == ["bicubic", GRAY]
    for column, candidate in enumerate(both.values()):
        difference = truth.astype(float) - candidate
        expected = {
            "PSNR (dB)": peak_signal_noise_ratio(truth, candidate, data_range=255),
            "PSNR, mean of slices (dB)": np.mean(
                [
                    peak_signal_noise_ratio(a, b, data_range=255)
                    for a, b in zip(truth, candidate, strict=True)
                ]
            ),
            "SSIM": np.mean([ssim(a, b) for a, b in zip(truth, candidate, strict=True)]),
            "MSE": np.mean(difference**2),
            "RMSE": np.sqrt(np.mean(difference**2)),
            "MAE": np.abs(difference).mean(),
            "Pearson": np.mean(
                [
                    np.corrcoef(a.ravel(), b.ravel())[0, 1]
                    for a, b in zip(truth, candidate, strict=True)
                ]
            ),
        }
        for name, value in expected.items():
            text, exact = seen.rows("stack")[name][column]
            assert float(exact) == pytest.approx(value, rel=1e-6), name
            assert float(text) == pytest.approx(
                value, rel=1e-3, abs=5.1e-3 if "dB" in name else 5.1e-5
            ), name
        for z in range(3):
            text, exact = seen.rows("slices")[f"Z={z}"][1 + column]
            value = peak_signal_noise_ratio(truth[z], candidate[z], data_range=255)
            assert float(exact) == pytest.approx(value, rel=1e-6)
            assert text == f"{value:.2f}"
    assert seen.rows("stack")["MS-SSIM"][0][0] == "–"  # 96 px are too few
    assert "data range 255" in seen.text
    # The better of both is marked, and only that.
    psnr = [float(exact) for _, exact in seen.rows("stack")["PSNR (dB)"][:2]]
    marked = re.search(
        r'PSNR \(dB\)</th><td class="number( best)?".*?<td class="number( best)?"', seen.source
    )
    assert [bool(m) for m in marked.groups()] == [psnr[0] > psnr[1], psnr[1] > psnr[0]]


def test_lpips_stands_among_the_measures_where_it_is_asked_for(files):
    torch = pytest.importorskip("torch")
    from napari_srgan.models.lpips import LPIPS

    torch.save(LPIPS("alex").state_dict(), "alex.pth")
    given = ("low.tif", "--reference", "truth.tif", "--model", GRAY, "-o", "r.html")
    assert run(*given, "--lpips-weights", "alex.pth") == 0
    cells = Page(files["folder"] / "r.html").rows("stack")["LPIPS Alex"]
    assert all(float(exact) > 0 for _, exact in cells[:2])
    assert run("low.tif", "--lpips-weights", "alex.pth", "-o", "s.html") == 2


def test_the_consistency_is_that_of_the_run_and_of_plain_shrinking(files):
    assert run("low.tif", "--model", GRAY, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    result = upscale(files["low"], GRAY, axes="ZYX", device="cpu")
    stated = result.metadata["napari_srgan"]["consistency"]["rmse_percent"]
    (row,) = (r for r in seen.tables[0] if r[0][0] == "Consistency")
    assert float(row[1][1]) == pytest.approx(stated, rel=1e-6)
    assert "does not mean true" in row[2][0]
    # Far from exact, since PIL shrinks integers: the same to within its rounding.
    again = shrunk(result.data).astype(float)
    rough = 100 * np.sqrt(np.mean((files["low"] - again) ** 2)) / 255
    assert stated == pytest.approx(rough, abs=0.2)
    assert not seen.tables.get("stack")
    per_slice = [float(cells[0][1]) for name, cells in seen.rows("slices").items() if "=" in name]
    assert np.sqrt(np.mean(np.square(per_slice))) == pytest.approx(stated, rel=1e-6)


def test_the_page_needs_nothing_from_outside(files):
    assert run("low.tif", "--reference", "truth.tif", "--model", "srgan-tiny", "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    assert len(seen.addresses) > 10
    outside = [a for a in seen.addresses if not a.startswith(("data:image/png;base64,", "#"))]
    assert outside == []
    assert {tag for tag, _ in seen.tags}.isdisjoint({"link", "iframe", "object", "base"})
    assert [found for tag, found in seen.tags if tag == "script"] == [{}]  # nothing that is loaded
    script = seen.source.partition("<script>")[2]
    assert not re.search(r"fetch|XMLHttp|import\(|sendBeacon|new (Image|WebSocket)", script)
    assert not re.search(r"@import|url\((?!#)", seen.source)
    # What is left of the web are names of namespaces, which nobody loads.
    assert set(re.findall(r"https?://[^\s\"'<)]*", seen.source)) <= {"http://www.w3.org/1999/xlink"}
    # References within curves lead to what is there, in that curve only.
    ids = [found["id"] for _, found in seen.tags if "id" in found]
    assert len(ids) == len(set(ids))
    assert {a[1:] for a in seen.addresses if a[0] == "#"} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", seen.source)) <= set(ids)
    assert len(seen.source) < 8e6
    assert {"input", "bicubic", "result", "reference", "consistency", "invention"} <= set(
        seen.figures
    )
    assert {"error", "difference-bicubic", "difference-result"} <= set(seen.figures)
    for word in ("For research use", "not measured", "Optimistic", "srresnet-tiny", "µm"):
        assert word in seen.text
    assert sum(tag == "svg" for tag, _ in seen.tags) == 5


def test_before_and_after_show_the_pictures_of_the_page_and_nothing_is_stored_twice(files):
    assert run("low.tif", "--reference", "truth.tif", "--model", GRAY, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    found = seen.source.partition('<div id="before-after" hidden>')[2].partition("<h3>Details")[0]
    left, right = re.findall(r"<select>(.*?)</select>", found)
    for offered, chosen in ((left, "bicubic"), (right, "result")):
        names = re.findall(r'<option value="(.*?)"', offered)
        assert names == ["input", "bicubic", "result", "reference"]
        assert set(names) <= set(seen.figures)
        assert re.findall(r'value="([a-z]*)" selected', offered) == [chosen]
    assert re.search(r'<input type="range"[^>]* aria-label="[^"]+"', found)
    assert "data:" not in found  # the script takes the pictures from their places above
    pictures = [a for a in seen.addresses if a.startswith("data:")]
    assert max(pictures.count(a) for a in pictures if len(a) > 2000) == 1


def test_the_pictures_are_the_data(files):
    arguments = ("low.tif", "--reference", "truth.tif", "--model", GRAY, "--show", 1)
    assert run(*arguments, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    assert "Shown is slice Z=1, of 3 slices" in seen.text
    made = upscale(files["low"], GRAY, axes="ZYX", device="cpu").data[1]
    lo, hi = np.percentile(files["low"][1], (0.1, 99.9))
    for name, plane in (
        ("input", files["low"][1]),
        ("result", made),
        ("reference", files["truth"][1]),
    ):
        shown = np.rint(255 * np.clip((plane.astype(float) - lo) / (hi - lo), 0, 1))
        np.testing.assert_array_equal(seen.image(name), shown)
    # In differences, red is too bright and blue too dark; both have one scale, with zero in white.
    difference = made.astype(float) - files["truth"][1]
    colours = seen.image("difference-result").astype(int)
    redder = colours[..., 0] - colours[..., 2]
    strong = np.abs(difference) > 10
    assert strong.any()
    assert (np.sign(redder[strong]) == np.sign(difference[strong])).all()
    ends = re.findall(r'class="bar"><span>([^<]*)</span>.*?<span>([-\d.e]+) stored', seen.source)
    assert len(ends) == 4
    assert all(float(a) in (0, -float(b)) for a, b in ends)
    assert ends[1] == ends[2] or ends[2] == ends[3]


def test_names_are_text_and_never_markup(files):
    name = "<b>x<i>&'\".tif"
    (files["folder"] / "low.tif").rename(files["folder"] / name)
    (files["folder"] / "truth.tif").rename(files["folder"] / "<script>t.tif")
    done = run(name, "--reference", "<script>t.tif", "--model", "srgan-tiny", "-o", "r.html")
    assert done == 0
    seen = Page(files["folder"] / "r.html")
    assert {"i", "good"}.isdisjoint(tag for tag, _ in seen.tags)
    assert sum(tag == "script" for tag, _ in seen.tags) == 1  # the page's own
    assert "<b>x" not in seen.source
    assert name in seen.text and "<script>t.tif" in seen.text and "Not <good> for" in seen.text


@pytest.mark.parametrize(
    ("source", "options"), [("SMITH_JOHN.fds.tif", ()), ("SMITH_JOHN.tif", ("--anonymise",))]
)
def test_a_patients_name_is_not_in_the_page(files, source, options):
    (files["folder"] / "low.tif").rename(files["folder"] / source)
    truth = "SMITH_JOHN_hr" + source.removeprefix("SMITH_JOHN")
    shifted = np.roll(files["truth"], 2, axis=2)  # so that a note names the reference
    tifffile.imwrite(truth, shifted, imagej=True, metadata={"axes": "ZYX"})
    assert run(source, "--reference", truth, "--model", GRAY, "-o", "r.html", *options) == 0
    seen = Page(files["folder"] / "r.html")
    assert "smith" not in seen.source.lower() and "john" not in seen.source.lower()
    assert len(set(re.findall("scan-[0-9a-f]{12}", seen.text))) == 2
    assert "a shift lowers all figures" in seen.text


def test_removed_signal_and_unknown_degradations(files):
    assert run("low.tif", "--model", "restore-tiny", "-o", "a.html") == 0
    seen = Page(files["folder"] / "a.html")
    assert "Removed signal" in seen.text and "structure in it was lost" in seen.text
    assert "Zero means not contradicted" not in seen.text
    assert "invention" not in seen.figures and "is not known for a model trained on" in seen.text
    assert run("low.tif", "--model", "odd-tiny", "-o", "b.html") == 0
    seen = Page(files["folder"] / "b.html")
    assert not {"consistency", "invention"} & set(seen.figures)
    assert "The degradation 'unheard-of' of the model odd-tiny is not known" in seen.text


def test_an_identical_image_is_infinite_and_never_crosses(files):
    made = upscale(files["low"], GRAY, axes="ZYX", device="cpu").data
    tifffile.imwrite("same.tif", made, imagej=True, metadata={"axes": "ZYX"})
    assert run("low.tif", "--reference", "same.tif", "--model", GRAY, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    assert seen.rows("stack")["PSNR (dB)"][1][0] == "∞"
    assert seen.rows("stack")["Slices that equal the reference"][1][0] == "3"
    axial, lateral = seen.rows("rings")[GRAY]
    # The reference has no pixel size, so that of the input counts, by the factor.
    assert re.fullmatch(r"no crossing down to 3\.\d+ µm", axial[0])
    assert re.fullmatch(r"no crossing down to 5\.\d+ µm", lateral[0])


def test_a_constant_slice_of_the_reference_has_no_error(files):
    truth = files["truth"].copy()
    truth[1] = 40
    tifffile.imwrite("gap.tif", truth, imagej=True, metadata={"axes": "ZYX"})
    assert run("low.tif", "--reference", "gap.tif", "--model", GRAY, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    cells = seen.rows("stack")
    name = next(key for key in cells if key.startswith("RSE, slice Z=1"))
    assert [cell[0] for cell in cells[name][:2]] == ["–", "–"]
    assert "It is not defined here, where the reference is constant." in seen.text
    assert (seen.image("error") == 128).all()


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes that are no text")
def test_a_file_name_that_is_no_text_is_spelled_out(files):
    name = os.fsdecode(b"eye \xff.tif")
    (files["folder"] / "low.tif").rename(name)
    assert run(name, "--model", GRAY, "-o", "r.html") == 0
    assert "eye \\udcff.tif" in (files["folder"] / "r.html").read_text("utf-8")


def test_a_name_is_no_formula(files):
    """The curves' legends hold names, which matplotlib would set as mathematics."""
    name = "m$_{$"
    save(models.user_folder(), name, 1, file="own.safetensors")
    assert run("low.tif", "--reference", "truth.tif", "--model", name, "-o", "r.html") == 0
    source = (files["folder"] / "r.html").read_text("utf-8")
    assert source.count(name) > 3


def test_a_part_of_the_slices_and_json(files, capsys):
    options = ("--slices", "1:3", "--model", GRAY, "--json")
    assert run("low.tif", "--reference", "truth.tif", "-o", "r.html", *options) == 0
    found = json.loads(capsys.readouterr().out)
    made = upscale(files["low"], GRAY, axes="ZYX", device="cpu").data[1:]
    expected = peak_signal_noise_ratio(files["truth"][1:], made, data_range=255)
    own = next(row for row in found["measures"] if row["candidate"] == GRAY)
    assert own["psnr"] == pytest.approx(expected, rel=1e-6)
    assert found["slices"] == 2 and found["shown"] == "slice Z=2"
    seen = Page(files["folder"] / "r.html")
    assert [row[0][0] for row in seen.tables["slices"][2:]] == ["Z=1", "Z=2"]
    assert "Z 1 to 2" in seen.text


def test_a_part_of_the_plane_is_compared_with_that_part(files):
    """A result of a region, as the window has it: the reference is that of the whole input."""
    low, truth = files["low"], files["truth"]
    region = {"Z": (1, 3), "Y": (4, 20), "X": (8, 28)}
    options = RestoreOptions(model=GRAY, device="cpu", region=region)
    made = drain(restore_stack(Stack(low, "ZYX", "low"), options))
    request = ReportRequest(
        stack=Stack(low, "ZYX", "low"),
        options=options,
        reference=Stack(truth, "ZYX", "truth"),
        result=Stack(made.data, "ZYX", "made"),
        result_region=region,
        record=Record.of(made.metadata),
        shown=(2,),
    )
    content = drain(gather(request))
    part = truth[1:3, 16:80, 32:112]
    whole = content.comparison.stack
    expected = peak_signal_noise_ratio(part, made.data, data_range=255)
    assert whole[GRAY].figures["psnr"] == pytest.approx(expected, rel=1e-9)
    # Bicubic knows what lies beside the region, as the model does.
    large = np.stack([np.clip(np.rint(bicubic_enlarge(p, 4)), 0, 255) for p in low])
    beside = large[1:3, 16:80, 32:112].astype(np.uint8)
    expected = peak_signal_noise_ratio(part, beside, data_range=255)
    assert whole["bicubic"].figures["psnr"] == pytest.approx(expected, rel=1e-9)
    assert content.slices == ("Z=1", "Z=2") and content.shown.label == "slice Z=2"
    assert {p.name: p.pixels.shape for p in content.shown.images}["reference"] == (64, 80)
    assert "Y 4 to 19" in Page(page(content)).text


def test_rgb_and_a_result_in_a_file(files, monkeypatch):
    truth = scene(96, 96, 3, rgb=True)
    low = np.asarray(Image.fromarray(truth).resize((24, 24), 3))
    Image.fromarray(truth).save("truth.png")
    Image.fromarray(low).save("low.png")
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)
    assert run("low.png", "--reference", "truth.png", "--model", RGB, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    np.testing.assert_array_equal(seen.image("reference"), truth)
    np.testing.assert_array_equal(seen.image("input"), low)
    made = upscale(low, RGB, axes="YXS", device="cpu").data
    np.testing.assert_array_equal(seen.image("result"), made)
    value = peak_signal_noise_ratio(truth, made, data_range=255)
    assert float(seen.rows("stack")["PSNR (dB)"][1][1]) == pytest.approx(value, rel=1e-6)
    assert not list(files["folder"].glob("*.partial"))


def test_an_output_is_refused_before_any_work(files, monkeypatch, capsys):
    def never(*_):
        raise AssertionError("work was begun")

    monkeypatch.setattr("napari_srgan.tasks.report.page.open_stack", never)
    there = files["folder"] / "r.html"
    there.write_text("mine")
    for output, word in (
        ("r.html", "--overwrite"),
        ("r.pdf", ".html"),
        ("nowhere/r.html", "does not exist"),
        ("models", "is a folder"),
    ):
        assert run("low.tif", "-o", output) == 2
        assert word in capsys.readouterr().err
    assert there.read_text() == "mine"


@pytest.mark.parametrize("where", ["compare", "page"])
def test_ctrl_c_leaves_the_old_page_and_nothing_else(files, monkeypatch, where):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(gathering, "IN_MEMORY", 0)
    if where == "compare":
        monkeypatch.setattr(gathering, "compare", interrupted)
    else:
        monkeypatch.setattr("os.fsync", interrupted)
    (files["folder"] / "r.html").write_text("old")
    before = sorted(files["folder"].rglob("*"))
    options = ("--reference", "truth.tif", "--model", GRAY, "-o", "r.html", "--overwrite")
    assert run("low.tif", *options) == 130
    assert sorted(files["folder"].rglob("*")) == before
    assert (files["folder"] / "r.html").read_text() == "old"


def test_closing_the_work_removes_the_result(files, monkeypatch, tmp_path):
    monkeypatch.setattr(gathering, "IN_MEMORY", 0)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    steps = gather(
        ReportRequest(
            stack=Stack(files["low"], "ZYX", "low"),
            options=RestoreOptions(model=GRAY, device="cpu"),
            page=scratch / "page.html",
        )
    )
    next(steps)
    assert list(scratch.iterdir())
    steps.close()
    assert not list(scratch.iterdir())


def test_mistakes_are_sentences(files, capsys):
    holes = files["low"].astype(np.float32)
    holes[1, 2, 3] = np.nan
    for name, data in (
        ("half", files["truth"][:, :48, :64]),
        ("dark", np.zeros((3, 96, 128), np.uint16)),
        ("holes", holes),
    ):
        tifffile.imwrite(f"{name}.tif", data, imagej=True, metadata={"axes": "ZYX"})
    for arguments, words in (
        (("low.tif", "--reference", "half.tif"), "give the reference of that size"),
        (("low.tif", "--reference", "low.tif"), "give the reference of that size"),
        (("low.tif", "--reference", "dark.tif"), "to refer to: choose another reference, or leave"),
        (("low.tif", "--show", "7"), "not among the slices"),
        (("low.tif", "--border", "4"), "compared with --reference; add that or leave"),
        (("low.tif", "--reference", "truth.tif", "--mode", "y"), "low.tif is gray, and --mode y"),
        (("holes.tif", "--nan", "fill", "--reference", "truth.tif"), "leave --reference out"),
    ):
        assert run(*arguments, "--model", GRAY, "-o", "r.html") == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
        assert not (files["folder"] / "r.html").exists()
    # Without a reference, holes are shown as what is not known.
    assert run("holes.tif", "--nan", "fill", "--model", GRAY, "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    grays = (seen.image("consistency") == 128).all(axis=2)
    assert grays[2, 3] and grays.mean() < 0.1


@pytest.mark.parametrize(
    ("height", "width", "per_pixel"),
    [(8, 8, 3), (112, 225, 6), (2048, 2048, 6), (100, 5000, 6), (5000, 100, 15), (301, 299, 3)],
)
def test_what_is_shown_stays_small_and_in_the_middle(height, width, per_pixel):
    part = central_part(height, width, (4, 4), per_pixel)
    rows, cols = part.shape
    assert max(rows, cols) <= LARGEST_SIDE and rows * cols * per_pixel <= BYTES
    assert abs((part.y0 + part.y1) - height) <= 1 and abs((part.x0 + part.x1) - width) <= 1
    # No smaller than need be: one LR row and column more would be too much, or is not there.
    more = (rows + 4) * (cols + 4) * per_pixel > BYTES
    assert more or all(
        n == 4 * whole or n + 4 > LARGEST_SIDE
        for n, whole in zip((rows, cols), (height, width), strict=True)
    )


def test_a_part_of_a_large_slice_is_named(files):
    low = np.random.default_rng(1).integers(0, 256, (320, 340)).astype(np.uint8)
    tifffile.imwrite("large.tif", low)
    assert run("large.tif", "--model", "restore-tiny", "-o", "r.html") == 0
    seen = Page(files["folder"] / "r.html")
    assert len(seen.source) < 8e6
    assert (
        "1280 x 1360 px after super-resolution; shown is its middle, rows 40 to 1239" in seen.text
    )
    assert seen.image("result").shape == (1200, 1200)
    np.testing.assert_array_equal(seen.image("input").shape, (300, 300))


def test_the_details_are_where_the_images_differ():
    first = np.zeros((200, 240))
    second = first.copy()
    second[120:130, 180:190] = 9.0
    window = busiest(first, second, (4, 4))
    assert window.y0 * 4 <= 120 and window.y1 * 4 >= 130
    assert window.x0 * 4 <= 180 and window.x1 * 4 >= 190
    assert window.high(first).shape == window.shape == (48, 60)


def test_a_stale_result_has_no_invention_map(files):
    stack = Stack(files["low"], "ZYX", "low")
    options = RestoreOptions(model="srgan-tiny", device="cpu")
    made = drain(restore_stack(stack, options))
    record = replace(Record.of(made.metadata), weights_sha256="0" * 64)
    result = Stack(made.data, "ZYX")
    request = ReportRequest(stack=stack, options=options, result=result, record=record)
    content = drain(gather(request))
    assert [p.name for p in content.shown.maps] == ["consistency"]
    assert "trained anew" in content.shown.notes[0]
    with pytest.raises(InputError, match="not among those"):
        drain(gather(ReportRequest(stack=stack, options=options, shown=(5,))))
