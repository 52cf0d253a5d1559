"""The construct declarations and the numpy dtypes derived from them read the same bytes the same way."""

from __future__ import annotations

import numpy as np
import pytest
from construct import Int16ub, Optional
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.goruntime import types
from inspector.goruntime.bmap import bmap
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.hmap import hmap
from inspector.goruntime.mapextra import mapextra
from inspector.goruntime.moduledata import func_head, functab, moduledata
from inspector.goruntime.releases import Release
from inspector.image import elfstructs as elf
from inspector.memory.process import ProcessMemory
from tests.support.toolchains import EVERY_TOOLCHAIN

FLAT = [
    hmap(Release("go1.23.9")),
    hmap(Release("go1.25.5")),
    mapextra,
    types.rtype,
    types.maptype(Release("go1.13.8")),
    types.maptype(Release("go1.14")),
    types.type_alg,
    types.struct_field,
    elf.symbol,
    functab(Release("go1.17.1")),
    func_head(Release("go1.17.1")),
    functab(Release("go1.18.2")),
    func_head(Release("go1.18.2")),
    moduledata(Release("go1.19.8")),
    moduledata(Release("go1.21.13")),
]


def as_plain(value):
    """Containers, arrays and numpy scalars as nested lists and integers."""
    if isinstance(value, dict):
        return {name: as_plain(part) for name, part in value.items() if name != "_io"}
    if isinstance(value, np.void):
        return {name: as_plain(value[name]) for name in value.dtype.names}
    if isinstance(value, np.ndarray):
        return (
            as_plain(value.tobytes()) if value.dtype == np.uint8 and value.ndim == 1 else [as_plain(v) for v in value]
        )
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, list):
        return [as_plain(part) for part in value]
    return int(value)


@pytest.mark.pure
@pytest.mark.parametrize("declaration", FLAT)
@settings(max_examples=25)
@given(data=st.data())
def test_a_struct_and_its_derived_dtype_read_the_same(declaration, data):
    raw = data.draw(st.binary(min_size=declaration.sizeof(), max_size=declaration.sizeof()))
    dtype = dtype_of(declaration)
    assert dtype.itemsize == declaration.sizeof()
    assert as_plain(np.frombuffer(raw, dtype)[0]) == as_plain(declaration.parse(raw))


@pytest.mark.pure
@given(key=st.sampled_from([0, 1, 3, 8, 16, 128]), elem=st.sampled_from([0, 1, 8, 24, 128]), data=st.data())
def test_buckets_of_every_slot_size_read_the_same_through_both(key, elem, data):
    declaration = bmap(key, elem)
    count = data.draw(st.integers(1, 3))
    raw = data.draw(st.binary(min_size=count * declaration.sizeof(), max_size=count * declaration.sizeof()))
    rows = np.frombuffer(raw, dtype_of(declaration))
    for at, row in enumerate(rows):
        one = declaration.parse(raw[at * declaration.sizeof() :])
        assert row["tophash"].tolist() == list(one.tophash)
        assert [k.tobytes() for k in row["keys"]] == list(one["keys"])
        assert [e.tobytes() for e in row["elems"]] == list(one.elems)
        assert int(row["overflow"]) == one.overflow


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_the_header_schema_reads_the_fields_that_the_program_reads_through_unsafe(run, toolchain):
    running = run("states", toolchain)
    memory = ProcessMemory(running.pid)
    declaration = hmap(Release.parse(running.truth["go"]))
    compared = 0
    for state in running.truth["maps"]:
        if state["header"] is None:
            continue
        told = state["header"]
        parsed = declaration.parse(memory.read(int(state["address"], 16), declaration.sizeof()))
        assert [parsed.count, parsed.flags, parsed.B, parsed.noverflow, parsed.hash0, parsed.nevacuate] == [
            told[name] for name in ("count", "flags", "B", "noverflow", "hash0", "nevacuate")
        ]
        assert parsed.extra == int(told["extra"]["address"] if told["extra"] else "0", 16)
        compared += 1
    assert compared > 80


@pytest.mark.pure
def test_a_declaration_without_fixed_size_has_no_dtype():
    with pytest.raises(TypeError, match="no numpy dtype"):
        dtype_of(Optional(Int16ub))


@pytest.mark.pure
def test_big_endian_scalars_keep_their_order():
    assert np.frombuffer(b"\x01\x02", dtype_of(Int16ub))[0] == 0x0102
