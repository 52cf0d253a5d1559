"""The words behind `info gomap` and `info gomaps`, as gdb gives them: one string."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import NoReturn

import gdb

from inspector.census.select import ORDERS, Selection
from inspector.errors import UsageError
from inspector.settings import DEFAULT_ENTRIES, shown

OPTIONS = ("-type", "-entries", "-key", "-json", "-redact")
LIST_OPTIONS = (
    "-sort", "-top", "-min-bytes", "-type-matches", "-only-findings", "-strings", "-variables", "-json", "-redact"
)  # fmt: skip
"""Options of `info gomap` and of `info gomaps`."""

TOP = 30
"""Maps that the text lists at first."""

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d{1,15})(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)

_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|['"\\])+""")
"""A word of the command line, its quotes included."""

_STRINGS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`""", re.DOTALL)
"""What blanks and brackets mean nothing in."""


@dataclass(frozen=True)
class Arguments:
    """What is asked for; `entries` None stands for all of them."""

    expression: str
    type: str | None
    entries: int | None
    key: str | None
    json: bool
    redact: bool


@dataclass(frozen=True)
class ListArguments:
    """Which maps are listed and how: those whose names match `name`, all or (`variables`) only declared ones."""

    name: re.Pattern[str]
    selection: Selection
    strings: bool
    variables: bool
    json: bool
    redact: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see: help {self.prog}")


def parse(text: str) -> Arguments:
    """Read EXPR [-type T] [-entries N|all] [-key LITERAL] [-json] [-redact]; raises UsageError."""
    parser = _Parser(prog="info gomap", add_help=False, allow_abbrev=False)
    parser.add_argument("expression", nargs="+", metavar="EXPR")
    parser.add_argument("-type", "--type", type=_unquoted)
    parser.add_argument("-entries", "--entries", type=_entries, default=DEFAULT_ENTRIES)
    parser.add_argument("-key", "--key", type=_unquoted)
    parser.add_argument("-json", "--json", action="store_true")
    parser.add_argument("-redact", "--redact", action="store_true")
    found = parser.parse_args(_words(text))
    return Arguments(" ".join(found.expression), found.type, found.entries, found.key, found.json, found.redact)


def parse_list(text: str) -> ListArguments:
    """Read [REGEXP] and the options of `info gomaps`; raises UsageError."""
    parser = _Parser(prog="info gomaps", add_help=False, allow_abbrev=False)
    parser.add_argument("regexp", nargs="?", type=_pattern, default="")
    parser.add_argument("-sort", "--sort", choices=list(ORDERS), default="bytes")
    parser.add_argument("-top", "--top", type=_entries, default=TOP)
    parser.add_argument("-min-bytes", "--min-bytes", type=_size, default=0)
    parser.add_argument("-type-matches", "--type-matches", type=_pattern)
    for flag in ("only-findings", "strings", "variables", "json", "redact"):
        parser.add_argument(f"-{flag}", f"--{flag}", action="store_true")
    # Backslashes in a regular expression are not for us to understand.
    found = parser.parse_args(_WORD.findall(text))
    top = None if found.json and found.top == TOP else found.top
    selection = Selection(found.sort, found.min_bytes, found.type_matches, found.only_findings, top)
    if found.variables and (selection != Selection(top=top) or found.top != TOP or found.strings or found.json):
        raise UsageError("-variables goes with a regular expression only", "leave the other options out, or -variables")
    return ListArguments(found.regexp, selection, found.strings, found.variables, found.json, found.redact)


def _words(text: str) -> list[str]:
    """The words of an expression and its options: no blank inside of brackets, strings and characters ends one.

    So keys of maps are one word: main.m[{-1, 2}], main.m["a  b"]. The quotes are left for others to understand.
    """
    words, depth, at, start = [], 0, 0, 0
    while at < len(text):
        string = _STRINGS.match(text, at)
        if string:
            at = string.end()
            continue
        depth += (text[at] in "[({") - (text[at] in "])}")
        if text[at].isspace() and depth <= 0:
            words.append(text[start:at])
            start = at + 1
        at += 1
    # Where brackets do not close, what comes behind them may still be an option.
    return _WORD.findall(text) if depth else [word for word in (*words, text[start:]) if word]


def _pattern(word: str) -> re.Pattern[str]:
    text = word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is not a regular expression: {error}") from None


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is not a size: try 4096, 64k or 10MiB")
    return int(match[1]) * UNITS[(match[2] or "").lower()]


def _unquoted(word: str) -> str:
    return " ".join(gdb.string_to_argv(word))


def _entries(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is neither a number nor 'all'")
    return int(text)
