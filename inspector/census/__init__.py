"""Every map of a target: found, proven, named and judged; and what changed since an earlier census."""

from inspector.census.census import MAX_STOP, Watcher, take_census
from inspector.census.model import Census, CensusMap, Held, Sum, by_type, total

__all__ = ["MAX_STOP", "Census", "CensusMap", "Held", "Sum", "Watcher", "by_type", "take_census", "total"]
