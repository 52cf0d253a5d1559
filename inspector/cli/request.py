"""What was asked for, and which options go together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from inspector.cli.saying import PROGRAM
from inspector.errors import UsageError
from inspector.settings import DEFAULT_ENTRIES, MAX_SHARE, By, MaxStop, MemoryChoice, Order, shown

if TYPE_CHECKING:
    from inspector.census.select import Selection
    from inspector.report.text.view import View

DemoFamily = Literal["classic", "swiss"]


@dataclass(frozen=True)
class DemoCore:
    """Which of the cores is meant that come with the program."""

    family: DemoFamily = "classic"
    earlier: bool = False


DEMO = "demo"
"""The TARGET that comes with the program."""

TOP = 30
"""Maps that the text output lists at first; the machine output lists all."""

LARGEST_PID = 1 << 22
"""The kernel's own limit, and far below every address of a map."""

ONE_MAP = {"type": "'map[string]int'", "entries": "5", "key": "'\"text\"'", "ndjson": "",
           "export": "entries.csv", "top_entries": "10", "by": "value-size --top-entries 10"}  # fmt: skip
"""Options that need a map, each with an example of its value."""

EARLIER = " earlier"
"""What a demo's name ends with that is the earlier core of the same program."""

DEMOS: dict[str | None, DemoCore] = {
    DEMO: DemoCore(),
    f"{DEMO} swiss": DemoCore("swiss"),
    f"{DEMO}{EARLIER}": DemoCore(earlier=True),
    f"{DEMO} swiss{EARLIER}": DemoCore("swiss", earlier=True),
}
"""Targets that come with the program."""

ALL_MAPS = (
    "maps", "group", "sort", "top", "min_bytes", "type_matches", "only_findings", "strings", "bytes", "diff",
    "max_share", "budget", "unproven",
)  # fmt: skip
"""Options of the list of all maps."""

MAPS_OF_TARGET = ("maps", "sort", "min_bytes", "type_matches", "only_findings", "unproven")
"""Options of the list of all maps that need the maps themselves, and not only what changed."""

MORE = "the maps of a group: --group NAME; all maps one by one: --maps"
"""What is said below a list of groups."""

UNPROVEN = "list them with --unproven"
"""What is said of candidates that could not be proven."""

SHOWN = ("grep", "duplicates", "top_entries")
"""Options whose answer is what maps hold."""

NOT_FOR_GREP = ("key", "top_entries", "ndjson", "diff", "entries_of", "strings", "maps")
"""Options that ask for another answer than entries that match."""

NOT_FOR_DUPLICATES = (*NOT_FOR_GREP, "grep", "entries")
"""Options that ask for another answer than strings."""

NOT_FOR_RETAINED = (*NOT_FOR_DUPLICATES, "duplicates")
"""Options that ask for another answer than what is kept alive."""

EXPORTED = (".parquet", ".arrow", ".csv", ".jsonl")
"""How the names of files end that entries can be written to."""

NOT_FOR_EXPORT = (*NOT_FOR_GREP, "grep", "duplicates", "retained", "json")
"""Options that ask for another answer than a file."""

