"""python -m inspector: the command line, interruptible from its first moment."""

from __future__ import annotations

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


def main() -> NoReturn:
    """Run the command line. Loading it takes a few tenths of a second, in which Ctrl-C must work too."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    try:
        from inspector.cli.command import main as command_line

        command_line()
    except SystemExit:
        raise
    except BaseException as error:
        # The interpreter would end with 1, which says here that a map is inconsistent. That nothing works any more must
        # not be in the way: memory may have run out while a message was written.
        name = type(error).__name__
    os.write(2, FAILED.format(name).encode())
    os._exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
