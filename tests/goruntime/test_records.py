"""A record reads what construct reads, for every declaration of type descriptors."""

from __future__ import annotations

from typing import Any

import pytest
from construct import Bytes, Construct, Int64ub, Padding, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime import types
from inspector.goruntime.records import record_of
from tests.support.chance import unforeseen

pytestmark = pytest.mark.pure

DECLARATIONS = {
    **{name: each for name, each in vars(types).items() if isinstance(each, Struct)},
    **{f"maptype, {bool(each)}": types._maptype(bool(each)) for each in (0, 1)},
    **{f"swissmaptype, {bool(each)}": types._swissmaptype(bool(each)) for each in (0, 1)},
}


def fields_of(value: Any) -> Any:
    """What was read, as a dict of dicts; construct's own is one, with a field beside those of the declaration."""
    if isinstance(value, (int, bytes)):
        return value
    fields = value if isinstance(value, dict) else vars(value)
    return {name: fields_of(part) for name, part in fields.items() if not name.startswith("_")}


@pytest.mark.parametrize("declaration", DECLARATIONS.values(), ids=list(DECLARATIONS))
def test_a_record_reads_what_its_declaration_reads(declaration: Construct) -> None:
    random, record = unforeseen(), record_of(declaration)
    assert record.size == declaration.sizeof()
    for _ in range(20):
        data = random.randbytes(record.size)
        assert fields_of(record.read(data)) == fields_of(declaration.parse(data)) != {}
        assert fields_of(record.read(memoryview(data))) == fields_of(record.read(data))


def test_bytes_and_structures_in_structures_are_read() -> None:
    inner = Struct("word" / go.uintptr, "deeper" / Struct("text" / Bytes(3)))
    found = record_of(Struct("first" / go.uint16, "inner" / inner)).read(b"\1\0" + b"\2" + bytes(7) + b"abc")
    assert (found.first, found.inner.word, found.inner.deeper.text) == (1, 2, b"abc")


@pytest.mark.parametrize("part", [Int64ub, Padding(4)])
def test_what_the_runtime_has_none_of_is_refused(part: Construct) -> None:
    with pytest.raises(TypeError, match="no record for"):
        record_of(Struct("part" / part))
