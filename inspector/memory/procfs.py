"""What /proc reports about a process: its state, its mappings, its auxiliary vector."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.errors import NoSuchTarget, NotPermitted
from inspector.memory.descriptors import enough_descriptors

if TYPE_CHECKING:
    from inspector.memory.protocol import Region

AT_ENTRY = 9

PERMISSION_HINT = (
    "run as the same user as the target or as root; in a container grant CAP_SYS_PTRACE; "
    "if /proc/sys/kernel/yama/ptrace_scope is 1 or more, set it to 0 or use sudo; "
    "in Kubernetes: kubectl debug -it POD --image=IMAGE --target=CONTAINER --profile=sysadmin"
)


@dataclass(frozen=True)
class ProcessStatus:
    """From /proc/PID/status: the state letter, the pid of a tracer (0 if none), the process of a thread."""

    state: str
    tracer: int
    process: int = 0

    @property
    def ended(self) -> bool:
        """Whether only its parent still has to take note of its end."""
        return self.state in ENDED


def read(path: str) -> str:
    """The text of a file of /proc, in which only "\\n" ends a line; raises OSError.

    Names of files and of processes may have any other line break in them, and what takes one for the end of a line
    reads lines that whoever gave the name has written.
    """
    with enough_descriptors():
        return Path(path).read_bytes().decode(errors="surrogateescape")


def status(pid: int) -> ProcessStatus:
    """Read /proc/PID/status; raises NoSuchTarget."""
    try:
        text = read(f"/proc/{pid}/status")
    except OSError:
        raise NoSuchTarget(f"there is no process {pid}", "see `ps` or `pgrep` for the right pid") from None
    fields = dict(line.split(":", 1) for line in text.split("\n") if ":" in line)
    return ProcessStatus(
        fields.get("State", "?").strip()[:1], int(fields.get("TracerPid", "0")), int(fields.get("Tgid", "0"))
    )


def open_process(pid: int) -> int:
    """A file descriptor that stands for a process, and for no later one with its pid; raises NoSuchTarget."""
    try:
        with enough_descriptors():
            return os.pidfd_open(pid)
    except OSError:
        raise NoSuchTarget(f"there is no process {pid}", "see `ps` or `pgrep` for the right pid") from None


def has_ended(pid: int) -> bool:
    """Whether a process is gone or a zombie, with all its threads: while one calls exec, the first one is a zombie."""
    try:
        while status(pid).ended:
            there = threads(pid)
            if any(thread_state(pid, thread) not in ENDED for thread in there):
                return False
            # A thread whose exec is done becomes the first one: its own number is gone, and for a moment the kernel
            # finds neither of them. That is no end.
            if threads(pid) == there and status(pid).ended:
                return True
    except NoSuchTarget:
        return True
    return False


ENDED = "ZX"
"""State letters of what has ended, reaped or not."""


def processes() -> set[int]:
    """The ids of all processes that /proc shows."""
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}


def threads(pid: int) -> set[int]:
    """The ids of the threads of a process; none when it is gone."""
    try:
        with enough_descriptors():
            return {int(task) for task in os.listdir(f"/proc/{pid}/task")}
    except OSError:
        return set()


def threads_of_ours() -> set[int]:
    """The ids of the threads of this process."""
    return threads(os.getpid())


def thread_name(thread: int) -> str:
    """What a thread is called; nothing when it is gone. Its program has chosen the name."""
    try:
        return read(f"/proc/{thread}/comm").rstrip("\n")
    except OSError:
        return ""


def process_of(thread: int) -> int:
    """The process of a thread; 0 when it is gone."""
    try:
        return status(thread).process
    except NoSuchTarget:
        return 0


def thread_state(pid: int, thread: int) -> str:
    """The state letter of a thread; X when it is gone."""
    try:
        text = read(f"/proc/{pid}/task/{thread}/stat")
    except OSError:
        return "X"
    return text.rpartition(")")[2].split()[0]


def time_on_cpu(pid: int, thread: int) -> int:
    """For how many nanoseconds a thread has run, as far as the kernel has counted them; 0 where it does not say."""
    try:
        return int(read(f"/proc/{pid}/task/{thread}/schedstat").split()[0])
    except (OSError, IndexError, ValueError):
        return 0


def system_call(pid: int, thread: int) -> str:
    """The number and arguments of the system call in which a thread sleeps.

    "running" for one that does not, "" where the kernel does not say.
    """
    try:
        return read(f"/proc/{pid}/task/{thread}/syscall")
    except OSError:
        return ""


def thread_signals(pid: int, thread: int) -> dict[str, int]:
    """The sets of signals of a thread, as bits, by their names in its status, SigPnd and SigBlk among them."""
    try:
        lines = read(f"/proc/{pid}/task/{thread}/status").split("\n")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.startswith(("Sig", "Shd")) and not line.startswith("SigQ"))
    return {name: int(bits, 16) for name, bits in pairs}


def beginning(pid: int) -> tuple[str, int] | None:
    """The id of this boot, and when the process began in clock ticks since then; None where that cannot be read."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name in parentheses may have anything in it; starttime is the 22nd field.
        fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return boot, int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def executable_path(pid: int) -> str:
    """The kernel's link to the running executable, which opens even from another mount namespace."""
    link = f"/proc/{pid}/exe"
    try:
        os.stat(link)
    except PermissionError:
        raise NotPermitted(f"no permission to inspect process {pid}", PERMISSION_HINT) from None
    except (FileNotFoundError, ProcessLookupError):
        raise NoSuchTarget(
            f"process {pid} has no executable: it is a kernel thread, or has just ended",
            "see `ps` or `pgrep` for the right pid",
        ) from None
    return link


def mappings(pid: int) -> list[Region]:
    """The readable mappings of /proc/PID/maps."""
    try:
        text = read(f"/proc/{pid}/maps")
    except PermissionError:
        raise NotPermitted(f"no permission to read the memory of process {pid}", PERMISSION_HINT) from None
    except (FileNotFoundError, ProcessLookupError):
        raise NoSuchTarget(f"process {pid} has ended") from None
    return parse_mappings(text)


def parse_mappings(text: str) -> list[Region]:
    """The readable mappings in the text of a /proc/PID/maps."""
    # What only looks whether a process is there does not wait for numpy.
    from inspector.memory.protocol import Region

    regions = []
    for line in text.split("\n"):
        if not line:
            continue
        span, permissions, _, _, _, *name = line.split(" ", 5)
        start, _, end = span.partition("-")
        called = name[0].lstrip(" ") if name else ""
        # [vvar] and [vvar_vclock] are readable by its owner only: process_vm_readv faults on them.
        if permissions.startswith("r") and not called.startswith("[vvar"):
            regions.append(Region(int(start, 16), int(end, 16), called, permissions[1:2] == "w"))
    return regions


def entry_point(pid: int) -> int:
    """AT_ENTRY of the running process: where its executable's entry point came to lie, 0 if unknown."""
    try:
        with enough_descriptors():
            raw = Path(f"/proc/{pid}/auxv").read_bytes()
    except PermissionError:
        raise NotPermitted(f"no permission to inspect process {pid}", PERMISSION_HINT) from None
    except (FileNotFoundError, ProcessLookupError):
        raise NoSuchTarget(f"process {pid} has ended") from None
    pairs: dict[int, int] = dict(struct.iter_unpack("<QQ", raw[: len(raw) // 16 * 16]))
    return pairs.get(AT_ENTRY, 0)
