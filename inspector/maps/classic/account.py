"""Describes a map for every renderer: in words, as a picture, as parts of the JSON document."""

from __future__ import annotations

from array import array
from functools import partial
from typing import Any

import numpy as np

from inspector.goruntime.releases import Release
from inspector.gotypes.words import number_of, size
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.header import HEADER, NAME, GrowthState, Hmap, MapExtra
from inspector.maps.classic.summary import Growth, Occupancy, growth_of, occupancy_of
from inspector.maps.family import Account, Held, Passage, Strip
from inspector.maps.shrinking import Keeping

NO_HEADER = Hmap(0, 0, 0, 0, 0, 0, 0, 0, 0)
NO_OCCUPANCY = Occupancy(0, 0, 0, 0, 0, {}, Held({"buckets": 0, "overflow": 0, "old": 0, "header": 0}, 0))


def account_of(view: MapView) -> Account:
    """See Snapshot.account."""
    header, extra = view.header, view.snapshot.extra
    growth, occupancy = growth_of(view), occupancy_of(view)
    rows = _header_rows(header) + (_extra_rows(extra) if extra else [])
    passages = (_growth_passage(view, growth), _occupancy_passage(view, occupancy))
    keeps = keeping(view.snapshot.release)
    return _account(header, extra, growth, occupancy, tuple(rows), passages, keeps)


def nothing(release: Release) -> Account:
    """See Reader.nothing."""
    growth = Growth(None, 0, 0, 0, None, 0.0, release.load_factor_half / 2, None)
    return _account(NO_HEADER, None, growth, NO_OCCUPANCY, (), (), keeping(release))


def keeping(release: Release) -> Keeping:
    """See Family.keeping: mapdelete and mapclear keep the array, and runtime.mapclone2 makes one for the count."""
    return Keeping("buckets", "rebuilds" if release.has_maps_clone else "missing")


def _account(
    header: Hmap,
    extra: MapExtra | None,
    growth: Growth,
    occupancy: Occupancy,
    rows: tuple[tuple[str, str], ...],
    passages: tuple[Passage, ...],
    keeps: Keeping,
) -> Account:
    state = GrowthState(growth.kind, growth.old_buckets, growth.evacuated)
    return Account(
        family=NAME,
        header_name=HEADER,
        live=occupancy.live,
        load=growth.load,
        load_limit=growth.load_factor_limit,
        growing=growth.kind is not None,
        state=state.state,
        bytes=occupancy.bytes,
        header=rows,
        passages=passages,
        map_form=partial(_map_form, header, extra),
        growth_form=_growth_form(growth),
        occupancy_form=_occupancy_form(occupancy),
        row_form={"B": header.B},
        row_growth=state.form,
        keeping=keeps,
    )


# For the user


def _header_rows(header: Hmap) -> list[tuple[str, str]]:
    flags = ", ".join(header.flag_names) or "none"
    return [
        ("count", str(header.count)),
        ("flags", f"{header.flags} ({flags})"),
        ("B", f"{header.B} ({number_of(1 << min(header.B, 62), 'bucket')})"),
        ("noverflow", str(header.noverflow)),
        ("hash0", f"{header.hash0:#010x}"),
        ("buckets", _pointer(header.buckets)),
        ("oldbuckets", _pointer(header.oldbuckets)),
        ("nevacuate", str(header.nevacuate)),
        *([("clearSeq", str(header.clear_seq))] if header.clear_seq is not None else []),
        ("extra", _pointer(header.extra)),
    ]


def _extra_rows(extra: MapExtra) -> list[tuple[str, str]]:
    return [
        ("  overflow", _listed(extra.overflow_pointer, extra.overflow)),
        ("  oldoverflow", _listed(extra.oldoverflow_pointer, extra.oldoverflow)),
        ("  nextOverflow", _pointer(extra.next_overflow)),
    ]


def _pointer(address: int) -> str:
    return f"{address:#x}" if address else "nil"


def _listed(pointer: int, buckets: array[int] | None) -> str:
    if buckets is None:
        return _pointer(pointer) + (" (not readable)" if pointer else "")
    return f"{pointer:#x} ({number_of(len(buckets), 'bucket')})"


