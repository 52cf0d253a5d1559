"""The words behind `info gomap`, as gdb gives them: one string."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import NoReturn

import gdb

from inspector.errors import UsageError
from inspector.inspection.one_map import DEFAULT_ENTRIES

OPTIONS = ("-type", "-entries", "-key", "-json")

_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|['"\\])+""")
"""A word of the command line, its quotes included."""

_NAME = re.compile(r"'([^']+)'([^\s']*)")
"""A Go name in quotes, as `print` wants it, and the path behind it."""


@dataclass(frozen=True)
class Arguments:
    """What is asked for; `entries` None stands for all of them."""

    expression: str
    type: str | None
    entries: int | None
    key: str | None
    json: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, "see: help info gomap")


def parse(text: str) -> Arguments:
    """Read EXPR [-type T] [-entries N|all] [-key LITERAL] [-json]; raises UsageError."""
    parser = _Parser(prog="info gomap", add_help=False, allow_abbrev=False)
    parser.add_argument("expression", nargs="+", metavar="EXPR")
    parser.add_argument("-type", "--type", type=_unquoted)
    parser.add_argument("-entries", "--entries", type=_entries, default=DEFAULT_ENTRIES)
    parser.add_argument("-key", "--key", type=_unquoted)
    parser.add_argument("-json", "--json", action="store_true")
    found = parser.parse_args(_WORD.findall(text))
    # The quotes in an expression are gdb's to understand.
    expression = " ".join(found.expression)
    name = _NAME.fullmatch(expression)
    return Arguments("".join(name.groups()) if name else expression, found.type, found.entries, found.key, found.json)


def _unquoted(word: str) -> str:
    return " ".join(gdb.string_to_argv(word))


def _entries(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of entries nor 'all'")
    return int(text)
