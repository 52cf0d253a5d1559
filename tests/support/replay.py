"""The same operations done by a real process and by the mirror, and the two compared byte by byte."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fixtures import Running, Toolchain, build, start
from inspector.goruntime.hmap import hmap
from inspector.goruntime.releases import BUCKET_CELLS
from inspector.goruntime.types import NEED_KEY_UPDATE
from inspector.gotypes.reach import KEY_LIMITS, Reach
from inspector.hashing.hasher import Hasher
from inspector.maps.classic.buckets import BucketArray
from inspector.maps.classic.checks import MapView
from inspector.maps.classic.layout import layout_of
from inspector.maps.classic.mirror.bmap import Bmap, Buckets
from inspector.maps.classic.mirror.clone import clone
from inspector.maps.classic.mirror.growth import load_limit, over_load_factor
from inspector.maps.classic.mirror.maptype import FastPath, LengthOf, MapType
from inspector.maps.classic.mirror.model import MirrorMap
from inspector.maps.classic.snapshot import MapSnapshot, take_snapshot
from inspector.memory.frozen import FrozenMemory
from inspector.target.opening import open_target
from inspector.target.run import Run
from inspector.target.target import Target

KINDS: dict[str, FastPath | None] = {
    "int64": "fast64",
    "int32": "fast32",
    "string": "faststr",
    "any": None,
    "wide": None,
    "float": None,
}
"""Kinds of the program `replay`, and the fast path that the compiler chooses for each."""

MORE_KINDS: dict[str, FastPath | None] = {
    "pointer": "fast64",
    "wrapped": "faststr",
    "pair": None,
    "byte": None,
    "fat": None,
    "fatstring": None,
    "fatwide": None,
    "set": "fast64",
    "stringset": "faststr",
}
"""Further ones: pointers as keys, keys in structs and arrays, elements of more than 128 bytes, elements without any."""

MANY = "many"
"""The kind with enough keys for arrays of 2^16 buckets and more; else as int64."""

FAST_PATHS = KINDS | MORE_KINDS | {MANY: "fast64"}

POINTER = 8

AT_ONCE = 500
"""Commands that a process gets in one go where nothing has to be read in between."""

HASHED_TOGETHER = 256
"""Keys hashed in one go under a new seed: few maps use all of them before they get another one."""


def elem_bytes(elems: list[Any], size: int) -> np.ndarray:
    """The bytes of some elements as the program makes them of a number; zeros for None."""
    numbers = np.array([elem or 0 for elem in elems], np.int64)
    words = np.zeros((len(elems), size // 8), np.int64)
    if words.shape[1]:
        words[:, 0] = numbers
    if words.shape[1] > 1:
        words[:, -1] = np.where(numbers != 0, ~numbers, 0)
    return words.view(np.uint8).reshape(len(elems), size)


def original(kind: str, number: int) -> int | None:
    """The number of the key that stands for all keys equal to this one; None for a NaN."""
    if kind in ("float", "any"):
        if number % 8 == 5:
            return None
        if number in (2, 3):
            return 0 if kind == "float" else 2
    first = number - 1 if number % 8 == 1 else number
    return first % 256 if kind == "byte" else first


class Replay:
    """A process that runs `replay`, its mirror, and the operations that both have done.

    The mirror's keys are the numbers of the program's keys, its elements the numbers that were stored: each
    operation stores another one, so that an element tells which entry it belongs to.

    `overflowed` counts, for each B, the overflow buckets of which chance decided whether noverflow counts them, and
    `counted` those that it did.
    """

    def __init__(self, running: Running, target: Target, kind: str) -> None:
        told = running.truth
        self.running, self.target, self.kind = running, target, kind
        self.can_clear, self.can_clone, self.number = told["clear"], told["clone"], told["number"]
        self.address = int(told["map"], 16)
        self.go_type = target.program.types.find_map_type(told["type"])
        self.key_type, self.elem_type = target.program.types.key(self.go_type), target.program.types.elem(self.go_type)
        self.layout = layout_of(self.go_type)
        raw = target.memory.read(int(told["keys"], 16), self.number * self.key_type.size)
        self.keys = np.frombuffer(raw, np.uint8).reshape(self.number, -1)
        self.originals = [original(kind, number) for number in range(self.number)]
        self.stored = 0
        self.done: list[str] = []
        self.seen: MapSnapshot | None = None
        self.overflowed: Counter[int] = Counter()
        self.counted: Counter[int] = Counter()
        self._hashes: tuple[int, dict[int, int]] = (0, {})
        self._chosen = 0
        self.mirror = MirrorMap.make(self.map_type, target.program.release, self)

    @cached_property
    def map_type(self) -> MapType:
        """The type of the map as the mirror wants it."""
        return MapType(
            bucket_size=self.layout.bucket_size,
            bucket_has_pointers=self.layout.bucket_has_pointers,
            hasher=self._hash,
            equal=self._equal,
            reflexive_key=self.layout.reflexive_key,
            need_key_update=bool(self.layout.flags & NEED_KEY_UPDATE),
            indirect_key=self.layout.indirect_key,
            indirect_elem=self.layout.indirect_elem,
            key_has_pointers=self.key_type.has_pointers,
            fast=FAST_PATHS[self.kind],
        )

    def _equal(self, a: int, b: int) -> bool:
        return self.originals[a] is not None and self.originals[a] == self.originals[b]

    def _hash(self, number: int, hash0: int) -> int | None:
        if self.originals[number] is None:
            return None
        if self._hashes[0] != hash0:
            self._hashes = hash0, {}
        known = self._hashes[1]
        if number not in known:
            first = number - number % HASHED_TOGETHER
            some = slice(first, first + HASHED_TOGETHER)
            known.update(enumerate(self._hashes_of(some, hash0), first))
        return known[number]

    def hash_again(self, number: int) -> int | None:
        """The hash of a key under the map's present seed."""
        return self._hash(number, self.mirror.hash0)

    @cached_property
    def _hasher_and_slots(self) -> tuple[Hasher, np.ndarray]:
        frozen = FrozenMemory()
        Reach(self.target.program.types, self.target.memory, Run(self.target).regions(), frozen).copy(
            self.key_type, self.keys, KEY_LIMITS
        )
        assert self.target.program.hash_keys is not None
        functions = self.target.program.hash_keys.functions(self.target.program.release)
        assert functions is not None
        slots = self.keys
        if self.layout.indirect_key:
            start = int(self.running.truth["keys"], 16)
            frozen.add(start, self.keys.tobytes())
            pointers = np.uint64(start) + np.arange(self.number, dtype=np.uint64) * np.uint64(self.key_type.size)
            slots = pointers.view(np.uint8).reshape(self.number, POINTER)
        return Hasher(self.target.program.types, frozen, functions), slots

    def _hashes_of(self, some: slice, hash0: int) -> list[int]:
        hasher, slots = self._hasher_and_slots
        hashed = hasher.map_keys(self.go_type, slots[some], hash0)
        assert [number is not None for number in self.originals[some]] == hashed.known.tolist()
        return [int(value) for value in hashed.hashes.tolist()]

    # Chance: what the process has chosen is read off its memory

    def hash0(self) -> int:
        """The seed that the map has now; that of a clone is thrown away for the original's."""
        if self.done[-1:] == ["clone"]:
            return 0
        return int(self.header()["hash0"])

    def hash_of(self, key: int, elem: int | None) -> int:
        """A hash that leads to the place where the entry is now; any where there is none."""
        if elem is None:
            return self._chosen
        array = self.now.buckets
        assert array is not None
        live = array.live(self.target.program.release.marks.min_tophash)
        rows, cells = np.nonzero(live & (self.elems(array).view("<i8")[..., 0] == elem))
        assert len(rows) == 1, f"element {elem} is in {len(rows)} cells"
        return int(array.home[rows[0]]) | int(array.tophash[rows[0], cells[0]]) << 56

    def counts(self, b: int) -> bool:
        """Whether the process has counted more overflow buckets than the mirror has so far.

        Of several that one step brings the first are taken to be those that it counted: the sum is the same.
        """
        counts = self.mirror.noverflow < int(self.header()["noverflow"])
        self.overflowed[b] += 1
        self.counted[b] += counts
        return counts

    def _evacuated_by_chance(self) -> list[int]:
        """The old buckets that the deletion of a NaN may have evacuated: its hash, and so the first one, is chance.

        It evacuates that one, if it was not yet, and then the one at the mark. Two are given where it may have been
        either of those that are evacuated now.
        """
        mirror, old = self.mirror, self.now.old
        before = mirror.evacuated
        if old is None:
            now = np.ones(len(before), dtype=bool)
        else:
            marks = self.target.program.release.marks
            first = old.tophash[: len(before), 0]
            now = (marks.evacuated_x <= first) & (first <= marks.evacuated_empty)
        new = np.flatnonzero(now & ~before).tolist()
        assert len(new) <= 2, f"one deletion evacuated {new}"
        others = [bucket for bucket in new if bucket != mirror.nevacuate]
        if not others:
            return [int(np.argmax(before)) if before.any() else mirror.nevacuate]
        following = np.flatnonzero(~before[mirror.nevacuate + 1 :])
        is_next = len(new) == 2 and others[0] == mirror.nevacuate + 1 + int(following[0])
        return [*others, mirror.nevacuate] if is_next else others

    # Doing

    def do(self, *words: object) -> None:
        """Let the process carry out one command, and then the mirror."""
        command = " ".join(map(str, words))
        self.address = int(self.running.ask(command)["map"], 16)
        self.done.append(command)
        self.seen = None
        name, numbers = str(words[0]), [int(str(word)) for word in words[1:]]
        if name == "make":
            self.mirror = MirrorMap.make(self.map_type, self.target.program.release, self, numbers[0])
        elif name == "set":
            self.mirror.assign(*numbers)
        elif name == "delete":
            self._delete(*numbers)
        elif name == "clear":
            self.mirror.clear()
        elif name == "clone":
            self.mirror = clone(self.mirror)
        elif name == "loop":
            self.mirror.iterate()

    def _delete(self, number: int) -> None:
        """Delete a key in the mirror; where chance chose what a growth moved, find out what that was."""
        if self.originals[number] is not None or not self.mirror.growing:
            self.mirror.delete(number)
            return
        before, candidates = self.mirror, self._evacuated_by_chance()
        for self._chosen in candidates:
            self.mirror = before.copy() if len(candidates) > 1 else before
            self.mirror.delete(number)
            if len(candidates) == 1 or not self.differences():
                break

    def set(self, number: int) -> None:
        """Store an element that no other entry has."""
        self.stored += 1
        self.do("set", number, self.stored)

    def do_many(self, name: str, numbers: Sequence[int]) -> None:
        """Set or delete many keys: the process does AT_ONCE of them in one step.

        Nothing that chance decides may depend on what chance decided before in the same step.
        """
        for first in range(0, len(numbers), AT_ONCE):
            some = numbers[first : first + AT_ONCE]
            elems = range(self.stored + 1, self.stored + 1 + len(some))
            commands = [f"set {number} {elem}" for number, elem in zip(some, elems, strict=True)]
            if name == "delete":
                commands = [f"delete {number}" for number in some]
            self.address = int(self.running.ask(";".join(commands))["map"], 16)
            self.done.append(f"{name} {len(some)} keys from {some[0]} on")
            self.seen = None
            for number, elem in zip(some, elems, strict=True):
                if name == "delete":
                    self.mirror.delete(number)
                else:
                    self.mirror.assign(number, elem)
            self.stored += len(some)

    def keys_of_buckets(self, b: int) -> dict[int, list[int]]:
        """The numbers of different keys, by the bucket of 2^b that they belong to under the present seed."""
        hashes = self._hashes_of(slice(0, self.number), self.mirror.hash0)
        self._hashes = self.mirror.hash0, dict(enumerate(hashes))
        buckets: dict[int, list[int]] = {}
        for number, (first, hash_value) in enumerate(zip(self.originals, hashes, strict=True)):
            if first == number:
                buckets.setdefault(hash_value & (1 << b) - 1, []).append(number)
        return buckets

    # Comparing

    @property
    def now(self) -> MapSnapshot:
        """The map after the last step, copied once."""
        if self.seen is None:
            self.seen = self.snapshot()
        return self.seen

    def header(self) -> Any:
        """The hmap, read while the process waits for a command."""
        declaration = hmap(self.target.program.release)
        return declaration.parse(self.target.memory.read(self.address, declaration.sizeof()))

    def snapshot(self) -> MapSnapshot:
        """Copy the map as the inspector does."""
        run = Run(self.target, None)
        with run.held():
            return take_snapshot(run.source(), self.address, self.go_type, 0)

    def elems(self, array: BucketArray) -> np.ndarray:
        """The bytes of all elements, (rows, 8, size), those that are stored by reference too; zeros behind nil."""
        slots = np.ascontiguousarray(array.slots("elems"))
        if not self.layout.indirect_elem:
            return slots
        flat = self.behind(slots.reshape(-1, POINTER), self.elem_type.size)
        return flat.reshape(*slots.shape[:2], self.elem_type.size)

    def behind(self, slots: np.ndarray, size: int) -> np.ndarray:
        """The bytes that pointers lead to, and zeros where they are nil."""
        pointers = np.ascontiguousarray(slots).view(np.uint64)[:, 0]
        out = np.zeros((len(slots), size), np.uint8)
        out[pointers != 0] = self.target.memory.read_many(pointers[pointers != 0], size)
        return out

    def differences(self, judged: bool = False) -> list[str]:
        """What memory has otherwise than the mirror; empty when the mirror landed on the same bytes.

        With `judged` also what the rules say against it, warnings apart.
        """
        snapshot = self.snapshot()
        found = _Comparison(self, snapshot).run()
        for finding in snapshot.judge().findings if judged else ():
            if finding.severity == "error":
                found.append(f"{finding.rule}: {finding.message}")
        return found

    def view(self) -> MapView:
        """The map as the summary wants it."""
        return MapView(self.snapshot())


