"""Threads that stand still, and what is in their registers."""

from __future__ import annotations

from dataclasses import dataclass

from construct import Container

from inspector.memory.prstatus import GENERAL


@dataclass(frozen=True)
class Thread:
    """One thread: its id, where it is (pc, sp), its thread-local storage, and what its general registers hold."""

    id: int
    pc: int
    sp: int
    fs_base: int
    general: dict[str, int]

    @staticmethod
    def of(id: int, regs: Container | dict[str, int]) -> Thread:
        """Take registers over by their names in struct user_regs_struct."""
        return Thread(id, regs["rip"], regs["rsp"], regs["fs_base"], {name: regs[name] for name in GENERAL})
