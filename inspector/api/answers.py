"""What questions to one map are answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from inspector.api.natural import Natural

One = TypeVar("One")


class Answer(tuple[One, ...]):
    """What was found, in order, as a tuple. `notes` say in sentences what is missing of it; none where nothing is."""

    notes: tuple[str, ...] = ()


def answer(found: list[One], *notes: str) -> Answer[One]:
    """An answer with those of the notes that say anything."""
    answered = Answer(found)
    answered.notes = tuple(note for note in notes if note)
    return answered


class Raw(NamedTuple):
    """The bytes of one entry as they lie in memory: those of its key, and those of its element.

    A string, slice, map or pointer has there the words of which it consists, and not what it leads to.
    """

    key: bytes
    value: bytes


@dataclass(frozen=True)
class Sized:
    """An entry and its size in bytes, with what key and element lead to (docs/questions.md says what counts)."""

    key: Natural
    value: Natural
    bytes: int
    key_bytes: int
    value_bytes: int


@dataclass(frozen=True)
class Repeated:
    """A text that a map holds `times` times, in `copies` of its own memory.

    `bytes` are those of one copy; keeping one alone gives back `gives_back` bytes. `text` is a Cut where it is longer
    than what is copied of a string.
    """

    text: Natural
    times: int
    copies: int
    bytes: int
    gives_back: int
