"""The steps of a write that may leave a rule broken for a moment."""

from __future__ import annotations

from typing import Literal

Step = Literal[
    "runtime.newoverflow",
    "runtime.advanceEvacuationMark",
    "runtime.evacuate",
    "runtime.mapassign",
    "runtime.mapdelete",
    "runtime.hashGrow",
    "runtime.mapclear",
]
"""Functions of the runtime that a stop may interrupt halfway; the fast variants are named like the general ones."""

OF_ONE_CELL: tuple[Step, ...] = ("runtime.evacuate", "runtime.mapassign", "runtime.mapdelete")
"""Steps that write a cell in several stores: tophash, key, element."""

OF_NEW_OVERFLOW: tuple[Step, ...] = ("runtime.newoverflow", "runtime.evacuate")
"""newoverflow, and the step that may be half done while it runs; mapassign has changed nothing yet when it calls it."""
