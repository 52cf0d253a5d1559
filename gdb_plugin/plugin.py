"""Everything that gdb gets to know of us, registered in one place."""

from __future__ import annotations

from functools import cache

import gdb

from gdb_plugin.commands import InfoGomap, InfoGomaps
from gdb_plugin.functions import GomapGet, GomapLen
from gdb_plugin.parameters import PrettyPrint, SetGomap, ShowGomap
from gdb_plugin.printer import keep_on


@cache
def install() -> None:
    """Register commands, functions and parameters; once, however often the script is sourced."""
    InfoGomap()
    InfoGomaps()
    GomapLen()
    GomapGet()
    SetGomap()
    ShowGomap()
    PrettyPrint()
    gdb.events.new_objfile.connect(keep_on)
