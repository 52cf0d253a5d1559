"""All rules over one snapshot, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from inspector.maps.classic.checks import cells, evacuation, header, overflow, proof
from inspector.maps.classic.checks.interrupted import Interruption, interruption
from inspector.maps.classic.checks.proof import Proof
from inspector.maps.classic.checks.view import MapView
from inspector.maps.findings import Finding, Judgement, Verdict

Rule = Callable[[MapView], Iterator[Finding]]
ProofRule = Callable[[Proof], Iterator[Finding]]

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


def judge(view: MapView, incomplete: bool = False) -> Judgement:
    """Hold a map against every rule (see Snapshot.judge)."""
    hashes = Proof(view)
    findings: list[Finding] = []
    cut = []
    broken = [rule(view) for rule in RULES] + [proof.e9_evacuated_memory_is_cleared_or_kept(hashes)]
    if hashes.functions is not None:
        broken += [rule(hashes) for rule in PROOF_RULES]
    for one in broken:
        some = list(islice(one, MOST_FINDINGS + 1))
        if len(some) > MOST_FINDINGS:
            cut.append(some.pop().rule)
        findings += some
    if view.snapshot.late:
        findings = [finding for finding in findings if not finding.unreadable]
    if incomplete:
        findings = [replace(f, severity="warning") if f.unreadable else f for f in findings]
    errors = [finding for finding in findings if finding.severity == "error"]
    interrupted = interruption(view, errors)
    if interrupted is not None:
        # What the interrupted step explains is no fault; it is shown as what the step left.
        findings = [interrupted.finding, *(replace(f, severity="info") if f in errors else f for f in findings)]
    lacking = incomplete and any(finding.unreadable for finding in findings)
    return Judgement(
        _verdict(errors, interrupted, lacking, view.snapshot.late),
        tuple(findings),
        tuple(cut),
        hashes.summary(),
        interrupted.steps if interrupted else None,
    )


def _verdict(errors: list[Finding], interrupted: Interruption | None, lacking: bool, late: tuple[str, ...]) -> Verdict:
    if interrupted is not None:
        return "write-in-progress"
    if errors:
        return "inconsistent"
    if late:
        return "not-read"
    return "unreadable" if lacking else "consistent"
