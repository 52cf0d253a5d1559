"""The pure mirror against numbers that follow from the runtime's source, and against real maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.goruntime.releases import Release
from inspector.goruntime.sizes import roundup_size
from inspector.maps.classic.mirror.evacuation import ADVANCE_LIMIT, advance_mark, writes_to_finish
from inspector.maps.classic.mirror.growth import (
    NextGrowth,
    allocated_buckets,
    b_for_hint,
    load_limit,
    next_growth,
    old_b,
    too_many_overflow_buckets,
)
from tests.support.toolchains import EVERY_TOOLCHAIN

GO121, GO123 = Release("go1.21.13"), Release("go1.23.9")


@pytest.mark.pure
def test_hints_give_the_smallest_b_that_is_not_over_the_load_factor():
    assert [b_for_hint(GO123, hint) for hint in (0, 5, 8, 9, 10, 13, 14, 20, 26, 27, 100)] == [
        0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4,
    ]  # fmt: skip


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_real_maps_made_with_a_hint_have_the_b_of_the_mirror(run, toolchain):
    running = run("states", toolchain)
    release = Release.parse(running.truth["go"])
    for hint in (5, 10, 20, 100):
        assert running.map(f"hint_{hint}")["header"]["B"] == b_for_hint(release, hint)


@pytest.mark.pure
def test_go_1_21_allows_six_entries_a_bucket_and_all_others_six_and_a_half():
    assert load_limit(GO123, 6) == 416
    assert load_limit(GO121, 6) == 384
    assert load_limit(Release("go1.20.14"), 6) == 416
    assert load_limit(Release("go1.19.8"), 6) == 416
    assert load_limit(GO123, 0) == load_limit(GO121, 0) == 8


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_a_real_map_that_just_doubled_went_over_exactly_the_limit_of_the_mirror(run, toolchain):
    running = run("states", toolchain)
    state = running.map("double_start")
    release = Release.parse(running.truth["go"])
    assert state["len"] == load_limit(release, state["header"]["B"] - 1) + 1


@pytest.mark.pure
def test_too_many_overflow_buckets_means_as_many_as_buckets():
    assert not too_many_overflow_buckets(63, 6)
    assert too_many_overflow_buckets(64, 6)
    assert too_many_overflow_buckets(1 << 15, 20)
    assert not too_many_overflow_buckets((1 << 15) - 1, 20)


@pytest.mark.pure
def test_sizes_are_rounded_to_classes_pages_and_headers_as_the_release_does():
    assert roundup_size(GO121, 2448, noscan=False) == 2688
    assert roundup_size(GO123, 2448, noscan=True) == 2688
    assert roundup_size(GO123, 2448, noscan=False) == 2680
    assert roundup_size(GO123, 32768, noscan=False) == 32768
    assert roundup_size(GO123, 32769, noscan=True) == 40960
    assert roundup_size(GO123, 32760, noscan=False) == 32760
    assert roundup_size(GO123, 33000, noscan=True) == roundup_size(GO121, 33000, noscan=True) == 40960
    without = Release("go1.22.10", frozenset({"noallocheaders"}))
    assert roundup_size(without, 2448, noscan=False) == 2688


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_the_last_preallocated_bucket_holds_the_sentinel_where_the_mirror_says_the_array_ends(run, toolchain):
    """The size of the array is seen in memory: makeBucketArray marks its very last overflow pointer."""
    from inspector.gotypes.layouts import ClassicLayout
    from inspector.target.opening import open_target

    running = run("states", toolchain)
    checked = 0
    with open_target(str(running.pid), memory="direct") as target:
        for state in running.truth["maps"]:
            header = state["header"]
            if (
                header is None
                or header["B"] < 4
                or not header["extra"]["nextOverflow"]
                or state["name"] == "reflect_map"
            ):
                continue
            layout = target.program.types.find_map_type(state["type"]).layout
            assert isinstance(layout, ClassicLayout)
            rows = allocated_buckets(
                target.program.release, layout.bucket_size, layout.bucket_has_pointers, header["B"]
            )
            end = int(header["buckets"], 16) + rows * layout.bucket_size
            assert int.from_bytes(target.memory.read(end - 8, 8), "little") == int(header["buckets"], 16)
            checked += 1
    assert checked > 15


@pytest.mark.pure
def test_the_next_growth_doubles_at_the_limit_or_repeats_the_size_at_once():
    assert next_growth(GO123, 400, 6, 3) == NextGrowth("double", 17)
    assert next_growth(GO123, 0, 0, 0) == NextGrowth("double", 9)
    assert next_growth(GO123, 416, 6, 64) == NextGrowth("double", 1)
    assert next_growth(GO123, 415, 6, 64) == NextGrowth("same-size", 1)
    assert next_growth(GO123, 470, 6, 0) == NextGrowth("double", 1)
    assert old_b(6, same_size=False) == 5
    assert old_b(6, same_size=True) == 6


@pytest.mark.pure
def test_the_mark_moves_over_evacuated_buckets_up_to_its_limit():
    evacuated = np.zeros(3000, dtype=bool)
    evacuated[1:2] = True
    assert advance_mark(evacuated, 0) == 2
    evacuated[1:2500] = True
    assert advance_mark(evacuated, 0) == ADVANCE_LIMIT + 1
    evacuated[:] = True
    assert advance_mark(evacuated, 2999) == 3000


def slowest_finish(evacuated: np.ndarray, mark: int) -> int:
    """Step the mark write by write, each write helping as little as it can."""
    evacuated, writes = evacuated.copy(), 0
    while mark < len(evacuated):
        evacuated[mark] = True
        mark = advance_mark(evacuated, mark)
        writes += 1
    return writes


def fastest_finish(evacuated: np.ndarray, mark: int) -> int:
    """Step write by write, each write using the bucket at the mark itself."""
    evacuated, writes = evacuated.copy(), 0
    while mark < len(evacuated):
        for _ in range(2):
            if mark < len(evacuated):
                evacuated[mark] = True
                mark = advance_mark(evacuated, mark)
        writes += 1
    return writes


@pytest.mark.pure
@given(
    runs=st.lists(
        st.one_of(
            # The mark skips evacuated buckets, up to its limit; it stops at each that waits.
            st.tuples(st.just(True), st.sampled_from([1, 2, 5, 1023, 1024, 1025, 1026, 2100])),
            st.tuples(st.just(False), st.sampled_from([1, 2, 5, 70])),
        ),
        max_size=9,
    ),
    below=st.sampled_from([0, 1, 3]),
)
def test_writes_to_finish_equal_a_growth_stepped_write_by_write(runs, below):
    parts = [np.ones(below, dtype=bool)] + [np.full(length, done) for done, length in runs] + [np.zeros(1, dtype=bool)]
    evacuated = np.concatenate(parts)
    left = writes_to_finish(evacuated, below)
    assert left.max == slowest_finish(evacuated, below)
    assert left.min == fastest_finish(evacuated, below)
