"""One key of one map: located, hashed, and looked up as the runtime does it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from inspector.errors import UnsupportedTarget, UsageError
from inspector.gotypes.literal import parse_literal
from inspector.hashing.hasher import MemoryHash
from inspector.inspection.identification import find_map, with_types_made_later
from inspector.inspection.one_map import TargetInfo, target_info
from inspector.maps.classic.lookup import Lookup, Walk
from inspector.naming.locate import Locator, MapRef, locate
from inspector.target.run import MaxStop, Run
from inspector.target.target import Target, noticing_the_end


@dataclass(frozen=True)
class KeyAnswer:
    """The walk for one key, and the map and target it was made in."""

    target: TargetInfo
    ref: MapRef
    key: str
    lookup: Lookup
    notes: tuple[str, ...]


def look_up(
    target: Target, text: str | Locator, type_name: str | None, key: str, max_stop: MaxStop = "usual"
) -> KeyAnswer:
    """Look up a key, given as a Go literal, in the map that `text` names.

    Reads only what the runtime would read, while the target is held, for at most `max_stop` seconds. Raises the
    InspectError family; UsageError for a literal that is not of the key's type.
    """
    run = Run(target, max_stop)
    with noticing_the_end(target.local_pid):
        return with_types_made_later(run, lambda: ask(run, text, type_name, key))


def ask(run: Run, text: str | Locator, type_name: str | None, key: str) -> KeyAnswer:
    """Look up a key as a part of a larger request, which may hold the target already; raises as look_up does."""
    locator = locate(run, text, type_name)
    for sentence in locator.notes:
        run.note(sentence)
    functions = run.hash_keys.functions(run.release) if run.hash_keys else None
    if functions is None:
        raise UnsupportedTarget(
            f"the hash keys of {run.image.path} were not found, so no key can be looked up",
            "inspect the whole map instead: leave --key out",
        )
    ref, lookup = run.in_time(partial(_walk, run, locator, key, functions), lambda _: False)
    return KeyAnswer(target_info(run.target), ref, key, lookup, tuple(run.notes))


def _walk(run: Run, locator: Locator, key: str, functions: MemoryHash) -> tuple[MapRef, Lookup]:
    with run.held():
        ref = find_map(run, locator)
        if not ref.address and not ref.type.layout:
            raise UsageError("a nil map of unknown type holds no key", "give its type with --type")
        literal = parse_literal(run.types, run.types.key(ref.type), key)
        walk = Walk(run.memory, run.regions(), ref.type, run.types, functions)
        return ref, walk.find(ref.address, literal)
