"""Sinks: where a result goes while it is made, block by block, in memory or in a file."""

from napari_srgan.io.sinks.file import (
    WRITABLE_SUFFIXES,
    FileSink,
    check_output,
    check_outputs_in,
    check_room,
    made_folder,
)
from napari_srgan.io.sinks.memory import MemorySink, Sink
from napari_srgan.io.sinks.shared import SharedStore, prepared

__all__ = [
    "WRITABLE_SUFFIXES",
    "FileSink",
    "MemorySink",
    "SharedStore",
    "Sink",
    "check_output",
    "check_outputs_in",
    "check_room",
    "made_folder",
    "prepared",
]
