"""The machine output keeps its promise: the JSON Schema that ships with the program."""

from __future__ import annotations

import io
import json
import re

import jsonschema
import pytest
from rich.console import Console

from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.report.json.one_key import lookup_form
from inspector.report.text.one_map import print_report
from inspector.target.opening import open_target
from tests.support.commandline import cli_here
from tests.support.promised import PROMISED, promised
from tests.support.toolchains import EVERY_TOOLCHAIN
from tests.support.truth import NOT_IN_EXECUTABLE, document_of, in_order

CLEAR_SEQ = 40
"""Where clearSeq is in an hmap (runtime/map_noswiss.go): behind five words."""


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_the_document_of_every_state_satisfies_the_schema(run, toolchain):
    running = run("states", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        for state in running.truth["maps"]:
            if state["name"] not in NOT_IN_EXECUTABLE:
                PROMISED.validate(document_of(inspect(target, state["address"], state["type"])))


def test_the_schema_refuses_a_document_that_lacks_a_promised_field(run):
    with open_target(str(run().pid), memory="direct") as target:
        state = run().map("double_middle")
        document = document_of(inspect(target, state["address"], state["type"]))
    PROMISED.validate(document)
    for field in ("verdict", "growth", "hash_proof", "entries"):
        with pytest.raises(jsonschema.ValidationError, match=field):
            PROMISED.validate({name: part for name, part in document.items() if name != field})


def test_json_is_one_document_on_standard_output_and_nothing_else_is(run):
    answer = cli_here(run().pid, "main.doubleMiddle", "--json", "--entries", "all")
    assert (answer.code, answer.err) == (0, "")
    document = answer.document
    assert in_order(document["entries"]) == in_order(run().map("double_middle")["entries"])
    assert document["target"]["memory"] == "process_vm_readv"
    assert document["map"]["type_source"] == "variable"


def test_ndjson_streams_the_document_and_then_one_entry_a_line(run):
    answer = cli_here(run().pid, "main.keyString", "--ndjson", "--entries", "all")
    head, *lines = answer.out.splitlines()
    assert promised(answer.out) == json.loads(head) | {"entries": [json.loads(line) for line in lines]}
    assert in_order([json.loads(line) for line in lines]) == in_order(run().map("key_string")["entries"])


def test_no_entries_and_a_few_entries_are_what_was_asked_for(run):
    for asked in (0, 3):
        answer = cli_here(run().pid, "main.doubleMiddle", "--json", "--entries", asked)
        document = answer.document
        assert len(document["entries"]) == document["entries_shown"] == asked
        assert document["entries_total"] == run().map("double_middle")["len"]


def test_a_nil_map_is_an_answer_not_an_error(run):
    for arguments in (["main.nilMap"], ["0x0", "--type", "map[string]int"], ["0", "--type", "map[string]int"]):
        answer = cli_here(run().pid, *arguments, "--json")
        document = answer.document
        assert answer.code == 0
        assert document["map"]["nil"] is True
        assert document["map"]["address"] == "0x0"


def test_the_schema_refuses_an_answer_about_a_key_that_lacks_a_promised_field(run):
    state = run().map("double_middle")
    with open_target(str(run().pid), memory="direct") as target:
        document = lookup_form(look_up(target, state["address"], state["entries"][0]["key"], state["type"]))
    PROMISED.validate(document)
    for field in ("map", "bytes_read", "notes"):
        with pytest.raises(jsonschema.ValidationError, match=field):
            PROMISED.validate({name: part for name, part in document.items() if name != field})
    for field in ("nil", "family", "count"):
        less = {name: part for name, part in document["map"].items() if name != field}
        with pytest.raises(jsonschema.ValidationError, match=field):
            PROMISED.validate(document | {"map": less})


def test_a_key_is_answered_by_a_document_and_by_the_exit_code(run):
    state = run().map("double_middle")
    for key, code in ((state["entries"][0]["key"], 0), ("nobody", 1)):
        answer = cli_here(run().pid, "main.doubleMiddle", "--key", key, "--json")
        document = answer.document
        assert (answer.code, document["lookup"]["found"]) == (code, code == 0)
        assert document["map"]["count"] == state["len"]
        assert document["map"]["family"] == "classic"
        assert cli_here(run().pid, "main.doubleMiddle", "--key", key).code == code


def test_a_key_of_a_nil_map_is_absent(run):
    answer = cli_here(run().pid, "main.nilMap", "--key", "nobody", "--json")
    document = answer.document
    assert (answer.code, document["map"]["nil"], document["map"]["count"]) == (1, True, 0)


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_how_often_a_map_was_cleared_is_told_where_the_runtime_counts_it(run, toolchain):
    running = run("states", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        for state in running.truth["maps"]:
            if state["name"] not in ("cleared_clear", "cleared_range_delete", "double_middle"):
                continue
            inspection = inspect(target, state["address"], state["type"])
            seen, told = document_of(inspection)["map"], io.StringIO()
            print_report(inspection, Console(file=told, width=160))
            if target.program.release.has_clear_seq:
                place = int(state["address"], 16) + CLEAR_SEQ
                count = int.from_bytes(target.memory.read(place, 8), "little")
                assert seen["clearSeq"] == count == (state["name"] != "double_middle")
                assert re.search(rf"^clearSeq +{count} *$", told.getvalue(), re.MULTILINE)
            else:
                assert "clearSeq" not in seen
                assert "clearSeq" not in told.getvalue()


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_the_load_limit_of_a_nil_map_is_that_of_the_release(run, toolchain):
    running = run("states", toolchain)
    state = running.map("hint_100")
    with open_target(str(running.pid), memory="direct") as target:
        limits = [
            document_of(inspect(target, address, state["type"]))["growth"]["load_factor_limit"]
            for address in ("0x0", state["address"])
        ]
    assert limits == [6.0 if toolchain.version.startswith("1.21") else 6.5] * 2


def test_numbers_of_every_size_are_written_in_full(run):
    with open_target(str(run().pid), memory="direct") as target:
        state = run().map("key_uint64")
        document = document_of(inspect(target, state["address"], state["type"], entries=None))
    assert 18446744073709551615 in [entry["key"] for entry in document["entries"]]
