"""A census that was saved as JSON: read again, with every field looked at before it is believed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from inspector.errors import Hint, UsageError
from inspector.inspection.one_map import TargetInfo
from inspector.memory.files import open_file

LARGEST_FILE = 1 << 30
"""Bytes of a saved census that are read; a core is larger, and is not text."""

LARGEST_NUMBER = 1 << 512
"""No count and no size is larger, whatever was in a map's header; Python prints no number of thousands of digits."""

HINT = Hint("save one with: {save}")
_ADDRESS = re.compile("0x[0-9a-f]{1,16}")


def read_saved(path: str) -> Part | None:
    """The JSON document in a file; None where the path names something else, a core or a process.

    Raises UsageError for what begins like a document and is not one.
    """
    try:
        file = open_file(path)
    except (OSError, ValueError):
        return None
    try:
        with file:
            if file.read(1) != b"{" or os.fstat(file.fileno()).st_size > LARGEST_FILE:
                return None
            file.seek(0)
            return Part("", json.load(file))
    except OSError:
        return None
    except RecursionError:
        raise UsageError(f"{path} is not a saved census: its brackets are nested too deeply", HINT) from None
    except ValueError:
        raise UsageError(f"{path} is not a JSON document", HINT) from None


@dataclass(frozen=True)
class Part:
    """A value in a document, and the path to it. Everything raises UsageError for a value of another shape."""

    path: str
    value: Any

    def field(self, name: str) -> Part:
        """A field of an object."""
        path = f"{self.path}.{name}" if self.path else name
        if not isinstance(self.value, dict):
            raise self._is_not("an object")
        if name not in self.value:
            raise UsageError(f"the file to compare with is not a saved census: {path} is missing", HINT)
        return Part(path, self.value[name])

    def optional(self, name: str) -> Part | None:
        """A field of an object, None where it is missing or null."""
        if not isinstance(self.value, dict):
            raise self._is_not("an object")
        return self.field(name) if self.value.get(name) is not None else None

    def items(self) -> Iterator[Part]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            raise self._is_not("a list")
        for index, item in enumerate(self.value):
            yield Part(f"{self.path}[{index}]", item)

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self._is_not("a string")
        return self.value

    def address(self) -> int:
        """An address, which is a string of hexadecimal digits."""
        if not _ADDRESS.fullmatch(self.text()):
            raise self._is_not("an address like 0xc000012345")
        return int(self.text(), 16)

    def number(self) -> int:
        """A whole number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or abs(self.value) > LARGEST_NUMBER:
            raise self._is_not("a whole number that a census has")
        return self.value

    def flag(self) -> bool:
        """Yes or no."""
        if not isinstance(self.value, bool):
            raise self._is_not("true or false")
        return self.value

    def one_of(self, words: Collection[str]) -> str:
        """One of some words."""
        if self.text() not in words:
            raise self._is_not(f"one of {', '.join(words)}")
        return self.text()

    def _is_not(self, what: str) -> UsageError:
        return UsageError(f"the file to compare with is not a saved census: {self.path} is not {what}", HINT)


def saved_target(document: Part) -> TargetInfo:
    """What a saved census is of; raises UsageError for anything else."""
    target = document.field("target")
    pid = target.optional("pid")
    return TargetInfo(
        kind=target.field("kind").one_of(("process", "core", "gdb")),
        pid=pid.number() if pid else None,
        exe=target.field("exe").text(),
        go_version=target.field("go_version").text(),
        experiments=tuple(each.text() for each in target.field("experiments").items()),
        stripped=target.field("stripped").flag(),
        memory=target.field("memory").text(),
    )


def key_id_of(document: Part) -> str | None:
    """With which key names were hidden in a saved census; None where they were not. Raises UsageError."""
    redacted = document.optional("redacted")
    return redacted.field("key_id").text() if redacted else None


def has_inconsistent(document: Part) -> bool:
    """Whether a saved census has a map that is inconsistent; raises UsageError."""
    return any(one.field("verdict").text() == "inconsistent" for one in document.field("census").field("maps").items())
