"""Each rule holds on real memory, and bytes overwritten in a copy of it make that rule alone fire: one, if one can."""

from __future__ import annotations

import gc
import pickle
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixtures import SWISS_RELEASES, Toolchain, build, start
from inspector.hashing.keys import find_hash_keys
from inspector.heap.objects import Heap, read_heap
from inspector.inspection.one_map import inspect
from inspector.maps.findings import Judgement
from inspector.maps.swiss.checks.verdict import HEAP_RULES, KEY_RULES, PROOF_RULES, RULES
from inspector.maps.swiss.snapshot import SwissSnapshot
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.chance import seeded
from tests.support.swiss import SwissProgram
from tests.support.swissrules import Patches, Subject, word
from tests.support.toolchains import EVERY_SWISS_BUILD, TWO_SWISS, quick_are

Subjects = Callable[[Toolchain, str], Subject]

NEWEST = SWISS_RELEASES[-1]

WARNED = {"block_of_four": "D6", "flood_bits": "D6", "flood_group": "K6", "flood_string": "K6"}
"""States made of chosen keys, and the rule about likelihood that says so."""


@pytest.fixture(scope="session")
def subject(swiss: Callable[..., SwissProgram]) -> Iterator[Subjects]:
    """Open the program of a toolchain once, and name its maps."""
    opened: dict[Toolchain, tuple[Target, Heap]] = {}

    def open_program(pid: int) -> tuple[Target, Heap]:
        target = open_target(str(pid), memory="direct")
        heap = read_heap(Run(target))
        assert heap is not None
        return target, heap

    def make(toolchain: Toolchain, name: str) -> Subject:
        program = swiss(toolchain)
        if toolchain not in opened:
            opened[toolchain] = open_program(program.pid)
        target, heap = opened[toolchain]
        state = program.states[name]
        keys = find_hash_keys(target.program.image, target.memory, target.program.types)
        assert keys is not None
        assert state.descriptor is not None
        return Subject(target, state.address, target.program.types.get(state.descriptor.address), keys, heap)

    yield make
    for target, _ in opened.values():
        target.close()


def fired(judgement: Judgement) -> set[str]:
    return {finding.rule for finding in judgement.findings}


# What holds


