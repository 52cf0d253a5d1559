"""What becomes of a process when those who inspect it are killed.

Run it with `python -m benchmarks.kills [N] [--seed S] [--seconds T]`. A Go program with 1, 20 or 200 threads lives,
forks, execs, or begins and ends threads all the time, and counts its heartbeats and the signals that reach it. N
times somebody inspects it in one of many ways, and at a random moment some of those who do get a signal. After each
time the program has to live, untraced and not stopped; its heart has to beat on, and no signal may have reached it.
Printed are the seed, what was done how often and what went wrong.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build
from inspector.cli.command import main as command_line
from inspector.cli.interrupting import INTERRUPTED
from inspector.control.guard import undo_late_stop
from inspector.memory import procfs

THREADS = (1, 20, 200)
LIVES = ("rest", "fork", "exec", "churn")
WAYS: dict[str, tuple[str, ...]] = {
    "map": ("main.sessions",),
    "key": ("main.sessions", "--key", '"session-7"'),
    "census": (),
    "no-stop": ("main.sessions", "--no-stop"),
    "snapshot": (),
    "gdb-mi": ("main.sessions", "--memory", "gdb-mi"),
    "frames": ("main.serve:local",),
    "remote": ("main.sessions",),
}
"""What is asked, by the name of the way."""

BY_GDB = ("gdb-mi", "frames", "remote")
VICTIMS = ("us", "gdb", "both", "guard", "all but the guard")
SIGNALS = (
    signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE,
)  # fmt: skip

BEATS, WORDS, WORD = 0, 512, 8
PATIENCE = 30.0
"""Seconds in which everything that was started has to end."""
RECOVERY = 1.5
"""Seconds in which a process has to run again after everybody who inspected it has gone."""
TRACED = 0.02
"""Seconds after which, on the average, those are struck who hold a process."""
WATCH = 0.0002
CONNECTED = b"Remote debugging from"
"""What a gdbserver says when a debugger has connected to it."""
RESET = b"Connection reset"
"""What it says when the debugger was killed while something was on its way to it."""


class GdbserverCrashed(Exception):
    """A gdbserver has crashed by itself, which may end what it held.

    Release 13 does, now and then, when its connection is reset: its readchar reads on behind its buffer.
    """


@dataclass
class Living:
    """The program that is inspected; `counts` are the heartbeats, and how many signals of each number reached it."""

    process: subprocess.Popen[bytes]
    counts: mmap.mmap
    handle: int

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def count(self, word: int) -> int:
        """One of the counts: BEATS, or a signal's number."""
        return int(struct.unpack_from("<q", self.counts, word * WORD)[0])

    def signals(self) -> dict[int, int]:
        """The signals that reached it, by their numbers."""
        return {number: self.count(number) for number in range(1, 65) if self.count(number)}

    def wait_for_beats(self, more: int, seconds: float) -> bool:
        """Whether its heart beats so many times within some seconds."""
        until, first = time.monotonic() + seconds, self.count(BEATS)
        while self.count(BEATS) < first + more:
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True


