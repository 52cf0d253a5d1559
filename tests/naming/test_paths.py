"""Paths behind package variables: fields, elements of arrays and slices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures import build, start
from inspector import inspect, open_target
from inspector.errors import UnknownVariable
from inspector.gotypes.render import go_form


@pytest.fixture(scope="module")
def serving() -> Iterator:
    with start(build("serving")) as running, open_target(str(running.pid)) as target:
        yield target


@pytest.mark.parametrize(
    ("path", "entries"),
    [
        ("main.front.cache", ['"a"']),
        ("main.front.inner.cache", ['"b"']),
        ("main.front.parts[0].table", ["0"]),
        ("main.front.parts[1].table", ["1", "2"]),
        ("main.shards[2].table", ["1", "2"]),
    ],
)
def test_a_path_leads_through_fields_and_elements_to_its_map(serving, path, entries):
    assert sorted(go_form(entry.key) for entry in inspect(serving, path).entries()) == entries


@pytest.mark.parametrize("path", ["main.front.parts[2].table", "main.shards[3].table", "main.front.parts[9].table"])
def test_an_element_behind_the_last_one_is_not_read(serving, path):
    with pytest.raises(UnknownVariable, match="out of range"):
        inspect(serving, path)
