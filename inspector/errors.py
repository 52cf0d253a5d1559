"""Every way an inspection can fail, each with an exit code and a line that says what to try."""

from __future__ import annotations

from dataclasses import asdict, dataclass

EXIT_CONSISTENT = 0
EXIT_INCONSISTENT = 1
EXIT_ABSENT = 1
EXIT_ERROR = 2
EXIT_PARTIAL = 3


@dataclass(frozen=True)
class Spelling:
    """How a front end calls what a user can set: its options, or the parameters of the Python API."""

    type: str
    exe: str
    gdb: str
    direct: str
    gdb_mi: str
    no_stop: str
    max_stop: str
    key: str
    remote: str
    save: str
    force: str
    zstd: str
    max_memory: str
    max_unpacked: str


PYTHON = Spelling(
    type="type_name",
    exe="exe",
    gdb="gdb",
    direct="memory='direct'",
    gdb_mi="memory='gdb-mi'",
    no_stop="stop=False",
    max_stop="max_stop",
    key="look_up",
    remote="open_remote",
    save="census.save(path)",
    force="force=True",
    zstd="zstd=True",
    max_memory="more memory",
    max_unpacked="max_unpacked",
)


@dataclass(frozen=True)
class Hint:
    """What to try next, for every front end.

    `text` is a template: {exe}, {type} and the other fields of Spelling stand for what the front end calls them.
    Nothing that comes from a user or a target may be a part of it: that belongs into the message.
    """

    text: str

    def spelled(self, spelling: Spelling) -> str:
        """The hint in the words of a front end."""
        return self.text.format_map(asdict(spelling))


class InspectError(Exception):
    """Base of the family: a clear sentence, a hint for the next step and an exit code.

    A message names no option of any front end. A hint that does is a Hint; others are plain sentences.
    """

    exit_code = EXIT_ERROR

    def __init__(self, message: str, hint: Hint | str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.spelled(PYTHON)

    def spelled(self, spelling: Spelling) -> str:
        """The message and its hint in the words of a front end."""
        hint = self.hint.spelled(spelling) if isinstance(self.hint, Hint) else self.hint
        return f"{self.message} ({hint})" if hint else self.message


class UsageError(InspectError):
    """The arguments do not make sense together."""


class NoSuchTarget(InspectError):
    """No process with that pid, or no file at that path."""


class NotPermitted(InspectError):
    """The kernel does not let this user read the target."""


class TooFewDescriptors(InspectError):
    """We may open no more files: nothing can be said of those that were not opened."""

    def __init__(self) -> None:
        super().__init__("no more files can be opened: the limit is too low", "raise it: ulimit -n 1024")

    def __reduce__(self) -> tuple[type[TooFewDescriptors], tuple[()]]:
        return (TooFewDescriptors, ())


class TargetGone(InspectError):
    """The process ended while it was being inspected."""


class ProgramReplaced(TargetGone):
    """The process called exec while it was being inspected: it runs another program now."""


class HoldLost(InspectError):
    """The process ran again before everything was copied, so what was copied may be torn."""


class NotGo(InspectError):
    """The executable was not built by the Go toolchain."""


class UnsupportedTarget(InspectError):
    """A Go program, but one whose maps this version cannot decode."""


class BadExecutable(InspectError):
    """The executable is missing, damaged, or not the one the target runs."""


class BadCore(InspectError):
    """The file is not a core dump that can be used."""


class UnknownType(InspectError):
    """No map type of that name in the executable."""


class UnknownVariable(InspectError):
    """The name cannot be resolved to a map in the target."""


class NotAMap(InspectError):
    """The memory at the address cannot be a map."""


class UnknownMap(NotAMap):
    """The memory at the address may be a map, but it fits no map type that is known."""


class TooLarge(InspectError, MemoryError):
    """What a target claims to have takes more memory than may be taken.

    `size` and `left` are bytes: what it claims, and what may still be taken.
    """

    def __init__(self, what: str, size: int, left: int) -> None:
        super().__init__(
            f"{what} of {size:,} bytes takes more memory than may be taken: {left:,} bytes are left",
            Hint("the target may be lying about it; if not, raise the limit: {max_memory}"),
        )
        self.what, self.size, self.left = what, size, left

    def __reduce__(self) -> tuple[type[TooLarge], tuple[str, int, int]]:
        return (TooLarge, (self.what, self.size, self.left))


class MissingPackage(InspectError, ImportError):
    """A package that only this needs is not installed: `package` is its name."""

    def __init__(self, package: str, extra: str, why: object = "") -> None:
        super().__init__(
            f"{package} cannot be imported{f': {why}' if why else ''}", f"pip install 'go-map-inspect[{extra}]'"
        )
        self.package, self.extra, self.why = package, extra, str(why)

    def __reduce__(self) -> tuple[type[MissingPackage], tuple[str, str, str]]:
        return (MissingPackage, (self.package, self.extra, self.why))


class GdbError(InspectError):
    """gdb answered a command with an error."""


class GdbMissing(GdbError):
    """gdb is needed for this and is not installed."""


class GdbDied(GdbError):
    """gdb ended in the middle of the conversation."""


class UnreadableMemory(InspectError):
    """A range of the target's memory could not be read.

    `address` and `size` (bytes) name the range that was asked for, `reason` says why in plain words.
    """

    def __init__(self, address: int, size: int, reason: str) -> None:
        super().__init__(f"cannot read {size} bytes at {address:#x}: {reason}")
        self.address = address
        self.size = size
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableMemory], tuple[int, int, str]]:
        return (UnreadableMemory, (self.address, self.size, self.reason))


class MissedMemory(UnreadableMemory):
    """A range of a copy that is not there because the stop had to end before it was read."""


class NotReadInTime(InspectError):
    """The stop had to end before a range of the target's memory was read; the range itself may be sound.

    `size` is in bytes, `allowed` in seconds.
    """

    def __init__(self, size: int, allowed: float) -> None:
        super().__init__(
            f"{size:,} bytes were not read within the {allowed * 1000:.0f} ms that a stop may take",
            Hint("allow longer stops with {max_stop}, or do not stop the process: {no_stop}"),
        )
        self.size = size
        self.allowed = allowed

    def __reduce__(self) -> tuple[type[NotReadInTime], tuple[int, float]]:
        return (NotReadInTime, (self.size, self.allowed))
