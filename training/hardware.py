"""Where a training runs: one CPU, one GPU, or several processes that torchrun started.

Lightning Fabric finds the processes and joins them; here is only what it is asked for.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from napari_srgan.engine.devices import native_16_bits, resolve_device
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")

_NEEDED = ("lightning_fabric", "tensorboardX")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the user asks for; it changes how fast a training is, not what it does.

    Attributes
    ----------
    device : str
        auto, cpu, cuda[:N] or mps. Of several GPUs one is used unless torchrun starts a process
        for each.
    precision : str
        float32; bfloat16 for the convolutions (the weights and losses stay float32); auto:
        bfloat16 where the device computes in it natively.
    workers : int
        Processes that prepare crops ahead; -1: none on a CPU, whose cores they would take from the
        network, else as many as there are cores, 8 at most.
    """

    device: str = "auto"
    precision: str = "auto"
    workers: int = -1


def check_installed() -> None:
    """Refuse to begin without what the extra `train` brings, with InputError."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise InputError(
            f"Training needs {' and '.join(missing)}; install what it needs with: pip install "
            '"napari-srgan[train]"'
        )


def is_first() -> bool:
    """Say whether this is the process that writes files, before it has joined the others."""
    return not _by_torchrun() or os.environ.get("RANK", "0") == "0"


def processes() -> int:
    """Return how many processes torchrun started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if _by_torchrun() else 1


def _by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def start(hardware: Hardware) -> Fabric:
    """Join the processes of a training.

    Raises
    ------
    InputError
        If the device is not present or the precision unknown.
    """
    import torch
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import (
        LightningEnvironment,
        TorchElasticEnvironment,
    )
    from lightning_fabric.strategies import DDPStrategy

    # What it notes at every start is no news, and stands in the way of a program that listens.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = resolve_device(hardware.device)
    if device.type == "cuda":
        # TF32 in matrix products too, as cuDNN has it in convolutions; else Lightning says so at
        # every start.
        torch.set_float32_matmul_precision("high")
    precision = hardware.precision
    if precision == "auto":
        precision = "bfloat16" if "bfloat16" in native_16_bits(device) else "float32"
    if precision not in PRECISIONS:
        raise InputError(f"The precision {precision!r} is not known; give {', '.join(PRECISIONS)}.")
    count = processes()
    local = int(os.environ["LOCAL_WORLD_SIZE"]) if count > 1 else 1
    strategy: Any = "auto"
    if count > 1:
        # Buffers are equal by construction with SyncBatchNorm; broadcasting them between the two
        # passes of a discriminator's step would change what its gradient needs.
        strategy = DDPStrategy(broadcast_buffers=False)
    fabric = Fabric(
        accelerator=device.type,
        strategy=strategy,
        devices=local if count > 1 or device.type == "cpu" else [device.index or 0],
        num_nodes=max(count // local, 1),
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        # Processes are torchrun's; a batch system's variables alone start none.
        plugins=[TorchElasticEnvironment() if _by_torchrun() else LightningEnvironment()],
    )
    fabric.launch()
    # Crops of a phase have one size, for which the fastest algorithm is worth a search.
    torch.backends.cudnn.benchmark = True
    return fabric


def leave(fabric: Fabric) -> None:
    """Leave the other processes in order: gloo's threads abort a process that just ends."""
    import torch

    if fabric.world_size > 1 and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def workers(hardware: Hardware, fabric: Fabric) -> int:
    """Return how many processes prepare crops for this one."""
    if hardware.workers >= 0:
        return hardware.workers
    return 0 if fabric.device.type == "cpu" else min(os.cpu_count() or 1, 8)


def ready(network: Network, fabric: Fabric) -> Network:
    """Put a network on the device in the layout that its convolutions are fastest in.

    Batch norm sees the crops of all processes on GPUs; on CPUs, for which torch has no such
    batch norm, each process sees its own.
    """
    import torch
    from torch import nn

    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def settled(fabric: Fabric) -> dict[str, str]:
    """Return what a resumed run must use to go on as it began: device and precision."""
    return {"device": fabric.device.type, "precision": _number_format(fabric)}


def _number_format(fabric: Fabric) -> str:
    return "bfloat16" if "bf16" in str(fabric._precision.precision) else "float32"


def describe(fabric: Fabric) -> str:
    """Say in a few words what the training runs on."""
    import torch

    device = fabric.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    if device.type == "cpu":
        name += f", {torch.get_num_threads()} threads"
    several = f", {fabric.world_size} processes" if fabric.world_size > 1 else ""
    unused = torch.cuda.device_count() if device.type == "cuda" and not several else 0
    hint = f"; torchrun --nproc-per-node {unused} would use all {unused}" if unused > 1 else ""
    return f"{name}, {_number_format(fabric)}{several}{hint}"


def memory_used(fabric: Fabric) -> tuple[float, float] | None:
    """Return the most memory that was in use on a GPU so far and what it has, GB; else None."""
    import torch

    if fabric.device.type != "cuda":
        return None
    used = torch.cuda.max_memory_reserved(fabric.device)
    return used / 1e9, torch.cuda.get_device_properties(fabric.device).total_memory / 1e9
