"""A process stopped at instructions inside its writes: always a write in progress, with the interrupted step named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from fixtures import USUAL, Toolchain, build, find, start
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.chance import seeded
from tests.support.promised import PROMISED
from tests.support.racing import fatal_core
from tests.support.replay import KINDS
from tests.support.stepping import some_of, writing
from tests.support.toolchains import EVERY_TOOLCHAIN
from tests.support.truth import document_of

SPREAD = 700
STEPS_ON = 6
"""Instructions that are stepped over, each with a look at the map, where a breakpoint was reached."""

MOST_SILENCES, FAR_TOO_MANY = 5, 60
"""So often a process reaches none of the instructions before it is taken to wait for its next line, or to hang."""


@dataclass(frozen=True)
class Stop:
    """One stop inside a write: what our tool says, and the stack that gdb shows."""

    verdict: str
    steps: tuple[str, ...]
    rules: tuple[str, ...]
    stack: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether one of the named steps is on the stack."""
        here = {plain(function) for function in self.stack}
        return not self.steps or any(plain(step) in here for step in self.steps)


def plain(function: str) -> str:
    """A function of the runtime without its package, receiver and the suffix of its fast variant."""
    return function.rpartition(".")[2].partition("_")[0]


def scripts(dice: Random, can_clear: bool) -> Iterator[str]:
    """Operations, line by line, that let a map grow, double and to the same size, and empty it."""
    while True:
        for end in ("", "clear", "", "delete"):
            reach = dice.choice([20, 100, SPREAD])
            some = [f"set {dice.randrange(reach)} {at}" for at in range(dice.randrange(2 * reach))]
            churn = [f"{what} {dice.randrange(reach)} 1" for _ in range(reach) for what in ("set", "delete")]
            if end == "delete":
                churn += [f"delete {key}" for key in range(reach)]
            yield ";".join(some + churn + ["clear"] * (end == "clear" and can_clear))


def stops(toolchain: Toolchain, kind: str, wanted: int, seed: int = 0) -> Iterator[Stop]:
    """Stop a process at random instructions of its writes to a map of one kind."""
    dice = seeded(toolchain.name, kind, seed)
    exe = build("replay", toolchain)
    with start(exe, kind) as running, open_target(str(running.pid), memory="direct", stop=False) as target:
        lines = scripts(dice, running.truth["clear"])
        with writing(running.pid, str(exe), KINDS[kind]) as (bridge, code):
            end = bridge.instructions("fmt.Fprintf")[0]
            done = 0
            while done < wanted:
                running.send(next(lines))
                silences = 0
                # A busy machine may take long: a process that has not read its line yet must not be sent another.
                while silences < MOST_SILENCES or running.unread():
                    assert silences < FAR_TOO_MANY, bridge.functions()
                    if not bridge.run_to([*some_of(code, dice), end]):
                        silences += 1
                        continue
                    # That it stands at the answer to the line before says nothing of this one.
                    if bridge.functions()[0] == "fmt.Fprintf" and not running.unread():
                        break
                    for _ in range(STEPS_ON):
                        stop = look(target, running.truth, bridge.functions())
                        if stop is None:
                            break
                        done += 1
                        yield stop
                        bridge.run("-exec-step-instruction")
                    if done >= wanted:
                        break


def look(target: Target, truth: dict[str, str], stack: list[str]) -> Stop | None:
    """Judge the map while it stands still; None if it is not being written at this moment."""
    inspection = inspect(target, truth["map"], truth["type"], entries=0)
    assert inspection.snapshot is not None
    if not inspection.snapshot.header.writing:
        return None
    judgement = inspection.judgement
    rules = tuple(sorted({finding.rule for finding in judgement.findings} - {"W1"}))
    return Stop(judgement.verdict, judgement.interrupted or (), rules, tuple(stack))


def named(toolchain: Toolchain, kind: str, wanted: int) -> Counter[str]:
    """How often which steps were named, all of them rightly; "" where nothing was half done."""
    seen: Counter[str] = Counter()
    for stop in stops(toolchain, kind, wanted):
        assert stop.verdict == "write-in-progress", stop
        assert stop.fits, stop
        seen.update(stop.steps or [""])
    return seen


