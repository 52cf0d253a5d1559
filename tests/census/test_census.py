"""The census: every live map is found, with its type, count and name, and nothing that is no map of the program."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from rich.console import Console

from fixtures import USUAL, Core, Running, build, cached_core, gcore_core, start
from fixtures.debian import NoPackage
from fixtures.esbuild import PACKAGES, esbuild
from fixtures.etcd import etcd
from fixtures.npm import NotOnNpm
from fixtures.prometheus import prometheus
from inspector.census import Census, take_census
from inspector.census.diff import Earlier, compare
from inspector.census.select import Selection
from inspector.cli.command import command
from inspector.errors import InspectError, UsageError
from inspector.memory.corefile import CoreFile
from inspector.report.json.census import census_form, write_census
from inspector.report.text.census import print_census
from inspector.target.opening import open_target
from tests.support.census import LIBRARY_TYPES, census_of, differences
from tests.support.commandline import assert_free, assert_running, cli_here
from tests.support.promised import PROMISED, promised
from tests.support.racing import fatal_core
from tests.support.toolchains import EVERY_TOOLCHAIN

FEW, MANY = "2", "80"
"""How many maps of each kind the program makes: hundreds, and thousands."""

STRIPPED = "-s -w"


@pytest.fixture(scope="module")
def counted() -> Iterator[Running]:
    """The program with a few hundred maps."""
    with start(build("census", USUAL), FEW) as running:
        yield running


@pytest.fixture(scope="module")
def crashed() -> Core:
    """A kernel core of the program."""
    return cached_core(build("census", USUAL), FEW)


@pytest.fixture(scope="module")
def stripped() -> Core:
    """A kernel core of the program without symbols."""
    return cached_core(build("census", USUAL, ldflags=STRIPPED), FEW)


@pytest.fixture(scope="module")
def census(crashed: Core) -> Census:
    """What the census says of that core."""
    return census_of(str(crashed.path))


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_live_map_is_found_with_its_type_count_and_name_and_no_other(toolchain):
    with start(build("census", toolchain), FEW) as running:
        census = census_of(str(running.pid))
        assert differences(running.truth, census) == []
        assert_running(running)
    assert (census.exit_code, census.notes) == (0, ())


@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_map_with_entries_is_found_in_a_stripped_program(toolchain):
    with start(build("census", toolchain, ldflags=STRIPPED), FEW) as running:
        census = census_of(str(running.pid))
        assert differences(running.truth, census, named=False) == []
    assert (census.exit_code, census.notes) == (0, ())


def test_an_emptied_map_of_a_stripped_program_is_found_by_the_overflow_buckets_it_has_in_store(stripped):
    census = census_of(str(stripped.path))
    worst = Selection(sort="waste").matching(census.maps)[0]
    emptied = next(one for one in stripped.truth["maps"] if one["name"] == "main.emptied")
    assert (hex(worst.address), worst.count, worst.type_source) == (emptied["address"], 0, "heap")
    assert "map[int64]int64" in (worst.type, *worst.alternatives)
    assert worst.bytes.wasted > 40_000_000


def test_an_emptied_map_of_a_stripped_program_is_found_by_overflow_buckets_that_are_all_in_use():
    """All preallocated overflow buckets are in chains, so nothing is in store, and no key is left to be hashed."""
    with start(build("drained", USUAL, ldflags=STRIPPED)) as running:
        (drained,) = running.truth["maps"]
        header = drained["header"]
        assert (drained["len"], header["oldbuckets"]) == (0, None)
        census = census_of(str(running.pid))
    found = next(one for one in census.maps if hex(one.address) == drained["address"])
    assert (found.count, found.verdict, found.bytes.if_rebuilt) == (0, "consistent", 48)
    assert "map[int]int" in (found.type, *found.alternatives)
    assert found.bytes.wasted > 2_000_000


def test_a_map_that_was_emptied_is_reported_with_what_replacing_it_gives_back(crashed):
    emptied = next(one for one in crashed.truth["maps"] if one["name"] == "main.emptied")
    lines = go_map_inspect(crashed.path, emptied["address"], "--type", emptied["type"]).stdout.splitlines()
    assert lines[0] == f"{emptied['address']}  map[int64]int64  0 entries  38.3 MiB  OK"
    assert any("This map is empty but holds 38.3 MiB: delete and clear keep its buckets" in line for line in lines)
    assert any(line.endswith("to give 38.3 MiB back.") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("ldflags", ["", STRIPPED])
def test_thousands_of_maps_are_all_found(ldflags):
    with start(build("census", USUAL, ldflags=ldflags), MANY) as running:
        assert len(running.truth["maps"]) > 3000
        assert differences(running.truth, census_of(str(running.pid)), named=not ldflags) == []


def test_every_map_of_a_core_is_found(crashed, census):
    assert differences(crashed.truth, census) == []
    assert census.exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", EVERY_TOOLCHAIN)
def test_every_map_of_a_stripped_core_is_found(toolchain):
    core = cached_core(build("census", toolchain, ldflags=STRIPPED), FEW)
    assert differences(core.truth, census_of(str(core.path)), named=False) == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb writes this core")
def test_every_map_of_a_core_that_gdb_wrote_is_found(counted, tmp_path):
    core = gcore_core(counted, tmp_path)
    assert differences(core.truth, census_of(str(core.path))) == []


@pytest.mark.slow
def test_every_map_of_a_movable_executable_is_found():
    with start(build("census", USUAL, extra_flags=("-buildmode=pie",)), FEW) as running:
        assert differences(running.truth, census_of(str(running.pid))) == []


@pytest.mark.slow
def test_a_map_too_large_for_one_stop_is_copied_while_the_process_runs(counted):
    with open_target(str(counted.pid), memory="direct") as target:
        census = take_census(target, max_stop=0.001, max_share=None)
    assert differences(counted.truth, census) == []


@pytest.mark.slow
def test_maps_of_a_process_that_writes_them_all_the_time_are_sound():
    with start(build("churn", USUAL)) as running:
        running.ask("write")
        census = census_of(str(running.pid))
        verdicts = {one.name: one.verdict for one in census.maps}
        assert set(verdicts.values()) <= {"consistent", "write-in-progress"}
        assert {"main.doubling", "main.churning", "main.pairs", "main.anything"} <= set(verdicts)
        assert_free(running.pid)


# What the command says


def go_map_inspect(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in this process."""
    answer = cli_here(*arguments)
    return subprocess.CompletedProcess([*map(str, arguments)], answer.code, answer.out, answer.err)


