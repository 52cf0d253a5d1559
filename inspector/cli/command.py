"""The command line: arguments in, exit code out."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import NoReturn

import rich_click as click
from click.core import ParameterSource
from rich.console import Console

from inspector.census import Census, take_census
from inspector.census.diff import Earlier, compare
from inspector.census.saved import read_saved
from inspector.census.select import ORDERS, Order, Selection
from inspector.cli.demo import open_demo
from inspector.cli.gdbsetup import fetch_packages, script_path
from inspector.cli.options import duration, number_or_all, pattern, size
from inspector.control.ptrace import INTERRUPTIONS
from inspector.errors import EXIT_ERROR, InspectError, UsageError
from inspector.inspection.one_key import look_up
from inspector.inspection.one_map import DEFAULT_ENTRIES, inspect
from inspector.naming.locate import shown
from inspector.report.json.census import write_census
from inspector.report.json.one_map import write_json, write_ndjson
from inspector.report.text.census import print_census
from inspector.report.text.one_key import print_lookup, write_lookup
from inspector.report.text.one_map import print_report
from inspector.report.text.progress import ProgressBar
from inspector.target.opening import open_target
from inspector.target.remote import open_remote
from inspector.target.target import MemoryChoice, Target

PROGRAM = "go-map-inspect"
PIPE_WIDTH = 160
INTERRUPTED = 130
CENSUS_IS_NOT_FOR = ("type_name", "entries", "as_ndjson", "key")
CENSUS_ONLY = ("sort", "top", "min_bytes", "type_matches", "only_findings", "strings", "max_stop", "diff")
DEBUG_VARIABLE = "GO_MAP_INSPECT_DEBUG"
TOP = 30
"""Maps that a person is shown at first; the machine output lists all."""

MESSAGE_LIMIT = 1000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would exit with 1, which says "inconsistent" here.
        raise BrokenPipeError


class Interrupted(BaseException):
    """A signal asked us to end. No KeyboardInterrupt: click would print a line of its own for that one."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("target", required=False)
@click.argument("map", required=False)
@click.option("--type", "type_name", metavar="TYPE", help="The map's Go type, e.g. 'map[string]int'.")
@click.option("--entries", callback=number_or_all, default=str(DEFAULT_ENTRIES), show_default=True, metavar="N|all",
              help="How many entries to show; 0 for none.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document to standard output.")
@click.option("--ndjson", "as_ndjson", is_flag=True, help="Write JSON lines: the document, then each entry.")
@click.option("--exe", metavar="PATH", help="The executable, where the target does not lead to it.")
@click.option("--memory", type=click.Choice(["auto", "gdb-mi", "direct"]), default="auto", show_default=True,
              help="auto: gdb is used for variables in frames only; direct: no gdb; "
                   "gdb-mi: gdb holds the process and reads everything.")  # fmt: skip
@click.option("--no-stop", is_flag=True, help="Do not stop the process (needs no gdb; copies may be torn).")
@click.option("--remote", metavar="HOST:PORT", help="Inspect the process of a gdbserver, in the place of TARGET.")
@click.option("--gdb", default="gdb", show_default=True, metavar="PROGRAM", help="The gdb to use.")
@click.option(
    "--key", metavar="LITERAL", help="Look one key up as the runtime does, e.g. '\"text\"', 42, '{1, \"x\"}'."
)
@click.option("--sort", type=click.Choice(list(ORDERS)), default="bytes", show_default=True,
              help="Census: most bytes, most to give back, or most entries first; or growing maps.")  # fmt: skip
@click.option("--top", callback=number_or_all, metavar="N|all",
              help=f"Census: how many maps to list (a person is shown {TOP}; --json lists all).")  # fmt: skip
@click.option(
    "--min-bytes", callback=size, default="0", metavar="BYTES", help="Census: only maps that hold as much (64k, 10M)."
)
@click.option("--type-matches", callback=pattern, metavar="REGEX", help="Census: only maps whose type matches.")
@click.option("--only-findings", is_flag=True, help="Census: only maps that a rule found something at.")
@click.option("--strings", is_flag=True, help="Census: count the bytes of the strings in keys and elements, too.")
@click.option("--max-stop", callback=duration, default="200ms", show_default=True, metavar="TIME",
              help="Census: how long a process may be held in a row.")  # fmt: skip
