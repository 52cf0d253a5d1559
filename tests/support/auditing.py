"""Holds what was tested against the licences that are allowed, and asks which of it is known to be vulnerable.

Run by `sh tests/audit`, which installs the two tools that answer: pip-licenses reads the metadata that is installed,
pip-audit asks a service for advisories. Where that service does not answer, this is said and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = "go-map-inspect"
PATIENCE = 120
"""Seconds for all of pip-audit; some for each of its questions."""
TIMEOUT = "10"


@dataclass(frozen=True)
class Allowed:
    """Names of licences: for packages that come with the program, and besides those for tools of developers."""

    program: frozenset[str]
    development: frozenset[str]

    @staticmethod
    def read() -> Allowed:
        """Those in pyproject.toml."""
        table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][PROGRAM]["licences"]
        return Allowed(frozenset(table["program"]), frozenset(table["development"]))

    def allows(self, licence: str, in_program: bool) -> bool:
        """Whether a package may have a licence: a name, an expression of SPDX without brackets, or a whole text."""
        names = self.program if in_program else self.program | self.development
        first = licence.strip().partition("\n")[0].strip()
        every = [part.split(" OR ") for part in first.split(" AND ")]
        return first in names or all(any(choice.strip() in names for choice in choices) for choices in every)


def of_program() -> set[str]:
    """The packages that are installed with the program, by their normalised names."""
    found: set[str] = set()
    left = [(PROGRAM, frozenset[str]())]
    while left:
        name, extras = left.pop()
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            wanted = [{"extra": extra} for extra in sorted({"", *extras})]
            key = canonicalize_name(needed.name)
            if key not in found and (needed.marker is None or any(map(needed.marker.evaluate, wanted))):
                found.add(key)
                left.append((needed.name, frozenset(needed.extras)))
    return found


def forbidden(licences: Iterable[dict[str, str]], allowed: Allowed, program: set[str]) -> list[str]:
    """A line for each package whose licence is not allowed; `licences` are rows of pip-licenses."""
    wrong = []
    for row in licences:
        inside = canonicalize_name(row["Name"]) in program
        if not allowed.allows(row["License"], inside):
            what = "a part of the program" if inside else "a tool of developers"
            wrong.append(f"{row['Name']} {row['Version']}, {what}: {row['License'].strip().splitlines()[0]}")
    return wrong


@dataclass(frozen=True)
class Advisories:
    """What was answered: packages `asked` about, those that it was `not_known` about, and `known` advisories."""

    asked: int
    not_known: int
    known: tuple[tuple[str, str], ...]

    @staticmethod
    def parsed(answer: str) -> Advisories | None:
        """What pip-audit printed as JSON; None where it printed none, because the service did not answer.

        It calls a package that it could not ask about sound, but for a reason that it gives.
        """
        try:
            packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
        except (ValueError, KeyError, TypeError):
            return None
        known = [
            (canonicalize_name(one["name"]), f"{one['name']} {one['version']}: {each['id']}, fixed in {_fixed(each)}")
            for one in packages
            for each in one.get("vulns", [])
        ]
        return Advisories(len(packages), sum("skip_reason" in one for one in packages), tuple(known))


def _fixed(advisory: dict[str, Any]) -> str:
    return ", ".join(advisory["fix_versions"]) or "no release yet"


def ask(tool: str, lock: Path) -> Advisories | None:
    """Ask about the packages of a lock; None where nobody answers."""
    command = [tool, "-r", str(lock), "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", TIMEOUT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return None
    return Advisories.parsed(done.stdout)


def main(tools: str, lock: str) -> int:
    """Check both, say what came out, and return the exit code."""
    program = of_program()
    command = [f"{tools}/pip-licenses", "--python", sys.executable, "--format", "json"]
    licences = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    wrong = forbidden(licences, Allowed.read(), program)
    print(f"licences: {len(licences)} packages read, {len(wrong)} with a licence that pyproject.toml does not allow")
    for line in wrong:
        print(f"  {line}")
    answer = ask(f"{tools}/pip-audit", Path(lock))
    if answer is None or answer.not_known == answer.asked:
        print("advisories: could not ask: no service that knows these packages was reached")
        return 1 if wrong else 0
    asked = answer.asked - answer.not_known
    print(f"advisories: asked about {asked} packages of {answer.asked}, {len(answer.known)} known")
    for name, line in answer.known:
        print(f"  {line}" + ("" if name in program else " (a tool of developers: no failure)"))
    return 1 if wrong or any(name in program for name, _ in answer.known) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
