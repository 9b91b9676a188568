"""A lock between processes that ends with its process, however that ends.

The kernel holds it, on an empty file beside what is locked: after a kill nobody has to find out
whether a process number or another machine is still alive, as one must of a lock file that counts
by being there. NFS carries such locks between machines too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
import unicodedata
from contextlib import suppress
from pathlib import Path

from napari_srgan.errors import InputError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    _TAKEN = (errno.EACCES, errno.EDEADLK)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # Not lockf, whose locks belong to the whole process and end when any file is closed.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    _TAKEN = (errno.EWOULDBLOCK, errno.EACCES)

_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems answer that have no locks."""

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)


_LONGEST, _KEPT = 120, 100
"""Bytes of a name that something may be added to on any disk, and of it if it is longer."""


class Taken(Exception):
    """Somebody else holds the lock."""


class FileLock:
    """A lock on a name, whether or not there is a file of that name.

    Parameters
    ----------
    target : Path
        What is locked, in a folder that exists; the lock's own file is ``.<name>.lock`` beside it,
        with the name as `short_name` gives it.

    Attributes
    ----------
    is_certain : bool
        Whether the lock is held: False before `acquire`, and on a file system without locks.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f".{short_name(target.name)}.lock")
        self.is_certain = False
        self._descriptor: int | None = None

    def acquire(self, patience: float = 0.0) -> None:
        """Take the lock.

        Parameters
        ----------
        patience : float
            Seconds to wait for somebody else who holds it.

        Raises
        ------
        Taken
            If somebody else holds it, in this process or another.
        InputError
            If there is a link or a folder in the place of the lock's file.
        OSError
            If the folder takes no file.
        """
        until = time.monotonic() + patience
        while not self._try():
            if time.monotonic() >= until:
                raise Taken
            time.sleep(0.02)

    def release(self) -> None:
        """Let go and remove the lock's file; harmless at any time."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        held, self.is_certain = self.is_certain, False
        if held and sys.platform != "win32":
            # While it is held: who opened the file before and locks it later finds it gone.
            with suppress(OSError):
                self.path.unlink()
        os.close(descriptor)
        if held and sys.platform == "win32":  # where a file that is open cannot be removed
            with suppress(OSError):
                self.path.unlink()

    def _try(self) -> bool:
        """Take the lock if nobody has it."""
        descriptor = self._open()
        if descriptor is None:
            return True
        self._descriptor = descriptor  # from here on `release` closes it
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _UNKNOWN:
                return True
            self.release()
            if error.errno in _TAKEN:
                return False
            raise
        try:
            ours = os.path.samestat(os.fstat(descriptor), os.lstat(self.path))
        except OSError:
            ours = False
        if not ours:  # its holder removed it between our opening and locking
            self.release()
            return False
        self.is_certain = True
        return True

    def _open(self) -> int | None:
        """Open the lock's file; None for one that somebody forbade us to open."""
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        except PermissionError:
            if not self.path.exists():
                raise  # the folder takes no file
        except OSError as error:
            if self.path.is_symlink() or self.path.is_dir():
                raise InputError(
                    f"{self.path} is a link or a folder, where this program has a file for a"
                    " moment; remove it."
                ) from error
            raise
        try:
            return os.open(self.path, os.O_RDONLY | _FLAGS)
        except PermissionError:
            return None


def short_name(name: str) -> str:
    """Give a file's name for others to begin with that lie beside it.

    Returns
    -------
    str
        The name; of a long one the beginning and a hash, which is the same for all names that a
        disk may take for one: of any case, composed or not.
    """
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= _LONGEST:
        return name
    folded = unicodedata.normalize("NFC", name.casefold()).encode("utf-8", "surrogateescape")
    beginning = encoded[:_KEPT].decode("utf-8", "ignore")
    return f"{beginning}~{hashlib.sha256(folded).hexdigest()[:12]}"
