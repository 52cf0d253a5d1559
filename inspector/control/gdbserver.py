"""Processes behind a gdbserver: the bridge's connection to it, and how the process is let go again.

gdbserver holds its process from the moment it attaches until somebody detaches, so a process that it has
attached to runs again when we leave it; a program that it has started is left standing where it was, and
gdbserver waits for the next debugger. gdb is forbidden to kill: even when it ends without us (it sees
the end of its input) it can only detach, or leave.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from inspector.control.detaching import detach
from inspector.control.gdbmemory import GdbMemory
from inspector.control.gdbmi import EXIT_TIMEOUT, ONLY_GDB, GdbBridge, GdbSilent
from inspector.control.guard import Guard, is_traced, undo_late_stop
from inspector.control.listening import process_behind
from inspector.control.waiting import held, letting_go
from inspector.errors import (
    BadExecutable,
    GdbDied,
    GdbError,
    Hint,
    InspectError,
    NoSuchTarget,
    TargetGone,
    UnreadableMemory,
    UsageError,
)
from inspector.memory import procfs
from inspector.memory.lifetime import Lifetime
from inspector.memory.protocol import END_OF_USER_SPACE, Region

CONNECT_TIMEOUT = 15.0
FETCH_TIMEOUT = 300.0
"""Executables are large, and come through a protocol that is slow."""
FREE = "free"
"""Stands for the state of a process that gdbserver has let go of."""
LARGEST_PORT = 65535
LOWEST_ADDRESS = 1 << 16

HINT = "start one beside the process: gdbserver --attach HOST:PORT PID"

REMOTE_SETTINGS = (
    "set tcp auto-retry off",
    f"set tcp connect-timeout {int(EXIT_TIMEOUT)}",
    # Whatever happens, gdb cannot kill the target; quitting would kill a program that gdbserver started.
    "set remote kill-packet off",
)
_CLOSED = re.compile(r"Remote (connection closed|communication error)|Connection reset")
_ENTRY = re.compile(rf"^{procfs.AT_ENTRY}\s.*\s(0x[0-9a-f]+)$", re.MULTILINE)
_ENDPOINT = re.compile(r"(?P<host>\[[0-9a-fA-F:.%\w]+\]|[\w.%-]+):(?P<port>\d{1,5})")


def parse_endpoint(text: str) -> str:
    """Check HOST:PORT and return it as gdb wants it; raises UsageError, NoSuchTarget for an unknown host."""
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= LARGEST_PORT:
        raise UsageError(
            f"{text!r} is not HOST:PORT", Hint("gdbserver says which port it listens on: {remote} localhost:2345")
        )
    try:
        socket.getaddrinfo(match["host"].strip("[]"), int(match["port"]), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not a host name"
        raise NoSuchTarget(f"the host of {text} cannot be found: {reason}", "is it spelled right?") from None
    return text


def _let_go(endpoint: str, life: Lifetime | None, state: str) -> None:
    """Ask gdbserver to let its process go, unless it is FREE already. One on this machine is seen to run after that."""
    if state != FREE:
        detach(*_host_and_port(endpoint))
    if life is not None:
        undo_late_stop(life.pid, life.handle)


def _host_and_port(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def _lifetime_here(pid: int | None) -> Lifetime | None:
    """The process with this pid on this machine, if a gdbserver of this machine traces it."""
    if pid is None:
        return None
    try:
        tracer = procfs.process_of(procfs.status(pid).tracer)
        return Lifetime(pid) if procfs.thread_name(tracer).startswith("gdbserver") else None
    except NoSuchTarget:
        return None


class RemoteBridge(GdbBridge):
    """A gdb that is connected to a gdbserver. `pid` is the process there, None when gdbserver does not report it.

    `executable` is the descriptor of a copy of its executable, or of the memory that `fetch_executable` brings it to.
    Raises NoSuchTarget when nothing answers that is a gdbserver, TargetGone when it goes away.
    """

    advice = ONLY_GDB

    def __init__(self, gdb: str, endpoint: str, executable: int | None = None) -> None:
        self.endpoint = endpoint
        self.pid: int | None = None
        self._gdb = gdb
        self._connected = self._left = False
        self._standing = ExitStack()
        # Files come into memory that gdb shares with us: nothing is left on a disk, however we end.
        self._fetched = os.memfd_create("executable", 0)
        self.executable = self._fetched if executable is None else executable
        try:
            super().__init__(gdb, inherited=(self.executable,))
        except BaseException:
            os.close(self._fetched)
            raise

    # Connecting

    def connect(self) -> None:
        """Connect; raises NoSuchTarget."""
        for setting in REMOTE_SETTINGS:
            self.console(setting)
        # From here on gdb may be connected, whatever it answers.
        self._standing.enter_context(held())
        # Whoever is killed while gdb connects must know already what has to run again.
        self._life = _lifetime_here(process_behind(*_host_and_port(self.endpoint)))
        self._guard = self._armed_guard(self._life)
        self._connected = True
        try:
            self.command(f"-target-select remote {self.endpoint}", CONNECT_TIMEOUT)
            self.pid = self._find_pid()
            self._look_after_it()
        except TargetGone:
            raise NoSuchTarget(f"{self.endpoint} is not a gdbserver: it closed the connection", HINT) from None
        except GdbDied:
            raise
        except GdbSilent:
            # Nobody answers who could let the process go: it is left to whoever holds it.
            self._connected, self._left = False, True
            self._end()
            raise NoSuchTarget(
                f"{self.endpoint} does not answer as a gdbserver does",
                f"is another debugger connected to it? {HINT}",
            ) from None
        except GdbError as error:
            raise self._refused(error) from None

    def _armed_guard(self, life: Lifetime | None) -> Guard:
        keeps = (life.handle,) if life is not None else ()
        guard = self._start_guard(f"the process at {self.endpoint}", partial(_let_go, self.endpoint, life), *keeps)
        guard.arm("")
        return guard

    def _look_after_it(self) -> None:
        """A stop that gdbserver leaves can be undone where its process is here, behind a forwarded port, too."""
        assert self.pid is not None
        assert self._guard is not None
        if self._life is None and (life := _lifetime_here(self.pid)) is not None:
            self._life = life
            before, self._guard = self._guard, self._armed_guard(self._life)
            before.close()

    def _refused(self, error: GdbError) -> NoSuchTarget:
        reason = error.message.removeprefix("gdb: ").removeprefix(f"{self.endpoint}: ").rstrip(".")
        if "onnection refused" in reason:
            return NoSuchTarget(f"nothing listens at {self.endpoint} (connection refused)", HINT)
        if "timed out" in reason.lower() and "onnect" in reason:
            return NoSuchTarget(f"{self.endpoint} cannot be reached: {reason}", "does a firewall block the connection?")
        return NoSuchTarget(f"{self.endpoint} is not a gdbserver with a process: {reason}", HINT)

    def _find_pid(self) -> int:
        groups = self.command("-list-thread-groups").get("groups", [])
        pids = [int(group["pid"]) for group in groups if str(group.get("pid", "")).isdecimal()]
        if not pids:
            raise GdbError("gdb: it has no process")
        return pids[0]

    @property
    def started_by_gdbserver(self) -> bool:
        """Whether the process would not be there without gdbserver: it is left as it is then."""
        return 'received: "0"' in self.console("maint packet qAttached", EXIT_TIMEOUT)

    # Questions about the process

    def fetch(self, path: str, timeout: float | None = None) -> bytes:
        """Read a file where the process is; raises GdbError when that is not possible."""
        return self.taken(f"remote get {path} {{}}", timeout)

    def fetch_executable(self) -> str:
        """Fetch the process's executable; returns a path that opens it, here and in gdb."""
        path = f"/proc/self/fd/{self._fetched}"
        try:
            self.console(f"remote get /proc/{self.pid}/exe {path}", FETCH_TIMEOUT)
        except GdbDied:
            raise
        except GdbError as error:
            raise BadExecutable(
                f"the executable cannot be fetched from {self.endpoint}: {error.message.removeprefix('gdb: ')}",
                Hint("name a copy of it with {exe}"),
            ) from None
        return path

    def executable_name(self) -> str:
        """What the executable is called where the process runs, for the user."""
        found = re.search(r"^exe = '(.*)'$", self._tolerant("info proc exe"), re.MULTILINE)
        return found[1] if found else f"the executable at {self.endpoint}"

    def entry_point(self) -> int:
        """AT_ENTRY of the process, 0 where gdbserver does not report it."""
        found = _ENTRY.search(self._tolerant("info auxv"))
        return int(found[1], 16) if found else 0

    def _tolerant(self, command: str) -> str:
        try:
            return self.console(command)
        except GdbDied:
            raise
        except GdbError:
            return ""

    def _result(self, record: dict[str, Any]) -> dict[str, Any]:
        try:
            return super()._result(record)
        except GdbError as error:
            if self._connected and _CLOSED.search(error.message):
                self._connected = False
                raise TargetGone(
                    f"the gdbserver at {self.endpoint} ended or closed the connection", "is its process still there?"
                ) from None
            raise

    def _died(self) -> GdbDied:
        died = super()._died()
        if not self._connected:
            return died
        status = self._process.returncode
        return GdbDied(
            f"gdb ended while it was connected to {self.endpoint} (exit status {status})",
            "are the process and its gdbserver still there? try again",
        )

    # Letting go

    def close(self) -> None:
        """Let the process go as it was, end gdb and reap it."""
        # Ctrl-C waits until the target is free.
        with letting_go(), self._standing:
            try:
                free = not self._connected or self._disconnect()
                self._end()
                self._connected = False
                if not self._left:
                    self._see_it_run(free)
            finally:
                if self._guard is not None:
                    self._guard.close()
                    self._guard = None
                if self._life is not None:
                    self._life.close()
                    self._life = None
                with suppress(OSError):
                    os.close(self._fetched)

    def _runs_here(self) -> bool:
        """Whether the process is known to be free: a gdbserver whose process calls exec may hang, and answer nobody."""
        with suppress(NoSuchTarget):
            return self._life is not None and not is_traced(self._life.pid)
        return False

    def _see_it_run(self, free: bool) -> None:
        """Let the process go where gdb did not: one that was killed, or told to quit while it connected."""
        state = FREE if free or self._runs_here() else ""
        if state == FREE and self._life is None:
            return
        if self._guard is not None:
            self._guard.arm(state)
            if self._guard.undo():
                return
        _let_go(self.endpoint, self._life, state)

    def _disconnect(self) -> bool:
        """Detach from a process, leave a program that gdbserver started; returns whether gdb did that."""
        try:
            self._left = self.started_by_gdbserver and not self._ends_with_us()
            self.command("-target-disconnect" if self._left else "-target-detach", EXIT_TIMEOUT)
        except TargetGone:
            return True
        except GdbError:
            return False
        return True

    def _ends_with_us(self) -> bool:
        """Whether gdbserver was started to serve only one debugger: it would kill its program when we leave."""
        with suppress(InspectError, ValueError):
            status = self.fetch(f"/proc/{self.pid}/status", EXIT_TIMEOUT).decode(errors="replace")
            tracer = re.search(r"^TracerPid:\s*(\d+)", status, re.MULTILINE)
            return tracer is not None and b"--once" in self._command_line(tracer[1])
        return False

    def _command_line(self, pid: str) -> list[bytes]:
        return self.fetch(f"/proc/{pid}/cmdline", EXIT_TIMEOUT).split(b"\0")


