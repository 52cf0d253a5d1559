"""The file that a core is written to: it appears whole under its name, or not at all.

Until then it has no name where the file system knows how (O_TMPFILE), so that nothing of it remains whatever ends this
process; elsewhere it has a name of its own beside the one that was asked for, and is removed on every way out but
SIGKILL.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import Hint, InspectError, UsageError

MODE = 0o600
"""A core holds whatever the process knew."""

WHEN_FULL = Hint("write to a disk with more room, or compress with {zstd}")

NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""How file systems and kernels refuse a file without a name."""


@dataclass
class Output:
    """A file that is being written. `file` is its descriptor, `name` its own name, None while it has none."""

    path: Path
    file: int
    force: bool
    name: Path | None

    def publish(self) -> None:
        """Give the file its name; raises UsageError where somebody else took that meanwhile, and InspectError."""
        with writing(self.path):
            os.fsync(self.file)
            if self.name is None:
                self._link()
            if self.name is not None:
                self._rename()

    def _link(self) -> None:
        here = f"/proc/self/fd/{self.file}"
        with ExitStack() as opened:
            # os.link follows the link of /proc only where it is given a folder.
            folder = os.open("/", os.O_PATH | os.O_DIRECTORY)
            opened.callback(os.close, folder)
            target = _beside(self.path) if self.force else self.path
            try:
                os.link(here, target, src_dir_fd=folder, follow_symlinks=True)
            except FileExistsError:
                raise _exists(self.path) from None
            if self.force:
                self.name = target

    def _rename(self) -> None:
        assert self.name is not None
        if self.force:
            os.replace(self.name, self.path)
        else:
            try:
                os.link(self.name, self.path)
            except FileExistsError:
                raise _exists(self.path) from None
            except OSError:
                # Without hard links: what comes between these two lines is overwritten.
                if os.path.lexists(self.path):
                    raise _exists(self.path) from None
                os.replace(self.name, self.path)
            else:
                self.name.unlink()
        self.name = None


@contextmanager
def output(path: Path, force: bool, when_full: Hint | str = WHEN_FULL) -> Iterator[Output]:
    """Open a file to write a core to; what is not published when the block is left is gone.

    `when_full` is what to try where the disk is full.

    Raises UsageError where the file exists already and is not to be replaced (`force`), InspectError where it cannot
    be written.
    """
    _require_free(path, force)
    with writing(path, when_full), unnamed_or_beside(path) as (file, name):
        one = Output(path, file, force, name)
        try:
            yield one
        finally:
            if one.name is not None:
                with suppress(OSError):
                    one.name.unlink()


@contextmanager
def unnamed_or_beside(path: Path) -> Iterator[tuple[int, Path | None]]:
    """A new file in the folder of a path, and its name if it needs one; raises OSError."""
    try:
        file, name = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, MODE), None
    except OSError as error:
        if error.errno not in NO_UNNAMED or not path.parent.is_dir():
            raise
        name = _beside(path)
        file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        # Whatever the umask took away, the user may read it.
        os.fchmod(file, MODE)
        yield file, name
    finally:
        os.close(file)


@contextmanager
def writing(path: Path, when_full: Hint | str = WHEN_FULL) -> Iterator[None]:
    """Turn what the kernel says about a file into a sentence."""
    try:
        yield
    except OSError as error:
        raise InspectError(f"cannot write {path}: {error.strerror}", _hint(path, error, when_full)) from None


def _hint(path: Path, error: OSError, when_full: Hint | str) -> Hint | str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return when_full
    if error.errno == errno.EFBIG:
        return "the limit on the size of files (ulimit -f) is in the way"
    if error.errno == errno.ENOENT and not path.parent.exists():
        return f"there is no folder {path.parent}: make it first"
    return ""


def _require_free(path: Path, force: bool) -> None:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not force:
        raise _exists(path)
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is not a regular file, so it is not replaced", "choose another name")


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists already", Hint("choose another name, or replace it with {force}"))


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
