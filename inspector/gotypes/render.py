"""Go values as JSON (the machine output's form) and as Go source writes them."""

from __future__ import annotations

import base64
import json
import math
from datetime import datetime, timedelta
from typing import Any

from inspector.gotypes.values import (
    GoBytes,
    GoFunc,
    GoHidden,
    GoInterface,
    GoMap,
    GoPointer,
    GoSequence,
    GoString,
    GoStruct,
    GoValue,
    Unreadable,
)

MAX_TEXT = 120
"""Characters of one string that are shown in text."""

ERROR_MESSAGES = {"*errors.errorString": "s", "*fmt.wrapError": "msg"}
"""Types of errors whose message says it all, and the field that it is in."""

MAX_SHOWN = 16
"""Elements of one sequence that are shown in text."""

SINCE_YEAR_1 = datetime(1, 1, 1)
SINCE_1885 = datetime(1885, 1, 1)

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


# JSON


def json_form(value: GoValue) -> Any:
    """The value as the machine output gives it; always serialisable, never NaN."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _json_float(value)
    if isinstance(value, complex):
        return {"complex": [_json_float(value.real), _json_float(value.imag)]}
    if isinstance(value, GoString):
        return _json_string(value)
    if isinstance(value, GoStruct):
        return {name: json_form(part) for name, part in value.fields}
    if isinstance(value, GoBytes):
        return [*value.data, *_omitted(len(value.data), value.length)]
    if isinstance(value, GoSequence):
        parts = [json_form(part) for part in value.elements]
        return parts + _omitted(len(value.elements), value.length)
    if isinstance(value, GoPointer):
        pointer: dict[str, Any] = {"ptr": f"{value.address:#x}", "type": value.type_name}
        return pointer | ({"target": json_form(value.target)} if value.followed else {})
    if isinstance(value, GoFunc):
        return {"ptr": f"{value.address:#x}", "type": value.type_name, "func": value.name}
    if isinstance(value, GoInterface):
        return {"type": value.type_name, "value": json_form(value.value)}
    if isinstance(value, GoMap):
        return {"map": f"{value.address:#x}", "type": value.type_name, "count": value.count}
    if isinstance(value, GoHidden):
        return {"hidden": value.digest}
    return {"not_read" if value.late else "unreadable": value.reason}


def _json_float(value: float) -> Any:
    if math.isnan(value):
        return {"float": "NaN"}
    if math.isinf(value):
        return {"float": "+Inf" if value > 0 else "-Inf"}
    return value


def _json_string(value: GoString) -> Any:
    try:
        text: Any = value.data.decode()
    except UnicodeDecodeError:
        text = {"bytes": base64.b64encode(value.data).decode()}
    return text if len(value.data) == value.length else {"string": text, "length": value.length}


def _omitted(held: int, length: int) -> list[Any]:
    return [{"omitted": length - held}] if length > held else []


def json_text(value: GoValue) -> str:
    """The value in JSON, as one cell of a table: UTF-8, and not in ASCII alone; the hash of one that is hidden."""
    if isinstance(value, GoHidden):
        return go_form(value)
    # Names in an executable may have bytes that are not UTF-8.
    text = json.dumps(json_form(value), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


# For the user


def go_form(value: GoValue, whole: bool = False) -> str:
    """The value in Go's notation, on one line, with nothing in it that a terminal would obey.

    Long strings and sequences are cut unless the `whole` is wanted.
    """
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, complex):
        imaginary = _go_float(value.imag)
        return f"({_go_float(value.real)}{'' if imaginary[0] in '+-' else '+'}{imaginary}i)"
    if isinstance(value, GoString):
        return quoted(value.data, value.length, None if whole else MAX_TEXT)
    if isinstance(value, GoStruct):
        told = time_text(value) if value.type_name == "time.Time" else None
        return told or "{" + " ".join(f"{plain(name)}:{go_form(part, whole)}" for name, part in value.fields) + "}"
    if isinstance(value, GoBytes):
        content = value.data if whole else value.data[:MAX_SHOWN]
        return f"[{' '.join(map(str, content))}{_more(value.length, len(content))}]"
    if isinstance(value, GoSequence):
        parts = value.elements if whole else value.elements[:MAX_SHOWN]
        return f"[{' '.join(go_form(part, whole) for part in parts)}{_more(value.length, len(parts))}]"
    return _go_reference(value, whole)


def time_text(value: GoStruct) -> str | None:
    """A time.Time in UTC as RFC 3339 writes it, with nanoseconds; None where it is out of range (time/time.go)."""
    found = moment(value)
    if found is None:
        return None
    since, nanoseconds = found
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{since.isoformat(timespec='seconds')}{fraction}Z"


def moment(value: GoStruct) -> tuple[datetime, int] | None:
    """The second in UTC and the nanoseconds of a time.Time; None where it is out of range (time/time.go)."""
    fields = dict(value.fields)
    wall, ext = fields.get("wall"), fields.get("ext")
    if not isinstance(wall, int) or not isinstance(ext, int):
        return None
    # With the top bit set, wall holds the seconds since 1885 and ext a monotonic reading.
    since, seconds = (SINCE_1885, wall >> 30 & (1 << 33) - 1) if wall >> 63 else (SINCE_YEAR_1, ext)
    try:
        return since + timedelta(seconds=seconds), wall & (1 << 30) - 1
    except OverflowError:
        return None


def _go_reference(value: GoPointer | GoFunc | GoInterface | GoMap | Unreadable | GoHidden, whole: bool) -> str:
    if isinstance(value, GoHidden):
        return f"#{value.digest}"
    if isinstance(value, GoFunc):
        return plain(value.name) if value.name else f"({plain(value.type_name)}){value.address:#x}"
    if isinstance(value, GoPointer):
        target = f" -> {go_form(value.target, whole)}" if value.followed else ""
        return f"({plain(value.type_name)}){value.address:#x}{target}"
    if isinstance(value, GoInterface):
        return _go_interface(value, whole)
    if isinstance(value, GoMap):
        count = "?" if value.count is None else value.count
        return f"{plain(value.type_name)}({count} entries at {value.address:#x})"
    return f"<{'not read' if value.late else 'unreadable'}: {plain(value.reason)}>"


def _go_interface(value: GoInterface, whole: bool) -> str:
    """The dynamic type and value; the message of an error of the standard library; a pointer names its type itself."""
    inside = value.value
    if isinstance(inside, GoMap):
        return go_form(inside)
    if isinstance(inside, GoPointer) and inside.type_name == value.type_name:
        message = ERROR_MESSAGES.get(value.type_name)
        fields = dict(inside.target.fields) if isinstance(inside.target, GoStruct) else {}
        return f"{value.type_name}({go_form(fields[message], whole)})" if message in fields else go_form(inside, whole)
    return f"{plain(value.type_name)}({go_form(inside, whole)})"


def _go_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    return text.removesuffix(".0")


def _more(length: int, shown: int) -> str:
    return f" ... {length - shown} more" if length > shown else ""


def quoted(data: bytes, length: int, most: int | None = MAX_TEXT) -> str:
    """A string as strconv.Quote writes it, cut at so many characters (None: not cut)."""
    text = data.decode(errors="surrogateescape")
    cut = text[:most]
    more = f"... ({length} bytes)" if len(text) > len(cut) or length > len(data) else ""
    return spelled_string(cut) + more


def spelled_string(text: str) -> str:
    """A whole string as strconv.Quote writes it; bytes that are not UTF-8 are surrogates in it (surrogateescape)."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable():
        return char
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain(text: str) -> str:
    """A text from the target with everything that a terminal would obey escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)
