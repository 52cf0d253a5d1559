"""The hash functions, proven on real maps: every key lies where its hash says, with AES and without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import build, start
from inspector.hashing.aes import AesHash, aesenc
from inspector.hashing.fallback import mix
from inspector.hashing.keys import _by_code, find_hash_keys
from inspector.maps.classic.checks import MapView
from inspector.maps.classic.checks.proof import Proof
from inspector.maps.classic.snapshot import take_snapshot
from inspector.maps.findings import HashProof
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.chance import seeded
from tests.support.toolchains import EVERY_TOOLCHAIN
from tests.support.truth import NOT_IN_EXECUTABLE

NANS = {"key_float64": 3, "key_float64_nan_growing": 1, "key_float32": 0, "key_complex128": 0, "key_interface": 0}
"""Fewest keys of these states that have no repeatable hash."""

ALGORITHMS = [({}, "aeshash"), ({"GODEBUG": "cpu.aes=off"}, "memhashFallback")]

ROWS = 3
LENGTHS = [*range(70), 95, 96, 97, 127, 128, 129, 130, 191, 192, 193, 255, 256, 257, 383, 384, 385, 400]
"""Every branch of memhash: up to 16, 32, 64 and 128 bytes with AES, 3, 7, 8, 16 and 48 without, and more of each."""


def direct(running) -> Target:
    return open_target(str(running.pid), memory="direct")


def proof_of(target: Target, state) -> Proof:
    go_type = target.program.types.find_map_type(state["type"])
    address = int(state["address"], 16)
    run = Run(target, None)
    with run.held():
        snapshot = take_snapshot(run.source(), address, go_type, 0)
    return Proof(MapView(snapshot))


def unproven(target: Target, states) -> dict[str, HashProof]:
    """States with a key that is not where its hash says, or that was skipped without being NaN."""
    wrong = {}
    for state in states:
        if state["name"] in NOT_IN_EXECUTABLE or state["header"] is None:
            continue
        proof = proof_of(target, state).summary()
        if proof.matched != proof.checked or proof.checked + proof.skipped != state["len"]:
            wrong[state["name"]] = proof
        if proof.skipped and state["name"] not in NANS:
            wrong[state["name"]] = proof
    return wrong


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
@pytest.mark.parametrize(("settings", "algorithm"), ALGORITHMS)
def test_every_key_of_every_state_lies_where_its_hash_says(toolchain, settings, algorithm):
    with start(build("states", toolchain), env=settings) as running, direct(running) as target:
        assert proof_of(target, running.map("double_middle")).summary().algorithm == algorithm
        assert unproven(target, running.truth["maps"]) == {}


def test_nan_keys_are_skipped_and_only_they_are(run):
    with open_target(str(run().pid), memory="direct") as target:
        for name, fewest in NANS.items():
            state = run().map(name)
            nans = sum('"NaN"' in str(entry["key"]).replace("'", '"') for entry in state["entries"])
            assert proof_of(target, state).summary().skipped == nans >= fewest, name


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
@pytest.mark.parametrize("settings", [{}, {"GODEBUG": "cpu.aes=off"}])
def test_the_code_of_the_hash_functions_leads_to_the_same_keys_as_the_symbols(toolchain, settings):
    with start(build("plain", toolchain), env=settings) as running, direct(running) as target:
        by_symbol = find_hash_keys(target.program.image, target.memory, target.program.types)
        assert by_symbol is not None
        assert _by_code(target.memory, target.program.types) == by_symbol


def test_the_hash_keys_of_a_core_are_found_too(crash):
    core = crash()
    with open_target(str(core.path), memory="direct") as target:
        state = next(s for s in core.truth["maps"] if s["name"] == "same_middle")
        proof = proof_of(target, state).summary()
    assert proof.checked == proof.matched == state["len"] > 0


@pytest.mark.pure
def test_aesenc_does_the_round_of_the_standard():
    """The first round of FIPS 197, appendix B, between the start of round 1 and the start of round 2."""
    state = bytes.fromhex("193de3bea0f4e22b9ac68d2ae9f84808")
    key = bytes.fromhex("a0fafe1788542cb123a339392a6c7605")
    done = aesenc(np.frombuffer(state, "<u4").reshape(4, 1), np.frombuffer(key, "<u4").reshape(4, 1))
    assert done.T.tobytes() == bytes.fromhex("a49c7ff2689f352b6b5bea43026a5049")


@pytest.mark.pure
@given(st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1)), min_size=1, max_size=20))
def test_mix_is_both_halves_of_the_product_joined(pairs):
    a, b = (np.array(column, dtype=np.uint64) for column in zip(*pairs, strict=True))
    expected = [(x * y >> 64) ^ (x * y & ((1 << 64) - 1)) for x, y in pairs]
    assert mix(a, b).tolist() == expected


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
@pytest.mark.parametrize(("settings", "algorithm"), ALGORITHMS)
def test_memhash_of_many_rows_at_once_is_what_the_runtime_hashes_one_by_one(toolchain, settings, algorithm):
    dice = seeded(toolchain.name, algorithm)
    with start(build("hashes", toolchain), env=settings) as running, direct(running) as target:
        keys = find_hash_keys(target.program.image, target.memory, target.program.types)
        assert keys is not None
        functions = keys.functions(target.program.release)
        assert functions.name == algorithm
        for length in LENGTHS:
            rows = np.frombuffer(dice.randbytes(ROWS * length), np.uint8).reshape(ROWS, length)
            seeds = np.array([dice.randrange(1 << 64) for _ in range(ROWS)], np.uint64)
            told = [
                running.ask(f"memhash {seed} {row.tobytes().hex()}")["hash"]
                for row, seed in zip(rows, seeds, strict=True)
            ]
            # The compiled kernel, where there is one, and numpy.
            for way in (functions, AesHash(keys.schedule) if keys.schedule else functions):
                assert way.memhash(rows, seeds).tolist() == told, length


@pytest.mark.pure
def test_a_schedule_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match="128 bytes"):
        AesHash(b"short")
