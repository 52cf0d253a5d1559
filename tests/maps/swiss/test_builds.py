"""Swiss maps of programs that are built, run and dumped in other ways, all recognised by their addresses alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from fixtures import SWISS_RELEASES, Toolchain, build, gcore_core, start
from inspector.target.opening import open_target
from tests.support.swiss import PROGRAM, STRIPPED, SwissState, states_core, swiss_states
from tests.support.swisstruth import all_differences
from tests.support.toolchains import NEWEST_SWISS

EACH_NTH = 8
"""In the whole suite one state of so many is tried, in the full cross product all of them."""

NEWEST = SWISS_RELEASES[-1]


def some(states: dict[str, SwissState], toolchain: Toolchain) -> list[SwissState]:
    """Those that are tried: all, where only a run of the full cross product asks."""
    return list(states.values())[:: EACH_NTH if toolchain == NEWEST else 1]


BUILDS: dict[str, dict[str, Any]] = {
    "pie": {"ldflags": STRIPPED, "extra_flags": ("-buildmode=pie", "-trimpath")},
    "external": {"ldflags": f"-linkmode=external {STRIPPED}", "env": {"CGO_ENABLED": "1"}},
    "external-pie": {
        "ldflags": f"-linkmode=external {STRIPPED}",
        "extra_flags": ("-buildmode=pie",),
        "env": {"CGO_ENABLED": "1"},
    },
}


@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
@pytest.mark.parametrize("way", ["pie", "external-pie", pytest.param("external", marks=pytest.mark.matrix)])
def test_states_of_a_stripped_program_that_is_linked_in_another_way_are_recognised(
    toolchain: Toolchain, way: str
) -> None:
    if "external" in way and shutil.which("gcc") is None:
        pytest.skip("linking with the system's libraries takes gcc")
    program = build(PROGRAM, toolchain, **BUILDS[way])
    with start(program) as running, open_target(str(running.pid), memory="direct") as target:
        assert target.program.image.stripped
        assert all_differences(target, some(swiss_states(running.truth), toolchain), "alone") == {}


@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
def test_states_are_recognised_in_a_stripped_process_that_hashes_without_aes(toolchain: Toolchain) -> None:
    program = build(PROGRAM, toolchain, ldflags=STRIPPED)
    with (
        start(program, env={"GODEBUG": "cpu.aes=off"}) as running,
        open_target(str(running.pid), memory="direct") as target,
    ):
        assert target.program.hash_keys is not None
        assert all_differences(target, some(swiss_states(running.truth), toolchain), "alone") == {}


@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
def test_states_are_recognised_in_a_core_that_gdb_wrote(toolchain: Toolchain, tmp_path: Path) -> None:
    with start(build(PROGRAM, toolchain, ldflags=STRIPPED)) as running:
        core = gcore_core(running, tmp_path)
    with open_target(str(core.path)) as target:
        assert all_differences(target, some(swiss_states(core.truth), toolchain), "alone") == {}


@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
def test_states_are_decoded_from_a_compressed_core(toolchain: Toolchain, tmp_path: Path) -> None:
    core = states_core(toolchain)
    packed = tmp_path / "core.zst"
    packed.write_bytes(zstd.compress(core.path.read_bytes(), 1))
    with open_target(str(packed), exe=str(core.exe)) as target:
        assert all_differences(target, some(swiss_states(core.truth), toolchain), "variable") == {}
