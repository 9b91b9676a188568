"""Opening image files: from a path to a Stack, whatever the format."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tifffile

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.atomic import PARTIAL
from napari_srgan.io.formats import heidelberg_e2e, heidelberg_vol, topcon
from napari_srgan.io.formats.bioptigen import is_bioptigen, read_bioptigen
from napari_srgan.io.formats.dicom import dicom_files, is_dicom, read_dicom
from napari_srgan.io.formats.folder import open_folder, slice_files
from napari_srgan.io.formats.heyex_xml import is_heyex, read_heyex
from napari_srgan.io.formats.image_file import ImageFile
from napari_srgan.io.formats.nifti import is_nifti, open_nifti
from napari_srgan.io.formats.npy import read_npy
from napari_srgan.io.formats.oct_image import Reader, open_all, open_one
from napari_srgan.io.formats.optovue import read_optovue, text_beside
from napari_srgan.io.formats.pictures import PICTURE_SUFFIXES, read_picture
from napari_srgan.io.formats.thorlabs import is_thorlabs, read_thorlabs
from napari_srgan.io.formats.tiff import TIFF_SUFFIXES, count_images, open_tiff
from napari_srgan.io.formats.tiff_claims import micromanager_files
from napari_srgan.io.formats.tiff_segments import listening
from napari_srgan.io.formats.zarr import count_zarr_images, is_store, open_zarr, read_zarr
from napari_srgan.io.formats.zeiss import read_img

Images = Sequence[tuple[str, ImageFile | Stack]]
Holds = Callable[[Path, bytes], bool]
Open = Callable[[Path, str | None, int | None], ImageFile | Stack]


@dataclass(frozen=True)
class Format:
    """A format of image files.

    Attributes
    ----------
    suffixes : tuple of str
        What its files are called; one that is called so and is of no other format is of this one.
    holds : callable
        Whether a file is of it, by its path and its first bytes.
    open : callable
        From path, axes and series to one of the images of a file.
    open_all : callable
        From path to all images of a file, each with its name; "" where there is one only.
    personal : str
        The suffix by which `record.input_label` knows that a name may be a patient's; "" of formats
        that are not of the clinic.
    """

    suffixes: tuple[str, ...]
    holds: Holds
    open: Open
    open_all: Callable[[Path], Images]
    personal: str = ""


def _begins(*signatures: bytes) -> Holds:
    return lambda _, head: head.startswith(signatures)


def _one(suffixes: tuple[str, ...], holds: Holds, read: Open) -> Format:
    """Make the format of files that hold one image."""
    return Format(suffixes, holds, read, lambda path: [("", read(path, None, None))])


def _oct(suffixes: tuple[str, ...], holds: Holds, read: Reader, personal: str = "") -> Format:
    """Make the format of an instrument's files."""
    one, every = partial(open_one, read), partial(open_all, read)
    return Format(suffixes, holds, one, every, personal or suffixes[0])


def _all_of_tiff(path: Path) -> Images:
    if (count := count_images(path)) == 1:
        return [("", open_tiff(path))]
    return [(str(i), open_tiff(path, series=i)) for i in range(count)]


def _all_of_zarr(path: Path) -> Images:
    if (count := count_zarr_images(path)) == 1:
        return [("", open_zarr(path))]
    return [(str(i), open_zarr(path, series=i)) for i in range(count)]


def _never(path: Path, head: bytes) -> bool:
    """Tell nothing by the content: it is bytes that only the name explains."""
    return False


