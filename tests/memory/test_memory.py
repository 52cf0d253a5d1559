"""Every source of bytes answers the same protocol with the same bytes."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import sys
from contextlib import closing

import numpy as np
import pytest

from fixtures import USUAL, gcore_core
from inspector.control.gdbmemory import GdbMemory
from inspector.control.gdbmi import GdbBridge
from inspector.control.tracer import Tracer
from inspector.errors import UnreadableMemory
from inspector.gotypes.reach import Reach
from inspector.memory.corefile import CoreFile
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import MOST_MARKED, PAGE, Pages, gather, gather_near
from inspector.memory.lifetime import Lifetime
from inspector.memory.process import ProcessMemory
from inspector.memory.protocol import Region, RegionMap
from inspector.target.opening import open_target
from tests.support.chance import seeded, unforeseen
from tests.support.truth import all_differences, differences, in_order, inspect_state

SOME_STATES = ["double_middle", "same_middle", "no_pointers_old", "key_interface", "elem_129", "many_overflow"]


def states(told, names):
    return [state for state in told["maps"] if state["name"] in names]


def test_a_map_read_through_gdb_mi_alone_is_decoded_as_the_program_tells_it(run):
    running = run()
    with open_target(str(running.pid), memory="gdb-mi") as target:
        assert all_differences(target, states(running.truth, SOME_STATES)) == {}
        assert target.memory.name == "gdb-mi"


def test_a_core_read_through_gdb_mi_alone_is_decoded_as_the_program_told_it(crash):
    core = crash()
    with open_target(str(core.path), memory="gdb-mi") as target:
        assert all_differences(target, states(core.truth, SOME_STATES)) == {}


@pytest.mark.slow
def test_a_core_written_by_gcore_is_decoded_as_the_program_tells_it(run, tmp_path):
    running = run()
    core = gcore_core(running, tmp_path)
    with open_target(str(core.path)) as target:
        assert all_differences(target, running.truth["maps"]) == {}
    core.path.unlink()


def test_a_live_process_read_without_a_stop_is_decoded_as_the_program_tells_it(run):
    running = run()
    with open_target(str(running.pid), stop=False) as target:
        state = running.map("double_middle")
        document = inspect_state(target, state)
    assert differences(document, state) == []
    assert document["timing"]["stopped"] == 0
    assert any("not stopped" in note for note in document["notes"])


@pytest.mark.parametrize("choice", ["auto", "direct"])
def test_the_process_runs_again_after_an_inspection_and_every_thread_of_it(run, choice):
    running = run()
    with open_target(str(running.pid), memory=choice) as target:
        document = inspect_state(target, running.map("double_middle"), by_address=True)
        assert document["timing"]["stopped"] > 0
        assert {thread_state(running.pid, task) for task in os.listdir(f"/proc/{running.pid}/task")} <= {"S", "R"}
    again = running.ask("truth")["maps"]
    assert [in_order(state["entries"]) for state in again] == [
        in_order(state["entries"]) for state in running.truth["maps"]
    ]


def thread_state(pid: int, task: str) -> str:
    with open(f"/proc/{pid}/task/{task}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def test_ptrace_holds_every_thread_and_lets_every_thread_go(run):
    running = run()
    tasks = os.listdir(f"/proc/{running.pid}/task")
    with closing(Lifetime(running.pid)) as life, closing(Tracer(life)) as tracer, tracer.holding():
        assert {thread_state(running.pid, task) for task in tasks} == {"t"}
    assert "t" not in {thread_state(running.pid, task) for task in tasks}


def places_of(running, count: int) -> list[int]:
    """Addresses of headers and of bytes inside bucket arrays that every source must be able to read."""
    dice = seeded(7)
    headers = [state for state in running.truth["maps"] if state["header"] and state["header"]["buckets"]]
    heap = [state for state in headers if state["name"] != "stack_map"]
    return [int(dice.choice(heap)["header"]["buckets"], 16) + dice.randrange(64) for _ in range(count)]


def test_process_proc_mem_and_gdb_read_the_same_bytes(run):
    running = run()
    places = np.array(places_of(running, 300), dtype=np.uint64)
    direct = ProcessMemory(running.pid)
    fallback = ProcessMemory(running.pid)
    fallback._use_proc_mem()
    with closing(fallback), open(running.exe, "rb") as exe, GdbBridge(inherited=(exe.fileno(),)) as bridge:
        bridge.open_executable(exe.fileno())
        with bridge.holding(running.pid):
            through_gdb = GdbMemory(bridge, running.pid)
            for size in (1, 8, 40):
                rows = direct.read_many(places, size)
                assert rows.any()
                assert np.array_equal(rows, fallback.read_many(places, size))
                assert np.array_equal(rows, through_gdb.read_many(places, size))
        assert fallback.name == "proc-mem"


def test_more_ranges_than_one_system_call_takes_are_read_all(run):
    running = run()
    memory = ProcessMemory(running.pid)
    places = np.array(places_of(running, 3000), dtype=np.uint64)
    rows = memory.read_many(places, 24)
    for at in (0, 1, 1023, 1024, 2047, 2048, 2999):
        assert rows[at].tobytes() == bytes(memory.read(int(places[at]), 24))


def test_ranges_of_different_sizes_are_read_one_after_the_other(run):
    dice, running = unforeseen(), run()
    places = np.array(places_of(running, 3000), dtype=np.uint64)
    sizes = np.array([dice.choice((0, 1, 8, 24)) for _ in places], np.uint64)
    with closing(ProcessMemory(running.pid)) as direct, closing(ProcessMemory(running.pid)) as fallback:
        fallback._use_proc_mem()
        expected = b"".join(
            bytes(direct.read(at, size)) for at, size in zip(places.tolist(), sizes.tolist(), strict=True)
        )
        for memory in (direct, fallback):
            into = np.zeros(int(sizes.sum()), np.uint8)
            memory.read_into(places, sizes, into)
            assert into.tobytes() == expected
        with pytest.raises(UnreadableMemory) as caught:
            direct.read_into(np.array([places[0], 16], np.uint64), np.array([8, 24], np.uint64), into[:32])
        assert (caught.value.address, caught.value.size) == (16, 24)


@pytest.mark.parametrize("source", ["process", "core"])
def test_pages_of_many_short_ranges_are_copied_with_what_lies_across_their_borders(run, crash, source):
    dice = unforeseen()
    with contextlib.ExitStack() as open_now:
        memory: CoreFile | ProcessMemory = CoreFile(crash().path)
        if source == "process":
            memory = ProcessMemory(run().pid)
            tracer = Tracer(open_now.enter_context(closing(Lifetime(run().pid))))
            open_now.enter_context(closing(tracer))
            open_now.enter_context(tracer.holding())
        open_now.enter_context(closing(memory))
        # Far apart, so that some pages are marked in the table and some are not.
        parts = [part for part in memory.regions() if part.writable and part.end - part.start >= 4 * PAGE]
        parts = [*parts[:2], parts[-1]]
        assert parts[-1].start - parts[0].start > MOST_MARKED * PAGE
        ranges = []
        for part in parts:
            begins = [dice.randrange(part.start, part.end - 2 * PAGE) // PAGE * PAGE for _ in range(5)]
            ranges += [(page + dice.randrange(PAGE), dice.randint(1, PAGE)) for page in begins for _ in range(40)]
        dice.shuffle(ranges)
        nowhere, too_long = [((1 << 64) - 8, 100), (1 << 50, 8), (16, 8)], (parts[0].start, PAGE + 1)
        pages, frozen = Pages(), FrozenMemory()
        for window in (ranges[:1], [*ranges[1:300], *nowhere], [], [*ranges[300:], too_long]):
            pages.add(*(np.array([one[at] for one in window], np.uint64) for at in (0, 1)))
        assert (pages.ranges, pages.longest) == (len(ranges) + 1, PAGE + 1)
        block = pages.copy(memory, RegionMap(memory.regions()))
        frozen.add_block(block)
        for address, size in ranges:
            assert bytes(frozen.read(address, size)) == bytes(memory.read(address, size))
        touched = {page for address, size in ranges for page in (address // PAGE, (address + size - 1) // PAGE)}
        assert len(block.data) == len(touched) * PAGE
        assert pages.copy(memory, RegionMap(memory.regions()), most=3) is None
        few = np.array([address for address, _ in [*ranges, *nowhere]], np.uint64)
        rows, ok = gather_near(memory, RegionMap(memory.regions()), few, 144)
        assert ok.tolist() == [True] * len(ranges) + [False] * len(nowhere)
        assert rows.tobytes() == gather(memory, RegionMap(memory.regions()), few, 144)[0].tobytes()


@pytest.mark.parametrize("spare", [0, 100])
def test_what_lies_in_a_page_that_is_known_in_part_is_copied_all_the_same(run, spare):
    dice, running = unforeseen(), run()
    with closing(ProcessMemory(running.pid)) as memory:
        heap = next(region for region in memory.regions() if region.start == 0xC000000000)
        end = heap.start + 8 * PAGE + spare
        regions = RegionMap([Region(heap.start, end)])
        starts = [dice.randrange(heap.start, end - 24) for _ in range(500)] + [end - 24]
        rows, ok = gather_near(memory, regions, np.array([*starts, end - 23], np.uint64), 24)
        assert ok.tolist() == [True] * len(starts) + [False]
        assert all(row.tobytes() == bytes(memory.read(at, 24)) for at, row in zip(starts, rows, strict=False))
        headers = np.array([[at, 24] for at in [*starts, end - 23]], np.uint64).view(np.uint8)
        frozen = FrozenMemory()
        # By itself it copies no more than there is, and these strings lie in each other.
        reach = Reach(None, memory, regions, frozen, budget=16 * PAGE)
        reach.strings(lambda: iter((headers[:100], headers[100:])))
        assert all(bytes(frozen.read(at, 24)) == bytes(memory.read(at, 24)) for at in starts)


def test_strings_of_a_core_are_lent_and_those_across_a_border_of_what_is_lent_are_copied(crash):
    dice, core = unforeseen(), CoreFile(crash().path)
    heap = next(region for region in core.regions() if region.start == 0xC000000000)
    # Behind the heap lies a file, as behind segments that the kernel left out.
    file = np.frombuffer(crash().path.read_bytes()[: 4 * PAGE], np.uint8)
    core.overlay(heap.end, file, 0, len(file))
    end = heap.end + len(file)
    starts = [dice.randrange(heap.end - 8 * PAGE, end - 24) for _ in range(500)] + [heap.end - 12, end - 24]
    headers = np.array([[at, 24] for at in [*starts, end - 23]], np.uint64).view(np.uint8)
    frozen = FrozenMemory()
    Reach(None, core, RegionMap(core.regions()), frozen).strings(lambda: iter((headers[:100], headers[100:])))
    lent = [block for block in frozen.blocks if np.shares_memory(block.data, file) or block.data.size > 1 << 20]
    again = pickle.loads(pickle.dumps(frozen))
    assert len(lent) == 2
    assert all(block.data.size == block.sizes.sum() for block in again.blocks)
    for memory in (frozen, again):
        assert all(bytes(memory.read(at, 24)) == bytes(core.read(at, 24)) for at in starts)
        with pytest.raises(UnreadableMemory):
            memory.read(end - 23, 24)


@pytest.mark.parametrize("address", [0, 8, 1 << 46, (1 << 64) - 8, -8])
def test_unmapped_addresses_are_told_with_address_and_size(run, crash, address):
    for memory in (ProcessMemory(run().pid), CoreFile(crash().path), FrozenMemory()):
        with pytest.raises(UnreadableMemory) as caught:
            memory.read(address, 16)
        assert (caught.value.address, caught.value.size) == (address, 16)
        assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason


def test_a_read_over_the_end_of_a_mapping_is_refused_as_a_whole(run):
    memory = ProcessMemory(run().pid)
    stack = next(region for region in memory.regions() if region.name == "[stack]")
    assert len(memory.read(stack.end - 16, 16)) == 16
    with pytest.raises(UnreadableMemory):
        memory.read(stack.end - 16, 32)


@pytest.mark.parametrize("gather", [gather, gather_near])
def test_gather_reads_what_can_be_read_and_says_what_cannot(run, gather):
    memory = ProcessMemory(run().pid)
    regions = RegionMap(memory.regions())
    good = places_of(run(), 50)
    addresses = np.array([good[0], 16, *good[1:], (1 << 64) - 4], dtype=np.uint64)
    rows, ok = gather(memory, regions, addresses, 8)
    assert ok.tolist() == [True, False] + [True] * 49 + [False]
    assert rows[2].tobytes() == bytes(memory.read(good[1], 8))
    assert not rows[~ok].any()


@pytest.mark.parametrize("gather", [gather, gather_near])
def test_gather_survives_regions_that_promise_more_than_there_is(run, gather):
    memory = ProcessMemory(run().pid)
    everything = RegionMap([Region(0, 1 << 47)])
    good = places_of(run(), 30)
    addresses = np.array(
        [address for pair in zip(good, range(16, 46), strict=True) for address in pair], dtype=np.uint64
    )
    rows, ok = gather(memory, everything, addresses, 8)
    assert ok.tolist() == [True, False] * 30
    assert rows[0].tobytes() == bytes(memory.read(good[0], 8))


@pytest.mark.pure
def test_regions_that_touch_count_as_one_and_overflow_is_not_fooled():
    regions = RegionMap([Region(0x1000, 0x2000), Region(0x2000, 0x3000), Region(0x5000, 0x6000)])
    assert regions.covers(0x1F00, 0x1000)
    assert not regions.covers(0x2F00, 0x1000)
    assert not regions.covers((1 << 64) - 8, 16)
    assert not regions.covers(0x1000, 1 << 62)
    assert not RegionMap([]).covers(0, 1)


@pytest.mark.pure
def test_frozen_copies_answer_from_the_range_that_holds_the_address():
    memory = FrozenMemory()
    memory.add(0x1000, bytes(range(64)))
    memory.add_rows(np.array([0x9000, 0x8000], dtype=np.uint64), np.arange(16, dtype=np.uint8).reshape(2, 8))
    assert bytes(memory.read(0x1010, 4)) == bytes([16, 17, 18, 19])
    assert bytes(memory.read(0x8002, 3)) == bytes([10, 11, 12])
    assert bytes(memory.read(0x9000, 8)) == bytes(range(8))
    assert {(region.start, region.end) for region in memory.regions()} == {
        (0x1000, 0x1040),
        (0x8000, 0x8008),
        (0x9000, 0x9008),
    }
    with pytest.raises(UnreadableMemory, match="not copied"):
        memory.read(0x9004, 8)


def test_frozen_copies_that_overlap_answer_from_whichever_is_long_enough():
    dice = random.Random(7)
    content = np.frombuffer(dice.randbytes(1 << 12), np.uint8)
    memory = FrozenMemory()
    ranges = [(start, dice.randrange(1, 200)) for start in (dice.randrange(0, 1 << 12) for _ in range(80))]
    for step, (start, size) in enumerate(ranges):
        memory.add(start, content[start : start + size].tobytes())
        known = [(low, min(low + length, len(content))) for low, length in ranges[: step + 1]]
        asked = np.array([dice.randrange(0, 1 << 12) for _ in range(60)], dtype=np.uint64)
        size = dice.choice([1, 8, 50])
        rows, held = memory.held(asked, size)
        there = [any(low <= at and at + size <= high for low, high in known) for at in asked.tolist()]
        assert held.tolist() == there
        for at, row in zip(asked[held].tolist(), rows, strict=True):
            assert row.tolist() == content[at : at + size].tolist()


def test_a_pickled_frozen_memory_answers_the_same():
    memory = FrozenMemory()
    memory.add(0x1000, b"abcdefgh")
    memory.read(0x1000, 4)
    again = pickle.loads(pickle.dumps(memory))
    again.add(0x2000, b"xyz")
    assert (bytes(again.read(0x1004, 4)), bytes(again.read(0x2000, 3))) == (b"efgh", b"xyz")


def lines_for(memory: FrozenMemory, address: int) -> int:
    """Lines of Python that it takes to find 8 bytes."""
    lines = 0

    def count(frame, event, _):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        memory.held(np.array([address], dtype=np.uint64), 8)
    finally:
        sys.settrace(before)
    return lines


def test_finding_a_copy_takes_no_step_for_each_block_of_copies():
    few, many = FrozenMemory(), FrozenMemory()
    for memory, blocks in ((few, 10), (many, 5000)):
        for block in range(blocks):
            memory.add(0x10000 + 64 * block, bytes(32))
        memory.held(np.array([0x10000], dtype=np.uint64), 8)
    assert lines_for(many, 0x10000) < 3 * lines_for(few, 0x10000)


def test_a_core_takes_unmodified_pages_of_the_executable_from_the_executable(crash):
    core = crash()
    bare = CoreFile(core.path)
    with open_target(str(core.path)) as target:
        text = target.program.image.section(".text")
        start, size = text.address, 4096
        with pytest.raises(UnreadableMemory, match="mapped files"):
            bare.read(start + 0x2000, size)
        assert bytes(target.memory.read(start + 0x2000, size)) == target.program.image.read_linked(start + 0x2000, size)


def test_the_executable_is_found_through_the_core_itself(crash):
    core = crash()
    assert CoreFile(core.path).executable_path() == str(core.exe)
    with open_target(str(core.path)) as target:
        assert target.program.image.path == str(core.exe)
        assert target.pid == core.truth["pid"]
        assert target.program.release.version == f"go{USUAL.version}"
