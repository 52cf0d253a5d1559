"""Every map of a target: found, proven, named and judged; and what changed since an earlier census."""

from inspector.census.census import Watcher, take_census
from inspector.census.model import Census, CensusMap, Sum, by_type, total

__all__ = ["Census", "CensusMap", "Sum", "Watcher", "by_type", "take_census", "total"]
