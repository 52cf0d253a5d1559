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


TEXTS = {
    "escapes": b"\x1b[31mred\x1b[0m\x1b]0;title\x07\x08\x7f",
    "link": b"\x1b]8;;http://evil.example/\x1b\\link\x1b]8;;\x1b\\",
    "bidi": "\u202eabc\u202c\u2066d\u2069\u200f\ufeff".encode(),
    "lines": "one\ntwo\r\x0b\x0c\x85\u2028\u2029\ttab".encode(),
    "bytes": b"\xff\xfe\xc3\xed\xa0\x80\xc2\x9b31m\x9b",
    "markup": b"[bold red]x[/] [link=file:///x]y[/link] :bomb:",
    "nul": b'nul\0and"quote\\',
}
"""Texts that some reader of our output obeys, as the fixture `hostile` has them in its keys and elements."""

NAMED = [name for name in TEXTS if name != "nul"]
"""Those that can be a name of a symbol or a file."""

LETTERS = 48
"""What each name in the fixture that is to be overwritten is long."""


def named(text: bytes) -> bytes:
    """What a name that is overwritten with a text becomes."""
    return text.ljust(LETTERS, b"x")


def overwritten(exe: Path, to: Path) -> Path:
    """Copy the fixture `hostile` and give its types, fields, variables and functions the texts as names, everywhere."""
    data = exe.read_bytes()
    for number, text in enumerate(TEXTS[name] for name in NAMED):
        for kind in ("Type", "Field", "Variable", "function"):
            placeholder = f"{kind}OfText{number}_".ljust(LETTERS, "x").encode()
            assert placeholder in data
            data = data.replace(placeholder, named(text))
    to.write_bytes(data)
    to.chmod(exe.stat().st_mode)
    return to


def file_name() -> bytes:
    """All of them as the name of one file."""
    return b"_".join(TEXTS[name] for name in NAMED).replace(b"/", b"|")