@dataclass
class _Comparison:
    replay: Replay
    snapshot: MapSnapshot

    def run(self) -> list[str]:
        self.found: list[str] = []
        self.places: dict[int, int] = {}
        mirror, header = self.replay.mirror, self.snapshot.header
        for name in ("count", "flags", "B", "noverflow", "hash0", "nevacuate"):
            self.hold(name, getattr(header, name), getattr(mirror, name))
        if self.snapshot.release.has_clear_seq:
            self.hold("clearSeq", self.replay.header()["clearSeq"], mirror.clear_seq)
        self.hold("unusable", self.snapshot.unusable, {})
        self.array("new", self.snapshot.buckets, mirror.buckets)
        self.array("old", self.snapshot.old, mirror.oldbuckets)
        self.extra()
        return self.found

    def hold(self, what: str, seen: Any, expected: Any) -> None:
        if seen != expected:
            self.found.append(f"{what}: memory {seen!r}, mirror {expected!r}")

    def array(self, name: str, seen: BucketArray | None, expected: Buckets | None) -> None:
        if seen is None or expected is None:
            self.hold(f"{name} array", seen is None, expected is None)
            return
        self.hold(f"{name} size and tail", (seen.size, seen.tail), (expected.size, len(expected.rows) - expected.size))
        if self.found:
            return
        pairs = list(enumerate(expected.rows))
        for row, bucket in enumerate(expected.rows[: expected.size]):
            pairs += self.chain(name, seen, row, bucket)
        for row, bucket in pairs:
            self.places[id(bucket)] = int(seen.addresses[row])
        for row, bucket in pairs:
            follows, pointer = bucket.overflow, int(seen.overflow[row])
            if follows is not None and id(follows) not in self.places:
                # Evacuation has cut the chain off before this one: nothing else leads to what follows.
                self.hold(f"{name} row {row} leads on", pointer != 0 and seen.home[row] < 0, True)
            else:
                self.hold(f"{name} row {row} overflow", pointer, self.places[id(follows)] if follows else 0)
        self.cells(name, seen, [row for row, _ in pairs], [bucket for _, bucket in pairs])

    def chain(self, name: str, seen: BucketArray, row: int, bucket: Bmap) -> Iterator[tuple[int, Bmap]]:
        """The overflow buckets of one chain that lie apart from the array."""
        apart = seen.size + seen.tail
        *_, last = chain = list(bucket.chain())
        del last
        for follows in chain[1:]:
            row = int(seen.next[row])
            if follows.row is not None:
                self.hold(f"{name} overflow row", row, follows.row)
            elif row < apart:
                self.found.append(f"{name}: a chain goes on at row {row}, not at an overflow bucket of its own")
                return
            else:
                yield row, follows
            if row < 0:
                return

    def cells(self, name: str, seen: BucketArray, rows: list[int], buckets: list[Bmap]) -> None:
        tops = np.array([bucket.tophash for bucket in buckets])
        self.equal(name, "tophash", rows, seen.tophash[rows], tops)
        self.elems(name, seen, rows, buckets)
        keys = [key for bucket in buckets for key in bucket.keys]
        observed = np.ascontiguousarray(seen.slots("keys")[rows]).reshape(len(keys), -1)
        if self.snapshot.layout.indirect_key:
            observed = self.replay.behind(observed, self.replay.key_type.size)
        self.equal(name, "key", rows, observed, self.key_bytes(keys))

    def elems(self, name: str, seen: BucketArray, rows: list[int], buckets: list[Bmap]) -> None:
        if not self.replay.elem_type.size:
            return
        expected = elem_bytes([elem for bucket in buckets for elem in bucket.elems], self.replay.elem_type.size)
        observed = self.replay.elems(seen)[rows]
        if self.snapshot.layout.indirect_elem:
            # An evacuated cell shares its element with the cell that it went to, where it may have been stored anew.
            shared = np.repeat([bucket.evacuated for bucket in buckets], BUCKET_CELLS)
            wanted = expected.any(axis=1)
            observed = observed.reshape(expected.shape).copy()
            same = shared & (observed.any(axis=1) == wanted)
            observed[same] = expected[same]
        self.equal(name, "elem", rows, observed, expected)

    def key_bytes(self, keys: list[Any]) -> np.ndarray:
        """The slots that hold these keys."""
        numbers = np.array([-1 if key is None else key.key if isinstance(key, LengthOf) else key for key in keys])
        out = self.replay.keys[numbers].copy()
        out[numbers < 0] = 0
        out[[isinstance(key, LengthOf) for key in keys], :POINTER] = 0
        return out

    def equal(self, name: str, part: str, rows: list[int], seen: np.ndarray, expected: np.ndarray) -> None:
        seen, expected = (values.reshape(len(rows), 8, -1) for values in (seen, expected))
        for at, cell in np.argwhere((seen != expected).any(axis=2))[:5]:
            self.found.append(
                f"{name} row {rows[at]} cell {cell} {part}: "
                f"memory {seen[at, cell].tolist()}, mirror {expected[at, cell].tolist()}"
            )

    def extra(self) -> None:
        seen, expected = self.snapshot.extra, self.replay.mirror.extra
        if seen is None or expected is None:
            self.hold("extra is nil", seen is None, expected is None)
            return
        for name in ("overflow", "oldoverflow"):
            listed = getattr(expected, name)
            wanted = None if listed is None else array("Q", [self.places.get(id(bucket), 0) for bucket in listed])
            self.hold(f"extra.{name}", getattr(seen, name), wanted)
        follows = expected.next_overflow
        self.hold("extra.nextOverflow", seen.next_overflow, self.places.get(id(follows), 0) if follows else 0)


