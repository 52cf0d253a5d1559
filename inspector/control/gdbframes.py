"""Frames of goroutines and their variables, found by gdb, which runs this: behind the bridge and in the plugin.

It imports nothing but gdb, the standard library and its neighbour. Nothing is written to the target. A goroutine that
no thread runs has its registers in g.sched; an unwinder hands these to gdb as the frame above the innermost one, and
from there gdb unwinds by DWARF as usual.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gdb
import gdb.unwinder

from inspector.control.gdbvalues import (
    SYNC_MAP,
    follow,
    is_map,
    is_sync_map,
    name_of,
    plain_name,
    points_to_map,
    value_in,
    variables_of,
    without_parameter,
)

Place = tuple[int, int, int]
"""Where a goroutine is: pc, sp, bp."""
Span = tuple[int, int]
Seen = tuple["Goroutine", int, gdb.Frame, bool]
"""A frame: its goroutine, its level there (0 is the innermost), itself, whether its registers can be believed.

Those of a goroutine that no thread runs can: gdb knows three of them, and that the others are not to be had. What gdb
takes for the registers of a running function's caller are those of the function that it called.
"""

MOST_FRAMES = 1000  # frames of one goroutine that are walked
MOST_FOUND = 1000  # frames with the variable, after which the search ends
MOST_DIFFERENT = 24  # values of the variable, after which it ends: the user has to choose one anyway
MOST_GOROUTINES = 1 << 20

# runtime2.go: the states of a goroutine whose stack is its own and whole, the bit that the collector adds.
# Since 1.26 one that waits for what nobody can reach is leaked; 11 is a dead one that threads of C may take.
WAITING_STATES = {1: "runnable", 4: "waiting", 9: "preempted", 10: "leaked"}
THREAD_STATES = {2: "running", 3: "in a system call"}
SCANNED = 0x1000

UNTYPED = frozenset({"void *", "unsafe.Pointer"})  # pointers that may lead to anything
BELOW_ALL_STACKS = 8
OPTIMIZED_OUT = "optimized out"
NEVER_IN_NAMES = frozenset("\"'`$\\")  # what would end a quoted name, or mean something to gdb


class Goroutine:
    """What is needed of a g: its number, stack, state, and the registers that it left behind."""

    def __init__(self, layout: Layout, address: int) -> None:
        raw = layout.read(address)
        word = layout.word
        self.lo, self.hi = word(raw, "stack", "lo"), word(raw, "stack", "hi")
        self.state = struct.unpack_from("<I", raw, layout.offset("atomicstatus"))[0] & ~SCANNED
        self.id = word(raw, "goid")
        self.m = word(raw, "m")
        self.sched = word(raw, "sched", "pc"), word(raw, "sched", "sp"), word(raw, "sched", "bp")
        self.syscall = word(raw, "syscallpc"), word(raw, "syscallsp"), 0

    def holds(self, sp: int) -> bool:
        """Whether an address lies on its stack."""
        return self.lo <= sp < self.hi


class Layout:
    """Offsets of the fields of a runtime structure, from DWARF."""

    def __init__(self, name: str) -> None:
        self.type = gdb.lookup_type(name)
        # Asking gdb takes long, and there may be thousands of goroutines.
        self._offsets: dict[tuple[str, ...], int] = {}

    def offset(self, *path: str) -> int:
        """Bytes from the beginning to a field, or to a field in one."""
        if path not in self._offsets:
            at, kind = 0, self.type
            for name in path:
                field = kind.strip_typedefs()[name]
                at, kind = at + field.bitpos // 8, field.type
            self._offsets[path] = at
        return self._offsets[path]

    def read(self, address: int) -> bytes:
        """The bytes of the structure at an address."""
        return bytes(gdb.selected_inferior().read_memory(address, self.type.sizeof))

    def word(self, raw: bytes, *path: str) -> int:
        """A field of 64 bits."""
        return int(struct.unpack_from("<Q", raw, self.offset(*path))[0])


class LeftRegisters(gdb.unwinder.Unwinder):  # type: ignore[misc]  # gdb comes without types
    """Gives gdb, as the caller of the innermost frame, the place where a goroutine stopped."""

    def __init__(self) -> None:
        super().__init__("go-map-inspect goroutine")
        self.place: Place | None = None
        self.innermost: tuple[int, int] | None = None

    def __call__(self, pending: Any) -> Any:
        """The caller's registers, for the innermost frame while a place is set."""
        if self.place is None:
            return None
        sp = pending.read_register("rsp")
        if (int(pending.read_register("rip")), int(sp)) != self.innermost:
            return None
        # gdb ends where a caller's stack lies below its callee's; nothing lies below this one.
        answer = pending.create_unwind_info(
            FrameId(gdb.Value(BELOW_ALL_STACKS).cast(sp.type), pending.read_register("rip"))
        )
        for name, value in zip(("rip", "rsp", "rbp"), self.place, strict=False):
            answer.add_saved_register(name, gdb.Value(value).cast(pending.read_register(name).type))
        return answer


