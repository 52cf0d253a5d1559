"""How long a process will have to be held for a copy, found out by copying a part of it while it runs."""

from __future__ import annotations

import os
import time

import numpy as np

from inspector.copying.pages import Pages
from inspector.copying.plan import Numbers, Plan, make_plan
from inspector.copying.workers import Check, Copying

SAMPLE = 1 << 26
"""Bytes that are copied to find out how fast that is."""

CAUTION = 1.25
"""A copy may take so many times what was measured: whether the process is held is decided by that."""

PER_THREAD = 0.0001
"""Seconds to stop a thread, to read its registers and to let it go."""


def expected_seconds(pid: int, pages: Pages, plan: Plan, workers: Copying, ours: Numbers, writable: Check) -> float:
    """How long it will take to look at a process again and to copy all of a plan, in seconds.

    The beginning of each range is copied to `ours`, its place among our own addresses. Raises what copying raises.
    """
    began = time.perf_counter()
    make_plan(pid, pages, plan)
    looked = time.perf_counter()
    count = int(np.searchsorted(np.cumsum(plan.sizes), SAMPLE)) + 1
    sizes = np.minimum(plan.sizes[:count], np.uint64(SAMPLE))
    workers.copy(plan.starts[:count], sizes, ours[:count], None, writable)
    workers.unreadable = 0
    speed = max(1, int(sizes.sum())) / (time.perf_counter() - looked)
    threads = len(os.listdir(f"/proc/{pid}/task"))
    return CAUTION * (looked - began + plan.size / speed + threads * PER_THREAD)
