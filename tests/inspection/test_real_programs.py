"""Programs that others built with Swiss maps and published, stripped: their largest maps, by address alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from fixtures.esbuild import RECENT, esbuild
from fixtures.npm import NotOnNpm
from fixtures.tsgo import tsgo
from inspector.errors import NotAMap
from inspector.inspection.one_map import Inspection, inspect
from inspector.maps.family import Arena
from inspector.target.opening import open_target
from inspector.target.target import Target

LARGEST = 20
PIECE = 1 << 26
TRIES = 400
"""Candidates that are looked at: some are memory that was freed, and used for something else since."""

pytestmark = pytest.mark.slow


def candidates(target: Target) -> list[int]:
    """Addresses of words that are shaped like a header, the one that counts most entries first."""
    family, release = target.program.family, target.program.release
    regions = [region for region in target.memory.regions() if region.writable and not region.name]
    arena = Arena(min(region.start for region in regions), max(region.end for region in regions))
    found: list[tuple[int, int]] = []
    for region in regions:
        for at in range(region.start, region.end, PIECE):
            words = np.frombuffer(target.memory.read(at, min(PIECE, region.end - at)), np.uint64)
            headers = family.candidates(words, at, arena, release)
            counts = [family.header_of(row).count for row in headers.rows]
            found += zip(counts, headers.addresses.tolist(), strict=True)
    return [address for _, address in sorted(found, reverse=True)]


def largest(target: Target) -> Iterator[Inspection]:
    """Inspect the largest maps by their addresses alone; what is not a map is passed over."""
    for address in candidates(target)[:TRIES]:
        try:
            yield inspect(target, hex(address), entries=0)
        except NotAMap:
            continue


def hold(pid: int) -> list[int]:
    """Inspect the largest maps; how many entries each has."""
    counts = []
    with open_target(str(pid)) as target:
        for inspection in largest(target):
            proof = inspection.judgement.proof
            assert inspection.judgement.verdict == "consistent", inspection.judgement.findings
            assert inspection.ref.type_source == "hash-proof"
            assert proof.checked == proof.matched > 0
            counts.append(inspection.account.live)
            if len(counts) == LARGEST:
                break
    return counts


@contextmanager
def published(running: AbstractContextManager[int]) -> Iterator[int]:
    """The pid of a published program; skips the test where it cannot be had."""
    try:
        with running as pid:
            yield pid
    except NotOnNpm as reason:
        pytest.skip(str(reason))


def test_the_largest_maps_of_esbuild_are_recognised_proven_and_consistent():
    with published(esbuild(next(iter(RECENT)), {})) as pid:
        counts = hold(pid)
    assert len(counts) == LARGEST
    assert max(counts) > 1000


def test_the_largest_maps_of_tsgo_are_recognised_proven_and_consistent():
    with published(tsgo()) as pid:
        counts = hold(pid)
    assert len(counts) == LARGEST
    assert max(counts) > 1000
