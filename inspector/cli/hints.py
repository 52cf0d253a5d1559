"""What hints of the rooms below are called on the command line."""

from __future__ import annotations

from inspector.cli.saying import PROGRAM
from inspector.errors import Spelling

OPTIONS = Spelling(
    type="--type",
    exe="--exe",
    gdb="--gdb",
    direct="--memory direct",
    gdb_mi="--memory gdb-mi",
    no_stop="--no-stop",
    max_stop="--max-stop",
    max_memory="--max-memory",
    key="--key",
    remote="--remote",
    save=f"{PROGRAM} TARGET --json > FILE",
    force="--force",
    zstd="--zstd",
    max_unpacked="--max-unpacked",
)
