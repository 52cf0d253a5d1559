"""One fault, one finding: what follows from a fault that another rule reports is left out.

Most of it is in what a view believes: nothing that hangs from a broken part is judged. What is left are the rules that
count. Used of the map, used of the tables and the slots themselves are three counts: one that is alone is wrong (H5,
T2). Where the slots are alone, a control byte is, and the slot itself shows it (G1 to G7, K1, K3) as far as it can.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.maps.findings import Finding
from inspector.maps.swiss.checks.proof import Proof
from inspector.maps.swiss.places import Where

BY_KEYS = frozenset({"H5", "H6", "T2", "T3", "G1", "G2", "G3", "G4", "G5", "G6", "G7", "K4", "K5", "K6"})
"""Rules about tables and their entries that say nothing more where most keys do not belong there."""


class Silence:
    """Knows how many control bytes of each table are at fault, and so what they make of counts."""

    def __init__(self, proof: Proof) -> None:
        self.proof, self.view, slots = proof, proof.view, proof.slots_at_fault
        self.total, self.of_tables = int(slots.sum()), self.view.sum_of_tables(slots)

    def covers(self, finding: Finding) -> bool:
        """Whether a finding only follows from others."""
        if self.proof.functions is not None and finding.rule in BY_KEYS and self._keys_are_lost(finding):
            return True
        if finding.rule == "H5":
            return self._explains(self.view.header.used - self.view.full_judged, self.total)
        if finding.rule == "H6" and not self.view.header.small:
            deleted = self.view.deleted_of_tables
            lost = np.maximum(self._lost, 0) + np.maximum(self.view.left_of_tables - self.view.room_of_tables, 0)
            return bool((deleted <= self.of_tables + lost).all())
        table = self._table(finding)
        if table is None or finding.rule not in ("T2", "T3"):
            return False
        faults, lost_here = int(self.of_tables[table]), int(self._lost[table])
        if finding.rule == "T2":
            return self._explains(lost_here, faults)
        missing = int(self.view.room_of_tables[table] - self.view.left_of_tables[table])
        return self._explains(missing, faults) or missing == lost_here != 0

    def _table(self, finding: Finding) -> int | None:
        """The table that a finding is about: places name tables by their first directory entry."""
        place = finding.where
        assert isinstance(place, Where)
        return None if place.table is None else int(self.view.tables.of_entry[place.table])

    def _keys_are_lost(self, finding: Finding) -> bool:
        """Whether K1 says that most keys are wrong, of the map or of the table: then nothing else there is right."""
        if self.proof.seed_wrong:
            return True
        lost, table = self.proof.lost, self._table(finding)
        return bool(lost[table]) if table is not None else finding.rule == "H5" and bool(lost.any())

    @property
    def _lost(self) -> NDArray[np.int64]:
        """(t,) entries that tables count and slots do not have."""
        return np.asarray(self.view.used_of_tables - self.view.full_of_tables)

    @staticmethod
    def _explains(difference: int, faults: int) -> bool:
        return abs(difference) <= faults
