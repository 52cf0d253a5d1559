"""The random keys of a process that its hash functions mix in, and where to find them.

They are variables of the runtime: useAeshash (a bool), aeskeysched (128 bytes), hashkey (four words). In a
stripped executable their addresses are read off the instructions of memhash64 or memhash32, to which the hasher of a
map type leads (runtime/asm_amd64.s; since 1.27 runtime/alg.go and internal/runtime/maps/memhash_aes.go).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inspector.errors import UnreadableMemory
from inspector.goruntime.releases import Release
from inspector.gotypes.gotype import Kind
from inspector.gotypes.table import TypeTable
from inspector.hashing.aes import SCHEDULE_SIZE
from inspector.hashing.fallback import FallbackHash, OldFallbackHash
from inspector.hashing.hasher import MemoryHash
from inspector.hashing.kernel import aes_hash
from inspector.image.elf import ElfImage
from inspector.memory.protocol import Memory

CODE_SIZE = 96
"""Bytes of a hash function that are looked at: what is sought stands at its start."""

CMPB_ZERO = b"\x80\x3d"  # CMPB disp32(RIP), imm8
AESENC_X0 = b"\x66\x0f\x38\xdc\x05"  # AESENC disp32(RIP), X0
VAESENC_X0 = b"\xc4\xe2\x79\xdc\x05"  # VAESENC disp32(RIP), X0, X0: with GOEXPERIMENT=simd
CALL = b"\xe8"
JMP = b"\xe9"
MOVES = (b"\x48\x8b", b"\x48\x33", b"\x4c\x8b", b"\x4c\x33")  # MOVQ and XORQ from memory
WORD = 8

RIP_RELATIVE = 0x05
RIP_MASK = 0xC7


@dataclass(frozen=True)
class HashKeys:
    """A process's hash keys: `schedule` where AES is used, else `hashkey`."""

    schedule: bytes | None
    hashkey: tuple[int, int, int, int] | None

    def functions(self, release: Release) -> MemoryHash | None:
        """The primitives that go with the keys."""
        if self.schedule is not None:
            return aes_hash(self.schedule)
        if self.hashkey is None:
            return None
        if release.wyhash:
            return FallbackHash(self.hashkey, release.fallback_own_keys)
        return OldFallbackHash(self.hashkey)


def find_hash_keys(image: ElfImage, memory: Memory, types: TypeTable) -> HashKeys | None:
    """Read the keys by their symbols, or through the code that uses them; None when neither leads there."""
    try:
        return _by_symbol(image, memory, types.release) or _by_code(memory, types)
    except UnreadableMemory:
        return None


def _by_symbol(image: ElfImage, memory: Memory, release: Release) -> HashKeys | None:
    use, schedule, hashkey = map(image.symbol, release.hash_variables)
    if use is None or schedule is None or hashkey is None:
        return None
    if memory.read(use.address, 1)[0]:
        return HashKeys(bytes(memory.read(schedule.address, SCHEDULE_SIZE)), None)
    return HashKeys(None, _words(memory, hashkey.address))


def _words(memory: Memory, address: int) -> tuple[int, int, int, int]:
    first, second, third, fourth = struct.unpack("<4Q", memory.read(address, 32))
    return first, second, third, fourth


def _by_code(memory: Memory, types: TypeTable) -> HashKeys | None:
    for entry in _hash_functions(memory, types):
        try:
            code = bytes(memory.read(entry, CODE_SIZE))
            keys = _way(types.release)(memory, code, entry)
            if keys is not None:
                return keys
        except UnreadableMemory:
            continue
    return None


def _way(release: Release) -> Callable[[Memory, bytes, int], HashKeys | None]:
    """How the keys are read off the code of memhash64."""
    if release.type_alg:
        return _of_chosen
    return _of_wrapper if release.hash_wrappers else _of_function