@contextmanager
def living(toolchain: Toolchain, threads: int, life: str) -> Iterator[Living]:
    """Start the program for the length of the block."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(WORDS * WORD)
        command = [str(build("enduring", toolchain)), file.name, str(threads), life]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, bufsize=0
        )
        handle = os.pidfd_open(process.pid)
        try:
            with mmap.mmap(file.fileno(), WORDS * WORD) as counts:
                started = Living(process, counts, handle)
                assert started.wait_for_beats(5, PATIENCE), "it does not live"
                yield started
        finally:
            with suppress(OSError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
            os.close(handle)


@dataclass
class Blow:
    """One time: what was asked, who got which signal, and what was wrong after it.

    The signal comes `after` so many seconds from the beginning, or from the moment when the process is `traced`.
    `crashed` says that a gdbserver did.
    """

    way: str
    victim: str
    number: signal.Signals
    after: float
    traced: bool
    wrong: list[str] = field(default_factory=list)
    struck: int = 0
    code: int | None = None
    crashed: bool = False

    def __str__(self) -> str:
        since = "tracing began" if self.traced else "the beginning"
        when = f"{self.after * 1000:.1f} ms after {since}"
        return f"{self.way}: {self.number.name} to {self.victim} {when} (exit code {self.code})"


def _inspect(words: Sequence[object]) -> NoReturn:
    """Run the command line in a process that was forked for it."""
    try:
        # A session of its own, as a terminal's job has: the signals of its group are its own.
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.closerange(3, 1 << 16)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        sys.argv = ["go-map-inspect", *map(str, words)]
        command_line()
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 99)
    finally:
        os._exit(99)


class Inspector:
    """An inspection that runs, and all processes that it started, each known by a descriptor of its own."""

    def __init__(self, words: Sequence[object]) -> None:
        # Forked from here, where all modules are loaded: to load them takes longer than to inspect.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            # What Python itself does with it is of no interest: either our own handler is there, or none.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            _inspect(words)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self.handle = os.pidfd_open(self.pid)
        self.code: int | None = None
        self.helpers: dict[int, tuple[str, int]] = {}

    def poll(self) -> int | None:
        """How it ended, as Popen has it; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def look(self) -> None:
        """Take note of the processes that it has started by now."""
        for child in _children(self.pid):
            if child not in self.helpers:
                with suppress(OSError):
                    handle = os.pidfd_open(child)
                    # A descriptor that was opened while it is a child stands for the child.
                    if child in _children(self.pid):
                        self.helpers[child] = ("", handle)
                    else:
                        os.close(handle)
        for pid, (name, handle) in self.helpers.items():
            # Between fork and exec everything has the name of its parent.
            if not name.startswith("gdb"):
                with suppress(OSError):
                    self.helpers[pid] = (Path(f"/proc/{pid}/comm").read_text().strip(), handle)

    def strike(self, victim: str, number: signal.Signals) -> int:
        """Send a signal; returns to how many."""
        self.look()
        gdb = [handle for name, handle in self.helpers.values() if name.startswith("gdb")]
        others = [handle for name, handle in self.helpers.values() if not name.startswith("gdb")]
        whom = {
            "us": [self.handle],
            "gdb": gdb,
            "both": [self.handle, *gdb],
            "guard": others,
            "all but the guard": [*gdb, self.handle],
        }[victim]
        struck = 0
        for handle in whom:
            with suppress(OSError):
                signal.pidfd_send_signal(handle, number)
                struck += 1
        return struck

    def end(self) -> list[str]:
        """Wait until it and all that it started has ended; returns what did not."""
        until, left = time.monotonic() + PATIENCE, []
        while self.poll() is None and time.monotonic() < until:
            self.look()
            if _state(self.pid) == "T":
                # As `fg` would.
                with suppress(OSError):
                    signal.pidfd_send_signal(self.handle, signal.SIGCONT)
            time.sleep(0.005)
        if self.poll() is None:
            left.append("the inspection did not end")
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        for pid, (name, handle) in self.helpers.items():
            while not _over(handle) and time.monotonic() < until:
                time.sleep(0.005)
            if not _over(handle):
                left.append(f"{name} ({pid}) was left behind")
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        os.close(self.handle)
        sessions = {pid for pid, (name, _) in self.helpers.items() if name.startswith("gdb")}
        while (orphans := _members(sessions)) and time.monotonic() < until:
            time.sleep(0.005)
        return [*left, *(f"a process that gdb started ({pid}) was left behind" for pid in sorted(orphans))]


def _members(sessions: set[int]) -> set[int]:
    """The processes of some sessions that have not ended."""
    found = set()
    for pid in procfs.processes():
        with suppress(OSError):
            if os.getsid(pid) in sessions and not procfs.has_ended(pid):
                found.add(pid)
    return found


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found |= {int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()}
    return found


def _over(handle: int) -> bool:
    """Whether the process of a descriptor has ended."""
    try:
        signal.pidfd_send_signal(handle, 0)
    except ProcessLookupError:
        return True
    return bool(select.select([handle], [], [], 0)[0])


def traced(pid: int) -> bool:
    """Whether the process is in the hands of a tracer."""
    try:
        return b"TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "X"


