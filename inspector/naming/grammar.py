r"""The grammar of names: how a path from a variable to a map is written, as Go's selectors, indices and assertions are.

    name       = variable { step } | "(" name ")" { step } | "*" name | "(*" type ")(" address ")" { step }
    step       = "." field | "[" number "]" | "[" key "]" | "[key " key "]" | ".(" type ")"
    key        = Go literal of the key's type | short form

`main.server.byTenant["tenant-35"]`, `main.shards[2].table`, `main.series[{method:"GET", code:200}].buckets`,
`main.handlers[main.owner{name:"x", id:3}].(*main.cache).items`. A literal's own type may be left out. Pointers and
interfaces on the way are followed without being written. `[key K]` leads into a key, and not to its element.

A key that would be too long to be read is printed in a short form, which only the walk (walk.py) can resolve: the
beginning of a string, its length in bytes and the hash of it, `"session-aaaaaaaaaaaa"...150#1f0c4e2d9b3a5867`, or the
first parts of a composite value, `{1, 2, 3, ...}#1f0c4e2d9b3a5867` (spelling.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from inspector.errors import UsageError
from inspector.gotypes.redaction import quoted_key, typed

LONGEST = 1 << 16
"""Characters in a name with keys: a key may be written in full, however long it is."""

MOST_STEPS = 256
OF_KEY = "key "
"""How the brackets begin that lead into a key."""

SHOWN_CHARACTERS = 80

_FIELD = re.compile(r"\.([^\W\d]\w*)")
_NUMBER = re.compile(r"\d{1,19}")
_SKIPPED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\'(?:[^\'\\]|\\.)+\'', re.DOTALL)
"""What brackets mean nothing in: strings and characters."""

_HEAD = re.compile(r"[\w./%~@+\-·,]+")
_CONVERSION = re.compile(r"\(\*([^()]+)\)\((0[xX][0-9a-fA-F]{1,16})\)")
_CLOSING = {"[": "]", "(": ")", "{": "}"}


@dataclass(frozen=True)
class Step:
    """One step of a path, and `text`, how it was written.

    Exactly one of these is set: `field` is a field's name; `key` is what stands in brackets, and `of_key` says that
    the key itself is meant; `assertion` is a type's name.
    """

    text: str
    field: str | None = None
    key: str | None = None
    of_key: bool = False
    assertion: str | None = None

    @property
    def index(self) -> int | None:
        """The number in brackets, None where something else stands there."""
        return int(self.key) if self.key is not None and not self.of_key and _NUMBER.fullmatch(self.key) else None

    @property
    def plain(self) -> bool:
        """Whether it is a field, or an index with few digits: what types alone may decide."""
        return self.field is not None or (self.index is not None and len(self.text) <= len("[123456789]"))

    @property
    def short(self) -> bool:
        """Whether the key is in a short form: a # stands outside of its strings."""
        return self.key is not None and "#" in _SKIPPED.sub("", self.key)


@dataclass(frozen=True)
class Named:
    """A name, taken apart: `head` is a variable with the fields that directly follow it, or empty with an `address`.

    An address comes with the name of the type that lies there.
    """

    head: str
    steps: tuple[Step, ...]
    address: int | None = None
    type_name: str = ""


def parse_name(text: str) -> Named | None:
    """Take a name apart; None where it has no parts but a variable, fields and indices, which paths.py follows.

    Raises UsageError for brackets that do not close, and for what is no step.
    """
    if len(text) > LONGEST:
        raise _wrong(text, f"it has more than {LONGEST:,} characters")
    inner = _without_parentheses(text)
    if inner is not None:
        named = parse_name(inner[0]) or Named(inner[0], ())
        return replace(named, steps=(*named.steps, *parse_path(inner[1])))
    made = _CONVERSION.match(text)
    if made:
        return Named("", parse_path(text[made.end() :]), int(made.group(2), 16), made.group(1))
    head = _HEAD.match(text)
    if head is None or head.end() == len(text):
        return None
    end = head.end()
    if text[end] == "(" and text[end - 1] == ".":
        end -= 1
    if text[end] not in ".[":
        return None
    return Named(text[:end], parse_path(text[end:]))


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path: ".field[3].field", '["key"].(*main.cache)'. Raises UsageError."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if len(steps) == MOST_STEPS:
            raise _wrong(text, f"it has more than {MOST_STEPS} steps")
        field = _FIELD.match(text, at)
        if field:
            step, end = Step(field[0], field=field[1]), field.end()
        elif text[at] == "[":
            end = closing(text, at) + 1
            inside = text[at + 1 : end - 1].strip()
            of_key = inside.startswith(OF_KEY)
            step = Step(text[at:end], key=inside.removeprefix(OF_KEY).strip(), of_key=of_key)
        elif text.startswith(".(", at):
            end = closing(text, at + 1) + 1
            step = Step(text[at:end], assertion=text[at + 2 : end - 1].strip())
        else:
            raise _wrong(text, f"{quoted_key(_some(text[at:]))} is not a field, an index or a key")
        steps.append(step)
        at = end
    return tuple(steps)


def closing(text: str, opened: int) -> int:
    """Where the bracket at an index closes, strings and characters passed over; raises UsageError."""
    stack = []
    for at, char in _marks(text, opened):
        if char in _CLOSING:
            stack.append(_CLOSING[char])
        elif stack and char == stack[-1]:
            stack.pop()
            if not stack:
                return at
        else:
            break
    raise _wrong(text, f"the bracket at {quoted_key(_some(text[opened:]))} does not close")


def outside_strings(text: str, wanted: str) -> bool:
    """Whether a character stands in a text outside of brackets, strings and characters."""
    depth = 0
    for _, char in _marks(text, 0, wanted):
        if char == wanted and depth <= 0:
            return True
        depth += (char in _CLOSING) - (char in _CLOSING.values())
    return False


def _marks(text: str, at: int, also: str = "") -> Iterator[tuple[int, str]]:
    """The brackets of a text from an index on, strings and characters passed over."""
    while at < len(text):
        skipped = _SKIPPED.match(text, at)
        if skipped:
            at = skipped.end()
            continue
        if text[at] in "[](){}" or text[at] == also:
            yield at, text[at]
        at += 1


def _without_parentheses(text: str) -> tuple[str, str] | None:
    """A name without the parentheses or the star around it, and the path behind them; None where there are none.

    A star says what Go writes where a pointer is followed, which is done anyway.
    """
    if text.startswith("*"):
        return text[1:], ""
    if text.startswith("(") and not _CONVERSION.match(text):
        end = closing(text, 0)
        return text[1:end], text[end + 1 :]
    return None


def _some(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:20]}..."


def _wrong(text: str, why: str) -> UsageError:
    text = typed(text)
    short = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}... ({len(text)} characters)"
    return UsageError(
        f"{short!r} cannot be read as a name: {why}", 'write it as in Go: main.byTenant["tenant-35"].jobs'
    )
