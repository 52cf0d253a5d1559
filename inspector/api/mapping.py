"""One map of a target as a Python mapping: a snapshot, whole, of natural values."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

from inspector.api import notebooks
from inspector.api.answers import Answer, Raw, Repeated, Sized, answer
from inspector.api.frames import require_choice
from inspector.api.natural import Natural, natural
from inspector.errors import UnreadableMemory, UsageError
from inspector.gotypes.matching import LONGEST_TEXT
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of
from inspector.inspection.duplicates import duplicates_of
from inspector.inspection.largest import largest_entries
from inspector.inspection.one_map import Inspection
from inspector.inspection.searching import search_entries
from inspector.maps.family import Entry
from inspector.maps.findings import Finding
from inspector.settings import By

if TYPE_CHECKING:
    import pyarrow
    from numpy.typing import NDArray

MOST_SPELLED = 80
"""Characters of a key that a message repeats."""


class GoMapping(Mapping[Natural, Natural]):
    """A Go map as it was at one moment: the target may go on or be closed, the mapping stays the same.

    It has every entry that was found, in the order of memory, also where the map breaks rules (`verdict`). Entries are
    decoded when the first of them is asked for. Keys are compared as in Python, and answered by these entries: a NaN
    is found only by the key itself, as it was iterated over. A key that several entries have in Python, as int(1) and
    int8(1) in a map[any]string, is in the mapping, and `[]` raises UsageError for it; `items()` gives them all.
    """

    def __init__(self, inspection: Inspection) -> None:
        """`inspection` must be one of all entries."""
        self.inspection = inspection
        """Everything that is known of the map: what `inspect` returns."""

    # What it is

    @property
    def name(self) -> str | None:
        """The variable or path, None for a map that was asked for by its address."""
        return self.inspection.ref.name

    @property
    def type(self) -> str:
        """The Go type, as reflect prints it."""
        return self.inspection.ref.type.name

    @property
    def address(self) -> int:
        """Where its header lies; 0 for a nil map."""
        return self.inspection.ref.address

    @property
    def verdict(self) -> str:
        """What the rules say: "consistent", "write-in-progress", "inconsistent" and others (docs/python.md)."""
        return self.inspection.judgement.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the verdict rests on."""
        return self.inspection.judgement.findings

    @property
    def growth(self) -> dict[str, Any]:
        """How far a growth is, and when the next begins: the member "growth" of the JSON document."""
        return self.inspection.account.growth_form

    @property
    def occupancy(self) -> dict[str, Any]:
        """How full it is: the member "occupancy" of the JSON document."""
        return self.inspection.account.occupancy_form

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how it was read."""
        return self.inspection.notes

    def __repr__(self) -> str:
        where = plain(self.name) if self.name else f"at {self.address:#x}"
        entries = number_of(len(self), "entry") if self.address else "nil"
        return f"<{plain(self.type)} {where}: {entries}, {self.verdict}>"

    def _repr_html_(self) -> str:
        shown = [(repr(natural(one.key)), repr(natural(one.value))) for one in self._first(notebooks.MOST_ROWS)]
        return notebooks.table(repr(self)[1:-1], ("key", "element"), shown, len(self) - len(shown))

    # What it holds

    def _first(self, count: int) -> Iterator[Entry]:
        """A few entries, which are decoded again each time: that of all of them may take long."""
        return islice(self.inspection.entries(), count)

    @cached_property
    def _entries(self) -> list[tuple[Natural, Natural]]:
        return [(natural(entry.key), natural(entry.value)) for entry in self.inspection.entries()]

    @cached_property
    def _places(self) -> dict[Natural, int | list[int]]:
        """Where in `_entries` each key is. Only damage makes keys that nothing hashes: those cannot be asked for."""
        places: dict[Natural, int | list[int]] = {}
        for at, (key, _) in enumerate(self._entries):
            try:
                before = places.setdefault(key, at)
            except TypeError:
                continue
            if isinstance(before, list):
                before.append(at)
            elif before != at:
                places[key] = [before, at]
        return places

    def __len__(self) -> int:
        """Entries found; what the header counts is in `inspection.snapshot.header.count`."""
        return self.inspection.entries_total

    def __iter__(self) -> Iterator[Natural]:
        return (key for key, _ in self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __getitem__(self, key: Natural) -> Natural:
        """The element of a key; raises KeyError, and UsageError where several entries have it."""
        return self._entries[self._place(key)][1]

    def _place(self, key: Natural) -> int:
        at = self._places[key]
        if isinstance(at, list):
            raise UsageError(
                f"{len(at)} keys of the map are {_spelled(key)} in Python",
                "go through items(), or give look_up the key as Go spells it",
            )
        return at

    def items(self) -> ItemsView[Natural, Natural]:
        """All entries, also those of keys that are equal in Python, or that equal nothing."""
        return _Items(self)

    def values(self) -> ValuesView[Natural]:
        """All elements, in the order of the keys."""
        return _Values(self)

    def __eq__(self, other: object) -> bool:
        """Whether another mapping has equal keys with equal elements; none has, if some keys are equal in Python."""
        if not isinstance(other, Mapping):
            return NotImplemented
        if self is other:
            return True
        mine, others = dict(self.items()), dict(other.items())
        return len(self) == len(other) == len(mine) == len(others) and mine == others

    __hash__ = None  # type: ignore[assignment]

    # Questions to it

    def raw(self, key: Natural) -> Raw:
        """The bytes of a key and of its element as they lie in memory.

        Raises what `[]` does, UnreadableMemory for bytes that could not be copied, and UsageError where values are
        hidden.
        """
        at, snapshot = self._place(key), self._shown().snapshot
        assert snapshot is not None
        keys, elems = snapshot.values()
        slots = snapshot.slots()
        for part, addresses in ((keys, slots.key_values), (elems, slots.elem_values)):
            if not part.known[at]:
                raise UnreadableMemory(int(addresses[at]), part.type.size, "it was not copied with the map")
        return Raw(keys.rows[at].tobytes(), elems.rows[at].tobytes())

    def top(self, count: int = 10, by: By = "size") -> Answer[Sized]:
        """The largest entries, the largest first: `by` their "size", or that of their keys or elements alone.

        As --top-entries does it. Raises UsageError where values are hidden.
        """
        require_choice("by", by, get_args(By))
        if count < 0:
            raise UsageError(f"there are no {count} entries", "ask for 0 or more")
        found = largest_entries(self._shown(), count, by)
        entries = [
            Sized(natural(one.entry.key), natural(one.entry.value), one.bytes, one.key_bytes, one.value_bytes)
            for one in found.entries
        ]
        return answer(
            entries,
            f"sizes are lower bounds: what {number_of(found.missed, 'pointer')} lead to could not be read"
            if found.missed
            else "",
        )

    def grep(self, pattern: str | re.Pattern[str], values: bool = False) -> Answer[tuple[Natural, Natural]]:
        """The entries whose key matches a regular expression somewhere, or with `values` whose element does.

        As --grep does it: keys that are not strings are matched as Go spells them. Raises UsageError for what is no
        expression or takes too long, and where values are hidden.
        """
        try:
            compiled = re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError(f"{_spelled(pattern)} is not a regular expression: {error}") from None
        found = search_entries(self._shown(), compiled, values, None)
        return answer(
            [(natural(entry.key), natural(entry.value)) for _, entry in found.entries],
            f"{number_of(found.cut, 'text')} searched in the first {LONGEST_TEXT:,} characters only"
            if found.cut
            else "",
        )

    def duplicates(self) -> Answer[Repeated]:
        """The strings that keys and elements hold more than once, those first that would give back most.

        As --duplicates does it. Raises UsageError where values are hidden.
        """
        found = duplicates_of(self._shown(), None)
        texts = [
            Repeated(natural(one.text), one.times, one.copies, one.text.length, one.gives_back) for one in found.top
        ]
        not_read = f"{number_of(found.not_read, 'string')} could not be read" if found.not_read else ""
        return answer(texts, not_read)

    def _shown(self) -> Inspection:
        """The inspection, unless it hides what these questions ask for."""
        if self.inspection.redactor is not None:
            raise UsageError("this shows what the map holds, and it was copied where values are hidden")
        return self.inspection

    # As a table: a column for each field of keys and elements, and for places (docs/export.md)

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """The columns by their names, with a value for each entry: "key", "value.Name", "bucket".

        Numbers have a dtype of the same size, times are datetime64[ns], other columns are objects. Columns with rows
        that have no value are masked arrays.
        """
        from inspector.api.arrays import numpy_columns

        return numpy_columns(self.inspection)

    def to_arrow(self) -> pyarrow.Table:
        """The table in Arrow's format; raises MissingPackage where pyarrow is not installed."""
        from inspector.inspection.arrow import arrow_table

        return arrow_table(self.inspection)

    def to_pandas(self) -> Any:
        """The table as a data frame; raises MissingPackage where pandas or pyarrow is not installed."""
        from inspector.inspection.arrow import pandas_frame

        return pandas_frame(self.inspection)


class _Items(ItemsView[Natural, Natural]):
    """The entries themselves: the usual view would look each key up."""

    _mapping: GoMapping

    def __iter__(self) -> Iterator[tuple[Natural, Natural]]:
        return iter(self._mapping._entries)

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        at = self._mapping._places.get(item[0], [])
        return any(self._mapping._entries[each][1] == item[1] for each in ([at] if isinstance(at, int) else at))


class _Values(ValuesView[Natural]):
    """The elements themselves."""

    _mapping: GoMapping

    def __iter__(self) -> Iterator[Natural]:
        return (value for _, value in self._mapping._entries)


def _spelled(key: Natural) -> str:
    text = plain(repr(key))
    return text if len(text) <= MOST_SPELLED else f"{text[:MOST_SPELLED]}..."
