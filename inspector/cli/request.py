"""What was asked for, and which options go together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from inspector.census.select import Order, Selection
from inspector.cli.demo import DemoFamily
from inspector.cli.saying import PROGRAM
from inspector.errors import UsageError
from inspector.inspection.one_map import DEFAULT_ENTRIES
from inspector.naming.locate import shown
from inspector.target.run import MAX_SHARE, MaxStop
from inspector.target.target import MemoryChoice

DEMO = "demo"
"""The TARGET that comes with the program."""

TOP = 30
"""Maps that the text output lists at first; the machine output lists all."""

LARGEST_PID = 1 << 22
"""The kernel's own limit, and far below every address of a map."""

ONE_MAP = {"type": "'map[string]int'", "entries": "5", "key": "'\"text\"'", "ndjson": ""}
"""Options that need a map, each with an example of its value."""

DEMOS: dict[str | None, DemoFamily] = {DEMO: "classic", f"{DEMO} swiss": "swiss"}
"""Targets that come with the program, and the family of their maps."""

ALL_MAPS = ("sort", "top", "min_bytes", "type_matches", "only_findings", "strings", "diff", "max_share")
"""Options of the list of all maps."""

LIVE = ("no_stop", "max_stop", "max_share")
"""Options that say how a process is stopped."""


@dataclass(frozen=True)
class Request:
    """The command line: options as they are spelled there, and `given`, the names of those that were spelled out."""

    target: str | None = None
    map: str | None = None
    exe: tuple[str, ...] = ()
    memory: MemoryChoice = "auto"
    no_stop: bool = False
    max_stop: MaxStop = "usual"
    max_share: float | None = MAX_SHARE
    remote: str | None = None
    gdb: str = "gdb"
    type: str | None = None
    entries: int | None = DEFAULT_ENTRIES
    key: str | None = None
    sort: Order = "bytes"
    top: int | None = None
    min_bytes: int = 0
    type_matches: re.Pattern[str] | None = None
    only_findings: bool = False
    strings: bool = False
    diff: str | None = None
    json: bool = False
    ndjson: bool = False
    given: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def of_demo(first: str | None, second: str | None) -> tuple[str, str | None]:
        """The target and the map that the words behind `demo` name: a family, a map, or a family and a map."""
        named = f"{DEMO} {first}"
        if named in DEMOS:
            return named, second
        if second is not None:
            raise UsageError(f"the demo brings its own target, so {shown(second)!r} is one too many", "leave it out")
        return DEMO, first

    @cached_property
    def all_maps(self) -> bool:
        """Whether all maps are listed. The demo shows one map, unless an option asks for the list."""
        if self.remote is not None or self.map is not None:
            return False
        return self.target not in DEMOS or bool(self.given.intersection(ALL_MAPS))

    @property
    def selection(self) -> Selection:
        """Which maps are listed."""
        limit = TOP if self.top is None and not self.json and "top" not in self.given else self.top
        return Selection(self.sort, self.min_bytes, self.type_matches, self.only_findings, limit)

    def check(self) -> None:
        """Raise UsageError for options that do not go together: none is ever ignored."""
        self._check_output()
        self._check_target()
        if self.all_maps:
            self._refuse(ONE_MAP, lambda option: f"{option} needs a map: {self._example(option)}")
        else:
            self._refuse(ALL_MAPS, self._why_not_one_map)
            if len(self.exe) > 1:
                raise UsageError("--exe is given more than once, but there is only one target", "name one executable")

    def _check_output(self) -> None:
        if self.json and self.ndjson:
            raise UsageError("--json and --ndjson exclude each other", "choose one")
        if self.key is not None:
            if self.ndjson:
                raise UsageError("--key gives one answer, not a stream", "use --json")
            self._refuse(("entries",), lambda option: f"{option} lists entries, and --key looks up one: choose one")

    def _check_target(self) -> None:
        if self.remote is not None:
            # The process is named by the option: the one argument is the map.
            if self.map is None:
                raise UsageError(
                    "--remote needs a map: all maps cannot be listed through gdbserver",
                    f"{PROGRAM} --remote {self.remote} main.sessions",
                )
            self._refuse(
                ("max_stop",), lambda option: f"a gdbserver holds its process throughout, so {option} has no effect"
            )
            if self.target is not None:
                raise UsageError(
                    f"--remote names the process, so {shown(self.target)!r} is one too many", "leave it out"
                )
            return
        if self.target is None:
            raise UsageError(
                "no target given", f"try {PROGRAM} PID, {PROGRAM} PID main.variable, {PROGRAM} demo, or --help"
            )
        if self.target in DEMOS:
            if self.exe:
                raise UsageError("the demo brings its own executable", "leave --exe out")
            if not (self.diff or "").isdecimal():
                self._refuse(LIVE, lambda option: f"the demo is a core dump, so {option} has nothing to stop")
        if self.map is not None and self.map.isdecimal() and 0 < int(self.map[:20]) < LARGEST_PID:
            raise UsageError(
                f"{self.map} looks like a pid, but a map is expected here",
                f"give one TARGET, or compare two: {PROGRAM} diff {shown(self.target)} {self.map}",
            )
        if self.diff is not None:
            if len(self.exe) > 2:
                raise UsageError("--exe is given more than twice, but there are only two targets", "name one for each")
            if self.no_stop and not (self.target.isdecimal() or self.diff.isdecimal()):
                raise UsageError("--no-stop is for live processes, but neither target is one", "leave it out")

    def of_other(self) -> Request:
        """The request for the target to compare with: whatever says how to treat a process holds for it, too."""
        return replace(self, target=self.diff, exe=self.exe[1:])

    @property
    def stop(self) -> bool:
        """Whether the target is stopped. A core dump that --no-stop is not meant for stands still anyway."""
        meant = self.diff is None and "no_stop" in self.given
        return not self.no_stop or not (meant or (self.target or "").isdecimal())

    def _why_not_one_map(self, option: str) -> str:
        if self.remote is not None:
            return f"{option} only works when all maps are listed, and --remote cannot list them"
        return f"{option} only works when all maps are listed, but a map is named"

    def _example(self, option: str) -> str:
        name = option.removeprefix("--")
        return f"{PROGRAM} {shown(self.target or 'PID')} main.sessions {option} {ONE_MAP[name]}".rstrip()

    def _refuse(self, options: Iterable[str], why: Callable[[str], str]) -> None:
        for option in options:
            if option in self.given:
                raise UsageError(why(f"--{option.replace('_', '-')}"))
