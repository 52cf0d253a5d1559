"""Compressed cores: the same answers as from plain ones, and nothing left behind."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import Core
from inspector.errors import BadCore
from inspector.memory.packed import PAGE, unpack
from tests.support.commandline import assert_refused, cli, cli_here, each_here, start_cli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WORDS = "main.words"
TYPE = ("--type", "map[string]int")
TOOLS = {"zst": "zstd", "lz4": "lz4", "xz": "xz", "gz": "gzip", "bz2": "bzip2"}
LIBRARIES = {"zst": zstd.compress, "lz4": lz4.frame.compress}
"""Tools that are not installed everywhere, and what takes their place there."""

EVERY_KIND = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "zst" else pytest.mark.slow) for kind in TOOLS]
)
SMALLEST_FILE_LIMIT = 100_000
PATIENCE = 30.0


def pack(data: bytes, kind: str) -> bytes:
    """Compress data with the real tool."""
    if shutil.which(TOOLS[kind]) is None and kind in LIBRARIES:
        return LIBRARIES[kind](data)
    return subprocess.run([TOOLS[kind], "-c"], input=data, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def core(crash) -> Core:
    return crash("plain")


class Packed(dict[str, Path]):
    """A core in every kind of archive, packed when it is first asked for, under a name that tells nothing."""

    def __init__(self, core: Core, folder: Path) -> None:
        super().__init__()
        self.core, self.folder = core, folder

    def __missing__(self, kind: str) -> Path:
        path = self[kind] = self.folder / f"dump-{kind}"
        path.write_bytes(pack(self.core.path.read_bytes(), kind))
        return path


@pytest.fixture(scope="module")
def packed(core, tmp_path_factory) -> Packed:
    return Packed(core, tmp_path_factory.mktemp("packed"))


def told(text: str) -> Any:
    """A document without what was measured."""
    document = json.loads(text)
    del document["timing"]
    return document


@EVERY_KIND
def test_a_compressed_core_is_answered_like_the_plain_one(core, packed, kind):
    address = core.truth["maps"][0]["address"]
    for words in ([WORDS, "--memory", "gdb-mi"], [address, *TYPE, "--memory", "direct"]):
        expected, answer = each_here([path, *words, "--json"] for path in (core.path, packed[kind]))
        assert (answer.code, answer.err) == (0, "")
        assert told(answer.out) == told(expected.out)


@EVERY_KIND
def test_what_was_unpacked_of_an_archive_that_is_cut_short_is_used_like_a_core_cut_there(core, packed, kind, tmp_path):
    whole, cut, plain = packed[kind].read_bytes(), tmp_path / "cut", tmp_path / "plain"
    codes = set()
    # bzip2's blocks are so large that all of this core is in the last ones.
    for size in [len(whole) - 3] + [len(whole) * 9 // 10] * (kind != "bz2"):
        cut.write_bytes(whole[:size])
        with cut.open("rb") as archive:
            unpacked = unpack(archive, "core")
        with unpacked.file as file:
            file.seek(0)
            plain.write_bytes(file.read())
        assert re.search(r"cut short: \d+(,\d{3})+ bytes could be unpacked", unpacked.note)
        answer, expected = each_here([path, WORDS, *TYPE, "--exe", core.exe, "--json"] for path in (cut, plain))
        codes.add(answer.code)
        assert answer.code == expected.code
        assert answer.code == 3 or f"{cut} is a {kind} archive that is cut short" in answer.err
        assert answer.code == 0 or answer.err.replace(str(cut), str(plain)) == expected.err
    assert 0 in codes
    cut.write_bytes(whole[:7])
    assert_refused(cli_here(cut, WORDS), f"{kind} archive, but nothing in it can be unpacked")


@EVERY_KIND
def test_damaged_archives_are_refused(packed, kind, tmp_path):
    damaged = bytearray(packed[kind].read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 200] = random.Random(kind).randbytes(200)
    (tmp_path / "damaged").write_bytes(damaged)
    assert_refused(cli_here(tmp_path / "damaged", WORDS), f"damaged {kind} archive", "copied whole")


def test_archives_of_something_else_and_unknown_ones_are_refused(tmp_path):
    (tmp_path / "text").write_bytes(pack(b"hello" * 1000, "zst"))
    assert_refused(cli_here(tmp_path / "text", WORDS), "the unpacked file is not an ELF file")
    (tmp_path / "zip").write_bytes(b"PK\3\4" + bytes(100))
    assert_refused(cli_here(tmp_path / "zip", WORDS), "not an ELF file", ".zst")


@pytest.mark.slow
def test_where_there_is_no_room_to_unpack_that_is_said(packed):
    limit = ["prlimit", f"--fsize={SMALLEST_FILE_LIMIT}"]
    assert_refused(cli(packed["zst"], WORDS, before=limit), "cannot unpack", "File too large", "ulimit -f")
    assert_refused(cli("demo", before=limit), "cannot unpack the demo's executable", "File too large", "ulimit -f")


@pytest.mark.slow
def test_nothing_is_left_in_the_temporary_folder_however_it_ends(packed, tmp_path):
    in_folder = ["env", f"TMPDIR={tmp_path}"]
    assert cli(packed["gz"], WORDS, before=in_folder).code == 0
    assert list(tmp_path.iterdir()) == []
    killed = start_cli(packed["xz"], WORDS, before=in_folder)
    wait_until_open(killed.pid, tmp_path)
    assert list(tmp_path.iterdir()) == []
    killed.kill()
    killed.communicate()
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_folder_never_has_an_entry_that_a_kill_could_leave(packed, tmp_path):
    untouched = tmp_path.stat().st_mtime_ns
    assert cli(packed["gz"], WORDS, before=["env", f"TMPDIR={tmp_path}"]).code == 0
    assert tmp_path.stat().st_mtime_ns == untouched


def wait_until_open(pid: int, folder: Path) -> None:
    """Wait until a process has a file open that is or was in a folder."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        except FileNotFoundError:
            continue  # a descriptor was closed meanwhile
        if any(link.startswith(str(folder)) for link in links):
            return
    raise AssertionError("nothing was unpacked")


def test_zeros_take_no_room(core, packed):
    with packed["zst"].open("rb") as archive:
        unpacked = unpack(archive, "core")
    with unpacked.file as file:
        status = os.fstat(file.fileno())
        file.seek(0)
        assert file.read() == core.path.read_bytes()
    pages = range(0, status.st_size, PAGE)
    whole = core.path.read_bytes()
    used = sum(any(whole[at : at + PAGE]) for at in pages)
    assert status.st_blocks * 512 <= 2 * used * PAGE < status.st_size


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3 * PAGE)), min_size=1, max_size=40), st.sampled_from([*TOOLS]))
def test_any_mix_of_zeros_and_bytes_is_unpacked_as_it_was(runs, kind):
    data = b"".join(bytes(length) if zero else random.Random(length).randbytes(length) for zero, length in runs)
    with unpack(io.BytesIO(pack(data, kind)), "data").file as file:
        file.seek(0)
        assert file.read() == data


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*TOOLS]), st.randoms(use_true_random=False))
def test_archives_with_any_damage_are_unpacked_or_refused(kind, chance):
    archive = ARCHIVES.setdefault(kind, pack(random.Random(0).randbytes(20_000) + bytes(200_000), kind))
    damaged = bytearray(archive[: chance.randrange(9, len(archive))])
    for _ in range(chance.randrange(4)):
        damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
    try:
        unpacked = unpack(io.BytesIO(damaged), "data")
    except BadCore:
        return
    assert unpacked is not None
    unpacked.file.close()


ARCHIVES: dict[str, bytes] = {}
