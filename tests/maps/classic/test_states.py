"""Every state of a map, from every toolchain, live and dead, against the program's own words."""

from __future__ import annotations

import pytest

from inspector.target.opening import open_target
from tests.support.toolchains import EVERY_TOOLCHAIN
from tests.support.truth import all_differences


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_state_of_a_live_process_is_decoded_as_the_program_tells_it(run, toolchain):
    running = run("states", toolchain)
    with open_target(str(running.pid)) as target:
        assert len(running.truth["maps"]) > 90
        assert all_differences(target, running.truth["maps"]) == {}


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_state_of_a_kernel_core_is_decoded_as_the_program_told_it(crash, toolchain):
    core = crash("states", toolchain)
    with open_target(str(core.path)) as target:
        assert len(core.truth["maps"]) > 90
        assert all_differences(target, core.truth["maps"]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_state_is_decoded_without_gdb_by_address_and_type(run, toolchain):
    running = run("states", toolchain)
    with open_target(str(running.pid), memory="direct") as target:
        assert all_differences(target, running.truth["maps"], by_address=True) == {}
