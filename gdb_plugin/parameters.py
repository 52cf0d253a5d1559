"""`set gomap pretty-print on|off` and `show gomap`."""

from __future__ import annotations

import gdb

from gdb_plugin import printer


class SetGomap(gdb.Command):
    """Settings of go-map-inspect."""

    def __init__(self) -> None:
        super().__init__("set gomap", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class ShowGomap(gdb.Command):
    """Show the settings of go-map-inspect."""

    def __init__(self) -> None:
        super().__init__("show gomap", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class PrettyPrint(gdb.Parameter):
    """While it is on, `print`, `info locals` and front ends show each entry of a map
    once, whatever its growth, and say when the map is damaged; Go strings are
    shown as text in every language.
    """

    set_doc = "Set whether Go maps are printed with their entries."
    show_doc = "Show whether Go maps are printed with their entries."

    def __init__(self) -> None:
        super().__init__(printer.PARAMETER, gdb.COMMAND_DATA, gdb.PARAM_BOOLEAN)
        self.value = False

    def get_set_string(self) -> str:
        """Do what was set; nothing is said."""
        (printer.turn_on if self.value else printer.turn_off)()
        return ""

    def get_show_string(self, value: str) -> str:
        """Answer `show gomap pretty-print`."""
        return f"Printing of Go maps with their entries is {value}."
