"""Which process a gdbserver of this machine holds, found without talking to it: by its port and by /proc."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress

from inspector.errors import NoSuchTarget
from inspector.memory import procfs

LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def process_behind(host: str, port: int) -> int | None:
    """The pid of the one process that the gdbserver at a port of this machine traces.

    None where another machine is meant, where nobody listens who can be seen, and where it traces several processes.
    """
    if not _is_here(host):
        return None
    sockets = set(_listening(port))
    servers = {pid for pid in _processes() if procfs.thread_name(pid).startswith("gdbserver") and _has(pid, sockets)}
    traced = [pid for pid in _processes() if _tracer(pid) in servers] if servers else []
    return traced[0] if len(traced) == 1 else None


def _is_here(host: str) -> bool:
    """Whether a name stands for an address of this machine."""
    with suppress(OSError, UnicodeError):
        for family, kind, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            # Only an own address can be bound to; port 0 stands for any free one.
            with suppress(OSError), socket.socket(family, kind) as probe:
                probe.bind(address)
                return True
    return False


def _listening(port: int) -> Iterator[str]:
    """What links to the sockets that listen at a port look like in /proc/PID/fd."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in procfs.read(f"/proc/net/{table}").split("\n")[1:]:
                fields = line.split()
                if len(fields) > 9 and fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


def _has(pid: int, links: set[str]) -> bool:
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") in links:
                    return True
    return False


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def _tracer(pid: int) -> int:
    with suppress(NoSuchTarget):
        return procfs.process_of(procfs.status(pid).tracer)
    return 0
