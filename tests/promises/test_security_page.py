"""What SECURITY.md names exists, and the audit that it describes sees what it has to see."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.auditing import Advisories, Allowed, forbidden, of_program

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "SECURITY.md").read_text()
SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited: rich (15.0.0)"}
VULNERABLE = {
    "name": "Rich",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["1.1"], "aliases": [], "description": "..."}],
}


def test_every_test_and_every_measure_that_the_page_names_exists():
    files = set(re.findall(r"`(?:sh )?(tests/[\w/]+(?:\.py)?)`", PAGE))
    modules = set(re.findall(r"python -m (benchmarks\.\w+)", PAGE))
    assert len(files) > 10
    assert len(modules) > 3
    for file in files:
        assert (ROOT / file).is_file(), file
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_each_promise_names_a_test():
    table = PAGE.partition("| promise | tested by |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) > 10
    assert [row for row in table if "`tests/" not in row] == []


def test_the_audit_knows_what_is_installed_with_the_program():
    program = of_program()
    assert {"numpy", "rich", "markdown-it-py", "pygments", "mdurl"} <= program
    assert {"pytest", "hypothesis", "pip-audit"}.isdisjoint(program)


@pytest.mark.parametrize(
    ("licence", "in_program", "in_tools"),
    [
        ("MIT", True, True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True, True),
        ("Apache-2.0 OR GPL-2.0-only", True, True),
        ("MIT License\n\nCopyright (c) somebody", True, True),
        ("MPL-2.0", False, True),
        ("MIT AND MPL-2.0", False, True),
        ("GPL-3.0-only", False, False),
        ("MIT AND GPL-3.0-only", False, False),
        ("GNU General Public License with parts under the MIT License", False, False),
        ("UNKNOWN", False, False),
        ("", False, False),
    ],
)
def test_only_licences_that_are_named_are_allowed(licence, in_program, in_tools):
    allowed = Allowed.read()
    assert (allowed.allows(licence, True), allowed.allows(licence, False)) == (in_program, in_tools)


def test_a_package_with_another_licence_is_named_with_it():
    rows = [
        {"Name": "Rich", "Version": "1", "License": "GPL-3.0-only"},
        {"Name": "hypothesis", "Version": "2", "License": "MPL-2.0"},
    ]
    assert forbidden(rows, Allowed.read(), of_program()) == ["Rich 1, a part of the program: GPL-3.0-only"]


def test_packages_that_nobody_could_be_asked_about_are_not_called_sound():
    answer = Advisories.parsed(json.dumps({"dependencies": [SKIPPED, SKIPPED], "fixes": []}))
    assert answer == Advisories(asked=2, not_known=2, known=())
    for said in ("", "ERROR:pip_audit._cli:no route to host", "[]"):
        assert Advisories.parsed(said) is None


def test_an_advisory_is_told_with_the_release_that_mends_it():
    answer = Advisories.parsed(json.dumps({"dependencies": [SKIPPED, VULNERABLE], "fixes": []}))
    assert answer == Advisories(2, 1, (("rich", "Rich 1.0: PYSEC-2026-1, fixed in 1.1"),))
