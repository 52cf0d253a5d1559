"""The convenience functions $gomap_len and $gomap_get, for breakpoint conditions above all."""

from __future__ import annotations

from dataclasses import replace

import gdb

from gdb_plugin.elements import Given, element_of
from gdb_plugin.expressions import is_go_string, locate_in_gdb, locate_value
from gdb_plugin.opening import open_inferior
from gdb_plugin.output import errors_in_one_line
from inspector.control.gdbvalues import is_map
from inspector.errors import UsageError
from inspector.gotypes.gotype import Kind
from inspector.gotypes.syncmaps import is_sync_map
from inspector.inspection.identification import believe, header_at
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.maps.readers import recognise_trie
from inspector.naming.locate import Locator, locate
from inspector.target.run import Run
from inspector.target.target import Target


class GomapLen(gdb.Function):
    """Number of entries of a Go map.
    Usage: $gomap_len (MAP)

    MAP is a map, the address of one, or in double quotes whatever `info gomap`
    takes: $gomap_len ("main.sessions"). All of a sync.Map is read for it.
    """

    def __init__(self) -> None:
        super().__init__("gomap_len")

    def invoke(self, *arguments: gdb.Value) -> int:
        """What len gives."""
        with errors_in_one_line():
            (map_value,) = _counted(arguments, "$gomap_len (MAP)")
            run = Run(open_inferior(), None)
            found = _located(run, map_value)
            # Of a bare address nothing but the address is known.
            where = found.find(run) if found.type or found.frame else None
            address = where.address if where else found.address
            if not address:
                return 0
            sync_map = where.type if where else recognise_trie(run.source(), address)
            if sync_map is not None and is_sync_map(sync_map):
                # It counts nothing itself.
                return inspect(run.target, replace(found, type=sync_map), None, 0).entries_total
            # A package variable that is declared as a map is one, anything else has to look like one.
            if where and where.declared:
                return header_at(run, address).count
            return believe(run, run.regions(), address, found.type).count


class GomapGet(gdb.Function):
    """Element of a key of a Go map, where it lies in the map; an error if the key is not there.
    Usage: $gomap_get (MAP, KEY)

    MAP is as for $gomap_len. KEY is a number, a string, or in double quotes a Go
    literal of the key's type: "{1, \\"x\\"}". The element has its type, so it can be
    followed: print $gomap_get ("main.users", "ann")->name, print *$gomap_get (m, 1).
    Of an interface it is the value inside. Strings are given back as text:
    break main.f if $_streq ($gomap_get (m, "state"), "open").
    """

    def __init__(self) -> None:
        super().__init__("gomap_get")

    def invoke(self, *arguments: gdb.Value) -> Given:
        """What indexing gives."""
        with errors_in_one_line():
            map_value, key = _counted(arguments, "$gomap_get (MAP, KEY)")
            target = open_inferior()
            found = _located(Run(target), map_value)
            literal = _literal(target, found, key)
            answer = look_up(target, found, literal)
            if answer.doubt:
                raise UsageError(f"key {literal}: {answer.doubt}")
            if answer.lookup.found is None:
                raise UsageError(f"key {literal} is not in the map: {answer.lookup.ended}")
            declared = map_value.type if is_map(map_value.type) else None
            return element_of(target, answer, declared)


def _counted(arguments: tuple[gdb.Value, ...], usage: str) -> tuple[gdb.Value, ...]:
    """The arguments, if they are as many as the usage shows; gdb would answer with a Python error else."""
    wanted = usage.count(",") + 1
    if len(arguments) != wanted:
        raise UsageError(f"{len(arguments)} arguments where {wanted} {'is' if wanted == 1 else 'are'} needed", usage)
    return arguments


def _located(run: Run, value: gdb.Value) -> Locator:
    """A map from the argument of a function: a map, its address, or the text of an expression."""
    text = _text_of(value)
    target = run.target
    found = locate_value(target, value, "the map", None) if text is None else locate_in_gdb(target, text, None)
    return locate(run, found, None)


def _text_of(value: gdb.Value) -> str | None:
    """The text of a C or Go string; None for anything else."""
    stripped = value.type.strip_typedefs()
    if stripped.code == gdb.TYPE_CODE_ARRAY and stripped.target().sizeof == 1:
        return str(value.string(errors="surrogateescape"))
    if is_go_string(value.type):
        return _go_text(value)
    return None


def _go_text(value: gdb.Value) -> str:
    length = int(value["len"])
    return str(value["str"].string(length=length, errors="surrogateescape")) if length else ""


def _literal(target: Target, found: Locator, key: gdb.Value) -> str:
    """The key as a Go literal."""
    text = _text_of(key)
    if text is not None:
        is_text = key.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT
        is_text |= _has_string_keys(target, found)
        return _quoted(text) if is_text else text
    code = key.type.strip_typedefs().code
    if code == gdb.TYPE_CODE_BOOL:
        return "true" if key else "false"
    if code == gdb.TYPE_CODE_FLT:
        return repr(float(key))
    if code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR):
        return str(int(key))
    if code == gdb.TYPE_CODE_PTR:
        return hex(int(key))
    raise UsageError("the key is neither a number nor a string", 'give a Go literal in quotes: "{1, 2}"')


def _has_string_keys(target: Target, found: Locator) -> bool:
    """Whether a map is known to have strings as keys before it is looked at."""
    if found.type is None or found.type.layout is None:
        return False
    return target.program.types.key(found.type).kind == Kind.STRING


def _quoted(text: str) -> str:
    """Write any bytes as a Go string literal."""
    data = text.encode(errors="surrogateescape")
    return (
        '"' + "".join(f"\\x{byte:02x}" if byte in b'"\\' or not 32 <= byte < 127 else chr(byte) for byte in data) + '"'
    )
