"""One key looked up as the runtime does it, reading only what the runtime would read."""

from __future__ import annotations

from inspector.gotypes.gotype import GoType
from inspector.gotypes.literal import Literal
from inspector.maps.family import Lookup, Source


def look_up(source: Source, address: int, go_type: GoType, key: Literal) -> Lookup:
    """See Family.look_up."""
    raise NotImplementedError
