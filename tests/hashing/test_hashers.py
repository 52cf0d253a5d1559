"""Keys of many types, hashed by the map types' own hashers in the program and by the mirror: no difference."""

from __future__ import annotations

import random

import numpy as np
import pytest

from fixtures import Running, Toolchain, build, start
from inspector.gotypes.reach import KEY_LIMITS, Reach
from inspector.hashing.hasher import Hasher
from inspector.hashing.keys import _by_code
from inspector.hashing.signature import signature, spelled
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import RegionMap
from inspector.target.program import Program
from tests.support.chance import seeded
from tests.support.targets import RECENT, opened_program

NEWEST = RECENT[-1]
STEP = 0x9E3779B97F4A7C15
FEWEST_TYPES = 60
FEWEST_MADE = 18

USUAL_WAYS = [
    *(pytest.param(toolchain, {}, id=toolchain.name) for toolchain in RECENT),
    pytest.param(NEWEST, {"GODEBUG": "cpu.aes=off"}, id="without-aes"),
    pytest.param(Toolchain(NEWEST.version, "mapsplitgroup"), {}, id="mapsplitgroup"),
    pytest.param(Toolchain(NEWEST.version, "simd"), {}, id="simd"),
]
"""Each value once; what is left of the cross product takes the wide matrix."""

OTHER_WAYS = [
    pytest.param(toolchain, {"GODEBUG": "cpu.aes=off"}, id=f"{toolchain.name}-without-aes", marks=pytest.mark.slow)
    for toolchain in (
        *RECENT[:-1],
        Toolchain(NEWEST.version, "mapsplitgroup"),
        Toolchain(NEWEST.version, "simd"),
        Toolchain("1.23.9"),
        Toolchain("1.25.5", "noswissmap"),
    )
]


def first_seed(dice: random.Random) -> int:
    """A seed whose upper half matters: seeds have 64 bits since Go 1.24."""
    return dice.randrange(1 << 32, 1 << 64)


def differences(program: Program, running: Running, first: int) -> tuple[int, int, list[str]]:
    """(types, hashes) that were compared, and each hash that is not what the program says."""
    assert program.hash_keys is not None
    functions = program.hash_keys.functions(program.release)
    told = running.ask(f"hashes {first}")["subjects"]
    compared, wrong = 0, []
    for subject in told:
        map_type, key = program.types.get(subject["descriptor"]), program.types.get(subject["key"])
        count, size = len(subject["hashes"]), subject["size"]
        assert (map_type.key_address, key.size) == (key.address, size)
        raw = program.memory.read(subject["address"], count * size)
        rows = np.frombuffer(raw, np.uint8).reshape(count, size)
        frozen = FrozenMemory()
        Reach(program.types, program.memory, RegionMap(program.memory.regions()), frozen).copy(key, rows, KEY_LIMITS)
        seeds = np.array([(first + i * STEP) % (1 << 64) for i in range(count)], np.uint64)
        done = Hasher(program.types, frozen, functions).keys(map_type, rows, seeds)
        compared += count
        for i, (hash_, known, expected) in enumerate(
            zip(done.hashes.tolist(), done.known.tolist(), subject["hashes"], strict=True)
        ):
            if not known or hash_ != expected:
                wrong.append(f"{subject['type']} key {i}: {hash_:#x}, known {known}, not {expected:#x}")
    return len(told), compared, wrong


@pytest.mark.parametrize(("toolchain", "settings"), [*USUAL_WAYS, *OTHER_WAYS])
def test_every_key_hashes_to_what_its_map_types_own_hasher_says(toolchain, settings):
    dice = seeded(toolchain.name, settings)
    with start(build("hashes", toolchain), env=settings) as running, opened_program(running) as program:
        assert (program.hash_keys.schedule is None) == bool(settings)
        types, hashes, wrong = differences(program, running, first_seed(dice))
        assert wrong == []
        assert types >= FEWEST_TYPES
        assert hashes > types


@pytest.mark.parametrize(("toolchain", "settings"), [*USUAL_WAYS, *OTHER_WAYS])
def test_the_hash_keys_of_a_stripped_program_are_found_through_its_code(toolchain, settings):
    dice = seeded(toolchain.name, settings)
    exe = build("hashes", toolchain, ldflags="-s -w")
    with start(exe, env=settings) as running, opened_program(running) as program:
        assert program.image.stripped
        told = running.ask("hashes 0")["subjects"]
        program.types.map_types = [program.types.get(subject["descriptor"]) for subject in told]
        program.hash_keys = _by_code(program.memory, program.types)
        assert (program.hash_keys.schedule is None) == bool(settings)
        _, _, wrong = differences(program, running, first_seed(dice))
        assert wrong == []


def test_a_signature_is_what_the_compiler_names_the_hash_function_by():
    """Functions of the runtime's own hash simple keys; of all others the name of the symbol holds the signature."""
    made = 0
    with start(build("hashes", NEWEST)) as running, opened_program(running) as program:
        for subject in running.ask("hashes 0")["subjects"]:
            map_type, key = program.types.get(subject["descriptor"]), program.types.get(subject["key"])
            if not program.types.is_static(map_type.address):
                continue
            spelling = spelled(signature(program.types, key))
            symbol = program.image.symbol(f"type:.hash.{spelling}")
            entry = int.from_bytes(program.memory.read(map_type.hasher, 8), "little")
            if symbol is not None:
                assert symbol.address == entry, key.name
                made += 1
            else:
                assert program.types.functions.name(entry).startswith("runtime."), (key.name, spelling)
    assert made >= FEWEST_MADE
