"""The compiled kernel computes what numpy does, bit by bit, and everything works without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inspector.hashing import kernel
from inspector.hashing.aes import AesHash
from inspector.hashing.fallback import FallbackHash, OldFallbackHash
from inspector.hashing.kernel import CompiledAesHash, kernel_name
from inspector.hashing.repeated import FEW, repeated
from inspector.memory.compiled import NUMPY, SWITCH
from tests.support.chance import unforeseen

ROOT = Path(kernel.__file__).parent.parent.parent
LENGTHS = [*range(700), 1023, 1024, 1025, 1 << 16, (1 << 16) + 1, 100_001]
"""Each length up to several times 128 bytes, and such that do not fit into the 16 bits that are mixed in."""


@pytest.fixture(scope="module")
def compiled():
    """Makes the compiled hash functions of a schedule."""
    library, why_not = kernel._loaded()
    if library is None and shutil.which("cc") is None:
        pytest.skip(f"there is no C compiler, so {why_not}")
    assert library is not None, why_not
    return lambda schedule: CompiledAesHash(schedule, library)


def numbers(dice, count):
    return np.array([dice.randrange(1 << 64) for _ in range(count)], np.uint64)


def octets(dice, *shape):
    return np.frombuffer(dice.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)


@pytest.mark.pure
def test_rows_of_every_length_hash_alike_with_both_kernels(compiled):
    dice = unforeseen()
    schedule = dice.randbytes(128)
    one, other = AesHash(schedule), compiled(schedule)
    for length in LENGTHS:
        rows, seeds = octets(dice, 3, length), numbers(dice, 3)
        assert one.memhash(rows, seeds).tolist() == other.memhash(rows, seeds).tolist(), length
    for width, name in ((4, "memhash32"), (8, "memhash64")):
        # Columns out of wider records, as keys lie in buckets.
        rows, seeds = octets(dice, 40_000, width + 3)[:, 1 : width + 1], numbers(dice, 40_000)
        assert np.array_equal(getattr(one, name)(rows, seeds), getattr(other, name)(rows, seeds)), name


def ranges(dice, data):
    """Starts and lengths of ranges in the data: all lengths, at random places, at its very start and its very end."""
    lengths = np.array([length for length in LENGTHS for _ in range(3)])
    places = [dice.randrange(len(data) - length + 1) for length in LENGTHS]
    starts = np.array(
        [at for length, place in zip(LENGTHS, places, strict=True) for at in (0, place, len(data) - length)]
    )
    order = np.array(dice.sample(range(len(starts)), len(starts)))
    return starts[order], lengths[order]


@pytest.mark.slow
@pytest.mark.pure
def test_ranges_hash_as_rows_do_with_every_kernel(compiled):
    dice = unforeseen()
    schedule, hashkey = dice.randbytes(128), (dice.randrange(1 << 64), 3, 5, 7)
    data = octets(dice, 100_001)
    starts, lengths = ranges(dice, data)
    seeds = numbers(dice, len(starts))
    ways = [AesHash(schedule), compiled(schedule), FallbackHash(hashkey, own_keys=True), OldFallbackHash(hashkey)]
    for way in ways:
        done = way.memhash_at(data, starts, lengths, seeds).tolist()
        for start, length, seed, hash_ in zip(starts.tolist(), lengths.tolist(), seeds, done, strict=True):
            expected = way.memhash(data[start : start + length].reshape(1, length), np.array([seed]))
            assert [hash_] == expected.tolist(), (type(way), start, length)


@pytest.mark.pure
@pytest.mark.parametrize(("start", "length"), [(-1, 4), (0, 101), (101, 0), (90, 11), (0, -1), (1 << 62, 1 << 62)])
def test_a_range_outside_of_the_data_is_refused_by_every_kernel(compiled, start, length):
    data, schedule = np.zeros(100, np.uint8), bytes(128)
    for way in (AesHash(schedule), compiled(schedule), FallbackHash((1, 3, 5, 7), own_keys=True)):
        with pytest.raises(ValueError, match="does not lie in the 100 bytes"):
            way.memhash_at(data, np.array([start]), np.array([length]), np.zeros(1, np.uint64))


@pytest.mark.pure
@pytest.mark.parametrize(("length", "name"), [(4, "memhash32"), (8, "memhash64")])
def test_words_hash_alike_in_their_slots_and_copied_out_of_them(compiled, length, name):
    dice = unforeseen()
    functions, seed = compiled(dice.randbytes(128)), dice.randrange(1 << 64)
    # Eight tophashes, then keys beside their elements; and all keys, then all elements.
    apart, together = octets(dice, 500, 8 + 8 * 24)[:, 8:].reshape(500, 8, 24), octets(dice, 500, 8, length)
    places = np.array(dice.sample(range(4000), 3000))
    for slots in (apart[:, :, 3 : 3 + length], together, together[::3]):
        some = places[places < len(slots) * 8]
        copied = slots[some // 8, some % 8]
        expected = getattr(functions, name)(copied, np.full(len(some), seed, np.uint64))
        assert np.array_equal(functions.memhash_slots(slots, some, seed), expected)


@pytest.mark.pure
def test_a_slot_that_is_not_there_is_refused(compiled):
    functions = compiled(bytes(128))
    for place in (-1, 16, 1 << 62):
        with pytest.raises(ValueError, match="does not lie in the 2 rows"):
            functions.memhash_slots(np.zeros((2, 8, 8), np.uint8), np.array([0, place]), 0)
    for shape in ((2, 7, 8), (2, 8, 5)):
        with pytest.raises(ValueError, match="rows of 8 words"):
            functions.memhash_slots(np.zeros(shape, np.uint8), np.zeros(0, np.int64), 0)


@pytest.mark.pure
def test_hashes_that_were_chosen_to_crowd_are_found_all_the_same():
    dice = unforeseen()
    # The compiled kernel spreads hashes by the upper bits of their product with this number: these have none.
    inverse = pow(0x9E3779B97F4A7C15, -1, 1 << 64)
    hashes = np.array([inverse * number % (1 << 64) for number in range(20_000)], np.uint64)
    hashes[dice.sample(range(20_000), 2)] = hashes[0]
    values, counts = np.unique(hashes, return_counts=True)
    assert np.array_equal(repeated(hashes), np.isin(hashes, values[counts > 1]))


@pytest.mark.pure
def test_rows_of_another_width_and_too_few_seeds_are_refused(compiled):
    functions = compiled(bytes(128))
    with pytest.raises(ValueError, match="rows of 8 bytes"):
        functions.memhash64(np.zeros((2, 7), np.uint8), np.zeros(2, np.uint64))
    with pytest.raises(ValueError, match="2 keys and 1 seeds"):
        functions.memhash64(np.zeros((2, 8), np.uint8), np.zeros(1, np.uint64))
    with pytest.raises(ValueError, match="128 bytes"):
        compiled(b"short")


@pytest.mark.pure
def test_hashes_that_occur_twice_are_found_wherever_they_are():
    dice = unforeseen()

    def buckets(hashes):
        return (hashes & np.uint64(0x1FFF)).view(np.int64)

    def far_apart(hashes):
        return buckets(hashes) << 40

    for count in (0, 1, 2, FEW, FEW + 1, 60_000):
        hashes = numbers(dice, count)
        for copied in (0, min(count // 2, 1), count // 3):
            hashes[dice.sample(range(count), copied)] = hashes[:1]
            hashes[count - copied :] = hashes[:copied]
            values, counts = np.unique(hashes, return_counts=True)
            expected = np.isin(hashes, values[counts > 1])
            assert np.array_equal(repeated(hashes), expected)
            assert np.array_equal(repeated(hashes, buckets), expected)
            # Places that are as far apart as in a damaged map take no memory.
            assert np.array_equal(repeated(hashes, far_apart), expected)


def answer(*words, env=None, path=ROOT):
    done = subprocess.run(
        [sys.executable, "-m", "inspector", *words],
        cwd=path,
        env=os.environ | {"PYTHONPATH": str(path)} | (env or {}),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    return done


@pytest.mark.pure
@pytest.mark.parametrize("demo", [("demo",), ("demo", "swiss")])
def test_numpy_gives_the_same_answer_and_the_log_says_who_hashed(demo):
    usual = answer(*demo, "--json", "-v")
    numpy = answer(*demo, "--json", "-v", env={SWITCH: NUMPY})
    one, other = json.loads(usual.stdout), json.loads(numpy.stdout)
    for document in (one, other):
        assert document["hash_proof"]["matched"] == document["map"]["count"] > 0
        # Both unpack the demo's core into a folder of their own.
        del document["timing"], document["target"]["exe"]
    assert one == other
    assert f"keys are hashed by the kernel {kernel_name()}" in usual.stderr
    assert f"keys are hashed by the kernel numpy ({SWITCH} asks for it)" in numpy.stderr


@pytest.mark.slow
def test_a_wheel_made_without_a_compiler_has_no_kernel_and_works(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), "."]
    source = tmp_path / "source"
    names = ("inspector", "gdb_plugin", "pyproject.toml", "README.md", "LICENSE")
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    done = subprocess.run(command, cwd=source, env=os.environ | {"CC": "/bin/false"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.endswith(".so")] == []
        archive.extractall(tmp_path / "installed")
    done = answer("demo", "-v", path=tmp_path / "installed")
    assert "keys are hashed by the kernel numpy (the compiled one was not built)" in done.stderr
    assert "verdict: " in done.stdout


@pytest.mark.pure
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_keys_that_are_not_where_their_hash_leads_are_found_by_their_numbers(compiled, depth):
    dice = unforeseen()
    hashes = numbers(dice, 10_000)
    # Tables of one to eight rows, of which several entries may lead to one.
    lengths = np.array([1 << dice.randrange(4) for _ in range(1 << depth)])
    first, tables = np.cumsum(lengths) - lengths, np.array([dice.randrange(1 << depth) for _ in range(1 << depth)])
    at = tables[[int(number) >> 64 - depth for number in hashes]] if depth else np.full(10_000, tables[0])
    home = first[at] + (hashes >> np.uint64(7)).astype(np.int64) % lengths[at]
    moved = np.array(dice.sample(range(10_000), 3_000))
    rows = home.copy()
    rows[moved] += 1
    places = rows * 8 + np.array([dice.randrange(8) for _ in hashes])
    found = kernel.away_from_home(hashes, places, tables, first, lengths - 1, 7)
    assert found.tolist() == sorted(moved.tolist())


@pytest.mark.pure
def test_it_is_not_looked_up_in_tables_that_are_not_there(compiled):
    one = np.zeros(1, np.int64)
    for tables in ([1], [-1], [0, 0, 0]):
        assert kernel.away_from_home(np.zeros(1, np.uint64), one, np.array(tables), one, one, 7) is None
