"""Maps that nothing leads to any more are told from those that are kept somewhere, and are summed apart."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from rich.console import Console

from benchmarks.damaged.images import Image
from fixtures import SWISS_RELEASES, USUAL, Running, build, cached_core, start
from inspector.census import take_census
from inspector.census.groups import UNREACHABLE
from inspector.census.select import Selection
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.heap import mspan
from inspector.heap import marking
from inspector.heap.spans import find_spans
from inspector.report.json.census import census_form
from inspector.report.text.census import print_census
from inspector.report.text.view import View
from inspector.target.opening import open_target
from inspector.target.run import Run


@pytest.fixture(
    params=[
        pytest.param((toolchain, ldflags), id=f"{toolchain.name}{ldflags and '-stripped'}")
        for toolchain in (USUAL, SWISS_RELEASES[-1])
        for ldflags in ("", "-s -w")
    ]
)
def dropping(request: pytest.FixtureRequest) -> Iterator[Running]:
    toolchain, ldflags = request.param
    with start(build("dropped", toolchain, ldflags=ldflags)) as running:
        yield running


def addresses(running: Running, which: str) -> set[int]:
    return {int(address, 16) for address in running.truth[which]}


def test_dropped_maps_are_unreachable_until_they_are_collected_and_kept_ones_never(dropping):
    kept, dropped = addresses(dropping, "kept"), addresses(dropping, "dropped")
    with open_target(str(dropping.pid), memory="direct") as target:
        census = take_census(target)
        rows = {one.address: one for one in census.maps}
        assert not [hex(address) for address in kept if rows[address].unreachable]
        waiting = {address for address in dropped if rows[address].unreachable}
        # A stale word on a stack may lead to one or the other.
        assert len(waiting) >= 0.9 * len(dropped)
        assert {one.address for one in census.maps if one.unreachable} >= waiting
        assert census.unreachable(list(census.maps)).maps >= len(waiting)
        assert dropping.ask("collect") == {"collected": True}
        after = take_census(target)
    assert kept <= {one.address for one in after.maps}
    assert not waiting & {one.address for one in after.maps}
    assert after.unreachable(list(after.maps)).maps == 0


def test_unreachable_maps_have_groups_and_a_sum_of_their_own(dropping):
    with open_target(str(dropping.pid), memory="direct") as target:
        census = take_census(target)
    form = census_form(census, Selection())["census"]
    waiting = [one for one in form["maps"] if one.get("unreachable")]
    (group,) = [each for each in form["groups"] if each["held_by"] == "nothing"]
    assert group["group"] == f"{UNREACHABLE}: map[string]string"
    assert group["maps"] == form["unreachable"]["maps"] == len(waiting) > 0
    assert group["bytes"] == form["unreachable"]["bytes"] == sum(one["bytes"]["total"] for one in waiting)
    out = io.StringIO()
    print_census(census, Selection(), None, Console(file=out, width=100), View())
    assert f"{len(waiting)} maps of " in out.getvalue()
    assert f"are {UNREACHABLE}" in out.getvalue()


@pytest.mark.slow
def test_a_core_tells_unreachable_maps_as_the_process_does(dropping):
    core = cached_core(dropping.exe)
    truth = core.truth
    with open_target(str(core.path), exe=str(core.exe)) as target:
        rows = {one.address: one for one in take_census(target).maps}
    assert not [address for address in truth["kept"] if rows[int(address, 16)].unreachable]
    assert sum(rows[int(address, 16)].unreachable for address in truth["dropped"]) >= 0.9 * len(truth["dropped"])


def test_a_list_of_finalizers_without_an_end_is_said_and_not_followed_for_ever():
    core = cached_core(build("dropped", USUAL))
    with open_target(str(core.path), exe=str(core.exe)) as target:
        run = Run(target, None)
        place = dtype_of(mspan(run.release)).fields["specials"][1]
        heads = (
            int.from_bytes(target.memory.read(int(at) + place, 8), "little") for at in find_spans(run).spans["record"]
        )
        head = next(filter(None, heads))
        census = take_census(Image("looped", target, ()).with_bytes(head, head.to_bytes(8, "little")).target)
    assert census.unreachable(list(census.maps)) is None
    assert any("has no end" in note for note in census.notes)
    assert len(census.maps) > 500


@pytest.mark.slow
def test_it_is_not_known_what_is_unreachable_where_the_memory_moves(dropping):
    with open_target(str(dropping.pid), memory="direct", stop=False) as target:
        census = take_census(target)
    assert census.unreachable(list(census.maps)) is None
    assert json.loads(json.dumps(census_form(census, Selection())))["census"]["unreachable"] is None


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("MOST_BYTES", "the heap is too large"), ("MOST_ALONE", "references lead through too many objects")],
)
def test_marks_that_would_take_too_long_are_not_made_and_the_census_says_so(limit, reason, monkeypatch):
    core = cached_core(build("dropped", USUAL))
    monkeypatch.setattr(marking, limit, 1)
    with open_target(str(core.path), exe=str(core.exe)) as target:
        census = take_census(target)
    assert census.unreachable(list(census.maps)) is None
    assert any(f"it is not known which maps are unreachable: {reason}" in note for note in census.notes)
    assert len(census.maps) > 500
