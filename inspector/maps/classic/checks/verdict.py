"""All rules over one snapshot, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector.maps.classic.checks import cells, evacuation, header, overflow, proof
from inspector.maps.classic.checks.interrupted import interruption
from inspector.maps.classic.checks.proof import Proof
from inspector.maps.classic.checks.view import MapView
from inspector.maps.classic.places import Where
from inspector.maps.findings import Finding, Judgement
from inspector.maps.judging import Explanation, check, judged

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
    cells.c5_indirect_slots_are_readable,
    overflow.o1_chains_are_sound,
    overflow.o2_extra_lists_overflow_buckets,
    overflow.o3_preallocated_buckets_are_used_in_order,
    overflow.o4_extra_exists_when_needed,
    overflow.o5_chains_are_as_short_as_chance_makes_them,
)
"""Every rule of the catalogue (docs/rules.md) that needs no key's hash, one function each."""

KEY_RULES: tuple[ProofRule, ...] = (cells.c4_no_key_occurs_twice,)
"""Rules about keys that can do without hashes, but are faster with them."""

KEY_RULES_AT = RULES.index(cells.c5_indirect_slots_are_readable)
"""Where the findings of those stand among the others: in the order of the catalogue."""

PROOF_RULES: tuple[ProofRule, ...] = (
    proof.c3_keys_hash_to_their_cells,
    proof.e10_entries_come_from_their_old_bucket,
    proof.e11_the_split_agrees_with_the_hash_bit,
)
"""Rules that need the keys' hashes."""


def judge(view: MapView, incomplete: bool = False) -> Judgement:
    """Hold a map against every rule (see Snapshot.judge)."""
    hashes, nowhere = Proof(view), Where()
    by_rule = [check(rule, view, nowhere) for rule in RULES]
    by_rule[KEY_RULES_AT:KEY_RULES_AT] = [check(rule, hashes, nowhere) for rule in KEY_RULES]
    by_rule.append(check(proof.e9_evacuated_memory_is_cleared_or_kept, hashes, nowhere))
    if hashes.functions is not None:
        by_rule += [check(rule, hashes, nowhere) for rule in PROOF_RULES]

    def explain(errors: list[Finding]) -> Explanation | None:
        return interruption(view, errors)

    return judged(by_rule, explain, hashes.summary, nowhere, incomplete, bool(view.snapshot.late))
