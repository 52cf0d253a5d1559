"""Memory of real maps, of which words are overwritten by what does most harm: an answer or an error of ours, soon."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.faults.patched import PatchedMemory
from fixtures import SWISS_RELEASES, USUAL, build, cached_core
from inspector.errors import InspectError
from inspector.gotypes.layouts import ClassicLayout, SwissLayout
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.memory.protocol import Memory
from inspector.report.json.one_key import write_lookup
from inspector.report.json.one_map import write_json, write_ndjson
from inspector.report.text.one_key import print_lookup
from inspector.report.text.one_map import print_report
from inspector.target.opening import open_target
from inspector.target.target import Target
from tests.support.chance import unforeseen

EXAMPLES = 60
"""Damaged maps of each family in every run of the tests."""

MANY = 5000
WORD = 8
MOST_GROUPS = 16
"""Buckets or groups of one array that are damaged."""

PROCESSOR = 20.0
"""Seconds after which an answer counts as one that never comes."""

HUGE = (
    0, 1, 7, 8, 9, 255, 1 << 16, 1 << 20, 1 << 24, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 47) - 8, 1 << 47,
    1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1,
)  # fmt: skip
"""Counts, lengths and addresses at which checks go wrong."""


class Endless(BaseException):
    """An answer did not come in time."""


@dataclass(frozen=True)
class Damaged:
    """A map of a core with some of its words overwritten: (address, size, value), and what is asked about it."""

    told: dict[str, Any]
    words: tuple[tuple[int, int, int], ...]
    way: str

    def __repr__(self) -> str:
        words = ", ".join(f"{address:#x}[{size}]={value:#x}" for address, size, value in self.words)
        return f"{self.told['name']} {self.told['type']} at {self.told['address']}, {self.way}: {words}"

    @property
    def patches(self) -> dict[int, int]:
        """The bytes by address."""
        return {
            address + at: byte
            for address, size, value in self.words
            for at, byte in enumerate(value.to_bytes(size, "little"))
        }


class Images:
    """An opened core, the ranges (address, size) that each of its maps consists of, and addresses worth leading to."""

    def __init__(self, target: Target, maps: list[dict[str, Any]]) -> None:
        self.target, self.sound = target, target.memory
        self.ranges: dict[int, list[tuple[int, int]]] = {}
        for number, told in enumerate(maps):
            try:
                layout = target.program.types.find_map_type(told["type"]).layout
            except InspectError:
                continue
            if int(told["address"], 16):
                self.ranges[number] = [each for each in _ranges(told, layout) if _readable(self.sound, *each)]
        self.maps = [maps[number] for number in self.ranges]
        self.parts = list(self.ranges.values())
        self.anywhere = sorted({start for ranges in self.parts for start, _ in ranges})

    def changes(self) -> st.SearchStrategy[Damaged]:
        """Maps with one to eight words overwritten."""
        return st.integers(0, len(self.maps) - 1).flatmap(self._changes_of)

    def _changes_of(self, number: int) -> st.SearchStrategy[Damaged]:
        word = st.sampled_from(self.parts[number]).flatmap(lambda part: self._word(number, *part))
        told = self.maps[number]
        # A map that a variable holds is inspected however odd its header is.
        ways = st.sampled_from(
            ["name"] * 4 * bool(told["variable"])
            + ["type", "all entries", "address"]
            + ["key"] * 2 * bool(_key(told["type"]))
        )
        words = st.lists(word, min_size=1, max_size=8).map(tuple)
        return st.builds(Damaged, st.just(told), words, ways)

    def _word(self, number: int, start: int, size: int) -> st.SearchStrategy[tuple[int, int, int]]:
        """A word of a range: random, huge, a place of its own map, of another, or itself."""

        def at(index: int) -> st.SearchStrategy[tuple[int, int, int]]:
            address = start + index * WORD
            own = [place + step for place, length in self.parts[number] for step in (0, WORD, length - WORD)]
            value = st.one_of(
                st.integers(0, (1 << 64) - 1),
                st.sampled_from(HUGE),
                st.sampled_from(own),
                st.sampled_from(self.anywhere),
                st.sampled_from((address, address - WORD, address + WORD, start)),
            )
            whole = value.map(lambda word: (address, WORD, word % (1 << 64)))
            byte = st.tuples(st.integers(0, WORD - 1), st.integers(0, 255)).map(lambda b: (address + b[0], 1, b[1]))
            return st.one_of(whole, whole, byte)

        return st.integers(0, max(0, size // WORD - 1)).flatmap(at)

    def answer(self, damaged: Damaged) -> str:
        """What becomes of the question, in every form that an answer has: a verdict, or the class of an error."""
        told, paper, screen = damaged.told, io.StringIO(), Console(file=io.StringIO(), width=120)
        text = told["variable"] if damaged.way in ("name", "all entries") and told["variable"] else told["address"]
        go_type = None if damaged.way == "address" else told["type"]
        self.target.memory = PatchedMemory(self.sound, damaged.patches)
        try:
            if damaged.way == "key":
                found = look_up(self.target, text, _key(told["type"]), go_type)
                write_lookup(found, paper)
                print_lookup(found, screen)
                return str(found.present)
            entries = None if damaged.way == "all entries" else 20
            inspection = inspect(self.target, text, go_type, entries=entries)
            write_json(inspection, paper)
            json.loads(paper.getvalue())
            write_ndjson(inspection, paper)
            print_report(inspection, screen)
            return inspection.judgement.verdict
        except InspectError as error:
            paper.write(str(error))
            return type(error).__name__
        finally:
            self.target.memory = self.sound


def _key(type_name: str) -> str:
    """A key that a map of a type may have, nothing where that takes more thought."""
    keys = {
        "map[string]": "key-1",
        "map[int]": "7",
        "map[int64]": "7",
        "map[int32]": "7",
        "map[interface {}]": "int(7)",
    }
    return next((key for start, key in keys.items() if type_name.startswith(start)), "")


def _ranges(told: dict[str, Any], layout: object) -> Iterator[tuple[int, int]]:
    """What a map consists of, by what its program said of it: address and bytes of each part."""
    yield int(told["address"], 16), 48
    if isinstance(layout, ClassicLayout) and told.get("header"):
        header = told["header"]
        rows = min(1 << header["B"], MOST_GROUPS)
        for name in ("buckets", "oldbuckets"):
            if header[name]:
                yield int(header[name], 16), rows * layout.bucket_size
        if header["extra"]:
            yield int(header["extra"]["address"], 16), 3 * WORD
    elif isinstance(layout, SwissLayout) and told.get("swiss"):
        words = told["swiss"]
        if words["directory"]:
            yield int(words["header"]["dirPtr"], 16), len(words["directory"]) * WORD
        for table in words["tables"][:MOST_GROUPS]:
            yield int(table["address"], 16), 4 * WORD
            yield int(table["groups"], 16), min(table["lengthMask"] + 1, MOST_GROUPS) * layout.group_size
        if words["group"]:
            yield int(words["group"]["address"], 16), layout.group_size


def _readable(memory: Memory, address: int, size: int) -> bool:
    try:
        memory.read(address, size)
    except InspectError:
        return False
    return True


@contextmanager
def in_time() -> Iterator[None]:
    """Raise Endless in a block that takes the processor for too long; what waits does not count."""

    def end(*_: object) -> None:
        raise Endless(f"no answer after {PROCESSOR:.0f} s of the processor")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.fixture(
    scope="module", params=[pytest.param(USUAL, id="classic"), pytest.param(SWISS_RELEASES[-1], id="swiss")]
)
def images(request) -> Iterator[Images]:
    core = cached_core(build("states" if request.param == USUAL else "swissstates", request.param))
    with open_target(str(core.path), exe=str(core.exe), memory="direct") as target:
        yield Images(target, core.truth["maps"])


def try_many(images: Images, examples: int) -> dict[str, int]:
    """How often so many questions about damaged maps ended in which way."""
    endings: dict[str, int] = {}

    @seed(unforeseen().randrange(1 << 32))
    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(images.changes())
    def ask(damaged: Damaged) -> None:
        with in_time():
            ending = images.answer(damaged)
        endings[ending] = endings.get(ending, 0) + 1

    ask()
    print(endings)
    return endings


@pytest.mark.slow
def test_damaged_maps_end_in_an_answer_or_in_an_error_of_ours(images):
    endings = try_many(images, EXAMPLES)
    assert endings["inconsistent"] > 0


@pytest.mark.matrix
def test_thousands_of_damaged_maps_end_in_an_answer_or_in_an_error_of_ours(images):
    endings = try_many(images, MANY)
    assert endings["inconsistent"] > 0
