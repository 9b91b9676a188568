"""Files that are written whole: places are refused before any work, and a file appears complete.

Whatever happens while a file is written (a full disk, Ctrl-C, a kill, another run), what was at its
place before is still there and whole, and what appears there is of one run.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_srgan.errors import InputError, OutputBusy, OutputExists
from napari_srgan.io.lock import FileLock, Taken, short_name

THERE = "is already there; choose another name or ask to overwrite it."
THERE_FOR_COMMANDS = "exists already; --overwrite replaces it."
"""Why a file is not written over, for a window or a Python call, and for a command."""

PARTIAL = ".partial"
"""How the names of unfinished files end, after the target's `short_name` and 8 characters."""
JOURNAL = ".journal"
"""How the folder beside such a file ends that a later run can go on by; see `io.journal`."""

_TAKES_NO_FILE = (errno.EACCES, errno.EPERM, errno.EROFS)

_open_files: set[WholeFile] = set()
"""Those that `remove_unfinished` would have to remove."""

kept_unfinished: list[Path] = []
"""The outputs that this process has left unfinished, for a later run to go on with."""


class WholeFile:
    """A file that is written beside its place, and put there when it is whole.

    Between `hold` and `close` no other run of this program writes to the place.

    Parameters
    ----------
    target : Path
        Where the file will appear.
    overwrite : bool
        Whether a file that is there may be replaced.
    there : str
        What is said of one that may not.

    Attributes
    ----------
    target : Path
    path : Path
        ``<name>.<8 hexadecimal digits>.partial`` beside the target, with its `short_name`: where
        to write. Another one that a run left there may be put in its place before `create`.
    keep : bool
        Whether an unfinished file stays for a later run to go on with.
    """

    def __init__(self, target: Path, overwrite: bool = False, there: str = THERE) -> None:
        self.target = target
        self.path = target.with_name(f"{short_name(target.name)}.{secrets.token_hex(4)}{PARTIAL}")
        self.keep = False
        self._overwrite, self._there = overwrite, there
        self._lock = FileLock(target)
        self._before: tuple[int, ...] | None = None
        self._process = os.getpid()

    def hold(self, patience: float = 0.0) -> None:
        """Hold the place against other runs, and remove what a run that was killed left of it.

        What has a journal stays: a later run may go on with it.

        Parameters
        ----------
        patience : float
            Seconds to wait for another run that holds it.

        Raises
        ------
        OutputBusy
            If another run holds it.
        OutputExists
            If a file is there and may not be replaced.
        InputError
            If it is a folder or lies in none.
        OSError
            If the folder takes no file.
        """
        check_place(self.target, self._overwrite, there=self._there)
        _open_files.add(self)
        try:
            self._lock.acquire(patience)
        except BaseException as error:
            self.close()
            if isinstance(error, Taken):
                raise OutputBusy(
                    f"{self.target} is being written by another run; wait for its end or choose "
                    "another name."
                ) from None
            if isinstance(error, OSError) and error.errno in _TAKES_NO_FILE:
                # Of the file that the user knows.
                raise OSError(error.errno, error.strerror, str(self.target)) from error
            raise
        if self._lock.is_certain:  # then nobody writes what lies there unfinished
            _remove_leftovers(self.target)
        self._before = _identity(self.target)
        if self._before is not None and not self._overwrite:  # since a moment ago
            self.close()
            raise OutputExists(f"{self.target} {self._there}")

    def create(self) -> Path:
        """Make the empty file and return `path`; it is new, and no link to another."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        return self.path

    def commit(self) -> None:
        """Flush the file to the disk, which may say only now that it is full, and put it in place.

        Raises
        ------
        OutputExists
            If the place is not as it was when it was held; the file is then kept, under a name
            that the sentence gives.
        OSError
            If the disk is full or refuses.
        """
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        if self._before is None:
            with suppress(FileExistsError):
                _rename_to_new(self.path, self.target)
                return
        elif _identity(self.target) == self._before:
            os.replace(self.path, self.target)  # noqa: PTH105 (the atomic one)
            return
        # Its ending comes last, so that it can be opened; no leftover is called so.
        name = short_name(self.target.name)
        ending = "" if name == self.target.name else self.target.suffix
        kept = self.target.with_name(f"{secrets.token_hex(4)}-{name}{ending}")
        os.rename(self.path, kept)  # noqa: PTH104 (of a new name)
        how = "appeared" if self._before is None else "changed"
        raise OutputExists(
            f"{self.target} has {how} while its result was made; the result is whole and waits"
            f" beside it as {kept.name}."
        )

    def close(self) -> None:
        """Remove what was written and is not in place, and let others have the place."""
        if self.keep:
            kept_unfinished.append(self.target)
        else:
            with suppress(OSError):  # a disk that refuses
                self.path.unlink(missing_ok=True)
        self._lock.release()
        _open_files.discard(self)


@contextmanager
def whole_file(
    target: Path, overwrite: bool = True, there: str = THERE, patience: float = 0.0
) -> Iterator[Path]:
    """Write a file whole or not at all; parameters are those of `WholeFile` and `hold`.

    The place is held as long as the block lasts, so a block that holds all the work refuses a
    second run before its work.

    Yields
    ------
    Path
        An empty file beside the target. It must be closed when the block ends; then it is flushed
        to the disk and renamed, and after an error it is removed.

    Raises
    ------
    InputError
        As `WholeFile.hold` and `WholeFile.commit`.
    OSError
        If the disk is full or refuses.
    """
    file = WholeFile(target, overwrite, there)
    try:
        file.hold(patience)
        yield file.create()
        file.commit()
    finally:
        file.close()


def remove_unfinished() -> None:
    """Remove what this process has begun to write and let all places go, before it ends at once."""
    for file in tuple(_open_files):
        if file._process == os.getpid():  # else it is of the process that this was forked from
            file.close()


def check_place(
    path: Path,
    overwrite: bool,
    suffixes: Sequence[str] = (),
    advice: str = "",
    there: str = THERE_FOR_COMMANDS,
) -> None:
    """Refuse a place where no file can be written, before any work.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file that is there may be replaced.
    suffixes : sequence of str
        The endings, in lower case, of which the name must have one; none: any name will do.
    advice : str
        What is said of a name that has none of them.
    there : str
        What is said of a file that may not be replaced.

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced.
    InputError
        If it is a folder, a pipe or a device, has no ending of `suffixes`, or lies in no folder, or
        if its name is too long.
    """
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(
                f"{path} is too long a name for its disk; choose a shorter one."
            ) from None
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is a pipe or a device and would be replaced; name another file.")
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(f"{path.name}: {advice}")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; make it first.")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} {there}")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Give what tells a file from one that was put in its place, or changed; None without one."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _rename_to_new(source: Path, target: Path) -> None:
    """Rename a file; FileExistsError if the new name is taken, at this very moment too."""
    try:
        os.link(source, target)
    except FileExistsError:
        # NFS may say so of a link that it has just made, when its first answer was lost.
        if not target.samefile(source):
            raise
    except OSError:  # a file system without hard links
        if target.exists() or target.is_symlink():
            raise FileExistsError(target) from None
        os.rename(source, target)  # noqa: PTH104
        return
    with suppress(OSError):  # it is in place; `close` tries again
        source.unlink()


def leftovers(target: Path) -> Iterator[Path]:
    """List what runs that were killed left beside a target: unfinished files and folders."""
    ours = _named_after(target, PARTIAL)
    with os.scandir(target.parent) as entries:
        yield from [Path(entry.path) for entry in entries if ours.fullmatch(entry.name)]


def _remove_leftovers(target: Path) -> None:
    """Remove the leftovers that no later run can go on with."""
    for path in leftovers(target):
        if not path.with_suffix(JOURNAL).is_dir():
            remove_leftover(path)
    journals = _named_after(target, JOURNAL)
    for path in target.parent.iterdir():
        if journals.fullmatch(path.name) and not path.with_suffix(PARTIAL).is_file():
            shutil.rmtree(path, ignore_errors=True)


def remove_leftover(path: Path) -> None:
    """Remove an unfinished file or folder with its journal; harmless at any time."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(JOURNAL), ignore_errors=True)


def _named_after(target: Path, ending: str) -> re.Pattern[str]:
    return re.compile(re.escape(short_name(target.name)) + r"\.[a-z0-9_]{8}" + re.escape(ending))
