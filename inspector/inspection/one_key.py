"""One key of one map: located, hashed, and looked up as the runtime does it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from inspector.errors import EXIT_ABSENT, EXIT_CONSISTENT, Hint, UnsupportedTarget, UsageError
from inspector.gotypes.literal import parse_literal
from inspector.gotypes.syncmaps import is_sync_map
from inspector.inspection.identification import find_map, with_types_made_later
from inspector.inspection.one_map import TargetInfo, target_info
from inspector.maps.family import Lookup
from inspector.naming.locate import Locator, MapRef, locate
from inspector.target.run import MaxStop, Run
from inspector.target.target import Target, noticing_the_end

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyAnswer:
    """The walk for one key, and the map and target it was made in.

    `family` is the family of the map, `count` its number of entries.
    """

    target: TargetInfo
    family: str
    ref: MapRef
    count: int
    key: str
    lookup: Lookup
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 when the key is in the map, 1 when it is absent."""
        return EXIT_CONSISTENT if self.lookup.found is not None else EXIT_ABSENT


def look_up(
    target: Target, text: str | Locator, key: str, type_name: str | None = None, max_stop: MaxStop = "usual"
) -> KeyAnswer:
    """Look up a key, given as a Go literal, in the map that `text` names.

    Reads only what the runtime would read, while the target is held, for at most `max_stop` seconds. Raises the
    InspectError family; UsageError for a literal that is not of the key's type.
    """
    run = Run(target, max_stop)
    with noticing_the_end(target.life):
        return with_types_made_later(run, lambda: ask(run, text, type_name, key))


def ask(run: Run, text: str | Locator, type_name: str | None, key: str) -> KeyAnswer:
    """Look up a key as a part of a larger request, which may hold the target already; raises as look_up does."""
    locator = locate(run, text, type_name)
    for sentence in locator.notes:
        run.note(sentence)
    if run.hash_keys is None or run.hash_keys.functions(run.release) is None:
        raise UnsupportedTarget(
            f"the hash keys of {run.image.path} were not found, so no key can be looked up",
            Hint("inspect the whole map instead: without {key}"),
        )
    ref, count, lookup = run.in_time(partial(_walk, run, locator, key), lambda _: False)
    logger.debug("%d steps of a lookup, %d bytes read", len(lookup.steps), lookup.bytes_read)
    family = run.reader_of(ref.type).NAME
    return KeyAnswer(target_info(run.target), family, ref, count, key, lookup, tuple(run.notes))


def _walk(run: Run, locator: Locator, key: str) -> tuple[MapRef, int, Lookup]:
    with run.held():
        ref = find_map(run, locator)
        if not ref.address and not ref.type.layout and not is_sync_map(ref.type):
            raise UsageError("a nil map of unknown type holds no key", Hint("give its type with {type}"))
        literal = parse_literal(run.types, run.types.key(ref.type), key)
        reader = run.reader_of(ref.type)
        count = reader.read_header(run.memory, ref.address, run.release).count if ref.address else 0
        return ref, count, reader.look_up(run.source(), ref.address, ref.type, literal)
