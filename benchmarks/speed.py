"""How fast a call is, beside what others would run: all in one process, in turn, as ratios.

    python benchmarks/speed.py [--size 256] [--rounds 5] [--slices 6] [--device cpu|cuda]
        [--tables calls fresh stacks]

The peers are SRGAN's generator as published (16 blocks of 64 features, batch norm, PReLU, two
shuffles, a 9x9 tail; random weights) in eager torch and in the runtimes of the dependency group
`bench`. They are given a tensor and return one; our calls are whole: uint8 in, uint8 out, with
intensity range, border, rounding, consistency and record. A busy machine slows all of them, so each
round goes once through all, and medians are compared; CPU time stands beside wall time.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
import torch
from skimage import data
from torch import nn

import napari_srgan
from napari_srgan.engine import window
from napari_srgan.engine.plan import plan
from napari_srgan.engine.progress import drain
from napari_srgan.engine.run import Upscaler
from napari_srgan.io.open import open_stack
from napari_srgan.models.architectures import build
from napari_srgan.models.architectures.rewrite import for_inference
from napari_srgan.models.catalogue import Card, load_model, save_model
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import restore

SAMPLES = Path(__file__).parents[1] / "sample_data"
MODEL = "srresnet-gray"
PLAIN = ((64, 10), (32, 10), (32, 16))  # features, blocks
MATRIX = 2048
Call = Callable[[], object]

# OpenVINO reports to Intel that it was imported, unless this package is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
# A round goes through more networks than a user does, and all should be found ready.
window._KEPT = 100


class Block(nn.Sequential):
    """A residual block as published."""

    def __init__(self, features: int) -> None:
        super().__init__(
            nn.Conv2d(features, features, 3, padding=1),
            nn.BatchNorm2d(features),
            nn.PReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.BatchNorm2d(features),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Change features, (N, F, Y, X)."""
        return x + super().forward(x)


