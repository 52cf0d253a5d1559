"""What is on a terminal of 80 columns for each view, as golden text; made on a real pty.

The views are of the demo's cores. After a change on purpose, write the files anew with `GOLDEN=write pytest
tests/promises/test_screens.py`, look at them, and commit them with that change.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.promises.test_golden import HERE, masked
from tests.support.terminal import COLUMNS, on_terminal

pytestmark = pytest.mark.pure

SESSIONS = "0xc000094420"

VIEWS: dict[str, tuple[str, ...]] = {
    "groups": ("demo", "--top", "all"),
    "maps": ("demo", "--maps"),
    "group": ("demo", "--group", "main.sessions"),
    "diff": ("diff", "{before}", "demo"),
    "none-match": ("demo", "--type-matches", "chan"),
    "no-findings": ("demo", "--only-findings"),
    "one-map": ("demo", "--entries", "3"),
    "swiss": ("demo", "swiss", "--entries", "3"),
    "wrong-type": ("demo", "0xc0000943c0", "--type", "map[uint64]bool", "--entries", "0"),
    "key": ("demo", "--key", "session-0101"),
}
EXIT_CODES = {"wrong-type": 1}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved census of the demo, as it was with half as many sessions and one map less."""
    document = json.loads((HERE / "census.json").read_text().replace(": TIME", ": 0"))
    sessions, *others = document["census"]["maps"]
    sessions["count"], sessions["bytes"]["total"] = 104, 14216
    document["census"]["maps"] = [sessions, *others[1:]]
    path = tmp_path_factory.mktemp("screens") / "before.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_a_terminal_of_80_columns_and_is_what_it_was(view, before):
    screen = on_terminal(*(word.format(before=before) for word in VIEWS[view]))
    assert screen.code == EXIT_CODES.get(view, 0)
    assert max(map(cell_len, screen.text.splitlines())) <= COLUMNS
    file = HERE / f"screen-{view}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(masked(screen.text, before.parent))
    assert masked(screen.text, before.parent) == file.read_text()


def test_colours_are_shown_on_a_terminal_and_not_where_they_are_unwanted():
    assert "\x1b[" in on_terminal("demo", "--maps").written
    assert "\x1b" not in on_terminal("demo", "--maps", NO_COLOR="1").written
    assert "\x1b" not in on_terminal("demo", "--maps", term="dumb").written


def test_a_narrow_terminal_loses_columns_and_no_address_size_or_verdict():
    lines = on_terminal("demo", "--maps", columns=60).text.splitlines()
    rows = [line.split() for line in lines if line.startswith("0x")]
    assert len(rows) == 6
    assert max(map(cell_len, lines)) <= 60
    for row in rows:
        assert len(row[0]) == len(SESSIONS)
        assert row[-1] == "consistent"
        assert row[-2] in ("B", "KiB")
