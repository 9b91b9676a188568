"""Run commands side by side into the same outputs and kill them; every file must stay whole.

    python scripts/stress_outputs.py race --minutes 5     # 20 processes, 5 outputs, random kills
    python scripts/stress_outputs.py kill --kills 100     # one run at a time, killed at any moment
    python scripts/stress_outputs.py resume --kills 30    # the same with --resume

`race`: every output that is there holds the result of one input, pixel by pixel, whenever it is
looked at; every run either succeeds, or was killed, or says in one sentence why it did not write;
after a last run into each output nothing else is in the folder but what such sentences name.
`kill`: a file of every kind is replaced by a run that is killed; it is then the old one, byte by
byte, or the new one, whole; and the next run leaves no trace of the killed one.
`resume`: a run is killed and gone on with until it is done, as TIFF, OME-TIFF, .npy and OME-Zarr
of both versions, and as shares of a store by two jobs at once; the result is, byte by byte, that of
a run that nothing disturbs, and nothing else is left.

It ends with exit code 1 and the cause if any of that does not hold. A network of few weights makes
runs short, and processes are forked from one that has everything imported, so that a kill meets
the work and not the start of Python. It needs fork, which Windows does not have.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # a process with other threads must not be forked
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import small_models  # noqa: E402
import tifffile  # noqa: E402

import napari_srgan.engine.record  # noqa: E402
import napari_srgan.engine.run  # noqa: E402
import napari_srgan.io.sinks.file  # noqa: E402
import napari_srgan.tasks.cluster  # noqa: E402
import napari_srgan.tasks.compare  # noqa: E402
import napari_srgan.tasks.report.page  # noqa: E402
from napari_srgan.cli import main as command  # noqa: E402
from napari_srgan.io.open import open_stack  # noqa: E402

INPUTS = 4
SHAPE = (6, 40, 48)
OUTPUTS = ("a.tif", "b.ome.tif", "c.npy", "d.png", "e.tif")
LOST = ("is being written by another run", "has appeared while", "has changed while",
        "exists already", "is already there")  # fmt: skip
KEPT = re.compile(r"waits beside it as (\S+)\.$", re.MULTILINE)


class Failure(Exception):
    """A promise that was not kept."""


@dataclass
class Child:
    """A command that runs in a process of its own, and when it is to be killed."""

    typed: Sequence[str]
    pid: int
    log: Path
    killed_at: float

    def said(self) -> str:
        """Give all that it printed."""
        return self.log.read_text("utf-8")


def fork(work: Callable[[], int], log: Path) -> int:
    """Do work in a process of its own that prints into a file; return its id."""
    log.touch()  # a process that is killed at once leaves it empty
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


class Workplace:
    """A folder of inputs, models and what is to come of the inputs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self._logs = 0
        for name in ("out", "logs", "models"):
            (folder / name).mkdir()
        os.environ["NAPARI_SRGAN_MODELS"] = str(folder / "models")
        os.environ["XDG_DATA_HOME"] = str(folder / "data")
        for i in range(INPUTS):
            pixels = np.random.default_rng(i).integers(0, 256, SHAPE).astype(np.uint8)
            tifffile.imwrite(folder / f"{i}.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
        self.wait(fork(self._save_models, folder / "logs" / "models"))
        self.expected = [self._result(i) for i in range(INPUTS)]

    def start(self, typed: Sequence[str], kill_after: float | None = None) -> Child:
        """Start a command."""
        self._logs += 1
        log = self.folder / "logs" / str(self._logs)
        pid = fork(lambda: command(typed), log)
        due = float("inf") if kill_after is None else time.monotonic() + kill_after
        return Child(typed, pid, log, due)

    def wait(self, pid: int) -> int:
        """Wait for a process that has to succeed."""
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            raise Failure(f"a run that nothing disturbs ended with {code}")
        return code

    def upscale(self, i: int, target: Path, overwrite: bool = True) -> list[str]:
        """Give the command that upscales input `i` in several tiles; of it a PNG holds a plane."""
        part = ["--slices", "0:1"] if target.suffix == ".png" else []
        typed = ["upscale", str(self.folder / f"{i}.tif"), str(target), "--model", "tiny-gray"]
        typed += ["--device", "cpu", "--tile", "16", *part]
        return typed + ["--overwrite"] * overwrite

    def which(self, path: Path) -> int:
        """Say of which input a file is the result; Failure if of none, or of several."""
        # A copy, since a run that replaces the file between two reads is refused, and rightly.
        look = self.folder / f"look {path.name}"
        look.write_bytes(path.read_bytes())
        try:
            pixels = np.asarray(open_stack(look).data[...]).squeeze()
        except Exception as error:
            raise Failure(f"{path.name} is not whole: {error}") from error
        for i, whole in enumerate(self.expected):
            if np.array_equal(pixels, whole if pixels.ndim == 3 else whole[0]):
                return i
        raise Failure(f"{path.name} is of no one run")

    def others(self, *known: str) -> set[str]:
        """Name what else lies in the folder of outputs."""
        return {path.name for path in self.out.iterdir()} - set(known)

    def _save_models(self) -> int:
        small_models.save(self.folder / "models", "tiny-gray", 1)
        for i in range(INPUTS):
            path = small_models.save(self.folder, "added", 1, features=4 + i, file="{}.safetensors")
            path.rename(self.folder / f"model{i}.safetensors")
        return 0

    def _result(self, i: int) -> np.ndarray:
        path = self.folder / f"expected{i}.npy"
        self.wait(self.start(self.upscale(i, path)).pid)
        return np.load(path)


def race(place: Workplace, seconds: float, processes: int, rng: random.Random) -> Counter[str]:
    """Let runs compete for outputs."""
    seen: Counter[str] = Counter()
    alive: list[Child] = []
    named: set[str] = set()
    until = time.monotonic() + seconds
    while alive or time.monotonic() < until:
        while len(alive) < processes and time.monotonic() < until:
            target = place.out / rng.choice(OUTPUTS)
            kill = rng.uniform(0, 0.03 * processes) if rng.random() < 0.5 else None
            typed = place.upscale(rng.randrange(INPUTS), target, rng.random() < 0.8)
            alive.append(place.start(typed, kill))
            seen["runs"] += 1
        for child in list(alive):
            if time.monotonic() > child.killed_at:
                os.kill(child.pid, signal.SIGKILL)
                child.killed_at = float("inf")
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            alive.remove(child)
            seen[ended(child, os.waitstatus_to_exitcode(status))] += 1
            named |= set(KEPT.findall(child.said()))
            child.log.unlink()
        for name in OUTPUTS:
            if (place.out / name).exists():
                place.which(place.out / name)
                seen["looks"] += 1
        time.sleep(0.005)
    seen["left by killed runs"] = len(place.others(*OUTPUTS, *named))
    for name in OUTPUTS:
        place.wait(place.start(place.upscale(0, place.out / name)).pid)
        if place.which(place.out / name) != 0:
            raise Failure(f"{name} is not of the last run")
    if place.others(*OUTPUTS, *named):
        raise Failure(f"left behind: {', '.join(sorted(place.others(*OUTPUTS, *named)))}")
    seen["kept and named"] = len(named)
    return seen


def ended(child: Child, code: int) -> str:
    """Say how a run ended; Failure if it did not say so itself."""
    said = child.said()
    if code == -signal.SIGKILL:
        return "killed"
    if code == 0 and child.typed[2] in said:
        return "done"
    if code == 2 and said.count("\n") == 1 and any(reason in said for reason in LOST):
        return "refused, and said so"
    raise Failure(f"{' '.join(child.typed)} ended with {code} and said: {said}")


def kill(place: Workplace, kills: int, rng: random.Random) -> Counter[str]:
    """Kill runs that replace a file, one after the other, over all kinds of files."""
    seen: Counter[str] = Counter()
    kinds = [Kind(place, name) for name in (*OUTPUTS[:4], "t.csv", "p.html", "added.safetensors")]
    turns = itertools.cycle(kinds)
    while seen["killed"] < kills:  # runs that were faster do not count
        kind = next(turns)
        before = kind.path.read_bytes()
        child = place.start(kind.typed(1), rng.uniform(0, kind.seconds))
        while not (done := os.waitpid(child.pid, os.WNOHANG))[0]:
            if time.monotonic() > child.killed_at:
                os.kill(child.pid, signal.SIGKILL)
                done = os.waitpid(child.pid, 0)
                break
            time.sleep(0.001)
        code = os.waitstatus_to_exitcode(done[1])
        if code not in (0, -signal.SIGKILL):
            raise Failure(f"{kind.path.name}: a run ended with {code}: {child.said()}")
        seen["killed" if code else "was faster"] += 1
        if kind.path.read_bytes() == before:
            seen[f"{kind.path.name}: old"] += 1
        elif kind.holds(1):
            seen[f"{kind.path.name}: new"] += 1
        else:
            raise Failure(f"{kind.path.name} is neither the old file nor the new one")
        seen["left by killed runs"] += len(kind.others())
        place.wait(place.start(kind.typed(0)).pid)
        if kind.others() or not kind.holds(0):
            raise Failure(f"{kind.path.name}: the next run left {kind.others()}")
    return seen


class Kind:
    """A kind of output: how it is made of input 0 or 1, and how one sees that it is whole."""

    def __init__(self, place: Workplace, name: str) -> None:
        self._place = place
        self.path = (place.folder / "models" if "safetensors" in name else place.out) / name
        self._whole: dict[int, bytes] = {}
        for i in (1, 0):
            started = time.monotonic()
            place.wait(place.start(self.typed(i)).pid)
            self.seconds = time.monotonic() - started
            self._whole[i] = self.path.read_bytes()

    def typed(self, i: int) -> list[str]:
        """Give the command."""
        folder, source = self._place.folder, str(self._place.folder / f"{i}.tif")
        if self.path.suffix == ".csv":
            truth = str(folder / "2.tif")
            return ["compare", truth, source, "--csv", str(self.path), "--overwrite"]
        if self.path.suffix == ".html":
            typed = ["report", source, "-o", str(self.path), "--overwrite"]
            return [*typed, "--model", "tiny-gray", "--device", "cpu"]
        if self.path.suffix == ".safetensors":
            return ["models", "add", str(folder / f"model{i}.safetensors"), "--overwrite"]
        return self._place.upscale(i, self.path)

    def holds(self, i: int) -> bool:
        """Whether the file is whole, and that of input `i`."""
        found = self.path.read_bytes()
        if self.path.suffix == ".html":  # it holds the time
            return f"{i}.tif".encode() in found and found.rstrip().endswith(b"</html>")
        if self.path.name in OUTPUTS:
            return self._place.which(self.path) == i
        return found == self._whole[i]

    def others(self) -> set[str]:
        """Name what lies beside the file and belongs to it."""
        return {p.name for p in self.path.parent.iterdir() if self.path.name in p.name} - {
            self.path.name
        }


RESUMED = ("r.tif", "r.ome.tif", "r.npy", "r.zarr", "r5.zarr", "shared.zarr")


def resume(place: Workplace, kills: int, rng: random.Random) -> Counter[str]:
    """Kill runs that go on where the one before was killed, over all kinds of files."""
    seen: Counter[str] = Counter()
    for number, name in enumerate(RESUMED, 1):
        path, shared = place.out / name, name.startswith("shared")
        typed = [*place.upscale(0, path, overwrite=False), "--precision", "float32"]
        typed += ["--ome-zarr", "0.5"] * name.startswith("r5")
        started = time.monotonic()
        place.wait(place.start(typed).pid)
        seconds, expected = time.monotonic() - started, bytes_of(path)
        remove(path)
        jobs = [[*typed, "--slice-of", f"{k}/2"] for k in (1, 2)] if shared else []
        quota = kills * number // len(RESUMED)
        while seen["killed"] < quota:  # a run that was faster begins anew
            if shared:
                place.wait(place.start([*typed, "--prepare"]).pid)
            todo = jobs or [[*typed, "--resume"]]
            while todo:
                kill = seen["killed"] < quota
                due = [rng.uniform(0, seconds) if kill else None for _ in todo]
                running = [place.start(job, at) for job, at in zip(todo, due, strict=True)]
                killed = [killed_or_done(child) for child in running]
                seen["killed"] += sum(killed)
                seen["gone on with"] += any(killed)
                todo = [job for job, again in zip(todo, killed, strict=True) if again]
            if shared:
                place.wait(place.start([*typed, "--finish"]).pid)
            if bytes_of(path) != expected:
                raise Failure(f"{name} is not what a run gives that nothing disturbs")
            if place.others(name):
                raise Failure(f"left behind: {', '.join(sorted(place.others(name)))}")
            seen[f"{name}: the same bytes"] += 1
            remove(path)
    return seen


def killed_or_done(child: Child) -> bool:
    """Kill a run when it is due, and say whether that was before its end."""
    while not (done := os.waitpid(child.pid, os.WNOHANG))[0]:
        if time.monotonic() > child.killed_at:
            os.kill(child.pid, signal.SIGKILL)
            done = os.waitpid(child.pid, 0)
            break
        time.sleep(0.001)
    code = os.waitstatus_to_exitcode(done[1])
    if code not in (0, -signal.SIGKILL):
        raise Failure(f"{' '.join(child.typed)} ended with {code} and said: {child.said()}")
    return bool(code)


def bytes_of(path: Path) -> dict[str, bytes]:
    """Read a file, or all files of a folder, without the UUID that OME-TIFF has for each file."""
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    uuid = re.compile(rb"urn:uuid:[0-9a-f-]{36}")
    return {str(p.relative_to(path)): uuid.sub(b"", p.read_bytes()) for p in files}


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


class Then(datetime):
    """A clock that stands: results hold the time."""

    @classmethod
    def now(cls, tz=None):
        """Give always the same moment."""
        return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)


def main(typed: Sequence[str] | None = None) -> int:
    """Do what was asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("race", "kill", "resume"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(typed)
    rng = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        place = Workplace(Path(folder))
        try:
            if chosen.what == "race":
                seen = race(place, 60 * chosen.minutes, chosen.processes, rng)
            elif chosen.what == "resume":
                # Before processes are forked: every plane is marked, at one moment.
                napari_srgan.io.sinks.file.FLUSHED_EVERY = 0.0
                napari_srgan.engine.record.datetime = Then
                seen = resume(place, chosen.kills, rng)
            else:
                seen = kill(place, chosen.kills, rng)
        except Failure as failure:
            print(f"FAILED: {failure}")
            return 1
    for name, count in sorted(seen.items()):
        print(f"{name}: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