@click.option(
    "--diff", metavar="OTHER", help="Census: what changed since OTHER: a pid, a core, or a file that --json wrote."
)
@click.option(
    "--gdb-script", is_flag=True, help="Print the path of the file for gdb's command `source`, and nothing else."
)
@click.option("--gdb-setup", is_flag=True, help="Fetch the packages that the file needs in the Python inside of --gdb.")
@click.option("--demo", is_flag=True, help="Inspect a small core dump that comes with the program.")
@click.version_option(version("go-map-inspect"), prog_name=PROGRAM)
def command(
    target: str | None,
    map: str | None,
    type_name: str | None,
    entries: int | None,
    as_json: bool,
    as_ndjson: bool,
    exe: str | None,
    memory: MemoryChoice,
    no_stop: bool,
    remote: str | None,
    gdb: str,
    demo: bool,
    key: str | None,
    sort: Order,
    top: int | None,
    min_bytes: int,
    type_matches: re.Pattern[str] | None,
    only_findings: bool,
    strings: bool,
    max_stop: float,
    diff: str | None,
    gdb_script: bool,
    gdb_setup: bool,
) -> int:
    """Decode and judge Go maps in a live process or a core dump.

    TARGET is a pid or the path of a core dump, compressed or not (zst, lz4, xz, gz, bz2). MAP is the address of
    an hmap (0xc00007c420) or a Go variable, with a field path if you like (main.sessions,
    main.server.sessions); or a variable of a function that is being executed (main.handler:sessions,
    main.handler@18:s.cache for the one in goroutine 18). Without MAP all maps
    are listed: the census.

    Exit codes: 0 consistent, 1 inconsistent, 2 usage or target error, 3 answered only in part.
    """
    if gdb_script:
        print(script_path())
        return 0
    if gdb_setup:
        print(fetch_packages(gdb, _say))
        return 0
    if as_json and as_ndjson:
        raise UsageError("--json and --ndjson are two forms of one output", "choose one")
    if key is not None and as_ndjson:
        raise UsageError("--key gives one answer, not a stream", "use --json")
    if demo:
        if target is not None or type_name is not None or exe is not None or no_stop or remote is not None:
            raise UsageError(
                "--demo brings its own target", "leave TARGET, MAP, --type, --exe, --remote and --no-stop out"
            )
        with open_demo() as (opened, name, demo_type):
            return _answer(opened, name, demo_type, key, entries, as_json, as_ndjson)
    if remote is not None:
        # The process is named by the option: the one argument is the map.
        if target is None:
            raise UsageError("no map given", "name a variable (main.sessions), or an address")
        if map is not None:
            raise UsageError(f"--remote names the process, so {shown(target)!r} is one too many", "leave TARGET out")
        with open_remote(remote, exe=exe, memory=memory, stop=not no_stop, gdb=gdb) as opened:
            return _answer(opened, target, type_name, key, entries, as_json, as_ndjson)
    if target is None:
        raise UsageError(
            "no target given", f"try {PROGRAM} PID, {PROGRAM} PID main.variable, {PROGRAM} --demo, or --help"
        )
    if map is None:
        _refuse(CENSUS_IS_NOT_FOR, "the census is of all maps", "name a map, or leave it out")
        if top is None and not as_json and not _given("top"):
            top = TOP
        selection = Selection(sort, min_bytes, type_matches, only_findings, top)
        # The census needs no gdb: it reads types of variables itself, and stops the process often and for short times.
        choice: MemoryChoice = "direct" if memory == "auto" else memory
        with open_target(target, exe=exe, memory=choice, stop=not no_stop, gdb=gdb) as opened:
            return _census(opened, selection, max_stop, strings, diff, as_json)
    _refuse(CENSUS_ONLY, "this option is for the census, and a map is named", "leave MAP out, or the option")
    with open_target(target, exe=exe, memory=memory, stop=not no_stop, gdb=gdb) as opened:
        return _answer(opened, map, type_name, key, entries, as_json, as_ndjson)


def _answer(
    target: Target,
    name: str,
    type_name: str | None,
    key: str | None,
    entries: int | None,
    as_json: bool,
    as_ndjson: bool,
) -> int:
    if key is not None:
        return _look_up(target, name, type_name, key, as_json)
    return _run(target, name, type_name, entries, as_json, as_ndjson)


