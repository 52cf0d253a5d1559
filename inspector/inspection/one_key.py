"""One key of one map: located, hashed, and looked up as the runtime does it."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.errors import EXIT_ABSENT, EXIT_CONSISTENT, UnsupportedTarget, UsageError
from inspector.gotypes.literal import parse_literal
from inspector.inspection.identification import find_map, header_at
from inspector.inspection.one_map import TargetInfo, target_info
from inspector.maps.classic.lookup import Lookup, Walk
from inspector.naming.locate import Locator, MapRef, locate
from inspector.target.target import Target, noticing_the_end


@dataclass(frozen=True)
class KeyAnswer:
    """The walk for one key, and the map and target it was made in. `count` is the map's number of entries."""

    target: TargetInfo
    ref: MapRef
    count: int
    key: str
    lookup: Lookup
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 when the key is in the map, 1 when it is absent."""
        return EXIT_CONSISTENT if self.lookup.found is not None else EXIT_ABSENT


def look_up(target: Target, text: str | Locator, type_name: str | None, key: str) -> KeyAnswer:
    """Look up a key, given as a Go literal, in the map that `text` names.

    Reads only what the runtime would read, while the target is held. Raises the InspectError family;
    UsageError for a literal that is none of the key's type.
    """
    with noticing_the_end(target.local_pid):
        locator = locate(target, text, type_name)
        functions = target.hash_keys.functions(target.release) if target.hash_keys else None
        if functions is None:
            raise UnsupportedTarget(
                f"the hash keys of {target.image.path} were not found, so no key can be looked up",
                "inspect the whole map instead: leave --key out",
            )
        with target.held():
            ref = find_map(target, locator)
            if not ref.address and not ref.type.layout:
                raise UsageError("a nil map of unknown type holds no key", "give its type with --type")
            count = header_at(target, ref.address).count if ref.address else 0
            literal = parse_literal(target.types, target.types.key(ref.type), key)
            walk = Walk(target.memory, target.regions(), ref.type, target.types, functions)
            lookup = walk.find(ref.address, literal)
    return KeyAnswer(target_info(target), ref, count, key, lookup, tuple(target.notes))