@contextmanager
def replaying(kind: str, toolchain: Toolchain) -> Iterator[Replay]:
    """A process of its own with a map of this kind, and its mirror."""
    with (
        start(build("replay", toolchain), kind) as running,
        open_target(str(running.pid), memory="direct") as target,
    ):
        yield Replay(running, target, kind)


# Scripts


@dataclass(frozen=True)
class Part:
    """A stretch of operations of one character, over the keys below `keys`."""

    character: str
    length: int
    keys: int
    loops: bool
    seed: int


CHARACTERS = ("grow", "grow", "churn", "crowd", "crowd", "crowd", "shrink", "empty", "clear", "clone", "make")

parts = st.builds(
    Part,
    character=st.sampled_from(CHARACTERS),
    length=st.sampled_from([5, 20, 60, 150, 400]),
    keys=st.sampled_from([6, 14, 50, 120, 400, 1000, 4096]),
    loops=st.booleans(),
    seed=st.integers(0, 1 << 32),
)

crowds = st.builds(Part, st.just("crowd"), st.just(250), st.just(50), st.booleans(), st.integers(0, 1 << 32))
growths = st.builds(Part, st.just("grow"), st.just(150), st.just(4096), st.booleans(), st.integers(0, 1 << 32))

scripts = st.builds(lambda *begin, rest: [*begin, *rest], crowds, growths, rest=st.lists(parts, max_size=10))
"""Each script begins with growths of both kinds, else they would be rare in some runs."""

