"""--key finds what the Go program finds, in every growth state and for every kind of key, and nothing else."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from inspector.errors import UsageError
from inspector.gotypes.literal import parse_literal
from inspector.gotypes.render import json_form
from inspector.gotypes.values import GoString
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.maps.classic.layout import layout_of
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.chance import seeded
from tests.support.commandline import cli_here
from tests.support.toolchains import EVERY_TOOLCHAIN

STATES = [
    "double_start", "double_middle", "double_last", "double_scattered", "double_middle_int64", "double_middle_int32",
    "double_middle_iface", "double_middle_struct", "same_start", "same_middle", "same_last", "same_middle_int64",
    "same_middle_400", "many_overflow", "no_pointers_old", "key_128", "key_129", "key_elem_129", "elem_129",
    "struct_elem", "empty_key", "key_string", "key_bool", "key_int8", "key_int16", "key_int32", "key_int64",
    "key_uint8", "key_uint16", "key_uint32", "key_uint64", "key_uintptr", "key_float32", "key_float64",
    "key_complex128", "key_array", "key_struct", "key_padded", "key_interface", "key_named_interface", "key_pointer",
    "key_pointer_struct", "key_chan", "chain_long", "one_full_bucket", "deletes_empty_one", "range_paused_growing",
    "range_paused_same_size",
]  # fmt: skip

KEYS_OF_EACH_STATE = 30
RANGES = {"int8": 7, "int16": 15, "int32": 31, "int64": 63, "int": 63}


def go_string(data: bytes) -> str:
    """A string literal that spells every odd byte out."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in data) + '"'


def literal_of(key: Any) -> str:
    """The Go literal of a key that the program printed as JSON."""
    if key is None:
        return "nil"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str):
        return go_string(key.encode())
    if isinstance(key, list):
        return "{" + ", ".join(literal_of(part) for part in key) + "}"
    if not isinstance(key, dict):
        return repr(key)
    if "bytes" in key:
        return go_string(base64.b64decode(key["bytes"]))
    if "float" in key:
        return key["float"]
    if "complex" in key:
        real, imaginary = key["complex"]
        return f"complex({literal_of(real)}, {literal_of(imaginary)})"
    if "ptr" in key:
        return key["ptr"]
    if set(key) == {"type", "value"}:
        return f"{key['type']}({literal_of(key['value'])})"
    return "{" + ", ".join(f"{name}: {literal_of(part)}" for name, part in key.items()) + "}"


def is_nan(key: Any) -> bool:
    return '"NaN"' in json.dumps(key)


def varied(key: Any, type_name: str, dice: random.Random) -> Any:
    """Another key of the same shape, most likely not in the map."""
    if isinstance(key, bool):
        return key
    if isinstance(key, int):
        name = type_name.removeprefix("map[").partition("]")[0]
        if name.startswith("uint"):
            return dice.randrange(1 << min(int(name[4:].replace("ptr", "64") or 64), 64))
        bits = RANGES.get(name, 7)
        return dice.randrange(-(1 << bits), 1 << bits)
    if isinstance(key, float):
        return float(dice.randrange(1 << 20))
    if isinstance(key, str):
        return key + "-" + "".join(dice.choice('abcxyz \\"\n') for _ in range(dice.randrange(40)))
    if isinstance(key, list):
        return [dice.randrange(100) if isinstance(part, int) else varied(part, "", dice) for part in key]
    if isinstance(key, dict) and set(key) == {"type", "value"} and isinstance(key["value"], (int, str, float)):
        return {"type": key["type"], "value": varied(key["value"], f"map[{key['type']}]", dice)}
    if isinstance(key, dict) and not {"bytes", "float", "complex", "ptr", "type"} & set(key):
        return {name: varied(part, "map[int8]", dice) for name, part in key.items()}
    return key


def disagreements(target: Target, state: dict[str, Any]) -> list[str]:
    """Keys for which the walk does not end as the program's own entries say."""
    dice = seeded(state["name"])
    told = {json.dumps(entry["key"]): entry["value"] for entry in state["entries"]}
    present = [entry["key"] for entry in state["entries"] if not is_nan(entry["key"])]
    asked = dice.sample(present, min(len(present), KEYS_OF_EACH_STATE))
    asked += [varied(dice.choice(present), state["type"], dice) for _ in range(KEYS_OF_EACH_STATE)]
    wrong = []
    for key in asked:
        lookup = look_up(target, state["address"], literal_of(key), state["type"]).lookup
        known = json.dumps(key) in told
        if (lookup.found is not None) != known or (known and json_form(lookup.value) != told[json.dumps(key)]):
            wrong.append(f"{literal_of(key)}: {lookup.ended}, the program says {told.get(json.dumps(key), 'absent')}")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_present_and_absent_keys_of_every_kind_end_where_the_program_has_them(run, toolchain):
    running = run("states", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        wrong = {name: disagreements(target, running.map(name)) for name in STATES}
    assert {name: found[:3] for name, found in wrong.items() if found} == {}


def test_a_walk_reads_the_header_and_one_chain_and_nothing_else(run):
    state = run().map("double_middle")
    with open_target(str(run().pid), memory="direct") as target:
        lookup = look_up(target, state["address"], literal_of(state["entries"][0]["key"]), state["type"]).lookup
        bucket = layout_of(target.program.types.find_map_type(state["type"])).bucket_size
    strings = 64 * sum(len(step.compared) for step in lookup.steps)
    assert lookup.bytes_read <= 48 + 1 + bucket * len(lookup.steps) + strings


def test_a_waiting_old_bucket_is_walked_instead_of_the_new_one(run):
    state = run().map("double_start")
    arrays = set()
    with open_target(str(run().pid), memory="direct") as target:
        for entry in state["entries"][:60]:
            lookup = look_up(target, state["address"], literal_of(entry["key"]), state["type"]).lookup
            arrays.add(lookup.steps[0].place.form()["array"])
    assert "old" in arrays


def test_nil_empty_and_nan_are_answered_without_a_walk(run):
    with open_target(str(run().pid), memory="direct", stop=False) as target:
        for name, key, word in (("empty", "x", "empty"), ("key_float64", "NaN", "NaN"), ("nil_map", "x", "nil")):
            state = run().map(name)
            lookup = look_up(target, state["address"], key, state["type"]).lookup
            assert (lookup.found, lookup.steps) == (None, ())
            assert word in lookup.ended


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        ("key_int8", "300"), ("key_int8", "x"), ("key_int8", "1 2"), ("key_array", "{1,2,3,4}"), ("key_struct", "{1,"),
        ("key_bool", "maybe"), ("key_float64", "one"), ("key_interface", "main.nothing(1)"), ("key_string", '"\\q"'),
        ("key_uint8", "-1"), ("key_pointer", "main.x"),
    ],
)  # fmt: skip
def test_a_literal_of_another_type_is_refused_with_a_sentence(run, name, literal):
    with open_target(str(run().pid), memory="direct", stop=False) as target:
        state = run().map(name)
        with pytest.raises(UsageError, match="key"):
            parse_literal(
                target.program.types,
                target.program.types.key(target.program.types.find_map_type(state["type"])),
                literal,
            )


