"""The heap metadata against what a program knows of its objects and what the runtime counts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fixtures import Running, build, cached_core, kernel_core, start
from fixtures.debian import NoPackage
from fixtures.esbuild import PACKAGES, esbuild
from fixtures.npm import NotOnNpm
from fixtures.prometheus import prometheus
from inspector.goruntime import heap as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.sizes import MALLOC_HEADER_SIZE, PAGE_SIZE
from inspector.heap.objects import NOT_FOUND, Heap, read_heap
from inspector.heap.spans import _candidates, _read_all
from inspector.memory.corefile import CoreFile
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.chance import seeded
from tests.support.toolchains import EVERY_TOOLCHAIN

STRIPPED = "-s -w"
ROUNDS = 20
"""How often a measurement is taken anew because something was allocated meanwhile."""


@pytest.fixture(params=["", STRIPPED], ids=["symbols", "stripped"])
def ldflags(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def running(toolchain: Any, ldflags: str) -> Iterator[Running]:
    with start(build("heap", toolchain, ldflags=ldflags)) as process:
        yield process


def heap_of(target: Any) -> Heap:
    with open_target(str(target), memory="direct") as opened:
        asked = Run(opened, None)
        heap = read_heap(asked)
        assert heap is not None
        assert asked.notes == []
    return heap


def assert_told(heap: Heap, told: list[list[Any]]) -> None:
    """Objects are found with their slots, alive exactly if the program says so, and listed exactly then.

    Of a dead one the span may be gone, too, and the pages of one that filled a span may be another span by now.
    """
    address, usable, noscan, alive = (np.array(column) for column in zip(*told, strict=True))
    now = heap.objects(address.astype(np.uint64))
    reused = ~alive & (now.base != 0) & ((now.base + now.size).astype(np.int64) != address + usable)
    assert reused.sum() <= 4
    assert (usable[reused] >= PAGE_SIZE).all()
    address, usable, noscan, alive = (column[~reused] for column in (address, usable, noscan, alive))
    for within in (0, usable // 2, usable - 1):
        found = heap.objects((address + within).astype(np.uint64))
        assert found.alive.tolist() == alive.tolist()
        there = found.base != 0
        assert there[alive].all()
        # A header of the allocator may stand at the beginning of the slot.
        assert np.isin((address - found.base.astype(np.int64))[there], (0, MALLOC_HEADER_SIZE)).all()
        assert ((found.base + found.size).astype(np.int64) == address + usable)[there].all()
        assert not found.size[~there].any()
    listed: dict[int, tuple[int, bool]] = {}
    for slots in heap.alive():
        rows = zip(slots.addresses.tolist(), slots.sizes.tolist(), slots.noscan.tolist(), strict=True)
        listed |= {base: (size, plain) for base, size, plain in rows}
    expected = zip(found.base.tolist(), found.size.tolist(), noscan.tolist(), alive.tolist(), strict=True)
    for base, size, plain, lives in expected:
        assert listed.get(base) == ((size, plain) if lives else None)


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_objects_are_found_with_their_slots_and_collected_ones_are_dead(running):
    told = running.ask("objects")["objects"]
    assert {alive for *_, alive in told} == {True, False}
    assert_told(heap_of(running.pid), told)


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_live_objects_are_as_many_and_as_large_as_the_runtime_counts(running):
    before = running.ask("measure")
    for _ in range(ROUNDS):
        slots = list(heap_of(running.pid).alive())
        after = running.ask("again")
        if after == before:
            break
        before = after
    assert after == before
    assert sum(len(part.sizes) for part in slots) == before["objects"]
    assert sum(int(part.sizes.sum()) for part in slots) == before["bytes"]


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_objects_of_chosen_sizes_are_listed(running):
    heap = heap_of(running.pid)
    everything = np.concatenate([part.sizes for part in heap.alive()])
    chosen = np.concatenate([part.sizes for part in heap.alive(48, 64)])
    assert set(chosen.tolist()) == {48, 64}
    assert len(chosen) == int(np.isin(everything, (48, 64)).sum())


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_in_spans_that_wait_to_be_swept_the_marks_tell_what_is_dead(toolchain):
    with start(build("heap", toolchain), env={"GOMAXPROCS": "1"}) as running:
        told = running.ask("collect")["objects"]
        heap = heap_of(running.pid)
    unswept = set(heap.spans["start"][heap.spans["age"] == schema.UNSWEPT].tolist())
    assert {alive for address, *_, alive in told if address in unswept} == {True, False}
    assert_told(heap, told)


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_the_heap_of_a_kernel_core_is_read(toolchain, ldflags):
    core = cached_core(build("heap", toolchain, ldflags=ldflags), command="confess")
    told = json.loads(core.stderr.splitlines()[0])["objects"]
    assert_told(heap_of(core.path), told)


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_without_readable_heap_metadata_there_is_a_note_and_no_heap(toolchain, tmp_path):
    core = kernel_core(build("heap", toolchain), directory=tmp_path)
    whole = core.path.stat().st_size
    os.truncate(core.path, whole // 2)
    with open_target(str(core.path), exe=str(core.exe)) as target:
        asked = Run(target)
        assert read_heap(asked) is None
        assert asked.notes[-1] == NOT_FOUND


def spans_of(target: Target) -> list[int]:
    """Addresses of the mspans that are in use, by the symbol of mheap_."""
    symbol = target.program.image.symbol("runtime.mheap_")
    data = np.frombuffer(target.memory.read(symbol.address, symbol.size), np.uint8)
    declared, head = schema.mspan(target.program.release), schema.mheap_spans(target.program.release)
    heads = (data[at : at + head.sizeof()] for at in _candidates(data, dtype_of(head)))
    # The page allocator has slices that look the same, but do not lead to spans.
    run = Run(target)
    found = next(
        each
        for each in heads
        if _read_all(run, run.regions(), symbol.address, each.view(dtype_of(head))[0]) is not None
    )
    allspans = head.parse(found.tobytes()).allspans
    pointers = np.frombuffer(target.memory.read(allspans.data, allspans.len * 8), "<u8").tolist()
    parsed = {each: declared.parse(target.memory.read(each, declared.sizeof())) for each in pointers}
    return [each for each, span in parsed.items() if span.state == schema.SPAN_IN_USE]


@pytest.mark.parametrize(("damaged", "kept"), [(1, True), (3, True), (1000, False)])
def test_spans_that_make_no_sense_are_left_out_and_many_of_them_disprove_the_heap(crash, tmp_path, damaged, kept):
    core = crash("heap")
    copy = shutil.copy(core.path, tmp_path)
    with open_target(str(core.path)) as target:
        whole, spans = read_heap(Run(target)), spans_of(target)
        elemsize = dtype_of(schema.mspan(target.program.release)).fields["elemsize"][1]
        assert len(spans) == len(whole.spans)
        assert isinstance(target.memory, CoreFile)
        with open(copy, "r+b") as file:
            for address in seeded(damaged).sample(spans, min(damaged, len(spans) // 2)):
                chunk = target.memory._chunk_at(address + elemsize)
                file.seek(chunk.offset + address + elemsize - chunk.start)
                file.write(b"\xff" * 8)
    with open_target(copy, exe=str(core.exe)) as target:
        asked = Run(target)
        heap = read_heap(asked)
        assert (heap is not None) == kept
        if heap is not None:
            assert len(heap.spans) == len(whole.spans) - damaged
            assert f"{damaged} heap spans hold impossible values" in asked.notes[-1]
        else:
            assert asked.notes[-1] == NOT_FOUND


def counts_differ(heap: Heap) -> list[int]:
    """Starts of swept spans that have not as many live objects as the allocator counted."""
    address = np.concatenate([part.addresses for part in heap.alive()])
    span = np.searchsorted(heap.spans["start"], address, side="right") - 1
    live = np.bincount(span, minlength=len(heap.spans))
    swept = np.isin(heap.spans["age"], (schema.SWEPT, schema.SWEPT_AND_CACHED))
    assert swept.sum() > len(heap.spans) // 2
    wrong = swept & (live != heap.spans["allocCount"].astype(np.int64))
    return heap.spans["start"][wrong].tolist()


@pytest.mark.slow
def test_a_stripped_service_has_as_many_live_objects_as_its_allocator_counted():
    try:
        with prometheus(seconds=5) as pid:
            heap = heap_of(pid)
    except NoPackage as reason:
        pytest.skip(str(reason))
    assert len(heap.spans) > 500
    assert counts_differ(heap) == []


@pytest.mark.slow
@pytest.mark.parametrize("release", PACKAGES)
def test_heaps_of_releases_without_a_toolchain_here_hold_as_many_objects_as_their_allocators_counted(release):
    try:
        with esbuild(release, {}) as pid:
            heap = heap_of(pid)
    except NotOnNpm as reason:
        pytest.skip(str(reason))
    assert len(heap.spans) > 100
    assert counts_differ(heap) == []
