"""One map, located, copied, decoded and judged: what every report is made from."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from inspector.errors import EXIT_CONSISTENT, EXIT_INCONSISTENT, EXIT_PARTIAL, NotReadInTime
from inspector.goroutines.writers import Writer, find_writers
from inspector.gotypes.syncmaps import is_sync_map
from inspector.inspection.identification import Guess, believe, find_map, guess, with_types_made_later
from inspector.inspection.in_use import look_for_heap
from inspector.maps.family import Account, Entry, Snapshot
from inspector.maps.findings import Judgement
from inspector.naming.locate import Locator, MapRef, locate
from inspector.target.run import MaxStop, Run
from inspector.target.target import Target, noticing_the_end

logger = logging.getLogger(__name__)

DEFAULT_ENTRIES = 20
RETRIES_WITHOUT_STOP = 5


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

    `entries` are decoded when they are asked for, in the order of their places.
    """

    target: TargetInfo
    ref: MapRef
    snapshot: Snapshot | None
    judgement: Judgement
    account: Account
    timing: Timing
    notes: tuple[str, ...] = ()
    shown: int | None = DEFAULT_ENTRIES

    @property
    def exit_code(self) -> int:
        """0 consistent or a write in progress, 1 inconsistent, 3 a partial result."""
        codes = {"inconsistent": EXIT_INCONSISTENT, "unreadable": EXIT_PARTIAL, "not-read": EXIT_PARTIAL}
        return codes.get(self.judgement.verdict, EXIT_CONSISTENT)

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
        return islice(self.snapshot.entries(), self.shown) if self.snapshot else iter(())


def inspect(
    target: Target,
    text: str | Locator,
    type_name: str | None = None,
    entries: int | None = DEFAULT_ENTRIES,
    max_stop: MaxStop = "usual",
) -> Inspection:
    """Inspect one map: `text` is an address or a variable, `entries` how many to show (None for all).

    The process is held only while bytes are copied, for at most `max_stop` seconds (see MaxStop);
    types are read before, and everything else happens after it runs again. Raises the InspectError family.
    """
    started = time.perf_counter()
    timing = Timing()
    run = Run(target, max_stop)
    with noticing_the_end(target.life):
        ref, snapshot, judgement = with_types_made_later(run, lambda: _take(run, text, type_name, entries, timing))
    timing.stopped = run.stopped_ms
    logger.debug(
        "%s stops, %.1f ms in all, held by %s", len(run.clock.stops), run.stopped_ms, type(run.holder).__name__
    )
    decoding = time.perf_counter()
    account = snapshot.account() if snapshot else run.reader_of(ref.type).nothing(run.release)
    timing.decode = _ms(decoding)
    timing.total = _ms(started)
    return Inspection(target_info(target), ref, snapshot, judgement, account, timing, tuple(run.notes), entries)


@dataclass(frozen=True)
class Copied:
    """What one stop has brought: where the map is, its copy (None for a nil map), and who was writing maps."""

    ref: MapRef
    snapshot: Snapshot | None
    writers: tuple[Writer, ...]

    @property
    def late(self) -> bool:
        """Whether the stop was too short for all of the map."""
        return self.snapshot is not None and bool(self.snapshot.late)


def _take(
    run: Run, text: str | Locator, type_name: str | None, entries: int | None, timing: Timing
) -> tuple[MapRef, Snapshot | None, Judgement]:
    """Copy and judge; without a stop a torn copy is taken again before anything is called inconsistent."""
    locator = locate(run, text, type_name)
    for sentence in locator.notes:
        run.note(sentence)
    # Found before the stop, as they never change.
    _ = run.types, run.hash_keys
    look_for_heap(run)
    early = guess(run, locator)
    # A guess that leads to a contradiction is made again while the process is held.
    tries = 1 + bool(early) if run.stops else RETRIES_WITHOUT_STOP
    for attempt in range(tries):
        copied = run.in_time(partial(_copy, run, locator, early, entries, timing), lambda copied: copied.late)
        ref, snapshot = copied.ref, copied.snapshot
        if snapshot is None:
            return ref, None, Judgement("consistent")
        checking = time.perf_counter()
        judgement = judge(run, snapshot)
        where = run.reader_of(ref.type).whole(ref.address)
        seen = tuple(writer.finding(where) for writer in copied.writers if ref.address in writer.words)
        judgement = replace(judgement, findings=(*judgement.findings, *seen))
        timing.check = _ms(checking)
        _log(ref, snapshot, judgement, timing)
        if judgement.verdict == "consistent" or attempt == tries - 1:
            break
        early = None
    assert snapshot is not None
    _say_late(run, snapshot)
    if ref.name is None and ref.type_source == "option":
        _say_contradiction(run, ref, judgement)
    if not run.stops:
        run.note(
            "the process was not stopped: a copy taken while the map changes may look inconsistent"
            if judgement.verdict in ("inconsistent", "unreadable")
            else "the process was not stopped while the map was copied"
        )
    return ref, snapshot, judgement


def judge(run: Run, snapshot: Snapshot) -> Judgement:
    """Judge a map by its copy. A sync.Map is written without a lock that stops who reads it.

    So what seems wrong in a copy that was taken while the process ran is a torn copy: it is reported, and not a fault.
    """
    judgement = snapshot.judge(incomplete=run.missing > 0)
    if run.stops or run.still or judgement.verdict != "inconsistent" or not is_sync_map(snapshot.type):
        return judgement
    torn = tuple(replace(f, severity="warning") if f.severity == "error" else f for f in judgement.findings)
    return replace(judgement, verdict="unreadable", findings=torn)


def _copy(run: Run, locator: Locator, early: Guess | None, entries: int | None, timing: Timing) -> Copied:
    """Find and copy the map in one stop; raises NotReadInTime when not even its header was read in it."""
    with run.held():
        reading = time.perf_counter()
        ref = early.ref if early and early.holds(run) else find_map(run, locator)
        snapshot = _snapshot(run, ref, entries) if ref.address else None
        timing.read = _ms(reading)
        # Only a write is of interest; in a core its goroutine may have ended it meanwhile.
        if snapshot is None or snapshot.late or not (snapshot.header.writing or run.still):
            return Copied(ref, snapshot, ())
        try:
            return Copied(ref, snapshot, tuple(find_writers(run)))
        except NotReadInTime:
            run.note("the stop was too short to look for goroutines that write maps")
            return Copied(ref, snapshot, ())


def _say_late(run: Run, snapshot: Snapshot) -> None:
    """Say what a stop was too short for."""
    if snapshot.late:
        assert run.max_stop is not None
        what = ", ".join(snapshot.late)
        run.note(f"not read within the {run.max_stop * 1000:.0f} ms that a stop may take: {what}")


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