def _given(option: str) -> bool:
    """Whether an option is on the command line."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) is ParameterSource.COMMANDLINE


def _refuse(options: tuple[str, ...], why: str, hint: str) -> None:
    for option in options:
        if _given(option):
            spelled = {"type_name": "--type", "as_ndjson": "--ndjson"}.get(option, f"--{option.replace('_', '-')}")
            raise UsageError(f"{spelled}: {why}", hint)


def _census(
    target: Target, selection: Selection, max_stop: float, strings: bool, other: str | None, as_json: bool
) -> int:
    earlier = _earlier(other, max_stop, strings) if other is not None else None
    census = _take(target, max_stop, strings)
    diff = compare(earlier, Earlier.of(census)) if earlier else None

    def show() -> None:
        if as_json:
            write_census(census, selection, diff, sys.stdout)
        else:
            print_census(census, selection, diff, _console())

    _deliver(target, census.notes, show)
    return census.exit_code


def _earlier(other: str, max_stop: float, strings: bool) -> Earlier:
    """The census to compare with: one that was saved, or one that is taken now."""
    document = read_saved(other)
    if document is not None:
        return Earlier.parsed(document)
    with open_target(other, memory="direct") as opened:
        return Earlier.of(_take(opened, max_stop, strings))


def _take(target: Target, max_stop: float, strings: bool) -> Census:
    console = Console(stderr=True)
    if not console.is_terminal:
        return take_census(target, max_stop, strings=strings)
    with ProgressBar(console) as bar:
        return take_census(target, max_stop, bar, strings)


def _run(target: Target, name: str, type_name: str | None, entries: int | None, as_json: bool, as_ndjson: bool) -> int:
    inspection = inspect(target, name, type_name, entries)

    def show() -> None:
        if as_json:
            write_json(inspection, sys.stdout)
        elif as_ndjson:
            write_ndjson(inspection, sys.stdout)
        else:
            print_report(inspection, _console())

    _deliver(target, inspection.notes, show)
    return inspection.exit_code


def _look_up(target: Target, name: str, type_name: str | None, key: str, as_json: bool) -> int:
    answer = look_up(target, name, type_name, key)

    def show() -> None:
        if as_json:
            write_lookup(answer, sys.stdout)
        else:
            print_lookup(answer, _console())

    _deliver(target, answer.notes, show)
    return 0


def _deliver(target: Target, notes: tuple[str, ...], show: Callable[[], None]) -> None:
    # The process runs again and everything is copied: only printing is left.
    target.close()
    for note in notes:
        _say(f"note: {note}")
    try:
        show()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; the verdict stays what it is.
        _drop_output()
    except OSError as error:
        _drop_output()
        raise InspectError(f"cannot write the answer: {error.strerror}", "is the disk full?") from None


def _console() -> Console:
    console = _Console(markup=False, highlight=False, emoji=False)
    return console if console.is_terminal else _Console(markup=False, highlight=False, emoji=False, width=PIPE_WIDTH)


def _drop_output() -> None:
    # Else the interpreter would try once more at its end, and complain.
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> NoReturn:
    """Entry point of the command: one line on standard error for every failure, never a traceback."""
    for number in INTERRUPTIONS:
        # What was ignored from the start (nohup) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character must not cost the answer.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _main()
        _ignore_interruptions()
    except Interrupted:
        _say("interrupted; a live target is left as it was")
        code = INTERRUPTED
    sys.exit(code)


def _interrupt(*_: object) -> NoReturn:
    # As an exception, so that every process that is held is let go on the way out; only once, so that
    # nothing disturbs that.
    _ignore_interruptions()
    raise Interrupted


def _ignore_interruptions() -> None:
    for number in INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)


def _main() -> int:
    """Run the command. Whatever is raised becomes a line and an exit code, never the one of an inconsistent map."""
    try:
        if sys.stdout is None:
            return _fail("standard output is closed, so there is nowhere to answer")
        return int(command.main(standalone_mode=False) or 0)
    except Interrupted:
        raise
    except click.ClickException as error:
        return _fail(f"{error.format_message()} (see {PROGRAM} --help)")
    except InspectError as error:
        _fail(str(error))
        return error.exit_code
    except BaseException as error:
        # Looked at outside of this block: as long as the error is handled here, its frames keep all that they hold.
        message = _failure(error)
    return _fail(message)


def _failure(error: BaseException) -> str:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for the answer (raise the limit, or ask for less: one map, fewer --entries)"
    what = f"{type(error).__name__}: {error}"
    return f"internal error ({what}); please report it, with {DEBUG_VARIABLE}=1 for the details"


def _fail(message: str) -> int:
    # Even if the message itself cannot be written, for want of memory above all, the exit code is told.
    with suppress(Exception):
        _say(message)
    return EXIT_ERROR


def _say(message: str) -> None:
    """Write one line to standard error, whatever is in the message."""
    if len(message) > MESSAGE_LIMIT:
        message = f"{message[:MESSAGE_LIMIT]}..."
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    # Without a standard error nobody listens; the exit code still tells.
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"{PROGRAM}: {printable}", file=sys.stderr)
