"""Why a map does not shrink when its entries go, and what gives the memory back, in words.

What a map keeps is a fact of its family and its release (`Keeping`); the words are the same for one map and for many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inspector.gotypes.words import number_of, size

CloneDoes = Literal["rebuilds", "copies", "missing"]
"""maps.Clone makes a map of the size that the entries need; or copies what there is; or the release has no such."""

WORTH_REPLACING = 1 << 16
"""Bytes that a fresh map would spare, from which on replacing the map is advised."""

NEW_MAP = {
    "rebuilds": "make and a loop, or maps.Clone",
    "copies": "make and a loop; maps.Clone copies its {parts} as they are since Go 1.25",
    "missing": "make and a loop",
}
NEW_EMPTY_MAP = {
    "rebuilds": "make, or maps.Clone",
    "copies": "make; maps.Clone copies its {parts} as they are since Go 1.25",
    "missing": "make",
}


@dataclass(frozen=True)
class Keeping:
    """What delete and clear leave in a map: `parts` names it. `clone` says what maps.Clone does.

    `tombstones` is a sentence on those of this map, empty where there are none.
    """

    parts: str
    clone: CloneDoes
    tombstones: str = ""


@dataclass(frozen=True)
class Shrinking:
    """Why a map, or many, hold more than their entries need, and what to do; `bytes` is what that gives back."""

    why: str
    advice: str
    bytes: int

    @property
    def words(self) -> str:
        """Both, one after the other."""
        return f"{self.why} {self.advice}"


def shrinking_of_map(keeping: Keeping, live: int, held: int, if_rebuilt: int) -> Shrinking | None:
    """What is said of one map with `live` entries and `held` bytes; None where a fresh map would not spare enough."""
    spared = held - if_rebuilt
    if spared < max(WORTH_REPLACING, if_rebuilt):
        return None
    state = f"holds {size(held)} for {number_of(live, 'entry')}" if live else f"is empty but holds {size(held)}"
    why = f"This map {state}: delete and clear keep its {keeping.parts}, and a Go map never shrinks."
    if live:
        advice = f"Copy its entries into a new map ({NEW_MAP[keeping.clone]})"
    else:
        advice = f"Replace it with a new map ({NEW_EMPTY_MAP[keeping.clone]})"
    advice = f"{advice.format(parts=keeping.parts)} to give {size(spared)} back."
    return Shrinking(why, f"{advice} {keeping.tombstones}".rstrip(), spared)


def shrinking_of_maps(keeping: Keeping, wasted: int) -> Shrinking | None:
    """What is said of all maps of a target, of which fresh ones would spare `wasted` bytes; None for too few."""
    if wasted < WORTH_REPLACING:
        return None
    why = f"Go maps never shrink: delete and clear keep their {keeping.parts}."
    new = NEW_MAP[keeping.clone].format(parts=keeping.parts).replace("its", "their")
    return Shrinking(why, f"Copy the entries into new maps ({new}) to give {size(wasted)} back.", wasted)
