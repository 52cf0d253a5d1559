"""The fixtures are judged here by other means than the project's own: raw memory and the kernel's word."""

import errno
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import fixtures
from fixtures import CLASSIC, NEWEST, SWISS, USUAL, Running, Toolchain, names
from tests.support.elfcore import segments

Map = dict[str, Any]

ITERATOR, OLD_ITERATOR, SAME_SIZE = 1, 2, 8
EVACUATED = {2, 3, 4}
STRING_TO_INT, INT64_TO_INT64 = 8 + 8 * (16 + 8) + 8, 8 + 8 * (8 + 8) + 8
"""Sizes of buckets."""

FROM_1_21 = {
    "cleared_clear",
    "cleared_clear_growing",
    "cloned",
    "cloned_from",
    "cloned_growing",
    "cloned_growing_int64",
    "cloned_small",
}


def toolchains() -> list[Any]:
    """All toolchains with classic maps; only the usual one is for the quick suite."""
    return [
        pytest.param(toolchain, id=toolchain.name, marks=[] if toolchain == USUAL else [pytest.mark.slow])
        for toolchain in CLASSIC
    ]


@pytest.fixture(scope="module", params=toolchains())
def toolchain(request: pytest.FixtureRequest) -> Toolchain:
    """One toolchain after the other."""
    chosen: Toolchain = request.param
    return chosen


@pytest.fixture(scope="module")
def states(toolchain: Toolchain) -> Iterator[Running]:
    """The states program, waiting for commands."""
    with fixtures.start(fixtures.build("states", toolchain)) as running:
        yield running


@pytest.fixture(scope="module")
def usual_states() -> Iterator[Running]:
    """The states program of the usual toolchain."""
    with fixtures.start(fixtures.build("states")) as running:
        yield running


