"""Executables with names in their symbol tables that no Go linker writes, and a gdb with a trap for them."""

from __future__ import annotations

import shutil
import stat
import struct
from pathlib import Path

from elftools.elf.elffile import ELFFile

TRAP = """
import os
import gdb

class Run(gdb.Function):
    def invoke(self, command):
        return os.system(command.string())

Run("_run")
"""
"""What $_shell is in gdb 14 and newer, under a name that our bridge does not know of."""


def rename(exe: Path, names: dict[str, str], to: Path) -> Path:
    """Copy an executable and give some of its symbols other names."""
    shutil.copy(exe, to)
    with to.open("r+b") as file:
        elf = ELFFile(file)
        table, strings = elf.get_section_by_name(".symtab"), elf.get_section_by_name(".strtab")
        numbers = {symbol.name: number for number, symbol in enumerate(table.iter_symbols())}
        data = strings.data()
        for old, new in names.items():
            at = table["sh_offset"] + numbers[old] * table["sh_entsize"]
            _write(file, at, struct.pack("<I", len(data)))
            data += new.encode() + b"\0"
        # The longer table of strings goes to the end of the file, where its section is said to be.
        place = file.seek(0, 2)
        file.write(data)
        number = next(n for n, section in enumerate(elf.iter_sections()) if section.name == ".strtab")
        header = elf["e_shoff"] + number * elf["e_shentsize"]
        _write(file, header + 24, struct.pack("<QQ", place, len(data)))
    return to


def _write(file, at: int, data: bytes) -> None:
    file.seek(at)
    file.write(data)


def trapped_gdb(folder: Path) -> Path:
    """A gdb that runs commands when an expression calls $_run."""
    (folder / "trap.py").write_text(TRAP)
    script = folder / "gdb"
    script.write_text(f'#!/bin/sh\nexec {shutil.which("gdb")} -ix {folder / "trap.py"} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script
