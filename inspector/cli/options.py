"""What options mean: the words of the command line turned into values, or a refusal in one line."""

from __future__ import annotations

import re
from typing import Any

import rich_click as click

from inspector.settings import MaxStop, shown

MOST_DIGITS = 15
SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
UNITS = {"": 1.0, "s": 1.0, "ms": 0.001}
_SIZE = re.compile(r"(\d{1,15}) ?(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%?")
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|)")


def number_or_all(_: Any, parameter: click.Parameter, value: str | None) -> int | None:
    """Read a number, or "all" (None)."""
    if value is None or value == "all":
        return None
    if not value.isdecimal() or len(value) > MOST_DIGITS:
        option = parameter.opts[0]
        raise click.BadParameter(f"{shown(value)!r} is neither a number nor 'all'", param_hint=option)
    return int(value)


def number(_: Any, parameter: click.Parameter, value: str | None) -> int | None:
    """Read a number; None if none is given."""
    if value is not None and (not value.isdecimal() or len(value) > MOST_DIGITS):
        raise click.BadParameter(f"{shown(value)!r} is not a number", param_hint=parameter.opts[0])
    return None if value is None else int(value)


def size(_: Any, parameter: click.Parameter, value: str | None) -> int | None:
    """Read a number of bytes: 4096, 64k, 10MB, 2GiB; every unit is a power of 1024. None if none is given."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value)
    if match is None:
        option = parameter.opts[0]
        raise click.BadParameter(f"{shown(value)!r} is not a size: try 4096, 64k or 10MiB", param_hint=option)
    return int(match.group(1)) * SIZES[(match.group(2) or "").lower()]


def duration(_: Any, __: Any, value: str | None) -> MaxStop:
    """Read a time in seconds: 200ms, 1s, 5 for 5s; the usual one if none is given."""
    if value is None:
        return "usual"
    return _seconds(value, "--max-stop")


def _seconds(value: str, option: str) -> float:
    match = _DURATION.fullmatch(value)
    seconds = float(match.group(1)) * UNITS[match.group(2)] if match else 0.0
    if not seconds:
        raise click.BadParameter(f"{shown(value)!r} is not a length of time: try 200ms or 1s", param_hint=option)
    return seconds


def budget(_: Any, __: Any, value: str | None) -> float | None:
    """Read a time in seconds, as `duration` does; None for no limit if none is given."""
    return None if value is None else _seconds(value, "--budget")


def share(_: Any, __: Any, value: str | None) -> float | None:
    """Read a share of the time: 10%, 0.5%; None for 100%, which is no limit."""
    match = _SHARE.fullmatch(value or "")
    percent = float(match.group(1)) if match else 0.0
    if not 0 < percent <= 100:
        raise click.BadParameter(
            f"{shown(value or '')!r} is not a share of the time: try 10% or 100%", param_hint="--max-share"
        )
    return None if percent == 100 else percent / 100


def pattern(_: Any, parameter: click.Parameter, value: str | None) -> re.Pattern[str] | None:
    """Read a regular expression."""
    try:
        return re.compile(value) if value is not None else None
    except (re.error, RecursionError, OverflowError) as error:
        raise click.BadParameter(
            f"{shown(value or '')!r} is not a regular expression: {error}", param_hint=parameter.opts[0]
        ) from None