def document_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return promised(done.stdout)


def test_a_map_that_was_filled_and_emptied_wastes_most_and_the_answer_says_what_rebuilding_gives_back(crashed):
    done = go_map_inspect(crashed.path, "--sort", "waste", "--top", "1", "--json")
    document = document_of(done)
    first = document["census"]["maps"][0]
    assert (done.returncode, first["name"], first["count"]) == (0, "main.emptied", 0)
    assert first["bytes"]["if_rebuilt"] == 48
    # 2^18 buckets of 8 tophashes, 8 keys, 8 elements and a pointer.
    assert first["bytes"]["buckets"] == (1 << 18) * (8 + 64 + 64 + 8)
    assert document["census"]["totals"]["maps"] > len(crashed.truth["maps"])
    assert document["census"]["totals"]["entries"] >= sum(one["len"] for one in crashed.truth["maps"])


def test_the_schema_refuses_a_census_that_lacks_a_promised_field(census):
    document = census_form(census, Selection(top=3))
    PROMISED.validate(document)
    for field in ("maps", "totals", "scanned_bytes", "timing"):
        part = {name: value for name, value in document["census"].items() if name != field}
        with pytest.raises(jsonschema.ValidationError, match=field):
            PROMISED.validate(document | {"census": part})


def test_the_table_shows_the_largest_maps_their_types_and_the_totals(crashed):
    done = go_map_inspect(crashed.path, "--maps", "--top", "2")
    lines = done.stdout.splitlines()
    rows = [line for line in lines if line.startswith("0x")]
    assert (done.returncode, len(rows), done.stderr) == (0, 2, "")
    assert "main.emptied" in rows[0]
    assert "main.grown" in rows[1]
    assert "double, 2 of 64" in rows[1]
    assert any("maps with" in line and "0 inconsistent" in line for line in lines)


