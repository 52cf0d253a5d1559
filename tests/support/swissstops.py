"""Stops between the stores of one write to a Swiss map, and what is seen there.

A store is known by its function and its line in the runtime's source. gdb stops the process before it, and lets it be
done: then the truth is known, that this store was the last one and that the next one is still to come.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from fixtures import Running, Toolchain, build, start
from inspector.errors import GdbError
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.stepping import SteppingBridge

MAP, TABLE, RUNTIME = "internal/runtime/maps.(*Map).", "internal/runtime/maps.(*table).", "runtime."

MARK, EMPTY = "unsafe.Pointer(g), i)) = c", "*g ="
"""Lines of the runtime's source that store one control byte, and a whole control word."""

SUFFIXES: dict[str, tuple[str, str]] = {
    "int64": ("_fast64", "Fast64"),
    "int32": ("_fast32", "Fast32"),
    "string": ("_faststr", "FastStr"),
    "pointer": ("_fast64ptr", "FastPtr"),
    "any": ("", ""),
    "wide": ("", ""),
    "fat": ("", ""),
    "fatstring": ("", ""),
    "pair": ("", ""),
    "float": ("", ""),
}
"""Kinds of the program `replay`: what the fast variants of functions of the runtime and of Map and table end with."""

VARIABLES = {"fatstring": "fatString"}
"""How a kind's variable is spelled where it is not as the kind."""

STORES = ("mov", "add", "sub", "inc", "dec", "xor", "or", "and", "xchg", "rep")
BY_CALL = ("typedmemmove", "typedmemclr", "memclrNoHeapPointers", "memclrHasPointers", "memmove")
"""Functions of the runtime that store for the function that calls them."""

INTO = re.compile(r"^(?!%[gf]s:)[-0-9a-fx]*\((?!%rsp|%rbp|%rip)[^)]*\)$")
"""An operand that is memory, neither of the stack nor a variable of the runtime."""

LINE = re.compile(r"^(\d+)\t(.*)$")
CODE = re.compile(r"^(?:=>)?\s*(0x[0-9a-f]+) <\+\d+>:\s+(.*)$")
REACH = 700
MOST_KEYS = 3500
MOST_SILENCES, FAR_TOO_MANY = 5, 60
"""So often a process reaches none of the instructions before it is taken to wait for its next line, or to hang."""

PIPE = 1 << 16
"""Bytes that a line has at most: it has to fit into a pipe, as nobody reads it while the process is held."""

BEHIND_PROLOGUE = 4
"""The instruction of a function before which it looks at its stack: there it may begin anew."""

COOPERATIVE = {"GODEBUG": "asyncpreemptoff=1"}
"""The runtime would call its scheduler before an instruction that we stand at, and come to it once more."""

AT_ONCE = 3
"""Stores that a process runs to, whichever is first."""

REST = ("get 0",) * 3
"""What a line ends with, so that a few instructions more never lead beyond its end."""

SKIPPED = (0, 0, 0, 1, 5, 30)
"""How often an instruction is passed before the process stops there."""


@dataclass(frozen=True)
class Store:
    """One instruction that stores into a map or into what will be a part of it: `text` is its line in the source."""

    address: int
    function: str
    text: str
    call: bool


@dataclass(frozen=True)
class Stop:
    """One stop: what our tool says, the stack that gdb shows, and the last store if it is known."""

    scene: str
    kind: str
    verdict: str
    steps: tuple[str, ...]
    findings: tuple[str, ...]
    writing: bool
    stack: tuple[str, ...]
    store: Store | None

    @property
    def label(self) -> tuple[str, str]:
        """The last store by function and line; the stack's innermost function and "" where it is not known."""
        return (plain(self.store.function), self.store.text) if self.store else (plain(self.stack[0]), "")

    @property
    def fits(self) -> bool:
        """Whether one of the named steps is on the stack."""
        here = {plain(function) for function in self.stack}
        if "??" in self.stack:
            return True  # gdb does not know who called the part of the runtime that was stepped into
        if "mapassign" in here:
            here.add("PutSlot")  # inlined into it, with its loop
        return not self.steps or any(plain(step) in here for step in self.steps)


