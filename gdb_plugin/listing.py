"""What `info gomaps` lists: every map, as the census finds them; or those that variables are declared as."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import gdb

from gdb_plugin.arguments import ListArguments
from gdb_plugin.expressions import frame_variables, locate_value, map_value
from gdb_plugin.output import console, output, write_notes
from inspector.census import Census, CensusMap, take_census
from inspector.control.gdbvalues import is_map, is_sync_map, name_of
from inspector.errors import InspectError, UnknownVariable
from inspector.gotypes.gotype import Kind
from inspector.gotypes.render import plain
from inspector.gotypes.syncmaps import is_sync_map as is_go_sync_map
from inspector.image.elf import GO_NAME
from inspector.inspection.one_map import inspect
from inspector.report.json.census import write_census
from inspector.report.text.census import print_census
from inspector.report.text.view import View
from inspector.target.target import Target


def list_all(target: Target, arguments: ListArguments) -> None:
    """Print every map whose name matches. Those that only the selected frame names are called as there."""
    # gdb holds the program already, for as long as the user likes.
    census = take_census(target, None, strings=arguments.strings, max_share=None)
    write_notes(census.notes)
    chosen = _chosen(census, arguments.name, _local_names())
    if arguments.json:
        write_census(chosen, arguments.selection, None, output())
    else:
        print_census(chosen, arguments.selection, None, console(), View(maps=True))


def _chosen(census: Census, wanted: re.Pattern[str], local: dict[int, str]) -> Census:
    named = (one if one.name else replace(one, name=local.get(one.address)) for one in census.maps)
    return replace(census, maps=tuple(one for one in named if wanted.search(_shown_name(one))))


def _shown_name(one: CensusMap) -> str:
    return one.name or (f"in {one.holder}" if one.holder else "")


def _local_names() -> dict[int, str]:
    """Names of the maps that the selected frame has, by address."""
    found: dict[int, str] = {}
    for name, value in frame_variables():
        try:
            known = None if value.is_optimized_out else map_value(value)
        except gdb.error:
            continue
        # What the user would then type must not come from the program as anything but a name.
        if known and known.address and GO_NAME.fullmatch(name):
            found.setdefault(known.address, name)
    return found


def list_variables(target: Target, wanted: re.Pattern[str]) -> None:
    """Print the maps among the variables of the selected frame and of packages; nothing is searched for."""
    rows = [_row(target, *found) for found in _declared(target) if wanted.search(found[0])]
    if not rows:
        gdb.write(f"No package variable or local {'of that name ' if wanted.pattern else ''}is a Go map.\n")
        return
    rows.insert(0, ("name", "type", "count", "verdict"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, go_type, count, verdict in rows:
        gdb.write(f"{name:{widths[0]}}  {go_type:{widths[1]}}  {count:>{widths[2]}}  {verdict}\n")


def _declared(target: Target) -> Iterator[tuple[str, str, gdb.Value | None]]:
    """Names, types and values of maps; no value for a package variable, which the inspector reads by itself."""
    for name, value in frame_variables():
        if is_map(value.type) or is_sync_map(value.type):
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
        if variable.type.kind == Kind.MAP or is_go_sync_map(variable.type):
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
