"""The texts of keys and elements that an expression is matched with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.gotypes.decode import Decoder
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.matching import Matcher
from inspector.gotypes.reach import KEY_LIMITS, VALUE_LIMITS
from inspector.gotypes.render import go_form
from inspector.gotypes.table import TypeTable
from inspector.gotypes.values import GoBytes, GoInterface, GoString, GoValue, Unreadable
from inspector.maps.values import Values
from inspector.memory.protocol import Memory
from inspector.naming.spelling import Speller, Unspellable

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


class Texts:
    """Texts of values whose bytes, and what they point to, are in `memory`.

    A string is its own text, also in an interface, and so is what a []byte of an element holds. Any other key is
    spelled as a literal, any other element in Go's notation.
    """

    def __init__(self, types: TypeTable, memory: Memory) -> None:
        self.types, self.memory = types, memory
        self._decoder, self._speller = Decoder(types, memory), Speller(types, memory)

    def matching(self, matcher: Matcher, keys: Values, elems: Values | None) -> Numbers:
        """The numbers of entries whose key matches, or whose element does; `elems` is None where they do not count."""
        found = np.zeros(len(keys), bool)
        for number, text in self._of(keys, True):
            found[number] = matcher.finds(text)
        if elems is not None:
            for number, text in self._of(elems, False):
                found[number] = found[number] or matcher.finds(text)
        return np.flatnonzero(found)

    def literal(self, go_type: GoType, data: bytes) -> str | None:
        """A key as it can be typed, in its short form where it is long; None where nothing leads to it."""
        try:
            return self._speller.spell(go_type, data)
        except Unspellable:
            return None

    def _of(self, values: Values, as_keys: bool) -> Iterator[tuple[int, str]]:
        for number in np.flatnonzero(values.known).tolist():
            data = values.rows[number].tobytes()
            text = self._text(values.type, data, as_keys)
            if text is not None:
                yield number, text

    def _text(self, go_type: GoType, data: bytes, as_key: bool) -> str | None:
        value = self._decoder.value(go_type, data, KEY_LIMITS if as_key else VALUE_LIMITS)
        inside: GoValue = value.value if isinstance(value, GoInterface) else value
        if isinstance(inside, Unreadable):
            return None
        if isinstance(inside, GoString):
            return inside.data.decode(errors="surrogateescape")
        if not as_key:
            if isinstance(inside, GoBytes) and go_type.kind == Kind.SLICE:
                return inside.data.decode(errors="surrogateescape")
            return go_form(value, whole=True)
        try:
            return self._speller.literal(go_type, data)
        except Unspellable:
            return go_form(value, whole=True)
