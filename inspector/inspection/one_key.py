"""One key of one map: located, hashed, and looked up as the runtime does it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial

from inspector import watching
from inspector.errors import EXIT_ABSENT, EXIT_CONSISTENT, EXIT_PARTIAL, Hint, UnsupportedTarget, UsageError
from inspector.gotypes.decode import Decoder
from inspector.gotypes.literal import parse_literal
from inspector.gotypes.reach import KEY_LIMITS
from inspector.gotypes.redaction import MARK, current
from inspector.gotypes.syncmaps import is_sync_map
from inspector.inspection.identification import find_map, with_types_made_later
from inspector.inspection.looks import Look, settled
from inspector.inspection.one_map import TargetInfo, target_info
from inspector.maps.family import Header, Lookup
from inspector.maps.readers import reader_of_sync_maps
from inspector.naming.locate import Locator, MapRef, locate
from inspector.settings import MaxStop
from inspector.target.run import Run
from inspector.target.target import Target, noticing_the_end

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyAnswer:
    """The walk for one key, and the map and target it was made in.

    `family` is the family of the map, `count` its number of entries, `key` what was asked for, or its hash where
    values are hidden. `doubt` says why it cannot be said that the key is absent, although this walk did not find it;
    empty where its answer is certain.
    """

    target: TargetInfo
    family: str
    ref: MapRef
    count: int
    key: str
    lookup: Lookup
    notes: tuple[str, ...]
    doubt: str = ""

    @property
    def present(self) -> bool | None:
        """Whether the key is in the map; None where that cannot be said."""
        return None if self.doubt else self.lookup.found is not None

    @property
    def exit_code(self) -> int:
        """0 when the key is in the map, 1 when it is absent, 3 when that cannot be said."""
        return {True: EXIT_CONSISTENT, False: EXIT_ABSENT, None: EXIT_PARTIAL}[self.present]


def look_up(
    target: Target, text: str | Locator, key: str, type_name: str | None = None, max_stop: MaxStop = "usual"
) -> KeyAnswer:
    """Look up a key, given as a Go literal, in the map that `text` names.

    Reads only what the runtime would read, while the target is held, for at most `max_stop` seconds. Where the map is
    being written it looks again, and without a stop it looks many times (see inspection/looks.py). Raises the
    InspectError family; UsageError for a literal that is not of the key's type.
    """
    run = Run(target, max_stop)
    with noticing_the_end(target.life):
        return with_types_made_later(run, lambda: ask(run, text, type_name, key))


def ask(run: Run, text: str | Locator, type_name: str | None, key: str) -> KeyAnswer:
    """Look up a key as a part of a larger request, which may hold the target already; raises as look_up does."""
    watching.begin("Reading types")
    locator = locate(run, text, type_name)
    for sentence in locator.notes:
        run.note(sentence)
    if run.hash_keys is None or run.hash_keys.functions(run.release) is None:
        raise UnsupportedTarget(
            f"the hash keys of {run.image.path} were not found, so no key can be looked up",
            Hint("inspect the whole map instead: without {key}"),
        )
    if locator.may_be_sync_map:
        reader_of_sync_maps()
    watching.begin("Looking the key up")
    # What lies at a bare address stays there, and to find out its type takes a while.
    known: list[MapRef] = []
    look, doubt = settled(run, partial(_walk, run, locator, key, known))
    logger.debug("%d steps of a lookup, %d bytes read", len(look.lookup.steps), look.lookup.bytes_read)
    family, info = run.reader_of(look.ref.type).NAME, target_info(run.target)
    lookup, key = _hidden(run, look, key)
    return KeyAnswer(info, family, look.ref, look.count, key, lookup, tuple(run.notes), doubt)


def _hidden(run: Run, look: Look, key: str) -> tuple[Lookup, str]:
    """What was found and asked for, as hashes where values are hidden."""
    redactor, lookup = current(), look.lookup
    if redactor is None:
        return lookup, key
    key_type = run.types.key(look.ref.type)
    literal = parse_literal(run.types, key_type, key)
    value = Decoder(run.types, literal.memory).value(key_type, literal.data, KEY_LIMITS)
    if lookup.found is not None:
        lookup = replace(lookup, value=redactor.hide(lookup.value))
    return lookup, f"{MARK}{redactor.digest(value, is_key=True)}"


def _walk(run: Run, locator: Locator, key: str, known: list[MapRef]) -> Look:
    """One walk; `known` is where the map is, or takes it up."""
    with run.held():
        ref = known[0] if known else find_map(run, locator)
        if locator.address is not None and not known:
            known.append(ref)
        if not ref.address and not ref.type.layout and not is_sync_map(ref.type):
            raise UsageError("a nil map of unknown type holds no key", Hint("give its type with {type}"))
        key_type = run.types.key(ref.type)
        literal = parse_literal(run.types, key_type, key)
        reader = run.reader_of(ref.type)
        if not ref.address:
            return Look(ref, 0, reader.look_up(run.source(), 0, ref.type, literal), at_rest=True)
        before = reader.read_header(run.memory, ref.address, run.release)
        lookup = reader.look_up(run.source(), ref.address, ref.type, literal)
        after = reader.read_header(run.memory, ref.address, run.release)
        return Look(ref, before.count, lookup, at_rest=_at_rest(before, after))


def _at_rest(before: Header, after: Header) -> bool:
    """Whether nothing says that entries were moved between two looks at a header, or are halfway just now."""
    moved = (before.storage, before.seed) != (after.storage, after.seed)
    return not (before.writing or after.writing or moved)
