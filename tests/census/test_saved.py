"""A file to compare a census with: what this program wrote is read, anything else is refused in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures import Core
from tests.support.commandline import assert_refused, cli_here


@pytest.fixture(scope="module")
def crashed(crash: Callable[..., Core]) -> Core:
    """A core of a program with one map."""
    return crash("plain")


@pytest.fixture(scope="module")
def saved(crashed: Core) -> dict[str, Any]:
    """Its census."""
    document: dict[str, Any] = json.loads(cli_here(crashed.path, "--json").out)
    return document


def refused(crashed: Core, folder: Path, content: str | bytes, *words: str) -> None:
    other = folder / "saved.json"
    other.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(cli_here(crashed.path, "--diff", other), *words)


def changed(saved: dict[str, Any], path: tuple[str | int, ...], value: Any) -> str:
    """The document with one of its parts replaced; text where the standard library would not write it."""
    document = copy.deepcopy(saved)
    inner: Any = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = "PLACE"
    return json.dumps(document).replace('"PLACE"', value if isinstance(value, str) else json.dumps(value))


NESTED = "[" * 200_000

BAD_FIELDS = [
    (("target",), "[]", "target"),
    (("target", "process_identity"), "7", "target.process_identity"),
    (("census", "maps"), "{}", "census.maps"),
    (("census", "maps"), '"maps"', "census.maps"),
    (("census", "maps", 0), "null", "census.maps[0]"),
    (("census", "maps", 0, "address"), "4096", "census.maps[0].address"),
    (("census", "maps", 0, "address"), '"-0x10"', "census.maps[0].address"),
    (("census", "maps", 0, "type"), "[[[]]]", "census.maps[0].type"),
    (("census", "maps", 0, "name"), "{}", "census.maps[0].name"),
    (("census", "maps", 0, "holder"), "3.5", "census.maps[0].holder"),
    (("census", "maps", 0, "count"), "NaN", "census.maps[0].count"),
    (("census", "maps", 0, "count"), "1e999", "census.maps[0].count"),
    (("census", "maps", 0, "count"), "1.5", "census.maps[0].count"),
    (("census", "maps", 0, "count"), "9" * 4200, "census.maps[0].count"),
    (("census", "maps", 0, "count"), "9" * 5000, "saved.json"),
    (("census", "maps", 0, "bytes"), "[]", "census.maps[0].bytes"),
    (("census", "maps", 0, "bytes", "total"), "-Infinity", "census.maps[0].bytes.total"),
    (("census", "maps", 0, "bytes", "total"), "null", "census.maps[0].bytes.total"),
]


@pytest.mark.parametrize(
    ("path", "value", "words"), BAD_FIELDS, ids=[f"{'.'.join(map(str, p))}={v[:8]}" for p, v, _ in BAD_FIELDS]
)
def test_a_field_of_another_shape_is_named(crashed, saved, tmp_path, path, value, words):
    refused(crashed, tmp_path, changed(saved, path, value), words)


@pytest.mark.parametrize("path", [("target",), ("census",), ("census", "maps"), ("census", "maps", 0, "count")])
def test_a_field_that_is_missing_is_named(crashed, saved, tmp_path, path):
    document = copy.deepcopy(saved)
    inner: Any = document
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    refused(crashed, tmp_path, json.dumps(document), str(path[-1]))


@pytest.mark.parametrize(
    "content",
    ['{"a": ' + NESTED, '{"target": {"a": ' * 100_000, '{"a": ' + NESTED + "]" * 200_000 + "}", "{", b'{"a": "\xff"}'],
    ids=["brackets", "braces", "closed brackets", "a brace", "bytes"],
)
def test_what_is_no_json_document_is_refused_however_deep_it_goes(crashed, tmp_path, content):
    refused(crashed, tmp_path, content, "saved.json")


def test_a_document_about_one_map_is_no_census(crashed, tmp_path):
    one = cli_here(crashed.path, "main.words", "--type", "map[string]int", "--json", "--memory", "direct")
    assert one.code == 0, one
    refused(crashed, tmp_path, one.out, "not a saved census")
