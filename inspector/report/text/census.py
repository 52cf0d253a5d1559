"""The census in text: groups of maps, or single ones, the largest first; whether all are sound; and the totals."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from inspector.census import Census, CensusMap, by_type, total
from inspector.census.diff import Diff
from inspector.census.groups import UNREACHABLE
from inspector.census.model import Unproven
from inspector.census.select import Selection
from inspector.gotypes.render import plain
from inspector.gotypes.words import number_of
from inspector.inspection.one_map import PARTIAL
from inspector.report.text.columns import Column, print_line, print_table
from inspector.report.text.diff import print_diff
from inspector.report.text.groups import print_group, print_groups
from inspector.report.text.one_map import VERDICT_STYLES, VERDICT_WORDS
from inspector.report.text.view import View, percent
from inspector.report.text.words import described

TYPES_SHOWN = 10
WRONG_SHOWN = 20
"""Maps that are not sound of which a list of groups shows the findings."""

ALIKE_SHOWN = 4
"""Candidates of which the same is said that are listed."""

MATCHES_SHOWN = 3
"""Types that are named where a filter matches nothing."""

USUAL = View()


def print_census(census: Census, selection: Selection, diff: Diff | None, console: Console, view: View = USUAL) -> None:
    """Print the whole census. Nothing from the target reaches the terminal unescaped."""
    console.print(Text(described(census.target)))
    maps = selection.matching(census.maps)
    single = view.maps or selection.group is not None or selection.only_findings
    if diff is not None:
        print_diff(diff, selection.top, view, console)
        if maps and single:
            console.print()
    if maps and single:
        if selection.group is not None:
            print_group(selection.groups(census)[0], view, console)
        _maps(maps, total(census.maps).bytes, selection, view, console)
        if len({one.type for one in maps}) > 1:
            _types(maps, view, console)
    elif maps and diff is None:
        print_groups(selection.groups(census), selection, view, console)
    _findings(maps, None if single else WRONG_SHOWN, console)
    console.print()
    if not census.maps:
        console.print(Text("No map was found."))
    elif not maps and not selection.only_findings:
        _nothing_matches(census, view, console)
    else:
        print_soundness(replace(selection, only_findings=False).matching(census.maps), console)
    _unproven(census, view, console)
    if maps or not census.maps:
        _totals(census, maps, view, console)
        _unreachable(census, maps, view, console)
    if selection.sort == "waste" and (shrinking := census.shrinking(maps)) is not None:
        console.print(Text(shrinking.words))
    _timing(census, view, console)
    if view.more and maps and not single:
        print_line(Text(view.more, style="dim"), console)


def _maps(maps: list[CensusMap], all_bytes: int, selection: Selection, view: View, console: Console) -> None:
    shown = maps[: selection.top]
    title = f"maps by {selection.sort}"
    title += f" ({len(shown):,} of {len(maps):,})" if len(shown) < len(maps) else f" ({len(maps):,})"
    state = "growing" if all(one.growing or not _state(one) for one in shown) else "state"
    places = [plain(place_words(one)) for one in shown]
    columns = [
        Column("address", [f"{one.address:#x}" for one in shown]),
        Column("type", [_type(one) for one in shown], least=24, drops=5),
        Column("name", places, least=24, instead_of="type"),
        Column("count", [f"{one.count:,}" for one in shown], number=True, drops=2),
        Column("load", [f"{one.load:.2f}" for one in shown], number=True, drops=8),
        Column("bytes", [view.size(one.bytes.total) for one in shown], number=True),
        Column("share", [percent(one.bytes.total / (all_bytes or 1)) for one in shown], number=True, drops=3),
        Column("fresh map", [view.size(one.bytes.if_rebuilt) for one in shown], number=True, drops=7),
        Column(state, [_state(one) for one in shown], drops=6),
        Column("verdict", [one.verdict for one in shown], styles=[VERDICT_STYLES[one.verdict] for one in shown]),
    ]
    if "type" not in print_table(title, columns, console):
        if not all(places):
            print_line(Text("a type stands in the place of a name that is not known", style="dim"), console)
    elif any(one.alternatives for one in shown):
        words = "? another type fits as well: inspect the map by its address to see which"
        print_line(Text(words, style="dim"), console)


def _state(one: CensusMap) -> str:
    """A growth that is under way, or what else is worth a word."""
    return ", ".join([*([plain(one.state)] if one.state else []), *(["cloned"] if one.clones else [])])


def place_words(one: CensusMap) -> str:
    """The name of a map, or what holds it: words that no name begins with."""
    if one.unreachable:
        return f"({UNREACHABLE})"
    return one.name or (f"in {one.holder}" if one.holder else "")


def _type(one: CensusMap) -> str:
    return plain(one.type) + (" ?" if one.alternatives else "")


def _types(maps: list[CensusMap], view: View, console: Console) -> None:
    sums = by_type(maps)
    title = "types" if len(sums) <= TYPES_SHOWN else f"types (the largest {TYPES_SHOWN} of {len(sums)})"
    each = list(sums.values())[:TYPES_SHOWN]
    columns = [
        Column("type", [plain(name) for name in list(sums)[:TYPES_SHOWN]], least=24),
        Column("maps", [f"{one.maps:,}" for one in each], number=True),
        Column("entries", [f"{one.entries:,}" for one in each], number=True, drops=2),
        Column("bytes", [view.size(one.bytes) for one in each], number=True),
        Column("reclaimable", [view.size(one.wasted) for one in each], number=True, drops=1),
        Column("growing", [f"{one.growing:,}" for one in each], number=True, drops=3),
    ]
    console.print()
    print_table(title, columns, console)


def _findings(maps: list[CensusMap], most: int | None, console: Console) -> None:
    # Goroutines that were writing a sound map are worth a line, too; a warning about it is not.
    wrong = [
        one for one in maps if one.verdict != "consistent" or any(finding.rule == "W2" for finding in one.findings)
    ]
    wrong.sort(key=lambda one: one.verdict != "inconsistent")
    for one in wrong[:most]:
        console.print()
        name = f"{plain(one.name)}, " if one.name else ""
        console.print(
            Text(f"{name}{plain(one.type)} at {one.address:#x}: {one.verdict} ({VERDICT_WORDS[one.verdict]})")
        )
        for finding in one.findings if one.verdict != "moving" else ():
            console.print(Text(f"  {finding.rule} {finding.severity}: {plain(finding.message)}"))
    if most is not None and len(wrong) > most:
        console.print()
        console.print(Text(f"{number_of(len(wrong) - most, 'more map')} like these"))


def print_soundness(maps: list[CensusMap], console: Console) -> None:
    """Whether anything is wrong, and how many maps that is said of."""
    wrong = sum(one.verdict == "inconsistent" for one in maps)
    unchecked = sum(one.verdict in PARTIAL for one in maps)
    if wrong:
        are = "is" if wrong == 1 else "are"
        words = f"{wrong:,} of {number_of(len(maps), 'map')} {are} inconsistent."
    else:
        checked = len(maps) - unchecked
        were = "was" if checked == 1 else "were"
        findings = "" if any(one.findings for one in maps) else "No findings: "
        words = f"{findings}{number_of(checked, 'map')} {were} checked, and nothing is wrong."
    if unchecked:
        words += f" {number_of(unchecked, 'map')} could not be checked in full."
    console.print(Text(words, style="bold red" if wrong else ""))


def _unproven(census: Census, view: View, console: Console) -> None:
    """How many candidates could not be proven, or each of them."""
    every = census.unproven
    if not every:
        return
    if view.unproven:
        shown = _without_many_alike(sorted(every, key=lambda one: (not one.evidence, one.address)))
        columns = [
            Column("address", [f"{one.address:#x}" for one in shown]),
            Column("count", [f"{one.count:,}" for one in shown], number=True, drops=2),
            Column("possible type", [_possible(one) for one in shown], least=24, drops=1),
            Column("why it is not proven", [one.why for one in shown], least=24),
        ]
        print_table(f"candidates that could not be proven ({len(every):,})", columns, console)
        more = len(every) - len(shown)
        if more:
            print_line(Text(f"{more:,} more {'is' if more == 1 else 'are'} like those above"), console)
        return
    likely = sum(one.evidence for one in every)
    some = f", {likely:,} of them with evidence" if likely else ""
    how = f"; {view.more_unproven}" if view.more_unproven else ""
    print_line(Text(f"{number_of(len(every), 'candidate')} could not be proven{some}{how}"), console)


def _without_many_alike(candidates: list[Unproven]) -> list[Unproven]:
    """The first few of those of which the same is said; all of which there is evidence."""
    seen: Counter[tuple[int, str, str]] = Counter()
    shown = []
    for one in candidates:
        kind = one.count, _possible(one), one.why
        seen[kind] += 1
        if one.evidence or seen[kind] <= ALIKE_SHOWN:
            shown.append(one)
    return shown


def _possible(one: Unproven) -> str:
    first, *others = one.types or ("not known",)
    return plain(first) + (" ?" if others else "")


def _nothing_matches(census: Census, view: View, console: Console) -> None:
    """What there was, where a filter leaves none of it."""
    sums = by_type(census.maps)
    largest = max(one.bytes.total for one in census.maps)
    types = ", ".join(f"{plain(name)} ({each.maps:,})" for name, each in list(sums.items())[:MATCHES_SHOWN])
    others = f" and {number_of(len(sums) - MATCHES_SHOWN, 'other type')}" if len(sums) > MATCHES_SHOWN else ""
    console.print(
        Text(
            f"No map matches. There are {number_of(len(census.maps), 'map')}, the largest of {view.size(largest)}, "
            f"of {number_of(len(sums), 'type')}: {types}{others}."
        )
    )


def _totals(census: Census, maps: list[CensusMap], view: View, console: Console) -> None:
    every = total(maps)
    heap = f" ({percent(every.bytes / census.heap_in_use)} of the heap in use)" if census.heap_in_use else ""
    console.print(
        Text(
            f"{number_of(every.maps, 'map')} with {number_of(every.entries, 'entry')}: {view.size(every.bytes)}{heap}, "
            f"{view.size(every.wasted)} reclaimable; {every.growing:,} growing, {every.inconsistent:,} inconsistent"
        )
    )


def _unreachable(census: Census, maps: list[CensusMap], view: View, console: Console) -> None:
    """How many maps wait for the next collection, and what it gives back."""
    waiting = census.unreachable(maps)
    if waiting is not None and waiting.maps:
        console.print(
            Text(
                f"{number_of(waiting.maps, 'map')} of {view.size(waiting.bytes)} among them "
                f"{'is' if waiting.maps == 1 else 'are'} {UNREACHABLE}: nothing leads there any more"
            )
        )


def _timing(census: Census, view: View, console: Console) -> None:
    timing = census.timing
    paused = f"; paused {timing.stopped:.0f} ms in total, {timing.longest_stop:.1f} ms at most"
    console.print(
        Text(
            f"{view.size(census.scanned_bytes)} scanned in {timing.total / 1000:.1f} s"
            f"{paused if census.target.kind == 'process' else ''}",
            style="dim",
        )
    )
