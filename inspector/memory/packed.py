"""Compressed files, as systemd-coredump and distributions keep cores: unpacked into a file without a name.

The first bytes decide the kind, not the name. The unpacked file is sparse, since a Go core is mostly zeros,
and nothing of it remains when this process ends, however it ends.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from inspector.errors import BadCore, InspectError

PIECE = 1 << 20
"""Bytes unpacked at a time."""

PAGE = 4096
"""Zeros are left out in whole pages."""

DAMAGE = (OSError, MemoryError, RuntimeError, ValueError)
"""What the readers raise on damaged archives, beside an error of their own. All raise EOFError at a cut."""

Reader = tuple[Callable[[Any], Any], type[Exception]]
"""What opens an archive, and an error that reading it raises."""


def _zstd() -> Reader:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.open, zstd.ZstdError


def _lz4() -> Reader:
    import lz4.frame

    return lz4.frame.open, RuntimeError


# Packages are loaded when they are needed: the Python inside of gdb, which opens no packed cores, does without them.
FORMATS: dict[bytes, tuple[str, Callable[[], Reader]]] = {
    b"\x28\xb5\x2f\xfd": ("zst", _zstd),
    b"\x04\x22\x4d\x18": ("lz4", _lz4),
    b"\xfd7zXZ\0": ("xz", lambda: (lzma.open, lzma.LZMAError)),
    b"\x1f\x8b": ("gz", lambda: (gzip.open, zlib.error)),
    b"BZh": ("bz2", lambda: (bz2.open, OSError)),
}
"""First bytes of a file, and what it then is and what reads it."""

LONGEST_MAGIC = max(map(len, FORMATS))


@dataclass(frozen=True)
class Unpacked:
    """A file that was unpacked; `note` is a sentence for the user when its archive is cut short, else empty."""

    file: IO[bytes]
    note: str


def unpack(archive: IO[bytes], path: str) -> Unpacked | None:
    """Unpack an archive that is opened at its beginning, `path` for messages; None when it is not one.

    Raises BadCore for a damaged one, InspectError where the disk is full.
    """
    head = archive.read(LONGEST_MAGIC)
    archive.seek(0)
    found = next((FORMATS[magic] for magic in FORMATS if head.startswith(magic)), None)
    if found is None:
        return None
    kind, load = found
    reader, its_error = load()
    size, note = 0, ""
    with ExitStack() as unless_done:
        # Without a name from the start (O_TMPFILE), so that no interruption can leave it behind.
        try:
            file = unless_done.enter_context(tempfile.TemporaryFile(buffering=0, dir=_folder()))
        except OSError as error:
            raise _no_room(path, error) from None
        try:
            for piece in _pieces(reader(archive)):
                _write(file, size, piece, path)
                size += len(piece)
        except EOFError:
            note = f"{path} is a {kind} archive that is cut short: {size:,} bytes could be unpacked"
        except (its_error, *DAMAGE) as error:
            raise BadCore(f"{path} is a damaged {kind} archive: {error}", "was it copied whole?") from None
        if not size:
            raise BadCore(f"{path} is a {kind} archive, but nothing in it can be unpacked", "was it copied whole?")
        file.truncate(size)
        unless_done.pop_all()
    return Unpacked(file, note)


def _folder() -> str:
    """The folder for temporary files.

    tempfile.gettempdir tries the folder with a file that has a name, which a kill at that moment leaves behind.
    """
    wanted = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
    usable = (each for each in (*wanted, "/tmp", "/var/tmp") if os.access(each, os.W_OK | os.X_OK))
    return next(usable, "/tmp")


def _pieces(reader: Any) -> Iterator[bytes]:
    # read1 gives what could be read before a cut, read would lose it.
    while piece := reader.read1(PIECE):
        yield piece


def _write(file: IO[bytes], at: int, data: bytes, path: str) -> None:
    """Write data at an offset, but leave holes for its pages of zeros."""
    try:
        for start, end in without_zeros(data):
            file.seek(at + start)
            left = memoryview(data)[start:end]
            while left:
                left = left[file.write(left) :]
    except OSError as error:
        raise _no_room(path, error) from None


def _no_room(path: str, error: OSError) -> InspectError:
    return InspectError(
        f"cannot unpack {path} in the temporary folder: {error.strerror}", "set TMPDIR to a folder with more room"
    )


def without_zeros(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """The ranges of data that are not whole pages of zeros."""
    whole = len(data) // PAGE * PAGE
    used = np.frombuffer(data[:whole], "<u8").reshape(-1, PAGE // 8).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], used, [False])).astype(np.int8))) * PAGE
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    if whole < len(data):
        yield whole, len(data)
