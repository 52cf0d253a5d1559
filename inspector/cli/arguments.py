"""The words of the command line: arguments and options, in the panels that --help shows them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click as plain_click
import rich_click as click

from inspector.cli.completing import MapType, ProcessType, TargetType
from inspector.cli.options import budget as seconds_in_all
from inspector.cli.options import duration, number, number_or_all, pattern, share, size
from inspector.cli.request import TOP
from inspector.cli.saying import PROGRAM
from inspector.settings import DEFAULT_ENTRIES, MAX_SHARE, USUAL_STOP, USUAL_STOP_BY_GDB, By, Order

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

# To draw help, rich-click asks whether click is older than 8.2. click looks its version up in the metadata of packages,
# and what reads those takes 20 ms to load, a sixth of the help. That it is not older is all that the answer is for,
# and pyproject.toml asks for 8.4.
vars(plain_click).setdefault("__version__", "8.4.0")

ENVIRONMENT = "GO_MAP_INSPECT"

SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    # GO_MAP_INSPECT_MEMORY=direct stands for --memory direct, and so on.
    "auto_envvar_prefix": ENVIRONMENT,
    "rich_help_config": {
        "options_table_column_types": ["opt_all", "metavar", "help"],
        "append_metavars_help_string": "{}",
        "text_markup": None,
        "max_width": 100,
        "padding_helptext": (0, 1, 1, 1),
    },
}

EPILOG = f"""{ENVIRONMENT}_MEMORY=direct in the environment stands for --memory direct; other options likewise.
{ENVIRONMENT}_DEBUG=1 shows the traceback of an internal error."""


def _option(panel: str, *words: str, **attributes: Any) -> Decorator:
    return click.option(*words, panel=panel, **attributes)


def _all_of(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


TARGET, ONE_MAP, ALL_MAPS, BOTH = "Target", "One map", "All maps", "One map or all maps"
CORE, OUTPUT, GDB = "Core dump", "Output", "gdb"

target = click.argument("target", required=False, type=TargetType(), panel=TARGET,
                        help="A pid, a core dump (plain, or .zst .lz4 .xz .gz .bz2), or demo.")  # fmt: skip
family = click.argument("family", required=False, metavar="[swiss] [earlier]", panel=TARGET,
                        help="swiss: the core dump of a Go 1.27 program, with Swiss maps; else one of Go 1.23. "
                             "earlier: one of the same program with half as many sessions.")  # fmt: skip
map_ = click.argument("map", required=False, type=MapType(), panel=ONE_MAP,
                      help="A Go variable, with fields if you like (main.server.sessions); a variable of a running "
                           "function (main.handler:sessions, or in goroutine 18 main.handler@18:sessions); or the "
                           "address of a map (0xc00007c420). Without MAP all maps are listed.")  # fmt: skip

exe = _option(TARGET, "--exe", metavar="PATH", multiple=True,
              help="Path of the executable, if it cannot be found automatically. A second --exe is for the OTHER "
                   "of --diff.")  # fmt: skip
exes = _option(TARGET, "--exe", metavar="PATH", multiple=True,
               help="Path of the executable, if it cannot be found automatically. Twice where BEFORE and AFTER "
                    "have different ones.")  # fmt: skip
memory = _option(TARGET, "--memory", type=click.Choice(["auto", "gdb-mi", "direct"]), default="auto",
                 show_default=True, metavar="HOW",
                 help="How memory is read. auto: directly, with gdb where it helps; direct: without gdb; "
                      "gdb-mi: everything through gdb.")  # fmt: skip
no_stop = _option(TARGET, "--no-stop", is_flag=True,
                  help="Do not stop the process. A copy that changes meanwhile may be torn.")  # fmt: skip
max_stop = _option(TARGET, "--max-stop", callback=duration, metavar="TIME",
                   help=f"How long one pause of the process may take: 50ms, 1s; 5 is 5s (default: "
                        f"{USUAL_STOP * 1000:.0f}ms; where gdb pauses it: {USUAL_STOP_BY_GDB:.0f}s, beside what gdb "
                        "takes to attach).")  # fmt: skip
max_share = _option(ALL_MAPS, "--max-share", callback=share, default=f"{MAX_SHARE:.0%}", show_default=True,
                    metavar="PERCENT",
                    help="Where one pause is too short to copy all memory, the process is paused for at most this "
                         "share of any second.")  # fmt: skip
budget = _option(ALL_MAPS, "--budget", callback=seconds_in_all, metavar="TIME",
                 help="How long the process may be paused in all: 500ms, 2s. Maps that are left then are copied while "
                      "it runs.")  # fmt: skip
max_memory = _option(TARGET, "--max-memory", callback=size, metavar="SIZE",
                     help="How much memory the program itself may take: 500m, 2g (default: a quarter of what the "
                          "machine has free).")  # fmt: skip
max_unpacked = _option(TARGET, "--max-unpacked", callback=size, metavar="BYTES",
                       help="How large a compressed core dump may become: 8GiB (default: what the temporary folder has "
                            "room for).")  # fmt: skip
remote = _option(TARGET, "--remote", metavar="HOST:PORT", allow_from_autoenv=False,
                 help="Inspect the process behind a gdbserver (instead of TARGET).")  # fmt: skip
old_demo = _option(
    TARGET, "--demo", is_flag=True, allow_from_autoenv=False, help="The same as the TARGET demo; also --demo swiss."
)

process = click.argument("pid", metavar="PID", type=ProcessType(), panel=TARGET, help="The process.")
hold = _option(TARGET, "--max-stop", callback=duration, metavar="TIME",
               help="How long the process may be held: 50ms, 1s; 5 is 5s (default: as long as the copy takes). Where "
                    "a measured sample says that it will take longer, nothing is held or written.")  # fmt: skip
core = _all_of(
    _option(CORE, "-o", "--output", metavar="FILE", required=True, allow_from_autoenv=False, type=click.Path(),
            help="Where the core dump is written."),
    _option(CORE, "--force", is_flag=True, allow_from_autoenv=False, help="Replace FILE if it exists."),
    _option(CORE, "--zstd", is_flag=True, allow_from_autoenv=False,
            help="Compress while it is written; the same if FILE ends in .zst. gdb and Delve need it unpacked."),
)  # fmt: skip

not_for_the_demo = _all_of(
    # Accepted, so that their refusal can say why.
    click.option("--exe", multiple=True, hidden=True),
    click.option("--no-stop", is_flag=True, hidden=True),
    click.option("--max-stop", callback=duration, hidden=True),
    click.option("--max-share", callback=share, default="100%", hidden=True),
    click.option("--budget", callback=seconds_in_all, hidden=True),
    click.option("--remote", allow_from_autoenv=False, hidden=True),
    click.option("--demo", is_flag=True, allow_from_autoenv=False, hidden=True),
)

one_map = _all_of(
    _option(ONE_MAP, "--type", metavar="TYPE", allow_from_autoenv=False,
            help="The map's Go type, such as 'map[string]int'."),
    _option(ONE_MAP, "--entries", callback=number_or_all, default=str(DEFAULT_ENTRIES), show_default=True,
            metavar="N|all", help="How many entries to show; 0 for none."),
    _option(ONE_MAP, "--key", metavar="LITERAL", allow_from_autoenv=False,
            help="Look up one key as the runtime does: '\"text\"', 42, '{1, \"x\"}'. Exit code 1 if it is absent."),
    _option(ONE_MAP, "--top-entries", callback=number, metavar="N", allow_from_autoenv=False,
            help="The N largest entries, with the strings and slices that they hold."),
    _option(ONE_MAP, "--by", type=click.Choice(list(get_args(By))), default="size", show_default=True, metavar="SIZE",
            allow_from_autoenv=False,
            help="What --top-entries looks at: size (key and element), key-size or value-size."),
)  # fmt: skip

questions = _all_of(
    _option(BOTH, "--grep", callback=pattern, metavar="REGEX", allow_from_autoenv=False,
            help="Only entries whose key matches, of the MAP or of all maps; strings as they are, other keys as they "
                 "are typed."),
    _option(BOTH, "--values", is_flag=True, allow_from_autoenv=False, help="With --grep: search elements, too."),
    _option(BOTH, "--retained", is_flag=True, allow_from_autoenv=False,
            help="What the MAP keeps alive alone, or each group of maps: with --group each map of it."),
    _option(BOTH, "--duplicates", is_flag=True, allow_from_autoenv=False,
            help="Strings that keys and elements hold more than once, and what keeping each once gives back."),
)  # fmt: skip

listed_maps = _all_of(
    _option(ALL_MAPS, "--maps", is_flag=True, help="List single maps, and not groups of them."),
    _option(ALL_MAPS, "--group", metavar="NAME", allow_from_autoenv=False,
            help="List the maps of one group: 'main.server.sessions[*].Tags', '(main.session).Tags', or a type."),
    _option(ALL_MAPS, "--sort", type=click.Choice(get_args(Order)), default="bytes", show_default=True, metavar="ORDER",
            help="bytes, waste, count: the most first; growing: growing maps first."),
    _option(ALL_MAPS, "--top", callback=number_or_all, metavar="N|all",
            help=f"How many groups or maps to list (default: {TOP}; all with --json)."),
    _option(ALL_MAPS, "--min-bytes", callback=size, default="0", metavar="BYTES",
            help="Only maps that hold at least this much: 64k, 10MiB."),
    _option(ALL_MAPS, "--type-matches", callback=pattern, metavar="REGEX", help="Only maps whose type matches."),
    _option(ALL_MAPS, "--only-findings", is_flag=True, help="Only maps with findings."),
    _option(ALL_MAPS, "--strings", is_flag=True, help="Count the bytes of strings in keys and elements, too."),
    _option(ALL_MAPS, "--unproven", is_flag=True,
            help="List what looks like a map, too, and could neither be proven nor refuted."),
    _option(ALL_MAPS, "--bytes", is_flag=True, help="Write sizes as exact numbers of bytes."),
)  # fmt: skip
diff = _option(ALL_MAPS, "--diff", metavar="OTHER", allow_from_autoenv=False,
               help="What changed since OTHER: a pid, a core dump, or a file that --json wrote.")  # fmt: skip
BEFORE = "earlier"
"""Stands for the OTHER that the demo brings."""

demo_diff = _option(ALL_MAPS, "--diff", metavar="[OTHER]", allow_from_autoenv=False, is_flag=False, flag_value=BEFORE,
                    help="What changed since the demo's earlier core dump, or since OTHER: a pid, a core dump, or a "
                         "file that --json wrote.")  # fmt: skip
entries_of = _option(ONE_MAP, "--map", "entries_of", metavar="MAP", allow_from_autoenv=False,
                     help="Compare the entries of one map: which were added, removed or changed.")  # fmt: skip

json = _option(
    OUTPUT, "--json", is_flag=True, allow_from_autoenv=False, help="Write one JSON document to standard output."
)
ndjson = _option(
    OUTPUT, "--ndjson", is_flag=True, allow_from_autoenv=False, help="Write JSON lines: the document, then each entry."
)
export = _all_of(
    _option(OUTPUT, "--export", metavar="FILE", allow_from_autoenv=False, type=click.Path(),
            help="Write all entries of the MAP, or --entries N, as a flat table to FILE.parquet, .arrow, .csv or "
                 ".jsonl."),
    _option(OUTPUT, "--force", is_flag=True, allow_from_autoenv=False, help="With --export: replace FILE."),
)  # fmt: skip
verbose = _option(OUTPUT, "-v", "--verbose", is_flag=True,
                  help="Report on standard error what is tried; never keys or values.")  # fmt: skip
redact = _all_of(
    _option(OUTPUT, "--redact", is_flag=True,
            help="Hide what maps hold: a short hash stands for each key and each element, also in names. The hashes "
                 "cannot be compared with those of another run."),
    _option(OUTPUT, "--redact-key", metavar="FILE",
            help="The same, with hashes that can be compared: those of all runs with the secret that is in FILE."),
)  # fmt: skip
not_for_a_core = _all_of(
    # Accepted, so that their refusal can say why.
    click.option("--redact", is_flag=True, hidden=True),
    click.option("--redact-key", hidden=True),
)
# click asks for the version when it is to be shown: what knows it takes longer to load than all that is here.
about = click.version_option(package_name=PROGRAM, prog_name=PROGRAM, panel=OUTPUT, help="Show the version.")
help_ = click.help_option("-h", "--help", panel=OUTPUT, help="Show this text.")

gdb = _option(GDB, "--gdb", default="gdb", show_default=True, metavar="PROGRAM", help="The gdb to use.")
old_gdb = _all_of(
    _option(GDB, "--gdb-setup", is_flag=True, allow_from_autoenv=False, help=f"The same as {PROGRAM} gdb setup."),
    _option(GDB, "--gdb-script", is_flag=True, allow_from_autoenv=False, help=f"The same as {PROGRAM} gdb script."),
)
