"""Files that are made to mislead: each is refused in one line or answered truly, soon and with little memory.

What has its tests elsewhere:

| file | where |
| --- | --- |
| a Go library in a process that is not Go | tests/target/test_library.py |
| an executable without build info, a published one too | tests/image/test_buildinfo.py |
| cores and archives that are cut short or damaged | tests/cli/test_bad_input.py, tests/memory/test_packed.py |
| names of files with quotes, commands and line breaks for gdb | tests/safety/test_hostile_targets.py |
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from fixtures import SWISS_RELEASES, USUAL, BuildFailed, Core, build, start
from inspector.image.buildinfo import MAGIC
from tests.memory.test_packed import EVERY_KIND, pack
from tests.support.commandline import Answer, assert_refused, assert_running, cli, cli_here, each_here
from tests.support.hostilefiles import (
    Header,
    marked_by_upx,
    moved,
    with_many_sections,
    with_many_segments,
    with_more_segments,
    with_segments,
    without_sections,
)

WORDS = "main.words"
LITTLE_MEMORY = ("prlimit", f"--data={1 << 30}")
"""Of our own: what is mapped of files does not count."""
IMPOSSIBLE = "of its segments lie within others or where no memory can be"
RELEASES = [
    pytest.param(SWISS_RELEASES[-1], id="swiss"),
    pytest.param(USUAL, id="classic", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def core(crash) -> Core:
    return crash("plain")


def assert_no_confusion(answers: Sequence[Answer]) -> None:
    """None of them is an internal error, and none calls a map consistent or inconsistent."""
    for answer in answers:
        assert answer.code in (2, 3), answer
        assert "internal error" not in answer.err, answer
        assert "Traceback" not in answer.err, answer


def lying(field: str, value: int) -> Callable[[int, Header], Header]:
    """Gives all program headers the same value in a field."""
    return lambda _, header: replace(header, **{field: value})


# Cores


@pytest.mark.parametrize(
    "field",
    ["offset", pytest.param("file_size", marks=pytest.mark.slow), pytest.param("address", marks=pytest.mark.slow)],
)
def test_segments_that_lie_about_their_size_or_place_are_not_believed(core, tmp_path, field):
    paths = []
    for number, value in enumerate([1 << 62, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 4096]):
        paths.append(with_segments(core.path, tmp_path / f"{number}", lying(field, value)))
    assert_no_confusion(each_here([[path, *more] for path in paths for more in ([], [WORDS])]))


def test_more_segments_than_the_header_can_count_are_all_read(core, tmp_path):
    answer = cli_here(with_many_segments(core.path, tmp_path / "core"), WORDS, "--json")
    assert (answer.code, answer.err, answer.document["map"]["count"]) == (0, "", 3)


def test_four_billion_segments_are_refused_before_the_first_is_read(core, tmp_path):
    path = with_many_segments(core.path, tmp_path / "core", (1 << 32) - 1)
    assert_refused(cli_here(path, WORDS), "its headers cannot be read")


def test_segments_that_overlap_are_told_and_the_answer_is_called_incomplete(core, tmp_path):
    heap = int(core.truth["maps"][0]["address"], 16) >> 22 << 22
    inside = Header(1, 6, 4096, heap + 4096, 8192, 8192)
    path = with_more_segments(core.path, tmp_path / "core", [inside])
    named, listed = each_here([[path, WORDS, "--json"], [path, "--json"]])
    for answer in (named, listed):
        assert any(f"8,192 bytes {IMPOSSIBLE}" in note for note in answer.notes), answer.err
    assert (named.code, named.document["map"]["count"]) == (0, 3)
    assert listed.code == 3


def test_segments_that_all_lie_at_one_address_are_no_program(core, tmp_path):
    path = with_segments(core.path, tmp_path / "core", lambda _, header: moved(header, 0x400000))
    assert_no_confusion(each_here([[path], [path, WORDS]]))


def test_petabytes_of_segments_that_share_a_hole_of_the_file_cost_no_memory(core, tmp_path):
    size = 1 << 40
    aliases = [Header(1, 6, 0, 0x2000_0000_0000 + number * size, size, size) for number in range(64)]
    path = with_more_segments(core.path, tmp_path / "core", aliases, size)
    for more, code in (([WORDS], 0), (["--top", "1"], 3)):
        answer = cli(path, *more, "--json", before=LITTLE_MEMORY)
        assert answer.code == code
        assert any(IMPOSSIBLE in note for note in answer.notes), answer.err


def test_thousands_of_segments_of_empty_notes_in_one_hole_of_the_file_are_not_all_read(core, tmp_path):
    size = 1 << 30
    notes = [Header(4, 4, size // 4, 0, size // 2, 0) for _ in range(10_000)]
    path = with_more_segments(core.path, tmp_path / "core", notes, size)
    answer = cli_here(path, WORDS, "--json")
    assert (answer.code, answer.err, answer.document["map"]["count"]) == (0, "", 3)


@pytest.mark.slow
def test_sixty_thousand_segments_are_read_at_once(core, tmp_path):
    aliases = [Header(1, 6, 4096, 0x2000_0000_0000 + number * 8192, 4096, 4096) for number in range(60_000)]
    path = with_more_segments(core.path, tmp_path / "core", aliases)
    answer = cli(path, WORDS, "--json", before=LITTLE_MEMORY)
    assert (answer.code, answer.document["map"]["count"]) == (0, 3)
    # The first of them may be the only one that has these bytes.
    assert any(
        f"{60_000 * 4096:,} bytes {IMPOSSIBLE}" in note or f"{59_999 * 4096:,} bytes {IMPOSSIBLE}" in note
        for note in answer.notes
    )


def test_pipes_devices_folders_and_links_to_themselves_are_refused_wherever_a_file_is_named(core, tmp_path):
    fifo, loop, link = tmp_path / "fifo", tmp_path / "loop", tmp_path / "link"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    link.symlink_to(core.path)
    cases = {
        fifo: "not a regular file",
        "/dev/zero": "not a regular file",
        "/dev/full": "not a regular file",
        tmp_path: "it is a directory",
        loop: "symbolic links",
    }
    for path, reason in cases.items():
        target, exe, other = each_here([[path, WORDS], [core.path, WORDS, "--exe", path], [core.path, "--diff", path]])
        for answer in (target, exe, other):
            assert_refused(answer, str(path), reason)
    assert cli_here(link, WORDS).code == 0


# Archives


@EVERY_KIND
def test_an_archive_that_expands_without_end_is_refused_with_the_option_that_allows_it(core, tmp_path, kind):
    bomb, beginning = tmp_path / "bomb", core.path.read_bytes()[:4096]
    bomb.write_bytes(pack(beginning + bytes(64 << 20), kind))
    assert bomb.stat().st_size < 1 << 20
    refused = cli(bomb, WORDS, "--max-unpacked", "16m", before=LITTLE_MEMORY)
    assert_refused(refused, str(bomb), "unpacks to more than 16,777,216 bytes", "--max-unpacked")
    assert_refused(cli_here(bomb, WORDS, "--max-unpacked", "65m"), "is not the executable of the core")


def test_an_archive_of_something_else_is_not_unpacked_to_its_end(tmp_path):
    bomb = tmp_path / "bomb"
    bomb.write_bytes(pack(bytes(64 << 20), "zst"))
    assert_refused(cli_here(bomb, WORDS, "--max-unpacked", "16m"), "the unpacked file is not an ELF file")


def test_a_core_that_is_larger_than_allowed_is_refused_and_one_that_is_not_is_read(core, tmp_path):
    packed, size = tmp_path / "core.zst", core.path.stat().st_size
    packed.write_bytes(pack(core.path.read_bytes(), "zst"))
    assert cli_here(packed, WORDS, "--max-unpacked", size).code == 0
    assert_refused(cli_here(packed, WORDS, "--max-unpacked", size - 1), "unpacks to more than", "--max-unpacked")
    assert_refused(cli_here("1", WORDS, "--max-unpacked", "1g"), "--max-unpacked is for core dumps")


# Executables


@pytest.mark.parametrize("toolchain", RELEASES)
@pytest.mark.parametrize(
    "flags", [[], pytest.param(["-buildmode=pie"], marks=pytest.mark.slow)], ids=lambda flags: " ".join(flags) or "exe"
)
def test_an_executable_without_section_headers_is_inspected_by_address(toolchain, flags, tmp_path):
    exe = without_sections(build("plain", toolchain, extra_flags=flags), tmp_path / "service")
    with start(exe) as running:
        address = running.map("words")["address"]
        answer = cli_here(running.pid, address, "--json")
        assert (answer.code, answer.document["map"]["type"], answer.document["map"]["count"]) == (
            0,
            "map[string]int",
            3,
        )
        listed = cli_here(running.pid, "--json")
        assert address in {each["address"] for each in listed.document["census"]["maps"]}
        assert_refused(cli_here(running.pid, WORDS), "is stripped", "--exe")
        assert_running(running)


def test_an_executable_that_upx_has_packed_is_said_to_be_packed(tmp_path):
    packed = marked_by_upx(without_sections(build("plain"), tmp_path / "plain"), tmp_path / "packed")
    # Of the program that it was nothing can be found in the file.
    packed.write_bytes(packed.read_bytes().replace(MAGIC, bytes(len(MAGIC))))
    with start(packed) as running:
        assert_refused(cli_here(running.pid, WORDS), str(packed), "packed with UPX", "upx -d")
        assert_running(running)


@pytest.mark.parametrize(
    ("machine", "named"),
    [
        ("s390x", "64-bit big-endian IBM S/390"),
        pytest.param("arm64", "64-bit AArch64", marks=pytest.mark.slow),
        pytest.param("386", "32-bit x86", marks=pytest.mark.slow),
        pytest.param("mips64", "64-bit big-endian MIPS", marks=pytest.mark.slow),
    ],
)
def test_executables_and_cores_of_other_machines_are_named(machine, named, core, tmp_path):
    exe = build("plain", SWISS_RELEASES[-1], env={"GOARCH": machine})
    assert_refused(cli_here(core.path, WORDS, "--exe", exe), named, "only linux/amd64 is supported")
    dead = tmp_path / "core"
    data = bytearray(exe.read_bytes())
    # e_type: ET_CORE, in the byte order of the file.
    data[16:18] = b"\0\4" if data[5] == 2 else b"\4\0"
    dead.write_bytes(data)
    assert_refused(cli_here(dead, WORDS), f"core of a {named} process", "GOARCH=amd64")


def test_millions_of_sections_are_refused_before_the_first_is_read(core, tmp_path):
    exe = with_many_sections(core.exe, tmp_path / "exe", 1 << 24)
    assert_refused(cli_here(core.path, WORDS, "--exe", exe), "its ELF headers cannot be read")


def test_segments_of_an_executable_that_lie_are_not_believed(core, tmp_path):
    runs = []
    for field in ("offset", "file_size", "address"):
        for value in (1 << 62, (1 << 64) - 4096):
            path = with_segments(core.exe, tmp_path / f"{field}-{value}", lying(field, value))
            runs.append([core.path, WORDS, "--exe", path])
    for answer in each_here(runs):
        assert answer.code in (0, 2, 3), answer
        assert "internal error" not in answer.err, answer


SANITIZED = {"race": ["-race"], "address": ["-asan"], "memory": ["-msan"]}


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=["classic", "swiss"])
@pytest.mark.parametrize("sanitizer", [pytest.param("race"), pytest.param("address"), pytest.param("memory")])
def test_programs_with_a_sanitizer_in_them_are_inspected(toolchain, sanitizer):
    """Their heaps lie elsewhere, and most of their mappings are shadows of others: terabytes that hold nothing."""
    compiler = "clang" if sanitizer == "memory" else "gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not here, which links such programs")
    try:
        exe = build("plain", toolchain, extra_flags=SANITIZED[sanitizer], env={"CGO_ENABLED": "1", "CC": compiler})
    except BuildFailed as reason:
        pytest.skip(str(reason))
    with start(exe) as running:
        address = running.map("words")["address"]
        for answer in each_here([[running.pid, WORDS, "--json"], [running.pid, address, "--json"]]):
            assert (answer.code, answer.document["map"]["count"]) == (0, 3)
        maps = cli_here(running.pid, "--json").document["census"]["maps"]
        assert {each["verdict"] for each in maps} == {"consistent"}
        assert address in {each["address"] for each in maps}
        assert_running(running)


# Names of mapped files

FORGED = "00400000-7ffffffff000 rw-p 00000000 00:00 0 [heap]"
BREAKS = {
    "vertical tab": "\v",
    "form feed": "\f",
    "return": "\r",
    "next line": "\x85",
    "separator": "\u2028",
    "feed": "\n",
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in ("return", "separator") else pytest.mark.slow) for kind in BREAKS]
)
def test_a_line_break_in_the_name_of_a_mapped_file_hides_nothing_and_forges_nothing(kind, tmp_path):
    exe = tmp_path / f"service{BREAKS[kind]}{FORGED}{BREAKS[kind]}"
    shutil.copy(build("plain"), exe)
    with start(exe) as running:
        for more in (["--json"], ["--no-stop", "--json"], ["--memory", "gdb-mi", "--json"]):
            answer = cli_here(running.pid, WORDS, *more)
            assert (answer.code, answer.document["map"]["count"]) == (0, 3)
        listed = cli_here(running.pid, "--json")
        assert (listed.code, listed.err) == (0, "")
        # Nothing is mapped there: a forged line would make it part of a writable range.
        assert_refused(cli_here(running.pid, "0x7000000", "--type", "map[string]int"), "not mapped")
        assert cli_here("snapshot", running.pid, "-o", tmp_path / "core").code == 0
        assert_running(running)
    answer = cli_here(tmp_path / "core", WORDS, "--json")
    assert (answer.code, answer.document["map"]["count"]) == (0, 3)
