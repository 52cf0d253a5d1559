"""What a mapping answers beside its entries is what the program counts, finds and holds."""

from __future__ import annotations

import struct
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from fixtures import SWISS_RELEASES, USUAL, Running, build, start
from inspector import Raw, Repeated, Sized, Target, UnreadableMemory, UsageError, open_target
from inspector.gotypes.redaction import Redactor, redacting
from tests.support.demo import Demo
from tests.support.questions import answer_of

BOTH = [pytest.param(each, id=each.name) for each in (USUAL, SWISS_RELEASES[-1])]
PARTS = {"size": ("key", "value"), "key-size": ("key",), "value-size": ("value",)}


@pytest.fixture(scope="module", params=BOTH)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The program that counts for itself, with maps of either family."""
    with start(build("questions", request.param)) as started:
        yield started


@pytest.fixture(scope="module")
def target(running: Running) -> Iterator[Target]:
    with open_target(running.pid, memory="direct") as opened:
        yield opened


@pytest.fixture
def asked(demo: Demo) -> Target:
    """The demo core, as Python users have it."""
    return Target(**vars(demo.target))


@pytest.mark.parametrize("by", PARTS)
def test_top_gives_the_entries_that_the_program_counts_as_the_largest(running, target, by):
    told = answer_of(running.truth, "weights")["blobs"]
    blobs = target["main.blobs"]
    found = blobs.top(12, by)
    sizes = {"size": "bytes", "key-size": "key_bytes", "value-size": "value_bytes"}
    largest = sorted((sum(one[part] for part in PARTS[by]) for one in told), reverse=True)
    assert [getattr(one, sizes[by]) for one in found] == largest[:12]
    assert {one.key: one.value for one in found}.items() <= blobs.items()
    every = blobs.top(1000, by)
    assert Counter((one.key_bytes, one.value_bytes) for one in every) == Counter((e["key"], e["value"]) for e in told)
    assert all(one.bytes == one.key_bytes + one.value_bytes for one in every)
    assert every.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("values", [False, True])
def test_grep_finds_what_gos_own_regexp_finds(running, target, values):
    for expression, told in answer_of(running.truth, "searched").items():
        for name in ("words", "bytesOf", "owners", "mixed"):
            mapping = target[f"main.{name}"]
            found = mapping.grep(expression, values)
            wanted = told["entries"].get(name, 0) if values else len(told["keys"].get(name, []))
            assert len(found) == wanted, (expression, name)
            assert dict(found).items() <= mapping.items()
            assert found.notes == (("1 text searched in the first 65,536 characters only",) if name == "words" else ())


def test_duplicates_are_the_copies_that_the_program_made(running, target):
    doubled = {bytes.fromhex(text) for text in answer_of(running.truth, "doubles")}
    cities = target["main.cities"]
    found = cities.duplicates()
    # Each is a fresh copy, but for one that all share.
    times = Counter(city for city in cities.values() if city != "shared by all")
    assert {text.encode(errors="surrogateescape") for text in times} <= doubled
    assert {one.text: (one.times, one.copies) for one in found} == {text: (n, n) for text, n in times.items()}
    assert [one.gives_back for one in found] == sorted(((one.copies - 1) * one.bytes for one in found), reverse=True)
    assert target["main.overlap"].duplicates() == (Repeated("abc", times=3, copies=2, bytes=3, gives_back=3),)
    assert found.notes == ()


def test_the_raw_bytes_of_an_entry_are_those_that_the_process_has(running, target):
    words = target["main.words"]
    raw = words.raw("needle-7")
    key, value = (struct.unpack("<QQ", part) for part in raw)
    with open(f"/proc/{running.pid}/mem", "rb", buffering=0) as memory:
        held = [(memory.seek(at), memory.read(length))[1] for at, length in (key, value)]
    assert held == [b"needle-7", b"hay"]
    assert target["main.bytesOf"].raw(7).key == struct.pack("<q", 7)
    assert struct.unpack("<QQQ", target["main.bytesOf"].raw(7).value)[1] == len("needle-7")
    # Keys and elements this large are stored apart: the bytes are theirs, and not a pointer's.
    wides = target["main.wides"]
    for wide in list(wides)[:3]:
        raw = wides.raw(wide)
        assert (raw.key, len(raw.value), raw.value[:200]) == (wide, 216, bytes(200))
        assert struct.unpack("<Q", raw.value[208:])[0] == len(wides[wide].Text)


@pytest.mark.parametrize("toolchain", BOTH)
def test_raw_finds_a_key_as_brackets_do(run, toolchain):
    with open_target(run("elements", toolchain).pid, memory="direct") as target:
        assert target["main.points"].raw(7) == (struct.pack("<q", 7), struct.pack("<qq", 1, -2))
        assert target["main.open"].raw(-1) == Raw(key=b"\xff", value=b"\x01")
        assert target["main.wide"].raw(3).value == bytes(149) + b"\x95"
        with pytest.raises(KeyError):
            target["main.open"].raw(3)
        with pytest.raises(KeyError):
            target.map("0x0", "map[string]int").raw("anything")


def test_raw_does_not_choose_among_keys_that_are_one_in_python(run):
    with open_target(run().pid, memory="direct") as target:
        mapping = target["main.keyInterface"]
    with pytest.raises(UsageError, match="3 keys of the map"):
        mapping.raw(1)


def test_an_element_that_was_stored_apart_and_is_lost_has_no_raw_bytes():
    with start(build("elements", USUAL)) as running:
        with open_target(running.pid, memory="direct") as target:
            at = target["main.wide"].inspection.snapshot.slots()
        first, held = int(at.keys[0]), struct.pack("<Q", int(at.elem_values[0]))
        with open(f"/proc/{running.pid}/mem", "r+b", buffering=0) as memory:
            # Behind eight keys of four bytes there are as many pointers to elements: this one is made to lead nowhere.
            memory.seek(first)
            slot = first + memory.read(8 * 4 + 8 * 8).index(held)
            memory.seek(slot)
            memory.write(struct.pack("<Q", 8))
        with open_target(running.pid, memory="direct") as target:
            mapping = target["main.wide"]
        with pytest.raises(UnreadableMemory, match="cannot read 150 bytes at 0x8"):
            mapping.raw(3)


@pytest.mark.pure
def test_questions_of_a_mapping_work_after_its_target_is_closed_and_in_other_threads(asked):
    sessions = asked.map("main.sessions", "map[string]int")
    found: list[tuple[str, int]] = []
    asking = threading.Thread(target=lambda: found.extend(sessions.grep("^session-000[67]$")))
    asking.start()
    asking.join()
    assert sorted(found) == [("session-0006", 6), ("session-0007", 8)]
    assert sessions.top(1, "value-size") == (Sized("session-0007", 8, 36, 28, 8),)
    assert sessions.duplicates() == ()


@pytest.mark.pure
@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda one: one.grep("("), r"'\(' is not a regular expression"),
        (lambda one: one.top(3, "weight"), "by is 'weight' .*'size', 'key-size', 'value-size'"),
        (lambda one: one.top(-1), "no -1 entries"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(asked, ask, words):
    with pytest.raises(UsageError, match=words):
        ask(asked.map("main.sessions", "map[string]int"))


@pytest.mark.pure
def test_a_mapping_whose_values_are_hidden_answers_no_question_that_shows_them(asked):
    with redacting(Redactor.random()):
        sessions = asked.map("main.sessions", "map[string]int")
    key = next(iter(sessions))
    for ask in (sessions.top, sessions.duplicates, lambda: sessions.grep("7"), lambda: sessions.raw(key)):
        with pytest.raises(UsageError, match="copied where values are hidden"):
            ask()


@pytest.mark.pure
def test_a_nil_map_answers_every_question_with_nothing(asked):
    nothing = asked.map("0x0", "map[string]int")
    assert nothing.top() == nothing.grep("") == nothing.duplicates() == ()
