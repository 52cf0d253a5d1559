"""Documents that stay as they are: JSON and NDJSON byte for byte, text until plainer words are put in on purpose.

All come from the demo's two cores, which change only when they are made anew. Times and the temporary folder are
masked. After a change on purpose, write the files anew with `GOLDEN=write pytest tests/promises/test_golden.py`, and
commit them with that change.
"""

from __future__ import annotations

import lzma
import os
import re
from pathlib import Path

import pytest

from inspector.cli import demo
from tests.support.commandline import cli_here

pytestmark = pytest.mark.pure

HERE = Path(__file__).parent / "golden"
DEMO = Path(demo.__file__).parent
CORE, EXE = "core", "sessions-service"
TARGET = ("{folder}/core", "--exe", "{folder}/sessions-service", "--memory", "direct")
SESSIONS, SWISS_SESSIONS = "0xc000094420", "0x6c92b880f0"
STRING_TO_INT = ("--type", "map[string]int")
SWISS = ("{folder}/swiss-core", "--exe", "{folder}/swiss-sessions-service", "--memory", "direct")

CASES: dict[str, tuple[str, ...]] = {
    "demo.txt": ("--demo",),
    "demo.json": ("--demo", "--json"),
    "demo.ndjson": ("--demo", "--ndjson"),
    "nil.txt": (*TARGET, "0x0", *STRING_TO_INT),
    "nil.json": (*TARGET, "0x0", *STRING_TO_INT, "--json"),
    "nil.ndjson": (*TARGET, "0x0", *STRING_TO_INT, "--ndjson"),
    "address.json": (*TARGET, SESSIONS, "--json", "--entries", "all"),
    "census.txt": TARGET,
    "census-maps.txt": (*TARGET, "--maps"),
    "census.json": (*TARGET, "--json"),
    "present.txt": (*TARGET, SESSIONS, "--key", '"session-0101"'),
    "present.json": (*TARGET, SESSIONS, "--key", '"session-0101"', "--json"),
    "absent.txt": (*TARGET, SESSIONS, "--key", '"nobody"'),
    "absent.json": (*TARGET, SESSIONS, "--key", '"nobody"', "--json"),
    "swiss.txt": ("demo", "swiss"),
    "swiss.json": ("demo", "swiss", "--json"),
    "swiss.ndjson": ("demo", "swiss", "--ndjson"),
    "swiss-census.txt": SWISS,
    "swiss-census-maps.txt": (*SWISS, "--maps"),
    "swiss-census.json": (*SWISS, "--json"),
    "swiss-nil.json": (*SWISS, "0x0", *STRING_TO_INT, "--json"),
    "swiss-present.txt": (*SWISS, SWISS_SESSIONS, "--key", '"session-0101"'),
    "swiss-present.json": (*SWISS, SWISS_SESSIONS, "--key", '"session-0101"', "--json"),
    "swiss-absent.txt": (*SWISS, SWISS_SESSIONS, "--key", '"nobody"'),
    "swiss-absent.json": (*SWISS, SWISS_SESSIONS, "--key", '"nobody"', "--json"),
}
EXIT_CODES = dict.fromkeys(CASES, 0) | {name: 1 for name in CASES if "absent" in name}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's cores and executables, unpacked."""
    made = tmp_path_factory.mktemp("golden")
    for packed, name in ((demo.CORE, CORE), (demo.EXECUTABLE, EXE)):
        for prefix in demo.PREFIX.values():
            (made / f"{prefix}{name}").write_bytes(lzma.decompress((DEMO / f"{prefix}{packed}").read_bytes()))
    return made


def masked(text: str, folder: Path) -> str:
    """The text without what differs from run to run: times, the folder."""
    text = re.sub(r"/[^\s\"]*/go-map-inspect-demo-\w+/", "FOLDER/", text.replace(f"{folder}/", "FOLDER/"))
    text = re.sub(r"\b\d+(\.\d+)? m?s\b", "TIME", text)
    timing = r'("timing": \{)([^}]*)(\})'
    return re.sub(timing, lambda found: found[1] + re.sub(r": [\d.e-]+", ": TIME", found[2]) + found[3], text)


@pytest.mark.parametrize("name", CASES)
def test_the_document_is_what_it_was(name, folder):
    answer = cli_here(*(word.format(folder=folder) for word in CASES[name]))
    assert (answer.code, answer.err) == (EXIT_CODES[name], "")
    file = HERE / name
    if os.environ.get("GOLDEN") == "write":
        file.write_text(masked(answer.out, folder))
    assert masked(answer.out, folder) == file.read_text()
