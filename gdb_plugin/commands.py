"""The commands `info gomap` and `info gomaps`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import gdb

from gdb_plugin.arguments import LIST_OPTIONS, OPTIONS, Arguments, parse, parse_list
from gdb_plugin.expressions import frame_variables, locate_in_gdb
from gdb_plugin.listing import list_all, list_variables
from gdb_plugin.opening import open_inferior
from gdb_plugin.output import console, errors_in_one_line, output, write_notes
from inspector.errors import InspectError
from inspector.gotypes.redaction import Redactor, redacting
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
    Usage: info gomap EXPR [-type TYPE] [-entries N|all] [-key LITERAL] [-json] [-redact]

    EXPR is the address of a map (0xc000012345), whose type is found by hashing the
    keys as the runtime does; a local or argument of the selected frame; a package
    variable (main.sessions, no quotes needed); a path from one of them, written as
    in Go and as lists of maps print it: main.server.shards[3].table,
    main.byTenant["tenant-35"].jobs; a variable of any goroutine's function
    (main.handler:sessions); or whatever print evaluates to a map: $rax, *p.

      -type TYPE        the map's Go type, for example 'map[string]int'
      -entries N|all    how many entries to show (20)
      -key LITERAL      look one key up as the runtime does, and show the way
      -json             write one JSON document
      -redact           hide what maps hold: short hashes stand for keys and elements

    Go 1.13 to 1.27: classic maps (hmap) and, since 1.24, Swiss maps.
    """

    def __init__(self) -> None:
        super().__init__("info gomap", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Answer; gdb.GdbError is how a command fails."""
        with errors_in_one_line():
            arguments = parse(argument)
            target = open_inferior()
            with redacting(Redactor.random() if arguments.redact else None):
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
    """List every Go map of the program: its address, type, name, entries, bytes and verdict.
    Usage: info gomaps [REGEXP] [-sort bytes|waste|count|growing] [-top N|all] [-min-bytes SIZE]
                       [-type-matches REGEX] [-only-findings] [-strings] [-json] [-redact]
           info gomaps [REGEXP] -variables

    The heap and the stacks of all goroutines are searched, so this takes as long as
    go-map-inspect takes for all maps; Ctrl-C ends it. REGEXP chooses among the names.

      -sort ORDER       bytes (the usual order), waste, count, or growing maps first
      -top N|all        how many maps to list (30; all with -json)
      -min-bytes SIZE   only maps that hold at least this much: 64k, 10MiB
      -type-matches RE  only maps whose type matches
      -only-findings    only maps with findings
      -strings          count the bytes of strings in keys and elements, too
      -json             write one JSON document
      -redact           hide the keys in names: short hashes stand for them
      -variables        search nothing: list the locals and arguments of the selected
                        frame and the package variables that are declared as maps
    """

    def __init__(self) -> None:
        super().__init__("info gomaps", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Answer; gdb.GdbError is how a command fails."""
        with errors_in_one_line():
            arguments = parse_list(argument)
            target = open_inferior()
            with redacting(Redactor.random() if arguments.redact else None):
                if arguments.variables:
                    list_variables(target, arguments.name)
                else:
                    list_all(target, arguments)

    def complete(self, text: str, word: str | None) -> Sequence[str]:
        """Options; gdb wants what stands behind the last dash only."""
        typed = text.rpartition(" ")[2]
        cut = len(typed) - len(word or "")
        return [name[cut:] for name in LIST_OPTIONS if typed.startswith("-") and name.startswith(typed)]


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
