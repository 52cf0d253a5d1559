"""Every state of a Swiss map, from every toolchain, live and dead, plain and stripped, against the program's words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures import SWISS_RELEASES, Toolchain
from inspector.target.opening import open_target
from tests.support.swiss import SwissProgram, states_core, swiss_states
from tests.support.swisstruth import all_differences
from tests.support.toolchains import EVERY_SWISS_BUILD, TWO_SWISS_BUILD

STATES = 190
"""The program has more of them."""


def test_a_quarter_of_the_states_is_decoded_as_the_program_tells_it(swiss: Callable[..., SwissProgram]) -> None:
    program = swiss(SWISS_RELEASES[-1])
    with open_target(str(program.pid)) as target:
        assert all_differences(target, list(program.states.values())[::4], "variable") == {}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_SWISS_BUILD)
def test_every_state_of_a_live_process_is_decoded_as_the_program_tells_it(
    swiss: Callable[..., SwissProgram], toolchain: Toolchain
) -> None:
    program = swiss(toolchain)
    with open_target(str(program.pid)) as target:
        assert len(program.states) > STATES
        assert all_differences(target, program.states.values(), "variable") == {}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", TWO_SWISS_BUILD)
def test_every_state_of_a_kernel_core_is_decoded_as_the_program_told_it(toolchain: Toolchain) -> None:
    core = states_core(toolchain)
    states = swiss_states(core.truth)
    with open_target(str(core.path)) as target:
        assert len(states) > STATES
        assert all_differences(target, states.values(), "variable") == {}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", TWO_SWISS_BUILD)
def test_every_state_of_a_stripped_program_is_decoded_by_address_and_type_without_gdb(
    swiss: Callable[..., SwissProgram], toolchain: Toolchain
) -> None:
    program = swiss(toolchain, stripped=True)
    with open_target(str(program.pid), memory="direct") as target:
        assert all_differences(target, program.states.values(), "address") == {}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", TWO_SWISS_BUILD)
def test_every_state_is_recognised_by_its_address_alone_in_a_core_of_a_stripped_program(toolchain: Toolchain) -> None:
    core = states_core(toolchain, stripped=True)
    with open_target(str(core.path)) as target:
        assert all_differences(target, swiss_states(core.truth).values(), "alone") == {}
