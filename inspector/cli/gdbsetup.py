"""Bringing the plugin into gdb: the file to source, and packages for the Python that gdb embeds."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import distribution, metadata, requires
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from inspector.control.gdbmi import environment
from inspector.errors import GdbMissing, InspectError

DISTRIBUTION = "go-map-inspect"
GDB_TIMEOUT = 60.0
NOT_IN_GDB = frozenset({"backports-zstd", "click", "lz4", "packaging", "rich-click"})
"""Packages that nothing inside of gdb imports: gdb opens no packed cores, and has a command line of its own."""

_VERSION = re.compile(r"^python (3\.(\d+))$", re.MULTILINE)
_MINOR = re.compile(r"3\.(\d+)")
_ASK_VERSION = "python import sys; print('python %d.%d' % sys.version_info[:2])"


def script_path() -> Path:
    """The file for gdb's `source`: the plugin's own, where all packages lie beside it.

    Where they do not (an editable installation, packages of the system), a file is written that names their places.
    Raises InspectError when it cannot be written.
    """
    script = _plugin_script()
    own = "{}.{}".format(*sys.version_info)
    sites = sorted({_place_of(needed.name) for needed in requirements(own)})
    if sites == [script.parent.parent]:
        return script
    known = {"__file__": str(script), "SITES": [str(site) for site in sites]}
    owner = hashlib.sha256(f"{sys.prefix}\0{script}".encode()).hexdigest()[:8]
    return _write(
        data_home() / f"gdb-{owner}.py",
        "# Written by `go-map-inspect gdb script`: where its packages are, for the Python inside of gdb.\n"
        f"known = {known!r}\n"
        'exec(compile(open(known["__file__"]).read(), known["__file__"], "exec"), known)\n',
    )


def fetch_packages(gdb: str, report: Callable[[str], None]) -> Path:
    """Fetch what the plugin needs for the Python inside of a gdb, into a folder of its own; returns that folder.

    `report` is called with what takes its time, and with what to do next.
    Raises GdbMissing, and InspectError when pip does not find fitting packages.
    """
    version = _python_of(gdb)
    needed = requirements(version)
    report(f"fetching {', '.join(each.name for each in needed)} for gdb's Python {version}")
    folder = data_home() / f"gdb-python-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as scratch:
        fetched = Path(scratch) / "packages"
        # Neither Python nor pip looks for anything where the user happens to be.
        pip = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        pip += ["--target", str(fetched), "--python-version", version, "--only-binary=:all:"]
        pip += [f"{each.name}{each.specifier}" for each in needed]
        done = subprocess.run(pip, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=scratch)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            hint = (
                f"run {sys.executable} -m ensurepip"
                if "No module named pip" in said
                else "is the package index reachable?"
            )
            raise InspectError(f"pip cannot fetch the packages for Python {version}: {said}", hint)
        # The new packages come whole or not at all.
        shutil.rmtree(folder, ignore_errors=True)
        fetched.rename(folder)
    report("done: start gdb with gdb -x $(go-map-inspect gdb script)")
    return folder


def data_home() -> Path:
    """Where what is written for gdb lies; the plugin's script (gdb_plugin/gomap.py) looks there too."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / DISTRIBUTION


def _plugin_script() -> Path:
    # Only looked for, never imported: it works inside of gdb alone.
    spec = find_spec("gdb_plugin")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).resolve().with_name("gomap.py")


def requirements(python: str) -> list[Requirement]:
    """What the plugin needs in a Python such as "3.13", which need not be the one that runs us."""
    # pip evaluates environment markers for the Python that runs it, whatever --python-version says.
    there = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    found = map(Requirement, requires(DISTRIBUTION) or [])
    needed = (each for each in found if canonicalize_name(each.name) not in NOT_IN_GDB)
    return [each for each in needed if each.marker is None or each.marker.evaluate(there)]


def _place_of(name: str) -> Path:
    return Path(str(distribution(name).locate_file(""))).resolve()


def _python_of(gdb: str) -> str:
    """Ask a gdb for the version of the Python inside of it, such as "3.11"; raises GdbMissing."""
    hint = "install gdb (apt-get install gdb), or name it with --gdb"
    program = shutil.which(gdb)
    if program is None:
        raise GdbMissing(f"cannot start {gdb!r}: it was not found", hint)
    try:
        done = subprocess.run(
            [os.path.abspath(program), "-nx", "-batch", "-iex", "set auto-load off", "-ex", _ASK_VERSION],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=GDB_TIMEOUT,
            env=environment(),
            cwd="/",
        )
    except OSError as error:
        raise GdbMissing(f"cannot start {gdb!r}: {error.strerror}", hint) from None
    except subprocess.TimeoutExpired:
        raise GdbMissing(f"{gdb!r} does not answer", hint) from None
    match = _VERSION.search(done.stdout)
    if match is None:
        raise GdbMissing(f"{gdb!r} is not a gdb with Python inside", hint)
    oldest = _MINOR.search(metadata(DISTRIBUTION)["Requires-Python"])
    if oldest and int(match[2]) < int(oldest[1]):
        raise InspectError(
            f"the Python of {gdb!r} is {match[1]}, and {oldest[0]} or newer is needed", "name a newer gdb with --gdb"
        )
    return match[1]


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise InspectError(
            f"cannot write {path}: {error.strerror}", "set XDG_DATA_HOME to a folder that you can write to"
        ) from None
    return path
