"""From a request to an answer: the target is opened, inspected, let go, and the answer delivered."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from inspector.census import Census, take_census
from inspector.census.diff import Earlier, compare
from inspector.census.saved import read_saved
from inspector.cli.delivering import console, deliver
from inspector.cli.demo import open_demo
from inspector.cli.interrupting import reporting_its_outcome
from inspector.cli.request import DEMOS, Request
from inspector.cli.saying import PROGRAM
from inspector.errors import BadCore, UnknownVariable, UsageError
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.naming.locate import shown
from inspector.report.json.census import write_census
from inspector.report.json.one_key import write_lookup
from inspector.report.json.one_map import write_json, write_ndjson
from inspector.report.text.census import print_census
from inspector.report.text.one_key import print_lookup
from inspector.report.text.one_map import print_report
from inspector.report.text.progress import ProgressBar
from inspector.target.opening import open_target
from inspector.target.remote import open_remote
from inspector.target.target import MemoryChoice, Target


def run(request: Request) -> int:
    """Answer a request; returns the exit code. Raises the InspectError family."""
    request.check()
    with _opened(request) as (target, asked):
        if asked.all_maps:
            return _census(target, asked)
        assert asked.map is not None
        try:
            return (
                _look_up(target, asked.map, asked.key, asked)
                if asked.key is not None
                else _inspect(target, asked.map, asked)
            )
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
        with open_remote(request.remote, exe=exe, memory=request.memory, stop=stop, gdb=request.gdb) as target:
            yield target, request
        return
    name = request.target
    assert name is not None
    # The list of all maps needs no gdb: it reads types of variables itself, and stops the process often and shortly.
    memory: MemoryChoice = "direct" if request.all_maps and request.memory == "auto" else request.memory
    if name in DEMOS:
        with open_demo("direct" if memory == "auto" else memory, request.gdb, DEMOS[name]) as demo:
            if not request.all_maps and request.map in (None, demo.variable):
                request = replace(request, map=demo.variable, type=request.type or demo.type)
            yield demo.target, request
        return
    try:
        opened = open_target(name, exe=exe, memory=memory, stop=stop, gdb=request.gdb)
    except BadCore:
        if _is_saved(name):
            raise UsageError(
                f"{name} is a saved census, not a core dump",
                f"a saved census comes first: {PROGRAM} diff {name} {request.diff or 'TARGET'}",
            ) from None
        raise
    with opened as target, reporting_its_outcome(target):
        yield target, request


def _is_saved(path: str) -> bool:
    try:
        return read_saved(path) is not None
    except UsageError:
        return False


def _inspect(target: Target, name: str, request: Request) -> int:
    inspection = inspect(target, name, request.type, request.entries, request.max_stop)

    def show() -> None:
        if request.json:
            write_json(inspection, sys.stdout)
        elif request.ndjson:
            write_ndjson(inspection, sys.stdout)
        else:
            print_report(inspection, console())

    deliver(target, inspection.notes, show)
    return inspection.exit_code


def _look_up(target: Target, name: str, key: str, request: Request) -> int:
    answer = look_up(target, name, key, request.type, request.max_stop)

    def show() -> None:
        if request.json:
            write_lookup(answer, sys.stdout)
        else:
            print_lookup(answer, console())

    deliver(target, answer.notes, show)
    return answer.exit_code


def _census(target: Target, request: Request) -> int:
    earlier = _earlier(request) if request.diff is not None else None
    census = _take(target, request)
    diff = compare(earlier, Earlier.of(census)) if earlier else None

    def show() -> None:
        if request.json:
            write_census(census, request.selection, diff, sys.stdout)
        else:
            print_census(census, request.selection, diff, console())

    deliver(target, census.notes, show)
    return census.exit_code


def _earlier(request: Request) -> Earlier:
    """The census to compare with: one that was saved, or one that is taken now, in the same way as the target's."""
    assert request.diff is not None
    document = read_saved(request.diff)
    if document is not None:
        return Earlier.parsed(document)
    with _opened(request.of_other()) as (target, _):
        return Earlier.of(_take(target, request))


def _take(target: Target, request: Request) -> Census:
    errors = Console(stderr=True)
    if not errors.is_terminal:
        return take_census(target, request.max_stop, strings=request.strings, max_share=request.max_share)
    with ProgressBar(errors) as bar:
        return take_census(target, request.max_stop, bar, request.strings, request.max_share)
