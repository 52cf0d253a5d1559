"""Compressed files, as systemd-coredump and distributions keep cores: unpacked into a file without a name.

The first bytes decide the kind, not the name. The unpacked file is sparse, since a Go core is mostly zeros,
and nothing of it remains when this process ends, however it ends.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import numpy as np

from inspector import watching
from inspector.errors import BadCore, Hint, InspectError, TooFewDescriptors

PIECE = 1 << 20
"""Bytes unpacked at a time."""

MOST_OF_THE_ROOM = 0.9
"""The share of the free room of a disk that is filled at most, since others write there, too."""

USUAL_SIZE = 1 << 36
"""Bytes that a file may have on any disk, with those that are zeros and take no room: they are unpacked in a minute."""

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

MOST_OF_A_BLOCK = 1 << 26
"""Bytes that are unpacked, and dropped, of what is not wanted: a block of bzip2 has a checksum at its end."""

LONGEST_MAGIC = max(map(len, FORMATS))


@dataclass(frozen=True)
class Unpacked:
    """A file that was unpacked; `note` is a sentence for the user when its archive is cut short, else empty."""

    file: IO[bytes]
    note: str


@dataclass
class Limit:
    """What an archive may become, so that one which expands without end fills no disk and takes no day.

    `size` is in bytes, those that are zeros included; `room` is how many bytes may be written.
    """

    path: str
    size: int
    room: int

    @staticmethod
    def of(path: str, folder: str, allowed: int | None) -> Limit:
        """What the user allows, else what the folder has room for; raises OSError."""
        if allowed is not None:
            return Limit(path, allowed, allowed)
        disk = os.statvfs(folder)
        room = int(disk.f_bavail * disk.f_frsize * MOST_OF_THE_ROOM)
        return Limit(path, max(USUAL_SIZE, room), room)

    def check(self, size: int, written: int) -> None:
        """Raise InspectError when either is more than is allowed."""
        if size > self.size:
            raise InspectError(
                f"{self.path} unpacks to more than {self.size:,} bytes", Hint("allow more with {max_unpacked}")
            )
        if written > self.room:
            raise InspectError(
                f"{self.path} unpacks to more than {self.room:,} bytes, {MOST_OF_THE_ROOM:.0%} of the free room of the "
                "temporary folder",
                Hint("set TMPDIR to a folder with more room, or allow more with {max_unpacked}"),
            )


def unpack(archive: IO[bytes], path: str, allowed: int | None = None, magic: bytes = b"") -> Unpacked | None:
    """Unpack an archive that is opened at its beginning, `path` for messages; None when it is not one.

    `allowed` is how many bytes the unpacked file may have (see Limit). Of a file that does not begin with `magic` the
    first piece is kept. Raises BadCore for a damaged one, InspectError where the disk is full or the file becomes
    larger than is allowed.
    """
    head = archive.read(LONGEST_MAGIC)
    archive.seek(0)
    found = next((FORMATS[mark] for mark in FORMATS if head.startswith(mark)), None)
    if found is None:
        return None
    kind, load = found
    reader, its_error = load()
    size, written, note = 0, 0, ""
    with ExitStack() as unless_done:
        # Without a name from the start (O_TMPFILE), so that no interruption can leave it behind.
        try:
            folder = _folder()
            file = unless_done.enter_context(tempfile.TemporaryFile(buffering=0, dir=folder))
            limit = Limit.of(path, folder, allowed)
        except OSError as error:
            raise no_room(path, error) from None
        try:
            watching.begin("Unpacking the core dump", archive.seek(0, os.SEEK_END), in_bytes=True)
            archive.seek(0)
            pieces = _pieces(reader(archive))
            for piece in pieces:
                if not size and not piece.startswith(magic[: len(piece)]):
                    size = len(piece)
                    # If it is damaged, its block says so in the end.
                    sum(map(len, islice(pieces, MOST_OF_A_BLOCK // PIECE)))
                    break
                kept = [*without_zeros(piece)]
                written += sum(end - start for start, end in kept)
                limit.check(size + len(piece), written)
                _write(file, size, piece, kept, path)
                size += len(piece)
                watching.reach(archive.tell())
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


def _write(file: IO[bytes], at: int, data: bytes, kept: list[tuple[int, int]], path: str) -> None:
    """Write those ranges of data that are kept, at an offset; the others become holes."""
    try:
        for start, end in kept:
            file.seek(at + start)
            left = memoryview(data)[start:end]
            while left:
                left = left[file.write(left) :]
    except OSError as error:
        raise no_room(path, error) from None


def no_room(path: str, error: OSError) -> InspectError:
    """What is raised where a file cannot be unpacked into the temporary folder."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TooFewDescriptors()
    hint = "set TMPDIR to a folder with more room"
    if error.errno == errno.EFBIG:
        hint = "the limit on the size of files (ulimit -f) is in the way"
    return InspectError(f"cannot unpack {path} in the temporary folder: {error.strerror}", hint)


def without_zeros(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """The ranges of data that are not whole pages of zeros."""
    whole = len(data) // PAGE * PAGE
    used = np.frombuffer(data[:whole], "<u8").reshape(-1, PAGE // 8).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], used, [False])).astype(np.int8))) * PAGE
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    if whole < len(data):
        yield whole, len(data)