def test_filters_choose_by_size_type_and_findings(crashed, census):
    large = Selection(min_bytes=10240).matching(census.maps)
    assert {one.name for one in large} >= {"main.emptied", "main.grown", "main.sessions"}
    assert all(one.bytes.total >= 10240 for one in large)
    users = Selection(type_matches=re.compile(r"\*main\.user$")).matching(census.maps)
    assert len(users) == sum(one["type"].endswith("*main.user") for one in crashed.truth["maps"])
    assert Selection(only_findings=True).matching(census.maps) == [one for one in census.maps if one.findings]
    by_count = Selection(sort="count").matching(census.maps)
    assert [one.count for one in by_count] == sorted((one.count for one in census.maps), reverse=True)
    growing = Selection(sort="growing").matching(census.maps)
    assert [not one.growing for one in growing] == sorted(not one.growing for one in growing)
    assert growing[0].name == "main.grown"


def test_a_damaged_map_is_told_by_name_and_by_exit_code(crashed, tmp_path):
    broken = tmp_path / "core"
    shutil.copy(crashed.path, broken)
    sessions = next(one for one in crashed.truth["maps"] if one["name"] == "main.sessions")
    overwrite(broken, int(sessions["address"], 16), (7).to_bytes(8, "little"))
    done = go_map_inspect(broken, "--json")
    bad = [one for one in document_of(done)["census"]["maps"] if one["verdict"] == "inconsistent"]
    assert (done.returncode, [one["name"] for one in bad]) == (1, ["main.sessions"])
    assert [finding["rule"] for finding in bad[0]["findings"]] == ["H3"]
    told = io.StringIO()
    print_census(census_of(str(broken)), Selection(top=1), None, Console(file=told, width=160))
    assert "inconsistent (the runtime cannot have produced this state)" in told.getvalue()
    assert "H3 error: count is 7" in told.getvalue()


def overwrite(core: Path, address: int, data: bytes) -> None:
    """Change bytes of a core file's memory."""
    opened = CoreFile(core)
    chunk = next(chunk for chunk in opened._chunks if chunk.start <= address < chunk.end)
    with core.open("r+b") as file:
        file.seek(chunk.offset + address - chunk.start)
        file.write(data)


@pytest.mark.slow
@pytest.mark.parametrize("share", [20, 50, 95])
def test_a_core_cut_short_is_answered_in_part_and_says_what_may_be_wrong(crashed, tmp_path, share):
    told = {int(one["address"], 16) for one in crashed.truth["maps"]}
    short = tmp_path / "short"
    with crashed.path.open("rb") as whole:
        short.write_bytes(whole.read(crashed.path.stat().st_size * share // 100))
    done = go_map_inspect(short, "--exe", crashed.exe, "--json")
    document = document_of(done)
    maps = document["census"]["maps"]
    assert done.returncode == 3
    assert {one["verdict"] for one in maps} <= {"consistent", "unreadable"}
    others = [one for one in maps if int(one["address"], 16) not in told]
    # Without the heap metadata maps that are out of use look like all others: that is said.
    dead = "dead maps" in " ".join(document["notes"])
    assert dead or all(one["type"] in LIBRARY_TYPES for one in others), others


@pytest.mark.slow
def test_a_core_of_concurrent_map_writes_names_the_map(tmp_path):
    core = fatal_core(USUAL, tmp_path)
    done = go_map_inspect(core.path, "--json")
    shared = next(one for one in document_of(done)["census"]["maps"] if one["name"] == "main.shared")
    assert done.returncode == 0
    assert "W2" in {finding["rule"] for finding in shared["findings"]}
    assert "W2 info: goroutine" in go_map_inspect(core.path).stdout


@pytest.mark.slow
def test_what_changed_in_a_process_is_told_by_address_and_in_another_by_name(census, tmp_path):
    with start(build("census", USUAL), FEW) as running:
        saved = tmp_path / "before.json"
        with saved.open("w") as file:
            write_census(census_of(str(running.pid)), Selection(), None, file)
        grown = running.ask("grow")
        document = document_of(go_map_inspect(running.pid, "--diff", saved, "--json"))
        later = census_of(str(running.pid))
    before = running.map("main.sessions")
    (change,) = document["diff"]["changes"]
    assert (document["diff"]["matched_by"], change["name"], change["type"]) == (
        "address",
        "main.sessions",
        "map[string]int",
    )
    assert (change["before"]["count"], change["after"]["count"]) == (before["len"], grown["len"])
    diff = compare(Earlier.of(census), Earlier.of(later))
    first = diff.changes[0]
    assert not diff.by_address
    assert first.before is not None
    assert first.after is not None
    assert (first.after.name, first.before.count, first.after.count) == ("main.sessions", before["len"], grown["len"])
    told = io.StringIO()
    print_census(later, Selection(top=1), diff, Console(file=told, width=160))
    text = told.getvalue()
    assert "main.sessions" in text[text.index("changes by group") :]
    assert "Maps are matched by name and type: it is not known to be the same process." in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sort", "size"), "--sort"),
        (("--min-bytes", "many"), "not a size"),
        (("--max-stop", "soon"), "not a length of time"),
        (("--max-stop", "0ms"), "not a length of time"),
        (("--type-matches", "map["), "not a regular expression"),
        (("--top", "-1"), "--top"),
        (("--entries", "3"), "--entries needs a map"),
        (("--type", "map[string]int"), "main.sessions --type 'map[string]int'"),
        (("--key", "1"), "--key needs a map"),
        (("--ndjson",), "--ndjson needs a map"),
        (("main.sessions", "--sort", "count"), "--sort only works when all maps are listed"),
        (("main.sessions", "--diff", "1"), "--diff only works when all maps are listed"),
        (("--memory", "gdb-mi"), "more memory than gdb can transfer"),
        (("--diff", "no-such-file"), "neither a process nor a file"),
    ],
)
def test_options_that_make_no_sense_are_refused(crashed, arguments, words):
    with pytest.raises((InspectError, click.ClickException)) as refusal:
        command.main([str(crashed.path), *arguments], standalone_mode=False)
    error = refusal.value
    assert words in (error.format_message() if isinstance(error, click.ClickException) else str(error))