@contextmanager
def asked(target: Living, way: str) -> Iterator[list[object]]:
    """The words of the command line, with a gdbserver where one is needed."""
    if way == "snapshot":
        # What a killed inspector leaves of the file goes with its folder.
        with tempfile.TemporaryDirectory() as folder:
            yield ["snapshot", target.pid, "-o", Path(folder) / "core"]
        return
    if way != "remote":
        yield [target.pid, *WAYS[way]]
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen(
        ["gdbserver", "--attach", endpoint, str(target.pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        yield ["--remote", endpoint, *WAYS[way]] if _listens(server.stderr) else []
        # It ends when somebody detaches.
        with suppress(subprocess.TimeoutExpired):
            server.wait(RECOVERY)
    finally:
        # It lets go of the process on SIGTERM, unless it hangs.
        server.terminate()
        said = b""
        try:
            said = server.communicate(timeout=RECOVERY)[1]
        except subprocess.TimeoutExpired:
            server.kill()
            server.communicate()
        if server.returncode == -signal.SIGSEGV and RESET in said:
            raise GdbserverCrashed
        if CONNECTED not in said:
            # What it leaves by itself, or when it hangs, is not the work of those who were struck.
            undo_late_stop(target.pid, target.handle)


def _listens(said: IO[bytes]) -> bool:
    """Wait until a gdbserver listens; returns False for one that hangs: it may, attaching to what calls exec."""
    until, line = time.monotonic() + PATIENCE, b""
    while b"Listening" not in line and select.select([said], [], [], max(0, until - time.monotonic()))[0]:
        some = os.read(said.fileno(), 4096)
        line += some
        if not some:
            break
    return b"Listening" in line


def strike(target: Living, blow: Blow) -> None:
    """Inspect a process, strike at the moment, and look at what became of the process."""
    before = target.signals()
    try:
        if not _strike(target, blow):
            return
    except GdbserverCrashed:
        blow.crashed = True
        return
    # A gdbserver that lets go of a process sends it SIGCONT.
    blow.wrong += harm(target, before, {signal.SIGCONT} if blow.way == "remote" else set())
    if blow.code not in (0, 2, 3, INTERRUPTED, -blow.number):
        blow.wrong.append(f"it ended with exit code {blow.code}")


def _strike(target: Living, blow: Blow) -> bool:
    """Whether there was anybody to be struck."""
    with asked(target, blow.way) as words:
        if not words:
            return False
        began = time.monotonic()
        inspector = Inspector(words)
        while time.monotonic() < began + blow.after and inspector.poll() is None:
            if blow.traced and not traced(target.pid):
                began = time.monotonic()
            inspector.look()
            time.sleep(WATCH)
        if inspector.poll() is None:
            blow.struck = inspector.strike(blow.victim, blow.number)
        blow.wrong += inspector.end()
        blow.code = inspector.poll()
    return True


def harm(target: Living, before: dict[int, int], passed_over: Collection[int] = ()) -> list[str]:
    """What is wrong with a process that has to run as before; signals that were `passed_over` may have reached it."""
    if target.process.poll() is not None:
        return [f"the process ended ({target.process.returncode})"]
    wrong = []
    until = time.monotonic() + RECOVERY
    while (states := _odd_threads(target.pid)) and time.monotonic() < until:
        time.sleep(0.005)
    if states:
        wrong.append(f"threads are traced or stopped: {states}")
    if not target.wait_for_beats(3, RECOVERY):
        wrong.append("its heart does not beat")
    new = {n: count - before.get(n, 0) for n, count in target.signals().items() if n not in passed_over}
    if any(new.values()):
        wrong.append(f"signals reached it: { ({signal.Signals(n).name: count for n, count in new.items() if count}) }")
    return wrong


def _odd_threads(pid: int) -> dict[str, int]:
    """How many threads are in which state with a tracer, or stopped."""
    found: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError, KeyError):
            lines = (task / "status").read_text(errors="replace").splitlines()
            fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            state, tracer = fields["State"][0], int(fields["TracerPid"])
            if tracer or state in "Tt":
                found[f"{state} {'traced' if tracer else 'free'}"] += 1
    return dict(found)


def usual_length(target: Living, way: str) -> float:
    """Seconds that an inspection takes when nobody disturbs it."""
    with asked(target, way) as words:
        began = time.monotonic()
        inspector = Inspector(words)
        inspector.end()
        return time.monotonic() - began


@dataclass
class Campaign:
    """Many blows: `chance` decides everything about them."""

    chance: random.Random
    ways: Sequence[str] = tuple(WAYS)
    victims: Sequence[str] = VICTIMS
    signals: Sequence[signal.Signals] = SIGNALS
    threads: Sequence[int] = THREADS
    lives: Sequence[str] = LIVES
    toolchains: Sequence[Toolchain] = (USUAL, SWISS_RELEASES[-1])
    blows: list[Blow] = field(default_factory=list)

    def run(self, number: int, until: float = float("inf"), each: int = 12) -> None:
        """Strike `number` times, `each` times in a row at one process, but begin none after `until` (monotonic)."""
        while len(self.blows) < number and time.monotonic() < until:
            toolchain, life = self.chance.choice(self.toolchains), self.chance.choice(self.lives)
            threads = self.chance.choice(self.threads)
            with living(toolchain, threads, life) as target:
                ways = [self.chance.choice(self.ways) for _ in range(each)]
                lengths = {way: usual_length(target, way) for way in sorted(set(ways))}
                for way in ways[: number - len(self.blows)]:
                    blow = self._blow(way, lengths[way])
                    strike(target, blow)
                    self.blows.append(blow)
                    if blow.wrong:
                        words = f"{toolchain.name}, {threads} threads, {life}; {blow}: {'; '.join(blow.wrong)}"
                        print(f"  WRONG: {words}", flush=True)
                    if blow.wrong or blow.crashed:
                        break

    def _blow(self, way: str, length: float) -> Blow:
        # Only where gdb attaches there is anybody else.
        victims = self.victims if way in BY_GDB else ["us"]
        # A gdbserver traces all the time.
        traced = way not in ("remote", "no-stop") and self.chance.random() < 0.6
        after = self.chance.expovariate(1 / TRACED) if traced else self.chance.uniform(0.1, 1) * length
        return Blow(way, self.chance.choice(victims), self.chance.choice(self.signals), after, traced)

    @property
    def wrong(self) -> list[Blow]:
        """The blows after which something was wrong."""
        return [blow for blow in self.blows if blow.wrong]

    def table(self) -> str:
        """How often each thing was done, how often it struck somebody, and how often something was wrong."""
        lines = [f"{'':24}{'times':>7}{'struck':>8}{'wrong':>7}"]
        for title, name in (("way", "way"), ("victim", "victim"), ("signal", "number")):
            groups: dict[str, list[Blow]] = {}
            for blow in self.blows:
                value = getattr(blow, name)
                groups.setdefault(getattr(value, "name", str(value)), []).append(blow)
            for value, blows in sorted(groups.items()):
                struck, wrong = sum(bool(blow.struck) for blow in blows), sum(bool(blow.wrong) for blow in blows)
                lines.append(f"{title + ' ' + value:24}{len(blows):7}{struck:8}{wrong:7}")
        struck = sum(bool(blow.struck) for blow in self.blows)
        lines.append(f"{'all':24}{len(self.blows):7}{struck:8}{len(self.wrong):7}")
        if crashed := sum(blow.crashed for blow in self.blows):
            lines.append(f"a gdbserver crashed by itself: {crashed}, of which nothing more is said")
        return "\n".join(lines)


def main() -> None:
    """Strike and print; ends with 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after so many seconds")
    for name, values in (("ways", WAYS), ("victims", VICTIMS), ("lives", LIVES)):
        parser.add_argument(f"--{name}", nargs="+", choices=list(values), default=list(values))
    parser.add_argument("--signals", nargs="+", default=[each.name for each in SIGNALS])
    parser.add_argument("--threads", nargs="+", type=int, default=list(THREADS))
    given = parser.parse_args()
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    campaign = Campaign(
        random.Random(seed), given.ways, given.victims, [signal.Signals[name] for name in given.signals],
        given.threads, given.lives,
    )  # fmt: skip
    campaign.run(given.number, time.monotonic() + given.seconds)
    print(campaign.table())
    sys.exit(bool(campaign.wrong))


if __name__ == "__main__":
    main()
