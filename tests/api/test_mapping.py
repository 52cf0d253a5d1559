"""A map as a Python mapping has what the Go program ranges over: every kind of key and element, every state."""

from __future__ import annotations

import base64
import math
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest

from fixtures import SWISS_RELEASES, USUAL, Running, build, start
from inspector import (
    Cut,
    GoFunc,
    GoHidden,
    GoMap,
    GoMapping,
    NotAMap,
    Pointer,
    Struct,
    UnknownVariable,
    Unreadable,
    UsageError,
    open_target,
)
from inspector.api.natural import natural
from inspector.gotypes.decode import Decoder
from inspector.gotypes.literal import parse_literal
from inspector.gotypes.redaction import Redactor, redacting
from inspector.gotypes.values import GoBytes, GoPointer, GoSequence, GoString, GoStruct
from tests.support.truth import NOT_IN_EXECUTABLE, in_order

PROGRAMS = [
    pytest.param(program, toolchain, id=f"{program}-{toolchain.name}", marks=marks)
    for program, toolchain, marks in (
        ("states", USUAL, ()),
        ("elements", USUAL, ()),
        ("nested", USUAL, ()),
        ("swissstates", SWISS_RELEASES[-1], ()),
        ("elements", SWISS_RELEASES[-1], pytest.mark.slow),
        ("nested", SWISS_RELEASES[-1], pytest.mark.slow),
        ("swissstates", SWISS_RELEASES[-2], pytest.mark.slow),
    )
]
MOST_ENTRIES = 600
"""Larger maps have the same kinds of entries, and more of them."""

BOTH = [pytest.param(USUAL, id=USUAL.name), pytest.param(SWISS_RELEASES[-1], id=SWISS_RELEASES[-1].name)]


