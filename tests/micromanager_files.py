"""Sets of several TIFF files as Micro-Manager writes them: both of its formats, byte by byte."""

import json
import struct

import numpy as np

_PAGE = 162
"""Bytes of the 13 tags of a page, behind which its pixels lie, and then its own notes."""
_NOTES = b'{"a": 1}'


def _page(at, width, height, following):
    tags = [(254, 4, 1, 0), (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16)]
    tags += [(259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, at + _PAGE), (274, 3, 1, 1)]
    tags += [(277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 2 * width * height)]
    tags += [(284, 3, 1, 1), (51123, 2, len(_NOTES), at + _PAGE + 2 * width * height)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def _with_pages(head, planes):
    """Give a file, and where each of its pages begins."""
    body, places = bytearray(head), []
    struct.pack_into("<I", body, 4, len(body))
    for i, plane in enumerate(planes):
        places.append(len(body))
        after = len(body) + _PAGE + plane.nbytes + len(_NOTES)
        body += _page(len(body), *plane.shape[::-1], after if i < len(planes) - 1 else 0)
        body += plane.tobytes() + _NOTES
    return body, places


def write_stack(folder, planes, per_file):
    """Write uint16 planes as one time series in files of `per_file`; return their paths."""
    summary = {"MicroManagerVersion": "2.0", "Prefix": "run", "Frames": len(planes)}
    summary |= {"Slices": 1, "Channels": 1, "Positions": 1}
    text = json.dumps(summary).encode()
    paths = []
    for first in range(0, len(planes), per_file):
        head = b"II*\0" + bytes(4) + struct.pack("<II", 54773648, 0) + bytes(16)
        head += struct.pack("<II", 2355492, len(text)) + text
        body, places = _with_pages(head, planes[first : first + per_file])
        struct.pack_into("<I", body, 12, len(body))
        index = [(0, 0, first + i, 0, at) for i, at in enumerate(places)]
        body += struct.pack("<II", 3453623, len(index)) + np.array(index, "<u4").tobytes()
        number = f"_{len(paths)}" if paths else ""
        paths.append(folder / f"run_MMStack_Pos0{number}.ome.tif")
        paths[-1].write_bytes(body)
    return paths


def write_ndtiff(folder, planes, per_file):
    """Write the same as NDTiff of version 3."""
    index, paths = b"", []
    for first in range(0, len(planes), per_file):
        head = b"II*\0" + bytes(4) + struct.pack("<IIIII", 483729, 3, 0, 2355492, 2) + b"{}"
        body, places = _with_pages(head, planes[first : first + per_file])
        number = f"_{len(paths)}" if paths else ""
        paths.append(folder / f"run_NDTiffStack{number}.tif")
        paths[-1].write_bytes(body)
        for i, at in enumerate(places):
            axes = json.dumps({"time": first + i}).encode()
            name = paths[-1].name.encode()
            index += struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name
            width, height = planes.shape[:0:-1]
            index += struct.pack("<IiiiiIii", at + _PAGE, width, height, 1, 0, 0, 0, 0)
    (folder / "NDTiff.index").write_bytes(index)
    return paths


WRITERS = {"stack": write_stack, "ndtiff": write_ndtiff}
