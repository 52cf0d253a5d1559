"""The command line: its own form, TARGET [MAP], and the verbs beside it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import rich_click as click
from click.core import ParameterSource

from inspector.cli import arguments
from inspector.cli.failing import exit_code_of
from inspector.cli.progress import showing_progress
from inspector.cli.redacting import redacting_as_asked
from inspector.cli.request import EARLIER, Request
from inspector.cli.saying import PROGRAM, say
from inspector.errors import UsageError
from inspector.settings import MaxStop

COMPLETING = f"_{arguments.ENVIRONMENT}_COMPLETE"
"""Set in the environment by a shell that asks for completions (click's own name)."""


class Program(click.RichGroup):
    """A group with a form of its own, which is used whenever the first word is not one of its verbs."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> Any:
        """Make the context of a verb, or of the program's own form."""
        verb = self.commands.get(args[0]) if args else None
        if verb is None:
            return super().make_context(info_name, args, parent, **extra)
        return verb.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the own form: what stands there are arguments, not verbs."""
        # A group lets more words through, for its verbs.
        ctx.allow_extra_args = False
        return click.Command.parse_args(self, ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run what the context was made for."""
        return click.Command.invoke(self, ctx) if ctx.command is self else ctx.command.invoke(ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The own form's words, without the group's COMMAND [ARGS]."""
        return click.Command.collect_usage_pieces(self, ctx)


@click.command(
    cls=Program,
    context_settings=arguments.SETTINGS | {"allow_interspersed_args": True},
    add_help_option=False,
    no_args_is_help=False,
    epilog=arguments.EPILOG,
)
@arguments.target
@arguments.map_
@arguments.exe
@arguments.memory
@arguments.no_stop
@arguments.max_stop
@arguments.max_share
@arguments.budget
@arguments.max_unpacked
@arguments.remote
@arguments.old_demo
@arguments.one_map
@arguments.questions
@arguments.listed_maps
@arguments.diff
@arguments.json
@arguments.ndjson
@arguments.export
@arguments.redact
@arguments.max_memory
@arguments.verbose
@arguments.about
@arguments.help_
@arguments.gdb
@arguments.old_gdb
def command(target: str | None, map: str | None, demo: bool, gdb_setup: bool, gdb_script: bool, **options: Any) -> int:
    """Decode Go maps of a live process or a core dump, and judge whether the Go runtime can have made them.

    \b
    Examples:
      go-map-inspect 4090                      all maps, by where they hang
      go-map-inspect 4090 main.sessions        one map, by its variable
      go-map-inspect core.zst 0xc00007c420     one map of a core dump, by address
      go-map-inspect demo                      try it on the core dump that comes with it

    Exit codes: 0 consistent, or the --key is present; 1 inconsistent, or the --key is absent; 2 usage or target
    error; 3 partial result; 130 interrupted.
    """
    if gdb_setup or gdb_script:
        return _for_gdb(gdb_setup, gdb_script, _given() - {"gdb"}, options["gdb"])
    if demo:
        # The option names the target: the first argument is the map.
        if options["remote"] is not None:
            raise UsageError("--demo and --remote each bring a target", "choose one")
        target, map = Request.of_demo(target, map)
    elif options["remote"] is not None and map is None:
        # So does this one.
        target, map = None, target
    return _answer(target=target, map=map, **options)


@command.command("demo", context_settings=arguments.SETTINGS, add_help_option=False)
@arguments.family
@arguments.map_
@arguments.not_for_the_demo
@arguments.memory
@arguments.one_map
@arguments.questions
@arguments.listed_maps
@arguments.demo_diff
@arguments.json
@arguments.ndjson
@arguments.export
@arguments.redact
@arguments.max_memory
@arguments.verbose
@arguments.help_
@arguments.gdb
def demo_command(family: str | None, map: str | None, demo: bool, **options: Any) -> int:
    """Try the program on a real core dump that comes with it: no Go, no gdb, no network.

    \b
    Examples:
      go-map-inspect demo                      its map, caught in mid-growth
      go-map-inspect demo swiss                the same of a Go 1.27 program
      go-map-inspect demo --maps               all its maps, the largest first
      go-map-inspect demo --diff               what changed since an earlier core dump
      go-map-inspect demo --key '"session-0101"'
      go-map-inspect demo 0xc000094420 --json

    MAP is as in go-map-inspect TARGET MAP; without it the map main.sessions is shown, or with any option of the
    panel All maps, the list of all maps. demo stands for a TARGET elsewhere, too: go-map-inspect diff 'demo earlier'
    demo --map main.sessions. A core dump that is called demo is written ./demo.
    """
    if demo:
        raise UsageError("--demo and the word demo are the same", "leave --demo out")
    target, map = Request.of_demo(family, map)
    if options["diff"] == arguments.BEFORE:
        options["diff"] = target.removesuffix(EARLIER) + EARLIER
    return _answer(target=target, map=map, **options)


@command.command("diff", context_settings=arguments.SETTINGS, add_help_option=False)
@click.argument("before")
@click.argument("after")
@arguments.exes
@arguments.memory
@arguments.no_stop
@arguments.max_stop
@arguments.max_share
@arguments.budget
@arguments.entries_of
@arguments.max_unpacked
@arguments.listed_maps
@arguments.json
@arguments.redact
@arguments.max_memory
@arguments.verbose
@arguments.help_
@arguments.gdb
def diff_command(before: str, after: str, exe: tuple[str, ...], **options: Any) -> int:
    """Say what changed between BEFORE and AFTER, by group first: the same as go-map-inspect AFTER --diff BEFORE.

    \b
    Examples:
      go-map-inspect 4090 --json > before.json
      go-map-inspect diff before.json 4090     which maps grew since then
      go-map-inspect diff core.1 core.2        two core dumps
      go-map-inspect diff core.1 core.2 --map main.sessions

    Each is a pid, a core dump, demo, or a file that --json wrote. How a process is treated (--no-stop, --max-stop,
    --memory, --gdb) holds for both. --maps lists the maps of AFTER, too.
    """
    # One executable is for both; of two the first is for the first.
    both = exe * 2 if len(exe) == 1 else exe[::-1]
    return _answer(target=after, diff=before, map=None, exe=both, **options)


@command.command("snapshot", context_settings=arguments.SETTINGS, add_help_option=False)
@arguments.process
@arguments.hold
@arguments.core
@arguments.not_for_a_core
@arguments.max_memory
@arguments.verbose
@arguments.help_
def snapshot_command(
    pid: str, output: str, force: bool, zstd: bool, max_stop: MaxStop, max_memory: int | None, verbose: bool,
    redact: bool, redact_key: str | None,
) -> int:  # fmt: skip
    """Write a core dump of a live process, and hold it only while its memory is copied.

    \b
    Examples:
      go-map-inspect snapshot 4090 -o core.4090
      go-map-inspect snapshot 4090 -o core.4090.zst --max-stop 500ms
      go-map-inspect core.4090 main.sessions   then think, elsewhere if you like

    gdb, Delve and every command of this program read it, beside the executable that the process runs. A core dump
    holds all that the process had in memory, passwords, keys and personal data too: keep it as safe as those.
    """
    if {"redact", "redact_key"} & _given():
        raise UsageError(
            "a core dump cannot be redacted: it is the memory of the process as it is",
            "share the census instead: go-map-inspect PID --json --redact",
        )
    from inspector.cli.logs import log_to_standard_error
    from inspector.cli.snapshotting import snapshot
    from inspector.copying.limit import limited_memory

    _collect_again()
    if verbose:
        log_to_standard_error()
    with limited_memory(max_memory), showing_progress(verbose):
        return snapshot(pid, output, force, zstd, max_stop)


@command.group("gdb", cls=click.RichGroup, context_settings=arguments.SETTINGS, no_args_is_help=False)
def gdb_command() -> None:
    """Bring info gomap, info gomaps and the pretty-printer into gdb."""


@gdb_command.command("setup", context_settings=arguments.SETTINGS)
@arguments.gdb
def gdb_setup_command(gdb: str) -> int:
    """Fetch the packages that the plugin needs for the Python inside of a gdb."""
    return _for_gdb(True, False, frozenset(), gdb)


@gdb_command.command("script", context_settings=arguments.SETTINGS)
def gdb_script_command() -> int:
    """Print the path of the file for gdb's command source, and nothing else."""
    return _for_gdb(False, True, frozenset(), "gdb")


def _answer(verbose: bool, max_memory: int | None, redact: bool, redact_key: str | None, **options: Any) -> int:
    request = Request(**options, given=_given() | ({"diff"} if options.get("diff") else set()))
    # What makes no sense is refused before all that answers is loaded.
    request.check()
    if redact or redact_key is not None:
        request.check_hidden()
    request.check_presence()
    from inspector.cli.logs import log_to_standard_error
    from inspector.cli.running import run
    from inspector.copying.limit import limited_memory

    _collect_again()
    if verbose:
        log_to_standard_error()
    with limited_memory(max_memory), redacting_as_asked(redact, redact_key), showing_progress(verbose):
        return run(request)


def _collect_again() -> None:
    """Enable the garbage collector, which was off while modules were loaded, and spare it all that they made.

    So no collection takes as long as before, also of those that happen in a stop.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _given() -> frozenset[str]:
    """Names of what is on the command line itself, not in the environment and not a default."""
    context = click.get_current_context()
    assert context is not None
    return frozenset(
        name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )


def _for_gdb(setup: bool, script: bool, others: frozenset[str], gdb: str) -> int:
    asked = "--gdb-setup" if setup else "--gdb-script"
    if others - {"gdb_setup" if setup else "gdb_script"}:
        raise UsageError(
            f"{asked} inspects nothing, so it takes no TARGET, no MAP and no other option", "leave them out"
        )
    from inspector.cli.gdbsetup import fetch_packages, script_path

    print(fetch_packages(gdb, say) if setup else script_path())
    return 0


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the command."""

    def answer() -> int | None:
        try:
            code: int | None = command.main(args, PROGRAM, standalone_mode=False)
            return code
        except SystemExit as ending:
            # So click ends when it has told a shell how a word can be completed. Nothing else may end in this way.
            if COMPLETING in os.environ and not ending.code:
                return 0
            if isinstance(ending.__context__, BrokenPipeError):
                # Whoever reads the help has seen enough; rich ends in this way.
                from inspector.cli.delivering import drop_output

                drop_output()
                return 0
            raise

    sys.exit(exit_code_of(answer))
