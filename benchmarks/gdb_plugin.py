"""How long the plugin takes inside of gdb for a map of a million entries, and for one `$gomap_len`.

Run it with `python -m benchmarks.gdb_plugin [ROUNDS]`. Printed are medians of the commands after the first, which
also reads the executable and its types, and ratios to a bare copy of the same bytes through gdb in the same round.
"""

from __future__ import annotations

import subprocess
import sys

from fixtures import USUAL, build, start
from inspector.cli.gdbsetup import script_path

QUIET = ("-nx", "-q", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off")

BUCKET = 144
"""Bytes of a bucket of map[int64]int64."""

MEASURE = """
import statistics, time
def timed(work):
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
def command(text):
    return lambda: gdb.execute(text, to_string=True)
ways = {{
    "bare copy through gdb": lambda: gdb.selected_inferior().read_memory({address}, {size}),
    "info gomap": command("info gomap main.m64"),
    "print, pretty": command("print 'main.m64'"),
    "$gomap_len": command('output $gomap_len ("main.m64")'),
    "$gomap_get": command('output $gomap_get ("main.m64", 77)'),
}}
print("first info gomap      ", round(timed(ways["info gomap"]), 1), "ms")
rounds = [{{name: timed(work) for name, work in ways.items()}} for _ in range({rounds})]
for name in ways:
    middle = statistics.median(each[name] for each in rounds)
    ratio = statistics.median(each[name] / each["bare copy through gdb"] for each in rounds)
    print(f"{{name:22}} {{middle:8.1f}} ms   {{ratio:6.1f}} x the bare copy")
"""


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with start(build("million", USUAL)) as running:
        state = running.map("m64")
        size = BUCKET << state["header"]["B"]
        measure = MEASURE.format(address=state["header"]["buckets"], size=size, rounds=rounds)
        settings = ["-ex", "set gomap pretty-print on"]
        line = ["gdb", *QUIET, "-batch", "-p", str(running.pid), "-x", str(script_path()), *settings]
        subprocess.run([*line, "-ex", f"python exec({measure!r})"], check=True)


if __name__ == "__main__":
    main()
