"""The commands `info gomap` and `info gomaps`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

import gdb

from gdb_plugin.arguments import OPTIONS, Arguments, parse
from gdb_plugin.expressions import frame_variables, is_map, locate_in_gdb, locate_value, name_of
from gdb_plugin.opening import open_inferior
from gdb_plugin.output import console, errors_in_one_line, output, write_notes
from inspector.errors import InspectError, UnknownVariable, UsageError
from inspector.gotypes.gotype import Kind
from inspector.gotypes.render import plain
from inspector.image.elf import GO_NAME
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.report.json.one_key import write_lookup
from inspector.report.json.one_map import write_json
from inspector.report.text.one_key import print_lookup
from inspector.report.text.one_map import print_report
from inspector.target.target import Target


class InfoGomap(gdb.Command):
    """Decode a Go map, and judge whether it is in a state that the Go runtime produces.
    Usage: info gomap EXPR [-type TYPE] [-entries N|all] [-key LITERAL] [-json]

    EXPR is a Go variable (main.sessions, no quotes needed), a local or argument of
    the selected frame, a path of fields from one of them (main.server.sessions), a
    register or convenience variable ($rax), or the address of a map (0xc000012345).
    Of an address the type is found by hashing the keys as the runtime does.

      -type TYPE        the map's Go type, for example 'map[string]int'
      -entries N|all    how many entries to show (20)
      -key LITERAL      look one key up as the runtime does, and show the way
      -json             write one JSON document

    Go 1.13 to 1.27: classic maps (hmap) and, since 1.24, Swiss maps.
    """

    def __init__(self) -> None:
        super().__init__("info gomap", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Answer; gdb.GdbError is how a command fails."""
        with errors_in_one_line():
            arguments = parse(argument)
            target = open_inferior()
            if arguments.key is not None:
                _show_lookup(target, arguments, arguments.key)
            else:
                _show(target, arguments)

    def complete(self, text: str, word: str | None) -> Sequence[str]:
        """Names of variables and options; gdb wants what stands behind the last dot only."""
        typed = text.rpartition(" ")[2].lstrip("'")
        cut = len(typed) - len(word or "")
        return [name[cut:] for name in _completions(typed) if name.startswith(typed)]


class InfoGomaps(gdb.Command):
    """List the Go maps in sight: locals and arguments of the selected frame, and package variables.
    Usage: info gomaps [REGEXP]

    Each is shown with its type, its number of entries and the verdict of a whole
    inspection. REGEXP chooses among the names.
    """

    def __init__(self) -> None:
        super().__init__("info gomaps", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Answer; gdb.GdbError is how a command fails."""
        with errors_in_one_line():
            try:
                wanted = re.compile(argument)
            except re.error as error:
                raise UsageError(f"{argument!r} is not a regular expression: {error}") from None
            target = open_inferior()
            rows = [_row(target, *found) for found in _maps_in_sight(target) if wanted.search(found[0])]
            if not rows:
                gdb.write(f"No package variable or local {'of that name ' if argument else ''}is a Go map.\n")
                return
            rows.insert(0, ("name", "type", "count", "verdict"))
            widths = [max(len(row[column]) for row in rows) for column in range(3)]
            for name, go_type, count, verdict in rows:
                gdb.write(f"{name:{widths[0]}}  {go_type:{widths[1]}}  {count:>{widths[2]}}  {verdict}\n")


def _show(target: Target, arguments: Arguments) -> None:
    what = locate_in_gdb(target, arguments.expression, arguments.type)
    inspection = inspect(target, what, arguments.type, arguments.entries)
    write_notes(inspection.notes)
    if arguments.json:
        write_json(inspection, output())
    else:
        print_report(inspection, console())


def _show_lookup(target: Target, arguments: Arguments, key: str) -> None:
    what = locate_in_gdb(target, arguments.expression, arguments.type)
    answer = look_up(target, what, key, arguments.type)
    write_notes(answer.notes)
    if arguments.json:
        write_lookup(answer, output())
    else:
        print_lookup(answer, console())


def _completions(typed: str) -> Iterator[str]:
    if typed.startswith("-"):
        yield from OPTIONS
        return
    # What the user would then run as an expression must not come from the program: names have to look like names.
    yield from (name for name, _ in frame_variables() if GO_NAME.fullmatch(name))
    # Completion prints no errors; without a Go program it offers nothing.
    with suppress(InspectError, gdb.error):
        yield from open_inferior().program.image.variables()


def _maps_in_sight(target: Target) -> Iterator[tuple[str, str, gdb.Value | None]]:
    """Names, types and values of maps; no value for a package variable, which the inspector reads by itself."""
    for name, value in frame_variables():
        if is_map(value.type):
            yield name, name_of(value.type), value
    declared = target.program.declarations.variables()
    if target.program.declarations.damage:
        write_notes((target.program.declarations.damage,))
    if not declared:
        raise UnknownVariable(
            "it is unknown which variables are maps: the program has no symbols or no DWARF",
            "give `info gomap` an address, or load an unstripped copy with gdb's command `file`",
        )
    for variable in sorted(declared, key=lambda variable: variable.name):
        if variable.type.kind == Kind.MAP:
            yield variable.name, variable.type.name, None


def _row(target: Target, name: str, type_name: str, value: gdb.Value | None) -> tuple[str, str, str, str]:
    """Name, type, count and verdict of one map; an error takes the place of the verdict."""
    go_type = plain(type_name)
    try:
        inspection = inspect(target, name if value is None else locate_value(target, value, name, None), None, 0)
    except InspectError as error:
        return plain(name), go_type, "?", plain(error.message)
    except gdb.error as error:
        return plain(name), go_type, "?", plain(str(error))
    snapshot = inspection.snapshot
    count = str(snapshot.header.count) if snapshot else "nil"
    return plain(name), plain(inspection.ref.type.name), count, inspection.judgement.verdict
