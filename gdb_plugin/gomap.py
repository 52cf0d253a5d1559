"""Loads go-map-inspect into gdb: `source` this file; `go-map-inspect gdb script` prints where it is.

gdb brings its own Python, which knows nothing of the environment that the packages were installed into and may be of
another version. This file has to be readable by old ones too: nothing in it is newer than Python 3.6. gdb runs it
among the user's own names, hence the prefix of those here.
"""

import os
import shutil
import signal
import sys

import gdb

_GOMAP_NEEDS = (3, 11)
"""The oldest Python that can read the rest of the package."""

_GOMAP_GDBS_SIGNALS = {signal.SIGCHLD, signal.SIGINT, signal.SIGALRM, signal.SIGTERM, signal.SIGWINCH}
"""What gdb keeps from all threads but its first: it waits for ever for a SIGCHLD that goes to another one."""


def _gomap_load(sites: "list[str]") -> None:
    """Make the packages importable and register the commands; an obstacle is reported in one line."""
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < _GOMAP_NEEDS:
        needed = "{}.{}".format(*_GOMAP_NEEDS)
        return _gomap_say(f"gdb's Python is {version}, and {needed} or newer is needed: use a gdb with a newer one")
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    own = os.path.join(home, "go-map-inspect", f"gdb-python-{version}")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    loaded, path = set(sys.modules), list(sys.path)
    # Before other people's packages, which may be older, but behind Python's own.
    at = next((i for i, place in enumerate(path) if place.endswith(("site-packages", "dist-packages"))), len(path))
    sys.path[at:at] = ([own] if os.path.isdir(own) else sites) + [root]
    # numpy starts threads when it is loaded, which block what is blocked here.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _GOMAP_GDBS_SIGNALS)
    try:
        from gdb_plugin.plugin import install
    except ImportError as error:
        # As if nothing had happened: after the repair this file can be sourced again in the same gdb.
        sys.path[:] = path
        for name in set(sys.modules) - loaded:
            del sys.modules[name]
        what, repair = _gomap_culprit(error), _gomap_repair()
        return _gomap_say(f"gdb's Python {version} cannot load {what}: run {repair}, then source this file again")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    install()


def _gomap_culprit(error: ImportError) -> str:
    """The package that could not be imported; numpy's own errors are pages long."""
    return "numpy" if "numpy" in str(error) else str(error.name or error).split(".")[0]


def _gomap_repair() -> str:
    """The command that brings the packages for this gdb."""
    running, usual = os.path.realpath("/proc/self/exe"), shutil.which("gdb")
    # A gdb that brings its own libraries is run by the dynamic loader: nobody knows by which name it was started.
    known = os.path.basename(running).startswith("ld-") or (usual and os.path.realpath(usual) == running)
    named = "" if known else f" --gdb {running}"
    return f"`go-map-inspect gdb setup{named}`"


def _gomap_say(text: str) -> None:
    """Write one line to gdb's standard error."""
    gdb.write(f"go-map-inspect: {text}\n", gdb.STDERR)


_gomap_load(globals().get("SITES", []))