_DICOM = _oct((".dcm", ".dicom"), lambda _, head: is_dicom(head), read_dicom)
_FORMATS = (
    Format(
        (*TIFF_SUFFIXES, ".lsm"),
        _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        open_tiff,
        _all_of_tiff,
    ),
    _one((".npy",), _begins(b"\x93NUMPY"), read_npy),
    _one(PICTURE_SUFFIXES, _begins(b"\x89PNG\r\n", b"\xff\xd8\xff"), read_picture),
    _one((".nii", ".nii.gz"), is_nifti, open_nifti),
    _DICOM,
    _oct((".vol",), _begins(*heidelberg_vol.SIGNATURES), heidelberg_vol.read_vol),
    _oct((".e2e",), _begins(*heidelberg_e2e.SIGNATURES), heidelberg_e2e.read_e2e),
    _oct((), lambda _, head: is_heyex(head), read_heyex, ".xml"),
    _oct((".fda", ".fds"), _begins(topcon.SIGNATURE), topcon.read_topcon),
    _oct((), is_thorlabs, read_thorlabs, ".oct"),
    _oct((), lambda _, head: is_bioptigen(head), read_bioptigen, ".oct"),
    _oct((".oct",), _never, read_optovue),
    _oct((".img",), _never, read_img),
)
ZARR = ".zarr"
_STORE = Format((ZARR,), _never, open_zarr, _all_of_zarr)
_SLICES = _one((), _never, open_folder)
READABLE_SUFFIXES = tuple(s for kind in (*_FORMATS, _STORE) for s in kind.suffixes)
"""What files are called that can be opened. HEYEX's lists are not among them: what looks for images
in a folder would find each twice."""

