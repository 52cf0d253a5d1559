"""What a notebook shows of a target, a map and a census: a few rows, and nothing that a browser would obey."""

from __future__ import annotations

import struct
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector import Target, open_target, take_census
from tests.support.demo import Demo

HOSTILE = "<script>alert('a')</script>&\x1b\u202e\udcff"
SHOWN = r"<script>alert('a')</script>&\x1b\u202e\xff"
"""A name as a target may have it, and the text that stands for it on the page."""


class Page(HTMLParser):
    """The tags of a page, and its cells as they are read."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert attrs == []
        self.tags.append(tag)
        if tag in ("td", "th", "p"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.cells[-1] += data


HARMLESS = {"p", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.fixture
def target(demo: Demo) -> Target:
    """The demo core, as Python users have it."""
    return Target(**vars(demo.target))


@pytest.mark.pure
def test_a_target_is_shown_in_a_line_and_in_a_few_facts(target):
    assert repr(target) == "<core dump of sessions-service (go1.23.9)>"
    page = Page(replace(target, notes=(HOSTILE,))._repr_html_())
    assert set(page.tags) <= HARMLESS
    assert page.cells[0] == "core dump of sessions-service (go1.23.9)"
    assert page.cells[-2:] == ["note", SHOWN]


@pytest.mark.pure
def test_a_map_is_shown_by_its_first_entries_and_the_rest_is_counted(target):
    sessions = target.map("main.sessions", "map[string]int")
    page = Page(sessions._repr_html_())
    assert page.cells[:3] == ["map[string]int main.sessions: 209 entries, consistent", "key", "element"]
    shown = page.cells[3:-1]
    assert list(zip(shown[::2], shown[1::2], strict=True)) == [
        (repr(key), repr(value)) for key, value in list(sessions.items())[:20]
    ]
    assert page.cells[-1] == "and 189 more"


@pytest.mark.pure
def test_a_nil_map_is_shown_without_entries(target):
    page = Page(target.map("0x0", "map[string]int")._repr_html_())
    assert page.cells == ["map[string]int at 0x0: nil, consistent", "key", "element"]


@pytest.mark.pure
def test_names_of_a_census_are_shown_as_text_whatever_they_are(demo):
    census = take_census(demo.target)
    page = Page(census._repr_html_())
    assert page.cells[0] == "core dump of sessions-service (go1.23.9): 6 maps, 234 entries, 23.5 KiB"
    assert page.cells[7:13] == ["main.sessions", "map[string]int", "1", "209", "22,328", "8,112"]
    hostile = replace(census, maps=(replace(census.maps[0], name=HOSTILE, type=f"map[{HOSTILE}]int"),))
    for shown in (hostile._repr_html_(), hostile.diff(census)._repr_html_()):
        page = Page(shown)
        assert set(page.tags) <= HARMLESS
        assert {SHOWN, f"map[{SHOWN}]int"} <= set(page.cells)
        assert shown.isascii() or "\u202e" not in shown


@pytest.mark.pure
def test_a_long_census_is_cut_and_says_so(demo):
    census = take_census(demo.target)
    many = replace(census, maps=tuple(replace(census.maps[0], name=f"main.m{number}") for number in range(1234)))
    page = Page(many._repr_html_())
    assert page.cells[-1] == "and 1,214 more"
    assert page.tags.count("tr") == 1 + 20


@pytest.mark.pure
def test_a_long_name_is_cut(demo):
    census = take_census(demo.target)
    long = replace(census, maps=(replace(census.maps[0], name="main." + "x" * 10_000),))
    assert f"main.{'x' * 115}..." in Page(long._repr_html_()).cells


@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=lambda toolchain: toolchain.name)
def test_a_hostile_key_is_shown_as_text(toolchain):
    with start(build("elements", toolchain)) as running:
        with open_target(running.pid, memory="direct") as target:
            at, length = struct.unpack("<QQ", target["main.sizes"].raw("small").key)
        # One of some 128 keys may stand where another does: its hash has the same seven bits.
        for last in (0xFF, 0xFE, 0xFD, 0xFC):
            with open(f"/proc/{running.pid}/mem", "r+b", buffering=0) as memory:
                memory.seek(at)
                memory.write((b"<b>\x1b" + bytes([last]))[:length])
            with open_target(running.pid, memory="direct") as target:
                sizes = target["main.sizes"]
            if sizes.verdict == "inconsistent":
                break
    page = Page(sizes._repr_html_())
    assert set(page.tags) <= HARMLESS
    assert page.cells[3:] == [rf"'<b>\x1b\udc{last:02x}'", "200"]
    assert sizes.verdict == "inconsistent"