@pytest.mark.parametrize("toolchain", EVERY_SWISS_BUILD)
def test_every_rule_holds_in_every_state(subject, swiss, toolchain):
    names = [name for name, state in swiss(toolchain).states.items() if state.header is not None]
    assert len(names) > 190
    for name in names:
        judgement = subject(toolchain, name).copy().judge()
        assert judgement.verdict == "consistent", name
        assert fired(judgement) == ({WARNED[name]} if name in WARNED else set()), name
        assert {finding.severity for finding in judgement.findings} <= {"warning"}, name
        assert judgement.proof.checked == judgement.proof.matched, name


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_SWISS_BUILD)
def test_every_rule_holds_after_random_operations_on_maps_of_many_types(toolchain):
    dice = seeded(toolchain.name)
    with start(build("swissrandom", toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        seen = {"small": 0, "one table": 0, "several": 0, "tombstones": 0}
        # After few operations most maps are small still, after many hardly any is.
        for count in [3, *dice.choices([3, 30, 300], k=10), 300]:
            running.ask(f"step {dice.randrange(1 << 30)} {count}")
            for told in running.truth["maps"]:
                inspection = inspect(target, told["variable"], None, entries=0)
                assert inspection.judgement.findings == (), told["name"]
                assert inspection.judgement.proof.checked == inspection.judgement.proof.matched
                snapshot = inspection.snapshot
                assert isinstance(snapshot, SwissSnapshot)
                length = snapshot.header.dir_len
                seen["small" if not length else "one table" if length == 1 else "several"] += 1
                seen["tombstones"] += bool(snapshot.groups.deleted.any())
    assert all(seen.values()), seen


# One mutation for each rule: from the subject to the patched bytes.


def writing_twice(s: Subject) -> Patches:
    return {s.field("writing"): 2}


def byte_between_the_fields(s: Subject) -> Patches:
    return {s.field("padding", 3): 1}


def tombstones_more_than_possible(s: Subject) -> Patches:
    return {s.field("tombstonePossible"): 2}


def depth_one_more(s: Subject) -> Patches:
    return {s.field("globalDepth"): s.byte(s.field("globalDepth")) + 1}


def shift_one_more(s: Subject) -> Patches:
    return {s.field("globalShift"): s.byte(s.field("globalShift")) + 1}


def directory_one_longer(s: Subject) -> Patches:
    return {s.field("dirLen"): s.byte(s.field("dirLen")) + 1}


def directory_without_length(s: Subject) -> Patches:
    return {s.field("dirLen"): 0}


def used_far_too_large(s: Subject) -> Patches:
    return {s.field("used", 1): 1}


def used_of_a_map_without_memory(s: Subject) -> Patches:
    return {s.field("used"): 1}


def used_one_too_many(s: Subject) -> Patches:
    return word(s.field("used"), s.copy().header.used + 1)


def tombstones_impossible(s: Subject) -> Patches:
    return {s.field("tombstonePossible"): 0}


def tombstones_possible(s: Subject) -> Patches:
    return {s.field("tombstonePossible"): 1}


def misaligned_storage(s: Subject) -> Patches:
    return s.changed(s.field("dirPtr"), 1)


def unmapped_storage(s: Subject) -> Patches:
    return {s.field("dirPtr", 5): 0x7A}


def misaligned_groups(s: Subject) -> Patches:
    return s.changed(s.table_field(1, "groups"), 1)


def unmapped_groups(s: Subject) -> Patches:
    return {s.table_field(1, "groups", 5): 0x7A}


def misaligned_entry(s: Subject) -> Patches:
    directory = s.copy().header.dir_ptr
    return s.changed(directory + 8, 1)


def unmapped_entry(s: Subject) -> Patches:
    return {s.copy().header.dir_ptr + 8 + 5: 0x7A}


def entry_of_a_neighbour(s: Subject) -> Patches:
    """A directory entry that leads to the table of another block."""
    snapshot = s.copy()
    return word(snapshot.header.dir_ptr, int(snapshot.tables.directory[-1]))


def local_depth_one_more(s: Subject) -> Patches:
    return {s.table_field(0, "localDepth"): s.table_value(0, "localDepth") + 1}


def local_depth_one_less(s: Subject) -> Patches:
    return {s.table_field(0, "localDepth"): s.table_value(0, "localDepth") - 1}


def index_one_more(s: Subject) -> Patches:
    return {s.table_field(1, "index"): s.table_value(1, "index") + 1}


def replaced_table(s: Subject) -> Patches:
    return word(s.table_field(1, "index"), -1)


def deeper_directory_than_tables(s: Subject) -> Patches:
    """A directory of twice the length, elsewhere, where each table has two entries."""
    snapshot = s.copy()
    header, tables = snapshot.header, snapshot.tables
    patches = {s.field("globalDepth"): header.global_depth + 1, s.field("globalShift"): header.global_shift - 1}
    patches |= word(s.field("dirLen"), 2 * header.dir_len) | word(s.field("dirPtr"), scratch(s))
    for entry, address in enumerate(np.repeat(tables.directory, 2).tolist()):
        patches |= word(scratch(s) + 8 * entry, address)
    for table, first in enumerate(tables.first.tolist()):
        patches |= word(s.table_field(table, "index"), 2 * first)
    return patches


def scratch(s: Subject) -> int:
    """Memory that is no part of the map, to be overwritten in copies: its type descriptor, which was read before."""
    return s.type.address


def groups_of_another_table(s: Subject) -> Patches:
    return word(s.table_field(1, "groups"), s.table_value(0, "groups"))


def one_of_several_tables_that_is_small(s: Subject) -> Patches:
    half = s.table_value(0, "capacity") // 2
    patches = word(s.table_field(0, "capacity"), half, 2) | word(s.table_field(0, "lengthMask"), half // 8 - 1)
    return patches | word(s.table_field(0, "growthLeft"), half * 7 // 8, 2)


def capacity_doubled(s: Subject) -> Patches:
    return word(s.table_field(0, "capacity"), 2 * s.table_value(0, "capacity"), 2)


def capacity_of_nothing(s: Subject) -> Patches:
    return word(s.table_field(0, "capacity"), 0, 2)


def length_mask_halved(s: Subject) -> Patches:
    return word(s.table_field(0, "lengthMask"), s.table_value(0, "lengthMask") // 2)


def length_mask_beyond_all_memory(s: Subject) -> Patches:
    return {s.table_field(0, "lengthMask", 7): 0x80}


def byte_between_the_fields_of_a_table(s: Subject) -> Patches:
    return {s.table_field(0, "padding"): 1}


def used_of_a_table_one_more(s: Subject) -> Patches:
    return word(s.table_field(0, "used"), s.table_value(0, "used") + 1, 2)


def growth_left_one_more(s: Subject) -> Patches:
    return word(s.table_field(0, "growthLeft"), s.table_value(0, "growthLeft") + 1, 2)


def growth_left_one_less(s: Subject) -> Patches:
    return word(s.table_field(0, "growthLeft"), s.table_value(0, "growthLeft") - 1, 2)


def slots_of(s: Subject, what: str) -> list[tuple[int, int]]:
    """Rows and slots that are full, empty or deleted."""
    return [(row, slot) for row, slot in np.argwhere(getattr(s.copy().groups, what)).tolist()]


def undefined_control_byte(s: Subject) -> Patches:
    row, slot = slots_of(s, "empty")[0]
    return {s.ctrl(row, slot): 0x81}


def undefined_control_byte_of_an_entry(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[-1]
    return {s.ctrl(row, slot): 0xFF}


def tombstone_beside_empty_slots(s: Subject) -> Patches:
    groups = s.copy().groups
    row = int(np.flatnonzero(groups.empty.sum(axis=1) > 1)[0])
    return {s.ctrl(row, int(np.argmax(groups.empty[row]))): 0xFE}


def entry_marked_deleted_in_the_last_table(s: Subject) -> Patches:
    groups = s.copy().groups
    row = int(np.flatnonzero(groups.full.any(axis=1) & groups.empty.any(axis=1))[-1])
    return {s.ctrl(row, int(np.argmax(groups.full[row]))): 0xFE}


def empty_slot_marked_full_in_the_last_table(s: Subject) -> Patches:
    """One of two control bytes, as an empty key may have the other."""
    row, slot = slots_of(s, "empty")[-1]
    patches = [{s.ctrl(row, slot): byte} for byte in (1, 2)]
    return next(patch for patch in patches if "K1" in fired(s.copy(patch).judge()))


def entry_marked_deleted_in_a_small_map(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[1]
    return {s.ctrl(row, slot): 0xFE}


def element_of_an_empty_slot(s: Subject) -> Patches:
    row, slot = slots_of(s, "empty")[-1]
    return {s.elem(row, slot): 1}


def element_of_a_deleted_slot(s: Subject) -> Patches:
    row, slot = slots_of(s, "deleted")[0]
    return {s.elem(row, slot): 1}


def entry_marked_empty(s: Subject) -> Patches:
    groups = s.copy().groups
    for row, slot in slots_of(s, "full"):
        if groups.elems[row, slot].any():
            return {s.ctrl(row, slot): 0x80}
    raise AssertionError("no entry with an element that is not zero")


def key_of_an_empty_slot(s: Subject) -> Patches:
    row, slot = slots_of(s, "empty")[-1]
    return {s.key(row, slot): 1}


def byte_behind_an_element(s: Subject) -> Patches:
    layout = s.copy().layout
    end = layout.elem_slot if not layout.split else layout.group_size - layout.elems_at - 1
    return {s.elem(0, 0, end): 1}


def wild_pointer_to_a_key(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[0]
    return {s.key(row, slot, 6): 0x7F}


def pointer_into_an_element(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[0]
    return {s.elem(row, slot): s.byte(s.elem(row, slot)) + 8}


def one_element_in_two_slots(s: Subject) -> Patches:
    first, second = slots_of(s, "full")[:2]
    return word(s.elem(*second), int.from_bytes(s.target.memory.read(s.elem(*first), 8), "little"))


def no_pointer_to_an_element(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[0]
    return word(s.elem(row, slot), 0)


def entry_without_element_and_key(s: Subject) -> Patches:
    """A control byte of an empty slot that says that it is full, and hashes like the key that is there by chance."""
    row, slot = slots_of(s, "empty")[0]
    return {s.ctrl(row, slot): 0}


def group_of_zeros(s: Subject) -> Patches:
    return s.zeroed(0)


def control_byte_of_another_key(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[-1]
    return s.changed(s.ctrl(row, slot), 1)


def another_key(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[0]
    place = s.key(row, slot, 3)
    return next(patch for patch in ({place: value} for value in range(256)) if "K1" in fired(s.copy(patch).judge()))


def another_seed(s: Subject) -> Patches:
    return s.changed(s.field("seed", 2), 0x10)


def key_of_another_table(s: Subject) -> Patches:
    return s.moved_key(to_another_table=True) or pytest.skip("no byte of a key leads to another table only")


def key_that_is_not_found(s: Subject) -> Patches:
    return s.moved_key(to_another_table=False) or pytest.skip("no byte of a key leads to another group only")


def key_and_control_byte_like_another(s: Subject) -> Patches:
    (row, slot), (other, place) = slots_of(s, "full")[:2]
    return {s.ctrl(other, place): s.byte(s.ctrl(row, slot)), s.key(other, place): s.byte(s.key(row, slot))}


def wild_string_in_a_key(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[0]
    return {s.key(row, slot, 6): 0x7F}


def negative_length_of_a_key(s: Subject) -> Patches:
    row, slot = slots_of(s, "full")[0]
    return {s.key(row, slot, 15): 0x80}


def wild_type_of_a_key(s: Subject) -> Patches:
    keys = s.copy().groups.keys
    row, slot = next((row, slot) for row, slot in slots_of(s, "full") if keys[row, slot].any())
    return {s.key(row, slot, 6): 0x7F}


SINCE_1_25 = {tombstones_more_than_possible, tombstones_impossible, tombstones_possible}
"""Mutations of tombstonePossible, which 1.24 does not have."""

MUTATIONS = [
    ("H1", "three_tables", writing_twice),
    ("H1", "small_int64", writing_twice),
    ("H2", "three_tables", byte_between_the_fields),
    ("H2", "never_written", byte_between_the_fields),
    ("H2", "tombstones", tombstones_more_than_possible),
    ("H3", "three_tables", depth_one_more),
    ("H3", "three_tables", shift_one_more),
    ("H3", "three_tables", directory_one_longer),
    ("H3", "three_tables", directory_without_length),
    ("H3", "just_converted", shift_one_more),
    ("H3", "just_converted", directory_without_length),
    ("H3", "small_int64", depth_one_more),
    ("H3", "small_int64", shift_one_more),
    ("H3", "small_int64", directory_one_longer),
    ("H4", "small_int64", used_far_too_large),
    ("H4", "never_written", used_of_a_map_without_memory),
    ("H5", "small_int64", used_one_too_many),
    ("H5", "three_tables", used_one_too_many),
    ("H5", "cleared_table", used_one_too_many),
    ("H6", "tombstones", tombstones_impossible),
    ("H6", "small_int64", tombstones_possible),
    ("H7", "small_int64", misaligned_storage),
    ("H7", "small_int64", unmapped_storage),
    ("H7", "three_tables", misaligned_storage),
    ("H7", "three_tables", unmapped_storage),
    ("H7", "three_tables", misaligned_groups),
    ("H7", "three_tables", unmapped_groups),
    ("D1", "three_tables", misaligned_entry),
    ("D1", "three_tables", unmapped_entry),
    ("D1", "three_tables", entry_of_a_neighbour),
    ("D1", "three_tables", local_depth_one_more),
    ("D1", "two_tables_int64", local_depth_one_less),
    ("D2", "three_tables", index_one_more),
    ("D2", "three_tables", replaced_table),
    ("D3", "two_tables_int64", deeper_directory_than_tables),
    ("D4", "three_tables", groups_of_another_table),
    ("D5", "hint_897", one_of_several_tables_that_is_small),
    ("T1", "three_tables", capacity_of_nothing),
    ("T1", "capacity_64", capacity_doubled),
    ("T1", "capacity_64", length_mask_halved),
    ("T1", "capacity_64", length_mask_beyond_all_memory),
    ("T1", "three_tables", byte_between_the_fields_of_a_table),
    ("T2", "three_tables", used_of_a_table_one_more),
    ("T2", "capacity_64", used_of_a_table_one_more),
    ("T3", "three_tables", growth_left_one_more),
    ("T3", "tombstones_int64", growth_left_one_less),
    ("G1", "small_int64", undefined_control_byte),
    ("G1", "capacity_64", undefined_control_byte),
    ("G1", "three_tables", undefined_control_byte_of_an_entry),
    ("G2", "tombstones", tombstone_beside_empty_slots),
    ("G2", "hint_100000", tombstone_beside_empty_slots),
    ("G2", "three_tables", entry_marked_deleted_in_the_last_table),
    ("K1", "three_tables", empty_slot_marked_full_in_the_last_table),
    ("G2", "small_int64", entry_marked_deleted_in_a_small_map),
    ("G3", "small_int64", element_of_an_empty_slot),
    ("G3", "three_tables", element_of_an_empty_slot),
    ("G3", "tombstones_int64", element_of_a_deleted_slot),
    ("G3", "small_int64", entry_marked_empty),
    ("G3", "capacity_128", entry_marked_empty),
    ("G4", "small_holes", key_of_an_empty_slot),
    ("G4", "three_tables", key_of_an_empty_slot),
    ("G5", "few_int64", byte_behind_an_element),
    ("G5", "type_elem_zero", byte_behind_an_element),
    ("G6", "type_key129", wild_pointer_to_a_key),
    ("G6", "type_elem129", no_pointer_to_an_element),
    ("G6", "few_elem129", entry_without_element_and_key),
    ("A2", "type_elem129", pointer_into_an_element),
    ("A2", "few_elem129", one_element_in_two_slots),
    ("G7", "hint_9", group_of_zeros),
    ("G7", "small_emptied", group_of_zeros),
    ("K1", "small_int64", control_byte_of_another_key),
    ("K1", "three_tables_any", control_byte_of_another_key),
    ("K1", "growth_left_0_int64", another_key),
    ("K1", "small_int64", another_seed),
    ("K1", "three_tables", another_seed),
    ("K2", "two_tables_int64", key_of_another_table),
    ("K3", "growth_left_0_int64", key_that_is_not_found),
    ("K4", "few_int8", key_and_control_byte_like_another),
    ("K5", "small_holes", wild_string_in_a_key),
    ("K5", "three_tables", negative_length_of_a_key),
    ("K5", "type_any", wild_type_of_a_key),
]


@pytest.mark.parametrize("toolchain", TWO_SWISS)
@pytest.mark.parametrize(
    ("rule", "state", "mutation"), [pytest.param(*m, id=f"{m[0]}-{m[2].__name__}-{m[1]}") for m in MUTATIONS]
)
def test_bytes_overwritten_make_exactly_the_rule_fire_that_they_break(subject, toolchain, rule, state, mutation):
    it = subject(toolchain, state)
    if mutation in SINCE_1_25 and not it.target.program.release.has_tombstone_possible:
        pytest.skip("Go 1.24 has no tombstonePossible")
    assert it.copy().judge().findings == ()
    broken = it.copy(mutation(it)).judge()
    assert fired(broken) == {rule}
    assert broken.verdict == "inconsistent"
    assert all(finding.severity == "error" for finding in broken.findings)


def rule_id(rule: Any) -> str:
    matched = re.match(r"([a-z]\d+)_", rule.__name__)
    assert matched is not None
    return matched.group(1).upper()


@pytest.mark.pure
def test_every_rule_has_an_id_of_its_own_and_a_mutation_that_breaks_it():
    ids = [rule_id(rule) for rule in (*RULES, *HEAP_RULES, *KEY_RULES, *PROOF_RULES)]
    assert len(ids) == len(set(ids))
    # What is about likelihood has states of its own, with no byte overwritten.
    assert {rule for rule, _, _ in MUTATIONS} | set(WARNED.values()) | MOVED == set(ids)


# What only the heap's metadata shows


MOVED = {"A1"}
"""The rule that parts of maps break which lie elsewhere than the allocator put them, byte for byte the same."""


def moved(it: Subject, part: str, place: int) -> Patches:
    """Bytes that put a part of a map at another place, and have the map lead there."""
    snapshot = it.copy()
    header, tables, layout = snapshot.header, snapshot.tables, snapshot.layout
    copied = {
        "the Map": (it.address, 48, []),
        "its only group": (header.dir_ptr, layout.group_size, [it.field("dirPtr")]),
        "the directory": (header.dir_ptr, 8 * header.dir_len, [it.field("dirPtr")]),
    }
    if not header.small:
        leading = [header.dir_ptr + 8 * int(at) for at in np.flatnonzero(tables.of_entry == 0)]
        groups = int(tables.rows["capacity"][0]) // 8 * layout.group_size
        copied["table 0"] = int(tables.addresses[0]), 32, leading
        copied["the array of groups of table 0"] = int(tables.rows["groups"][0]), groups, [it.table_field(0, "groups")]
    start, size, leading = copied[part]
    patches = dict(enumerate(it.target.memory.read(start, size), place))
    for at in leading:
        patches |= word(at, place)
    return patches


PARTS = [
    ("three_tables", "the Map"),
    ("three_tables", "the directory"),
    ("three_tables", "table 0"),
    ("three_tables", "the array of groups of table 0"),
    ("small_int64", "the Map"),
    ("small_int64", "its only group"),
    ("small_emptied", "its only group"),
]


@pytest.mark.parametrize("toolchain", TWO_SWISS)
@pytest.mark.parametrize(("state", "part"), PARTS)
def test_a_part_of_a_map_inside_another_object_is_found_by_the_heap_alone(subject, toolchain, state, part):
    it = subject(toolchain, state)
    place = int(subject(toolchain, "capacity_1024").copy().groups.addresses[0]) + 64
    patches = moved(it, part, place)
    it = replace(it, address=place) if part == "the Map" else it
    judgement = it.copy(patches).judge()
    assert [(finding.rule, finding.message) for finding in judgement.findings] == [
        ("A1", f"{part} is not where the allocator would put it")
    ]
    assert (judgement.verdict, judgement.proof.matched) == ("inconsistent", judgement.proof.checked)
    assert replace(it, heap=None).copy(patches).judge().findings == ()


@pytest.mark.parametrize("toolchain", TWO_SWISS)
def test_a_map_in_memory_that_is_not_in_use_is_found_by_the_heap_alone(subject, toolchain):
    it = subject(toolchain, "three_tables")
    spans = it.heap.spans[(it.heap.spans["elemsize"] == 48) & ~it.heap.spans["noscan"]]
    slots = np.concatenate(
        [np.arange(int(span["start"]), int(span["end"]) - 47, 48).astype(np.uint64) for span in spans]
    )
    place = int(slots[~it.heap.objects(slots).alive][0])
    judgement = replace(it, address=place).copy(moved(it, "the Map", place)).judge()
    assert [finding.rule for finding in judgement.findings] == ["A1"]
    assert judgement.findings[0].observed == f"{place:#x}, byte 0 of a block of 48 bytes that is not in use"


@pytest.mark.parametrize("toolchain", TWO_SWISS)

# What an interrupted write leaves


def nothing(s: Subject) -> Patches:
    return {}


def used_one_less(s: Subject) -> Patches:
    return {s.field("used"): s.byte(s.field("used")) - 1}


def used_of_a_table_one_less(s: Subject) -> Patches:
    return word(s.table_field(0, "used"), s.table_value(0, "used") - 1, 2)


def used_of_table_and_map_one_less(s: Subject) -> Patches:
    return used_of_a_table_one_less(s) | word(s.field("used"), s.copy().header.used - 1)


def key_of_the_next_slot(s: Subject) -> Patches:
    """A key where the next assign to a group puts it: in the first slot without an entry."""
    groups = s.copy().groups
    row = int(np.flatnonzero(~groups.full.all(axis=1))[0])
    return {s.key(row, int(np.argmin(groups.full[row]))): 1}


def key_cleared(s: Subject) -> Patches:
    """A key of 16 bytes cleared, as by a deletion before it marks the slot, whose control byte no empty key has."""
    for row, slot in slots_of(s, "full"):
        patches = word(s.key(row, slot), 0) | word(s.key(row, slot, 8), 0)
        if "K1" in fired(s.copy(patches).judge()):
            return patches
    raise AssertionError("an empty key hashes like every other")


def tombstone_pruned(s: Subject) -> Patches:
    """The first of several tombstones of a group made an empty slot."""
    groups = s.copy().groups
    row = int(np.flatnonzero(groups.deleted.sum(axis=1) > 1)[0])
    return {s.ctrl(row, int(np.argmax(groups.deleted[row]))): 0x80}


def groups_cleared(s: Subject) -> Patches:
    """The first groups of the first table emptied, and the next one zeroed: in the middle of table.Clear."""
    some = s.emptied(0) | s.emptied(1)
    return some | s.zeroed(2)


def table_cleared(s: Subject) -> Patches:
    """The first table emptied, with its counts, and the map's not: Map.Clear goes on with the next one."""
    rows = range(int(s.view.groups_of_tables[0]))
    patches = {at: byte for row in rows for at, byte in s.emptied(row).items()}
    room = s.table_value(0, "capacity") * 7 // 8
    return patches | word(s.table_field(0, "used"), 0, 2) | word(s.table_field(0, "growthLeft"), room, 2)


def group_cleared(s: Subject) -> Patches:
    return s.emptied(0)


def directory_put_in_place(s: Subject, other: Subject) -> Patches:
    """DirPtr leads to the directory of another map, while dirLen is still 0."""
    return word(s.field("dirPtr"), other.copy().header.dir_ptr)


def shift_to_come(s: Subject) -> Patches:
    return {s.field("globalShift"): 0}


def indices_doubled(s: Subject) -> Patches:
    """Indices for a directory of twice the length, of all tables but the last."""
    first = s.copy().tables.first.tolist()[:-1]
    return {at: b for n, entry in enumerate(first) for at, b in word(s.table_field(n, "index"), 2 * entry).items()}


def depth_of_the_next_directory(s: Subject) -> Patches:
    depth = s.copy().header.global_depth
    return {s.field("globalDepth"): depth + 1, s.field("globalShift"): 63 - depth}


IN_FLIGHT = [
    ("small_int64", nothing, ()),
    ("three_tables", nothing, ()),
    ("small_int64", used_one_less, ("maps.Map.putSlotSmall", "maps.Map.deleteSmall")),
    ("capacity_64", used_one_less, ("maps.table.PutSlot",)),
    ("capacity_64", used_of_a_table_one_less, ("maps.table.Delete",)),
    ("three_tables", used_of_table_and_map_one_less, ("maps.table.PutSlot", "maps.table.Delete")),
    ("three_tables", growth_left_one_more, ("maps.table.PutSlot",)),
    ("small_holes", key_of_the_next_slot, ("maps.Map.putSlotSmall",)),
    ("three_tables", key_of_the_next_slot, ("maps.table.PutSlot",)),
    ("tombstones", key_of_the_next_slot, ("maps.table.PutSlot",)),
    ("three_tables", key_cleared, ("maps.table.Delete",)),
    ("small_holes", key_cleared, ("maps.Map.deleteSmall",)),
    ("type_elem129", no_pointer_to_an_element, ("maps.table.Delete",)),
    ("tombstones", tombstone_pruned, ("maps.table.pruneTombstones",)),
    ("small_emptied", group_of_zeros, ("maps.Map.growToSmall",)),
    ("small_int64", group_of_zeros, ("maps.Map.clearSmall",)),
    ("small_int64", group_cleared, ("maps.Map.clearSmall",)),
    ("capacity_64", groups_cleared, ("maps.Map.Clear",)),
    ("two_tables_int64", table_cleared, ("maps.Map.Clear",)),
    ("just_converted", shift_to_come, ("maps.Map.growToTable",)),
    ("three_tables", indices_doubled, ("maps.Map.installTableSplit",)),
    ("three_tables", depth_of_the_next_directory, ("maps.Map.installTableSplit",)),
]


@pytest.mark.parametrize("toolchain", TWO_SWISS)
@pytest.mark.parametrize(
    ("state", "mutation", "steps"), [pytest.param(*m, id=f"{m[1].__name__}-{m[0]}") for m in IN_FLIGHT]
)
def test_what_one_interrupted_step_leaves_is_a_write_in_progress_that_names_the_step(
    subject, toolchain, state, mutation, steps
):
    it = subject(toolchain, state)
    if "maps.table.pruneTombstones" in steps and not it.target.program.release.prunes_tombstones:
        pytest.skip("Go 1.24 never prunes tombstones")
    patches = mutation(it)
    assert not patches or it.copy(patches).judge().verdict == "inconsistent"
    judgement = it.writing(patches)
    assert (judgement.verdict, judgement.interrupted) == ("write-in-progress", steps)
    first, *others = judgement.findings
    assert first.rule == "W1"
    assert all(step in first.message for step in steps)
    assert {finding.severity for finding in (first, *others)} == {"info"}


@pytest.mark.parametrize("toolchain", TWO_SWISS)
def test_a_group_that_is_a_directory_already_is_left_by_the_step_that_makes_a_table(subject, toolchain):
    it = subject(toolchain, "small_8")
    patches = directory_put_in_place(it, subject(toolchain, "just_converted"))
    assert it.copy(patches).judge().verdict == "inconsistent"
    judgement = it.writing(patches)
    assert (judgement.verdict, judgement.interrupted) == ("write-in-progress", ("maps.Map.growToTable",))


@pytest.mark.parametrize("toolchain", TWO_SWISS)
def test_an_entry_that_is_counted_before_it_is_marked_is_the_assign_of_1_27_to_a_new_table(subject, toolchain):
    it = subject(toolchain, "just_converted")
    full = slots_of(it, "full")
    # Behind a group that was full there may be keys that an empty slot in it would hide.
    with_room = {row for row, _ in slots_of(it, "empty")}
    row, slot = [each for each in full if each[0] in with_room][-1]
    patches = (
        {it.ctrl(row, slot): 0x80}
        | word(it.elem(row, slot), 0)
        | word(it.key(row, slot), 0)
        | word(it.key(row, slot, 8), 0)
    )
    patches |= {it.field("used"): 8}
    judgement = it.writing(patches)
    steps = ["maps.table.uncheckedPutSlotForAssign"] * it.target.program.release.assigns_to_new_table
    # Chance may have put one key into the first group, and all others into the second: Clear leaves the same.
    steps += ["maps.Map.Clear"] * ([at for at, _ in full].count(row) == 1 and row == 0)
    assert judgement.verdict == ("write-in-progress" if steps else "inconsistent")
    assert judgement.interrupted == (tuple(steps) or None)


def replacing(it: Subject, donor: Subject, deeper: bool) -> Patches:
    """A directory elsewhere whose first entry leads to a new table, and whose second to the old one still."""
    old = it.copy().tables
    depth = it.table_value(0, "localDepth")
    patches = word(scratch(it), int(donor.copy().tables.addresses[0])) | word(scratch(it) + 8, int(old.addresses[0]))
    patches |= word(it.field("dirPtr"), scratch(it)) | word(it.field("dirLen"), 2)
    patches |= {it.field("globalDepth"): 1, it.field("globalShift"): 63}
    patches |= {donor.table_field(0, "localDepth"): depth + deeper}
    return patches | word(donor.table_field(0, "index"), 0)


@pytest.mark.parametrize("toolchain", TWO_SWISS)
def test_an_old_table_behind_a_left_half_is_left_by_a_split(subject, toolchain):
    it, donor = subject(toolchain, "capacity_1024"), subject(toolchain, "capacity_512")
    # The new table is one of another map: what its keys hash to is left out.
    patches = replacing(it, donor, deeper=True)
    judgement = it.writing(patches, hashed=False)
    assert (judgement.verdict, judgement.interrupted) == ("write-in-progress", ("maps.table.split",))
    unrelated = patches | {donor.table_field(0, "localDepth"): 0}
    assert it.writing(unrelated, hashed=False).verdict == "inconsistent"


def two_keys_cleared(s: Subject) -> Patches:
    first = key_cleared(s)
    for row, slot in reversed(slots_of(s, "full")):
        patches = word(s.key(row, slot), 0) | word(s.key(row, slot, 8), 0)
        if "K1" in fired(s.copy(patches).judge()):
            return first | patches
    raise AssertionError("an empty key hashes like every other")


def groups_of_the_second_table_cleared(s: Subject) -> Patches:
    """Emptied groups of a table, while the one before it still has its entries: Clear does not go so."""
    row = int(s.view.first_row[1])
    return s.emptied(row) | s.emptied(row + 1)


def key_of_a_later_slot(s: Subject) -> Patches:
    """A key in the last of several slots without an entry, where no assign puts it."""
    groups = s.copy().groups
    row = int(np.flatnonzero(groups.empty.sum(axis=1) > 1)[0])
    return {s.key(row, int(np.flatnonzero(groups.empty[row])[-1])): 1}


@pytest.mark.parametrize("toolchain", TWO_SWISS)
@pytest.mark.parametrize(
    ("state", "mutation"),
    [
        ("three_tables", two_keys_cleared),
        ("three_tables", key_of_a_later_slot),
        ("three_tables", lambda s: key_cleared(s) | growth_left_one_more(s)),
        ("three_tables", lambda s: word(s.table_field(0, "used"), s.table_value(0, "used") - 2, 2)),
        ("three_tables", misaligned_entry),
        ("three_tables", local_depth_one_more),
        ("three_tables", replaced_table),
        ("small_int64", control_byte_of_another_key),
        ("small_int64", another_seed),
        ("small_int64", element_of_an_empty_slot),
        ("small_int64", directory_one_longer),
        ("three_tables", directory_without_length),
        ("three_tables", groups_of_the_second_table_cleared),
        ("few_int64", byte_behind_an_element),
        ("few_int8", key_and_control_byte_like_another),
    ],
)
def test_what_no_step_leaves_stays_inconsistent_while_a_write_is_under_way(subject, toolchain, state, mutation):
    it = subject(toolchain, state)
    patches = mutation(it)
    assert any(it.byte(at) != byte for at, byte in patches.items())
    judgement = it.writing(patches)
    assert (judgement.verdict, judgement.interrupted) == ("inconsistent", None)


# Hostile memory, and what becomes of snapshots


HOSTILE = ["small_int64", "small_holes", "three_tables", "tombstones", "type_key129", "type_any", "hint_897"]


@pytest.mark.parametrize("toolchain", TWO_SWISS)
@pytest.mark.parametrize("state", quick_are(HOSTILE, "small_holes"))
def test_random_bytes_in_a_map_never_break_the_inspector(subject, toolchain, state):
    it = subject(toolchain, state)
    whole = it.copy()
    dice = seeded(toolchain.name, state)
    places = [it.address + at for at in range(48)] * 3
    places += [whole.header.dir_ptr + at for at in range(8 * whole.header.dir_len)]
    places += [int(table) + at for table in whole.tables.addresses for at in range(32)]
    size = whole.layout.group_size
    places += [int(group) + dice.randrange(size) for group in dice.sample(whole.groups.addresses.tolist(), 1) * 8]
    for _ in range(100):
        patches = {dice.choice(places): dice.randrange(256) for _ in range(dice.choice([1, 1, 3, 20]))}
        judgement = it.copy(patches).judge()
        assert judgement.verdict in {"consistent", "write-in-progress", "inconsistent"}, patches
        assert not any(finding.unchecked for finding in judgement.findings), patches


def test_a_snapshot_can_be_pickled_and_judged_again_without_its_process(subject):
    for state in ("type_any", "three_tables"):
        snapshot = subject(NEWEST, state).copy()
        again = pickle.loads(pickle.dumps(snapshot))
        assert again.judge() == snapshot.judge()


def test_the_bytes_of_a_map_are_given_back_at_once_when_nobody_holds_its_snapshot(subject):
    snapshot = subject(NEWEST, "three_tables").copy()
    held = weakref.ref(snapshot)
    assert snapshot.judge().verdict == "consistent"
    gc.disable()
    try:
        del snapshot
        assert held() is None
    finally:
        gc.enable()