_HEAD = 1024  # bytes by which a format is told
_BY_FIJI = "open it in Fiji (Bio-Formats) and save it as OME-TIFF"
_ELSEWHERE = {
    **dict.fromkeys((".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".ims", ".mrxs"), _BY_FIJI),
    **dict.fromkeys((".bmp", ".gif", ".webp", ".jp2", ".tga"), "save it as PNG or TIFF"),
    **dict.fromkeys((".avi", ".mp4", ".mov", ".mkv"), "save its frames as a TIFF stack"),
    **dict.fromkeys((".mat", ".h5", ".hdf5", ".npz"), "save the array as .npy or TIFF"),
    **dict.fromkeys((".sdb", ".edb", ".pdb"), "export the examination from HEYEX as .vol or .E2E"),
    **dict.fromkeys((".mha", ".mhd", ".nrrd", ".hdr"), "convert it to NIfTI (.nii)"),
}
"""What to do with files that are not read."""


def open_stack(
    path: str | os.PathLike[str],
    axes: str | None = None,
    series: int | None = None,
    level: int = 0,
) -> Stack:
    """Open an image file without reading more than it needs.

    The format is told by the content, whatever the file is called. Of what lies uncompressed or in
    parts only those that are asked for are read, later; PNG, JPEG and Thorlabs' archives are read
    at once. Spacing is what the file states; a printing resolution counts as unknown.

    Parameters
    ----------
    path : path
        One file, or a folder: of OME-Zarr, of a DICOM series, or of pictures or TIFF files that are
        slices of one stack, in the natural order of their names.
    axes : str, optional
        Letters of TCZYXS in the order in which the file stores its axes, if it names them
        wrongly or not at all.
    series : int, optional
        Which of several images in the file, from 0: a series or a position of a TIFF, a volume or
        the image of the fundus of an OCT file, a frame of an animated PNG. By default the largest
        of a TIFF, the only volume, or the first; a warning says so.
    level : int
        Of OME-Zarr, which of its levels: 0 is the image, the others are coarser.

    Returns
    -------
    Stack
        Named after the file; the provenance of a former result is in
        ``metadata["napari_srgan"]``, how a scan was taken in ``metadata["acquisition"]``.

    Raises
    ------
    InputError
        If the file is missing, is no image, is cut short or cannot be upscaled, or if the library
        that reads its format is not installed.
    """
    path = Path(path)
    kind = format_of(path)
    if kind is _STORE:
        return read_zarr(path, axes, series, level)
    if level:
        raise InputError(f"{path.name} has level 0 only; leave --level out.")
    found = kind.open(path, axes, series)
    return found if isinstance(found, Stack) else found.stack(_called(path, kind))


def open_images(path: str | os.PathLike[str]) -> Images:
    """Open all images of a file.

    Returns
    -------
    sequence of (str, ImageFile or Stack)
        Each with its name within the file, which is "" where there is one only.

    Raises
    ------
    InputError
        As `open_stack`; but what is too small to be upscaled is opened.
    """
    path = Path(path)
    return format_of(path).open_all(path)


def name_of(path: Path) -> str:
    """Name an image after its file, so that `record.input_label` hides what may be a patient's.

    That is the name of the file; where its format is one of the clinic and the name does not show
    it, with the format's suffix behind it. A file that cannot be opened has its own.
    """
    try:
        return _called(path, format_of(path))
    except InputError:
        return path.name


def _called(path: Path, kind: Format) -> str:
    if not kind.personal or path.name.lower().endswith((kind.personal, *kind.suffixes)):
        return path.name
    return path.name + kind.personal


def format_of(path: Path) -> Format:
    """Tell the format of a file; InputError for what is not there or is of none that is read."""
    if "\0" in str(path):
        raise InputError(f"The file name {str(path)!r} has a null character in it; check it.")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name and the folder.")
    if is_zarr(path):
        return _STORE
    if path.is_dir():
        if dicom_files(path):
            return _DICOM
        if len(slice_files(path)) > 1:
            return _SLICES
        raise InputError(f"{path} is a folder; give an image file in it.")
    if not path.is_file():
        raise InputError(f"{path} is no file but a device, pipe or socket; give an image file.")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as e:
        raise InputError(f"{path} cannot be opened: {e.strerror}.") from e
    name = path.name.lower()
    for kind in _FORMATS:
        if kind.holds(path, head):
            return kind
    for kind in _FORMATS:
        if name.endswith(kind.suffixes or "/"):
            if not head:
                raise InputError(f"{path.name} is empty (0 bytes).")
            return kind
    if advice := next((a for s, a in _ELSEWHERE.items() if name.endswith(s)), ""):
        raise InputError(f"{path.name} is of a format that is not read; {advice}.")
    raise InputError(
        f"{path.name} is not of a format that is read; these are {', '.join(READABLE_SUFFIXES)}."
    )


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder to be read as Zarr: by its name, or because it holds an image.

    So an unfinished result is one, and so is an image within a store.
    """
    return path.is_dir() and (path.name.lower().endswith(ZARR) or is_store(path))


_OME_FILE = re.compile(r"""FileName\s*=\s*["']([^"']*)["']""")


def input_files(path: Path) -> set[Path]:
    """List an input file with all others that its image may lie in.

    These are the files of an OME-TIFF set and of one that Micro-Manager has written, the pictures
    of a list and the slices of a folder.
    """
    found = {path}
    # Opening says what is wrong with it; a pipe would be waited for.
    if path.is_dir() or path.name.lower().endswith((".xml", ".oct")):
        with suppress(Exception):
            for _, image in open_images(path):
                found |= {s.path for s in getattr(image.data, "sources", ())}
        return found | ({beside} if (beside := text_beside(path)) else set())
    if path.name.lower().endswith(TIFF_SUFFIXES) and path.is_file():
        with suppress(Exception), listening(), path.open("rb") as f, tifffile.TiffFile(f) as tif:
            names = _OME_FILE.findall(tif.ome_metadata or "")
            # By their bare names: a set lies in one folder.
            found |= {path.with_name(re.split(r"[\\/]", html.unescape(n))[-1]) for n in names if n}
            found |= micromanager_files(tif, path)
    return found


class Spared:
    """Files that nothing may be written over: inputs, with all files of their sets.

    Parameters
    ----------
    inputs : iterable of Path or None
    """

    def __init__(self, inputs: Iterable[Path | None]) -> None:
        files = {file for path in inputs if path is not None for file in input_files(path)}
        self._files = {i for file in files if (i := file_number(file)) is not None}

    def check(self, target: Path) -> None:
        """Refuse to write there.

        Raises
        ------
        InputError
            If it is one of the files, by whatever name.
        """
        if file_number(target) in self._files:
            raise InputError(f"{target} is an input; name another output.")


def spare_inputs(targets: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write where an input lies, not even with --overwrite.

    Raises
    ------
    InputError
        If a target is the file of an input, or of its set, by whatever name.
    """
    spared = Spared(inputs)
    for target in targets:
        if target is not None:
            spared.check(target)


def file_number(path: Path) -> tuple[int, int] | None:
    """Give what all names of one file have in common; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a name that holds a null byte
        return None
    return found.st_dev, found.st_ino


def image_name(path: str | os.PathLike[str]) -> str:
    """Name of an image after its file, without the ending: ``scan.ome.tif`` -> ``scan``.

    That of an unfinished output is the one that it will have.
    """
    name = re.sub(rf"\.[a-z0-9_]{{8}}{re.escape(PARTIAL)}$", "", Path(path).name)
    ending = next((s for s in (*READABLE_SUFFIXES, ".xml") if name.lower().endswith(s)), "")
    return name[: len(name) - len(ending)] or name
