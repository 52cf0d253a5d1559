"""A process stopped between the stores of its writes to Swiss maps: what was interrupted is named, and by whom."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fixtures import SWISS_RELEASES, Running, Toolchain, build, start
from inspector.census import take_census
from inspector.goroutines.writers import NO_THREAD
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target
from tests.support.chance import seeded, unforeseen
from tests.support.promised import PROMISED
from tests.support.stepping import SteppingBridge
from tests.support.swissstops import COOPERATIVE, MAP, MARK, SCENES, TABLE, Store, staged, stores_of, wrong_with
from tests.support.toolchains import EVERY_SWISS, NEWEST_SWISS
from tests.support.truth import document_of

FEW, MANY = 3, 60
WRITING_AT = 34
"""Where Map has the flag, in bytes."""

MOST_LOOKS = 3000
"""At processes whose writers wait now and then: how long that takes depends on the machine."""

TRIES = 30
"""Processes in which two writers are to meet, at the most."""

KINDS = ("int64", "string", "pair", "wide", "fat", "pointer")


def faults(toolchain: Toolchain, kind: str, wanted: int) -> tuple[Counter[str], list[str]]:
    """How many stops each scene had, and what was wrong at one of them."""
    counted: Counter[str] = Counter()
    wrong = []
    with staged(toolchain, kind, seeded(toolchain.name, kind, wanted)) as stage:
        for scene in SCENES:
            for stop in stage.play(scene, wanted):
                counted[scene.name] += 1
                fault = wrong_with(stop)
                if fault:
                    wrong.append(f"{fault}: {stop}")
    return counted, wrong


@pytest.mark.parametrize("toolchain", EVERY_SWISS)
def test_between_any_two_stores_of_a_write_the_step_is_named_that_does_them(toolchain):
    counted, wrong = faults(toolchain, "string", FEW)
    assert wrong == []
    # Tombstones are pruned since Go 1.25.
    assert len(counted) >= len(SCENES) - (toolchain == SWISS_RELEASES[0]), counted


@pytest.mark.matrix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("toolchain", SWISS_RELEASES, ids=lambda toolchain: toolchain.name)
def test_between_any_two_stores_of_a_write_to_a_map_of_any_kind_the_step_is_named(toolchain, kind):
    _, wrong = faults(toolchain, kind, MANY)
    assert wrong == []


def after(bridge: SteppingBridge, stores: list[Store], part: str) -> bool:
    """Run on until one of these stores is done, by a part of its line."""
    chosen = [store.address for store in stores if part in store.text]
    return bridge.run_to(chosen) and bridge.where() in chosen and bridge.step(1, over=False)


def core_of(bridge: SteppingBridge, folder: Path) -> str:
    """The core that gdb writes of the process that it holds."""
    path = folder / "core"
    bridge.console(f"gcore {path}")
    return str(path)


BUSY = {"GOMAXPROCS": "1", "GOGC": "1"}
"""One goroutine runs at a time, and the collector makes those that allocate wait."""


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_SWISS)
def test_a_writer_that_no_thread_runs_is_named_with_its_caller(toolchain):
    dice, waiting, looks = unforeseen(), 0, 0
    with start(build("swissrandom", toolchain), env=BUSY) as running, open_target(str(running.pid)) as target:
        assert running.ask(f"write {dice.randrange(1 << 30)}") == {"writing": True}
        while waiting < 2 and looks < MOST_LOOKS:
            looks += 1
            told = dice.choice(running.truth["maps"])
            inspection = inspect(target, told["variable"], told["type"], entries=0)
            judgement = inspection.judgement
            assert judgement.verdict in ("consistent", "write-in-progress"), judgement.findings
            for finding in judgement.findings:
                if finding.rule == "W2":
                    # The source of the program says who writes its maps.
                    assert "main.(*actorOf[...]).act" in finding.message
                    waiting += finding.observed == NO_THREAD
    assert waiting >= 2


@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
def test_where_two_steps_leave_the_same_the_stack_of_the_writer_says_which_it_was(toolchain, tmp_path):
    told = {}
    with staged(toolchain, "string", seeded(toolchain.name)) as stage:
        for step, function, part, line in (
            ("maps.table.PutSlot", "runtime.mapassign_faststr", "t.growthLeft--", "set {} 1"),
            ("maps.table.Delete", f"{TABLE}Delete", "m.used--", "delete {}"),
        ):
            lines = [line.format(key) for key in range(100, 200)]
            stage.running.send(";".join([*(f"set {key} 1" for key in range(0, 300, 2)), *lines]))
            assert after(stage.bridge, stores_of(stage.bridge, function), part)
            (folder := tmp_path / step).mkdir()
            told[step] = core_of(stage.bridge, folder)
            stage.finish()
        exe = str(stage.running.exe)
    for step, core in told.items():
        with open_target(core, exe=exe) as target:
            judgement = inspect(target, "main.stringMap", entries=0).judgement
        assert (judgement.verdict, judgement.interrupted) == ("write-in-progress", (step,))
        assert [finding.rule for finding in judgement.findings].count("W2") == 1


@pytest.mark.parametrize("toolchain", NEWEST_SWISS)
def test_what_two_writers_leave_who_cancelled_the_flag_out_is_told_as_their_race(toolchain, tmp_path):
    exe = build("racing", toolchain)
    for _ in range(TRIES):
        with start(exe, env=COOPERATIVE) as running:
            core = cancelled(running, tmp_path)
            truth = running.map("shared")
        if core is not None:
            break
    assert core is not None
    with open_target(core, exe=str(exe)) as target:
        inspection = inspect(target, truth["address"], truth["type"], entries=0)
        census = take_census(target)
    assert inspection.snapshot is not None
    judgement = inspection.judgement
    assert not inspection.snapshot.header.writing
    assert {finding.rule for finding in judgement.findings} & {"T2", "T3", "H5"}
    assert (judgement.verdict, judgement.raced, inspection.exit_code) == ("write-in-progress", True, 0)
    assert "their race left what is broken" in judgement.findings[0].message
    assert all(finding.severity == "info" for finding in judgement.findings)
    inside = {finding.message.split()[1] for finding in judgement.findings if finding.observed.startswith("thread")}
    assert len(inside) >= 2
    PROMISED.validate(document_of(inspection))
    (one,) = [one for one in census.maps if one.address == int(truth["address"], 16)]
    assert one.verdict == "write-in-progress"


def cancelled(running: Running, folder: Path) -> str | None:
    """The core of a process in which two writers had begun before either saw the other; None where it did not come so.

    Both are behind the look at the flag when they set it. The first one has filled a slot and not counted it yet when
    the second one clears the flag: at once, if it takes what is there, or with its own write done.
    """
    with open(running.exe, "rb") as file, SteppingBridge(file.fileno()) as bridge:
        bridge.open_executable(file.fileno())
        assign = stores_of(bridge, "runtime.mapassign_fast64")
        toggles = [store.address for store in assign if store.text.startswith("m.writing ^= 1")]
        begin = [store.address for store in assign if store.text.startswith("m.writing ^= 1 // toggle")]
        small = stores_of(bridge, f"{MAP}putSlotSmallFast64")
        with bridge.holding(running.pid):
            running.send("meet")
            if not bridge.run_to(begin):
                return None
            bridge.console("set scheduler-locking on")
            first, *others = bridge.thread_numbers()
            for other in others:
                bridge.select(other)
                # One that sleeps would not wake up while nobody else runs.
                awake = {"main.write", "main.meet"} & set(bridge.functions())
                if awake and bridge.run_to(begin) and bridge.where() in begin:
                    break
            else:
                return None
            bridge.select(first)
            if not after(bridge, assign + small, MARK):
                return None
            bridge.select(other)
            bridge.step(1, over=False)
            flag = f"print ((char *) {running.map('shared')['address']})[{WRITING_AT}]"
            if " = 0 " not in bridge.console(flag) and bridge.run_to(toggles):
                bridge.step(1, over=False)
            return core_of(bridge, folder)
