"""How far a request is, on the terminal of the user who waits."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TextIO

from inspector.gotypes.words import size
from inspector.watching import Work

PATIENCE = 0.5
"""Seconds of work before there is a bar."""

PERIOD = 0.1
"""Seconds from one look at the work to the next."""

WIDTH = 24
FULL, EMPTY = "━", "─"
ASCII_FULL, ASCII_EMPTY = "#", "."
CLEAR = "\r\x1b[K"
"""What makes a terminal forget a line."""


class ProgressBar:
    """One line on a terminal that says what is done, how much of it, and how long targets have been held so far.

    It comes when the work has taken PATIENCE seconds, and is gone when the block is left, or the work is over. It is
    drawn by a thread of its own, so that the work needs not wait for the terminal.
    """

    def __init__(self, work: Work, terminal: TextIO) -> None:
        self.work, self.terminal = work, terminal
        self._began = time.perf_counter()
        pretty = _shows(terminal, FULL + EMPTY)
        self._full, self._empty = (FULL, EMPTY) if pretty else (ASCII_FULL, ASCII_EMPTY)

    def __enter__(self) -> ProgressBar:
        self.work.over, self.work.again = self.close, self.start
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Draw a bar if the work takes as long as that."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the bar away, and draw no other until the next start; may be called twice."""
        self._over.set()
        self._thread.join()

    def _draw(self) -> None:
        # The main thread has to wake up from whatever it waits for when a signal asks it to end.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        drawn = False
        with suppress(OSError, ValueError):
            patience = PATIENCE
            while not self._over.wait(patience):
                patience = PERIOD
                line = self.line(time.perf_counter())
                if line:
                    self._write(CLEAR + line[: self._columns() - 1])
                    drawn = True
            if drawn:
                self._write(CLEAR)

    def line(self, now: float) -> str:
        """What is to be said at a moment of time.perf_counter(); empty before the first phase."""
        phase, done = self.work.phase, self.work.done
        if phase is None:
            return ""
        held = self.work.held(now)
        waited = f"{now - self._began:,.0f} s"
        target = f", process held for {held:,.2f} s so far" if held else ""
        if not phase.total:
            return f"{phase.words}, {waited}{target}"
        part = min(1.0, done / phase.total)
        full = int(part * WIDTH)
        written = size if phase.in_bytes else "{:,}".format
        bar = self._full * full + self._empty * (WIDTH - full)
        return f"{phase.words} {bar} {written(done)} of {written(phase.total)}, {waited}{target}"

    def _write(self, text: str) -> None:
        self.terminal.write(text)
        self.terminal.flush()

    def _columns(self) -> int:
        return os.get_terminal_size(self.terminal.fileno()).columns or 80


def _shows(terminal: TextIO, text: str) -> bool:
    try:
        text.encode(terminal.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
