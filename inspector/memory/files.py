"""Files that are mapped, never loaded: cores and executables."""

from __future__ import annotations

import mmap
import os
import stat
import struct
import zlib
from contextlib import ExitStack
from typing import IO, BinaryIO

from construct import ConstructError
from elftools import construct as elftools_construct
from elftools.common.exceptions import DWARFError, ELFError

from inspector.memory.descriptors import enough_descriptors

DAMAGE = (
    ELFError,
    DWARFError,
    ConstructError,
    elftools_construct.ConstructError,
    ArithmeticError,
    LookupError,
    ValueError,
    AttributeError,
    TypeError,
    AssertionError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What reading damaged files raises: our declarations, pyelftools' own errors, and those that it does not foresee."""


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; raises OSError, or ValueError when it is not a file, or empty."""
    # Opening a pipe would wait for a writer, opening a device may do anything.
    with enough_descriptors():
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with ExitStack() as unless_sound:
        unless_sound.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise ValueError("it is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if not status.st_size:
            raise ValueError("the file is empty")
        unless_sound.pop_all()
    return os.fdopen(descriptor, "rb")


def map_opened(file: IO[bytes]) -> mmap.mmap:
    """Map a whole opened file for reading; the mapping stays when the file is closed."""
    with enough_descriptors():
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def map_file(path: str | os.PathLike[str]) -> mmap.mmap:
    """Map a whole file for reading; raises as open_file does."""
    with open_file(path) as file:
        return map_opened(file)
