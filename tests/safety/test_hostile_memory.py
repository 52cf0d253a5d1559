"""Cores and executables that lie about themselves: an answer or a clear error, soon, and with little memory."""

from __future__ import annotations

import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from benchmarks.fuzz.campaign import KINDS, Campaign
from benchmarks.fuzz.images import Change, Copies, Image, copy_sparse
from benchmarks.fuzz.trying import Outcome, Question, attempt
from fixtures import SWISS_RELEASES, USUAL, Core, build, cached_core, find
from inspector.goruntime import types as schema
from inspector.goruntime.dtypes import dtype_of
from inspector.gotypes.gotype import GoType, Kind
from inspector.inspection.one_map import inspect
from inspector.memory.corefile import CoreFile
from inspector.memory.elfheaders import program_header
from inspector.memory.elfnotes import NT_FILE, file_count, file_entry, note_header
from inspector.target.opening import open_target
from tests.support.chance import unforeseen

FAMILIES = [pytest.param(USUAL, id="classic"), pytest.param(SWISS_RELEASES[-1], id="swiss")]
MILLION = 1_000_000
SECONDS = 10.0
MEMORY = 300 << 20
BOMB = 512 << 20

NO_TYPE = {("error", "BadType"), ("error", "UnknownType")}
"""How it ends where a map's type is damaged beyond use."""


class Damaged:
    """The core and the executable of a fixture program, of which bytes are overwritten for each question."""

    def __init__(self, core: Core, folder: Path) -> None:
        self.core = core
        self.copies = Copies(Image("image", "", core.path, core.exe, core.exe, core.truth["maps"]), folder)

    def asked(self, changes: list[Change], question: Question) -> Outcome:
        """What becomes of a question, which has to end soon and to need little memory."""
        with self.copies.damaged(changes):
            outcome = attempt(self.copies, question)
        assert outcome.seconds < SECONDS
        assert outcome.memory < MEMORY
        return outcome

    def by_type(self, name: str) -> Question:
        """The question about a map by its address and type."""
        told = find(self.core.truth, name)
        return Question("type", told["address"], told["type"])


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Damaged:
    return Damaged(cached_core(build("plain")), tmp_path_factory.mktemp("plain"))


# Files


def with_files(core: Core, path: Path, count: int) -> Path:
    """A copy of a core whose NT_FILE note lists so many files more."""
    copy_sparse(core.path, path)
    with path.open("r+b") as file:
        elf = ELFFile(file)
        number, segment = next((n, s) for n, s in enumerate(elf.iter_segments()) if s["p_type"] == "PT_NOTE")
        kept, listed = b"", b""
        for note in segment.iter_notes():
            file.seek(note["n_offset"])
            raw = file.read(note["n_size"])
            kept, listed = (kept, note["n_descdata"]) if note["n_type"] == "NT_FILE" else (kept + raw, listed)
        head = file_count.parse(listed)
        old = slice(file_count.sizeof(), file_count.sizeof() + head.count * file_entry.sizeof())
        rows = np.zeros(count, dtype_of(file_entry))
        rows["start"] = (1 << 45) + (np.arange(count, dtype=np.uint64) << np.uint64(13))
        rows["end"] = rows["start"] + np.uint64(4096)
        names = b"".join(b"/usr/lib/library-%d.so\0" % at for at in range(count))
        files = file_count.build({"count": head.count + count, "page_size": head.page_size})
        files += rows.tobytes() + listed[old] + names + listed[old.stop :]
        note = note_header.build({"n_namesz": 5, "n_descsz": len(files), "n_type": NT_FILE}) + b"CORE\0\0\0\0"
        notes = kept + note + files + bytes(-len(files) % 4)
        at = file.seek(0, 2)
        file.write(notes)
        header = elf["e_phoff"] + number * program_header.sizeof()
        for field, value in ((8, at), (32, len(notes))):
            file.seek(header + field)
            file.write(struct.pack("<Q", value))
    return path


