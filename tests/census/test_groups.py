"""Maps rolled up by where they hang, and what a comparison says of a service that leaks."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from fixtures import SWISS_RELEASES, USUAL, Running, build, start
from fixtures.services import service
from inspector.census import Census
from inspector.census.diff import Change, Diff, Earlier, GroupChange, Row, compare
from inspector.census.groups import Place, find_group, generalized, place_of
from inspector.census.select import Selection
from inspector.errors import UsageError
from inspector.report.json.census import census_form, write_census
from inspector.report.text.census import print_census
from inspector.report.text.columns import cut
from inspector.report.text.view import View
from tests.support.census import census_of
from tests.support.commandline import assert_refused, cli_here
from tests.support.promised import PROMISED
from tests.support.terminal import COLUMNS, on_terminal

STRIPPED = "-s -w"
TAGS, SESSIONS = "main.server.sessions[*].Tags", "main.server.sessions"
BY_HOLDER = {TAGS: "(main.session).Tags", SESSIONS: "map[string]*main.session"}
"""What the groups are called where no variable has a name."""


def hanging(name: str | None, holder: str | None, go_type: str) -> Place:
    """The place of a map of which so much is known."""
    return place_of(Row(None, go_type, name, holder, 1, 0, 48))


@pytest.mark.pure
@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("main.sessions", "main.sessions"),
        ('main.server.sessions["a"].Tags', TAGS),
        (r'main.x["\"]["].y', "main.x[*].y"),
        ('main.s["session-aaaaaaaaaaaa"...150#1f0c4e2d9b3a5867].t', "main.s[*].t"),
        ("main.shards[2].table[-1]", "main.shards[*].table[*]"),
        ("main.limits[`]`]", "main.limits[*]"),
        ('main.series[{method:"GET]", code:[2]int{1, 2}}].buckets', "main.series[*].buckets"),
        ('main.owners[key main.owner{name:"x"}].m', "main.owners[key *].m"),
        ("main.boxes[4].(map[string]int)", "main.boxes[*].(map[string]int)"),
        ("main.h[1.5].(*main.cache[int]).items[7]", "main.h[*].(*main.cache[int]).items[*]"),
        ("main.unclosed[", "main.unclosed[*]"),
    ],
)
def test_keys_and_indexes_of_a_name_become_stars_and_fields_stay(name, group):
    assert generalized(name) == group
    assert hanging(name, None, "map[string]int") == Place(group, "variable")


@pytest.mark.pure
def test_a_map_without_a_name_hangs_in_its_holder_or_is_held_by_nothing_known():
    assert hanging(None, "(main.cache[int]).items[3].m", "T") == Place("(main.cache[int]).items[*].m", "holder")
    assert hanging(None, "map[string]map[int]bool", "T") == Place("(map[string]map[int]bool)[*]", "holder")
    assert hanging(None, None, "map[string]int") == Place("map[string]int", "nothing-known")
    lost = Row(None, "map[string]int", None, "(main.cache).items", 1, 0, 48, unreachable=True)
    assert place_of(lost) == Place("unreachable since the last GC: map[string]int", "nothing")


@pytest.mark.pure
def test_a_group_is_found_by_its_name_and_by_a_map_in_it():
    places = [(Place(TAGS, "variable"), 10), (Place("main.set[int]", "nothing-known"), 5)]
    assert find_group(TAGS, places) == find_group('main.server.sessions["b"].Tags', places) == TAGS
    assert find_group("main.set[int]", places) == "main.set[int]"
    with pytest.raises(UsageError, match=r"no map is in a group main.server.sesions\[\*\].Tags; there are 2 groups"):
        find_group("main.server.sesions[*].Tags", places)


@pytest.mark.pure
def test_a_group_that_is_not_there_is_refused_with_those_that_are():
    assert_refused(cli_here("demo", "--group", "main.sesions"), "no map is in a group main.sesions", "main.sessions?")
    assert_refused(cli_here("demo", "--group", "x"), "there are 5 groups", "the largest are main.sessions, ")


@pytest.mark.pure
def test_groups_of_the_demo_add_up_to_its_maps():
    census = cli_here("demo", "--maps", "--json").document["census"]
    for what in ("maps", "entries", "bytes", "wasted", "growing", "inconsistent"):
        assert sum(group[what] for group in census["groups"]) == census["totals"][what]
    assert sum(group["share"] for group in census["groups"]) == pytest.approx(1, abs=1e-5)
    sessions = census["groups"][0]
    assert (sessions["group"], sessions["held_by"], sessions["types"]) == (
        "main.sessions",
        "variable",
        ["map[string]int"],
    )
    assert sessions["share_of_heap"] == pytest.approx(sessions["bytes"] / census["heap_in_use"], abs=1e-5)
    one = cli_here("demo", "--group", "main.sessions", "--json").document["census"]
    assert ([each["name"] for each in one["maps"]], one["totals"]["maps"]) == (["main.sessions"], 1)
    assert [(group["group"], group["share"]) for group in one["groups"]] == [("main.sessions", sessions["share"])]


@pytest.mark.pure
def test_sizes_are_exact_where_that_is_asked():
    assert "22,328 B" in cli_here("demo", "--bytes").out
    assert "22,328 B" in cli_here("demo", "--maps", "--bytes").out


@pytest.mark.pure
def test_a_pipe_gets_one_line_for_each_map_with_all_columns():
    lines = cli_here("demo", "--maps").out.splitlines()
    assert sum(line.startswith("0x") for line in lines) == 6
    assert " ".join(lines[2].split()) == "address type name count load bytes share fresh map growing verdict"


@pytest.mark.pure
@pytest.mark.parametrize("words", [["--only-findings"], ["--type-matches", "nothing"], ["--min-bytes", "1G"]])
def test_an_empty_list_says_what_there_was(words):
    answer = cli_here("demo", *words)
    assert answer.code == 0
    assert "6 maps were checked, and nothing is wrong" in answer.out or (
        "No map matches. There are 6 maps, the largest of 21.8 KiB, of 4 types: map[string]int (1)" in answer.out
    )


@pytest.mark.pure
def test_names_are_cut_in_the_middle_by_columns_of_the_terminal():
    assert cut(TAGS, 28) == TAGS
    assert cut(TAGS, 20) == "main.serve…[*].Tags"[:10] + "…" + TAGS[-9:]
    wide = 'main.names["日本語日本語"]'
    assert all(cell_len(cut(wide, width)) <= width for width in range(1, 40))
    assert cut("abcdefghij", 8, "...") == "abc...ij"


@pytest.mark.pure
def test_a_map_stands_out_that_changed_several_times_as_much_as_others_of_its_group():
    rows = [Row(at, "map[string]int", f'main.m["{at}"]', None, 1, 1, 100) for at in range(0, 800, 8)]
    usual = [Change(row, Row(row.address, row.type, row.name, None, 1, 2, 200)) for row in rows[1:]]
    large = Change(rows[0], Row(0, "map[string]int", 'main.m["0"]', None, 1, 900, 9000))
    before, after = Earlier("x", tuple(rows)), Earlier("x", tuple(c.after for c in [large, *usual] if c.after))
    diff = compare(before, after)
    assert [change.after for change in diff.outstanding()] == [large.after]
    (group,) = diff.groups
    assert (group.place.name, group.maps, group.bytes, group.entries) == ("main.m[*]", 0, 99 * 100 + 8900, 99 + 899)
    alone = compare(Earlier("x", tuple(rows[:1])), Earlier("x", (large.after,) if large.after else ()))
    assert alone.outstanding() == []


# A service that leaks


@pytest.fixture(params=[
    pytest.param((USUAL, ""), id="usual"),
    pytest.param((USUAL, STRIPPED), id="usual-stripped", marks=pytest.mark.slow),
    pytest.param((SWISS_RELEASES[-1], ""), id="swiss", marks=pytest.mark.slow),
    pytest.param((SWISS_RELEASES[-1], STRIPPED), id="swiss-stripped", marks=pytest.mark.slow),
])  # fmt: skip
def leaking(request: pytest.FixtureRequest) -> Iterator[tuple[Running, bool]]:
    """A service before it leaks, and whether it has lost its symbols."""
    toolchain, ldflags = request.param
    with start(build("hoarding", toolchain, ldflags=ldflags)) as running:
        yield running, bool(ldflags)


def test_a_comparison_names_the_leak_in_its_first_five_lines(leaking, tmp_path):
    running, stripped = leaking
    earlier = census_of(str(running.pid))
    counted, told = running.ask("count"), running.ask("leak")
    census = census_of(str(running.pid))
    names = {name: BY_HOLDER[name] if stripped else name for name in (TAGS, SESSIONS)}

    groups = {group.name: group.sum for group in Selection().groups(census)}
    assert (groups[names[TAGS]].maps, groups[names[TAGS]].entries) == (told["sessions"], told["tags"])
    assert (groups[names[SESSIONS]].maps, groups[names[SESSIONS]].entries) == (1, told["sessions"])

    diff = compare(Earlier.of(earlier), Earlier.of(census))
    assert_tells_the_leak(diff, names, counted, told)
    for width in (80, 160):
        lines = shown(census, diff, width).splitlines()
        assert max(map(cell_len, lines)) <= width
        for name in names.values():
            assert any(line.startswith(f"{name}  ") for line in lines[:5]), lines[:5]
    assert_saved_ones_say_the_same(earlier, census, diff, tmp_path)
    assert_no_row_of_80_columns_lacks_an_address_a_size_or_a_verdict(census)


def assert_tells_the_leak(diff: Diff, names: dict[str, str], counted: dict[str, int], told: dict[str, int]) -> None:
    new = told["sessions"] - counted["sessions"]
    grown: dict[str, GroupChange] = {group.place.name: group for group in diff.groups}
    tags, sessions = grown[names[TAGS]], grown[names[SESSIONS]]
    assert (tags.maps, tags.entries) == (new, told["tags"] - counted["tags"])
    assert (sessions.maps, sessions.entries) == (0, new)
    (largest,) = diff.outstanding()
    assert largest.after is not None
    assert largest.after.count == 502
    if TAGS in grown:
        assert largest.after.name == 'main.server.sessions["session-000007"].Tags'


def assert_saved_ones_say_the_same(earlier: Census, census: Census, diff: Diff, folder: Path) -> None:
    """Two files that --json wrote can be compared like what they were written of."""
    files = folder / "before.json", folder / "after.json"
    for path, one in zip(files, (earlier, census), strict=True):
        with path.open("w") as file:
            write_census(one, Selection(), None, file)
    told = cli_here("diff", *files, "--json").document
    form = census_form(census, Selection(), diff)
    PROMISED.validate(form)
    assert (told["diff"], told["target"]) == (form["diff"], form["target"])
    first = cli_here("diff", *files).out.splitlines()
    assert first[:5] == shown(census, diff, 1 << 16).splitlines()[:5]
    assert_refused(cli_here("diff", *files, "--maps"), "--maps has no effect", "is a saved census")


def assert_no_row_of_80_columns_lacks_an_address_a_size_or_a_verdict(census: Census) -> None:
    out = io.StringIO()
    print_census(census, Selection(), None, Console(file=out, width=80), View(maps=True, exact=True))
    rows = [line for line in out.getvalue().splitlines() if line.startswith("0x")]
    verdicts = Counter(line.split()[-1] for line in rows)
    assert verdicts == Counter(one.verdict for one in census.maps)
    assert {line.split()[0] for line in rows} == {hex(one.address) for one in census.maps}
    assert all(
        f" {one.bytes.total:,} B" in row for one, row in zip(Selection().matching(census.maps), rows, strict=True)
    )


def shown(census: Census, diff: Diff, width: int) -> str:
    """A comparison as text of so many columns."""
    out = io.StringIO()
    print_census(census, Selection(), diff, Console(file=out, width=width))
    return out.getvalue()


def test_entries_of_one_map_are_compared_one_by_one(tmp_path):
    core = tmp_path / "core"
    with start(build("hoarding", USUAL)) as running:
        assert cli_here("snapshot", running.pid, "-o", core).code == 0
        running.ask("edit")
        answer = cli_here("diff", core, running.pid, "--map", "main.server.users", "--json")
        text = cli_here("diff", core, running.pid, "--map", "main.server.users").out
        few = cli_here("diff", core, running.pid, "--map", "main.server.users", "--top", "1").out
        other = cli_here("diff", core, running.pid, "--map", "main.server.nobody")
    told = answer.document["entry_diff"]
    assert (answer.code, told["before"]["count"], told["after"]["count"]) == (0, 40, 41)
    assert sorted(told["added"], key=lambda entry: entry["key"]) == [
        {"key": 40, "value": "user-40"},
        {"key": 41, "value": "user-41"},
    ]
    assert told["removed"] == [{"key": 5, "value": "user-5"}]
    assert told["changed"] == [{"key": 7, "before": "user-7", "after": "renamed"}]
    assert told["unchanged"] == 38
    lines = [line.split() for line in text.splitlines()]
    assert text.splitlines()[1:3] == [
        "main.server.users  map[int]string  entries: 40 before, 41 after",
        "2 added, 1 removed, 1 changed, 38 unchanged",
    ]
    assert lines[-4] == ["~", "7", '"renamed"', '"user-7"']
    assert lines[-1] == ["-", "5", '"user-5"']
    assert "4 entries differ (1 shown)" in few
    assert other.code == 2


@pytest.mark.pure
def test_entries_are_compared_in_targets_that_have_them_and_of_one_map(tmp_path):
    saved = tmp_path / "saved.json"
    saved.write_text(cli_here("demo", "--maps", "--json").out)
    assert_refused(cli_here("diff", saved, "demo", "--map", "main.sessions"), "which has no entries", "core dump")
    assert_refused(cli_here("diff", "demo", "demo", "--map", "main.sessions", "--sort", "count"), "--sort only works")
    assert "209 unchanged" in cli_here("diff", "demo", "demo", "--map", "main.sessions").out


@pytest.mark.slow
def test_no_row_wraps_on_a_terminal_whatever_the_keys_of_a_service_are():
    with service("sessioncache") as cache, cache.paused():
        groups, maps = (on_terminal(cache.pid, *words) for words in (["--top", "all"], ["--maps", "--top", "all"]))
    for screen in (groups, maps):
        assert screen.code == 0
        assert max(map(cell_len, screen.text.splitlines())) <= COLUMNS
    rows = [line for line in maps.text.splitlines() if line.startswith("0x")]
    assert len(rows) > 300
    assert [row for row in rows if not re.fullmatch(r"0x[0-9a-f]+ .* [KM]?i?B +<?\d+%  consistent", row)] == []
    assert "main.sessions.byID[*].Tags" in groups.text
