"""One map, located, copied, decoded and judged: what every report is made from."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from inspector import watching
from inspector.errors import (
    EXIT_CONSISTENT,
    EXIT_INCONSISTENT,
    EXIT_PARTIAL,
    InspectError,
    NotAMap,
    NotReadInTime,
    TargetGone,
)
from inspector.goroutines.racing import with_writers
from inspector.goroutines.writers import NOBODY, Seen, look_for_goroutines, see_writers
from inspector.gotypes.redaction import Redactor, current
from inspector.inspection.identification import Guess, believe, find_map, guess, with_types_made_later
from inspector.inspection.in_use import look_for_heap
from inspector.inspection.moving import COPIES, settled
from inspector.inspection.ready import make_ready
from inspector.maps.family import Account, Entry, Snapshot
from inspector.maps.findings import Judgement, Verdict
from inspector.maps.readers import reader_of_sync_maps
from inspector.maps.shrinking import Shrinking, shrinking_of_map
from inspector.memory.relief import relieving
from inspector.naming.locate import Locator, MapRef, locate
from inspector.settings import MaxStop
from inspector.target.run import Run
from inspector.target.target import Target, noticing_the_end

if TYPE_CHECKING:
    from inspector.inspection.columns import Window

logger = logging.getLogger(__name__)

RETRIES_WITHOUT_STOP = 5

PARTIAL: tuple[Verdict, ...] = ("unreadable", "not-read", "moving")
"""Verdicts of maps of which only a part was read, or parts that do not belong together: what was counted is not all."""

NOT_STOPPED = {
    "inconsistent": f"the process was not stopped, but {COPIES} copies of the map show the same",
    "moving": "the process was not stopped, and no two copies of the map fit together: stop the process to judge it",
}
"""What a note says of a map that was copied without a stop, by its verdict."""


@dataclass(frozen=True)
class TargetInfo:
    """What a report says about the target."""

    kind: str
    pid: int | None
    exe: str
    go_version: str
    experiments: tuple[str, ...]
    stripped: bool
    memory: str


@dataclass
class Timing:
    """Milliseconds: target held, bytes copied, decoded, checked, and all together."""

    stopped: float = 0.0
    read: float = 0.0
    decode: float = 0.0
    check: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Inspection:
    """The answer for one map. `snapshot` is None for a nil map; `account` says what the map is and holds.

    `entries` are decoded when they are asked for, in the order of their places; where a `redactor` was at work, hashes
    stand for their keys and elements. `others` are the names of types that fit, too (ref.alternatives), with import
    paths where two have the same short name.
    """

    target: TargetInfo
    ref: MapRef
    snapshot: Snapshot | None
    judgement: Judgement
    account: Account
    timing: Timing
    notes: tuple[str, ...] = ()
    shown: int | None = None
    others: tuple[str, ...] = ()
    redactor: Redactor | None = None

    @property
    def exit_code(self) -> int:
        """0 consistent or a write in progress, 1 inconsistent, 3 a partial result."""
        codes = {"inconsistent": EXIT_INCONSISTENT} | dict.fromkeys(("unreadable", "not-read", "moving"), EXIT_PARTIAL)
        return codes.get(self.judgement.verdict, EXIT_CONSISTENT)

    @property
    def wrong_type(self) -> str | None:
        """Why an inconsistent map may be one of another type than the user gave; None where nothing says so.

        Only that no key is proven does: of a damaged map of that type some keys would still be.
        """
        ref, proof = self.ref, self.judgement.proof
        if self.judgement.verdict != "inconsistent" or ref.type_source != "option" or ref.declared or proof.matched:
            return None
        if not self.account.live and not (self.snapshot and self.snapshot.header.count):
            return None
        if proof.algorithm is None or (proof.skipped and not proof.checked):
            # Keys that nobody can hash say nothing.
            return None
        if not proof.checked:
            return f"no key proves that this is a {ref.type.name}"
        keys = "the only key is not" if proof.checked == 1 else f"none of {proof.checked:,} keys is"
        return f"{keys} in the place that its hash as a key of {ref.type.name} selects"

    @property
    def shrinking(self) -> Shrinking | None:
        """Why the map holds far more than its entries need, and what to do; None where it does not.

        A growth that is under way holds two arrays for a while, and what was not read is not counted.
        """
        account, verdict = self.account, self.judgement.verdict
        if account.keeping is None or account.growing or verdict in PARTIAL:
            return None
        return shrinking_of_map(account.keeping, account.live, account.bytes.total, account.bytes.if_rebuilt)

    @property
    def entries_total(self) -> int:
        """Entries found."""
        return self.account.live

    @property
    def entries_shown(self) -> int:
        """Entries that `entries` will give."""
        return self.entries_total if self.shown is None else min(self.shown, self.entries_total)

    def entries(self) -> Iterator[Entry]:
        """Decode the shown entries one by one."""
        return (self.hidden(entry) for entry in self.plain_entries())

    def columns(self, split: bool = False) -> Iterator[Window]:
        """The shown entries as columns, some thousands at a time: `for window in inspection.columns(): window.keys`.

        Each Window has `keys`, `values` (see inspector.gotypes.columns) and `places` of consecutive entries, in the
        order of `entries`. Numbers are numpy arrays, strings are offsets and bytes as in Arrow, structs have a column
        for each field. What has no column of its own is decoded one by one: the whole key or element, or with `split`
        only such fields of it. Where a `redactor` was at work all are hashes. Nothing raises for bad memory.
        """
        # Small maps are shown without columns, whose dozen data classes take 6 ms to load.
        from inspector.inspection.columns import EntryColumns

        return iter(EntryColumns(self.snapshot, self.entries_shown, split, self.redactor) if self.snapshot else ())

    def hidden(self, entry: Entry) -> Entry:
        """An entry as it may be shown."""
        if self.redactor is None:
            return entry
        hide = self.redactor.hide
        return replace(entry, key=hide(entry.key, is_key=True), value=hide(entry.value))

    def plain_entries(self) -> Iterator[Entry]:
        """Decode the shown entries one by one, and hide nothing: they must not be written anywhere."""
        return islice(self.snapshot.entries(), self.shown) if self.snapshot else iter(())


def inspect(
    target: Target,
    text: str | Locator,
    type_name: str | None = None,
    entries: int | None = None,
    max_stop: MaxStop = "usual",
) -> Inspection:
    """Inspect one map: `text` is an address or a variable, `entries` how many to show, all unless given.

    The process is held only while bytes are copied, for at most `max_stop` seconds (see MaxStop);
    types are read before, and everything else happens after it runs again. Raises the InspectError family.
    """
    started = time.perf_counter()
    timing = Timing()
    run = Run(target, max_stop)
    with noticing_the_end(target.life), relieving(target.relieve):
        ref, snapshot, judgement = with_types_made_later(run, lambda: _take(run, text, type_name, entries, timing))
    timing.stopped = run.stopped_ms
    logger.debug(
        "%s stops, %.1f ms in all, held by %s", len(run.clock.stops), run.stopped_ms, type(run.holder).__name__
    )
    watching.begin("Counting what the map holds")
    decoding = time.perf_counter()
    with relieving(target.relieve):
        account = snapshot.account() if snapshot else run.reader_of(ref.type).nothing(run.release)
    timing.decode = _ms(decoding)
    timing.total = _ms(started)
    others = run.types.distinct_names((ref.type, *ref.alternatives))[1:] if ref.alternatives else ()
    about, notes = target_info(target), tuple(run.notes)
    return Inspection(about, ref, snapshot, judgement, account, timing, notes, entries, others, current())


@dataclass(frozen=True)
class Copied:
    """What one stop has brought: where the map is, its copy (None for a nil map), and who may have been writing it."""

    ref: MapRef
    snapshot: Snapshot | None
    writers: Seen = NOBODY

    @property
    def late(self) -> bool:
        """Whether the stop was too short for all of the map."""
        return self.snapshot is not None and bool(self.snapshot.late)


def _take(
    run: Run, text: str | Locator, type_name: str | None, entries: int | None, timing: Timing
) -> tuple[MapRef, Snapshot | None, Judgement]:
    """Copy and judge; without a stop a copy that looks torn is taken again a few times."""
    watching.begin("Reading types")
    locator = locate(run, text, type_name)
    for sentence in locator.notes:
        run.note(sentence)
    # Found before the stop, as they never change.
    _ = run.types, run.hash_keys
    if locator.may_be_sync_map:
        reader_of_sync_maps()
    look_for_heap(run)
    look_for_goroutines(run)
    early = guess(run, locator)
    make_ready(run, locator, early, entries)
    watching.begin("Copying the map")
    # A guess that leads to a contradiction is made again while the process is held.
    tries = 1 + bool(early) if run.stops else RETRIES_WITHOUT_STOP
    for left in reversed(range(tries)):
        try:
            copied = run.in_time(partial(_copy, run, locator, early, entries, timing), lambda copied: copied.late)
        except NotAMap:
            if run.stops or not left:
                raise
            continue
        ref, snapshot = copied.ref, copied.snapshot
        if snapshot is None:
            return ref, None, Judgement("consistent")
        judgement = _judged(run, copied, snapshot, timing)
        judgement = settled(run, snapshot, judgement, partial(_copy_again, run, locator))
        if judgement.verdict == "consistent" or not left or (not run.stops and judgement.verdict == "inconsistent"):
            break
        early = None
    assert snapshot is not None
    if judgement.verdict == "inconsistent" and run.stops and not run.still and not snapshot.header.writing:
        ref, snapshot, judgement = _suspected(run, locator, entries, timing) or (ref, snapshot, judgement)
    _say_late(run, snapshot)
    if ref.name is None and ref.type_source == "option":
        _say_contradiction(run, ref, judgement)
    if not run.stops:
        run.note(NOT_STOPPED.get(judgement.verdict, "the process was not stopped while the map was copied"))
    return ref, snapshot, judgement


def _suspected(
    run: Run, locator: Locator, entries: int | None, timing: Timing
) -> tuple[MapRef, Snapshot, Judgement] | None:
    """Look once more, and for writers, too, at a map that is broken though its flag says that nobody writes it.

    None where no race explains what is broken.
    """
    try:
        copied = _copy(run, locator, None, entries, timing, suspect=True)
    except TargetGone:
        raise
    except InspectError:
        return None
    if copied.snapshot is None:
        return None
    judgement = _judged(run, copied, copied.snapshot, timing)
    return (copied.ref, copied.snapshot, judgement) if judgement.raced else None


def _judged(run: Run, copied: Copied, snapshot: Snapshot, timing: Timing) -> Judgement:
    """What one copy shows, and who was writing the map."""
    watching.begin("Hashing keys and checking the map")
    checking = time.perf_counter()
    ref, judgement = copied.ref, judge(run, snapshot)
    writers, where = copied.writers.of_map(run, ref.address), run.reader_of(ref.type).whole(ref.address)
    judgement = with_writers(judgement, writers, run.family, snapshot.header.writing, where)
    timing.check = _ms(checking)
    _log(ref, snapshot, judgement, timing)
    return judgement


def judge(run: Run, snapshot: Snapshot) -> Judgement:
    """Judge a map by its copy; without a stop `settled` says whether to believe that."""
    return snapshot.judge(incomplete=run.missing > 0)


def _copy(
    run: Run, locator: Locator, early: Guess | None, entries: int | None, timing: Timing, suspect: bool = False
) -> Copied:
    """Find and copy the map in one stop; raises NotReadInTime when not even its header was read in it.

    `suspect` says that writers are to be looked for, even if the map says that there is none.
    """
    with run.held():
        reading = time.perf_counter()
        ref = early.ref if early and early.holds(run) else find_map(run, locator)
        snapshot = _snapshot(run, ref, entries) if ref.address else None
        timing.read = _ms(reading)
        # Only a write is of interest; in a core its goroutine may have ended it meanwhile.
        if snapshot is None or snapshot.late or not (snapshot.header.writing or run.still or suspect):
            return Copied(ref, snapshot)
        try:
            return Copied(ref, snapshot, see_writers(run, ref.address))
        except NotReadInTime:
            run.note("the stop was too short to look for goroutines that write maps")
            return Copied(ref, snapshot)


def _copy_again(run: Run, locator: Locator) -> Snapshot | None:
    """Find and copy the map once more while the process runs; None where nothing leads to a map any longer."""
    try:
        return _copy(run, locator, None, 0, Timing()).snapshot
    except TargetGone:
        raise
    except InspectError:
        return None


def _say_late(run: Run, snapshot: Snapshot) -> None:
    """Say what a stop was too short for."""
    if snapshot.late:
        assert run.max_stop is not None
        what = ", ".join(snapshot.late)
        most = f"{run.max_stop * 1000:.0f} ms that a stop may take"
        run.note(f"not read within the {most}: {what}; allow longer stops to read all")


def _log(ref: MapRef, snapshot: Snapshot, judgement: Judgement, timing: Timing) -> None:
    rules = Counter(finding.rule for finding in judgement.findings)
    logger.debug(
        "%s at %#x: %d bytes read in %.1f ms; %d of %d keys lie where their hash says; findings by rule: %s; %s",
        ref.type.name, ref.address, snapshot.bytes_read, timing.read,
        judgement.proof.matched, judgement.proof.checked, dict(rules) or "none", judgement.verdict,
    )  # fmt: skip


def _say_contradiction(run: Run, ref: MapRef, judgement: Judgement) -> None:
    """Say that the type given may be wrong, when most keys do not lie where keys of that type hash to."""
    proof = judgement.proof
    if proof.checked > 2 * proof.matched:
        run.note(
            f"the type given is {ref.type.name}, but only {proof.matched} of {proof.checked} keys are in the place "
            "that their hash selects: leave the type out, and it is inferred"
        )


def _snapshot(run: Run, ref: MapRef, entries: int | None) -> Snapshot:
    source = run.source()
    if not ref.declared:
        believe(run, source.regions, ref.address, ref.type, ref.name)
    return run.reader_of(ref.type).take_snapshot(source, ref.address, ref.type, entries)


def target_info(target: Target) -> TargetInfo:
    """Describe a target for a report."""
    program = target.program
    return TargetInfo(
        kind=target.kind,
        pid=target.pid,
        exe=program.image.path,
        go_version=program.release.version,
        experiments=tuple(sorted(program.release.experiments)),
        stripped=program.image.stripped,
        memory=target.memory.name,
    )


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
