"""Which process a census is of: a pid and a path do not say it, as every container has a process 1."""

from __future__ import annotations

import hashlib

from inspector.hashing.keys import HashKeys
from inspector.memory import procfs
from inspector.target.run import Run

DIGITS = 32


def process_identity(run: Run) -> str | None:
    """A name for the process that no other has, in its core too; None where no such name is known.

    The runtime's hash keys are random for each process. Where they are not found, a running process is known by when it
    began. What is returned is a hash, so that nothing of the keys is given away.
    """
    known = _keys(run.hash_keys) if run.hash_keys else _beginning(run.target.local_pid)
    return hashlib.sha256(known).hexdigest()[:DIGITS] if known else None


def _keys(keys: HashKeys) -> bytes:
    return repr(("hash keys", keys.schedule, keys.hashkey)).encode()


def _beginning(pid: int | None) -> bytes | None:
    began = procfs.beginning(pid) if pid is not None else None
    return repr(("beginning", pid, *began)).encode() if began else None