CROWDED_B = 4
"""Up to this B a stretch of a script is long enough to bring a growth of the same size."""


class Player:
    """Plays parts of a script on a replay; it knows which keys the map holds."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.present: dict[int, int] = {}  # the original's number: the number last stored under

    def play(self, part: Part) -> Iterator[None]:
        """Do the part's operations; one is done between two steps of the iterator."""
        chance = Random(part.seed)
        if part.character in ("clear", "clone", "make"):
            self._whole(part, chance)
            yield
        falling = part.character in ("shrink", "empty")
        if part.character == "crowd" and self.replay.mirror.B > CROWDED_B:
            self._make(part.keys % 30)
            yield
        for _ in range(part.length):
            if part.loops and chance.random() < 0.1:
                self.replay.do(chance.choice(["loop", "step", "step"]))
            elif chance.random() < 0.1:
                self._harmless(part, chance)
            elif part.character == "crowd":
                self._crowd(part, chance)
            elif falling or (part.character == "churn" and self._enough(part)):
                self.delete(chance)
            else:
                self.set(chance.randrange(part.keys))
            yield
            if part.character == "empty" and not self.present:
                return

    def _whole(self, part: Part, chance: Random) -> None:
        """Operations that concern the map as a whole; what a toolchain lacks becomes a new map."""
        replay = self.replay
        if part.character == "clear" and replay.can_clear:
            replay.do("clear")
        elif part.character == "clone" and replay.can_clone and self.can_be_cloned():
            replay.do("clone")
            return
        else:
            self._make(chance.choice([0, 8, 9, 30, 100, 400, part.keys]))
        self.present.clear()

    def _make(self, hint: int) -> None:
        self.replay.do("make", hint)
        self.present.clear()

    def can_be_cloned(self) -> bool:
        """Old releases read beyond the array of an overloaded map (clone_keeps_size)."""
        mirror = self.replay.mirror
        return mirror.release.clone_keeps_size or not over_load_factor(mirror.release, mirror.count, mirror.B)

    def _enough(self, part: Part) -> bool:
        return len(self.present) > part.keys // 2

    def _crowd(self, part: Part, chance: Random) -> None:
        """Give one bucket after the other an overflow bucket, at few entries: a same-size growth will come."""
        mirror, replay = self.replay.mirror, self.replay
        limit = load_limit(mirror.release, mirror.B)
        if len(self.present) > limit // 2 or mirror.buckets is None:
            self.delete(chance)
            return
        mask = (1 << mirror.B) - 1
        # In an order that leaves the one that starts the growth among those that are evacuated late.
        order = [5 * i + 8 & mask for i in range(mask + 1)]
        wanted = next((i for i in order if mirror.buckets.rows[i].overflow is None), 0)
        for _ in range(200):
            number = chance.randrange(replay.number)
            hash_value = replay.hash_again(number)
            absent = replay.originals[number] not in self.present
            if hash_value is not None and hash_value & mask == wanted and absent:
                self.set(number)
                return
        self.set(chance.randrange(part.keys))

    def _harmless(self, part: Part, chance: Random) -> None:
        """Reads, deletions of what is not there, and assignments to what is."""
        number = chance.randrange(part.keys)
        what = chance.choice(["get", "delete", "set"])
        if what == "set" and self.present:
            self.set(self.present[chance.choice(list(self.present))])
        elif what == "delete":
            self.replay.do("delete", number)
            self.present.pop(self.replay.originals[number], None)
        else:
            self.replay.do("get", number)

    def set(self, number: int) -> None:
        """Store something under a key."""
        self.replay.set(number)
        first = self.replay.originals[number]
        if first is not None:
            self.present[first] = number

    def delete(self, chance: Random) -> None:
        """Delete one of the keys that are there; where there is none, store one."""
        if self.present:
            self.replay.do("delete", self.present.pop(chance.choice(list(self.present))))
        else:
            self.set(chance.randrange(50))


