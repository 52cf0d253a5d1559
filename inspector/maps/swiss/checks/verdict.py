"""All rules over one snapshot, and what they add up to."""

from __future__ import annotations

from inspector.maps.findings import Finding, Judgement
from inspector.maps.judging import Explanation, judged
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.checks.view import MapView
from inspector.maps.swiss.places import Where


def judge(view: MapView, incomplete: bool = False) -> Judgement:
    """Hold a map against every rule (see Snapshot.judge)."""

    def explain(errors: list[Finding]) -> Explanation | None:
        return None

    return judged([], explain, Proof(view).summary, Where(), incomplete, bool(view.snapshot.late))
