"""The calls on a goroutine's stack, by the tables that a stripped executable keeps (runtime/traceback.go)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from construct import ConstructError

from inspector.errors import UnreadableMemory
from inspector.image.functions import Function, FunctionTable
from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Memory

MOST_FRAMES = 200
WORD = 8
PIECE = 256
"""Bytes of a table that are read at a time; few are longer."""
MOST_PIECES = 64


@dataclass(frozen=True)
class Frame:
    """One call: the function, the instruction it is at, and its part of the stack, [sp, end) in bytes.

    `end` is behind the return address, where the caller's part begins.
    """

    function: Function
    pc: int
    sp: int
    end: int


def unwind(
    memory: Memory, functions: FunctionTable, pc: int, sp: int, stack: Memory | FrozenMemory | None = None
) -> Iterator[Frame]:
    """The frames from an instruction outwards, as far as they can be followed; frames are Go's own only.

    `stack` has a copy of the stack, where that has to be older than `memory`.
    """
    at = pc
    for _ in range(MOST_FRAMES):
        try:
            function = functions.containing(memory, at)
            if function is None:
                return
            size = frame_size(memory, function, at)
            if size is None or size < 0:
                return
            end = sp + size + WORD
            yield Frame(function, pc, sp, end)
            pc = int.from_bytes((stack or memory).read(end - WORD, WORD), "little")
        except (UnreadableMemory, ConstructError):
            return
        sp = end
        # A return address is behind the call, which may have been the last instruction of its function.
        at = pc - 1


def frame_size(memory: Memory, function: Function, pc: int) -> int | None:
    """Bytes between sp and the return address at an instruction of a function (runtime.funcspdelta).

    The table holds pairs of varints: how the value changes, and for how many bytes of code it holds.
    """
    values = _varints(memory, function.pcsp)
    at, size = function.entry, -1
    for pair, (change, length) in enumerate(zip(values, values, strict=False)):
        # A change of nothing ends the table, but for its first pair.
        if not change and pair:
            return None
        size += (change >> 1) ^ -(change & 1)
        at += length
        if pc < at:
            return size
    return None


def _varints(memory: Memory, address: int) -> Iterator[int]:
    value = shift = 0
    for piece in range(MOST_PIECES):
        for byte in memory.read(address + piece * PIECE, PIECE):
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                yield value
                value = shift = 0
