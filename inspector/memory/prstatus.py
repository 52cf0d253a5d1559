"""A thread's registers: struct user_regs_struct, and the NT_PRSTATUS note of a core that holds one (sys/procfs.h)."""

from __future__ import annotations

from construct import Bytes, Struct

from inspector.goruntime import scalars as c

GENERAL = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi")
"""Registers that may hold any value, in the kernel's order."""

user_regs = Struct(
    *(name / c.uint64 for name in GENERAL),
    "orig_rax" / c.uint64,
    "rip" / c.uint64,
    "cs" / c.uint64,
    "eflags" / c.uint64,
    "rsp" / c.uint64,
    "ss" / c.uint64,
    "fs_base" / c.uint64,
    "gs_base" / c.uint64,
    *(name / c.uint64 for name in ("ds", "es", "fs", "gs")),
)
"""struct user_regs_struct of linux/amd64: 216 bytes."""

TIMES = 4 * 16

prstatus = Struct(
    "siginfo" / Bytes(12),
    "cursig" / c.uint16,
    "pad" / c.uint16,
    "sigpend" / c.uint64,
    "sighold" / c.uint64,
    "pid" / c.int32,
    "ppid" / c.int32,
    "pgrp" / c.int32,
    "sid" / c.int32,
    "times" / Bytes(TIMES),
    "regs" / user_regs,
)
"""struct elf_prstatus up to the registers: 328 bytes; pid is the thread's id."""
