"""Where bytes come from: a process, a core, gdb, or a frozen copy, all behind one Memory protocol."""

from inspector.memory.frozen import FrozenMemory
from inspector.memory.protocol import Memory, Region, RegionMap

__all__ = ["FrozenMemory", "Memory", "Region", "RegionMap"]