class FrameId:
    """What gdb distinguishes frames by."""

    def __init__(self, sp: Any, pc: Any) -> None:
        self.sp, self.pc = sp, pc


left_registers = LeftRegisters()


@contextmanager
def unwinding() -> Iterator[None]:
    """Have gdb ask us for callers in the block, and leave its unwinders as they were."""
    gdb.unwinder.register_unwinder(None, left_registers, replace=True)
    try:
        yield
    finally:
        gdb.frame_unwinders.remove(left_registers)
        gdb.invalidate_cached_frames()


def ranges_of(functions: Iterable[tuple[str, int]]) -> dict[str, list[Span]]:
    """The code of functions, where they stand by themselves and where they were inlined: name -> [(start, end)]."""
    found: dict[str, list[Span]] = {}
    for name, address in functions:
        for pc in (address, *inlined_at(name)):
            block = gdb.block_for_pc(pc) if pc else None
            while block is not None and not (block.function and block.function.name == name):
                block = block.superblock
            if block is not None and (block.start, block.end) not in found.get(name, ()):
                found.setdefault(name, []).append((block.start, block.end))
    return found


def inlined_at(name: str) -> list[int]:
    """Where a function begins, also inside of others, which gdb finds by its name only."""
    if NEVER_IN_NAMES & set(name) or not name.isprintable():
        return []
    try:
        return [place.pc for place in gdb.decode_line(f"'{name}'")[1] or ()]
    except gdb.error:
        return []


class Everyone:
    """All goroutines that have a stack; `walked` are the numbers of those whose threads' frames were seen."""

    def __init__(self) -> None:
        self.goroutines = sorted(goroutines(), key=lambda each: each.lo)
        self.walked: set[int] = set()
        self._starts = [each.lo for each in self.goroutines]

    def at(self, sp: int) -> Goroutine | None:
        """The goroutine on whose stack an address lies, or None."""
        index = bisect.bisect_right(self._starts, sp) - 1
        return self.goroutines[index] if index >= 0 and self.goroutines[index].holds(sp) else None


def goroutines() -> list[Goroutine]:
    """Those goroutines whose stacks are their own and whole."""
    layout = Layout("runtime.g")
    symbol = gdb.lookup_global_symbol("runtime.allgs") or gdb.lookup_static_symbol("runtime.allgs")
    if symbol is None:
        raise gdb.error("the executable has no DWARF of runtime.allgs")
    allgs = symbol.value()
    count, array = int(allgs["len"]), int(allgs["array"])
    if not 0 <= count <= MOST_GOROUTINES:
        raise gdb.error("runtime.allgs has an impossible length")
    addresses = struct.unpack(f"<{count}Q", bytes(gdb.selected_inferior().read_memory(array, 8 * count)))
    found = []
    for address in addresses:
        try:
            each = Goroutine(layout, address)
        except gdb.MemoryError:
            continue
        if each.lo < each.hi and each.state in (*WAITING_STATES, *THREAD_STATES):
            found.append(each)
    return found


def threads_frames(everyone: Everyone) -> Iterator[Seen]:
    """(goroutine, level, frame, whether all its registers are known) of each thread's frames, innermost first.

    Only frames on a goroutine's own stack: where a thread has left it for the system stack gdb cannot follow,
    and what it makes of that is not to be believed.
    """
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        owner, newer, level, known = None, None, 0, True
        frame = gdb.newest_frame()
        for _ in range(MOST_FRAMES):
            here = everyone.at(int(frame.read_register("rsp")))
            from_signal = newer is not None and newer.type() == gdb.SIGTRAMP_FRAME
            if newer is not None and here is not owner and not from_signal:
                break
            known = from_signal or known
            owner = here
            if owner:
                everyone.walked.add(owner.id)
                yield owner, level, frame, known
                level += 1
            # A call keeps no registers; an inlined one is not a call.
            known = known and frame.type() == gdb.INLINE_FRAME
            newer, frame = frame, frame.older()
            if frame is None or frame.name() is None:
                break


