"""python -m inspector: the command line, interruptible from its first moment."""

from __future__ import annotations

import sys

# With -m the current folder comes first: whoever can write there would choose what these names stand for.
if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MESSAGE = b"go-map-inspect: Interrupted. Nothing was begun.\n"
FAILED = "go-map-inspect: the program failed ({})\n"
INTERRUPTED = 130
EXIT_ERROR = 2
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _end_at_once(*_: object) -> NoReturn:
    # Nothing is held yet, and half the modules may be missing: no exception could be handled well.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.write(2, MESSAGE)
    os._exit(INTERRUPTED)


def _end(code: object) -> NoReturn:
    """End as the interpreter would, but leave the memory to the kernel: to take all objects apart takes 15 ms."""
    import atexit
    from contextlib import suppress

    # It flushes logs and removes temporary folders.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # That the answer could not be written was noticed where it was written.
        with suppress(Exception):
            stream.flush()
    os._exit(code if isinstance(code, int) else EXIT_ERROR if code else 0)


def main() -> NoReturn:
    """Run the command line. Loading it takes a few tenths of a second, in which Ctrl-C must work too."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    import gc

    # To load means to make objects that stay. What answers enables the collector, once all of them are there.
    gc.disable()
    # numpy's linear algebra library starts threads that wait for work by spinning, and there is none for them here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from inspector.cli.command import main as command_line

        command_line()
    except SystemExit as ending:
        _end(ending.code)
    except BaseException as error:
        # The interpreter would end with 1, which says here that a map is inconsistent. That nothing works any more must
        # not be in the way: memory may have run out while a message was written.
        name = type(error).__name__
    os.write(2, FAILED.format(name).encode())
    os._exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
