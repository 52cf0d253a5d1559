"""Commands that are measured: what they take of memory and of the processor."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

# The most memory that a process took counts what its parent had when it was forked, so the parent has to be small.
_MEASURE = """\
import json, os, subprocess, sys, tempfile
with tempfile.TemporaryFile("w+") as errors:
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=errors)
    out = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    errors.seek(0)
    err = errors.read()
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime, out, err]))
"""


@dataclass(frozen=True)
class Measured:
    """How a command ended: exit code, most memory in MiB, seconds of the processor, and what it wrote."""

    code: int
    memory: int
    seconds: float
    out: str
    err: str


def measured(*args: object) -> Measured:
    """Run the command line with its own interpreter."""
    command = [sys.executable, "-c", _MEASURE, sys.executable, "-m", "inspector", *map(str, args)]
    done = subprocess.run(command, capture_output=True, check=True)
    code, memory, seconds, out, err = json.loads(done.stdout)
    return Measured(code, memory // 1024, seconds, out, err)