class Published(nn.Module):
    """SRResNet as Ledig et al. (arXiv 1609.04802) print it and repositories run it."""

    def __init__(self, channels: int = 1, blocks: int = 16, features: int = 64) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(channels, features, 9, padding=4), nn.PReLU())
        last = nn.Conv2d(features, features, 3, padding=1), nn.BatchNorm2d(features)
        self.body = nn.Sequential(*(Block(features) for _ in range(blocks)), *last)
        stages: list[nn.Module] = []
        for _ in range(2):
            wide = nn.Conv2d(features, 4 * features, 3, padding=1)
            stages += [wide, nn.PixelShuffle(2), nn.PReLU()]
        self.tail = nn.Sequential(*stages, nn.Conv2d(features, channels, 9, padding=4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge (N, C, Y, X) four times."""
        x = self.head(x)
        return self.tail(x + self.body(x))


# --- what is timed -------------------------------------------------------------------------------


def matrix_products(device: torch.device) -> dict[str, Call]:
    """What the machine can do at most."""

    def multiply(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b)[0, 0])  # which waits for a GPU

    calls: dict[str, Call] = {}
    for dtype in (torch.float32, torch.bfloat16):
        factors = (torch.rand(MATRIX, MATRIX, device=device).to(dtype) for _ in range(2))
        calls[f"matrix product {str(dtype)[6:]}"] = partial(multiply, *factors)
    return calls


def torch_peers(size: int, device: torch.device) -> dict[str, Call]:
    """The published network in torch."""

    def enlarge(network: Call, x: torch.Tensor) -> object:
        with torch.inference_mode():
            return network(x.to(device)).float().cpu()

    published = Published().eval().requires_grad_(False).to(device)
    x = torch.rand(1, 1, size, size)
    calls: dict[str, Call] = {"published, eager float32": partial(enlarge, published, x)}
    if device.type == "cuda":
        low = Published().eval().requires_grad_(False).to(device, torch.bfloat16)
        calls["published, eager bfloat16"] = partial(enlarge, low, x.bfloat16())
        calls["published, torch.compile float32"] = partial(enlarge, torch.compile(published), x)
        calls["published, torch.compile bfloat16"] = partial(
            enlarge, torch.compile(low), x.bfloat16()
        )
    return calls


def runtime_peers(size: int, folder: Path) -> dict[str, Call]:
    """The published network in ONNX Runtime and OpenVINO, read from one ONNX file.

    Not by OpenVINO's own converter of torch, which takes 12 s.
    """
    try:
        import onnxruntime
        import openvino
    except ImportError as error:
        sys.exit(f"{error}; pip install --group bench installs the peers.")
    x = torch.rand(1, 1, size, size)
    file = folder / "published.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the new exporter needs onnxscript
        torch.onnx.export(Published().eval(), (x,), file, dynamo=False, input_names=["x"])
    given = {"x": x.numpy()}
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    calls: dict[str, Call] = {
        "published, ONNX Runtime float32": lambda: session.run(None, given),
    }
    core = openvino.Core()
    for name, hint in (("float32", "f32"), ("bfloat16", "bf16")):
        settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(core.read_model(file), "CPU", settings)
        calls[f"published, OpenVINO {name}"] = partial(compiled.create_infer_request().infer, given)
    return calls


def our_calls(size: int, device: torch.device, folder: Path) -> dict[str, tuple[Call, str]]:
    """Whole calls, each with the model that it runs."""
    low = "float16" if device.type == "cuda" else "bfloat16"
    backends = ("torch",) if device.type == "cuda" else ("torch", "openvino")
    calls: dict[str, tuple[Call, str]] = {}
    pictures = images(size)
    models = [(MODEL, MODEL, name, p) for name in pictures for p in ("float32", low, "auto")]
    for features, blocks in PLAIN:
        path = str(save_plain(folder, features, blocks))
        models += [(path, f"plain {features} x {blocks}", "OCT", p) for p in ("float32", low)]
    for model, title, picture, precision in models:
        for backend in backends:
            call = partial(
                napari_srgan.upscale,
                pictures[picture],
                model,
                device=device.type,
                precision=precision,
                backend=backend,
            )
            calls[f"{title}, {picture}, {backend} {precision}"] = call, model
    return calls


def images(size: int) -> dict[str, np.ndarray]:
    """Pictures of that size: an OCT frame and a photograph."""
    pictures = {"OCT": oct_frame(), "photograph": data.camera()}
    return {name: cut(picture, size, size) for name, picture in pictures.items()}


def oct_frame() -> np.ndarray:
    """A frame of the bundled volume, uint8."""
    frame: np.ndarray = tifffile.imread(SAMPLES / "oct_volume_hr.tif")[0]
    return frame


def cut(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut a picture to that size, or continue it in a mirror."""
    missing = [(0, max(0, n - m)) for n, m in zip((height, width), picture.shape, strict=True)]
    return np.pad(picture, missing, mode="symmetric")[:height, :width]


def save_plain(folder: Path, features: int, blocks: int) -> Path:
    """Write a model of the fast architecture with random weights."""
    parameters = {"channels": 1, "blocks": blocks, "features": features, "scale": 4}
    name = f"plain-{features}x{blocks}"
    card = Card(name=name, architecture="plain", parameters=parameters, channels=1, scale=(4, 4))
    path = folder / f"{name}.safetensors"
    return save_model(path, build("plain", parameters), card)


# --- timing --------------------------------------------------------------------------------------


def medians(calls: Mapping[str, Call], rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of wall and CPU time of each; one round before them warms up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken = time.perf_counter() - wall, time.process_time() - cpu
            if number:
                times[name].append(taken)
    return {
        name: (statistics.median(w for w, _ in taken), statistics.median(c for _, c in taken))
        for name, taken in times.items()
    }


def operations(network: nn.Module, size: int) -> float:
    """Floating-point operations of all convolutions for an image of that size."""
    found: list[float] = []

    def count(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        found.append(2.0 * out.numel() * layer.weight[0].numel())

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        network(torch.rand(1, 1, 64, 64))
    for hook in hooks:
        hook.remove()
    return sum(found) * (size / 64) ** 2


# --- the tables ----------------------------------------------------------------------------------


def calls_table(options: argparse.Namespace, device: torch.device, folder: Path) -> None:
    """Print whole calls beside the peers."""
    size = options.size
    products = matrix_products(device)
    peers = torch_peers(size, device)
    if device.type == "cpu":
        peers |= runtime_peers(size, folder)
    ours = our_calls(size, device, folder)
    taken = medians(
        products | peers | {name: call for name, (call, _) in ours.items()}, options.rounds
    )
    rates = {name: 2 * MATRIX**3 / taken[name][0] for name in products}
    for name, rate in rates.items():
        print(f"{name}: {rate / 1e9:.0f} GFLOP/s")
    single, half = rates.values()
    published = operations(Published().eval(), size)
    counted = {m: operations(for_inference(load_model(m).network), size) for _, m in ours.values()}
    shown = [name.removeprefix("published, ") for name in peers]
    print(f"\n{size} x {size} uint8; time over that of the published network in ...")
    heads = "".join(f" {name:>{len(name)}}" for name in shown)
    print(f"{'':<44} {'ms':>6} {'CPU ms':>7}{heads} share of rate")
    for name in (*peers, *ours):
        wall, cpu = taken[name]
        work = counted[ours[name][1]] if name in ours else published
        rate = single if "float32" in name else half
        beside = "".join(
            f" {wall / taken[peer][0]:{len(head)}.3f}"
            for peer, head in zip(peers, shown, strict=True)
        )
        print(f"{name:<44} {1e3 * wall:6.0f} {1e3 * cpu:7.0f}{beside} {work / wall / rate:13.0%}")


FRESH = """
import time
start = time.perf_counter()
import sys
import numpy as np
import napari_srgan
image = np.load(sys.argv[1])
for _ in range(2):
    napari_srgan.upscale(image, "srresnet-gray", device=sys.argv[2])
    print(time.perf_counter() - start)
    start = time.perf_counter()
"""


def fresh_table(options: argparse.Namespace, device: torch.device, folder: Path) -> None:
    """Print what the first call of a process takes, imports included, and the second."""
    image = folder / "image.npy"
    np.save(image, images(options.size)["OCT"])
    command = [sys.executable, "-c", FRESH, str(image), device.type]
    runs = [
        [float(s) for s in subprocess.check_output(command, text=True).split()]
        for _ in range(options.rounds)
    ]
    first, second = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"\nfresh process, {MODEL}, auto: first call {first:.2f} s, second {second:.2f} s")


def stacks_table(chosen: argparse.Namespace, device: torch.device, folder: Path) -> None:
    """Print whole runs from a TIFF over the time of their network alone."""
    print(f"\n512 x 496 x {chosen.slices} from a TIFF, {MODEL}, auto; whole run over network alone")
    print(f"{'':<8} {'network s':>10} {'to memory':>10} {'to TIFF':>10}")
    frame = cut(oct_frame(), 512, 496)
    for dtype in (np.uint8, np.uint16):
        levels = np.iinfo(dtype).max // np.iinfo(frame.dtype).max
        planes = [
            np.roll(frame, 7 * n, axis=1).astype(dtype) * levels for n in range(chosen.slices)
        ]
        path = folder / f"stack-{np.dtype(dtype).name}.tif"
        tifffile.imwrite(path, np.array(planes, dtype), metadata={"axes": "ZYX"})
        options = RestoreOptions(model=MODEL, device=device.type)
        calls = {
            "network": network_alone(path, options),
            "memory": partial(to, None, path, options),
            "TIFF": partial(to, folder / "out.tif", path, options),
        }
        taken = medians(calls, chosen.rounds)
        alone = taken["network"][0]
        ratios = "".join(f" {taken[name][0] / alone:10.3f}" for name in ("memory", "TIFF"))
        print(f"{np.dtype(dtype).name:<8} {alone:10.2f}{ratios}")


def network_alone(path: Path, options: RestoreOptions) -> Call:
    """Compute as many windows of the same sizes as the run will, and nothing else."""
    planned = plan(open_stack(path), options)
    model = load_model(MODEL)
    upscaler = Upscaler(model, options.device)
    backend, precision = upscaler.ready()
    network = window.window_network(model, upscaler.device, precision, backend)
    sizes = [(t.ry1 - t.ry0, t.rx1 - t.rx0) for t in planned.tiles]
    units = [np.random.default_rng(0).random(size, np.float32) for size in sizes]

    def compute() -> None:
        for _ in planned.planes:
            for unit in units:
                network(unit)

    return compute


def to(target: Path | None, path: Path, options: RestoreOptions) -> None:
    drain(restore(open_stack(path), options, target, overwrite=True))


TABLES: dict[str, Callable[[argparse.Namespace, torch.device, Path], None]] = {
    "calls": calls_table,
    "fresh": fresh_table,
    "stacks": stacks_table,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--size", type=int, default=256, help="side of the LR image, px")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--slices", type=int, default=6, help="of the stack")
    arguments.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments.add_argument("--tables", nargs="+", default=[*TABLES], choices=[*TABLES])
    options = arguments.parse_args()
    device = torch.device(options.device)
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.tables:
            TABLES[name](options, device, Path(folder))


if __name__ == "__main__":
    main()
