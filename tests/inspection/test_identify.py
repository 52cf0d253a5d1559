"""A bare address is enough: the type is proven by the keys' hashes, in stripped and movable executables too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from fixtures import CLASSIC, SWISS, USUAL, build, start
from inspector.errors import UnknownVariable, UsageError
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.toolchains import EVERY_TOOLCHAIN, quick_are
from tests.support.truth import document_of, in_order

BUILDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stripped": {"ldflags": "-s -w"},
    "movable-stripped": {"extra_flags": ("-buildmode=pie", "-trimpath"), "ldflags": "-s -w"},
}


def wrongly_identified(target: Target, states) -> dict[str, object]:
    """States whose type is neither found nor among the alternatives, or whose keys are not all proven."""
    wrong: dict[str, object] = {}
    for state in states:
        if state["header"] is None:
            continue
        document = document_of(inspect(target, state["address"], entries=0))
        types = [document["map"]["type"], *document["map"]["type_alternatives"]]
        proof = document["hash_proof"]
        if state["type"] not in types:
            wrong[state["name"]] = types[:5]
        elif document["verdict"] != "consistent" or proof["checked"] != proof["matched"]:
            wrong[state["name"]] = (document["verdict"], proof)
        elif proof["checked"] + proof["skipped"] != state["len"]:
            wrong[state["name"]] = proof
    return wrong


# A core's maps are identified in the golden documents, too.
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
@pytest.mark.parametrize("kind", quick_are(BUILDS, "movable-stripped"))
def test_every_map_is_identified_from_its_bare_address(toolchain, kind):
    program = build("states", toolchain, **BUILDS[kind])
    with start(program) as running, open_target(str(running.pid), memory="direct") as target:
        assert target.program.image.stripped == ("stripped" in kind)
        assert wrongly_identified(target, running.truth["maps"]) == {}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="linking with the system's libraries takes gcc")
@pytest.mark.parametrize("flags", [(), ("-buildmode=pie",)])
def test_every_map_of_a_stripped_dynamically_linked_program_is_identified(flags):
    program = build("states", USUAL, ldflags="-linkmode=external -s -w", extra_flags=flags, env={"CGO_ENABLED": "1"})
    with start(program) as running, open_target(str(running.pid), memory="direct") as target:
        assert target.program.image.section(".interp") is not None
        assert wrongly_identified(target, running.truth["maps"]) == {}


@pytest.mark.slow
def test_every_map_of_a_core_is_identified_from_its_bare_address(crash):
    core = crash()
    with open_target(str(core.path), memory="direct") as target:
        assert wrongly_identified(target, core.truth["maps"]) == {}


def test_growing_string_maps_have_one_answer_and_no_alternative(run):
    with open_target(str(run().pid), memory="direct") as target:
        for name in ("double_middle", "same_middle", "many_overflow", "double_middle_iface", "key_float64"):
            state = run().map(name)
            document = document_of(inspect(target, state["address"]))
            assert document["map"]["type"] == state["type"]
            assert document["map"]["type_alternatives"] == []
            assert document["map"]["type_source"] == "hash-proof"


def test_pid_and_address_are_all_that_the_command_needs(run):
    state = run().map("double_middle")
    command = [sys.executable, "-m", "inspector", str(run().pid), state["address"], "--json", "--entries", "all"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["map"]["type"] == state["type"]
    assert in_order(document["entries"]) == in_order(state["entries"])


def test_a_type_made_by_reflect_at_run_time_is_found_on_the_heap(run):
    state = run().map("reflect_map")
    with open_target(str(run().pid), memory="direct") as target:
        document = document_of(inspect(target, state["address"], entries=None))
    assert document["map"]["type"] == state["type"] == "map[[7]int8]uint16"
    assert document["verdict"] == "consistent"
    assert document["hash_proof"]["matched"] == state["len"]
    assert in_order(document["entries"]) == in_order(state["entries"])


def test_an_empty_map_is_said_to_prove_nothing(run):
    with open_target(str(run().pid), memory="direct") as target:
        document = document_of(inspect(target, run().map("hint_10")["address"]))
    assert document["map"]["type_source"] == "heap"
    assert len(document["map"]["type_alternatives"]) > 5
    assert any("the map is empty, so nothing proves its type" in note for note in document["notes"])


def test_the_type_of_an_empty_map_is_known_where_the_allocator_noted_it(run):
    with open_target(str(run().pid), memory="direct") as target:
        document = document_of(inspect(target, run().map("hint_20")["address"]))
    assert (document["map"]["type"], document["map"]["type_alternatives"]) == ("map[string]int", [])
    assert "the map is empty; its type is known from what the allocator noted" in document["notes"]


def test_the_option_wins_over_what_the_hashes_say_and_the_contradiction_shows(run):
    """With a release whose allocator notes no types."""
    running = run("states", CLASSIC[0])
    with open_target(str(running.pid), memory="direct") as target:
        inspection = inspect(target, running.map("double_middle")["address"], "map[int64]int64")
    document = document_of(inspection)
    assert document["wrong_type"] == inspection.wrong_type
    assert "map[int64]int64" in document["wrong_type"]
    assert document["map"]["type"] == "map[int64]int64"
    assert document["map"]["type_source"] == "option"
    assert document["verdict"] == "inconsistent"
    assert "C3" in {finding["rule"] for finding in document["findings"]} or document["hash_proof"]["matched"] == 0
    assert any("the type given is map[int64]int64, but only" in note for note in document["notes"])


@pytest.mark.parametrize("toolchain", [USUAL, SWISS])
def test_another_type_than_the_allocator_noted_is_refused(run, toolchain):
    running = run("demo", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        address = inspect(target, "main.sessions").ref.address
        other = next(each.name for each in target.program.types.map_types if each.name.startswith("map[interface {}]"))
        with pytest.raises(UsageError, match=r"but the map at 0x.* is map\[string\]int: so the allocator noted it"):
            inspect(target, hex(address), other)


def test_a_damaged_map_whose_type_is_declared_is_not_said_to_be_of_another_type(run):
    with open_target(str(run().pid), memory="direct") as target:
        inspection = inspect(target, "main.doubleMiddle", "map[string]int")
    ref, proof = replace(inspection.ref, declared=True), replace(inspection.judgement.proof, matched=0)
    damaged = replace(inspection.judgement, verdict="inconsistent", proof=proof)
    assert inspection.ref.declared
    assert replace(inspection, ref=ref, judgement=damaged).wrong_type is None
    assert "none of" in replace(inspection, ref=replace(ref, declared=False), judgement=damaged).wrong_type


@pytest.mark.skipif(shutil.which("strip") is None, reason="stripping a program takes binutils")
def test_an_unstripped_twin_gives_a_stripped_process_its_variables(tmp_path):
    whole = build("states", USUAL)
    stripped = tmp_path / "states"
    subprocess.run(["strip", "--strip-all", "-o", str(stripped), str(whole)], check=True)
    with start(stripped) as running:
        state = running.map("double_middle")
        with open_target(str(running.pid)) as target, pytest.raises(UnknownVariable, match="stripped"):
            inspect(target, state["variable"])
        with open_target(str(running.pid), exe=str(whole)) as target:
            document = document_of(inspect(target, state["variable"], entries=None))
    assert document["map"]["type_source"] == "variable"
    assert in_order(document["entries"]) == in_order(state["entries"])


def test_variables_of_a_movable_executable_are_found_by_name(run):
    program = build("states", USUAL, extra_flags=("-buildmode=pie",))
    with start(program) as running, open_target(str(running.pid)) as target:
        state = running.map("double_middle")
        document = document_of(inspect(target, state["variable"], entries=None))
    assert document["map"]["address"] == state["address"]
    assert in_order(document["entries"]) == in_order(state["entries"])
