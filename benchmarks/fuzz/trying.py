"""What becomes of one inspection of a damaged image, in a process of its own: bounded, and sorted by how it ended."""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import NoReturn

from rich.console import Console

from benchmarks.fuzz.images import Copies
from inspector.census import take_census
from inspector.census.select import Selection
from inspector.errors import InspectError
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import inspect
from inspector.maps.findings import Finding
from inspector.report.export.csv import write_csv
from inspector.report.export.jsonl import write_jsonl
from inspector.report.json.census import write_census
from inspector.report.json.one_key import write_lookup
from inspector.report.json.one_map import write_json
from inspector.report.text.census import print_census
from inspector.report.text.entry_lines import print_lines
from inspector.report.text.one_key import print_lookup
from inspector.report.text.one_map import print_report
from inspector.settings import DEFAULT_ENTRIES
from inspector.target.opening import open_target
from inspector.target.target import Target

MOST_SECONDS = 10.0
"""What an answer may take, in seconds of the processor: others may have it as well."""
PATIENCE = 60.0
"""What it may take by the clock."""
MOST_MEMORY = 300 << 20
"""Bytes that may be needed above the image."""
ADDRESS_SPACE = 4 << 30
"""Bytes that may be asked for."""
WORDS = 400


@dataclass(frozen=True)
class Question:
    """What is asked: "type" (address and type), "bare" (address), "name", "key" or "census"."""

    way: str
    text: str = ""
    type: str | None = None
    key: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.way, self.text, self.type, self.key)))


@dataclass(frozen=True)
class Outcome:
    """How it ended: `sort` is "verdict", "error" (of ours) or what went wrong; `what` a verdict, a class, a place."""

    sort: str
    what: str
    details: str = ""
    unchecked: tuple[str, ...] = ()
    seconds: float = 0.0
    memory: int = 0

    @property
    def failed(self) -> bool:
        """Whether it is neither an answer nor an error of ours."""
        return self.sort not in ("verdict", "error")


def answer(copies: Copies, question: Question) -> Outcome:
    """Ask, and write the answer in every form. Raises whatever goes wrong that is not ours."""
    try:
        with open_target(str(copies.paths["core"]), exe=str(copies.paths["exe"]), memory="direct") as target:
            return _asked(target, question)
    except InspectError as error:
        str(error)
        return Outcome("error", type(error).__name__, error.message[:WORDS])


def _asked(target: Target, question: Question) -> Outcome:
    paper, screen = io.StringIO(), Console(file=io.StringIO(), width=120)
    if question.way == "census":
        census = take_census(target, None)
        write_census(census, Selection(), None, paper)
        print_census(census, Selection(), None, screen)
        findings = [finding for each in census.maps for finding in each.findings]
        return Outcome("verdict", "census", f"{len(census.maps)} maps", _unchecked(findings))
    if question.way == "key":
        found = look_up(target, question.text, question.key, question.type)
        write_lookup(found, paper)
        print_lookup(found, screen)
        return Outcome("verdict", "found" if found.lookup.found is not None else "absent")
    inspection = inspect(target, question.text, question.type, DEFAULT_ENTRIES)
    write_json(inspection, paper)
    json.loads(paper.getvalue())
    print_report(inspection, screen)
    print_lines(inspection, screen)
    for write in (write_csv, write_jsonl):
        write(inspection, io.BytesIO())
    findings = list(inspection.judgement.findings)
    return Outcome("verdict", inspection.judgement.verdict, "", _unchecked(findings))


def _unchecked(findings: list[Finding]) -> tuple[str, ...]:
    return tuple(f"{finding.source}: {finding.observed}" for finding in findings if finding.unchecked)


def attempt(copies: Copies, question: Question) -> Outcome:
    """Ask in a child process that may take so much time and memory, and no more."""
    ours, theirs = os.pipe()
    sys.stdout.flush()
    gc.freeze()
    before = _own_memory()
    began = time.monotonic()
    child = os.fork()
    if not child:
        os.close(ours)
        _child(copies, question, theirs)
    os.close(theirs)
    said = _listen(ours, began)
    os.close(ours)
    if said is None:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    memory = max(0, (usage.ru_maxrss << 10) - before - copies.image.size)
    return _sorted(said, status, seconds, memory)


def _listen(pipe: int, began: float) -> bytes | None:
    """All that the child says; None if it does not end in time."""
    said = b""
    while True:
        left = began + PATIENCE - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return None
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return said
        said += piece


def _sorted(said: bytes | None, status: int, seconds: float, memory: int) -> Outcome:
    if said is None:
        return Outcome("clock", f"more than {PATIENCE:.0f} s by the clock", seconds=seconds, memory=memory)
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        if number == signal.SIGXCPU:
            where = said.decode(errors="replace")
            return Outcome("slow", where[-WORDS:] or "no Python was run", where, seconds=seconds, memory=memory)
        return Outcome("crash", number.name, seconds=seconds, memory=memory)
    told = json.loads(said)
    outcome = Outcome(**told | {"seconds": seconds, "memory": memory, "unchecked": tuple(told["unchecked"])})
    if not outcome.failed and memory > MOST_MEMORY:
        return Outcome("memory", f"{memory >> 20} MiB", outcome.what, seconds=seconds, memory=memory)
    return outcome


def _child(copies: Copies, question: Question, pipe: int) -> NoReturn:
    """Ask, say how it ended, and end: nothing of the parent's may run in here."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_own_memory("VmSize") + ADDRESS_SPACE,) * 2)
        spent = time.process_time()
        seconds = int(spent + MOST_SECONDS + 0.999)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        signal.signal(signal.SIGXCPU, lambda _, frame: _too_slow(pipe, frame))
        try:
            outcome = answer(copies, question)
        except Exception as error:
            outcome = Outcome("exception", f"{type(error).__name__} at {_place(error)}", traceback.format_exc()[-2000:])
        os.write(pipe, json.dumps(asdict(outcome)).encode())
    finally:
        os._exit(0)


def _too_slow(pipe: int, frame: object) -> None:
    """Say where it was, and end as the kernel would have it."""
    with suppress(BaseException):
        stack = traceback.extract_stack(frame)  # type: ignore[arg-type]
        own = [
            f"{each.filename.rpartition('/inspector/')[2]}:{each.lineno}"
            for each in stack
            if "/inspector/" in each.filename
        ]
        os.write(pipe, " < ".join(reversed(own[-6:])).encode())
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGXCPU)


def _place(error: Exception) -> str:
    """The last line of ours that an error went through."""
    own = [each for each in traceback.extract_tb(error.__traceback__) if "/inspector/" in each.filename]
    return f"{own[-1].filename.rpartition('/inspector/')[2]}:{own[-1].lineno} ({own[-1].name})" if own else "outside"


def _own_memory(what: str = "VmRSS") -> int:
    """Bytes that this process has now."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(what + ":"))