@pytest.mark.slow
def test_a_core_that_lists_a_million_mapped_files_is_opened_as_soon_as_any(tmp_path):
    core = cached_core(build("plain"))
    path = with_files(core, tmp_path / "core", MILLION)
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open_target(str(path), memory="direct") as target:
        spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime - used.ru_utime
        assert isinstance(target.memory, CoreFile)
        mappings = target.memory.mappings
        assert len(mappings) > MILLION
        assert mappings[7].path == "/usr/lib/library-7.so"
        assert target.program.image.path == str(core.exe)
        assert inspect(target, "main.words").judgement.verdict == "consistent"
    print(f"opened in {spent:.2f} s of the processor")


@pytest.mark.parametrize("count", [1 << 32, (1 << 64) - 1])
def test_a_note_that_announces_more_files_than_it_has_costs_the_list_and_not_the_answer(plain, count):
    with plain.core.path.open("rb") as file:
        segment = next(s for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_NOTE")
        note = next(note for note in segment.iter_notes() if note["n_type"] == "NT_FILE")
        at = note["n_offset"] + note["n_size"] - len(note["n_descdata"]) - (-len(note["n_descdata"]) % 4)
    outcome = plain.asked([Change("core", at, struct.pack("<Q", count))], plain.by_type("words"))
    assert (outcome.sort, outcome.what) == ("verdict", "consistent")


def header_of(exe: Path, name: str) -> tuple[int, int, int]:
    """Where the header of a section is, and where its bytes are and how many."""
    with exe.open("rb") as file:
        elf = ELFFile(file)
        number, section = next((n, s) for n, s in enumerate(elf.iter_sections()) if s.name == name)
        return elf["e_shoff"] + number * elf["e_shentsize"], section["sh_offset"], section["sh_size"]


@pytest.mark.parametrize("size", [0, 1, 1 << 33, (1 << 64) - 1])
def test_debug_information_that_does_not_unpack_to_what_it_announces_is_said_to_be_unreadable(plain, size):
    _, at, _ = header_of(plain.core.exe, ".debug_info")
    question = Question("name", "main.words")
    assert plain.asked([], question).what == "consistent"
    outcome = plain.asked([Change("exe", at + 8, struct.pack("<Q", size))], question)
    assert (outcome.sort, outcome.what) == ("error", "UnknownVariable")
    assert "cannot be read: .debug_info" in outcome.details


@pytest.mark.parametrize(
    ("announced", "words"),
    [(BOMB, f".debug_info would unpack to {BOMB:,} bytes"), (4096, ".debug_info does not unpack to the 4,096 bytes")],
)
def test_debug_information_that_becomes_much_more_is_not_unpacked(plain, announced, words):
    header = header_of(plain.core.exe, ".debug_info")[0]
    end = plain.core.exe.stat().st_size
    packer = zlib.compressobj(1)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(BOMB >> 20)) + packer.flush()
    changes = [
        Change("exe", end, struct.pack("<IIQQ", 1, 0, announced, 1) + bomb),
        Change("exe", header + 24, struct.pack("<QQ", end, 24 + len(bomb))),
    ]
    outcome = plain.asked(changes, Question("name", "main.words"))
    assert (outcome.sort, outcome.what) == ("error", "UnknownVariable")
    assert words in outcome.details


