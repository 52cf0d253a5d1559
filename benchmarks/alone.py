"""Run one command from a process that has little memory itself, and say what it took.

The most memory that a process had counts what its parent had when it was forked. So what forks has to be small.

    alone.py FD SECONDS COMMAND...

writes [exit code, seconds, megabytes] to FD. After so many SECONDS the command is killed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time


def main() -> None:
    """Do it."""
    out, patience, words = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    began = time.perf_counter()
    child = subprocess.Popen(words, process_group=0)
    late = threading.Timer(patience, os.killpg, (child.pid, signal.SIGKILL))
    late.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        seconds = time.perf_counter() - began
        late.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    os.write(out, json.dumps([child.returncode, seconds, usage.ru_maxrss * 1024 / 1e6]).encode())


if __name__ == "__main__":
    main()
