"""The API in a process that has more files open than select(2) can know."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys

import pytest

from tests.support.commandline import assert_running

OPEN = 1100

CROWDED = f"""
import json, os, resource, sys
from inspector import inspect, open_target
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096) if most != resource.RLIM_INFINITY else 4096, most))
kept = [os.open("/dev/null", os.O_RDONLY) for _ in range({OPEN})]
with open_target(sys.argv[1], memory=sys.argv[2]) as target:
    found = inspect(target, "main.words")
print(json.dumps([max(kept), found.judgement.verdict, found.entries_total]))
"""

NEEDS_GDB = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * OPEN, reason="so many files may not be open")
@pytest.mark.parametrize("memory", ["direct", pytest.param("gdb-mi", marks=NEEDS_GDB)])
def test_a_process_with_more_than_a_thousand_open_files_can_use_the_api(run, memory):
    running = run("plain")
    words = [sys.executable, "-c", CROWDED, str(running.pid), memory]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    highest, verdict, entries = json.loads(done.stdout)
    assert highest > 1023
    assert (verdict, entries) == ("consistent", running.map("words")["len"])
    assert_running(running)
