"""Files and folders written whole: places are refused before any work, and all appears complete.

Whatever happens while a file is written (a full disk, Ctrl-C, a kill, another run), what was at its
place before is still there and whole, and what appears there is of one run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
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
RUN = "run.json"
"""The file in that folder without which it is no journal: written last, removed first."""

_REPLACED = ".replaced"
"""How the names of folders end while one takes the place of another: no run goes on with them."""

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
        self._check()
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

    @property
    def is_certain(self) -> bool:
        """Whether nobody else writes there: the place is held, by a lock that its disk has."""
        return self._lock.is_certain

    def create(self) -> Path:
        """Make the empty file and return `path`; it is new, and no link to another."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        return self.path

    def _check(self) -> None:
        check_place(self.target, self._overwrite, there=self._there)

    def commit(self) -> None:
        """Flush it to the disk, which may say only now that it is full, and put it in place.

        Raises
        ------
        OutputExists
            If the place is not as it was when it was held; the file is then kept, under a name
            that the sentence gives.
        OSError
            If the disk is full or refuses.
        """
        self._flush()
        if self._before is None:
            with suppress(FileExistsError):
                self._appear()
                return
        elif _identity(self.target) == self._before:
            self._replace()
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
            self._remove()
        self._lock.release()
        _open_files.discard(self)

    def _flush(self) -> None:
        flush_file(self.path)

    def _appear(self) -> None:
        """Take a place where nothing is; FileExistsError if something is."""
        rename_to_new(self.path, self.target)

    def _replace(self) -> None:
        """Take the place of what is there."""
        os.replace(self.path, self.target)  # noqa: PTH105 (the atomic one)

    def _remove(self) -> None:
        with suppress(OSError):  # a disk that refuses
            self.path.unlink(missing_ok=True)


class WholeFolder(WholeFile):
    """A folder that is written beside its place, and put there when it is whole.

    Parameters
    ----------
    target, overwrite, there
        As for `WholeFile`.
    marks : sequence of str
        Names of which a folder that may be replaced holds one; any other folder is somebody's.
    """

    def __init__(
        self, target: Path, overwrite: bool = False, there: str = THERE, marks: Sequence[str] = ()
    ) -> None:
        super().__init__(target, overwrite, there)
        self._marks = marks

    def create(self) -> Path:
        """Make the empty folder and return `path`."""
        self.path.mkdir()
        return self.path

    def _check(self) -> None:
        check_place(self.target, self._overwrite, there=self._there, marks=self._marks)

    def _flush(self) -> None:
        """Flush what lies in the folder itself; whoever fills deeper ones flushes these."""
        for entry in self.path.iterdir():
            if entry.is_file():
                flush_file(entry)

    def _appear(self) -> None:
        try:
            if not os.path.lexists(self.target):
                self.path.rename(self.target)
                return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        raise FileExistsError(self.target)

    def _replace(self) -> None:
        partial, aside = self.path, self.path.with_suffix(_REPLACED)
        # First, for by its old name a run would go on with what is there after the exchange.
        partial.rename(aside)
        self.path = aside
        if _exchange(aside, self.target):
            return  # what was there is at `path` now, and goes with it
        aside.rename(partial)
        self.path = partial
        self.target.rename(aside)
        try:
            partial.rename(self.target)
        except BaseException:
            aside.rename(self.target)
            raise
        shutil.rmtree(aside, ignore_errors=True)

    def _remove(self) -> None:
        if self.path.is_symlink():  # what was exchanged was a link to a folder
            super()._remove()
        else:
            shutil.rmtree(self.path, ignore_errors=True)


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
    marks: Sequence[str] = (),
) -> None:
    """Refuse a place where no file can be written, before any work.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether what is there may be replaced.
    suffixes : sequence of str
        The endings, in lower case, of which the name must have one; none: any name will do.
    advice : str
        What is said of a name that has none of them.
    there : str
        What is said of a file that may not be replaced.
    marks : sequence of str
        Given where a folder is to be written: what one that may be replaced holds one of.

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced.
    InputError
        If it is a folder (a file, where a folder is to be written), a pipe or a device, has no
        ending of `suffixes`, or lies in no folder, or if its name is too long.
    """
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(
                f"{path} is too long a name for its disk; choose a shorter one."
            ) from None
    if path.is_dir():
        if not marks:
            raise InputError(f"{path} is a folder; name a file in it.")
        if not any((path / mark).exists() for mark in marks):
            raise InputError(
                f"{path} is a folder of another kind, which is never replaced; choose another name."
            )
    elif path.is_file() and marks:
        raise InputError(f"{path} is a file where a folder is to be; choose another name.")
    elif path.exists() and not path.is_file():
        raise InputError(f"{path} is a pipe or a device and would be replaced; name another file.")
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(f"{path.name}: {advice}")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; make it first.")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} {there}")


def flush_file(path: Path) -> None:
    """Wait until a file is on the disk, which may say only now that it is full."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _identity(path: Path) -> tuple[int, ...] | None:
    """Give what tells a file from one that was put in its place, or changed; None without one."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def rename_to_new(source: Path, target: Path) -> None:
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


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step, where the system can do that."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    names = os.fsencode(one), os.fsencode(other)
    return renameat2 is not None and not renameat2(here, names[0], here, names[1], exchange)


def leftovers(target: Path, ending: str = PARTIAL) -> Iterator[Path]:
    """List what runs that were killed left beside a target: unfinished files and folders."""
    ours = re.compile(re.escape(short_name(target.name)) + r"\.[a-z0-9_]{8}" + re.escape(ending))
    with os.scandir(target.parent) as entries:
        yield from [Path(entry.path) for entry in entries if ours.fullmatch(entry.name)]


def _remove_leftovers(target: Path) -> None:
    """Remove the leftovers that no later run can go on with.

    A folder that was moved aside by a run that came no further is put back.
    """
    for aside in leftovers(target, _REPLACED):
        if os.path.lexists(target):
            remove_leftover(aside)
        else:
            aside.rename(target)
    for path in leftovers(target):
        if not (path.with_suffix(JOURNAL) / RUN).is_file():
            remove_leftover(path)
    for journal in leftovers(target, JOURNAL):
        if not journal.with_suffix(PARTIAL).exists():
            shutil.rmtree(journal, ignore_errors=True)


def remove_leftover(path: Path) -> None:
    """Remove an unfinished file or folder with its journal; harmless at any time."""
    with suppress(OSError):
        remove_journal(path.with_suffix(JOURNAL))  # first, for it says which pixels are there
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_journal(folder: Path) -> None:
    """Remove the folder of a journal; OSError if it counts still."""
    (folder / RUN).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