def test_a_process_stopped_inside_a_write_is_told_the_step_that_gdb_shows():
    assert named(USUAL, "string", 60).total() >= 60


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_a_process_stopped_inside_writes_of_every_kind_is_told_the_step_that_gdb_shows(toolchain):
    seen = sum((named(toolchain, kind, 40) for kind in KINDS), Counter())
    assert seen[""] > 0
    assert len(seen) > 3, seen


CLEARED_FROM_AN_EMPTY_CELL = "set 1 1;set 2 2;set 3 3;delete 1;clear"
"""The first cell that mapclear marks empty was empty before: the count still fits the cells."""


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_a_clear_that_has_marked_only_cells_that_were_empty_before_is_told(toolchain):
    exe = build("replay", toolchain)
    with start(exe, "any") as running, open_target(str(running.pid), memory="direct", stop=False) as target:
        if not running.truth["clear"]:
            pytest.skip("the compiler knows no clear")
        with writing(running.pid, str(exe), KINDS["any"]) as (bridge, code):
            running.send(CLEARED_FROM_AN_EMPTY_CELL)
            seen = silences = 0
            # The scheduler may take the thread away before the first store: then the function begins anew.
            while not seen:
                assert silences < FAR_TOO_MANY, bridge.functions()
                silences += not bridge.run_to(code["mapclear"][:1])
                while "runtime.mapclear" in (stack := bridge.functions()):
                    if stop := look(target, running.truth, stack):
                        assert (stop.verdict, stop.fits) == ("write-in-progress", True), stop
                        seen += "runtime.mapclear" in stop.steps
                    bridge.run("-exec-step-instruction")
            assert seen > 0


MOST_LOOKS = 500
"""At two maps each, of which hardly any is without a write: how long that takes depends on the machine."""

WRITER = {
    "main.doubling": ("map[int64]int64", "fast64", "main.double"),
    "main.churning": ("map[string]int", "faststr", "main.churn"),
}
"""Maps of the program `churn`: type, fast path, and the function that writes them."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "memory", ["direct", *(pytest.param(each, marks=pytest.mark.slow) for each in ("auto", "gdb-mi"))]
)
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_the_goroutine_that_was_interrupted_in_a_write_is_named_with_its_caller(toolchain, memory):
    told = looks = 0
    with start(build("churn", toolchain)) as running, open_target(str(running.pid), memory=memory) as target:
        assert running.ask("write") == {"writing": True}
        while told < 2 and looks < MOST_LOOKS:
            looks += 1
            for name, (map_type, fast, function) in WRITER.items():
                inspection = inspect(target, name, map_type, entries=0)
                assert inspection.judgement.verdict != "inconsistent"
                for finding in inspection.judgement.findings:
                    if finding.rule == "W2":
                        # gdb's script of the program is not asked: its source says who writes this map, and how.
                        assert finding.message.endswith(f"called by {function}"), finding
                        assert finding.source.endswith(fast) or "fast" not in finding.source, finding
                        assert "ended the process" not in finding.message
                        told += 1
    assert told >= 2


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
@pytest.mark.parametrize("stripped", [False, True], ids=["whole", "stripped"])
def test_in_the_core_of_concurrent_map_writes_the_goroutine_that_saw_it_is_named(toolchain, stripped, tmp_path):
    core = fatal_core(toolchain, tmp_path, ldflags="-s -w" if stripped else "")
    saw_it = re.findall(r"^goroutine (\d+) .*\[running\]:$\n^runtime\.fatal", core.stderr, re.MULTILINE)
    with open_target(str(core.path), exe=str(core.exe)) as target:
        # The writers may have broken it so far that its keys no longer say which type it has.
        shared = find(core.truth, "shared")
        inspection = inspect(target, shared["address"], shared["type"], entries=0)
    PROMISED.validate(document_of(inspection))
    findings = [finding for finding in inspection.judgement.findings if finding.rule == "W2"]
    saw_others = {finding.message.split()[1] for finding in findings if "ended the process" in finding.message}
    assert saw_it
    assert set(saw_it) <= saw_others
    named = [finding for finding in findings if finding.message.startswith("goroutine ")]
    assert all("runtime.map" in finding.message and "_fast64" in finding.message for finding in named)
    writing = inspection.snapshot is not None and inspection.snapshot.header.writing
    # Two writers at once toggle the flag twice, so that it says nothing, and may really break the map.
    told = writing or inspection.judgement.raced
    assert inspection.judgement.verdict in (["write-in-progress"] if told else ["consistent", "inconsistent"])
