"""Turns off the convenience functions of gdb that run commands: this file is sourced by gdb, not imported by us.

Our expressions do not call them. If an expression should ever contain words of a target, it still cannot run anything.
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
