"""Key types made up at random, compiled by real compilers: each of their hashes is what the program says."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

import fixtures
from fixtures import Toolchain, start
from tests.hashing.test_hashers import differences, first_seed
from tests.support.chance import seeded, unforeseen
from tests.support.targets import RECENT, opened_program

TYPES = 150
KEYS = 8
NESTING = 4
MOST_SIZE = 1 << 12

PROGRAMS = Path(fixtures.__file__).parent / "programs"

PLAIN = {"bool": 1, "int8": 1, "uint16": 2, "int32": 4, "uint64": 8, "uintptr": 8}
OTHERS = {"float32": 4, "float64": 8, "complex64": 8, "complex128": 16, "string": 16, "any": 16, "fmt.Stringer": 16}
LENGTHS = (0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 40)


def made_up(dice: random.Random, depth: int) -> tuple[str, int]:
    """A comparable type as Go source, and about how many bytes it has. Plain memory comes often: it merges."""
    choice = dice.random()
    if depth == 0 or choice < 0.25:
        return dice.choice([*(PLAIN.items()), ("*int", 8)])
    if choice < 0.4:
        return dice.choice(list(OTHERS.items()))
    if choice < 0.6:
        elem, size = made_up(dice, depth - 1)
        length = dice.choice([n for n in LENGTHS if n * size <= MOST_SIZE])
        return f"[{length}]{elem}", length * size
    members, total = [], 0
    for i in range(dice.randrange(7)):
        part, size = made_up(dice, depth - 1)
        if total + size <= MOST_SIZE:
            members.append(f"{'_' if dice.random() < 0.15 else f'F{i}'} {part}")
            total += size
    return f"struct {{ {'; '.join(members)} }}", total


def program(dice: random.Random, toolchain: Toolchain, folder: Path) -> Path:
    """The fixture program with subjects of made up types beside its own."""
    types = [made_up(dice, NESTING)[0] for _ in range(TYPES)]
    calls = "\n".join(f"\tadd[{name}](filled[{name}](dice, {KEYS})...)" for name in types)
    calls += "\n" + "\n".join(f"\treflected[{name}](filled[{name}](dice, {KEYS})...)" for name in types[::10])
    source = folder / "made_up.go"
    source.write_text(
        '//go:build go1.21\n\npackage main\n\nimport (\n\t"fmt"\n\t"math/rand"\n)\n\nvar _ fmt.Stringer\n\n'
        f"func init() {{\n\tdice := rand.New(rand.NewSource({dice.randrange(1 << 62)}))\n{calls}\n}}\n"
    )
    overlay = folder / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(PROGRAMS / "hashes" / "made_up.go"): str(source)}}))
    exe = folder / "hashes"
    build = [str(toolchain.go), "build", "-buildvcs=false", f"-overlay={overlay}", "-o", str(exe), "./hashes"]
    subprocess.run(build, cwd=PROGRAMS, env=toolchain.environment, check=True)
    return exe


WAYS = [
    pytest.param(RECENT[-1], {}, id="go1.27"),
    pytest.param(RECENT[-1], {"GODEBUG": "cpu.aes=off"}, id="go1.27-without-aes", marks=pytest.mark.slow),
    pytest.param(RECENT[-2], {}, id="go1.26", marks=pytest.mark.slow),
    pytest.param(RECENT[0], {}, id="go1.24", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("toolchain", "settings"), WAYS)
@pytest.mark.parametrize("chance", ["seeded", "unforeseen"])
def test_keys_of_made_up_types_hash_to_what_their_own_hashers_say(toolchain, settings, chance, tmp_path):
    dice = seeded(toolchain.name, settings) if chance == "seeded" else unforeseen()
    with start(program(dice, toolchain, tmp_path), env=settings) as running, opened_program(running) as opened:
        types, hashes, wrong = differences(opened, running, first_seed(dice))
    assert wrong == []
    assert types > TYPES
    assert hashes > TYPES * KEYS