class RemoteMemory(GdbMemory):
    """Memory behind a gdbserver. Without a list of its mappings every address is tried."""

    def __init__(self, bridge: RemoteBridge) -> None:
        super().__init__(bridge, None)
        self._remote = bridge
        self.sign_of_life = 0
        self.knows_regions = True

    def read(self, address: int, size: int) -> memoryview:
        """See GdbMemory.read; raises TargetGone too, when the process can no longer be read."""
        try:
            return super().read(address, size)
        except UnreadableMemory:
            if self.sign_of_life and address != self.sign_of_life:
                self._require_life()
            raise

    def _require_life(self) -> None:
        try:
            super().read(self.sign_of_life, 1)
        except UnreadableMemory:
            raise self._gone() from None

    def _gone(self) -> TargetGone:
        return TargetGone(
            f"the process at {self._remote.endpoint} ended while it was being inspected",
            "inspect its core dump, if it left one",
        )

    def regions(self) -> list[Region]:
        """The readable mappings, as the kernel of the remote machine reports them; raises TargetGone."""
        try:
            lines = self._remote.fetch(f"/proc/{self._remote.pid}/maps").decode(errors="surrogateescape")
        except GdbDied:
            raise
        except GdbError:
            self.knows_regions = False
            return [Region(LOWEST_ADDRESS, END_OF_USER_SPACE)]
        regions = procfs.parse_mappings(lines)
        if not regions:
            # That of a process that was killed is empty until somebody takes note of its end.
            raise self._gone()
        return regions
