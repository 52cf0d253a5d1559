"""Entries in files for other tools: what is in them, what is never in them, and what becomes of the files."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from itertools import cycle

import pytest

from fixtures import SWISS_RELEASES, USUAL
from tests.support.commandline import cli_here

arrow = pytest.importorskip("pyarrow")
feather, parquet = pytest.importorskip("pyarrow.feather"), pytest.importorskip("pyarrow.parquet")

FAMILIES = [pytest.param(toolchain, id=toolchain.name) for toolchain in (USUAL, SWISS_RELEASES[-1])]
SUFFIXES = (".parquet", ".arrow", ".csv", ".jsonl")
READERS = {".parquet": parquet.read_table, ".arrow": feather.read_table}


def exported(target, name, path, *options):
    patience = () if target == "demo" else ("--max-stop", "30s")
    answer = cli_here(target, name, "--export", path, *patience, *options)
    assert (answer.code, answer.out.splitlines()[-1].split(" written to ")[1].split(" (")[0]) == (0, str(path))
    return answer


def rows_of_arrow(path) -> list[dict]:
    table = READERS[path.suffix](path)
    for at, field in enumerate(table.schema):
        if str(field.type).startswith("timestamp"):
            # Python's datetime has no nanoseconds.
            table = table.set_column(at, field.name, table.column(at).cast("int64"))
    return table.to_pylist()


def rows_of_csv(path) -> list[dict]:
    csv.field_size_limit(1 << 30)
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def rows_of_jsonl(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("toolchain", FAMILIES)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_table_of_arrow_holds_the_programs_own_values_by_field(run, tmp_path, toolchain, suffix):
    running = run("columns", toolchain)
    path = tmp_path / f"people{suffix}"
    exported(running.pid, "main.people", path)
    told = {entry["key"]: entry["value"] for entry in running.map("people")["entries"]}
    rows = rows_of_arrow(path)
    assert {row["key"] for row in rows} == set(told)
    for row in rows:
        person = told[row["key"]]
        assert row["value.base.ID"] == person["base"]["ID"]
        assert row["value.Name"] == person["Name"]
        assert row["value.Weight"] == pytest.approx(person["Weight"])
        assert row["value.Ready"] is person["Ready"]
        assert row["value.Card"] == bytes(person["Card"])
        assert row["value.Token"] == (None if person["Token"] is None else bytes(person["Token"]))
        assert json.loads(row["value.base.Tags"]) == person["base"]["Tags"]
        home = person["Home"]
        assert row["value.Home.ptr"] == (home and int(home["ptr"], 16))
        assert row["value.Home.Street"] == (home and home["target"]["Street"])
        assert row["value.Home.No"] == (home and home["target"]["No"])
        assert row["value.Inner.count"] == (person["Inner"] and person["Inner"]["count"])
        assert row["value.Phase.imag"] == person["Phase"]["complex"][1]
        assert row["value.Born"] is None  # an unset time.Time lies outside of what nanoseconds reach
        assert row["address"] > 0
    names = set(rows[0])
    assert ({"array", "bucket", "overflow", "cell"} if toolchain == USUAL else {"table", "group", "slot"}) < names


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_columns_of_arrow_have_the_types_of_go(run, tmp_path, toolchain):
    running = run("columns", toolchain)
    types = {}
    names = "signed", "unsigned", "edges", "flags", "floats", "arrays", "uuids", "blobs", "texts", "times", "mixeds"
    for name in names:
        path = tmp_path / f"{name}.parquet"
        exported(running.pid, f"main.{name}", path)
        schema = parquet.read_table(path).schema
        types[name] = {field.name: str(field.type) for field in schema if field.name.startswith(("key", "value"))}
    assert types["signed"] == {"key": "int8", "value": "int16"}
    assert types["unsigned"] == {"key": "uint64", "value": "uint8"}
    assert types["edges"] == {"key": "int64", "value": "uint32"}
    assert types["flags"] == {"key": "bool", "value": "uint64"}
    assert types["floats"] == {"key": "double", "value": "float"}
    assert types["arrays"]["key"] == "list<element: int16>"
    assert types["uuids"] == {"key": "fixed_size_binary[16]", "value": "fixed_size_binary[16]"}
    assert types["blobs"] == {"key": "large_string", "value": "large_binary", "value.length": "int64"}
    # Some are not UTF-8, and one is longer than what is copied of a string.
    assert types["texts"] == {"key": "large_string", "value": "large_binary", "value.length": "int64"} | {
        "key": "large_binary"
    }
    assert types["times"] == {"key": "large_string", "value": "timestamp[ns, tz=UTC]"}
    assert types["mixeds"]["value.List"] == types["mixeds"]["value.Any"] == "large_string"
    assert types["mixeds"]["value.Count"] == "int64"


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_nothing_of_texts_numbers_and_times_is_lost(run, tmp_path, toolchain):
    pid = run("columns", toolchain).pid
    for suffix in SUFFIXES:
        for name in ("texts", "floats", "times", "blobs"):
            exported(pid, f"main.{name}", tmp_path / f"{name}{suffix}")
    texts = {row["key"]: row for row in rows_of_arrow(tmp_path / "texts.parquet")}
    assert texts == {row["key"]: row for row in rows_of_arrow(tmp_path / "texts.arrow")}
    assert (texts[b"not\xffutf8"]["value"], texts[b"half"]["value"]) == (b"\xc3", b"\xa9x")
    assert texts["umlaut-ä".encode()]["value"].decode() == "emoji-😀"
    assert (len(texts[b"cut"]["value"]), texts[b"cut"]["value.length"]) == (1 << 20, 10 << 17)

    floats = [(row["key"], row["value"]) for row in rows_of_arrow(tmp_path / "floats.parquet")]
    assert {str(key): str(value) for key, value in floats}["-0.5"] == "nan"
    assert dict(floats)[float("inf")] == float("-inf")
    written = {row["key"]: row["value"] for row in rows_of_csv(tmp_path / "floats.csv")}
    assert (written["Inf"], written["-0.5"]) == ("-Inf", "NaN")

    moments = {row["key"]: row["value"] for row in rows_of_csv(tmp_path / "times.csv")}
    assert moments == {row["key"]: row["value"] for row in rows_of_jsonl(tmp_path / "times.jsonl")}
    assert moments == {
        "zero": "0001-01-01T00:00:00Z",
        "utc": "2026-11-29T12:30:01.000005Z",
        "early": "1601-01-01T00:00:00Z",
        "before": "1969-12-31T23:59:59.999999999Z",
    }
    nanoseconds = {row["key"]: row["value"] for row in rows_of_arrow(tmp_path / "times.parquet")}
    utc = datetime(2026, 11, 29, 12, 30, 1, tzinfo=UTC)
    assert nanoseconds == {"zero": None, "early": None, "before": -1, "utc": int(utc.timestamp()) * 10**9 + 5000}

    blobs = {row["key"]: row["value"] for row in rows_of_arrow(tmp_path / "blobs.arrow")}
    assert (blobs["nil"], blobs["empty"], blobs["some"], len(blobs["cut"])) == (None, b"", b"\0\1\xff", 1 << 20)
    blobs = {row["key"]: row["value"] for row in rows_of_csv(tmp_path / "blobs.csv")}
    assert (blobs["nil"], blobs["empty"], blobs["some"]) == ("", "0x", "0x0001ff")


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_every_map_can_be_exported_and_has_all_its_entries(run, tmp_path, toolchain):
    running = run("columns", toolchain)
    # Each in one format, the next in the next: to begin anew takes longest.
    suffixes = cycle(SUFFIXES)
    for state in running.truth["maps"]:
        if state["name"] not in ("manyLong", "manyPeople", "blobs", "texts"):
            path = tmp_path / f"{state['name']}{next(suffixes)}"
            exported(running.pid, state["variable"], path)
            rows = {".csv": rows_of_csv, ".jsonl": rows_of_jsonl}.get(path.suffix, rows_of_arrow)
            assert len(rows(path)) == state["len"], state["name"]


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_large_maps_are_exported_whole(run, tmp_path, toolchain):
    pid = run("columns", toolchain).pid
    exported(pid, "main.manyNumbers", tmp_path / "numbers.parquet")
    table = parquet.read_table(tmp_path / "numbers.parquet")
    assert dict(zip(table["key"].to_pylist(), table["value"].to_pylist(), strict=True)) == {
        i - 10000: i / 4 for i in range(20000)
    }
    exported(pid, "main.manyTexts", tmp_path / "texts.csv")
    texts = {row["key"]: row["value"] for row in rows_of_csv(tmp_path / "texts.csv")}
    assert texts == {f"key-{i}": f"value-{i}" for i in range(20000)} | {"not plain": r'"\xfe"'}
    exported(pid, "main.manyPeople", tmp_path / "people.arrow")
    people = {row["key"]: row for row in rows_of_arrow(tmp_path / "people.arrow")}
    assert {key: row["value.Name"] for key, row in people.items()} == {i: f"person-{i}" for i in range(20000)} | {
        20000: None
    }
    assert people[20000]["value.ptr"] is None


def test_lines_of_json_hold_what_the_document_holds(run, tmp_path):
    pid = run("columns").pid
    exported(pid, "main.mixeds", tmp_path / "mixeds.jsonl")
    document = cli_here(pid, "main.mixeds", "--json", "--entries", "all", "--max-stop", "30s").document
    assert rows_of_jsonl(tmp_path / "mixeds.jsonl") == [
        {"key": entry.pop("key"), **{f"value.{name}": part for name, part in entry.pop("value").items()}, **entry}
        for entry in document["entries"]
    ]


@pytest.mark.parametrize("toolchain", FAMILIES)
def test_sync_maps_are_exported(run, tmp_path, toolchain):
    pid = run("syncmaps", toolchain).pid
    exported(pid, "main.one", tmp_path / "one.jsonl")
    exported(pid, "main.one", tmp_path / "one.parquet")
    (row,) = rows_of_jsonl(tmp_path / "one.jsonl")
    (same,) = rows_of_arrow(tmp_path / "one.parquet")
    assert json.loads(same["key"]) == row["key"]
    assert json.loads(same["value"]) == row["value"]


# Safety


def test_no_text_in_a_csv_file_is_a_formula_and_none_is_changed_for_good(run, tmp_path):
    pid = run("columns").pid
    exported(pid, "main.texts", tmp_path / "texts.csv")
    rows = rows_of_csv(tmp_path / "texts.csv")
    cells = {row["key"]: row["value"] for row in rows if row["key"] != "cut"}
    assert not [cell for pair in cells.items() for cell in pair if cell.lstrip()[:1] in tuple("=+-@\uff1d")]
    assert not [cell for pair in cells.items() for cell in pair if cell[:1] in ("\t", "\r", "\n")]
    undone = {key.removeprefix("'"): value.removeprefix("'") for key, value in cells.items()}
    assert undone["formula"] == "=cmd|' /C calc'!A0"
    assert (undone["plus"], undone["minus"], undone["at"]) == ("+1", "-1", "@SUM(1)")
    assert (undone["tab"], undone["return"], undone["wide"], undone["apostrophe"]) == ("\t=1", "\r=1", "＝1", "'quoted")
    assert (undone["comma"], undone['quote"d'], undone["line\nbreak"]) == ("a,b;c", "back\\slash", "tab\tand\0nul")
    # Numbers are numbers, also below zero.
    exported(pid, "main.signed", tmp_path / "signed.csv")
    assert {row["key"] for row in rows_of_csv(tmp_path / "signed.csv")} == {"-128", "127", "0", "-1"}


@pytest.mark.parametrize("toolchain", FAMILIES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_hidden_values_are_in_no_exported_file(run, tmp_path, toolchain, suffix):
    running = run("secrets", toolchain)
    for state in running.truth["maps"]:
        path = tmp_path / f"{state['name']}{suffix}"
        answer = exported(running.pid, state["variable"], path, "--redact")
        content = path.read_bytes() + answer.out.encode() + answer.err.encode()
        if suffix in READERS:
            rows = rows_of_arrow(path)
            content += repr(rows).encode()
            assert all(set(row) >= {"key", "value", "address"} for row in rows)
            assert all(row["key"].startswith("#") for row in rows)
        for secret in (b"zqsecret", b"7246914350", b"zqsecret".hex().encode()):
            assert secret not in content, state["name"]


def test_a_secret_makes_hashes_that_can_be_compared(demo, tmp_path):
    (tmp_path / "secret").write_text("a secret that is long enough\n")
    for name in ("one.csv", "two.csv"):
        exported("demo", "main.sessions", tmp_path / name, "--redact-key", tmp_path / "secret")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert b"session-" not in (tmp_path / "one.csv").read_bytes()


# Files


@pytest.mark.pure
@pytest.mark.parametrize("family", ["demo", "demo swiss"])
def test_the_demo_is_exported(tmp_path, family):
    path = tmp_path / "entries.csv"
    answer = cli_here(*family.split(), "--export", path)
    assert answer.code == 0
    document = cli_here(*family.split(), "--json", "--entries", "all").document
    assert [(row["key"], int(row["value"]), row["address"]) for row in rows_of_csv(path)] == [
        (entry["key"], entry["value"], entry["address"]) for entry in document["entries"]
    ]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.pure
def test_a_file_is_replaced_only_on_request(tmp_path):
    path = tmp_path / "entries.jsonl"
    path.write_text("mine")
    answer = cli_here("demo", "--export", path)
    assert (answer.code, path.read_text()) == (2, "mine")
    assert "exists already" in answer.err
    assert "--force" in answer.err
    assert cli_here("demo", "--export", path, "--force", "--entries", "3").code == 0
    assert len(rows_of_jsonl(path)) == 3


@pytest.mark.pure
def test_a_failure_leaves_no_file(tmp_path):
    assert cli_here("demo", "main.nope", "--export", tmp_path / "entries.csv").code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_may_not_be_as_large_leaves_nothing_and_is_said(run, tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        answer = cli_here(run().pid, "main.doubleMiddle", "--export", tmp_path / "entries.jsonl", "--max-stop", "30s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.code == 2
    assert "cannot write" in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--export", "entries.txt"], "ends in none of .parquet, .arrow, .csv, .jsonl"),
        (["--export", "entries.csv", "--json"], "leave --json out"),
        (["--export", "entries.csv", "--ndjson"], "leave --ndjson out"),
        (["--export", "entries.csv", "--key", "1"], "leave --key out"),
        (["--export", "entries.csv", "--grep", "a"], "leave --grep out"),
        (["--force"], "--force is for --export"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    answer = cli_here("demo", "main.sessions", *options)
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.pure
def test_export_needs_a_map():
    answer = cli_here("4090", "--export", "entries.csv")
    assert answer.code == 2
    assert "--export needs a map" in answer.err


@pytest.mark.pure
@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_without_pyarrow_it_is_said_what_to_install(tmp_path, monkeypatch, suffix):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = cli_here("demo", "--export", tmp_path / f"entries{suffix}")
    assert (answer.code, list(tmp_path.iterdir())) == (2, [])
    assert "pip install 'go-map-inspect[arrow]'" in answer.err
    assert cli_here("demo", "--export", tmp_path / "entries.csv").code == 0