def told_form(value: Any) -> Any:
    """A natural value in the form in which the programs print theirs; what has no form there is an error."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return {"float": "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"} if special(value) else value
    if isinstance(value, complex):
        return {"complex": [told_form(value.real), told_form(value.imag)]}
    if isinstance(value, str):
        data = value.encode(errors="surrogateescape")
        try:
            return data.decode()
        except UnicodeDecodeError:
            return {"bytes": base64.b64encode(data).decode()}
    if isinstance(value, Struct):
        return {name: told_form(value[name]) for name in value._fields}
    if isinstance(value, (bytes, list, tuple)):
        return [told_form(part) for part in value]
    if isinstance(value, Pointer):
        pointer = {"ptr": f"{value.address:#x}", "type": value.type}
        return {**pointer, "target": told_form(value.target)} if value.followed else pointer
    if isinstance(value, GoFunc):
        return {"ptr": f"{value.address:#x}", "type": value.type_name, "func": value.name}
    if isinstance(value, GoMap):
        return {"map": f"{value.address:#x}", "type": value.type_name, "count": value.count}
    raise AssertionError(f"a program prints nothing like {value!r}")


def special(value: float) -> bool:
    return math.isnan(value) or math.isinf(value)


def without_types(told: Any) -> Any:
    """What a program printed, without the dynamic types of interfaces, which natural values do not have."""
    if isinstance(told, list):
        return [without_types(part) for part in told]
    if not isinstance(told, dict):
        return told
    if set(told) == {"type", "value"}:
        return without_types(told["value"])
    return {name: without_types(part) for name, part in told.items()}


def opened(target: Any, told: dict[str, Any]) -> GoMapping:
    if told["variable"]:
        return target[told["variable"]]
    return target.map(told["address"], told["type"])


def unlike(mapping: GoMapping, told: dict[str, Any]) -> list[str]:
    """What a mapping has otherwise than the program; empty when they agree in every point."""
    wrong = []
    if (len(mapping), mapping.type, mapping.address) != (told["len"], told["type"], int(told["address"], 16)):
        wrong.append(f"{mapping!r} is not {told['type']} at {told['address']} of {told['len']} entries")
    if told["entries"] is None:
        return wrong
    seen = [{"key": told_form(key), "value": told_form(value)} for key, value in mapping.items()]
    entries = [{name: without_types(entry[name]) for name in ("key", "value")} for entry in told["entries"]]
    if in_order(seen) != in_order(entries):
        wrong.append(f"{in_order(seen)[:3]} ... are not {in_order(entries)[:3]} ...")
    return wrong + answered_wrong(mapping)


def answered_wrong(mapping: GoMapping) -> list[str]:
    """Keys that the mapping does not answer with the element beside them."""
    wrong = []
    keys = list(mapping)
    for at, (key, value) in enumerate(mapping.items()):
        if key is not keys[at] or key not in mapping:
            wrong.append(f"{key!r} is not in the mapping")
        others = keys if len(keys) < 100 else [key]
        same = [each for each in others if each is key or each == key]
        try:
            found = mapping[key]
        except UsageError:
            if len(same) == 1:
                wrong.append(f"{key!r} is said not to be unique")
        else:
            if len(same) > 1 or found is not value:
                wrong.append(f"{key!r} is answered by {found!r} instead of {value!r}")
    return wrong


def maps_of(running: Running) -> list[dict[str, Any]]:
    """Maps whose type is known from the executable; those of times are tested apart: programs print their words."""
    found = [told for told in running.truth["maps"] if told["name"] not in NOT_IN_EXECUTABLE]
    # Of each type of a Swiss map there is a small one and one with a table: the small ones are left out.
    found = [told for told in found if "time.Time" not in told["type"] and not told["name"].startswith("few_")]
    return [told for told in found if told["len"] <= MOST_ENTRIES]


@pytest.mark.parametrize(("program", "toolchain"), PROGRAMS)
def test_a_mapping_has_the_entries_that_the_program_ranges_over(run, program, toolchain):
    running = run(program, toolchain)
    with open_target(running.pid, memory="direct", stop=False) as target:
        wrong = {told["name"]: unlike(opened(target, told), told) for told in maps_of(running)}
    assert len(wrong) > 12
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", BOTH)
def test_a_key_is_answered_with_the_element_that_the_program_finds(run, toolchain):
    """For each kind of key; keys in interfaces are told apart by their types in Go alone."""
    running = run("keys", toolchain)
    # Of all states of a type the one with the fewest entries.
    by_size = sorted(running.truth["maps"], key=lambda told: -told["len"])
    kinds = {told["type"]: told for told in by_size if "interface" not in told["type"]}
    wrong = {}
    with open_target(running.pid, memory="direct", stop=False) as target:
        types = target.program.types
        for told in kinds.values():
            mapping = opened(target, told)
            key_type = types.key(mapping.inspection.ref.type)
            answer = running.ask(f"look {told['name']} 8")

            def key_of(spelled, key_type=key_type):
                literal = parse_literal(types, key_type, spelled)
                return natural(Decoder(types, literal.memory).value(key_type, literal.data))

            found = [(told_form(mapping[key_of(key)]), value) for key, value in answer["present"]]
            absent = [key for key in answer["absent"] if key_of(key) in mapping]
            if len(mapping) != told["len"] or absent or any(seen != value for seen, value in found):
                wrong[told["name"]] = (len(mapping), absent, found)
    assert len(kinds) > 15
    assert wrong == {}


def test_a_time_is_a_datetime_in_utc(run):
    running = run()
    with open_target(running.pid, memory="direct") as target:
        times = target["main.elemTime"]
    assert times["zero"] == datetime(1, 1, 1, tzinfo=UTC)
    assert times["utc"] == datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)
    assert times["fixed"] == datetime(1999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-7)))
    assert timedelta() < datetime.now(UTC) - times["now"] < timedelta(days=1)


@pytest.mark.parametrize("toolchain", BOTH)
def test_a_mapping_equals_the_dict_of_its_values(run, toolchain):
    with open_target(run("elements", toolchain).pid, memory="direct") as target:
        assert target["main.sizes"] == {"small": 200}
        assert target["main.lists"] == {"odd": [1, 3, 5]}
        assert {7: (1, -2)} == target["main.points"] != {7: (1, -3)}
        assert target["main.open"] == target["main.open"] == {-1: True, 2: False} != {-1: True}
        assert target["main.wide"] == {3: bytes(149) + b"\x95"}
        users = target["main.users"]
        assert (users["ann"].name, users["bob"].age, users["ann"].friends) == ("ann", 42, None)
        assert users["ann"] == target["main.anything"]["pointer"]
        assert users.get("carol") is None
        with pytest.raises(KeyError, match="carol"):
            users["carol"]
        with pytest.raises(TypeError):
            users[["ann"]]
        assert ("small", 200) in target["main.sizes"].items()
        assert ("small", 201) not in target["main.sizes"].items()


@pytest.mark.parametrize("toolchain", BOTH)
def test_a_map_inside_of_a_map_is_opened_with_the_same_target(run, toolchain):
    with open_target(run("elements", toolchain).pid, memory="direct") as target:
        assert target[target["main.nested"]["outer"]] == {"inner": 9}
        assert target[target["main.nested"].address] == target["main.nested"]


def test_a_nan_is_found_only_by_the_key_that_was_iterated_over(run):
    told = run().map("key_float64")
    with open_target(run().pid, memory="direct") as target:
        mapping = target["main.keyFloat64"]
    nans = [key for key in mapping if math.isnan(key)]
    assert len(nans) == 3
    assert [mapping[key] for key in nans] == ["a float"] * 3
    assert math.nan not in mapping
    assert len(dict(mapping)) == len(mapping) == told["len"]
    assert mapping[-0.0] == mapping[0] == "zero"


def test_keys_that_are_one_in_python_are_all_there_and_none_is_chosen(run):
    with open_target(run().pid, memory="direct") as target:
        mapping = target["main.keyInterface"]
    assert sorted(value for key, value in mapping.items() if key == 1) == ["bool", "int", "int8"]
    assert 1 in mapping
    with pytest.raises(UsageError, match=r"3 keys of the map are (1|True) in Python"):
        mapping[1]
    assert mapping["one"] == "string"
    assert mapping["\udcff"] == "bytes"
    assert mapping != dict(mapping.items())
    assert mapping == mapping


def test_a_mapping_stays_as_it_was_when_its_target_is_closed(run):
    told = run().map("double_middle")
    with open_target(run().pid, memory="direct") as target:
        mapping = target["main.doubleMiddle"]
    assert (len(mapping), mapping.verdict, mapping.growth["growing"]) == (told["len"], "consistent", True)
    assert mapping == {entry["key"]: entry["value"] for entry in told["entries"]}
    assert mapping.occupancy["live"] == told["len"]
    assert repr(mapping) == f"<map[string]int main.doubleMiddle: {told['len']:,} entries, consistent>"


def test_a_mapping_made_where_values_are_hidden_hides_them_for_good(run):
    with open_target(run("elements").pid, memory="direct") as target, redacting(Redactor.random()):
        mapping = target["main.open"]
    assert len(mapping) == 2
    assert {type(value) for entry in mapping.items() for value in entry} == {GoHidden}
    assert len({*mapping, *mapping.values()}) == 4


def test_a_nil_map_is_an_empty_mapping(run):
    with open_target(run().pid, memory="direct") as target:
        mapping = target["main.nilMap"]
    assert (mapping, len(mapping), mapping.address) == ({}, 0, 0)
    assert repr(mapping).endswith("main.nilMap: nil, consistent>")


def test_what_is_no_map_is_an_error_of_the_family(run):
    with open_target(run().pid, memory="direct") as target:
        with pytest.raises(UnknownVariable):
            target["main.nothing"]
        with pytest.raises(NotAMap):
            target[8]
        with pytest.raises(TypeError):
            list(cast(Any, target))
        with pytest.raises(TypeError):
            assert "main.empty" in cast(Any, target)


def test_a_map_of_a_core_is_a_mapping_too(crash):
    core = crash()
    with open_target(core.path, memory="direct", exe=str(core.exe)) as target:
        mapping = target["main.elemBytes"]
    assert mapping == {0: None, 1: b"", 2: b"text", 3: bytes([0, 255, 128])}


@pytest.mark.parametrize("toolchain", BOTH)
def test_a_sync_map_is_a_mapping_of_what_the_program_stored(run, toolchain):
    running = run("syncmaps", toolchain)
    told = [{"type": "sync.Map", **each} for each in running.truth["maps"] if each["entries"]]
    with open_target(running.pid, memory="direct", stop=False) as target:
        mappings = {each["name"]: target[each["name"]] for each in told}
    assert len(told) > 5
    assert {each["name"]: unlike(mappings[each["name"]], each) for each in told} == {each["name"]: [] for each in told}


@pytest.mark.parametrize("toolchain", BOTH)
def test_a_map_that_breaks_a_rule_gives_its_entries_and_says_so(toolchain):
    with start(build("elements", toolchain)) as running:
        told = running.map("open")
        with open(f"/proc/{running.pid}/mem", "r+b", buffering=0) as memory:
            # The count is the first word of both headers.
            memory.seek(int(told["address"], 16))
            memory.write((77).to_bytes(8, "little"))
        with open_target(running.pid, memory="direct") as target:
            mapping = target["main.open"]
    assert (mapping.verdict, len(mapping)) == ("inconsistent", 2)
    assert mapping.findings[0].severity == "error"
    assert mapping == {-1: True, 2: False}
    assert repr(mapping) == "<map[int8]bool main.open: 2 entries, inconsistent>"


@pytest.mark.pure
def test_a_struct_has_its_fields_whatever_they_are_called():
    fields = (("class", 1), ("count", 2), ("_fields", 3), ("__class__", 4), ("index", GoString(b"\xff", 1)))
    struct = natural(GoStruct("main.odd", fields))
    assert (struct.count, struct.index, getattr(struct, "class")) == (2, "\udcff", 1)
    assert struct._fields == tuple(name for name, _ in fields)
    assert [struct[name] for name in struct._fields] == list(struct) == [1, 2, 3, 4, "\udcff"]
    assert struct == (1, 2, 3, 4, "\udcff")
    assert hash(struct) == hash((1, 2, 3, 4, "\udcff"))
    assert struct._asdict()["__class__"] == 4
    assert repr(struct) == "main.odd(class=1, count=2, _fields=3, __class__=4, index='\\udcff')"
    again = pickle.loads(pickle.dumps(struct))
    assert (again, again.count) == (struct, 2)
    with pytest.raises(KeyError, match="nothing"):
        struct["nothing"]
    with pytest.raises(AttributeError):
        struct.nothing  # noqa: B018
    with pytest.raises(AttributeError):
        struct.count = 3


@pytest.mark.pure
def test_a_pointer_has_the_fields_of_what_it_leads_to_and_equals_the_same_address():
    pointer = natural(GoPointer("*main.user", 0xC000, True, GoStruct("main.user", (("age", 42), ("address", 7)))))
    assert (pointer.age, pointer.address, pointer.target.address) == (42, 0xC000, 7)
    assert pointer == natural(GoPointer("*main.user", 0xC000)) != natural(GoPointer("*main.other", 0xC000))
    again = pickle.loads(pickle.dumps(pointer))
    assert (again, again.age) == (pointer, 42)
    with pytest.raises(AttributeError):
        pointer.nothing  # noqa: B018


@pytest.mark.pure
def test_what_was_not_copied_whole_never_equals_the_whole():
    assert natural(GoString(b"abc", 5)) == Cut("abc", 5) != "abc"
    assert natural(GoBytes("[]uint8", b"abc", 5)) == Cut(b"abc", 5)
    assert natural(GoSequence("[]int", (1, 2), 2000)) == Cut([1, 2], 2000)
    assert natural(GoSequence("[2]int", (1, 2), 2, array=True)) == (1, 2)
    assert natural(Unreadable("nothing is mapped there")) == Unreadable("nothing is mapped there")


@pytest.mark.pure
@pytest.mark.parametrize("wall", [1_073_741_823, 1 << 63 | 1_000_000_000])
def test_a_time_that_no_program_makes_stays_a_struct(wall):
    assert natural(GoStruct("time.Time", (("wall", wall), ("ext", 0), ("loc", None))))._type == "time.Time"
