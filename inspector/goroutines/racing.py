"""What the stacks of writers add to a map's verdict: the step that was interrupted, and goroutines that raced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inspector.goroutines.writers import Writer
from inspector.maps.family import Family
from inspector.maps.findings import Finding, Judgement, Place


def with_writers(
    judgement: Judgement, writers: Sequence[Writer], family: Family, flag: bool, where: Place
) -> Judgement:
    """Add rule W2 to a judgement; `flag` says whether the map's own flag for writes is set.

    Where it is a race that left broken rules behind, they are told as what they are. Where one goroutine was writing,
    its stack says which of the steps was interrupted that would leave the same behind.
    """
    if not writers:
        return judgement
    seen = tuple(writer.finding(where) for writer in writers)
    if judgement.verdict == "inconsistent":
        if raced(writers, flag):
            judgement = _told_as_race(judgement, writers, flag, where)
    elif judgement.interrupted is not None:
        judgement = _named(judgement, writers, family)
    return replace(judgement, findings=(*judgement.findings, *seen))


def raced(writers: Sequence[Writer], flag: bool) -> bool:
    """Whether broken rules of a map are to be expected, though no single step of a write explains them.

    Each write toggles the flag twice. So a goroutine inside of a write while the flag is not set is not alone; neither
    is one that found another one there.
    """
    at_it = [writer for writer in writers if writer.writes or writer.ends_the_process]
    return len(at_it) > 1 or any(writer.ends_the_process for writer in at_it) or bool(at_it and not flag)


def _told_as_race(judgement: Judgement, writers: Sequence[Writer], flag: bool, where: Place) -> Judgement:
    numbers = [str(writer.goroutine) for writer in writers if writer.writes or writer.ends_the_process]
    who = f"goroutine {numbers[0]} was" if len(numbers) == 1 else f"goroutines {', '.join(numbers)} were"
    what = "is set" if flag else "is not set, as two writers cancel it out"
    race = Finding(
        rule="W2",
        message=f"{who} inside of this map while another goroutine wrote it: their race left what is broken below, "
        "and nothing else need have damaged it",
        observed=f"{len(numbers)} inside of map functions; the map's flag for writes {what}",
        expected="a lock around all uses of a map that is written",
        source=next(writer.functions[0] for writer in writers if writer.writes or writer.ends_the_process),
        where=where,
        severity="info",
    )
    findings = (replace(one, severity="info") if one.severity == "error" else one for one in judgement.findings)
    return replace(judgement, verdict="write-in-progress", findings=(race, *findings), interrupted=(), raced=True)


def _named(judgement: Judgement, writers: Sequence[Writer], family: Family) -> Judgement:
    """W1 with the step that the stack of the only writer shows."""
    # One that ends the process has found the flag set, and written nothing.
    at_it = [writer for writer in writers if writer.writes and not writer.ends_the_process]
    if len(at_it) != 1 or not judgement.findings or judgement.findings[0].rule != "W1":
        return judgement
    told, steps = judgement.findings[0], judgement.interrupted
    assert steps is not None
    frames = [family.steps_of(function) for function in at_it[0].functions]
    if len(steps) > 1:
        fitting = next((both for frame in frames if (both := tuple(step for step in frame if step in steps))), ())
        if 0 < len(fitting) < len(steps):
            parts = " or ".join(_part(told.message, step) for step in fitting)
            message = f"a write was interrupted while {parts}: goroutine {at_it[0].goroutine} is there"
            return _instead(judgement, replace(told, message=message, source=", ".join(fitting)), fitting)
    here = next((frame for frame in frames if frame), ())
    if not steps and len(here) == 1:
        message = f"a write was interrupted in {here[0]}, which has left nothing half done"
        return _instead(judgement, replace(told, message=message, source=here[0]), ())
    return judgement


def _part(message: str, step: str) -> str:
    """What W1 says of one of several steps."""
    alternatives = message.removeprefix("a write was interrupted while ").split(" or ")
    return next((one for one in alternatives if one.startswith(step)), step)


def _instead(judgement: Judgement, told: Finding, steps: tuple[str, ...]) -> Judgement:
    return replace(judgement, findings=(told, *judgement.findings[1:]), interrupted=steps)
