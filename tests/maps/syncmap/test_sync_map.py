"""A sync.Map is shown as the map that it is: its entries are those that the program stored and ranges over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures import CLASSIC, SWISS_RELEASES, Core, Running, Toolchain, build, cached_core, start
from inspector.census import take_census
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.memory.corefile import CoreFile
from inspector.report.json.one_key import lookup_form
from inspector.target.opening import open_target
from tests.support.commandline import assert_running, cli_here
from tests.support.promised import PROMISED
from tests.support.truth import document_of, in_order

STRIPPED = "-s -w"
KEYS = 8
"""Keys of each sync.Map that are looked up."""

WITH_VALUE, TWO_MAPS = CLASSIC[0], CLASSIC[3]
NOSWISSMAP, NEWEST = CLASSIC[-1], SWISS_RELEASES[-1]
NO_TRIE = Toolchain("1.24.11", "nosynchashtriemap")

EVERY_FORM = [
    pytest.param(toolchain, id=toolchain.name, marks=marks)
    for marks, toolchains in (
        ((), (TWO_MAPS, NEWEST)),
        (pytest.mark.slow, (WITH_VALUE, NOSWISSMAP, NO_TRIE)),
        (pytest.mark.matrix, SWISS_RELEASES[:-1]),
    )
    for toolchain in toolchains
]
"""Two maps, with a read of each kind, of both families; a trie, with both families; all other Swiss releases."""

BOTH_FORMS = [
    pytest.param(TWO_MAPS, id=TWO_MAPS.name, marks=pytest.mark.slow),
    pytest.param(NEWEST, id=NEWEST.name),
]
TRIES = [pytest.param(NEWEST, id=NEWEST.name), pytest.param(NOSWISSMAP, id=NOSWISSMAP.name, marks=pytest.mark.slow)]

Started = Callable[..., Running]


def is_trie(toolchain: Toolchain) -> bool:
    return toolchain not in (WITH_VALUE, TWO_MAPS, NO_TRIE)


def shown(target: object, told: dict, by_address: bool = False, type_name: str | None = None) -> dict:
    """The document about a sync.Map, with all entries."""
    with open_target(str(target), memory="direct") as opened:
        where = told["address"] if by_address else told["name"]
        return document_of(inspect(opened, where, type_name, entries=None, max_stop=None))


def held_against(told: dict, document: dict) -> list[str]:
    """What a document says otherwise than the program."""
    expected = {"type": "sync.Map", "address": told["address"], "family": "sync", "count": told["len"], "nil": False}
    wrong = [f"{name}: {document['map'][name]}, not {value}" for name, value in expected.items()
             if document["map"][name] != value]  # fmt: skip
    if in_order(document["entries"]) != in_order(told["entries"]):
        wrong.append(f"entries {document['entries']}, not {told['entries']}")
    if document["verdict"] != "consistent":
        wrong.append(f"{document['verdict']}: {document['findings']}")
    proof = document["hash_proof"]
    if proof["checked"] != proof["matched"]:
        wrong.append(str(proof))
    return [f"{told['name']}: {each}" for each in wrong]


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_FORM)
def test_all_entries_are_those_that_the_program_stored_and_later_ranges_over(run: Started, toolchain):
    running = run("syncmaps", toolchain)
    told = running.truth["maps"]
    assert len(told) > 15
    assert [each for one in told for each in held_against(one, shown(running.pid, one))] == []
    # To range over two maps makes one of them: what is read then is the same.
    for one in told:
        ranged = json.loads(json.dumps(running.ask(f"range {one['name']}")))
        assert held_against(one | {"entries": ranged, "len": len(ranged)}, shown(running.pid, one)) == []
    assert_running(running)


@pytest.mark.parametrize("toolchain", EVERY_FORM)
def test_all_entries_are_in_a_core(crash, toolchain):
    core = crash("syncmaps", toolchain)
    wrong = [each for one in core.truth["maps"] for each in held_against(one, shown(core.path, one))]
    assert wrong == []


@pytest.mark.parametrize("toolchain", EVERY_FORM)
def test_the_census_lists_each_with_its_name_entries_bytes_and_the_types_of_keys_and_values(crash, toolchain):
    core: Core = crash("syncmaps", toolchain)
    answer = cli_here(core.path, "--json")
    rows = {one["address"]: one for one in answer.document["census"]["maps"]}
    assert (answer.code, answer.err) == (0, "")
    for one in core.truth["maps"]:
        if one["name"] == "main.never":
            assert one["address"] not in rows
            continue
        row = rows[one["address"]]
        assert (row["name"], row["type"], row["count"]) == (one["name"], "sync.Map", one["len"])
        assert (row["found_by"], row["verdict"]) == ("global", "consistent")
        assert row["bytes"]["total"] >= row["bytes"]["entries"] >= 24 * one["len"]
        assert {each["type"]: each["count"] for each in row["key_types"]} == types_of(one, "key")
        assert {each["type"]: each["count"] for each in row["value_types"]} == types_of(one, "value")
    # The maps that it consists of are not listed beside it, if the program still uses them.
    held = {entry["value"]["value"]["map"] for one in core.truth["maps"] if one["name"] == "main.holding"
            for entry in one["entries"]}  # fmt: skip
    named = {rows[address]["name"]: address for address in held}
    assert set(named) == {f"main.holding[{at}]" for at in range(5)}
    for name, address in named.items():
        assert cli_here(core.path, name, "--json").document["map"]["address"] == address
    assert not [row for row in rows.values() if row["type"].endswith("*sync.entry") and row["name"]]


def types_of(told: dict, part: str) -> dict[str, int]:
    """How many keys or values of each type the program stored."""
    names = [entry[part]["type"] if entry[part] is not None else "nil" for entry in told["entries"]]
    return {name: names.count(name) for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", TRIES)
def test_a_stripped_program_shows_its_tries_by_the_hash_function_that_they_have(toolchain):
    core = cached_core(build("syncmaps", toolchain, ldflags=STRIPPED))
    told = [one for one in core.truth["maps"] if one["name"] != "main.never"]
    assert [each for one in told for each in held_against(one, shown(core.path, one, by_address=True))] == []
    with open_target(str(core.path), memory="direct") as target:
        found = {one.address: one for one in take_census(target, max_share=None).maps if one.type == "sync.Map"}
    assert {int(one["address"], 16): one["len"] for one in told}.items() <= {
        address: one.count for address, one in found.items()
    }.items()
    assert {one.verdict for one in found.values()} == {"consistent"}


def test_two_maps_at_an_address_are_read_when_their_type_is_given():
    core = cached_core(build("syncmaps", TWO_MAPS, ldflags=STRIPPED))
    for one in core.truth["maps"]:
        if one["name"] != "main.never":
            assert held_against(one, shown(core.path, one, by_address=True, type_name="sync.Map")) == []


@pytest.mark.parametrize("toolchain", BOTH_FORMS)
def test_one_key_is_looked_up_as_load_does_it(crash, toolchain):
    core: Core = crash("syncmaps", toolchain)
    with open_target(str(core.path), memory="direct") as target:
        for one in core.truth["maps"]:
            for entry in one["entries"][:KEYS]:
                literal = spelled(entry["key"])
                if literal is None:
                    continue
                form = lookup_form(look_up(target, one["name"], literal))
                PROMISED.validate(form)
                assert (form["lookup"]["found"], form["lookup"]["value"]) == (True, entry["value"]), (
                    one["name"],
                    literal,
                )
    for name, key in [("main.many", '"no such key"'), ("main.deleted", '"key-3"'), ("main.never", "1"),
                      ("main.expunged", '"key-4"'), ("main.expunged", '"key-5"'), ("main.expunged", '"key-21"'),
                      ("main.emptied", '"key-0"'), ("main.kinds", "int16(7)")]:  # fmt: skip
        answer = cli_here(core.path, name, "--key", key, "--json")
        assert (answer.code, answer.document["lookup"]["found"]) == (1, False), (name, key)
    text = cli_here(core.path, "main.many", "--key", '"key-7"').out
    assert text.startswith('main.many  sync.Map  key "key-7"  present\n')


def spelled(key: dict) -> str | None:
    """A key as a Go literal; None for one that no lookup finds."""
    if key["type"] == "string":
        return json.dumps(key["value"])
    if key["type"] in ("int", "int8"):
        return f"{key['type']}({key['value']})"
    return None


@pytest.mark.parametrize("toolchain", BOTH_FORMS)
def test_a_pointer_to_one_and_one_in_a_struct_are_named_like_maps(crash, toolchain):
    core: Core = crash("syncmaps", toolchain)
    inside = {"main.srv.behind": 9, "main.srv.sessions": 30, "main.srv.shards[1]": 3}
    for name, count in {"main.pointed": 12, **inside}.items():
        first = cli_here(core.path, name, "--entries", "2").out.splitlines()[0]
        assert first.startswith(f"{name}  sync.Map  {count} entries  ")
        assert first.endswith("  OK")
    lines = cli_here(core.path, "main.wanted").out.splitlines()
    assert lines[0] == "main.wanted  sync.Map  nil  OK"
    assert "nil: a nil *sync.Map: a call of any of its methods panics" in lines
    assert "main.srv.sessions" in cli_here(core.path, "main.srv").err
    lines = cli_here(core.path, "main.many", "--ndjson", "--entries", "3").out.splitlines()
    assert len(lines) == 4
    assert json.loads(lines[1])["part"] == ("trie" if is_trie(toolchain) else "read")


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", BOTH_FORMS)
def test_one_that_is_written_all_the_time_is_never_called_inconsistent(toolchain):
    with start(build("syncmaps", toolchain)) as running:
        running.ask("churn")
        with open_target(str(running.pid), memory="direct") as target:
            verdicts = {inspect(target, "main.churned", entries=5, max_stop=None).judgement.verdict for _ in range(20)}
        assert verdicts <= {"consistent", "write-in-progress"}
        assert_running(running)


@pytest.mark.parametrize("toolchain", BOTH_FORMS)
def test_a_copy_that_is_torn_without_a_stop_is_told_and_not_called_a_fault(toolchain):
    with start(build("syncmaps", toolchain)) as running:
        running.ask("churn")
        with open_target(str(running.pid), memory="direct", stop=False) as target:
            seen = [inspect(target, "main.churned", entries=5) for _ in range(10)]
        assert {one.judgement.verdict for one in seen} <= {"consistent", "write-in-progress", "moving"}
        assert all(any(note.startswith("the process was not stopped") for note in one.notes) for one in seen)
        assert_running(running)


@pytest.mark.parametrize("toolchain", TRIES)
def test_a_damaged_trie_is_told_by_the_rule_that_it_breaks(crash, toolchain, tmp_path):
    core: Core = crash("syncmaps", toolchain)
    many = next(one for one in core.truth["maps"] if one["name"] == "main.many")
    entry = shown(core.path, many)["entries"][0]
    root = int(shown(core.path, many)["map"]["header"]["root"], 16)
    changes = {
        "S2": (int(entry["address"], 16), b"\x07"),
        "S3": (root + 16, b"\x08"),
        "S4": (int(many["address"], 16) + 40, b"\x01\x02\x03\x04\x05\x06\x07\x08"),
    }
    for rule, (address, data) in changes.items():
        broken = tmp_path / rule
        shutil.copy(core.path, broken)
        overwrite(broken, address, data)
        answer = cli_here(broken, "main.many", "--exe", core.exe, "--json", "--memory", "direct")
        assert answer.code == 1
        assert {finding["rule"] for finding in answer.document["findings"]} == {rule}


def overwrite(core: Path, address: int, data: bytes) -> None:
    """Change bytes of a core file's memory."""
    opened = CoreFile(core)
    chunk = next(chunk for chunk in opened._chunks if chunk.start <= address < chunk.end)
    with core.open("r+b") as file:
        file.seek(chunk.offset + address - chunk.start)
        file.write(data)
