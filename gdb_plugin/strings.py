"""Go strings as gdb's."""

from __future__ import annotations

import gdb


def string_value(data: bytes) -> gdb.Value:
    """A string that gdb quotes and measures as one, and that $_streq compares.

    Bytes that gdb's character set lacks are escaped.
    """
    try:
        return gdb.Value(data.decode())
    except (UnicodeError, gdb.error):
        return gdb.Value(data.decode("ascii", errors="backslashreplace"))