def play(player: Player, script: list[Part], operations: int) -> Iterator[int]:
    """Play a script, from its beginning again where it is too short, until so many operations are done."""
    done = 0
    while done < operations:
        for part in script:
            for _ in player.play(part):
                done += 1
                yield done
                if done == operations:
                    return


# States


def random_state(replay: Replay, chance: Random) -> Player:
    """Bring the map into a state that nobody chose: just any, crowded with overflow buckets, or growing."""
    wanted = chance.choice(["any", "any", "crowded", "crowded", "growing"])
    replay.do("make", chance.choice([20, 30, 60, 100] if wanted == "crowded" else [0, 0, 8, 9, 30, 100]))
    player, mirror = Player(replay), replay.mirror
    script = [random_part(chance) for _ in range(4)]
    if wanted == "crowded":
        script = [replace(script[0], character="crowd", length=600)]
    enough = 0.7 + chance.random() * 0.3
    for done in play(player, script, 600 if wanted == "crowded" else chance.randrange(1, 300)):
        mirror = replay.mirror
        if wanted == "crowded" and done > 20 and mirror.noverflow >= enough * (1 << mirror.B):
            return player
    keys = new_keys(player, chance) if wanted == "growing" else []
    for key in keys:
        player.set(key)
        if mirror.growing:
            break
    for _ in play(player, script, chance.randrange(1 + mirror.nevacuate + len(mirror.evacuated) // 2)):
        if not mirror.growing:
            break
    return player


def random_part(chance: Random) -> Part:
    """A stretch of a script, as in the replays."""
    return Part(
        chance.choice(["grow", "grow", "churn", "crowd", "shrink"]),
        chance.randrange(5, 200),
        chance.choice([14, 50, 120, 400, 1000, 4096]),
        chance.random() < 0.3,
        chance.getrandbits(32),
    )


def new_keys(player: Player, chance: Random) -> list[int]:
    """Keys that the map does not hold, all different and findable, in an order of chance."""
    replay = player.replay
    numbers = [n for n in range(replay.number) if replay.originals[n] == n and n not in player.present]
    chance.shuffle(numbers)
    return numbers


def crowd(player: Player, chance: Random) -> bool:
    """Try to bring a map of few entries into a growth of the same size: a smaller array would do."""
    player.replay.do("make", 60)
    player.present.clear()
    for _ in player.play(Part("crowd", 600, 4096, False, chance.getrandbits(32))):
        if player.replay.mirror.growing:
            break
    mirror = player.replay.mirror
    while mirror.growing and mirror.count > load_limit(mirror.release, mirror.B - 1):
        player.delete(chance)
    return mirror.growing == "same-size"


def overload(player: Player, chance: Random) -> bool:
    """Try to bring the map into a growth of the same size with more entries than its load limit."""
    replay = player.replay
    replay.do("make", 100)
    player.present.clear()
    for _ in player.play(Part("crowd", 600, 4096, False, chance.getrandbits(32))):
        mirror = replay.mirror
        buckets = 1 << mirror.B
        if mirror.noverflow == buckets - 1 and not mirror.growing:
            break
    mirror = replay.mirror
    limit, mask = load_limit(mirror.release, mirror.B), (1 << mirror.B) - 1
    assert mirror.buckets is not None
    # One bucket has no overflow bucket yet: the others are filled first, and it last.
    short = next((i for i in range(mask + 1) if mirror.buckets.rows[i].overflow is None), 0)
    keys = new_keys(player, chance)
    there = [key for key in keys if (replay.hash_again(key) or 0) & mask == short]
    others = [key for key in keys if key not in there]
    for key in others[: limit - mirror.count - 10] + there[:9]:
        player.set(key)
    for key in others[limit:]:
        if over_load_factor(mirror.release, mirror.count, mirror.B) and mirror.growing == "same-size":
            return True
        if mirror.count > limit and not mirror.growing:
            return False
        player.set(key)
    return False
