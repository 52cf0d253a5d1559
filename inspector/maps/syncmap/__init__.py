"""sync.Map: a hash trie since Go 1.24, two maps before. It is no family of maps, but it is read like a map.

Satisfies inspector.maps.family.Reader.
"""

from inspector.maps.syncmap.account import nothing
from inspector.maps.syncmap.cells import cells
from inspector.maps.syncmap.header import HEADER, NAME, read_header
from inspector.maps.syncmap.lookup import look_up
from inspector.maps.syncmap.places import whole
from inspector.maps.syncmap.snapshot import take_snapshot

__all__ = ["HEADER", "NAME", "cells", "look_up", "nothing", "read_header", "take_snapshot", "whole"]
