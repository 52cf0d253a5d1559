"""Lines without blanks at their ends: tables pad their last column, which nobody sees and every diff shows."""

from __future__ import annotations

import io
import re
from typing import IO, TextIO, cast

_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)


class _WithoutTrailingBlanks(io.TextIOBase):
    def __init__(self, out: TextIO) -> None:
        self._out = out

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._out.encoding

    def write(self, text: str) -> int:
        self._out.write(strip_lines(text))
        return len(text)

    def flush(self) -> None:
        self._out.flush()

    def writable(self) -> bool:
        return True


def WithoutTrailingBlanks(out: TextIO) -> IO[str]:  # noqa: N802
    """A file in front of another one. Whole lines have to be written at once, as rich does."""
    return cast(IO[str], _WithoutTrailingBlanks(out))


def strip_lines(text: str) -> str:
    """The text with no blank before the end of any line."""
    if not (" \n" in text or "\t\n" in text or text.endswith((" ", "\t"))):
        return text
    return _TRAILING.sub("", text)
