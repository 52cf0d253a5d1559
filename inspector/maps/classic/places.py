"""Where in a classic map something is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inspector.maps.liverows import PlacePart
from inspector.maps.slots import Numbers
from inspector.memory.protocol import Addresses

Array = Literal["new", "old"]


@dataclass(frozen=True)
class Where:
    """A place in a map: the array, bucket number, place in the chain (0 is the array's own), cell, address."""

    array: Array | None = None
    bucket: int | None = None
    overflow: int | None = None
    cell: int | None = None
    address: int | None = None

    def words(self) -> str:
        """See Place.words."""
        parts = [f"{self.array} array"] if self.array else []
        parts += [f"bucket {self.bucket}"] if self.bucket is not None else []
        parts += [f"overflow {self.overflow}"] if self.overflow else []
        parts += [f"cell {self.cell}"] if self.cell is not None else []
        parts += [f"at {self.address:#x}"] if self.address is not None else []
        return ", ".join(parts) or "header"

    def columns(self) -> dict[str, str]:
        """See Place.columns."""
        bucket = f"{self.bucket}+{self.overflow}" if self.overflow else str(self.bucket)
        return {"array": str(self.array), "bucket": bucket, "cell": str(self.cell)}

    def form(self) -> dict[str, Any]:
        """See Place.form."""
        return {"array": self.array, "bucket": self.bucket, "overflow": self.overflow, "cell": self.cell}


@dataclass(frozen=True, eq=False)
class Wheres:
    """Places of k cells of one array (see Places): (k,) buckets, places in chains, cells, addresses."""

    array: Array
    buckets: Numbers
    overflow: Numbers
    cells: Numbers
    addresses: Addresses

    def form(self) -> dict[str, PlacePart]:
        """See Places.form."""
        return {"array": self.array, "bucket": self.buckets, "overflow": self.overflow, "cell": self.cells}

    def columns(self) -> dict[str, list[str]]:
        """See Places.columns."""
        buckets = list(map(str, self.buckets.tolist()))
        for at in np.flatnonzero(self.overflow).tolist():
            buckets[at] += f"+{self.overflow[at]}"
        return {"array": [self.array] * len(buckets), "bucket": buckets, "cell": list(map(str, self.cells.tolist()))}


@dataclass(frozen=True)
class Bucket:
    """A bucket that a lookup visits: its array, its number, its place in the chain, its address."""

    array: Array
    number: int
    overflow: int
    address: int

    def words(self) -> str:
        """See Place.words."""
        overflow = f" overflow {self.overflow}" if self.overflow else ""
        return f"{self.array} bucket {self.number}{overflow} at {self.address:#x}"

    def columns(self) -> dict[str, str]:
        """See Place.columns."""
        return {"array": self.array, "bucket": f"{self.number}+{self.overflow}" if self.overflow else str(self.number)}

    def form(self) -> dict[str, Any]:
        """See Place.form."""
        return {"array": self.array, "bucket": self.number, "overflow": self.overflow}


def whole(address: int) -> Where:
    """See Reader.whole."""
    return Where(address=address)
