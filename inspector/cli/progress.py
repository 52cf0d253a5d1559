"""Whether progress is shown: on a terminal that can take a line back, beside whatever standard output is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inspector.watching import Work, watched


@contextmanager
def showing_progress(verbose: bool) -> Iterator[None]:
    """Show on standard error what is done in the block, and how far it is, where that is a terminal.

    With --verbose there are lines of their own.
    """
    if verbose or sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield
        return
    from inspector.report.text.progress import ProgressBar

    work = Work()
    with watched(work), ProgressBar(work, sys.stderr):
        yield
