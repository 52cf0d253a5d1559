"""The mappings of a process, and which of their bytes a core holds.

The choice is that of the kernel's default filter (core(5), vma_dump_size in fs/coredump.c), but for private writable
mappings of files: they are held whole, written to or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from inspector.errors import NotPermitted, TargetGone
from inspector.memory import procfs
from inspector.memory.protocol import END_OF_USER_SPACE

DELETED = " (deleted)"

MEMORY_OF_ITS_OWN = ("[heap]", "[stack]", "[anon")
"""What the kernel calls anonymous memory; other names in brackets are pages that it provides itself."""

_OCTAL = re.compile(r"\\([0-7]{3})")


class Held(Enum):
    """Which bytes of a mapping a core holds."""

    ALL = auto()
    PRESENT = auto()
    """Anonymous memory: pages that were never touched are zeros, and holes of the file."""
    FIRST_PAGE = auto()
    """Of an executable or library: its build id."""
    NOTHING = auto()
    UNLESS_CHANGED = auto()
    """The same as FIRST_PAGE or NOTHING, but all if any page differs from the file: relocated and then made
    read-only, or with a breakpoint in it."""


@dataclass(frozen=True)
class Mapping:
    """A line of /proc/PID/maps: [start, end) with `permissions` such as "rw-p", from `offset` bytes of `path` on."""

    start: int
    end: int
    permissions: str
    offset: int
    inode: int
    path: str

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.end - self.start

    @property
    def of_file(self) -> bool:
        """Whether the kernel keeps a file behind it (shared memory has one, too)."""
        return self.inode != 0

    @property
    def writable(self) -> bool:
        """Whether the process may write to it."""
        return self.permissions[1] == "w"

    @property
    def in_core(self) -> bool:
        """Whether a core mentions it: memory that the process can read, and no window into the kernel."""
        return (
            self.permissions.startswith("r")
            and self.end <= END_OF_USER_SPACE
            # Readable by the process only.
            and not self.path.startswith("[vvar")
        )

    @property
    def held(self) -> Held:
        """Which of its bytes a core holds."""
        if self.permissions.endswith("s"):
            # What a file on a disk keeps anyway may be a whole database.
            return Held.ALL if self.path.endswith(DELETED) else Held.NOTHING
        if self.of_file:
            return Held.ALL if self.writable else Held.UNLESS_CHANGED
        if self.path.startswith("[") and not self.path.startswith(MEMORY_OF_ITS_OWN):
            return Held.ALL  # [vdso]
        return Held.PRESENT

    @property
    def held_unchanged(self) -> Held:
        """The same for one that is held unless changed, and is not."""
        return Held.FIRST_PAGE if self.offset == 0 else Held.NOTHING


def read_maps(pid: int) -> str:
    """The text of /proc/PID/maps; raises NotPermitted, TargetGone."""
    try:
        return procfs.read(f"/proc/{pid}/maps")
    except PermissionError:
        raise NotPermitted(f"no permission to read the memory of process {pid}", procfs.PERMISSION_HINT) from None
    except (FileNotFoundError, ProcessLookupError):
        raise TargetGone(f"process {pid} has ended") from None


def parse_maps(text: str) -> list[Mapping]:
    """All mappings in the text of a /proc/PID/maps, in the order of their addresses."""
    mappings = []
    # No other kind of line break: a path may have any of those in it.
    for line in text.split("\n"):
        if line:
            span, permissions, offset, _, inode, *name = line.split(" ", 5)
            start, _, end = span.partition("-")
            path = _unescaped(name[0].lstrip(" ")) if name else ""
            mappings.append(Mapping(int(start, 16), int(end, 16), permissions, int(offset, 16), int(inode), path))
    return mappings


def _unescaped(path: str) -> str:
    # seq_file writes a line break as \012, and nothing else in this way.
    return _OCTAL.sub(lambda match: "\n" if match[1] == "012" else match[0], path)
