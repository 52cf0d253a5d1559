"""A process stopped at instructions inside its writes: always a write in progress, with the interrupted step named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest
from conftest import EVERY_TOOLCHAIN
from replay import KINDS
from stepping import some_of, writing

from fixtures import USUAL, Toolchain, build, start
from inspector.errors import UnreadableMemory
from inspector.inspection import inspect
from inspector.target import Target, open_target

SPREAD = 700
STEPS_ON = 6
"""Instructions that are stepped over, each with a look at the map, where a breakpoint was reached."""


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
    dice = Random(f"{toolchain.name} {kind} {seed}")
    exe = build("replay", toolchain)
    with start(exe, kind) as running, open_target(str(running.pid), memory="direct", stop=False) as target:
        lines = scripts(dice, running.truth["clear"])
        with writing(running.pid, str(exe), KINDS[kind]) as (bridge, code):
            end = bridge.instructions("fmt.Fprintf")[0]
            done = 0
            while done < wanted:
                running.send(next(lines))
                while bridge.run_to([*some_of(code, dice), end]) and bridge.functions()[0] != "fmt.Fprintf":
                    for _ in range(STEPS_ON):
                        stop = look(target, running.truth, bridge.functions())
                        if stop is not None:
                            done += 1
                            yield stop
                        bridge.run("-exec-step-instruction")
                    if done >= wanted:
                        break


def look(target: Target, truth: dict[str, str], stack: list[str]) -> Stop | None:
    """Judge the map while it stands still; None if it is not being written at this moment."""
    inspection = inspect(target, truth["map"], truth["type"], entries=0)
    assert inspection.view is not None
    if not inspection.view.header.writing:
        return None
    judgement = inspection.judgement
    rules = tuple(sorted({finding.rule for finding in judgement.findings} - {"W1"}))
    return Stop(judgement.verdict, judgement.interruption.steps if judgement.interruption else (), rules, tuple(stack))
