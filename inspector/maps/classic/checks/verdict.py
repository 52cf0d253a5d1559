"""All rules over one snapshot, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from inspector.maps.classic.checks import cells, evacuation, header, overflow, proof
from inspector.maps.classic.checks.finding import Finding, Verdict, not_checked
from inspector.maps.classic.checks.interrupted import Interruption, interruption
from inspector.maps.classic.checks.proof import HashProof, Proof
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.snapshot import MapSnapshot

Rule = Callable[[MapView], Iterator[Finding]]
ProofRule = Callable[[Proof], Iterator[Finding]]
Subject = TypeVar("Subject", MapView, Proof)

RULES: tuple[Rule, ...] = (
    header.h1_flags_are_defined,
    header.h2_bucket_array_is_mapped,
    header.h3_count_equals_live_cells,
    header.h4_nil_buckets_mean_empty,
    header.h5_noverflow_counts_overflow_buckets,
    header.h6_count_is_within_growth_trigger,
    header.h7_pointers_are_sound,
    evacuation.e1_no_trace_of_growth_when_not_growing,
    evacuation.e2_mark_is_within_old_array,
    evacuation.e3_buckets_below_mark_are_evacuated,
    evacuation.e4_bucket_at_mark_is_not_evacuated,
    evacuation.e5_buckets_are_evacuated_whole,
    evacuation.e6_waiting_buckets_carry_no_marker,
    evacuation.e7_same_size_growth_knows_no_y,
    evacuation.e8_unfilled_buckets_are_untouched,
    evacuation.e12_iterator_flags_agree,
    cells.c1_tophash_is_defined,
    cells.c2_empty_rest_is_the_end,
    cells.c4_no_key_occurs_twice,
    cells.c5_indirect_slots_are_readable,
    overflow.o1_chains_are_sound,
    overflow.o2_extra_lists_overflow_buckets,
    overflow.o3_preallocated_buckets_are_used_in_order,
    overflow.o4_extra_exists_when_needed,
    overflow.o5_chains_are_as_short_as_chance_makes_them,
)
"""Every rule of the catalogue (docs/rules.md) that is implemented, one function each."""

PROOF_RULES: tuple[ProofRule, ...] = (
    proof.c3_keys_hash_to_their_cells,
    proof.e10_entries_come_from_their_old_bucket,
    proof.e11_the_split_agrees_with_the_hash_bit,
)
"""Rules that need the keys' hashes."""

MOST_FINDINGS = 20
"""Findings of one rule that are listed: garbage breaks a rule a million times."""


@dataclass(frozen=True)
class Judgement:
    """The verdict on a snapshot and the findings it rests on.

    `cut` names rules with more findings than listed, `interruption` the step of a write that explains all errors.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    cut: tuple[str, ...] = ()
    proof: HashProof = field(default_factory=lambda: HashProof(0, 0, 0, None, None))
    interruption: Interruption | None = None


def judge(snapshot: MapSnapshot, incomplete: bool = False) -> Judgement:
    """Hold a snapshot against every rule.

    `incomplete` says that the target's memory is known to lack parts (a core cut short): what cannot be
    read is then missing, not wrong. What a stop was too short for (`snapshot.late`) is missing, too. A rule whose
    function fails is reported as not checked, and the others still count.
    """
    view = MapView(snapshot)
    hashes = Proof(view)
    by_rule = [_check(rule, view) for rule in RULES]
    by_rule.append(_check(proof.e9_evacuated_memory_is_cleared_or_kept, hashes))
    if hashes.functions is not None:
        by_rule += [_check(rule, hashes) for rule in PROOF_RULES]
    cut = tuple(some[0].rule for some in by_rule if len(some) > MOST_FINDINGS)
    findings = [finding for some in by_rule for finding in some[:MOST_FINDINGS]]
    if snapshot.late:
        findings = [finding for finding in findings if not finding.unreadable]
    if incomplete:
        findings = [replace(f, severity="warning") if f.unreadable else f for f in findings]
    errors = [finding for finding in findings if finding.severity == "error"]
    try:
        interrupted = interruption(view, errors)
    except Exception as error:
        # Whether a write explains the errors is not known, so they do not count.
        interrupted, errors = None, []
        findings.append(not_checked("W1", _place_of(interruption), error))
    if interrupted is not None:
        # What the interrupted step explains is no fault; it is shown as what the step left.
        findings = [interrupted.finding, *(replace(f, severity="info") if f in errors else f for f in findings)]
    verdict = _verdict(findings, errors, interrupted, incomplete, snapshot.late)
    return Judgement(verdict, tuple(findings), cut, _summary(hashes), interrupted)


def _check(rule: Callable[[Subject], Iterator[Finding]], subject: Subject) -> list[Finding]:
    """The findings of a rule, one more than are listed where it has more; the first may say that the rule failed."""
    findings: list[Finding] = []
    try:
        for finding in rule(subject):
            findings.append(finding)
            if len(findings) > MOST_FINDINGS:
                break
    except Exception as error:
        # Memory is hostile: one rule that it defeats must not cost the answers of all others.
        findings.insert(0, not_checked(rule.__name__.partition("_")[0].upper(), _place_of(rule), error))
    return findings


def _place_of(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__name__}"


def _summary(hashes: Proof) -> HashProof:
    try:
        return hashes.summary()
    except Exception as error:
        return HashProof(0, 0, 0, None, f"hashing them failed ({type(error).__name__})")


def _verdict(
    findings: list[Finding],
    errors: list[Finding],
    interrupted: Interruption | None,
    incomplete: bool,
    late: tuple[str, ...],
) -> Verdict:
    """What the findings add up to. A rule that could not be checked is not one that holds."""
    if errors and interrupted is None:
        return "inconsistent"
    if any(finding.unchecked for finding in findings):
        return "unreadable"
    if interrupted is not None:
        return "write-in-progress"
    if late:
        return "not-read"
    return "unreadable" if incomplete and any(finding.unreadable for finding in findings) else "consistent"