def memory(pid: int, address: int, size: int) -> bytes:
    """Bytes from a process, as the kernel gives them."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        return os.pread(file.fileno(), size, address)


def evacuated(running: Running, entry: Map, bucket_size: int) -> list[bool]:
    """For each old bucket of a growing map, whether its first tophash byte says that it is evacuated."""
    header = entry["header"]
    count = 1 << (header["B"] - (0 if header["flags"] & SAME_SIZE else 1))
    old = memory(running.pid, int(header["oldbuckets"], 16), count * bucket_size)
    return [old[i * bucket_size] in EVACUATED for i in range(count)]


def ordered(entry: Map) -> Map:
    """A truth without the random order of the range loop."""
    return entry | {"entries": sorted(map(repr, entry["entries"]))}


def test_every_toolchain_reports_the_version_it_was_asked_for(states: Running, toolchain: Toolchain) -> None:
    assert states.truth["go"].split()[0].startswith(f"go{toolchain.version}")
    assert states.truth["pid"] == states.pid


def test_the_states_are_the_same_everywhere_but_for_what_needs_go_1_21(
    states: Running, toolchain: Toolchain, usual_states: Running
) -> None:
    expected = set(fixtures.names(usual_states.truth))
    if toolchain.version == "1.19":
        expected -= FROM_1_21
    found = fixtures.names(states.truth)
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_every_header_in_memory_is_as_the_truth_says(states: Running, toolchain: Toolchain) -> None:
    has_clear_sequence = toolchain.version.startswith(("1.24", "1.25"))
    for entry in states.truth["maps"]:
        header = entry["header"]
        if entry["name"] == "nil_map":
            assert header is None
            assert entry["address"] == "0x0"
            continue
        raw = memory(states.pid, int(entry["address"], 16), 56)
        count, flags, b, noverflow, hash0, buckets, old, nevacuate = struct.unpack_from("<qBBHIQQQ", raw)
        extra = struct.unpack_from("<Q", raw, 48 if has_clear_sequence else 40)[0]
        told = (header["count"], header["flags"], header["B"], header["noverflow"], header["hash0"])
        assert (count, flags, b, noverflow, hash0) == told, entry["name"]
        assert (buckets, old) == tuple(int(header[k] or "0", 16) for k in ("buckets", "oldbuckets"))
        assert nevacuate == header["nevacuate"]
        assert extra == int((header["extra"] or {"address": "0"})["address"], 16)
        assert count == entry["len"] == len(entry["entries"])


def test_every_variable_points_to_its_header(states: Running) -> None:
    for entry in states.truth["maps"]:
        if entry["name"] == "stack_map":
            assert entry["variable"] is None
            assert entry["variable_address"] is None
            continue
        # The reflected map is in an interface, whose second word it is.
        at = int(entry["variable_address"], 16) + (8 if entry["name"] == "reflect_map" else 0)
        assert struct.unpack("<Q", memory(states.pid, at, 8))[0] == int(entry["address"], 16), entry["name"]


def test_telling_the_truth_again_changes_nothing(states: Running) -> None:
    again = states.ask("truth")
    for before, after in zip(states.truth["maps"], again["maps"], strict=True):
        assert ordered(before) == ordered(after)


@pytest.mark.parametrize("kind", ["double", "same"])
def test_growths_stand_where_their_names_say(states: Running, kind: str) -> None:
    for place in ("start", "middle", "last", "scattered"):
        entry = states.map(f"{kind}_{place}")
        done, frontier = evacuated(states, entry, STRING_TO_INT), entry["header"]["nevacuate"]
        assert len(done) == 64
        assert bool(entry["header"]["flags"] & SAME_SIZE) == (kind == "same")
        assert all(done[:frontier])
        assert not done[frontier]
        expected = {
            "start": sum(done) <= 2,
            "middle": 32 <= frontier < 62 and sum(done) < 63,
            "last": frontier == 63,
            "scattered": sum(done[frontier:]) >= 6,
        }
        assert expected[place], place


@pytest.mark.parametrize("name", ["double_middle_int64", "same_middle_int64", "no_pointers_old"])
def test_growths_of_maps_without_pointers_list_their_overflow_buckets(states: Running, name: str) -> None:
    entry = states.map(name)
    done = evacuated(states, entry, INT64_TO_INT64)
    assert len(done) // 2 <= sum(done) < len(done) - 1
    extra = entry["header"]["extra"]
    listed = (extra["overflow"] or []) + (extra["oldoverflow"] or [])
    assert len(extra["oldoverflow"] or []) >= (1 if name != "double_middle_int64" else 0)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize(
    "name",
    [
        "growth_2_to_3",
        "double_middle_int32",
        "double_middle_iface",
        "double_middle_struct",
        "same_middle_400",
        "key_elem_129",
        "key_float64_nan_growing",
        "range_paused_growing",
        "range_paused_growing_int64",
        "range_paused_both",
        "range_paused_same_size",
    ],
)
def test_the_other_growing_maps_are_growing(states: Running, name: str) -> None:
    header = states.map(name)["header"]
    same = name in ("same_middle_400", "range_paused_same_size")
    old = 1 << (header["B"] - (0 if same else 1))
    assert header["oldbuckets"] is not None
    assert bool(header["flags"] & SAME_SIZE) == same
    assert (1 if name == "growth_2_to_3" else old // 2) <= header["nevacuate"] < old


def test_the_map_of_400_has_400_entries_in_64_buckets(states: Running) -> None:
    entry = states.map("same_middle_400")
    assert (entry["len"], entry["header"]["B"]) == (400, 6)


def test_no_map_that_should_be_at_rest_is_growing(states: Running) -> None:
    growing = ("growth", "double_", "same_", "range_paused_", "no_pointers_old", "key_elem_129")
    for entry in states.truth["maps"]:
        name = entry["name"]
        if not name.startswith(growing) and name not in ("key_float64_nan_growing", "nil_map"):
            assert entry["header"]["oldbuckets"] is None, name


def test_range_loops_left_their_flags(states: Running) -> None:
    flags = {e["name"]: e["header"]["flags"] for e in states.truth["maps"] if e["header"]}
    assert flags["range_finished"] == ITERATOR | OLD_ITERATOR
    assert states.map("range_finished_int64")["header"]["extra"]["overflow"] is not None
    assert flags["range_paused"] == ITERATOR | OLD_ITERATOR
    assert flags["range_paused_int64"] == ITERATOR | OLD_ITERATOR
    assert flags["range_paused_growing"] == OLD_ITERATOR
    assert flags["range_paused_growing_int64"] == OLD_ITERATOR
    assert flags["range_paused_both"] == ITERATOR | OLD_ITERATOR
    assert flags["range_paused_same_size"] == OLD_ITERATOR | SAME_SIZE
    # No other map shows a trace of the loops that read it for the truth.
    assert not [name for name, value in flags.items() if value & 3 and not name.startswith("range_")]


def test_maps_with_room_from_the_start_have_the_buckets_for_it(states: Running, toolchain: Toolchain) -> None:
    # Go 1.21 takes 6 entries for each bucket before it grows, the others 6.5.
    hint_100 = 5 if toolchain.version.startswith("1.21.") else 4
    sizes = {name: states.map(name)["header"]["B"] for name in ("hint_5", "hint_10", "hint_20", "hint_100")}
    assert sizes == {"hint_5": 0, "hint_10": 1, "hint_20": 2, "hint_100": hint_100}
    assert states.map("hint_5")["header"]["buckets"] is None
    assert states.map("lazy")["header"]["buckets"] is None
    assert states.map("lazy_one")["header"]["buckets"] is not None
    assert states.map("hint_100")["header"]["extra"]["nextOverflow"] is not None
    assert (states.map("one_full_bucket")["len"], states.map("one_full_bucket")["header"]["B"]) == (8, 0)
    assert (states.map("small_9")["header"]["B"], states.map("small_14")["header"]["B"]) == (1, 2)


def test_the_crowded_map_is_one_overflow_bucket_short_of_a_growth(states: Running) -> None:
    entry = states.map("many_overflow")
    assert entry["header"]["noverflow"] == (1 << entry["header"]["B"]) - 1
    assert entry["len"] < 2 << entry["header"]["B"]
    assert states.map("no_pointers")["header"]["noverflow"] >= 5
    assert len(states.map("no_pointers")["header"]["extra"]["overflow"]) >= 5


def test_cleared_maps_are_empty_but_keep_their_buckets(states: Running) -> None:
    cleared = [entry for entry in states.truth["maps"] if entry["name"].startswith("cleared_")]
    assert len(cleared) in (2, 4)
    for entry in cleared:
        assert entry["len"] == 0
        assert entry["header"]["B"] >= 5
        assert entry["header"]["buckets"] is not None


def test_clones_hold_what_their_originals_hold(usual_states: Running) -> None:
    original, clone = usual_states.map("cloned_from"), usual_states.map("cloned")
    assert ordered(original)["entries"] == ordered(clone)["entries"]
    assert original["header"]["hash0"] == clone["header"]["hash0"]
    assert original["address"] != clone["address"]


def test_the_truth_has_the_agreed_form_for_every_kind_of_value(usual_states: Running) -> None:
    def values(name: str) -> dict[str, Any]:
        return {entry["key"]: entry["value"] for entry in usual_states.map(name)["entries"]}

    keys = [entry["key"] for entry in usual_states.map("key_string")["entries"]]
    assert "\x1b[31mred\x1b[0m" in keys
    assert {"bytes": "bm90IFVURi04OiD//oA="} in keys
    assert {"key": 2**64 - 1, "value": 2**63} in usual_states.map("key_uint64")["entries"]
    floats = [entry["key"] for entry in usual_states.map("key_float64")["entries"]]
    assert floats.count({"float": "NaN"}) == 3
    assert "-0.0" in map(repr, floats)
    assert values("elem_slice") == {"nil": None, "empty": [], "some": [1, 2, 3], "cut": [0, 0]}
    assert values("elem_map")["two"]["count"] == 2
    loop = values("elem_cycle")["loop"]
    assert loop["target"]["Next"] == {"ptr": loop["ptr"], "type": "*main.node"}
    assert values("elem_any")["int"] == {"type": "int", "value": -5}
    assert values("elem_error")["plain"]["value"]["target"] == {"s": "it failed"}
    assert list(values("elem_blanks")["some"]) == ["Kept", "kept", "point"]
    assert values("elem_pointer_nil")["nil"] is None
    assert usual_states.map("reflect_map")["type"] == "map[[7]int8]uint16"
    assert usual_states.map("named_map")["type"] == "main.Set"


def test_package_variables_are_where_the_symbol_table_has_them(usual_states: Running) -> None:
    command = [str(USUAL.go), "tool", "nm", str(usual_states.exe)]
    table = subprocess.run(command, capture_output=True, text=True, check=True, env=USUAL.environment).stdout
    symbols = {fields[2]: int(fields[0], 16) for line in table.splitlines() if len(fields := line.split()) == 3}
    for entry in usual_states.truth["maps"]:
        if entry["variable"] and entry["variable"].count(".") == 1:
            assert symbols[entry["variable"]] == int(entry["variable_address"], 16)


def test_a_large_map_is_at_rest(toolchain: Toolchain) -> None:
    with fixtures.start(fixtures.build("million", toolchain)) as running:
        for name, count in (("m64", 1_000_000), ("mstr", 200_000)):
            entry = running.map(name)
            assert entry["len"] == count
            assert entry["entries"] is None
            assert entry["header"]["oldbuckets"] is None


def test_an_unknown_command_gets_an_answer_and_quit_ends_the_program() -> None:
    with fixtures.start(fixtures.build("plain")) as running:
        assert "error" in running.ask("juggle")
        with pytest.raises(fixtures.ProgramFailed, match="ended without an answer"):
            running.ask("quit")


def test_a_program_is_gone_after_the_with_block() -> None:
    with fixtures.start(fixtures.build("plain")) as running:
        pid = running.pid
    with pytest.raises(OSError) as caught:  # noqa: PT011
        os.kill(pid, 0)
    assert caught.value.errno == errno.ESRCH


def test_building_twice_gives_the_same_file_and_other_flags_another() -> None:
    exe = fixtures.build("plain")
    assert fixtures.build("plain") == exe
    stripped = fixtures.build("plain", ldflags="-s -w")
    assert stripped != exe
    assert stripped.stat().st_size < exe.stat().st_size


def test_swiss_maps_have_no_classic_header() -> None:
    with fixtures.start(fixtures.build("plain", SWISS)) as running:
        assert running.map("words")["header"] is None
        assert running.map("words")["len"] == 3


def test_a_32_bit_executable_can_be_built() -> None:
    exe = fixtures.build("plain", env={"GOARCH": "386"})
    assert exe.read_bytes()[4] == 1  # ELFCLASS32


def test_a_program_that_does_not_exist_cannot_be_built() -> None:
    with pytest.raises(fixtures.BuildFailed, match="no fixture program"):
        fixtures.build("nonsense")


def kernel_made(directory: Path) -> fixtures.Core:
    """A core by the kernel, or no test where the kernel makes none."""
    try:
        return fixtures.kernel_core(fixtures.build("states"), directory=directory)
    except fixtures.NoKernelCores as error:
        pytest.skip(str(error))


def gdb_made(directory: Path) -> fixtures.Core:
    """A core by gdb; the process must go on as before."""
    with fixtures.start(fixtures.build("states")) as running:
        core = fixtures.gcore_core(running, directory)
        assert running.ask("truth")["pid"] == running.pid
        return core


@pytest.mark.parametrize("make", [kernel_made, pytest.param(gdb_made, marks=pytest.mark.slow)])
def test_a_core_holds_every_header_that_the_program_told_of(
    make: Callable[[Path], fixtures.Core], tmp_path: Path
) -> None:
    if make is gdb_made and shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    core = make(tmp_path)
    held = segments(core.path)
    with core.path.open("rb") as file:
        for entry in core.truth["maps"]:
            told, address = entry["header"], int(entry["address"], 16)
            if told is None:
                continue
            segment = next(s for s in held if 0 <= address - s.address < s.size)
            file.seek(segment.offset + address - segment.address)
            count, flags, b = struct.unpack("<qBB", file.read(10))
            assert (count, flags, b) == (told["count"], told["flags"], told["B"]), entry["name"]


def test_the_newest_toolchain_builds_classic_maps() -> None:
    with fixtures.start(fixtures.build("plain", NEWEST)) as running:
        assert running.map("words")["header"]["count"] == 3


def test_a_core_is_made_once_and_kept_with_what_its_program_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exe = fixtures.build("plain")
    monkeypatch.setenv("GO_MAP_INSPECT_CACHE", str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda _: fixtures.cached_core(exe), range(4))
    assert all(other == first for other in others)
    another = fixtures.cached_core(exe, "an-argument")
    assert another.path != first.path
    assert {path.name for path in (tmp_path / "cores").iterdir()} == {first.path.parent.name, another.path.parent.name}
    assert names(first.truth) == names(another.truth)
    assert first.stderr.startswith("panic: ")
    assert first.path.stat().st_blocks * 512 < first.path.stat().st_size
