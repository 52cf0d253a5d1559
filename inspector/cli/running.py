"""From a request to an answer: the target is opened, inspected, let go, and the answer delivered.

What one kind of answer alone needs is loaded where it is given: most of the time that a small map takes is loading.
Nothing is loaded while a process is held.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from inspector import watching
from inspector.cli.delivering import console, deliver, write_answer
from inspector.cli.interrupting import reporting_its_outcome
from inspector.cli.request import DEMOS, Request
from inspector.cli.saying import PROGRAM
from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, BadCore, UnknownVariable, UsageError
from inspector.gotypes.redaction import current
from inspector.settings import MemoryChoice, shown
from inspector.target.opening import open_target
from inspector.target.target import Target

if TYPE_CHECKING:
    from inspector.census.census import Question
    from inspector.census.diff import Earlier
    from inspector.census.model import Census
    from inspector.census.saved import Part
    from inspector.gotypes.gotype import GoType

OF_ONE_MAP = (
    "inspector.census.retaining",
    "inspector.inspection.columns",
    *(f"inspector.inspection.{each}" for each in ("duplicates", "largest", "one_key", "one_map", "searching")),
    "inspector.maps.damaged",
    "inspector.naming.frames",
)
"""What answers questions of one map. A gdbserver holds its process from its opening on, so it is loaded before that."""


def run(request: Request) -> int:
    """Answer a request; returns the exit code. Raises the InspectError family."""
    request.check()
    if request.entries_of is not None:
        return _compare_entries(request, request.entries_of)
    saved = _saved(request.target) if request.diff is not None and request.target not in DEMOS else None
    if saved is not None:
        return _compare_with_saved(saved, request)
    with _opened(request) as (target, asked):
        if asked.all_maps:
            if asked.retained:
                return _find_all_retained(target, asked)
            if asked.duplicates:
                return _find_all_duplicates(target, asked)
            return _census(target, asked) if asked.grep is None else _search_all(target, asked.grep, asked)
        assert asked.map is not None
        try:
            if asked.key is not None:
                return _look_up(target, asked.map, asked.key, asked)
            if asked.retained:
                return _find_retained(target, asked.map, asked)
            if asked.duplicates:
                return _find_duplicates(target, asked.map, asked)
            if asked.grep is not None:
                return _search(target, asked.map, asked.grep, asked)
            if asked.top_entries is not None:
                return _find_largest(target, asked.map, asked.top_entries, asked)
            if asked.export is not None:
                from inspector.cli.exporting import export

                return export(target, asked.map, Path(asked.export), asked)
            return _inspect(target, asked.map, asked)
        except UnknownVariable:
            if os.path.isfile(asked.map):
                raise UsageError(
                    f"{shown(asked.map)} is a file, but a map is expected here",
                    f"give one TARGET, or compare two: {PROGRAM} diff {shown(asked.target or '')} {shown(asked.map)}",
                ) from None
            raise


@contextmanager
def _opened(request: Request) -> Iterator[tuple[Target, Request]]:
    """The target of a request, and the request with what the target itself answers."""
    exe, stop = request.exe[0] if request.exe else None, request.stop
    if request.remote is not None:
        from inspector.target.remote import open_remote

        for each in (*OF_ONE_MAP, *(("inspector.cli.exporting",) if request.export is not None else ())):
            import_module(each)
        watching.begin("Connecting to the gdbserver")
        with open_remote(request.remote, exe=exe, memory=request.memory, stop=stop, gdb=request.gdb) as target:
            yield target, request
        return
    name = request.target
    assert name is not None
    watching.begin("Opening the target")
    # The list of all maps needs no gdb: it reads types of variables itself, and stops the process often and shortly.
    memory: MemoryChoice = "direct" if request.all_maps and request.memory == "auto" else request.memory
    if name in DEMOS:
        from inspector.cli.demo import open_demo

        with open_demo("direct" if memory == "auto" else memory, request.gdb, DEMOS[name]) as demo:
            if not request.all_maps and request.map in (None, demo.variable):
                request = replace(request, map=demo.variable, type=request.type or demo.type)
            yield demo.target, request
        return
    try:
        opened = open_target(
            name, exe=exe, memory=memory, stop=stop, gdb=request.gdb, max_unpacked=request.max_unpacked
        )
    except BadCore:
        if _saved(name):
            raise UsageError(
                f"{name} is a saved census, not a core dump",
                f"compare it with another: {PROGRAM} diff {name} TARGET",
            ) from None
        raise
    opened.led_to = _types_that_lead_to
    with opened as target, reporting_its_outcome(target):
        yield target, request


def _types_that_lead_to(target: Target, address: int) -> tuple[GoType, ...]:
    # What walks through references is loaded only where it is needed.
    from inspector.census.following import TypesOfReferences

    return TypesOfReferences()(target, address)


def _saved(path: str | None) -> Part | None:
    """The census that was saved in a file; None for whatever else is named."""
    from inspector.census.saved import read_saved

    try:
        return read_saved(path) if path is not None else None
    except UsageError:
        return None


def _inspect(target: Target, name: str, request: Request) -> int:
    from inspector.inspection.one_map import inspect

    inspection = inspect(target, name, request.type, request.entries, request.max_stop)

    def show() -> None:
        if request.json:
            from inspector.report.json.one_map import write_json

            write_json(inspection, sys.stdout)
        elif request.ndjson:
            from inspector.report.json.one_map import write_ndjson

            write_ndjson(inspection, sys.stdout)
        else:
            from inspector.report.text.one_map import print_report

            print_report(inspection, console())

    deliver(target, inspection.notes, show)
    return inspection.exit_code


def _find_largest(target: Target, name: str, count: int, request: Request) -> int:
    from inspector.inspection.largest import largest_entries
    from inspector.inspection.one_map import inspect
    from inspector.report.json.largest import write_largest
    from inspector.report.text.largest import print_largest

    inspection = inspect(target, name, request.type, None, request.max_stop)
    largest = largest_entries(inspection, count, request.by)

    def show() -> None:
        if request.json:
            write_largest(largest, sys.stdout)
        else:
            print_largest(largest, console())

    deliver(target, inspection.notes, show)
    return inspection.exit_code


def _search(target: Target, name: str, pattern: re.Pattern[str], request: Request) -> int:
    from inspector.inspection.one_map import inspect
    from inspector.inspection.searching import search_entries
    from inspector.report.json.searching import write_matches
    from inspector.report.text.searching import print_matches

    inspection = inspect(target, name, request.type, None, request.max_stop)
    matches = search_entries(inspection, pattern, request.values, request.entries)

    def show() -> None:
        if request.json:
            write_matches(matches, sys.stdout)
        else:
            print_matches(matches, console())

    deliver(target, inspection.notes, show)
    return inspection.exit_code


def _search_all(target: Target, pattern: re.Pattern[str], request: Request) -> int:
    from inspector.census.searching import Search
    from inspector.report.json.searching import write_search
    from inspector.report.text.searching import print_search

    search = Search(pattern, request.values, request.selection)
    census = _take(target, request, search)

    def show() -> None:
        if request.json:
            write_search(census, search, sys.stdout)
        else:
            print_search(census, search, console())

    deliver(target, census.notes, show)
    return census.exit_code


def _find_duplicates(target: Target, name: str, request: Request) -> int:
    from inspector.inspection.duplicates import duplicates_of
    from inspector.inspection.one_map import inspect
    from inspector.report.json.duplicates import write_duplicates
    from inspector.report.text.duplicates import print_duplicates

    inspection = inspect(target, name, request.type, None, request.max_stop)
    found = duplicates_of(inspection, request.selection.top)

    def show() -> None:
        if request.json:
            write_duplicates(inspection, found, sys.stdout)
        else:
            print_duplicates(inspection, found, console())

    deliver(target, inspection.notes, show)
    return inspection.exit_code


def _find_all_duplicates(target: Target, request: Request) -> int:
    from inspector.census.duplicates import DuplicateSearch
    from inspector.report.json.duplicates import write_all_duplicates
    from inspector.report.text.duplicates import print_all_duplicates

    search = DuplicateSearch(request.selection)
    census = _take(target, request, search)
    found = search.found
    assert found is not None

    def show() -> None:
        if request.json:
            write_all_duplicates(census, found, search.maps, sys.stdout)
        else:
            print_all_duplicates(census, found, search.maps, console())

    deliver(target, census.notes, show)
    return census.exit_code


def _find_retained(target: Target, name: str, request: Request) -> int:
    from inspector.census.retaining import retained_by
    from inspector.inspection.one_map import inspect
    from inspector.report.json.retaining import write_retained
    from inspector.report.text.retaining import print_retained

    inspection = inspect(target, name, request.type, 0, request.max_stop)
    retained, complete, notes = retained_by(target, inspection, request.max_stop, request.max_share, request.budget)

    def show() -> None:
        if request.json:
            write_retained(inspection, retained, complete, sys.stdout)
        else:
            print_retained(inspection, retained, complete, request.view, console())

    deliver(target, tuple(dict.fromkeys((*inspection.notes, *notes))), show)
    return inspection.exit_code


def _find_all_retained(target: Target, request: Request) -> int:
    from inspector.census.retaining import RetainedSearch
    from inspector.report.json.retaining import write_all_retained
    from inspector.report.text.retaining import print_all_retained

    search = RetainedSearch(request.selection)
    census = _take(target, request, search)

    def show() -> None:
        if request.json:
            write_all_retained(census, search, sys.stdout)
        else:
            print_all_retained(census, search, request.view, console())

    deliver(target, census.notes, show)
    return census.exit_code


def _look_up(target: Target, name: str, key: str, request: Request) -> int:
    from inspector.inspection.one_key import look_up
    from inspector.report.json.one_key import write_lookup
    from inspector.report.text.one_key import print_lookup

    answer = look_up(target, name, key, request.type, request.max_stop)

    def show() -> None:
        if request.json:
            write_lookup(answer, sys.stdout)
        else:
            print_lookup(answer, console())

    deliver(target, answer.notes, show)
    return answer.exit_code


def _census(target: Target, request: Request) -> int:
    from inspector.census.diff import Earlier, compare
    from inspector.report.json.census import write_census
    from inspector.report.text.census import print_census

    redactor = current()
    earlier = _earlier(request, redactor.key_id if redactor else None) if request.diff is not None else None
    census = _take(target, request)
    diff = compare(earlier, Earlier.of(census)) if earlier else None
    selection = request.selection
    selection = selection.resolved(census.maps)
    if selection.group is not None and census.maps:
        diff = diff.of_group(selection.group) if diff else None

    def show() -> None:
        if request.json:
            write_census(census, selection, diff, sys.stdout, request.unproven)
        else:
            print_census(census, selection, diff, console(), request.view)

    deliver(target, census.notes, show)
    return census.exit_code


def _compare_entries(request: Request, name: str) -> int:
    """Compare one map of two targets, entry by entry."""
    from inspector.inspection.comparison import compare_entries
    from inspector.inspection.one_map import inspect
    from inspector.report.json.entry_diff import write_entry_diff
    from inspector.report.text.entry_diff import print_entry_diff

    for each in (request.diff, request.target):
        if each not in DEMOS and _saved(each) is not None:
            raise UsageError(f"{each} is a saved census, which has no entries", "name a process or a core dump")
    copies = []
    for one in (request.of_other(), request):
        with _opened(replace(one, map=name)) as (target, asked):
            assert asked.map is not None
            copies.append(inspect(target, asked.map, asked.type, None, request.max_stop))
    diff = compare_entries(*copies)

    def show() -> None:
        if request.json:
            write_entry_diff(diff, sys.stdout)
        else:
            print_entry_diff(diff, request.selection.top, console())

    write_answer((*copies[0].notes, *copies[1].notes), show)
    return diff.exit_code


def _compare_with_saved(document: Part, request: Request) -> int:
    """Compare with a census that was saved: of that the changes are known, and nothing else."""
    from inspector.census.diff import Earlier, compare
    from inspector.census.groups import find_group
    from inspector.census.saved import has_inconsistent, key_id_of, saved_target
    from inspector.report.json.census import write_diff
    from inspector.report.text.diff import print_diff_of

    request.check_for_saved()
    target, key_id = saved_target(document), key_id_of(document)
    redactor = current()
    if redactor is not None:
        _require_key(request.target, key_id, redactor.key_id)
    later = Earlier.parsed(document)
    diff = compare(_earlier(request, key_id), later)
    if request.group is not None:
        diff = diff.of_group(find_group(request.group, later.places()))

    def show() -> None:
        if request.json:
            write_diff(target, later.process, diff, sys.stdout, key_id)
        else:
            print_diff_of(target, diff, request.selection.top, request.view, console())

    write_answer((), show)
    return EXIT_INCONSISTENT if has_inconsistent(document) else EXIT_CONSISTENT


def _earlier(request: Request, key_id: str | None) -> Earlier:
    """The census to compare with: one that was saved, or one that is taken now, in the same way as the target's.

    `key_id` says with which key names are hidden in the target's. Raises UsageError where it is another one here.
    """
    from inspector.census.diff import Earlier
    from inspector.census.saved import key_id_of, read_saved

    assert request.diff is not None
    document = read_saved(request.diff)
    if document is not None:
        _require_key(request.diff, key_id_of(document), key_id)
        return Earlier.parsed(document)
    redactor = current()
    _require_key(request.target, key_id, redactor.key_id if redactor else None)
    with _opened(request.of_other()) as (target, _):
        return Earlier.of(_take(target, request))


def _require_key(name: str | None, has: str | None, wanted: str | None) -> None:
    """Refuse to compare names that were hidden in different ways: nothing would match, or keys would be shown."""
    if has == wanted:
        return
    if has is None:
        raise UsageError(
            f"{shown(name or '')} was saved without --redact, so the keys in its names cannot be compared with hashes",
            "save it with --redact-key FILE, and give the same FILE here",
        )
    raise UsageError(
        f"the keys in the names of {shown(name or '')} were hidden, and with another secret than here",
        "give both the same --redact-key FILE",
    )


def _take(target: Target, request: Request, question: Question | None = None) -> Census:
    from inspector.census.census import take_census

    return take_census(
        target,
        request.max_stop,
        strings=request.strings,
        max_share=request.max_share,
        budget=request.budget,
        question=question,
    )