def left_frames(goroutine: Goroutine, place: Place) -> Iterator[Seen]:
    """(goroutine, level, frame, True) of each frame from a place where the goroutine left its registers."""
    newest = gdb.newest_frame()
    left_registers.innermost = newest.pc(), int(newest.read_register("rsp"))
    left_registers.place = place
    gdb.invalidate_cached_frames()
    try:
        frame, level = gdb.newest_frame(), -1
        for _ in range(MOST_FRAMES):
            pc_and_sp = frame.pc(), int(frame.read_register("rsp"))
            if level < 0 and pc_and_sp == place[:2]:
                level = 0
            if level >= 0:
                if not goroutine.holds(pc_and_sp[1]) or frame.name() is None:
                    break
                yield goroutine, level, frame, True
                level += 1
            frame = frame.older()
            if frame is None:
                break
    finally:
        left_registers.place = None
        gdb.invalidate_cached_frames()


def place_left(goroutine: Goroutine, machine: Layout) -> Place:
    """Where a goroutine stopped, (pc, sp, bp): in g.sched, or where a call into the kernel or the vdso began."""
    if goroutine.state in THREAD_STATES and goroutine.m:
        raw = machine.read(goroutine.m)
        # A vdso call runs on the system stack and leaves g.sched as it is.
        pc, sp = machine.word(raw, "vdsoPC"), machine.word(raw, "vdsoSP")
        if goroutine.holds(sp):
            return pc, sp, 0
        if goroutine.state == 3 and goroutine.holds(goroutine.syscall[1]):
            return goroutine.syscall
    return goroutine.sched


def may_be_on(goroutine: Goroutine, place: Place, ranges: list[Span]) -> bool:
    """Whether a word on the stack may be a return address into one of the ranges."""
    pc, sp, _ = place
    if not goroutine.holds(sp) or sp % 8:
        return False
    block = gdb.block_for_pc(pc)
    if block is None or (block.function and block.start == pc):
        return False  # it has not begun yet
    try:
        words = gdb.selected_inferior().read_memory(sp, goroutine.hi - sp).cast("B").cast("Q")
    except gdb.MemoryError:
        return False
    lowest, highest = ranges[0][0], max(end for _, end in ranges)
    near = [word for word in (pc, *words) if lowest < word <= highest]
    return any(start < word <= end for word in near for start, end in ranges)


def all_frames(wanted: dict[str, Any], ranges: dict[str, list[Span]]) -> Iterator[Seen]:
    """Frames of all goroutines that can have a frame of the wanted functions."""
    everyone, machine = Everyone(), Layout("runtime.m")
    spans = sorted(span for each in ranges.values() for span in each)
    yield from threads_frames(everyone)
    for goroutine in everyone.goroutines:
        if goroutine.id in everyone.walked or wanted["goroutine"] not in (None, goroutine.id):
            continue
        place = place_left(goroutine, machine)
        if may_be_on(goroutine, place, spans):
            yield from left_frames(goroutine, place)


def function_of(block: Any) -> Any:
    """The function that a block is a part of, itself a block; None outside of all functions."""
    while block is not None and block.function is None:
        block = block.superblock
    return block


def key(block: Any) -> tuple[int, int, str | None]:
    """Blocks are compared by what they are: gdb makes new objects for them each time."""
    return block.start, block.end, block.function.name if block.function else None


def scopes(frame: gdb.Frame) -> list[Any]:
    """The blocks of a frame's function that its place lies in, innermost first.

    The compiler writes calls that it inlined as children of the whole function, not of the scope that they
    are in, so that scope is not above them: all blocks of the function are looked at.
    """
    try:
        function = function_of(frame.block())
    except RuntimeError:
        return []
    if function is None:
        return []
    found: dict[tuple[int, int, str | None], Any] = {}
    at, own = frame.pc(), key(function)
    for pc in range(function.start, function.end):
        chain, block = [], gdb.block_for_pc(pc)
        while block is not None and block.function is None:
            chain.append(block)
            block = block.superblock
        if block is not None and key(block) == own:
            found.update((key(each), each) for each in (*chain, block) if each.start < at <= each.end)
    return sorted(found.values(), key=lambda block: block.end - block.start)


def variables(frame: gdb.Frame) -> Iterator[Any]:
    """Arguments and variables that are in scope, innermost first."""
    line = frame.find_sal().line
    for block in scopes(frame):
        for symbol in variables_of(block):
            # A scope's variables begin at their declarations, which its range of code does not say.
            if symbol.is_argument or symbol.line <= (line or symbol.line):
                yield symbol