def _growth_passage(view: MapView, growth: Growth) -> Passage:
    if growth.kind is None:
        line = f"none; {growth.load:.2f} entries a bucket of at most {growth.load_factor_limit:g}"
        if growth.next:
            starts = "starts" if growth.next.inserts == 1 else "start"
            line += f"; {number_of(growth.next.inserts, 'more new key')} {starts} the next ({growth.next.kind})"
        return Passage("growth", (line,))
    ahead = growth.evacuated - growth.frontier
    lines = [
        f"{growth.kind}, {growth.evacuated} of {growth.old_buckets} old buckets evacuated "
        f"({growth.frontier} below nevacuate, {ahead} out of order)"
    ]
    if growth.writes_to_finish:
        left = growth.writes_to_finish
        writes = number_of(left.max, "more write")
        writes = writes if left.min == left.max else f"{left.min:,} to {writes}"
        lines.append(f"Growth finishes after {writes}; reading never advances it.")
    strip = None
    if len(view.evacuated):
        mark = view.header.nevacuate, f"nevacuate {view.header.nevacuate}"
        strip = Strip(view.evacuated.astype(np.float32), ("evacuated", "partly", "waiting"), mark)
    return Passage("growth", tuple(lines), strip)


def _occupancy_passage(view: MapView, occupancy: Occupancy) -> Passage:
    held = occupancy.bytes
    if view.header.buckets and view.new is None:
        line = (
            f"not known, because the buckets were not read; the header counts {number_of(view.header.count, 'entry')}"
        )
        return Passage("occupancy", (line,))
    used = f"{occupancy.live / occupancy.cells:.0%} used" if occupancy.cells else "the first write makes some"
    old = number_of(occupancy.old_overflow_buckets, "old overflow bucket")
    parts = ", ".join(f"{name} {size(part)}" for name, part in held.parts.items())
    return Passage(
        "occupancy",
        (
            f"{number_of(occupancy.live, 'entry')} in {number_of(occupancy.cells, 'cell')} ({used})",
            f"{number_of(occupancy.buckets, 'bucket')}, {_chains(occupancy)}{f'; {old}' if held.parts['old'] else ''}",
            f"{size(held.total)}: {parts}; a fresh map would need {size(held.if_rebuilt)}",
        ),
    )


def _chains(occupancy: Occupancy) -> str:
    """How many buckets have overflow buckets, and how long their chains are."""
    longer = {length: count for length, count in occupancy.chain_lengths.items() if length > 1}
    if not longer:
        return "none with overflow"
    chains = ", ".join(f"{number_of(count, 'chain')} of {length}" for length, count in longer.items())
    return f"{sum(longer.values()):,} with overflow ({chains})"


# For programs


def _address(value: int) -> str | None:
    return f"{value:#x}" if value else None


def _map_form(header: Hmap, extra: MapExtra | None) -> dict[str, Any]:
    return {
        "flags": header.flag_names,
        "flags_raw": header.flags,
        "B": header.B,
        "noverflow": header.noverflow,
        "hash0": header.hash0,
        "buckets": _address(header.buckets),
        "oldbuckets": _address(header.oldbuckets),
        "nevacuate": header.nevacuate,
        **({} if header.clear_seq is None else {"clearSeq": header.clear_seq}),
        "extra": _extra_form(extra) if extra else None,
    }


def _extra_form(extra: MapExtra) -> dict[str, Any]:
    def listed(pointers: array[int] | None) -> list[str] | None:
        return None if pointers is None else [f"{pointer:#x}" for pointer in pointers]

    return {
        "address": f"{extra.address:#x}",
        "overflow": listed(extra.overflow),
        "oldoverflow": listed(extra.oldoverflow),
        "nextOverflow": _address(extra.next_overflow),
    }


def _growth_form(growth: Growth) -> dict[str, Any]:
    left, coming = growth.writes_to_finish, growth.next
    return {
        "growing": growth.kind is not None,
        "kind": growth.kind,
        "old_buckets": growth.old_buckets,
        "evacuated": growth.evacuated,
        "frontier": growth.frontier,
        "writes_to_finish": {"min": left.min, "max": left.max} if left else None,
        "load": growth.load,
        "load_factor_limit": growth.load_factor_limit,
        "next": {"kind": coming.kind, "inserts": coming.inserts} if coming else None,
    }


def _occupancy_form(occupancy: Occupancy) -> dict[str, Any]:
    return {
        "buckets": occupancy.buckets,
        "overflow_buckets": occupancy.overflow_buckets,
        "old_overflow_buckets": occupancy.old_overflow_buckets,
        "cells": occupancy.cells,
        "live": occupancy.live,
        "chain_lengths": {str(length): count for length, count in occupancy.chain_lengths.items()},
        "bytes": occupancy.bytes.form(),
    }
