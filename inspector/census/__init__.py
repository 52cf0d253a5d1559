"""Every map of a target: found, proven, named, judged and grouped; and what changed since an earlier census."""

from inspector.census.census import Watcher, take_census
from inspector.census.groups import Group, by_place
from inspector.census.model import Census, CensusMap, Sum, by_type, total

__all__ = ["Census", "CensusMap", "Group", "Sum", "Watcher", "by_place", "by_type", "take_census", "total"]
