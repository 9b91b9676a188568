"""What tifffile logs while it reads: it carries on after damage, and only says so.

What belongs here: collecting those messages, so that a damaged file is refused and not shown.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread, instead of showing it to the user."""
    complaints: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if threading.get_ident() != thread:
            return True
        complaints.append(record.getMessage())
        return False

    log = logging.getLogger("tifffile")
    log.addFilter(keep)
    try:
        yield complaints
    finally:
        log.removeFilter(keep)
