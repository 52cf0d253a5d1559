"""runtime.g, runtime.m and runtime.gobuf: a goroutine, the thread that runs it, and where it left its stack."""

from __future__ import annotations

from functools import cache

from construct import Bytes, Construct, Struct

from inspector.goruntime import scalars as go
from inspector.goruntime.releases import Release

G_BEFORE_TLS = 8
"""Bytes before the thread's FS base at which Go on linux/amd64 keeps the running g (cmd/link, runtime.tlsg)."""

SMALLEST_STACK = 2048
"""Bytes that a goroutine's stack has at least (stackMin in runtime/stack.go)."""

SIGSET_SIZE = 8
TLS_SLOTS = 6

SCANNED = 0x1000
"""The bit of atomicstatus that is set while a stack is scanned (_Gscan)."""

PARKED = (1, 4, 8, 9)
"""States in which gobuf says where a goroutine is: _Grunnable, _Gwaiting, _Gcopystack, _Gpreempted."""

DEAD = (6, 11)
"""States without a stack in use: _Gdead, and _Gdeadextra (since 1.26)."""


@cache
def _gobuf(has_ret: bool) -> Construct:
    return Struct(
        "sp" / go.uintptr,
        "pc" / go.uintptr,
        "g" / go.pointer,
        "ctxt" / go.pointer,
        # The result of a system call that was made by the runtime; dropped in 1.25.
        *(["ret" / go.uintptr] if has_ret else []),
        "lr" / go.uintptr,
        "bp" / go.uintptr,
    )


@cache
def _g(has_ret: bool, has_syscallbp: bool) -> Construct:
    return Struct(
        "stack" / Struct("lo" / go.uintptr, "hi" / go.uintptr),
        "stackguard0" / go.uintptr,
        "stackguard1" / go.uintptr,
        "_panic" / go.pointer,
        "_defer" / go.pointer,
        "m" / go.pointer,
        "sched" / _gobuf(has_ret),
        "syscallsp" / go.uintptr,
        "syscallpc" / go.uintptr,
        *(["syscallbp" / go.uintptr] if has_syscallbp else []),
        "stktopsp" / go.uintptr,
        "param" / go.pointer,
        "atomicstatus" / go.uint32,
        "stackLock" / go.uint32,
        "goid" / go.uint64,
    )


@cache
def _m(has_ret: bool) -> Construct:
    return Struct(
        "g0" / go.pointer,
        "morebuf" / _gobuf(has_ret),
        "divmod" / go.uint32,
        "pad" / go.uint32,
        "procid" / go.uint64,
        "gsignal" / go.pointer,
        # A stack of [lo, hi), its guards, and how large it is.
        "goSigStack" / Struct("stack" / go.uint64[2], "guards" / go.uint64[2], "stktopsp" / go.uintptr),
        "sigmask" / Bytes(SIGSET_SIZE),
        "tls" / go.uintptr[TLS_SLOTS],
        "mstartfn" / go.pointer,
        "curg" / go.pointer,
    )


def g(release: Release) -> Construct:
    """runtime.g of a release up to goid (runtime/runtime2.go)."""
    return _g(not release.at_least(1, 25), release.at_least(1, 23))


def m(release: Release) -> Construct:
    """runtime.m of a release up to curg (runtime/runtime2.go)."""
    return _m(not release.at_least(1, 25))
