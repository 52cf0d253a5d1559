"""Rules held against a map one by one, and the verdict that they add up to: the same for every family.

Memory is hostile: a rule that it defeats is reported as not checked, and must not cost the answers of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from inspector.gotypes.redaction import bytes_of_memory
from inspector.maps.findings import Finding, HashProof, Judgement, Place, Verdict

Subject = TypeVar("Subject")

MOST_FINDINGS = 20
"""Findings of one rule that are listed: garbage breaks a rule a million times."""

NOT_CHECKED = "this rule could not be checked"
LONGEST_REASON = 200


@dataclass(frozen=True)
class Explanation:
    """The interrupted write that explains all errors: its steps (see Judgement.interrupted), and what is said of it."""

    steps: tuple[str, ...]
    finding: Finding


def interrupted(doing: Mapping[str, str], where: Place, flag: tuple[str, str], writes: str) -> Explanation:
    """Rule W1: the step that was interrupted; several where any of them fits, none when nothing is half done.

    `doing` says of each step what it did, `flag` what is seen of the flag for writes and what is expected; `writes`
    names what sets it.
    """
    message = f"a write was interrupted while {' or '.join(f'{step} {what}' for step, what in doing.items())}"
    if not doing:
        message = "a write was interrupted before it changed anything, or with everything done but its flag"
    observed, expected = flag
    source = ", ".join(doing) or writes
    return Explanation(tuple(doing), Finding("W1", message, observed, expected, source, where, severity="info"))


def check(rule: Callable[[Subject], Iterator[Finding]], subject: Subject, nowhere: Place) -> list[Finding]:
    """The findings of a rule, one more than are listed where it has more; the first may say that the rule failed.

    A rule's function is named after it: e3_buckets_below_mark_are_evacuated. `nowhere` is the place of a failure.
    """
    findings: list[Finding] = []
    try:
        for finding in rule(subject):
            findings.append(finding)
            if len(findings) > MOST_FINDINGS:
                break
    except Exception as error:
        name = rule.__name__.partition("_")[0].upper()
        findings.insert(0, not_checked(name, f"{rule.__module__}.{rule.__name__}", nowhere, error))
    return findings


def not_checked(rule: str, source: str, where: Place, error: Exception) -> Finding:
    """What a report says of a rule whose function `source` failed: neither that it holds nor that it is broken."""
    return Finding(
        rule=rule,
        message=NOT_CHECKED,
        observed=f"{type(error).__name__}: {bytes_of_memory(str(error))}"[:LONGEST_REASON],
        expected="an answer for whatever is in the map's memory; please report this",
        source=source,
        where=where,
        severity="warning",
        unchecked=True,
    )


def judged(
    by_rule: Sequence[list[Finding]],
    explain: Callable[[list[Finding]], Explanation | None],
    prove: Callable[[], HashProof],
    nowhere: Place,
    incomplete: bool,
    late: bool,
) -> Judgement:
    """Add up what `check` found for each rule.

    `explain` names the interrupted write that all errors come from, `prove` counts the keys that lie where they hash
    to. `incomplete` says that the target's memory lacks parts, `late` that a stop was too short for the whole map.
    """
    cut = tuple(some[0].rule for some in by_rule if len(some) > MOST_FINDINGS)
    findings = [finding for some in by_rule for finding in some[:MOST_FINDINGS]]
    if late:
        findings = [finding for finding in findings if not finding.unreadable]
    if incomplete:
        findings = [replace(f, severity="warning") if f.unreadable else f for f in findings]
    errors = [finding for finding in findings if finding.severity == "error"]
    try:
        explained = explain(errors)
    except Exception as error:
        # Whether a write explains the errors is not known, so they do not count.
        explained, errors = None, []
        findings.append(not_checked("W1", explain.__module__, nowhere, error))
    if explained is not None:
        # What the interrupted step explains is not a fault; it is shown as what the step left.
        findings = [explained.finding, *(replace(f, severity="info") if f in errors else f for f in findings)]
    verdict = _verdict(findings, errors, explained, incomplete, late)
    steps = explained.steps if explained else None
    return Judgement(verdict, tuple(findings), cut, _proof(prove), steps)


def _proof(prove: Callable[[], HashProof]) -> HashProof:
    try:
        return prove()
    except Exception as error:
        return HashProof(0, 0, 0, None, f"hashing them failed ({type(error).__name__})")


def _verdict(
    findings: list[Finding], errors: list[Finding], explained: Explanation | None, incomplete: bool, late: bool
) -> Verdict:
    """What the findings add up to. A rule that could not be checked is not one that holds."""
    if errors and explained is None:
        return "inconsistent"
    if any(finding.unchecked for finding in findings):
        return "unreadable"
    if explained is not None:
        return "write-in-progress"
    if late:
        return "not-read"
    return "unreadable" if incomplete and any(finding.unreadable for finding in findings) else "consistent"
