"""Maps with a damaged byte: a census lists what most of their keys prove, and counts what it cannot prove."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.damaged.__main__ import outcomes_of
from benchmarks.damaged.images import Image, opened
from benchmarks.damaged.places import Range, ranges_of
from benchmarks.damaged.trying import Outcome
from inspector.census import Census, CensusMap, take_census
from inspector.census.select import Selection
from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, EXIT_PARTIAL, NotAMap
from inspector.inspection.one_map import inspect
from inspector.report.json.census import census_form
from inspector.report.text.census import print_census
from inspector.report.text.view import View
from inspector.target.run import Run
from inspector.target.target import Target
from tests.support.chance import unforeseen

CHANGES, AT_LEAST, MOST = 24, 20, 5
"""So few say nothing of 95 %, which `python -m benchmarks.damaged` measures. Where chance took some of the few that are
not told, more are changed, so many times at most, and all count."""

PARTS = {
    "classic": ["key", "tophash", "header: flags", "header: B", "header: hash0", "header: buckets"],
    "swiss": ["key", "control word", "header: seed", "header: dirPtr", "header: globalShift", "directory",
              "table: groups", "table: lengthMask"],
}  # fmt: skip

FLIPPED = (0x40, 0x20, 0x10)
"""Bits that are changed in a byte, the first one where that makes a difference: of 128 other keys one hashes alike."""

EMPTY, MIN_TOPHASH = 0x80, 5
"""Control bytes from the former on, and tophashes below the latter, are those of slots that are not in use."""


@pytest.fixture(scope="module", params=["classic", "swiss"])
def stripped(request: pytest.FixtureRequest) -> Iterator[Image]:
    """A stripped core, where nothing but its keys leads to most maps."""
    with opened(request.param, "stripped") as image:
        yield image


def ranges(image: Image, one: CensusMap) -> list[Range]:
    run = Run(image.target, None)
    go_type = run.types.find_map_type(one.type)
    return ranges_of(run, run.family.take_snapshot(run.source(), one.address, go_type, 0))


def broken(image: Image, one: CensusMap, part: str) -> Target:
    """The target with the first byte of a part changed, so that the map is not as the runtime would have made it."""
    place = next(each for each in ranges(image, one) if each.part == part)
    before = image.target.memory.read(place.address, 1)[0]
    for bit in FLIPPED:
        target = image.with_byte(place.address, before ^ bit)
        run = Run(target, None)
        snapshot = run.family.take_snapshot(run.source(), one.address, run.types.find_map_type(one.type), 0)
        if snapshot.judge().verdict == "inconsistent":
            return target
    raise AssertionError(f"no change of {part} shows")


def damaged(image: Image, one: CensusMap, part: str) -> Census:
    """A census with the first byte of a part changed."""
    return take_census(broken(image, one, part))


def with_keys(image: Image, least: int, most: int) -> CensusMap:
    """A map that nothing typed leads to, of so many entries, whose keys can all be hashed."""
    return next(
        one
        for one in image.maps
        if least <= one.count <= most and one.type_source == "hash-proof" and one.holder is None
        if one.type.startswith(("map[string]", "map[int", "map[uint", "map[main.point]"))
    )


@pytest.mark.slow
def test_a_map_with_a_damaged_byte_is_listed_as_inconsistent_where_nothing_typed_leads_to_it(stripped):
    family = "classic" if "classic" in stripped.name else "swiss"
    # A map with tables, or with several buckets.
    one = with_keys(stripped, 20, 400)
    for part in PARTS[family]:
        census = damaged(stripped, one, part)
        row = {each.address: each for each in census.maps}[one.address]
        assert (row.verdict, row.count) == ("inconsistent", one.count), part
        assert one.type in (row.type, *row.alternatives), part
        assert row.findings, part
        assert census.exit_code == EXIT_INCONSISTENT
        assert len(census.maps) >= len(stripped.maps), part


@pytest.mark.slow
def test_a_damaged_map_is_inspected_by_its_address_as_the_census_lists_it(stripped):
    one = with_keys(stripped, 20, 400)
    for part in PARTS["classic" if "classic" in stripped.name else "swiss"]:
        for given in (None, one.type):
            target = broken(stripped, one, part)
            inspection = inspect(target, f"{one.address:#x}", given, entries=0)
            assert (inspection.judgement.verdict, inspection.exit_code) == ("inconsistent", EXIT_INCONSISTENT), part
            assert one.type in (inspection.ref.type.name, *(each.name for each in inspection.ref.alternatives)), part


def test_what_is_no_map_is_refused_though_a_damaged_map_would_not_be(stripped):
    one = with_keys(stripped, 20, 400)
    for address in (one.address + 8, one.address - 64, 0x1000):
        with pytest.raises(NotAMap):
            inspect(stripped.target, f"{address:#x}", None, entries=0)


def test_what_too_few_keys_prove_is_a_candidate_with_evidence(stripped):
    one = with_keys(stripped, 1, 2)
    census = damaged(stripped, one, "key")
    assert one.address not in {each.address for each in census.maps}
    candidate = {each.address: each for each in census.unproven}[one.address]
    assert (candidate.count, candidate.evidence) == (one.count, True)
    assert census.exit_code == EXIT_PARTIAL
    out = io.StringIO()
    print_census(census, Selection(), None, Console(file=out, width=100), View(more_unproven="list them with X"))
    assert f"candidate{'s' if len(census.unproven) > 1 else ''} could not be proven, 1 of them with" in out.getvalue()
    assert "list them with X" in out.getvalue()
    print_census(census, Selection(), None, Console(file=out, width=100), View(unproven=True))
    assert f"{one.address:#x}" in out.getvalue()
    assert candidate.why in out.getvalue()
    form = census_form(census, Selection())["census"]["unproven"]
    assert form == {"candidates": len(census.unproven), "with_evidence": 1}
    listed = census_form(census, Selection(), unproven=True)["census"]["unproven"]["listed"]
    assert {"address": f"{one.address:#x}", "count": one.count, "evidence": True}.items() <= {
        key: value for each in listed if each["address"] == f"{one.address:#x}" for key, value in each.items()
    }.items()


def test_of_many_candidates_of_which_the_same_is_said_a_few_are_listed(stripped):
    census = damaged(stripped, with_keys(stripped, 1, 2), "key")
    known = next(one for one in census.unproven if one.evidence)
    alike = [replace(known, address=known.address + 64 * at, count=0, evidence=False) for at in range(1, 11)]
    out = io.StringIO()
    census = replace(census, unproven=(*alike, known))
    print_census(census, Selection(), None, Console(file=out, width=100), View(unproven=True))
    lines = out.getvalue().splitlines()
    listed = lines[lines.index(f"candidates that could not be proven ({len(census.unproven)})") + 2 :]
    assert [line.split()[0] for line in listed[:5]] == [f"{one.address:#x}" for one in (known, *alike[:4])]
    assert listed[5] == "6 more are like those above"


def test_a_sound_image_has_no_candidate_with_evidence(stripped):
    census = take_census(stripped.target)
    assert [one for one in census.unproven if one.evidence] == []
    assert census.exit_code == EXIT_CONSISTENT


def test_memory_that_is_full_of_one_key_proves_no_map(stripped):
    one = with_keys(stripped, 4, 8)
    parts = ranges(stripped, one)
    cells = next(part for part in parts if part.part in ("control word", "tophash")).address
    keys = [part for part in parts if part.part == "key"]
    memory = stripped.target.memory
    # The first key stands for all others, as zeros do in memory that nobody has used yet.
    before, first = bytes(memory.read(cells, 8)), bytes(memory.read(keys[0].address, keys[0].size))
    used = [byte < EMPTY if "swiss" in stripped.name else byte >= MIN_TOPHASH for byte in before]
    same = before[used.index(True)]
    image = stripped.with_bytes(cells, bytes(same if full else byte for full, byte in zip(used, before, strict=True)))
    for key in keys:
        image = image.with_bytes(key.address, first)
    assert len(keys) == sum(used) == one.count
    assert one.address not in {each.address for each in take_census(image.target).maps}


@pytest.mark.slow
def test_a_census_says_what_the_view_of_one_map_says_of_random_changes():
    dice, changed, outcomes, lost = unforeseen(), 0, list[Outcome](), list[str]()
    for _ in range(MOST):
        outcomes += [one for one in outcomes_of(CHANGES, dice) if one.seen]
        changed += CHANGES
        lost = [str(one.change) for one in outcomes if not one.told]
        if len(outcomes) >= changed * 2 // 3 and len(outcomes) - len(lost) >= len(outcomes) * AT_LEAST // CHANGES:
            return
    raise AssertionError((changed, len(outcomes), lost))
