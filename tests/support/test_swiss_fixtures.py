"""Each state of `swissstates` is judged here by the program's own words, so that none degenerates unseen.

What a release makes of a state is stated here, from the runtime's sources; the program does not know it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, Core, Running, Toolchain, build, start
from tests.support.elfcore import read_core, segments
from tests.support.swiss import (
    DELETED,
    EMPTY,
    GROUP_SLOTS,
    HEADER,
    TABLE,
    SwissProgram,
    SwissState,
    SwissTable,
    places,
    swiss_states,
)
from tests.support.toolchains import EVERY_SWISS, EVERY_SWISS_BUILD

States = dict[str, SwissState]

FAST_KINDS = ("int64", "int32", "string")
"""Keys of the assign functions that prune tombstones since Go 1.25; pointers follow in Go 1.27."""


@pytest.fixture(scope="module", params=EVERY_SWISS_BUILD)
def toolchain(request: pytest.FixtureRequest) -> Toolchain:
    """One toolchain after the other."""
    chosen: Toolchain = request.param
    return chosen


@pytest.fixture(scope="module")
def release(toolchain: Toolchain) -> tuple[int, int]:
    """The release as a pair of numbers, (1, 27)."""
    major, minor, *_ = toolchain.version.split(".")
    return int(major), int(minor)


@pytest.fixture(scope="module")
def states(swiss: Callable[..., SwissProgram], toolchain: Toolchain) -> States:
    """All states, as the program printed them."""
    return swiss(toolchain).states


def largest(table: SwissTable) -> int:
    """The longest path to a key of a table that equals itself."""
    return max(table.inside.path(slot) for slot in table.inside.slots if slot.reflexive)


def with_release(names: tuple[str, ...], states: States) -> list[SwissState]:
    return [states[name] for name in names]


# What holds in all states: the program's words agree with each other.


def test_the_program_is_of_the_toolchain_that_was_asked_for(
    swiss: Callable[..., SwissProgram], toolchain: Toolchain
) -> None:
    assert swiss(toolchain).running.truth["go"].split("-")[0].split()[0] == f"go{toolchain.version}"


def test_every_state_has_a_name_and_a_variable_of_its_own(states: States) -> None:
    assert len(states) > 190
    variables = [state.variable for state in states.values() if state.variable]
    assert len(set(variables)) == len(variables)
    assert {name for name, state in states.items() if not state.variable} == {
        "stack_empty",
        "stack_small",
        "stack_grown",
    }


def test_counts_in_headers_tables_and_control_bytes_agree_with_the_entries(states: States) -> None:
    for state in states.values():
        if state.header is None:
            assert state.length == 0
            continue
        counts = {
            state.length,
            state.header.used,
            len(state.entries),
            sum(groups.full for groups in state.storages),
            sum(len(groups.slots) for groups in state.storages),
        }
        assert counts == {state.length}, state.name
        assert [table.used for table in state.tables] == [table.inside.full for table in state.tables], state.name


def test_growth_left_is_what_entries_and_tombstones_leave_of_seven_eighths(states: States) -> None:
    for state in states.values():
        for table in state.tables:
            groups = table.inside
            assert table.capacity == GROUP_SLOTS * (table.length_mask + 1) == len(groups.control), state.name
            assert table.growth_left == table.capacity * 7 // 8 - groups.full - groups.deleted, state.name


def test_slots_hold_the_keys_that_a_range_loop_gives_where_their_hashes_lead(states: States) -> None:
    for state in states.values():
        found = Counter(slot.hash for _, slot in places(state) if slot.reflexive)
        assert found == state.hashes, state.name
        for table, slot in places(state):
            if not slot.reflexive:
                continue
            groups = table.inside if table else state.group
            assert groups is not None
            assert groups.control[GROUP_SLOTS * slot.group + slot.slot] == slot.hash & 0x7F, state.name
            assert groups.path(slot) >= 1
            if table is not None:
                index = slot.hash >> state.head.global_shift if state.head.global_shift < 64 else 0
                assert state.directory[index] == table.address, state.name


def test_directories_have_a_block_for_each_table(states: States) -> None:
    for state in states.values():
        for table in state.tables:
            block = 1 << (state.head.global_depth - table.local_depth)
            assert state.directory[table.index : table.index + block] == (table.address,) * block, state.name
            assert state.directory.count(table.address) == block


def test_telling_the_truth_again_changes_nothing(swiss: Callable[..., SwissProgram], toolchain: Toolchain) -> None:
    program = swiss(toolchain)
    again = swiss_states(program.running.ask("truth"))
    for name, state in program.states.items():
        assert replace(again[name], entries=()) == replace(state, entries=()), name
        assert again[name].hashes == state.hashes


def test_descriptors_have_the_layout_of_their_build(states: States, toolchain: Toolchain) -> None:
    descriptor = states["type_int64"].descriptor
    assert descriptor is not None
    assert (descriptor.name, descriptor.key_size, descriptor.elem_size) == ("map[int64]bool", 8, 1)
    if toolchain.experiment == "mapsplitgroup":
        assert (descriptor.keys_off, descriptor.key_stride, descriptor.elems_off, descriptor.elem_stride) == (
            8,
            8,
            72,
            1,
        )
        assert descriptor.group_size == 80
    else:
        assert (descriptor.keys_off, descriptor.key_stride, descriptor.elems_off, descriptor.elem_stride) == (
            8,
            16,
            16,
            16,
        )
        assert descriptor.group_size == 136


def differences(read: Callable[[int, int], bytes], states: States) -> list[str]:
    """Names of states whose headers, tables or control bytes in memory are not as the program printed them."""
    wrong = []
    for name, state in states.items():
        if state.header is None:
            continue
        seen: list[object] = [HEADER.unpack(read(state.address, HEADER.size))]
        expected: list[object] = [state.header.words]
        for table in state.tables:
            seen.append(TABLE.unpack(read(table.address, TABLE.size)))
            expected.append(table.words)
        assert state.descriptor is not None
        for groups in state.storages:
            size = state.descriptor.group_size
            memory = read(groups.address, size * len(groups.control_words))
            expected.append(groups.control)
            seen.append(b"".join(memory[at : at + GROUP_SLOTS] for at in range(0, len(memory), size)))
        if seen != expected:
            wrong.append(name)
    return wrong


def test_the_kernel_shows_the_words_that_the_program_printed(
    swiss: Callable[..., SwissProgram], toolchain: Toolchain
) -> None:
    program = swiss(toolchain)
    with Path(f"/proc/{program.pid}/mem").open("rb", buffering=0) as file:
        wrong = differences(lambda address, size: os.pread(file.fileno(), size, address), program.states)
    assert wrong == []


# 1. Maps that hardly began, stacks, hints.


def test_maps_without_memory_have_none(states: States) -> None:
    assert states["nil_map"].form == "nil"
    for name in ("never_written", "never_written_int64", "hint_8"):
        assert states[name].form == "none"
        assert states[name].head.dir_ptr is None


def test_maps_on_stacks_are_empty_small_and_grown(states: States) -> None:
    assert (states["stack_empty"].form, states["stack_empty"].length) == ("small", 0)
    assert (states["stack_small"].form, states["stack_small"].length) == ("small", 6)
    assert (states["stack_grown"].form, states["stack_grown"].length) == ("tables", 40)
    near = states["stack_small"].address - (states["stack_small"].head.dir_ptr or 0)
    assert abs(near) < 4096, "the group of a map on a stack is on the stack, too"


def test_hints_make_the_tables_that_they_should(states: States) -> None:
    made = {hint: [table.capacity for table in states[f"hint_{hint}"].tables] for hint in (9, 14, 15, 449, 896)}
    assert made == {9: [16], 14: [16], 15: [32], 449: [1024], 896: [1024]}
    assert [table.capacity for table in states["hint_897"].tables] == [512] * 2
    assert [table.capacity for table in states["hint_1793"].tables] == [512] * 4
    assert [table.capacity for table in states["hint_100000"].tables] == [1024] * 128
    assert all(states[f"hint_{hint}"].length == 0 for hint in (9, 14, 15, 449, 896, 897, 1793, 100000))


# 2. Small maps.


def test_small_maps_have_one_to_eight_entries(states: States) -> None:
    for count in range(1, 9):
        assert (states[f"small_{count}"].form, states[f"small_{count}"].length) == ("small", count)


def test_small_maps_have_holes_where_entries_were_deleted(states: States) -> None:
    for name in ("small_holes", "small_holes_int64", "small_refilled"):
        group = states[name].group
        assert group is not None
        assert group.deleted == 0
        taken = [control < EMPTY for control in group.control]
        assert taken.index(False) < 7
        assert any(taken[taken.index(False) :]), name
    assert states["small_holes_int64"].group is not None
    assert states["small_holes_int64"].group.stale == 3


def test_emptied_and_cleared_small_maps_have_new_seeds(states: States) -> None:
    for name, cleared in (("small_emptied", 0), ("small_cleared", 1)):
        state = states[name]
        assert (state.form, state.length) == ("small", 0)
        assert state.head.seed != state.notes["seed"]
        assert state.head.clear_seq == state.notes["clearSeq"] + cleared


def test_an_update_of_a_full_small_map_makes_a_table_until_go_1_26(states: States, release: tuple[int, int]) -> None:
    for state in with_release(("updated_at_eight", "updated_int64", "updated_struct"), states):
        assert state.length == 8
        assert state.form == ("small" if release >= (1, 27) else "tables"), state.name


# 3. One table.


def test_one_table_has_the_capacities_from_16_to_1024(states: States) -> None:
    assert (states["just_converted"].table.capacity, states["just_converted"].length) == (16, 9)
    for capacity in (16, 32, 64, 128, 256, 512, 1024):
        table = states[f"capacity_{capacity}"].table
        assert (table.capacity, table.inside.deleted) == (capacity, 0)
        assert table.used == (9 if capacity == 16 else capacity // 2 * 7 // 8 + 1)


def test_full_tables_have_no_growth_left(states: States) -> None:
    for name, capacity in (("growth_left_0", 16), ("growth_left_0_int64", 128), ("tombstones_full", 64)):
        table = states[name].table
        assert (table.capacity, table.growth_left) == (capacity, 0), name
    assert states["growth_left_0_int64"].table.inside.deleted == 0
    assert states["tombstones_full"].table.inside.deleted > 0


def test_tombstones_lie_in_groups_without_an_empty_slot(states: States, release: tuple[int, int]) -> None:
    for name in ("tombstones", "tombstones_int64", "tombstones_full", "long_path_tombstones", "cloned_from"):
        state = states[name]
        control = state.table.inside.control
        assert state.table.inside.deleted >= 3, name
        for at in range(0, len(control), GROUP_SLOTS):
            group = control[at : at + GROUP_SLOTS]
            assert DELETED not in group or EMPTY not in group, name
        assert state.head.tombstone_possible == (1 if release >= (1, 25) else None), name
    assert states["tombstones_int64"].table.inside.stale > 0
    assert states["tombstones"].table.inside.stale == 0


def test_long_paths_are_long(states: States) -> None:
    assert largest(states["long_path"].table) > 3
    assert states["long_path"].table.growth_left == 0
    assert largest(states["long_path_tombstones"].table) > 1


def test_emptied_tables_keep_their_tombstones(states: States) -> None:
    for name in ("emptied", "emptied_int64", "cloned_emptied_from"):
        state = states[name]
        assert (state.length, state.table.capacity, state.head.clear_seq) == (0, 128, 0)
        assert state.table.inside.deleted >= 3
        assert state.table.growth_left < 112


def test_clearing_an_emptied_map_does_nothing_in_go_1_24(states: States, release: tuple[int, int]) -> None:
    state = states["emptied_cleared"]
    assert state.length == 0
    if release >= (1, 25):
        assert state.table.inside.deleted == 0
        assert state.head.seed != state.notes["seed"]
        assert state.head.clear_seq == state.notes["clearSeq"] + 1
    else:
        assert state.table.inside.deleted == state.notes["tombstones"]
        assert state.head.seed == state.notes["seed"]
        assert state.head.clear_seq == state.notes["clearSeq"]


def test_cleared_tables_have_all_their_growth_left(states: States) -> None:
    for name in ("cleared_table", "cleared_stale", "cleared_zeroed", "cleared_wide", "cleared_tables"):
        state = states[name]
        assert (state.length, state.head.clear_seq) == (0, 1)
        assert all(table.growth_left == table.capacity * 7 // 8 for table in state.tables), name
    assert states["cleared_table"].head.seed != states["cleared_table"].notes["seed"]
    assert len(states["cleared_tables"].tables) >= 3
    assert (states["cleared_and_refilled"].length, states["cleared_and_refilled"].head.clear_seq) == (20, 1)


def test_what_clearing_leaves_of_deleted_keys_depends_on_the_release(states: States, release: tuple[int, int]) -> None:
    left = {name: states[name].table.inside.stale > 0 for name in ("cleared_stale", "cleared_zeroed", "cleared_wide")}
    assert left == {
        "cleared_stale": release >= (1, 25),
        "cleared_zeroed": release == (1, 25),
        "cleared_wide": release >= (1, 25),
    }


# 4. Prune.


def test_tombstones_are_pruned_where_the_release_and_the_key_type_have_it(
    states: States, release: tuple[int, int]
) -> None:
    pruning = set(FAST_KINDS) if release >= (1, 25) else set()
    if release >= (1, 27):
        pruning.add("pointer")
    for kind in (*FAST_KINDS, "pointer", "struct", "float"):
        state = states[f"pruned_{kind}"]
        pruned = kind in pruning
        assert state.notes["prunes"] == pruned, kind
        assert state.table.capacity == (128 if pruned else 256), kind
        if pruned:
            assert state.table.inside.deleted < state.notes["tombstones_before"] - 2
            assert state.table.growth_left > 0


def test_churn_alone_splits_tables_that_are_never_pruned(states: States, release: tuple[int, int]) -> None:
    pruning = {"int64", "string"} if release >= (1, 25) else set()
    if release >= (1, 27):
        pruning.add("pointer")
    for kind in ("int64", "string", "pointer", "struct", "float"):
        state = states[f"churned_{kind}"]
        assert 500 <= state.length < 896, kind
        if kind in pruning:
            assert state.notes["prunes"] > 0
            assert len(state.tables) == 1
        else:
            assert state.notes["prunes"] == 0
            assert len(state.tables) == 2, kind


# 5. Directories.


def test_directories_have_the_tables_that_their_names_say(states: States) -> None:
    for name in ("two_tables", "two_tables_int64"):
        assert states[name].depths == [1, 1]
    for name in ("three_tables", "three_tables_any"):
        assert sorted(states[name].depths) == [1, 2, 2]
        assert states[name].head.dir_len == 4
    assert len(states["many_tables"].tables) >= 12
    assert len(set(states["many_tables"].depths)) > 1


def test_a_table_has_a_block_of_four_after_the_directory_doubled_twice(states: States) -> None:
    state = states["block_of_four"]
    assert state.head.global_depth == 3
    assert state.depths == [3, 3, 2, 1]
    assert [state.directory.count(table.address) for table in state.tables] == [1, 1, 2, 4]


def test_a_table_of_512_lies_beside_one_of_1024(states: States) -> None:
    assert [table.capacity for table in states["half_beside_whole"].tables] == [1024, 512]


def test_some_tables_have_no_entries(states: States) -> None:
    assert sum(table.used == 0 for table in states["sparse_tables"].tables) >= 5
    assert states["sparse_tables"].length == 3
    full, emptied = states["emptied_table"].tables
    assert full.used > 0
    assert (emptied.used, emptied.inside.deleted > 0) == (0, True)
    assert len(states["emptied_tables"].tables) >= 3
    assert states["emptied_tables"].length == 0


# 6. Clones.


@pytest.mark.parametrize("name", ["cloned", "cloned_tables", "cloned_small", "cloned_emptied", "cloned_indirect"])
def test_clones_are_copies_bit_by_bit_since_go_1_25(states: States, release: tuple[int, int], name: str) -> None:
    clone, original = states[name], states[f"{name}_from"]
    assert clone.address != original.address
    assert sorted(repr(entry["key"]) for entry in clone.entries) == sorted(
        repr(entry["key"]) for entry in original.entries
    )
    bitwise = release >= (1, 25)
    assert (clone.head.seed == original.head.seed) == bitwise
    assert (
        [groups.control for groups in clone.storages] == [groups.control for groups in original.storages]
    ) == bitwise
    if not bitwise:
        assert all(groups.deleted == 0 for groups in clone.storages)
    assert not {groups.address for groups in clone.storages} & {groups.address for groups in original.storages}


def test_a_clone_of_nothing_has_no_memory(states: States) -> None:
    assert states["cloned_nothing"].form == "none"
    assert states["cloned_nothing"].address != states["cloned_nothing_from"].address


# 7. Iterators.


@pytest.mark.parametrize("name", ["ranged_grown", "ranged_split", "ranged_wide", "iterated_grown", "iterated_split"])
def test_iterators_hold_tables_that_were_replaced(states: States, name: str) -> None:
    state = states[name]
    stale = state.stale_table
    assert (stale.index, stale.growth_left) == (-1, 0)
    assert stale.address not in state.directory
    assert 0 < stale.used == stale.inside.full < state.length
    assert stale.data not in {table.data for table in state.tables}


@pytest.mark.parametrize("name", ["ranged_small", "iterated_small"])
def test_iterators_hold_the_group_of_maps_that_were_small(states: States, name: str) -> None:
    assert states[name].form == "tables"
    assert states[name].stale_group.full == GROUP_SLOTS, "it was filled before it was given up"


def test_iterators_of_reflect_lead_to_what_they_hold(states: States) -> None:
    for name in ("iterated_grown", "iterated_split"):
        assert int(states[name].notes["iterator"]["table"], 16) == states[name].stale_table.address
    assert int(states["iterated_small"].notes["iterator"]["group"], 16) == states["iterated_small"].stale_group.address


def test_loops_leave_tables_that_are_cleared_or_unchanged_in_place(states: States) -> None:
    for name in ("ranged_cleared", "ranged_unchanged"):
        assert states[name].stale_table.address == states[name].table.address
    assert (states["ranged_cleared"].length, states["ranged_unchanged"].length) == (0, 20)


# 8. Types.


def test_all_types_come_small_and_with_a_table_unless_there_are_too_few_keys(states: States) -> None:
    few_keys = {"type_bool": 2, "type_key_zero": 1, "type_key_zero_array": 1, "type_both_zero": 1}
    kinds = [name for name in states if name.startswith("type_")]
    assert len(kinds) >= 45
    for name in kinds:
        assert states[name.replace("type_", "few_")].form == "small"
        assert states[name].type == states[name.replace("type_", "few_")].type
        if name in few_keys:
            assert (states[name].form, states[name].length) == ("small", few_keys[name])
        else:
            assert states[name].form == "tables", name


def test_only_what_is_larger_than_128_bytes_is_stored_apart(states: States) -> None:
    key, elem = 4, 8
    flags = {name: state.descriptor.flags & (key | elem) for name, state in states.items() if state.descriptor}
    assert flags["type_key128"] == flags["type_elem128"] == flags["type_both128"] == 0
    assert flags["type_key129"] == key
    assert flags["type_elem129"] == flags["type_elem129_string"] == elem
    assert flags["type_both129"] == key | elem


def test_keys_that_do_not_equal_themselves_are_there(states: States) -> None:
    for name in ("type_float64", "type_complex128", "type_float_merged"):
        reflexive = {entry["reflexive"] for entry in states[name].entries}
        assert reflexive == {True, False}, name
    assert "-0.0" in {repr(entry["key"]) for entry in states["type_float64"].entries}
    assert "0.0" in {repr(entry["key"]) for entry in states["few_float64"].entries}, "the update replaced the key"
    assert all(entry["reflexive"] for entry in states["type_any"].entries)


def test_maps_of_reflect_and_of_named_and_generic_types_have_their_types(states: States) -> None:
    assert states["reflect_map"].type == states["reflect_small"].type == "map[[7]int8]uint16"
    assert (states["reflect_map"].form, states["reflect_small"].form) == ("tables", "small")
    assert states["named_map"].type == "main.Set"
    assert states["generic_map"].type == "map[string]int"
    assert states["generic_pointer_map"].type == "map[*int]*main.point"


# 10. Floods.


@pytest.mark.parametrize("name", ["flood_group", "flood_string"])
def test_flooded_keys_have_one_home_group(states: States, name: str) -> None:
    table = states[name].table
    homes = {slot.hash >> 7 & table.length_mask for slot in table.inside.slots}
    assert (len(homes), table.used) == (1, 60)
    assert largest(table) == 8


def test_keys_of_equal_top_bits_blow_up_the_directory(states: States) -> None:
    state = states["flood_bits"]
    assert state.head.global_depth >= 10
    assert {slot.hash >> 54 for _, slot in places(state)} == {700}
    assert sum(table.used == 0 for table in state.tables) >= 9
    assert state.length == 897


# The same program stripped, and its cores.


@pytest.mark.parametrize("release_of", EVERY_SWISS)
def test_the_stripped_program_has_the_same_states(swiss: Callable[..., SwissProgram], release_of: Toolchain) -> None:
    plain, stripped = swiss(release_of), swiss(release_of, True)
    assert list(stripped.states) == list(plain.states)
    assert stripped.running.exe.stat().st_size < plain.running.exe.stat().st_size
    assert stripped.states["three_tables"].head.dir_len == 4


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("release_of", EVERY_SWISS)
def test_a_core_holds_what_its_program_printed(
    swiss: Callable[..., SwissProgram], swiss_core: Callable[..., Core], release_of: Toolchain, stripped: bool
) -> None:
    core = swiss_core(release_of, stripped)
    states = swiss_states(core.truth)
    assert list(states) == list(swiss(release_of, stripped).states)
    held = segments(core.path)
    assert differences(partial(read_core, core.path, held), states) == []


def test_the_newest_release_is_the_one_of_quick_tests(swiss: Callable[..., SwissProgram]) -> None:
    assert swiss().running.truth["go"] == f"go{SWISS_RELEASES[-1].version}"


# The programs that other tests use build with Swiss maps, too.


@pytest.mark.parametrize("program", ["plain", "nested", "serving", "handlers", "churn", "million", "garbage", "keys"])
@pytest.mark.parametrize("release_of", EVERY_SWISS)
def test_shared_programs_print_the_words_of_their_swiss_maps(
    run: Callable[..., Running], program: str, release_of: Toolchain
) -> None:
    states = swiss_states(run(program, release_of).truth)
    assert states
    for state in states.values():
        assert state.form == "nil" or state.length == state.head.used, state.name
        assert sum(table.used for table in state.tables) == (state.length if state.tables else 0), state.name


@pytest.mark.parametrize("program", ["census", "parked", "heap", "emptied", "tangled", "hashes", "drained"])
@pytest.mark.parametrize("release_of", EVERY_SWISS)
def test_programs_with_a_truth_of_their_own_run_with_swiss_maps(
    run: Callable[..., Running], program: str, release_of: Toolchain
) -> None:
    truth = run(program, release_of).truth
    assert truth["go"] == f"go{release_of.version}"
    assert truth["maps"] or program == "heap"


@pytest.mark.parametrize("release_of", EVERY_SWISS)
def test_serving_reflecting_and_looking_up_works_with_swiss_maps(
    run: Callable[..., Running], release_of: Toolchain
) -> None:
    assert run("serving", release_of).ask("serve")["served"] == 7
    assert run("reflecting", release_of).ask("make 7")["len"] == 30
    found = run("keys", release_of).ask("look int64_split 5")
    assert (len(found["present"]), len(found["absent"])) == (5, 5)


@pytest.mark.parametrize("release_of", EVERY_SWISS)
def test_writers_that_race_for_a_swiss_map_are_ended_by_the_runtime(release_of: Toolchain) -> None:
    with start(build("racing", release_of)) as running:
        # The runtime may end it before it can answer.
        assert running.crash("race") == 2
        assert "fatal error: concurrent map" in running.stderr()


@pytest.mark.slow
@pytest.mark.parametrize("release_of", EVERY_SWISS)
def test_plugins_have_swiss_maps_of_their_own(release_of: Toolchain) -> None:
    cgo = {"CGO_ENABLED": "1"}
    addon = build("addon", release_of, extra_flags=("-buildmode=plugin",), env=cgo)
    with start(build("plugged", release_of, env=cgo), str(addon)) as running:
        states = swiss_states(running.truth)
    assert {name: state.form for name, state in states.items()} == {
        "own": "small",
        "seats": "tables",
        "actions": "small",
    }
