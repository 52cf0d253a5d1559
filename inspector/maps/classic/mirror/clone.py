"""maps.Clone: runtime.mapclone2, which copies a map bucket by bucket and keeps its hash seed."""

from __future__ import annotations

from inspector.goruntime.hmap import SAME_SIZE_GROW
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.maps.classic.mirror.bmap import Bmap, Buckets, is_empty
from inspector.maps.classic.mirror.growth import load_limit, old_b, over_load_factor
from inspector.maps.classic.mirror.model import MirrorMap


def clone(src: MirrorMap) -> MirrorMap:
    """runtime.mapclone2.

    Raises ValueError for a map over its load limit in a release whose mapclone2 then reads beyond the array.
    """
    hint = src.count
    if over_load_factor(src.release, hint, src.B):
        if not src.release.clone_keeps_size:
            raise ValueError(f"what maps.Clone of {src.release.version} makes of an overloaded map is undefined")
        hint = load_limit(src.release, src.B)
    dst = MirrorMap.make(src.type, src.release, src.chance, hint)
    dst.hash0 = src.hash0
    if not src.count:
        return dst
    assert src.buckets is not None
    map_type = src.type
    if src.B == 0 and not (map_type.indirect_key and map_type.need_key_update) and not map_type.indirect_elem:
        # One bucket is copied as it is, with what deleted entries left in it.
        bucket = src.buckets.rows[0]
        dst.buckets = Buckets(1, [Bmap(0, bucket.tophash[:], bucket.keys[:], bucket.elems[:])])
        dst.count = src.count
        return dst
    if dst.buckets is None:
        dst.buckets = Buckets(1, [Bmap(0)])
    size = dst.buckets.size
    for i in range(size):
        bucket, cell = dst.buckets.rows[i], 0
        for j in range(0, src.buckets.size, size):
            for source in src.buckets.rows[i + j].chain():
                bucket, cell = _move_to_bmap(dst, bucket, cell, source)
    if src.oldbuckets is not None:
        _clone_old(src, dst)
    return dst


def _clone_old(src: MirrorMap, dst: MirrorMap) -> None:
    """The second half of mapclone2: what has not been evacuated yet."""
    assert src.oldbuckets is not None
    assert dst.buckets is not None
    split = old_b(src.B, bool(src.flags & SAME_SIZE_GROW)) < dst.B
    for i in range(src.oldbuckets.size):
        head = src.oldbuckets.rows[i]
        if head.evacuated:
            continue
        if split:  # the entries of one old bucket belong into several new ones
            for source in head.chain():
                for top, key, elem in zip(source.tophash, source.keys, source.elems, strict=True):
                    if not is_empty(top):
                        dst.assign(key, elem)
            continue
        *_, bucket = dst.buckets.rows[i & dst.buckets.size - 1].chain()
        cell = 0
        for source in head.chain():
            bucket, cell = _move_to_bmap(dst, bucket, cell, source)


def _move_to_bmap(dst: MirrorMap, bucket: Bmap, cell: int, source: Bmap) -> tuple[Bmap, int]:
    """runtime.moveToBmap: copy the entries of one bucket behind those already there."""
    for top, key, elem in zip(source.tophash, source.keys, source.elems, strict=True):
        if is_empty(top):
            continue
        while cell < BUCKET_CELLS and not is_empty(bucket.tophash[cell]):
            cell += 1
        if cell == BUCKET_CELLS:
            bucket, cell = dst.new_overflow(bucket), 0
        bucket.put(cell, top, key, elem)
        cell += 1
        dst.count += 1
    return bucket, cell