@pytest.mark.parametrize(
    ("name", "literal", "plain"),
    [
        ("key_int64", "0b101", "5"), ("key_int64", "-0o17", "-15"), ("key_int64", "-017", "-15"),
        ("key_int64", "0X_ff", "255"), ("key_int64", "1_000", "1000"), ("key_int64", r"'\xff'", "255"),
        ("key_int64", r"'\''", "39"), ("key_int64", "int64(7)", "7"), ("key_int64", "(int64)(7)", "7"),
        ("key_float64", "017", "15"), ("key_float64", "0x1.8p+1", "3"), ("key_float64", ".5", "0.5"),
        ("key_complex128", "0x1p+02+0x1p+01i", "complex(4, 2)"), ("key_complex128", "(1 - 2i)", "complex(1, -2)"),
        ("key_complex128", "2i", "complex(0, 2)"), ("key_complex128", "-Inf+Infi", "complex(-Inf, +Inf)"),
        ("key_array", "[3]int32{}", "{0, 0, 0}"), ("key_struct", "main.mixed{}", "{}"),
        ("key_pointer", "(*int)(0xc000)", "0xc000"), ("key_chan", "(chan int)(0xc000)", "0xc000"),
        ("key_interface", "(*int)(0xc000)", "*int(0xc000)"), ("key_interface", "1+2i", "complex128(complex(1, 2))"),
        ("key_interface", "0x1p4", "float64(16)"), ("key_interface", "0xe", "int(14)"), ("key_interface", "(5)", "5"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_value_is_the_same_key(run, name, literal, plain):
    with open_target(str(run().pid), memory="direct", stop=False) as target:
        key = target.program.types.key(target.program.types.find_map_type(run().map(name)["type"]))
        one, other = (parse_literal(target.program.types, key, text) for text in (literal, plain))
        assert one.data == other.data
        assert [b.data.tobytes() for b in one.memory.blocks] == [b.data.tobytes() for b in other.memory.blocks]


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        ("key_float64", "0x1p5000"), ("key_complex128", "1 2i"), ("key_complex128", "1+2"), ("key_complex128", "x"),
        ("key_float32", "1e39"), ("key_int64", "09"), ("key_int64", "'ab'"), ("key_int64", "0b12"),
        ("key_complex128", "complex(0x1p5000, 1)"), ("key_int64", "0x"), ("key_interface", "(main.nothing)(1)"),
        ("key_interface", "("), ("key_complex128", "+"), ("key_float64", "-"),
    ],
)  # fmt: skip
def test_what_is_no_number_or_too_large_is_refused_with_a_sentence(run, name, literal):
    with open_target(str(run().pid), memory="direct", stop=False) as target:
        key = target.program.types.key(target.program.types.find_map_type(run().map(name)["type"]))
        with pytest.raises(UsageError, match="key"):
            parse_literal(target.program.types, key, literal)


def test_the_command_shows_the_way_and_the_element(run):
    entry = run().map("double_middle")["entries"][0]
    arguments = run().pid, "main.doubleMiddle", "--key", entry["key"]
    text = cli_here(*arguments)
    assert text.code == 0
    assert f": {entry['value']}\n" in text.out
    document = cli_here(*arguments, "--json").document
    assert document["lookup"]["found"] is True
    assert document["lookup"]["value"] == entry["value"]
    assert len(document["lookup"]["path"]) >= 1


@pytest.mark.pure
def test_every_key_of_the_demo_is_found_in_the_cell_where_the_whole_map_has_it(demo):
    entries = list(inspect(demo.target, demo.variable, demo.type_name, entries=None).entries())
    assert len(entries) == 209
    for entry in entries:
        assert isinstance(entry.key, GoString)
        found = look_up(demo.target, demo.variable, json.dumps(entry.key.data.decode()), demo.type_name).lookup
        step = found.steps[-1]
        place = step.place.form() | {"cell": found.found}
        assert (place, found.value) == (entry.place.form(), entry.value), entry


@pytest.mark.pure
@pytest.mark.parametrize("key", ["nobody", "", "session-00010", "session-0001 "])
def test_a_key_that_the_demo_does_not_have_is_not_found(demo, key):
    found = look_up(demo.target, demo.variable, json.dumps(key), demo.type_name).lookup
    assert (found.found, found.value) == (None, None)