SHOWS: dict[str, tuple[str, ...]] = {
    "growToSmall": ("m.dirPtr =",),
    "putSlotSmall": (MARK,),
    "deleteSmall": ("m.used--", "= nil", "typedmemclr"),
    "clearSmall": ("typedmemclr", EMPTY),
    "growToTable": ("m.dirPtr =", "m.dirLen =", "m.globalDepth ="),
    "uncheckedPutSlotForAssign": ("t.growthLeft--", "t.used++", MARK),
    "mapassign": ("t.growthLeft++", MARK, "t.growthLeft--", "t.used++"),
    "PutSlot": ("t.growthLeft++", MARK, "t.growthLeft--", "t.used++"),
    "Delete": ("t.used--", "m.used--", "= nil", "typedmemclr"),
    "Clear": ("typedmemclr", "t.used = 0"),
    "pruneTombstones": (MARK,),
    "installTableSplit": ("m.globalDepth++", "m.globalShift--", "m.dirPtr =", "m.dirLen =", "right.index ="),
}
"""Stores by function, by a part of their line, after which a map is half written: the step has to be named."""

SILENT: dict[str, tuple[str, ...]] = {
    "growToSmall": (EMPTY,),
    "putSlotSmall": ("m.used++",),
    "deleteSmall": (MARK,),
    "clearSmall": ("m.used = 0",),
    "growToTable": ("directory[0] =", "m.globalShift ="),
    "uncheckedPutSlot": ("",),
    "mapassign": ("m.used++", "m.writing"),
    "PutSlot": ("m.used++",),
    "Delete": ("t.growthLeft++", "m.tombstonePossible", "m.writing", "m.seed"),
    "Clear": ("m.used = 0", "m.tombstonePossible", "m.clearSeq", "m.seed", "m.writing"),
    "installTableSplit": ("newDir[2",),
    "grow": ("t.index = -1",),
    "split": ("t.index = -1",),
}
"""Stores after which it is sound: before anything was changed, with all done, or into what nothing leads to yet."""


def wrong_with(stop: Stop) -> str:
    """What is wrong with what was said of a map at a stop; nothing where it is right, as far as the truth is known."""
    if stop.verdict != ("write-in-progress" if stop.writing else "consistent"):
        return "the verdict"
    if not stop.fits:
        return "the step"
    if stop.store is None or not stop.writing:
        return ""
    function, text = stop.label
    if any(part in text for part in SHOWS.get(function, ())) and not stop.steps:
        return "no step"
    if any(part in text for part in SILENT.get(function, ())) and stop.steps:
        return "a step that is not under way"
    return ""


def plain(function: str) -> str:
    """A function of the runtime without its package, receiver and the suffix of its fast variant."""
    name = function.rpartition(".")[2].partition("_")[0]
    return re.sub("Fast(32|64|Str|Ptr)$", "", name)


@dataclass(frozen=True)
class Scene:
    """A kind of write: the functions that do it, by kind of key, and commands for `replay` that lead to it."""

    name: str
    functions: Callable[[str, str], list[str]]
    script: Callable[[Random], list[str]]
    writes: bool = True


def _sets(dice: Random, count: int, reach: int = MOST_KEYS) -> list[str]:
    return [f"set {key} 1" for key in dice.sample(range(reach), min(count, reach))]


def _small(dice: Random) -> list[str]:
    some = ["make 0", *_sets(dice, 8)]
    return [*some, f"delete {some[1].split()[1]}", f"set {dice.randrange(REACH)} 1"]


def _filled(dice: Random) -> list[str]:
    count = dice.choice([20, 60, 300, 1500])
    churn = [f"{what} {dice.randrange(REACH)} 1" for _ in range(200) for what in ("set", "delete")]
    return ["make 0", *_sets(dice, count), *churn]


def _emptied(dice: Random) -> list[str]:
    keys = [f"set {key} 1" for key in dice.sample(range(MOST_KEYS), dice.choice([5, 30, 200, 1200]))]
    gone = [f"delete {one.split()[1]}" for one in keys]
    dice.shuffle(gone)
    return ["make 0", *keys, *gone]


