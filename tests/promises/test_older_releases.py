"""Programs that others built with Go 1.13 to 1.20: maps at bare addresses are identified, proven and consistent."""

from __future__ import annotations

import pytest

from fixtures.esbuild import PACKAGES, esbuild
from fixtures.npm import NotOnNpm
from inspector.hashing.keys import _by_code, find_hash_keys
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.heap import Found, inspect_heap

MOST = 70
ALGORITHMS = [({}, "aeshash"), ({"GODEBUG": "cpu.aes=off"}, "memhashFallback")]


def looked_into(release: str, settings: dict[str, str], algorithm: str) -> Found:
    try:
        with esbuild(release, settings) as pid, open_target(str(pid), memory="direct") as target:
            assert target.program.release.version == release
            assert hashes_by(target) == algorithm
            assert "runtime.strhash" in names_of_hashers(target) or release == "go1.13.8"
            assert names_of_hashers(target) & {"runtime.memhash64", "runtime.aeshash64"}
            return inspect_heap(target, MOST)
    except NotOnNpm as reason:
        pytest.skip(str(reason))


def hashes_by(target: Target) -> str:
    """The name of the hash functions, whose keys must be the same by symbol and by code."""
    keys = find_hash_keys(target.program.image, target.memory, target.program.types)
    assert keys == _by_code(target.memory, target.program.types)
    assert keys is not None
    return keys.functions(target.program.release).name


def names_of_hashers(target: Target) -> set[str | None]:
    """Names, out of the function tables, of the functions that hash keys."""
    hashers = {map_type.hasher for map_type in target.program.types.map_types if map_type.hasher}
    entries = (int.from_bytes(target.memory.read(hasher, 8), "little") for hasher in hashers)
    return {target.program.types.functions.name(entry) for entry in entries}


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "algorithm"), ALGORITHMS, ids=["aes", "fallback"])
@pytest.mark.parametrize("release", PACKAGES)
def test_maps_of_programs_built_by_releases_without_a_toolchain_here_are_proven(release, settings, algorithm):
    found = looked_into(release, settings, algorithm)
    assert found.wrong == []
    assert found.proven > 50
    assert len(found.types) > 5


@pytest.mark.slow
def test_programs_built_by_go_1_20_have_maps_with_more_than_six_entries_a_bucket():
    assert looked_into("go1.20", {}, "aeshash").above_six > 0
