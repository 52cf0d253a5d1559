"""Threads of our own in a process that is short of memory: they begin, or they fail, and nobody waits without end."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from inspector.copying.workers import Pool

PAGES = range(28, 44, 2)
"""Pages beside the stack of a thread that are free: with too few it does not start, with enough it does its work. In
between lies where threading.Thread.start would wait for ever."""

SHORT = """
import mmap, os, resource, sys
from inspector.errors import InspectError
from inspector.memory import helpers

class Working(helpers.Helper):
    def run(self):
        os.write(1, b"worked\\n")

helpers.BEGIN = 1.0
worker = Working()
taken = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (taken + (30 << 20),) * 2)
stack = mmap.mmap(-1, resource.getrlimit(resource.RLIMIT_STACK)[0] + mmap.PAGESIZE * int(sys.argv[1]))
kept, count = [None] * 600_000, 0
for size in (100_000, 1000, 500, 400, 300, 200, 100, 64, 48):
    try:
        while True:
            kept[count] = bytes(size)
            count += 1
    except MemoryError:
        pass
stack.close()
try:
    worker.begin()
    worker.join()
except (InspectError, MemoryError):
    os.write(1, b"failed\\n")
os._exit(0)
"""


@pytest.mark.slow
def test_a_thread_without_memory_to_begin_with_is_not_waited_for_without_end():
    said = []
    for pages in PAGES:
        words = [sys.executable, "-c", SHORT, str(pages)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        said.append((pages, done.stdout.split()[-1:], done.stderr[-300:]))
    print(said)
    assert all(words in (["worked"], ["failed"]) for _, words, _ in said), said


def test_a_pool_does_all_work_and_hands_on_what_was_raised():
    pool = Pool(3)
    try:
        done: list[int] = []
        pool.wait_for([pool.submit(partial(done.append, number)) for number in range(100)])
        assert sorted(done) == list(range(100))

        def fail() -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            pool.wait_for([pool.submit(fail)])
        pool.wait_for([pool.submit(partial(done.append, 100))])
        assert done[-1] == 100
    finally:
        pool.close()
