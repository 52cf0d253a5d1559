"""Which words of a type the collector follows: its gcdata (internal/abi/type.go)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime import scalars as go
from inspector.goruntime import types as schema
from inspector.goruntime.releases import Release
from inspector.memory.protocol import Memory

WORD = BYTE = 8

LARGEST = 1 << 23
"""Bytes of the largest type whose words are told apart; those of larger ones count as pointers."""


def pointer_mask(release: Release, memory: Memory, address: int) -> NDArray[np.bool_] | None:
    """(words of the type,) whether each is a pointer; None where that is not known, and where there is no type.

    Until 1.23 large types with arrays have a program in place of a bitmap, which nobody ran; since 1.24 the runtime
    makes their bitmap when it first needs it (getGCMaskOnDemand in runtime/type.go).
    """
    try:
        head = schema.rtype.parse(memory.read(address, schema.rtype.sizeof()))
        if not 0 < head.size <= LARGEST or head.size % WORD or head.ptrdata > head.size or head.ptrdata % WORD:
            return None
        bitmap = head.gcdata
        if release.gc_masks_on_demand:
            if head.tflag & schema.TFLAG_GC_MASK_ON_DEMAND:
                bitmap = go.pointer.parse(memory.read(bitmap, WORD))
        elif head.kind & schema.KIND_GC_PROGRAM:
            return None
        words = head.ptrdata // WORD
        raw = memory.read(bitmap, -(-words // BYTE)) if words else b""
    except UnreadableMemory:
        return None
    mask = np.zeros(head.size // WORD, dtype=bool)
    mask[:words] = np.unpackbits(np.frombuffer(raw, np.uint8), count=words, bitorder="little")
    return mask
