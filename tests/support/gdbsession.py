"""Real gdb with the plugin in it: commands in, what it said to each out."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pygdbmi.gdbmiparser import parse_response

from fixtures import Running
from inspector.cli.gdbsetup import script_path

QUIET = ("-nx", "-q", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off", "-iex", "set confirm off")
MARK = "@@ next @@"
CHATTER = re.compile(r"^warning: .*\n?|warning: (?:Section|Unexpected size of section) .*\n", re.MULTILINE)
"""What gdb says of its own accord at any moment, such as that a core's registers are larger than it knows them: also in
the middle of a line of its own."""

PATIENCE = 120.0


def plugin(script: Path | None = None) -> tuple[str, ...]:
    """The options that load the plugin into gdb."""
    return ("-x", str(script or script_path()))


def environment(**added: str) -> dict[str, str]:
    """What gdb is started with: no Python settings of the tests' own, and a language of the terminal's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DEBUGINFOD"))}
    return kept | {"LC_ALL": "C.UTF-8", "TERM": "dumb"} | added


def gdb(
    *commands: str,
    on: Sequence[object] = (),
    script: Path | None = None,
    env: dict[str, str] | None = None,
    patience: float = PATIENCE,
) -> list[str]:
    """Run a batch of commands in gdb and return what it said to each, errors among the rest, but no warnings of gdb's.

    `on` are gdb's own arguments: -p and a pid, or an executable and a core. `patience` are seconds for all of it.
    """
    line = ["gdb", *QUIET, "-batch", *map(str, on), *plugin(script), "-ex", f"echo {MARK}"]
    for command in commands:
        line += ["-ex", command, "-ex", f"echo {MARK}"]
    done = subprocess.run(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="surrogateescape",
        env=env or environment(),
        timeout=patience,
    )
    said = done.stdout.split(MARK)
    assert len(said) == len(commands) + 2, done.stdout[-4000:]
    return [CHATTER.sub("", text).strip("\n") for text in said[1:-1]]


def gdb_mi(*commands: str, on: Sequence[object] = ()) -> list[dict[str, Any]]:
    """Send MI commands to gdb; returns for each its result record, with what the console said as "console"."""
    line = ["gdb", *QUIET, "--interpreter=mi3", *map(str, on), *plugin()]
    text = "".join(f"{token}{command}\n" for token, command in enumerate(commands, 1)) + "-gdb-exit\n"
    done = subprocess.run(
        line, input=text, capture_output=True, text=True, env=environment(), timeout=PATIENCE, errors="surrogateescape"
    )
    answers, console = [], ""
    for record in map(parse_response, done.stdout.splitlines()):
        if record["type"] == "console":
            console += record["payload"]
        elif record["type"] == "result" and record["token"] is not None:
            answers.append(record | {"console": console})
            console = ""
    assert len(answers) == len(commands), done.stdout[-4000:]
    return answers


@contextmanager
def gdbserver(running: Running) -> Iterator[str]:
    """Attach gdbserver to a process on a port of the loopback interface that it chooses; gives HOST:PORT."""
    with subprocess.Popen(
        ["gdbserver", "--once", "--attach", "127.0.0.1:0", str(running.pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stderr is not None
            port = next(line.split()[-1] for line in server.stderr if line.startswith("Listening on port"))
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
