"""A census held against what the fixture program `census` says of its maps."""

from __future__ import annotations

from fixtures import Truth
from inspector.census import Census, take_census
from inspector.settings import MaxStop
from inspector.target.opening import open_target

LIBRARY_TYPES = {
    "map[string]*unicode.RangeTable",
    "map[interface {}]*sync.entry",
    "map[interface {}]struct {}",
    "sync.Map",
}
"""Maps of the standard library that the program does not know: of unicode, inside of sync.Map, of encoding/json."""

UNITS = 8
"""Entries of time.unitMap, a map[string]uint64 that programs of 1.19 and 1.27 make when they begin."""


def census_of(target: object, max_stop: MaxStop = "usual") -> Census:
    """A census without a limit to the share of the time, which would only make this wait."""
    with open_target(str(target), memory="direct") as opened:
        return take_census(opened, max_stop, max_share=None)


def differences(truth: Truth, census: Census, named: bool = True) -> list[str]:
    """What a census says otherwise than the program; without symbols (`named` false) empty maps need not be there."""
    told = {int(one["address"], 16): one for one in truth["maps"]}
    found = {one.address: one for one in census.maps}
    wrong = []
    for address, one in told.items():
        seen = found.get(address)
        if one["name"] == "stack":
            wrong += [f"not on a stack: {seen}"] if seen is None or seen.found_by != "stack" else []
            continue
        if seen is None:
            wrong += [f"missing {one}"] if one["len"] or named else []
            continue
        if one["type"] not in (seen.type, *seen.alternatives) or (named and one["name"] and seen.type != one["type"]):
            wrong.append(f"type {seen.type} {seen.alternatives}, not {one}")
        if seen.count != one["len"]:
            wrong.append(f"count {seen.count}, not {one}")
        if named and one["name"] and seen.name != one["name"]:
            wrong.append(f"name {seen.name}, not {one}")
    for address, seen in found.items():
        types = {seen.type, *seen.alternatives}
        units = "map[string]uint64" in types and seen.count == UNITS
        if address not in told and not types & LIBRARY_TYPES and not units:
            wrong.append(f"{address:#x} is no map of the program: {seen}")
    wrong += [f"{seen.verdict}: {seen}" for seen in census.maps if seen.verdict != "consistent"]
    return wrong
