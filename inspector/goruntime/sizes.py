"""How large the blocks are that Go's allocator gives (runtime/sizeclasses.go, runtime/msize.go)."""

from __future__ import annotations

from bisect import bisect_left

from inspector.goruntime.releases import Release

PAGE_SIZE = 8192
MAX_SMALL_SIZE = 32768
MALLOC_HEADER_SIZE = 8
MIN_SIZE_FOR_MALLOC_HEADER = 512

SIZE_CLASSES = (
    8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384,
    416, 448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688,
    3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288,
    13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
)  # fmt: skip
"""Object sizes in bytes of runtime/sizeclasses.go; the same in every release from 1.16 to 1.25.

Go 1.14 and 1.15 have no class of 24, which no bucket array is small enough to meet.
"""


def roundup_size(release: Release, size: int, noscan: bool) -> int:
    """runtime.roundupsize: bytes usable in the block that the allocator gives for `size` bytes."""
    return block_size(release, size, noscan) - header_size(release, size, noscan)


def block_size(release: Release, size: int, noscan: bool) -> int:
    """Bytes of that block, its malloc header included; none for an object without bytes."""
    if not size:
        return 0
    small = size <= MAX_SMALL_SIZE - MALLOC_HEADER_SIZE if release.malloc_headers else size < MAX_SMALL_SIZE
    if small:
        return SIZE_CLASSES[bisect_left(SIZE_CLASSES, size + header_size(release, size, noscan))]
    return -(-size // PAGE_SIZE) * PAGE_SIZE


def header_size(release: Release, size: int, noscan: bool) -> int:
    """Bytes before an object that say what its type is (runtime.heapSetTypeSmallHeader); they are in its block."""
    small = size <= MAX_SMALL_SIZE - MALLOC_HEADER_SIZE
    headed = release.malloc_headers and small and not noscan and size > MIN_SIZE_FOR_MALLOC_HEADER
    return MALLOC_HEADER_SIZE if headed else 0
