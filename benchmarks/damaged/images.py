"""Cores of a program whose maps are known, and the same cores with one byte laid over."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from fixtures import SWISS_RELEASES, USUAL, build, cached_core
from inspector.census import CensusMap, take_census
from inspector.memory.chunks import Chunk, Chunks
from inspector.target.opening import open_target
from inspector.target.target import Target

PROGRAM, HOW_MANY = "census", "2"
"""A program that holds maps of many types, and garbage among them; so many of each kind."""

FAMILIES = {"classic": USUAL, "swiss": SWISS_RELEASES[-1]}
FLAGS = {"plain": "", "stripped": "-s -w"}


@dataclass(frozen=True)
class Image:
    """An opened core, and the maps that a census lists of it: those of one type only, with an entry at least."""

    name: str
    target: Target
    maps: tuple[CensusMap, ...]

    def with_byte(self, address: int, value: int) -> Target:
        """The target with another byte at an address; the core is not written to."""
        return self.with_bytes(address, bytes([value])).target

    def with_bytes(self, address: int, values: bytes) -> Image:
        """The image with other bytes from an address on, all in one mapping."""
        memory = self.target.memory
        assert isinstance(memory, Chunks)
        chunk = memory._chunk_at(address)
        assert chunk is not None
        changed, end = copy.copy(memory), address + len(values)
        parts = (
            Chunk(chunk.start, address, chunk.buffer, chunk.offset, chunk.writable),
            Chunk(address, end, np.frombuffer(values, np.uint8), 0, chunk.writable),
            Chunk(end, chunk.end, chunk.buffer, chunk.offset + end - chunk.start, chunk.writable),
        )
        changed._chunks = [other for other in memory._chunks if other is not chunk]
        changed._chunks += [part for part in parts if part.start < part.end]
        changed._index()
        return replace(self, target=replace(self.target, memory=changed))


@contextmanager
def opened(family: str, symbols: str) -> Iterator[Image]:
    """The image of a family, plain or stripped, for the length of a with block."""
    core = cached_core(build(PROGRAM, FAMILIES[family], ldflags=FLAGS[symbols]), HOW_MANY)
    with open_target(str(core.path), exe=str(core.exe), memory="direct") as target:
        census = take_census(target)
        assert census.exit_code == 0, "the image is unsound before any change"
        maps = (one for one in census.maps if one.count and not one.alternatives and "sync." not in one.type)
        yield Image(f"{family}, {symbols}", target, tuple(maps))
