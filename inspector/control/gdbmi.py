"""The bridge to gdb: a conversation in gdb's machine interface (MI), and a Memory that reads through it.

gdb is the control plane: it attaches, holds the stop, and knows symbols and DWARF. Bulk bytes come through
it only where nothing faster reaches.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from pygdbmi.gdbmiparser import parse_response, response_is_finished

from inspector.control.apart import LOOK, deaf_to
from inspector.control.guard import Guard, Undo, comes_to_a_stop, end_what_it_started, leave_as_before
from inspector.control.ptrace import PATIENCE, PTRACE_CALL, waits_for_a_child
from inspector.control.turns import BeingTraced, Turn
from inspector.control.waiting import letting_go
from inspector.errors import (
    GdbDied,
    GdbError,
    GdbMissing,
    Hint,
    NoSuchTarget,
    NotPermitted,
    ProgramReplaced,
    TargetGone,
)
from inspector.memory import procfs
from inspector.memory.lifetime import Lifetime
from inspector.memory.prstatus import GENERAL
from inspector.memory.threads import Thread

START_TIMEOUT = 10.0
COMMAND_TIMEOUT = 120.0
HELD_TIMEOUT = 30.0
"""For commands while a process is held: it must not stand still for long because gdb hangs."""
EXIT_TIMEOUT = 5.0
POLL = 0.5
"""Seconds between looks whether gdb is still there."""
STOP_POLL = 0.001
PIECE = 1 << 20
"""Bytes of gdb's output that are read at a time."""
MOST_NONSENSE = 10_000
"""Lines that are not MI, after which a program is refused as not being gdb."""

FRAME_SEARCH = os.path.join(os.path.dirname(__file__), "gdbscript.py")
"""The script that gdb runs to find variables in goroutines' frames."""
NO_SHELL = os.path.join(os.path.dirname(__file__), "gdbnoshell.py")
"""The script that takes the convenience functions from gdb that run commands."""

WITHOUT_GDB = Hint(
    "detach the other debugger; a package variable or an address can be read without gdb and without a stop: {direct}, "
    "{no_stop}"
)
AGAIN = "that may be over in a moment: try again"


@dataclass(frozen=True)
class Advice:
    """What to try where there is no gdb, where a program is not one, and where it does not do its work."""

    missing: Hint
    other: Hint
    failing: Hint


OR_DIRECT = Advice(
    Hint("install gdb (apt-get install gdb), name it with {gdb}, or use {direct}, which needs no gdb"),
    Hint("name another with {gdb}, or use {direct}, which needs no gdb"),
    Hint("try again, or use {direct}, which needs no gdb"),
)
ONLY_GDB = Advice(
    Hint("install gdb (apt-get install gdb) or name it with {gdb}"), Hint("name another with {gdb}"), Hint("try again")
)
"""Where nothing can be done without gdb."""

# Nothing of the target's and nothing of the user's may run inside gdb: both could execute code or
# change its answers. So nothing that comes from a target is ever a part of a command: files are handed over open,
# functions by names of Go's alphabet, questions through memory. These are given with -iex, before any file is loaded.
EARLY_SETTINGS = (
    "set auto-load off",
    "set debuginfod enabled off",
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set height 0",
    "set print elements 0",
    "set auto-solib-add off",
    "set exec-file-mismatch off",
    "set startup-with-shell off",
    "set history save off",
    # Libraries are named by the target's memory, mapped files by notes of the core: gdb would open what they say.
    "set sysroot /nonexistent",
    # We only look: no expression may assign to the target or call a function in it.
    "set may-write-memory off",
    "set may-write-registers off",
    "set may-call-functions off",
    "set may-insert-breakpoints off",
    # gdb would take the language of the innermost frame, which is assembler in a parked Go program.
    "set language c",
)


class GdbSilent(GdbError):
    """gdb did not answer in time."""


