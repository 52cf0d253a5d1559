"""Memory that need not be copied, because it lies in a buffer of ours."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from inspector.memory.frozen import Block
from inspector.memory.protocol import Addresses


@runtime_checkable
class Lending(Protocol):
    """Memory that says where ranges lie in its buffers, as a core that is mapped does."""

    def lend(self, addresses: Addresses, size: int) -> tuple[list[Block], NDArray[np.bool_]]:
        """Blocks with ranges of `size` bytes from ascending addresses, and which of the ranges (n,) are in them.

        Of two ranges that follow each other, but not in a buffer, only the second is: so whatever lies across the
        border of ranges that are there is there as a whole.
        """
        ...
