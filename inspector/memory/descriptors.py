"""Descriptors of files, which may run out: apart from what reads the files, so that a refusal loads nothing more."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from inspector.errors import NoSuchTarget, TooFewDescriptors


@contextmanager
def enough_descriptors() -> Iterator[None]:
    """Raise TooFewDescriptors where a file cannot be opened because of a limit, so that nobody takes it for missing."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise TooFewDescriptors from None
        raise


def neither(path: str) -> NoSuchTarget:
    """The error for a target that is not there."""
    return NoSuchTarget(f"{path!r} is neither a process nor a file", "give a pid or the path of a core dump")