def describe(symbol: Any, frame: gdb.Frame, known: bool, path: str) -> dict[str, Any]:
    """What a variable is: {"type", "value", "may_be_map"}, the value a pointer's; or {"problem"} in words."""
    try:
        # A struct may be in several places: some fields in registers, some on the stack, some nowhere.
        if symbol.value(frame).address is None and not known:
            return {"problem": OPTIMIZED_OUT}
        value = follow(value_in(symbol, frame), path)
        if value.is_optimized_out:
            return {"problem": OPTIMIZED_OUT}
        if points_to_map(value.type):
            value = value.dereference()
        declared = without_parameter(value.type)
        if is_sync_map(declared):
            # The variable is the map itself: parts of it in registers would be a copy.
            if value.address is None:
                return {"problem": OPTIMIZED_OUT}
            return {"type": SYNC_MAP, "value": int(value.address), "may_be_map": True}
        is_pointer = value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR
        return {
            "type": str(declared),
            "value": int(value) % (1 << 64) if is_pointer else None,
            "may_be_map": is_map(value.type) or name_of(declared) in UNTYPED,
        }
    except (gdb.error, RuntimeError) as error:
        return {"problem": OPTIMIZED_OUT if OPTIMIZED_OUT in str(error) else str(error)}


def search(wanted: dict[str, Any]) -> dict[str, Any]:
    """Frames of the wanted functions, and in each the variables of the wanted name."""
    ranges = ranges_of(wanted["functions"])
    found: list[dict[str, Any]] = []
    names: set[str] = set()
    different: set[int | None] = set()
    again, frames, cut = [], 0, False
    for goroutine, level, frame, known in all_frames(wanted, ranges) if ranges else ():
        if frame.name() not in ranges or wanted["goroutine"] not in (None, goroutine.id):
            continue
        if wanted["level"] not in (None, level):
            continue
        frames += 1
        in_scope = list(variables(frame))
        # The compiler's own have names that nobody can write: .dict, ~r0
        names.update(name for name in map(plain_name, in_scope) if name.isidentifier())
        for symbol in in_scope:
            if plain_name(symbol) != wanted["variable"] or wanted["line"] not in (None, symbol.line):
                continue
            entry = place_of(goroutine, level, frame) | {"declared": symbol.line}
            entry.update(describe(symbol, frame, known, wanted["path"]))
            found.append(entry)
            different.add(entry.get("value"))
            if "problem" in entry:
                again.append((entry, symbol, goroutine, frame.name(), registers(frame)))
        if len(found) >= MOST_FOUND or len(different) > MOST_DIFFERENT:
            cut = True
            break
    for entry, symbol, goroutine, function, place in again:
        entry.update(after_the_call(symbol, goroutine, function, place, wanted["path"]))
    return {
        "functions": sorted(ranges),
        "frames": frames,
        "found": found,
        "names": sorted(names),
        "all": not cut,
    }


def place_of(goroutine: Goroutine, level: int, frame: gdb.Frame) -> dict[str, Any]:
    """Where a frame is, for the user."""
    place = frame.find_sal()
    return {
        "function": frame.name(),
        "goroutine": goroutine.id,
        "state": (WAITING_STATES | THREAD_STATES)[goroutine.state],
        "level": level,
        "file": place.symtab.filename if place.symtab else "",
        "line": place.line,
    }


def registers(frame: gdb.Frame) -> Place:
    """(pc, sp, bp) of a frame."""
    return frame.pc(), int(frame.read_register("rsp")), int(frame.read_register("rbp"))


def after_the_call(symbol: Any, goroutine: Goroutine, function: str, place: Place, path: str) -> dict[str, Any]:
    """What a variable is by its location after the call that its frame is in; {} where that gives nothing.

    gdb looks at the call itself, where a value may still be in a register although it has been spilled too;
    so the frame is made up once more, one byte further.
    """
    pc, sp, bp = place
    for _, _, frame, _ in left_frames(goroutine, (pc + 1, sp, bp)):
        if int(frame.read_register("rsp")) != sp:
            break
        if frame.name() == function:
            answer = describe(symbol, frame, True, path)
            return {} if "problem" in answer else answer | {"problem": None}
    return {}


def prepare(functions: list[tuple[str, int]]) -> list[str]:
    """The functions that exist; gdb reads their symbols now, so it need not do that in the stop."""
    for name in ("runtime.g", "runtime.m"):
        try:
            gdb.lookup_type(name)
        except gdb.error:
            raise gdb.error("the executable has no DWARF (was it linked with -w?)") from None
    found = ranges_of(functions)
    # A position-independent program is not yet where its addresses are.
    return [name for name, address in functions if address or name in found]


def search_and_go_back(wanted: dict[str, Any]) -> dict[str, Any]:
    """Search, and leave gdb with the thread that it had selected."""
    thread = gdb.selected_thread()
    try:
        with unwinding():
            return search(wanted)
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