def test_compressed_bytes_that_were_overwritten_cost_the_names_and_not_the_answer(plain):
    changes = []
    for name in (".debug_info", ".debug_abbrev"):
        _, at, size = header_of(plain.core.exe, name)
        changes.append(Change("exe", at + size // 2, b"\xff" * 16))
    assert plain.asked(changes, plain.by_type("words")).what == "consistent"
    assert plain.asked(changes, Question("name", "main.words")).what == "UnknownVariable"
    assert plain.asked(changes, Question("census")).sort == "verdict"


@pytest.mark.parametrize("value", [1 << 47, (1 << 63) + 1, (1 << 64) - 1])
@pytest.mark.parametrize("field", [8, 16, 32, 40], ids=["offset", "address", "size in the file", "size in memory"])
def test_a_segment_that_lies_nowhere_is_no_segment(plain, field, value):
    for name, path in (("exe", plain.core.exe), ("core", plain.core.path)):
        with path.open("rb") as file:
            elf = ELFFile(file)
            loads = [n for n, s in enumerate(elf.iter_segments()) if s["p_type"] == "PT_LOAD"]
            at = elf["e_phoff"] + loads[-1] * elf["e_phentsize"] + field
        outcome = plain.asked([Change(name, at, struct.pack("<Q", value))], plain.by_type("words"))
        assert not outcome.failed, outcome.details


# Types


class Typed(Damaged):
    """A program with many types: where their descriptors are, and which map has elements of which type."""

    def __init__(self, core: Core, folder: Path) -> None:
        super().__init__(core, folder)
        with open_target(str(core.path), exe=str(core.exe), memory="direct") as target:
            types = target.program.types
            self.segments = target.program.image.segments
            known = {each.name: types.elem(each) for each in types.map_types}
            self.elements = {
                told["name"]: known[told["type"]]
                for told in core.truth["maps"]
                if int(told["address"], 16) and told["type"] in known
            }
            self.fields = {
                name: struct.unpack("<Q", target.memory.read(elem.address + schema.rtype.sizeof() + 8, 8))[0]
                for name, elem in self.elements.items()
                if elem.kind == Kind.STRUCT
            }

    def of_kind(self, kind: Kind) -> tuple[str, GoType]:
        """A map whose elements are of a kind, and their type."""
        return next((name, elem) for name, elem in self.elements.items() if elem.kind == kind and elem.size)

    def change(self, address: int, word: int) -> Change:
        """A word of the executable's read-only memory that is overwritten."""
        segment = next(s for s in self.segments if 0 <= address - s.address < s.file_size)
        return Change("exe", segment.offset + address - segment.address, struct.pack("<Q", word))


@pytest.fixture(scope="module", params=FAMILIES)
def typed(request, tmp_path_factory) -> Typed:
    name = "states" if request.param == USUAL else "swissstates"
    return Typed(cached_core(build(name, request.param)), tmp_path_factory.mktemp("typed"))


@pytest.mark.parametrize("kind", [Kind.STRUCT, Kind.ARRAY, Kind.STRING, Kind.SLICE, Kind.INTERFACE, Kind.POINTER])
def test_a_type_whose_size_is_not_that_of_its_parts_is_none(typed, kind):
    name, elem = typed.of_kind(kind)
    for size in (0, elem.size - 1, 1 << 39, (1 << 64) - 1):
        outcome = typed.asked([typed.change(elem.address, size)], typed.by_type(name))
        assert (outcome.sort, outcome.what) in NO_TYPE, (size, outcome)


@pytest.mark.parametrize("length", [0, 1 << 40, (1 << 64) - 1])
def test_an_array_of_a_length_that_does_not_fit_its_size_is_none(typed, length):
    name, elem = typed.of_kind(Kind.ARRAY)
    at = elem.address + schema.array_type.sizeof() - 8
    outcome = typed.asked([typed.change(at, length)], typed.by_type(name))
    assert (outcome.sort, outcome.what) in NO_TYPE, outcome


def test_a_struct_that_is_a_part_of_itself_is_no_type(typed):
    name = max(typed.fields, key=lambda each: len(typed.elements[each].fields))
    elem, size = typed.elements[name], schema.struct_field.sizeof()
    assert len(elem.fields) >= 2
    changes = [typed.change(typed.fields[name] + at * size + 8, elem.address) for at in range(len(elem.fields))]
    outcome = typed.asked(changes, typed.by_type(name))
    assert (outcome.sort, outcome.what) in NO_TYPE, outcome


# Everything


@pytest.mark.slow
def test_a_hundred_damaged_images_end_in_an_answer_or_in_an_error_of_ours(tmp_path):
    campaign = Campaign(unforeseen().randrange(1 << 32), ("classic", "swiss"), KINDS, tmp_path)
    cases = [campaign.run(number) for number in range(100)]
    assert not [str(case) for case in cases if case.outcome.failed]
