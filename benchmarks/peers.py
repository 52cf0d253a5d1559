"""The other ways to see what is in a map: Delve, and gdb with the script that comes with Go.

Each is one command, measured from its start to its end, as a user would wait for it. An answer counts where it has all
entries: both stop at a limit, or at what they cannot read, without failing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks import alone
from benchmarks.cases import Case, Subject
from fixtures.delve import NoDelve, delve_program

QUIET_GDB = ("-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off")


@dataclass(frozen=True)
class Took:
    """One command: seconds, million bytes of its own memory at the most, or `why` there is no answer."""

    seconds: float = 0.0
    megabytes: float = 0.0
    why: str = ""


class Peer(Protocol):
    """Another program that prints maps. `missing` says why it cannot be run at all, and is empty if it can."""

    name: str
    version: str
    missing: str

    def print_all(self, case: Case, subject: Subject, patience: float) -> Took:
        """Have it print all entries of a map."""
        ...


class Delve:
    """dlv: attaches, or reads the core, and prints the variable without a limit."""

    name = "Delve"

    def __init__(self, program: Path | None, fetched: bool) -> None:
        self.program, self.version, self.missing = program, "", ""
        try:
            self.program = program or delve_program(fetched)
            self.version = _said((str(self.program), "version"), r"Version: (\S+)")
        except (NoDelve, OSError) as error:
            self.missing = str(error)

    def print_all(self, case: Case, subject: Subject, patience: float) -> Took:
        """See Peer.print_all."""
        how = ("attach", str(subject.pid)) if subject.pid else ("core", str(subject.exe), str(subject.core))
        words = (str(self.program), *how, "--check-go-version=false", "--allow-non-terminal-interactive=true")
        commands = f"config max-array-values {subject.entries + 1}\nprint {case.variable}\nexit\nn\n"
        with tempfile.TemporaryDirectory() as home:
            env = {"HOME": home, "XDG_CONFIG_HOME": home, "TERM": "dumb"}
            took, output = command(words, patience, commands, env)
        return _whole(took, output, rb"\n\t.*: ", subject.entries)


class Gdb:
    """gdb with Go's runtime-gdb.py, which prints maps since long before there were Swiss ones."""

    name = "gdb"
    program = "gdb"

    def __init__(self) -> None:
        self.version, self.missing = "", ""
        if shutil.which(self.program) is None:
            self.missing = "gdb is not installed"
        else:
            self.version = _said((self.program, "--version"), r"(\d+\.\d+[\d.-]*)")

    def print_all(self, case: Case, subject: Subject, patience: float) -> Took:
        """See Peer.print_all."""
        script = case.toolchain.go.parent.parent / "src" / "runtime" / "runtime-gdb.py"
        asked = ("-ex", f"source {script}", "-ex", "set print elements 0", "-ex", f"print '{case.variable}'")
        what = ("-p", str(subject.pid)) if subject.pid else (str(subject.exe), str(subject.core))
        took, output = command((self.program, *QUIET_GDB, *what, *asked), patience)
        return _whole(took, output, rb"\] = ", subject.entries)


def command(
    words: Sequence[str], patience: float, typed: str = "", env: dict[str, str] | None = None
) -> tuple[Took, bytes]:
    """Run a command to its end, or until patience, in seconds, is over; returns what it took and what it said."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as measured:
        given.write(typed.encode())
        given.seek(0)
        fd = measured.fileno()
        subprocess.run(
            (sys.executable, alone.__file__, str(fd), str(patience), *words),
            stdin=given,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=os.environ | (env or {}),
            pass_fds=(fd,),
            check=True,
        )
        said.seek(0)
        measured.seek(0)
        output, (code, seconds, megabytes) = said.read(), json.loads(measured.read())
    if code == -signal.SIGKILL and seconds >= patience:
        return Took(seconds, megabytes, f"over {patience:.0f} s"), output
    # What is found in a map is told by an exit code, too.
    failed = f"ends with {code}" if code not in (0, 1) else ""
    return Took(seconds, megabytes, failed), output


def _whole(took: Took, output: bytes, entry: bytes, entries: int) -> Took:
    """The same if all entries were printed; else with the reason."""
    if took.why.startswith("over"):
        return took
    printed = len(re.findall(entry, output))
    if printed >= entries:
        return Took(took.seconds, took.megabytes)
    return Took(took.seconds, took.megabytes, f"prints {printed:,} of {entries:,}")


def _said(words: Sequence[str], pattern: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    found = re.search(pattern, done.stdout)
    return found[1] if found else ""
