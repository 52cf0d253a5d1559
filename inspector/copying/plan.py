"""What is copied of a process, and where it will lie in the core: segments, and ranges of them that are not zeros."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.copying.mappings import Held, Mapping, parse_maps, read_maps
from inspector.copying.pages import PAGE, Pages, Ranges

Numbers = NDArray[np.uint64]


@dataclass(frozen=True)
class Segment:
    """A mapping, and how many bytes from its start the core holds; `at` is their offset behind the core's headers."""

    mapping: Mapping
    size: int
    at: int


@dataclass(frozen=True)
class Plan:
    """The segments of a core in the order of their addresses, and `ranges` [start, end) of them that are copied.

    No range lies in two segments.
    """

    segments: list[Segment]
    ranges: Ranges
    text: str = field(repr=False)
    """The /proc/PID/maps that it was made from."""
    mappings: list[Mapping] = field(repr=False)
    """All of that, parsed: also what the core does not mention."""

    @cached_property
    def starts(self) -> Numbers:
        """Where the ranges begin."""
        return np.array([start for start, _ in self.ranges], dtype=np.uint64)

    @cached_property
    def sizes(self) -> Numbers:
        """How long they are, in bytes."""
        return np.array([end - start for start, end in self.ranges], dtype=np.uint64)

    @property
    def size(self) -> int:
        """Bytes to copy."""
        return int(self.sizes.sum())

    @property
    def length(self) -> int:
        """Bytes of the core behind its headers, holes and all."""
        return self.segments[-1].at + self.segments[-1].size if self.segments else 0

    def dense(self) -> Numbers:
        """Where the copy of each range begins if they are kept one behind the other."""
        return np.cumsum(self.sizes) - self.sizes

    def sparse(self) -> Numbers:
        """Where each range begins behind the core's headers."""
        firsts = [segment.mapping.start for segment in self.segments]
        place = [self.segments[bisect_right(firsts, start) - 1] for start, _ in self.ranges]
        return np.array(
            [
                segment.at + start - segment.mapping.start
                for segment, (start, _) in zip(place, self.ranges, strict=True)
            ],
            dtype=np.uint64,
        )


def make_plan(pid: int, pages: Pages, before: Plan | None = None) -> Plan:
    """Look at what a process has mapped; `before` is an earlier plan, which saves time where nothing is mapped anew.

    Raises NotPermitted, TargetGone.
    """
    text = read_maps(pid)
    mappings = before.mappings if before is not None and before.text == text else parse_maps(text)
    segments: list[Segment] = []
    ranges: Ranges = []
    at = 0
    for mapping in mappings:
        if mapping.in_core:
            held = _held(mapping, pages)
            ranges += _ranges(mapping, held, pages)
            size = _size(mapping, held)
            segments.append(Segment(mapping, size, at))
            at += size
    return Plan(segments, ranges, text, mappings)


def _held(mapping: Mapping, pages: Pages) -> Held:
    if mapping.held is not Held.UNLESS_CHANGED:
        return mapping.held
    return Held.ALL if pages.changed(mapping.start, mapping.end) else mapping.held_unchanged


def _size(mapping: Mapping, held: Held) -> int:
    if held is Held.NOTHING:
        return 0
    return PAGE if held is Held.FIRST_PAGE else mapping.size


def _ranges(mapping: Mapping, held: Held, pages: Pages) -> Iterator[tuple[int, int]]:
    if held is Held.PRESENT:
        yield from pages.touched(mapping.start, mapping.end)
    elif held is not Held.NOTHING:
        yield mapping.start, mapping.start + _size(mapping, held)