def environment() -> dict[str, str]:
    """The environment of a gdb that we start: without the user's settings for gdb and Python, without their packages.

    usercustomize.py would run in gdb otherwise. gdb must not ignore its environment, which prevents that.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEBUGINFOD", "PYTHON"))}
    return kept | {"PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class GdbBridge:
    """One gdb process. Use as a context manager: leaving it detaches and ends gdb, whatever happened.

    `inherited` are descriptors of files for `open_executable` and `open_core`. `waited` says for whom it had to wait
    before it attached the last time, or nothing.

    Raises GdbMissing when gdb cannot be started; every method raises GdbError when gdb refuses and GdbDied
    when it is gone.
    """

    advice = OR_DIRECT

    def __init__(self, gdb: str = "gdb", inherited: tuple[int, ...] = ()) -> None:
        self.attached: int | None = None
        self.waited = ""
        self._state_before = "R"
        self._token = 0
        self._nonsense = 0
        self._console: list[str] = []
        self._searches_frames = False
        self._stopped = self._attaching = False
        self._asleep_in = ""
        self._life: Lifetime | None = None
        self._guard: Guard | None = None
        path = shutil.which(gdb)
        if path is None:
            raise GdbMissing(f"gdb is not installed ({gdb!r} was not found)", self.advice.missing)
        command = [os.path.abspath(path), "-nx", "--quiet", "--interpreter=mi3"]
        for setting in EARLY_SETTINGS:
            command += ["-iex", setting]
        self._scratch = os.memfd_create("scratch", 0)
        # gdb hands SIGINT and SIGTERM on to what it has attached to, and that dies of it; of others it ends without
        # letting go. It keeps what it inherits blocked: nobody but its input, and SIGKILL, can end it.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, deaf_to())
        try:
            # A session of its own: Ctrl-C in the terminal is ours to handle, gdb must live to detach.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
                # Nothing is imported or sourced from where the user happens to be.
                cwd="/",
                start_new_session=True,
                bufsize=0,
                pass_fds=(self._scratch, *inherited),
            )
        except OSError as error:
            os.close(self._scratch)
            raise GdbMissing(f"cannot start gdb: {error.strerror}", self.advice.missing) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, _Output(self._process.stdout.fileno())
        try:
            self.command("-gdb-version", START_TIMEOUT)
            self._take_functions_away()
        except GdbError as error:
            self._end()
            what = "it exited at once" if isinstance(error, GdbDied) else "it does not answer"
            raise GdbMissing(f"{gdb!r} is not a gdb with the MI interface: {what}", self.advice.other) from None
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_functions_away(self) -> None:
        try:
            self.console(f"source {NO_SHELL}", START_TIMEOUT)
        except (GdbDied, GdbSilent):
            raise
        except GdbError:
            # Without Python frames cannot be looked into; everything else can be done.
            return

    # The conversation

    def command(self, text: str, timeout: float | None = None) -> dict[str, Any]:
        """Send one MI command and return the payload of its own result record (empty when it has none)."""
        if any(ord(c) < 32 for c in text):
            raise GdbError(f"a control character in the gdb command {text!r}")
        self._token += 1
        token = self._token
        self._console = []
        try:
            self._input.write(f"{token}{text}\n".encode(errors="surrogateescape"))
        except (BrokenPipeError, ValueError):
            raise self._died() from None
        if timeout is None:
            timeout = COMMAND_TIMEOUT if self.attached is None else HELD_TIMEOUT
        deadline = time.monotonic() + timeout
        while True:
            for record in self._next_records(deadline):
                if record["type"] == "console":
                    self._console.append(record["payload"] or "")
                if record["type"] == "result" and record.get("token") == token:
                    return self._result(record)

    def _next_records(self, deadline: float) -> list[dict[str, Any]]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise GdbSilent("gdb does not answer", self.advice.failing)
        patience = LOOK if self._attaching else POLL
        records = self._output.records(min(remaining, patience))
        # A child of gdb may hold its output open after it: the end of gdb counts, not the end of that.
        if not records and self._process.poll() is not None:
            raise self._died()
        if self._attaching and not records:
            self._require_progress()
        self._stopped |= any(record["type"] == "notify" and record["message"] == "stopped" for record in records)
        self._nonsense += sum(record["type"] == "output" for record in records)
        if self._nonsense > MOST_NONSENSE:
            raise GdbSilent("gdb does not answer; what it prints is not MI", self.advice.other)
        return records

    def _result(self, record: dict[str, Any]) -> dict[str, Any]:
        payload = record.get("payload") or {}
        if record["message"] == "error":
            raise GdbError(f"gdb: {payload.get('msg', 'unknown error')}")
        return dict(payload)

    def _died(self) -> GdbDied:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_TIMEOUT)
            end_what_it_started(self._process.pid)
        status = self._process.returncode
        return GdbDied(f"gdb ended in the middle of its work (exit status {status})", self.advice.failing)

    def console(self, command: str, timeout: float | None = None) -> str:
        """Run a command of gdb's own prompt and return what it printed."""
        self.command(f"-interpreter-exec console {quote(command)}", timeout)
        return "".join(self._console)

    def taken(self, command: str, timeout: float | None = None) -> bytes:
        """Run a command that writes a file, whose name goes in the place of {}; returns what it wrote.

        The file is memory that gdb shares with us: nothing is left on a disk, however we end.
        """
        os.ftruncate(self._scratch, 0)
        self.console(command.format(f"/proc/self/fd/{self._scratch}"), timeout)
        return os.pread(self._scratch, os.fstat(self._scratch).st_size, 0)

    # Files and processes

    def open_executable(self, descriptor: int, bias: int = 0) -> None:
        """Load an inherited executable and its symbols; `bias` where gdb cannot tell what the loader added to them."""
        self.command(f"-file-exec-and-symbols /proc/self/fd/{descriptor}")
        if bias:
            self.console(f"symbol-file -o {bias:#x} /proc/self/fd/{descriptor}")

    def open_core(self, descriptor: int) -> None:
        """Open an inherited core dump; its executable must have been opened before."""
        self.console(f"core-file /proc/self/fd/{descriptor}")

    @contextmanager
    def holding(self, pid: int) -> Iterator[float]:
        """Attach to a process and hold it stopped for the length of the block.

        Yields when it was asked to, in seconds of time.perf_counter().

        However the block ends, and even if gdb dies in it, the process runs again afterwards (or is
        stopped again, when it was before).
        """
        # Opened first: what the pid stands for from now on, signals reach this process or nobody.
        if self._life is None:
            self._life = Lifetime(pid)
        turn = Turn(pid)
        try:
            turn.await_free()
        except BeingTraced as error:
            error.hint = WITHOUT_GDB
            raise
        self.waited = turn.waited
        before = procfs.status(pid)
        _require_no_exec(pid)
        self._state_before = before.state
        self._ready_guard(self._life).arm(before.state)
        began = time.perf_counter()
        try:
            self._attach(pid)
            yield began
        finally:
            held_to_the_end = self._let_go(pid, before.state)
        if not held_to_the_end:
            raise GdbDied(
                f"gdb ended while it held process {pid}, so what was copied may be torn",
                self.advice.failing,
            )

    def _ready_guard(self, life: Lifetime) -> Guard:
        """The guard of this gdb, started when it is first needed, and again when somebody has killed it."""
        if self._guard is None or not self._guard.alive:
            if self._guard is not None:
                self._guard.close()
            undo = partial(leave_as_before, life.pid, life.handle, self._process.pid)
            self._guard = self._start_guard(f"process {life.pid}", undo, life.handle)
        return self._guard

    def _start_guard(self, whose: str, undo: Undo, *keeps: int) -> Guard:
        gdb = os.pidfd_open(self._process.pid)
        try:
            return Guard(whose, gdb, undo, keeps)
        finally:
            os.close(gdb)

    def _require_progress(self) -> None:
        """End a gdb that waits for threads that are gone after an exec, or in the kernel for an exec to be over.

        The exec may wait for gdb in turn.
        """
        if self._life is not None and self._life.replaced:
            self._kill()
            self._life.require()
        before, self._asleep_in = self._asleep_in, procfs.system_call(self._process.pid, self._process.pid)
        if self._asleep_in.startswith(PTRACE_CALL) and self._asleep_in == before:
            self._kill()
            raise GdbSilent("gdb cannot attach to a process that is inside execve", AGAIN)

    def _attach(self, pid: int) -> None:
        self.attached = pid
        try:
            self._stopped, self._attaching = False, True
            self.command(f"-target-attach {pid}")
            self._wait_for_stop()
        except GdbDied:
            raise
        except (GdbSilent, ProgramReplaced):
            # It may be half attached: a detach cannot be trusted to it either.
            self._end()
            raise
        except GdbError as error:
            self.attached = None
            if procfs.has_ended(pid):
                raise TargetGone(f"process {pid} ended before it could be read") from None
            raise NotPermitted(
                f"gdb cannot attach to process {pid}: {error.message.removeprefix('gdb: ').rstrip('.')}",
                procfs.PERMISSION_HINT,
            ) from None
        finally:
            self._attaching = False

    def _wait_for_stop(self) -> None:
        """Wait until gdb says that the process has stopped; it may say that it has attached before that."""
        deadline = time.monotonic() + HELD_TIMEOUT
        while not self._stopped:
            # gdb may be silent about a process that was killed while it attached.
            if not self._next_records(deadline) and self.attached is not None and procfs.has_ended(self.attached):
                pid, self.attached = self.attached, None
                self._end()
                raise TargetGone(f"process {pid} ended before it could be read")

    def _let_go(self, pid: int, state_before: str) -> bool:
        """Detach, or end gdb where it does not; returns whether gdb was there all the time."""
        # Ctrl-C waits until the target is free.
        with letting_go():
            if self.attached is not None:
                try:
                    self.command("-target-detach", EXIT_TIMEOUT)
                except GdbError:
                    # Ending gdb frees what it traced: the kernel sees to that.
                    self._end()
            self.attached = None
            alive = self._process.poll() is None
            self._wake(pid, state_before)
            return alive

    def _wake(self, pid: int, state_before: str) -> None:
        """Undo a SIGSTOP of gdb's attach that was left behind, or restore the stop there was before."""
        life = self._life
        assert life is not None
        with suppress(OSError, NoSuchTarget):
            if state_before == "T":
                self._stop_again(life)
            elif self._process.poll() is not None or comes_to_a_stop(pid, life.handle):
                # A gdb that died while it attached leaves a SIGSTOP that may take effect only later, and one that lets
                # go of a program that forks sometimes does.
                guard = self._guard
                if guard is None or not guard.undo():
                    life.signal(signal.SIGCONT)
        if self._guard is not None:
            self._guard.disarm()

    def _stop_again(self, life: Lifetime) -> None:
        pid = life.pid
        deadline = time.monotonic() + EXIT_TIMEOUT
        if procfs.status(pid).state != "T":
            life.signal(signal.SIGSTOP)
        # A stop takes effect when the threads are next scheduled, which a busy machine may put off.
        while procfs.status(pid).state != "T" and time.monotonic() < deadline:
            time.sleep(STOP_POLL)

    def close(self) -> None:
        """Detach if attached, end gdb and reap it."""
        pid = self.attached
        self._end()
        if pid is not None:
            self.attached = None
            self._wake(pid, self._state_before)
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        if self._life is not None:
            self._life.close()
            self._life = None

    def _end(self) -> None:
        if self._process.poll() is None:
            with suppress(OSError, ValueError):
                # On end of input gdb quits, and quitting detaches from an attached process.
                self._input.write(b"-gdb-exit\n")
            with suppress(OSError):
                self._input.close()
            try:
                self._process.wait(EXIT_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        if self._scratch >= 0:
            os.close(self._scratch)
            self._scratch = -1

    def _kill(self) -> None:
        self._process.kill()
        # Until it is waited for, nobody else gets its id, which is that of the session that it leaves.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        end_what_it_started(self._process.pid)
        self._process.wait()

    # Questions about the program

    def threads(self) -> list[Thread]:
        """The registers of all threads of what is held or open; raises GdbError."""
        names = (*GENERAL, "rip", "rsp", "fs_base")
        text = self.console(f"thread apply all info registers {' '.join(names)}")
        found = []
        for section in re.split(r"^Thread \d+ ", text, flags=re.MULTILINE)[1:]:
            number = re.search(r"(?:LWP|process|Thread)(?: \d+\.| )(\d+)", section)
            registers = {
                name: int(word, 16) for name, word in re.findall(r"^(\w+) +(0x[0-9a-f]+)", section, re.MULTILINE)
            }
            if number and len(registers) == len(names):
                found.append(Thread.of(int(number[1]), registers))
        return found

    def prepare_frames(self, functions: list[tuple[str, int]]) -> list[str]:
        """Read what is needed to find the frames of functions (names and addresses, 0 for one without any).

        Returns the names of those that exist. Needs no process.
        """
        if not self._searches_frames:
            self.console(f"source {FRAME_SEARCH}")
            self._searches_frames = True
        return list(self._ask("prepare", functions))

    def search_frames(self, request: dict[str, Any]) -> dict[str, Any]:
        """Find variables in frames, see gdbframes.search; call it while a process is held or a core is open."""
        return dict(self._ask("search", request))

    def _ask(self, function: str, question: object) -> Any:
        """Call a function of the script in gdb. Question and answer are JSON in the memory that gdb shares with us."""
        os.ftruncate(self._scratch, 0)
        os.pwrite(self._scratch, json.dumps({"function": function, "question": question}).encode(), 0)
        self.console(f"python go_map_inspect_answer({self._scratch})")
        try:
            said = json.loads(os.pread(self._scratch, os.fstat(self._scratch).st_size, 0))
        except ValueError:
            raise GdbError("gdb did not answer a question about frames") from None
        if "problem" in said:
            raise GdbError(f"gdb: {said['problem']}")
        return said["answer"]

    def program_counter(self) -> int:
        """Where the selected thread stands; raises GdbError."""
        value = str(self.command('-data-evaluate-expression "(unsigned long) $pc"').get("value", ""))
        if not value.isdecimal():
            raise GdbError("gdb does not know the program counter of the process")
        return int(value)


def _require_no_exec(pid: int) -> None:
    """Wait until no thread of a process is inside vfork or execve, which gdb would wait for with all others stopped.

    Raises NotPermitted when that does not end.
    """
    deadline = time.monotonic() + PATIENCE
    while any(waits_for_a_child(pid, thread) for thread in procfs.threads(pid)):
        if time.monotonic() > deadline:
            raise NotPermitted(f"a thread of process {pid} is inside vfork or execve, so gdb cannot attach", AGAIN)
        time.sleep(LOOK)


def quote(text: str) -> str:
    """Write a text as an MI c-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Output:
    """gdb's output, record by record, and never more than a piece of it at a time, however fast it comes.

    pygdbmi parses it. Its IoManager would wait with select(2), which knows no descriptor above 1,023: the process that
    uses us may have more of them.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLIN)
        self._begun = bytearray()

    def records(self, patience: float) -> list[dict[str, Any]]:
        """The records that are there, or that come within `patience` seconds; none at the end of the output."""
        if not self._ready.poll(patience * 1000):
            return []
        self._begun += os.read(self._descriptor, PIECE)
        whole = self._begun.rfind(b"\n") + 1
        lines = self._begun[:whole].decode(errors="replace").split("\n")
        del self._begun[:whole]
        return [parse_response(line) for line in lines if line and not response_is_finished(line)]
