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

from inspector.errors import GdbMissing, InspectError

DISTRIBUTION = "go-map-inspect"
GDB_TIMEOUT = 60.0
_NAME = re.compile(r"[\w.-]+")
_VERSION = re.compile(r"^python (3\.(\d+))$", re.MULTILINE)
_MINOR = re.compile(r"3\.(\d+)")
_ASK_VERSION = "python import sys; print('python %d.%d' % sys.version_info[:2])"


def script_path() -> Path:
    """The file for gdb's `source`: the plugin's own, where all packages lie beside it.

    Where they do not (an editable installation, packages of the system), a file is written that names their places.
    Raises InspectError when it cannot be written.
    """
    script = _plugin_script()
    sites = sorted({_place_of(name) for name in map(_name_of, _requirements())})
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
    folder = data_home() / f"gdb-python-{version}"
    report(f"fetching {', '.join(map(_name_of, _requirements()))} for gdb's Python {version}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as scratch:
        fetched = Path(scratch) / "packages"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        pip += ["--target", str(fetched), "--python-version", version, "--only-binary=:all:", *_requirements()]
        done = subprocess.run(pip, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise InspectError(f"pip cannot fetch the packages for Python {version}: {said}", "is there a network?")
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


def _requirements() -> list[str]:
    """What the package's own metadata asks for, extras left out."""
    return [line for line in requires(DISTRIBUTION) or [] if "extra ==" not in line]


def _name_of(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None
    return match[0]


def _place_of(name: str) -> Path:
    return Path(str(distribution(name).locate_file(""))).resolve()


def _python_of(gdb: str) -> str:
    """Ask a gdb for the version of the Python inside of it, such as "3.11"; raises GdbMissing."""
    hint = "install gdb (apt-get install gdb), or name it with --gdb"
    try:
        done = subprocess.run(
            [gdb, "-nx", "-batch", "-iex", "set auto-load off", "-ex", _ASK_VERSION],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=GDB_TIMEOUT,
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
        raise InspectError(f"cannot write {path}: {error.strerror}", "set XDG_DATA_HOME to a folder of yours") from None
    return path
