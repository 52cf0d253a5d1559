"""All rules over one snapshot, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector.maps.findings import Finding, Judgement
from inspector.maps.judging import Explanation, check, judged, not_checked
from inspector.maps.swiss.checks import allocation, directory, groups, header, keys, proof, tables
from inspector.maps.swiss.checks.interrupted import interruption
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.silence import Silence
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.places import Where

Rule = Callable[[MapView], Iterator[Finding]]
KeyRule = Callable[[Proof], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    header.h1_writing_is_a_bit,
    header.h2_bytes_without_meaning_are_zero,
    header.h3_directory_fields_agree,
    header.h4_small_maps_are_small,
    header.h5_used_is_the_number_of_entries,
    header.h6_tombstones_are_announced,
    header.h7_pointers_are_sound,
    directory.d1_tables_fill_blocks,
    directory.d2_index_is_the_first_entry,
    directory.d3_deepest_table_has_global_depth,
    directory.d4_tables_lie_apart,
    directory.d5_several_tables_are_large,
    directory.d6_depths_are_even,
    tables.t1_capacity_fits_the_groups,
    tables.t2_used_is_the_number_of_entries,
    tables.t3_growth_left_is_what_seven_eighths_leave,
    groups.g1_control_bytes_are_defined,
    groups.g2_empty_and_deleted_exclude_each_other,
    groups.g3_unused_slots_have_no_element,
    groups.g4_unused_slots_have_no_key_with_pointers,
    groups.g5_padding_is_zero,
    groups.g6_what_is_stored_apart_is_readable,
    groups.g7_groups_are_made_of_empty_slots,
)
"""Every rule of the catalogue (docs/rules.md) that needs no key, one function each."""

HEAP_RULES: tuple[Rule, ...] = (
    allocation.a1_parts_begin_objects,
    allocation.a2_what_is_stored_apart_has_its_own_object,
)
"""Rules about where the allocator puts things; they are asked where no other rule is broken."""

KEY_RULES: tuple[KeyRule, ...] = (keys.k4_no_key_occurs_twice, keys.k5_keys_lead_to_readable_memory)
"""Rules about keys that need no hash."""

PROOF_RULES: tuple[KeyRule, ...] = (
    proof.k1_control_bytes_are_of_the_hash,
    proof.k2_keys_are_in_their_table,
    proof.k3_nothing_ends_a_path_before_its_key,
    proof.k6_paths_are_as_short_as_chance_makes_them,
)
"""Rules that need the keys' hashes."""


def judge(hashes: Proof, incomplete: bool = False) -> Judgement:
    """Hold a map against every rule (see Snapshot.judge)."""
    view, nowhere = hashes.view, Where()
    by_rule = [check(rule, view, nowhere) for rule in RULES]
    by_rule += [check(rule, hashes, nowhere) for rule in KEY_RULES]
    if hashes.functions is not None:
        by_rule += [check(rule, hashes, nowhere) for rule in PROOF_RULES]

    by_rule, silenced = _once(by_rule, hashes)
    if not any(finding.severity == "error" for some in by_rule for finding in some):
        by_rule += [check(rule, view, nowhere) for rule in HEAP_RULES]

    def explain(errors: list[Finding]) -> Explanation | None:
        # A write in flight has to explain what one fault would have explained, too.
        return interruption(view, [*errors, *silenced])

    return judged(by_rule, explain, hashes.summary, nowhere, incomplete, bool(view.snapshot.late))


def _once(by_rule: list[list[Finding]], hashes: Proof) -> tuple[list[list[Finding]], list[Finding]]:
    """Set apart what only follows from other findings; nothing where that cannot be said."""
    try:
        silence = Silence(hashes)
        silenced = [
            [finding for finding in some if not finding.unchecked and silence.covers(finding)] for some in by_rule
        ]
    except Exception as error:
        unchecked = not_checked("T2", f"{Silence.__module__}.{Silence.__name__}", Where(), error)
        return [*by_rule, [unchecked]], []
    kept = [[finding for finding in some if finding not in gone] for some, gone in zip(by_rule, silenced, strict=True)]
    return kept, [finding for gone in silenced for finding in gone]
