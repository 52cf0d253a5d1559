"""The core that comes with the program, opened once: for tests that need neither Go nor gdb."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.target.target import Target


@dataclass(frozen=True)
class Demo:
    """The opened core of a service that crashed while a map was growing, and the name and type of that map."""

    target: Target
    variable: str
    type_name: str
    address: int = 0xC000094420