def _cleared(dice: Random) -> list[str]:
    some = _sets(dice, dice.choice([3, 8, 20, 100, 800, 2500]))
    gone = [f"delete {one.split()[1]}" for one in some[: dice.randrange(len(some))]]
    return ["make 0", *some, *gone, "clear"]


def _converted(dice: Random) -> list[str]:
    return [one for _ in range(5) for one in ("make 0", *_sets(dice, 10))]


def _grown(dice: Random) -> list[str]:
    return ["make 0", *_sets(dice, dice.choice([30, 100, 900]))]


def _split(dice: Random) -> list[str]:
    return [f"make {dice.choice([0, 449, 897, 1793])}", *_sets(dice, MOST_KEYS)]


def _pruned(dice: Random) -> list[str]:
    window, first = dice.choice([9, 11, 20, 45, 100, 400]), dice.randrange(MOST_KEYS // 2)
    steps = range(first, first + 1200)
    return ["make 0", *(one for at in steps for one in (f"set {at} 1", f"delete {max(at - window, 0)}"))]


def _cloned(dice: Random) -> list[str]:
    return ["make 0", *_sets(dice, dice.choice([3, 8, 20, 100, 1500])), "clone"]


SCENES: tuple[Scene, ...] = (
    Scene("small insert", lambda _, fast: [f"{MAP}growToSmall", f"{MAP}putSlotSmall{fast}"], _small),
    Scene("insert", lambda name, _: [f"{RUNTIME}mapassign{name}", f"{TABLE}PutSlot"], _filled),
    Scene("delete", lambda *_: [f"{MAP}Delete", f"{MAP}deleteSmall", f"{TABLE}Delete"], _emptied),
    Scene("clear", lambda *_: [f"{MAP}Clear", f"{MAP}clearSmall", f"{TABLE}Clear"], _cleared),
    Scene("to table", lambda _, fast: [f"{MAP}growToTable", f"{TABLE}uncheckedPutSlotForAssign{fast}"], _converted),
    Scene("grow", lambda *_: [f"{TABLE}grow", f"{TABLE}uncheckedPutSlot"], _grown),
    Scene("split", lambda *_: [f"{TABLE}split", f"{MAP}installTableSplit", f"{TABLE}uncheckedPutSlot"], _split),
    Scene("doubling", lambda *_: [f"{MAP}installTableSplit"], _split),
    Scene("prune", lambda *_: [f"{TABLE}pruneTombstones"], _pruned),
    Scene("clone", lambda *_: [f"{MAP}Clone", f"{TABLE}clone", f"{MAP}PutSlot", f"{TABLE}PutSlot"], _cloned, False),
)


def stores_of(bridge: SteppingBridge, function: str) -> list[Store]:
    """The instructions of a function that store, none if the program does not have it."""
    try:
        text = bridge.console(f"disassemble /s '{function}'")
    except GdbError:
        return []
    found, line = [], ""
    for row in text.splitlines():
        if told := LINE.match(row):
            line = told[2].strip()
        elif code := CODE.match(row):
            address, words = int(code[1], 16), code[2]
            call = words.startswith("call") and any(name in words for name in BY_CALL)
            if call or _stores(words):
                found.append(Store(address, function, line, call))
    return found


def _stores(words: str) -> bool:
    name, _, operands = words.partition(" ")
    if name in ("lock", "rep"):
        return name == "rep" and "stos" in operands
    # Operands are separated by commas outside of parentheses; the last one is written to.
    last = re.split(r",(?![^(]*\))", operands.split("#")[0].strip())[-1].strip()
    return name.startswith(STORES) and bool(INTO.match(last))


@dataclass
class Stage:
    """A process whose writes are stopped: the bridge that holds it, and the stores of each function."""

    running: Running
    target: Target
    bridge: SteppingBridge
    toolchain: Toolchain
    kind: str
    end: int
    dice: Random
    known: dict[str, list[Store]] = field(default_factory=dict)
    asked: Counter[int] = field(default_factory=Counter)

    def stores(self, scene: Scene) -> list[Store]:
        """The stores of a scene."""
        names = scene.functions(*SUFFIXES[self.kind])
        for name in names:
            if name not in self.known:
                self.known[name] = stores_of(self.bridge, name)
        return [store for name in names for store in self.known[name]]

    def play(self, scene: Scene, wanted: int) -> Iterator[Stop]:
        """Stop the process so many times in a scene, if its toolchain has it: each time before and after a store."""
        stores = self.stores(scene)
        done = idle = 0
        while stores and done < wanted and idle < MOST_SILENCES * 4:
            idle += 1
            line = ";".join([*scene.script(self.dice), *REST])
            assert len(line) < PIPE
            self.running.send(line)
            silences = 0
            # A busy machine may take long: a process that has not read its line yet must not be sent another.
            while (silences < MOST_SILENCES or self.running.unread()) and done < wanted:
                assert silences < FAR_TOO_MANY, self.bridge.functions()
                reached = self._run_to(self._some_of(stores))
                if reached is None:
                    silences += 1
                    continue
                if reached == self.end:
                    # That it stands at the answer to the line before says nothing of this one.
                    if self.running.unread():
                        continue
                    break
                for stop in self._around(scene, {store.address: store for store in stores}[reached]):
                    if stop.writing or not scene.writes:
                        done, idle = done + 1, 0
                    yield stop
            self.finish()

    def _some_of(self, stores: list[Store]) -> list[Store]:
        """A few of these stores, above all those that were asked for seldom: some are done once in a long line."""
        chosen = sorted(stores, key=lambda store: self.dice.random() * (1 + self.asked[store.address]))[:AT_ONCE]
        self.asked.update(store.address for store in chosen)
        return chosen

    def finish(self) -> None:
        """Let the process do the rest of its line."""
        for _ in range(FAR_TOO_MANY):
            if self.bridge.functions()[0] == "fmt.Fprintf" and not self.running.unread():
                return
            self.bridge.run_to([self.end])

    def _run_to(self, stores: list[Store]) -> int | None:
        """Run to one of these stores, or to the end of the line; None if nothing was reached. Gives where it is."""
        for store in stores:
            self.bridge.command(f"-break-insert -i {self.dice.choice(SKIPPED)} *{store.address}")
        reached = self.bridge.run_to([self.end])
        return self.bridge.where() if reached else None

    def _around(self, scene: Scene, store: Store) -> Iterator[Stop]:
        """Looks before and after a store, and one some instructions later."""
        yield self._look(scene, None)
        self.bridge.step(1, over=store.call)
        yield self._look(scene, store)
        if self.dice.random() < 0.3:
            self.bridge.step(self.dice.randrange(1, 60), over=False)
            yield self._look(scene, None)

    def _look(self, scene: Scene, store: Store | None) -> Stop:
        """Judge the map while it stands still."""
        inspection = inspect(self.target, f"main.{VARIABLES.get(self.kind, self.kind)}Map", entries=0)
        judgement, snapshot = inspection.judgement, inspection.snapshot
        assert snapshot is not None
        findings = tuple(
            f"{f.rule} {f.message} [{f.observed}] {f.where.words()}" for f in judgement.findings if f.rule != "W1"
        )
        stack = tuple(self.bridge.functions())
        steps = judgement.interrupted or ()
        return Stop(scene.name, self.kind, judgement.verdict, steps, findings, snapshot.header.writing, stack, store)


@contextmanager
def staged(toolchain: Toolchain, kind: str, dice: Random) -> Iterator[Stage]:
    """Start `replay` for a kind of map, and hold it."""
    exe = build("replay", toolchain)
    with (
        start(exe, kind, env=COOPERATIVE) as running,
        open_target(str(running.pid), memory="direct", stop=False) as target,
        open(exe, "rb") as file,
        SteppingBridge(file.fileno()) as bridge,
    ):
        bridge.open_executable(file.fileno())
        end = bridge.instructions("fmt.Fprintf")[BEHIND_PROLOGUE]
        with bridge.holding(running.pid):
            # Else the other threads run while one is stepped, and gdb may wait for them in vain.
            bridge.console("set scheduler-locking step")
            yield Stage(running, target, bridge, toolchain, kind, end, dice)
