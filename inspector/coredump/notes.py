"""The notes of a core: what the kernel knows of a process beside its memory (fs/binfmt_elf.c)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inspector.control.ptrace import RegisterSets
from inspector.copying.mappings import Mapping
from inspector.copying.pages import PAGE
from inspector.coredump import structures as schema
from inspector.memory import elfnotes
from inspector.memory.prstatus import TIMES, prstatus, user_regs

CORE, LINUX = b"CORE\0", b"LINUX\0"
"""Owners of notes."""

STATES = "RSDTZW"
"""State letters in the order of the kernel's numbers for them."""


@dataclass(frozen=True)
class Identity:
    """What a process is called and whose it is, by /proc/PID; what could not be read is empty or zero."""

    pid: int
    ppid: int = 0
    pgrp: int = 0
    sid: int = 0
    uid: int = 0
    gid: int = 0
    nice: int = 0
    flags: int = 0
    state: str = "R"
    name: bytes = b""
    arguments: bytes = b""
    auxv: bytes = b""


def identify(pid: int) -> Identity:
    """Look a process up in /proc."""
    folder = Path(f"/proc/{pid}")
    with suppress(OSError, ValueError, IndexError):
        # The name in parentheses may have anything in it.
        head, _, tail = (folder / "stat").read_bytes().rpartition(b")")
        fields = tail.split()
        owner = folder.stat()
        return Identity(
            pid,
            ppid=int(fields[1]),
            pgrp=int(fields[2]),
            sid=int(fields[3]),
            uid=owner.st_uid,
            gid=owner.st_gid,
            nice=int(fields[16]),
            flags=int(fields[6]),
            state=fields[0].decode(),
            name=head.partition(b"(")[2],
            arguments=(folder / "cmdline").read_bytes().replace(b"\0", b" ").strip(),
            auxv=(folder / "auxv").read_bytes(),
        )
    return Identity(pid)


def notes(identity: Identity, threads: list[RegisterSets], mappings: list[Mapping]) -> bytes:
    """All notes, in the order in which the kernel writes them: of the first thread, the process, the other threads."""
    parts: list[bytes] = []
    for number, thread in enumerate(threads):
        parts += _of_thread(thread, identity, number == 0, mappings)
    return b"".join(parts)


def _of_thread(thread: RegisterSets, identity: Identity, first: bool, mappings: list[Mapping]) -> Iterator[bytes]:
    yield _note(CORE, elfnotes.NT_PRSTATUS, _prstatus(thread, identity))
    if first:
        yield _note(CORE, elfnotes.NT_PRPSINFO, _prpsinfo(identity))
        yield _note(CORE, elfnotes.NT_AUXV, identity.auxv)
        yield _note(CORE, elfnotes.NT_FILE, _files(mappings))
    if thread.floating:
        yield _note(CORE, elfnotes.NT_FPREGSET, thread.floating)
    if thread.extended:
        yield _note(LINUX, schema.NT_X86_XSTATE, thread.extended)


def _note(owner: bytes, kind: int, description: bytes) -> bytes:
    head: bytes = elfnotes.note_header.build({"n_namesz": len(owner), "n_descsz": len(description), "n_type": kind})
    return head + _padded(owner) + _padded(description)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _prstatus(thread: RegisterSets, identity: Identity) -> bytes:
    status: bytes = prstatus.build(
        {
            # No signal: the process did not end.
            "siginfo": bytes(12), "cursig": 0, "pad": 0, "sigpend": 0, "sighold": 0,
            "pid": thread.id, "ppid": identity.ppid, "pgrp": identity.pgrp, "sid": identity.sid,
            "times": bytes(TIMES), "regs": user_regs.parse(thread.general),
        }
    )  # fmt: skip
    end: bytes = schema.prstatus_end.build({"pr_fpvalid": bool(thread.floating)})
    return status + end


def _prpsinfo(identity: Identity) -> bytes:
    built: bytes = elfnotes.prpsinfo.build(
        {
            "pr_state": max(0, STATES.find(identity.state)), "pr_sname": identity.state.encode()[:1],
            "pr_zomb": 0, "pr_nice": identity.nice & 0xFF, "pr_flag": identity.flags,
            "pr_uid": identity.uid, "pr_gid": identity.gid, "pr_pid": identity.pid, "pr_ppid": identity.ppid,
            "pr_pgrp": identity.pgrp, "pr_sid": identity.sid,
            "pr_fname": identity.name[:15].ljust(16, b"\0"), "pr_psargs": identity.arguments[:79].ljust(80, b"\0"),
        }
    )  # fmt: skip
    return built


def _files(mappings: list[Mapping]) -> bytes:
    files = [mapping for mapping in mappings if mapping.of_file]
    return b"".join(
        (
            elfnotes.file_count.build({"count": len(files), "page_size": PAGE}),
            *(
                elfnotes.file_entry.build({"start": each.start, "end": each.end, "page_offset": each.offset // PAGE})
                for each in files
            ),
            *(os.fsencode(each.path) + b"\0" for each in files),
        )
    )
