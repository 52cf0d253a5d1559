"""The seam: which family a release makes, and what is the same for every family."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from inspector.goruntime.releases import Release
from inspector.maps.families import family_of
from inspector.maps.family import Arena, Headers, Sample

pytestmark = pytest.mark.pure


CLASSIC = ("classic", "hmap")
SWISS = ("swiss", "Map")


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("go1.19", CLASSIC),
        ("go1.23.9", CLASSIC),
        ("go1.25.5 X:noswissmap", CLASSIC),
        ("go1.24.11", SWISS),
        ("go1.25.5", SWISS),
        ("go1.26.6-X:nogreenteagc", SWISS),
        ("go1.27.3", SWISS),
    ],
)
def test_a_family_is_a_module_that_names_itself(version, names):
    family = family_of(Release.parse(version))
    assert isinstance(family, ModuleType)
    assert names == (family.NAME, family.HEADER)


@pytest.mark.parametrize(("version", "limit"), [("go1.20.14", 6.5), ("go1.21.13", 6.0), ("go1.22.10", 6.5)])
def test_a_nil_map_has_the_load_limit_of_its_release(version, limit):
    account = family_of(Release.parse(version)).nothing(Release.parse(version))
    assert (account.load_limit, account.growth_form["load_factor_limit"]) == (limit, limit)
    assert (account.live, account.growing, account.bytes.total, account.state) == (0, False, 0, "")


@pytest.mark.parametrize(("version", "size"), [("go1.19", 48), ("go1.25.5 X:noswissmap", 56)])
def test_a_header_is_read_from_words_wherever_it_lies_among_them(version, size):
    release = Release.parse(version)
    family = family_of(release)
    row = np.zeros(1, family.header_dtype(release))
    assert row.dtype.itemsize == size
    row["count"], row["B"], row["hash0"], row["buckets"] = 3, 1, 77, 0xC000010000
    words = np.concatenate([np.zeros(5, np.uint64), row.view(np.uint64), np.full(9, 1 << 63, np.uint64)])
    found = family.candidates(words, 0xC000000000, Arena(0xC000000000, 0xC004000000), release)
    assert found.addresses.tolist() == [0xC000000000 + 5 * 8]
    header = family.header_of(found.rows[0])
    assert (header.count, header.seed, header.storage, header.writing) == (3, 77, 0xC000010000, False)
    assert (family.seeds(found.rows).tolist(), family.storage(found.rows).tolist()) == ([77], [0xC000010000])
    assert family.provable(found.rows).tolist() == [True]


def test_headers_that_were_found_twice_are_joined_once_and_in_order():
    rows = np.array([(1,), (2,), (3,)], [("count", "<u8")])
    parts = [Headers(np.array([16, 48], np.uint64), rows[:2]), Headers(np.array([8, 48], np.uint64), rows[1:])]
    joined = Headers.joined(parts, rows.dtype)
    assert joined.addresses.tolist() == [8, 16, 48]
    assert joined.without([16]).addresses.tolist() == [8, 48]
    assert len(Headers.joined([], rows.dtype)) == 0


def test_the_first_cells_of_each_map_are_taken_however_many_others_have():
    owner = np.array([0, 0, 0, 2, 3, 3])
    slots = np.arange(6, dtype=np.uint8).reshape(6, 1)
    seats = np.zeros(6, [("cell", "u1")])
    few = Sample(owner, slots, slots, seats, np.ones(4, dtype=bool)).first(2)
    assert (few.owner.tolist(), few.keys[:, 0].tolist()) == ([0, 0, 2, 3, 3], [0, 1, 3, 4, 5])
    assert few.possible.tolist() == [True] * 4


@pytest.mark.parametrize(("version", "flag"), [("go1.24.11", 0), ("go1.27.3", 1)])
@pytest.mark.parametrize(("used", "depth"), [(3, None), (8, None), (700, 0), (90_000, 7)])
def test_a_swiss_header_is_found_among_words_in_every_form(version, flag, used, depth):
    release = Release.parse(version)
    family = family_of(release)
    row = np.zeros(1, family.header_dtype(release))
    assert row.dtype.itemsize == 48
    row["used"], row["seed"], row["dirPtr"] = used, 1 << 63, 0xC000010000
    if depth is not None:
        row["dirLen"], row["globalDepth"], row["globalShift"] = 1 << depth, depth, 64 - depth
        if flag:
            row["tombstonePossible"] = 1
    words = np.concatenate([np.zeros(5, np.uint64), row.view(np.uint64), np.full(9, 1 << 63, np.uint64)])
    arena = Arena(0xC000000000, 0xC004000000)
    found = family.candidates(words, 0xC000000000, arena, release)
    assert found.addresses.tolist() == [0xC000000000 + 5 * 8]
    header = family.header_of(found.rows[0])
    assert (header.count, header.seed, header.storage, header.writing) == (used, 1 << 63, 0xC000010000, False)
    for broken in ("globalDepth", "globalShift", "padding", "writing", "dirLen", "seed"):
        changed = row.copy()
        changed[broken] = 0 if broken == "seed" else 77
        assert not family.plausible(changed, arena).any(), broken