def _of_wrapper(memory: Memory, code: bytes, entry: int) -> HashKeys | None:
    """Keys that runtime.memhash64 leads to by calls, since 1.27: to MemHash64, and from there to memHash64AES."""
    entry, code = _followed(memory, code, entry, 0, CMPB_ZERO)
    use = _operand(code, entry, CMPB_ZERO, immediate=1)
    if use is None:
        return None
    asked = code.find(CMPB_ZERO) + len(CMPB_ZERO) + 5
    if not memory.read(use, 1)[0]:
        return _of_neighbours(memory, code[asked:], entry + asked)
    inline = _operand(code, entry, VAESENC_X0)
    if inline is None:
        entry, code = _followed(memory, code, entry, asked, AESENC_X0)
        inline = _operand(code, entry, AESENC_X0)
    return HashKeys(bytes(memory.read(inline, SCHEDULE_SIZE)), None) if inline is not None else None


def _followed(memory: Memory, code: bytes, entry: int, start: int, wanted: bytes) -> tuple[int, bytes]:
    """The function (entry, code) that is called first after `start`, unless what is wanted stands before the call."""
    at = code.find(CALL, start)
    sought = code.find(wanted, start)
    if at < 0 or at + 5 > len(code) or 0 <= sought < at:
        return entry, code
    called = entry + at + 5 + struct.unpack_from("<i", code, at + 1)[0]
    return called, bytes(memory.read(called, CODE_SIZE))


def _of_function(memory: Memory, code: bytes, entry: int) -> HashKeys | None:
    """Keys that memhash64 or memhash32 uses, which asks useAeshash each time it is called (since 1.14)."""
    use = _operand(code, entry, CMPB_ZERO, immediate=1)
    if use is None:
        return None
    if memory.read(use, 1)[0]:
        schedule = _operand(code, entry, AESENC_X0)
        return HashKeys(bytes(memory.read(schedule, SCHEDULE_SIZE)), None) if schedule is not None else None
    at = code.find(JMP, code.find(CMPB_ZERO))
    if at < 0 or at + 5 > len(code):
        return None
    fallback = entry + at + 5 + struct.unpack_from("<i", code, at + 1)[0]
    return _of_fallback(memory, bytes(memory.read(fallback, CODE_SIZE)), fallback)


def _of_chosen(memory: Memory, code: bytes, entry: int) -> HashKeys | None:
    """Keys that aeshash64 or memhash64 uses: until 1.13 the choice was made once (runtime.algarray)."""
    schedule = _operand(code, entry, AESENC_X0)
    if schedule is not None:
        return HashKeys(bytes(memory.read(schedule, SCHEDULE_SIZE)), None)
    return _of_fallback(memory, code, entry)


def _of_fallback(memory: Memory, code: bytes, entry: int) -> HashKeys | None:
    """The lowest operand in memory of memhash64's fallback is hashkey[0]."""
    operands = _operands(code, entry)
    return HashKeys(None, _words(memory, min(operands))) if operands else None


def _of_neighbours(memory: Memory, code: bytes, entry: int) -> HashKeys | None:
    """The operands of an inlined fallback are hashkey[0] and hashkey[1]; other code may follow it."""
    operands = _operands(code, entry)
    first = next((address for address in operands if address + WORD in operands), None)
    return HashKeys(None, _words(memory, first)) if first is not None else None


def _operands(code: bytes, entry: int) -> list[int]:
    """Addresses in memory that MOVQ and XORQ instructions of the code refer to."""
    return [
        entry + start + 7 + struct.unpack_from("<i", code, start + 3)[0]
        for start in range(len(code) - 6)
        if code[start : start + 2] in MOVES and code[start + 2] & RIP_MASK == RIP_RELATIVE
    ]


def _hash_functions(memory: Memory, types: TypeTable) -> Iterator[int]:
    """Entry points of memhash64 and memhash32, through the func values that map types hold."""
    for map_type in types.map_types:
        key = types.key(map_type)
        if key.regular_memory and key.size in (4, 8) and key.kind != Kind.ARRAY and map_type.hasher:
            try:
                yield int(struct.unpack("<Q", memory.read(map_type.hasher, 8))[0])
            except UnreadableMemory:
                continue


def _operand(code: bytes, entry: int, opcode: bytes, immediate: int = 0) -> int | None:
    """Address that the first instruction with this opcode refers to, relative to its end."""
    at = code.find(opcode)
    end = at + len(opcode) + 4
    if at < 0 or end + immediate > len(code):
        return None
    return int(entry + end + immediate + struct.unpack_from("<i", code, end - 4)[0])
