"""Turns off the convenience functions of gdb that run commands: this file is sourced by gdb, not imported by us.

No expression of ours calls them. Should one ever be made of what a target says, it still cannot run anything.
"""

import gdb

RUN_COMMANDS = ("_shell",)
"""$_shell came with gdb 14."""


class Off(gdb.Function):  # type: ignore[misc]  # gdb comes without types
    """Takes the place of a function."""

    def invoke(self, *_: object) -> None:
        """Refuse."""
        raise gdb.GdbError("go-map-inspect does not let gdb run commands")


for name in RUN_COMMANDS:
    Off(name)