LIVE = ("no_stop", "max_stop", "max_share", "budget")
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
    budget: float | None = None
    max_unpacked: int | None = None
    remote: str | None = None
    gdb: str = "gdb"
    type: str | None = None
    entries: int | None = DEFAULT_ENTRIES
    key: str | None = None
    top_entries: int | None = None
    by: By = "size"
    grep: re.Pattern[str] | None = None
    values: bool = False
    duplicates: bool = False
    retained: bool = False
    maps: bool = False
    group: str | None = None
    sort: Order = "bytes"
    top: int | None = None
    min_bytes: int = 0
    type_matches: re.Pattern[str] | None = None
    only_findings: bool = False
    strings: bool = False
    unproven: bool = False
    bytes: bool = False
    diff: str | None = None
    entries_of: str | None = None
    json: bool = False
    ndjson: bool = False
    export: str | None = None
    force: bool = False
    given: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def of_demo(first: str | None, second: str | None) -> tuple[str, str | None]:
        """The target and the map that the words behind `demo` name: "swiss", "earlier", both, or either, and a map."""
        named = f"{DEMO} {first}"
        if f"{named} {second}" in DEMOS:
            return f"{named} {second}", None
        if named in DEMOS:
            return named, second
        if second is not None:
            raise UsageError(f"the demo brings its own target, so {shown(second)!r} is one too many", "leave it out")
        return DEMO, first

    @cached_property
    def all_maps(self) -> bool:
        """Whether all maps are listed. The demo shows one map, unless an option asks for the list."""
        if self.remote is not None or self.map is not None or self.entries_of is not None:
            return False
        return self.target not in DEMOS or bool(self.given.intersection(ALL_MAPS))

    @property
    def selection(self) -> Selection:
        """Which maps are listed."""
        from inspector.census.select import Selection

        limit = TOP if self.top is None and not self.json and "top" not in self.given else self.top
        return Selection(self.sort, self.min_bytes, self.type_matches, self.only_findings, limit, self.group)

    @property
    def view(self) -> View:
        """How they are written."""
        from inspector.report.text.view import View

        return View(self.maps, self.bytes, MORE, self.unproven, UNPROVEN)

    def check(self) -> None:
        """Raise UsageError for options that do not go together: none is ever ignored."""
        self._check_output()
        self._check_target()
        if self.all_maps:
            self._refuse(ONE_MAP, lambda option: f"{option} needs a map: {self._example(option)}")
        else:
            compared = ("diff", "top") if self.entries_of is not None else ("top",) if self.duplicates else ()
            self._refuse((option for option in ALL_MAPS if option not in compared), self._why_not_one_map)
            if len(self.exe) > 1:
                raise UsageError("--exe is given more than once, but there is only one target", "name one executable")

    def _check_output(self) -> None:
        if self.json and self.ndjson:
            raise UsageError("--json and --ndjson exclude each other", "choose one")
        if self.export is None:
            self._refuse(("force",), lambda option: f"{option} is for --export: give both")
        else:
            self._refuse(NOT_FOR_EXPORT, lambda option: f"--export writes entries to a file: leave {option} out")
            if not self.export.endswith(EXPORTED):
                raise UsageError(
                    f"{shown(self.export)} ends in none of {', '.join(EXPORTED)}: its name says how it is written",
                    "name it entries.csv, for example",
                )
        if self.key is not None:
            if self.ndjson:
                raise UsageError("--key gives one answer, not a stream", "use --json")
            self._refuse(("entries",), lambda option: f"{option} lists entries, and --key looks up one: choose one")

        if self.grep is None:
            self._refuse(("values",), lambda option: f"{option} is for --grep: give both")
        else:
            self._refuse(NOT_FOR_GREP, lambda option: f"--grep lists the entries that match: leave {option} out")
        if self.retained:
            self._refuse(NOT_FOR_RETAINED, lambda option: f"--retained counts what is kept alive: leave {option} out")
        if self.duplicates:
            self._refuse(NOT_FOR_DUPLICATES, lambda option: f"--duplicates lists strings: leave {option} out")
        if self.top_entries is None:
            self._refuse(("by",), lambda option: f"{option} is for --top-entries: give both")
        else:
            self._refuse(
                ("key", "entries", "ndjson"), lambda option: f"--top-entries lists entries by size: leave {option} out"
            )

    def _check_target(self) -> None:
        if not any(each and not each.isdecimal() and each not in DEMOS for each in (self.target, self.diff)):
            self._refuse(("max_unpacked",), lambda option: f"{option} is for core dumps, and none is named here")
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

    def check_presence(self) -> None:
        """Raise NoSuchTarget where there is nothing to open, before all that opens it is loaded."""
        from inspector.target.presence import require_something

        if not self.stop or self.memory == "gdb-mi":
            # What does not go with the target is said first.
            return
        for each in (self.target, self.diff):
            if each and self.remote is None and each not in DEMOS:
                require_something(each)

    def check_hidden(self) -> None:
        """Raise UsageError for options that ask for what is to be hidden."""
        for name in SHOWN:
            if getattr(self, name):
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} shows what maps hold, and --redact hides it", "leave one of them out")

    def check_for_saved(self) -> None:
        """Raise UsageError for options that say nothing of a census that was saved."""
        self._refuse(
            MAPS_OF_TARGET,
            lambda option: (
                f"{option} has no effect: {shown(self.target or '')} is a saved census, so only changes are listed"
            ),
        )

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
        name = option.removeprefix("--").replace("-", "_")
        return f"{PROGRAM} {shown(self.target or 'PID')} main.sessions {option} {ONE_MAP[name]}".rstrip()

    def _refuse(self, options: Iterable[str], why: Callable[[str], str]) -> None:
        for option in options:
            if option in self.given:
                raise UsageError(why(f"--{option.replace('_', '-')}"))