def test_a_file_to_compare_with_that_holds_no_census_is_refused(crashed, tmp_path):
    for content, words in (("{", "not a JSON document"), ('{"target": {"pid": 1}}', "not a saved census")):
        other = tmp_path / "other.json"
        other.write_text(content)
        with pytest.raises(UsageError, match=words):
            command.main([str(crashed.path), "--diff", str(other)], standalone_mode=False)


# Programs of others


@pytest.mark.slow
@pytest.mark.parametrize("service", ["prometheus", "etcd"])
def test_every_map_listed_of_a_stripped_service_is_consistent(service):
    with ExitStack() as stack:
        try:
            pid = stack.enter_context(prometheus(seconds=12) if service == "prometheus" else etcd())
        except NoPackage as reason:
            pytest.skip(str(reason))
        census = census_of(str(pid))
    wrong = [one for one in census.maps if one.verdict not in ("consistent", "write-in-progress")]
    assert wrong == []
    assert len(census.maps) > 400
    assert census.exit_code in (0, 3)


@pytest.mark.slow
@pytest.mark.parametrize("release", [min(PACKAGES), max(PACKAGES)])
def test_every_map_listed_of_programs_by_releases_without_a_toolchain_here_is_consistent(release):
    with ExitStack() as stack:
        try:
            pid = stack.enter_context(esbuild(release, {}))
        except NotOnNpm as reason:
            pytest.skip(str(reason))
        census = census_of(str(pid))
    assert len(census.maps) > 20
    assert {one.verdict for one in census.maps} <= {"consistent", "write-in-progress"}


@pytest.mark.slow
def test_the_bytes_of_strings_are_counted_where_that_is_asked(run):
    running = run("states")
    with open_target(str(running.pid), memory="direct") as target:
        # Without a limit to the share of the time, which would only make this wait.
        plain = {one.address: one for one in take_census(target, max_share=None).maps}
        asked = {one.address: one for one in take_census(target, max_share=None, strings=True).maps}
    compared = 0
    for state in running.truth["maps"]:
        one = asked.get(int(state["address"], 16))
        if one is None or state["type"] != "map[string]int" or not state["entries"]:
            continue
        if not all(isinstance(entry["key"], str) for entry in state["entries"]):
            continue  # keys that are no UTF-8 are told in another form
        told = sum(len(entry["key"].encode()) for entry in state["entries"])
        assert one.bytes.parts["strings"] == told, state["name"]
        assert one.bytes.total == plain[one.address].bytes.total + told
        assert plain[one.address].bytes.parts["strings"] == 0
        compared += 1
    assert compared > 5
